"""The supervisor: owns the sockets, the wanted state and the feed, and ends everything.

Composes the parts of this package. Runs in the foreground with a consumer, or in a session of
its own with a viewer behind a socket, whose end means: drain and stop.
"""

import asyncio
import contextlib
import os
import secrets
import signal
import socket
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple

from .. import __version__
from ..addresses import project_host
from ..companions import companion_specs
from ..envfile import Environment, read_env_files
from ..exceptions import ConfigurationError
from ..telemetry import builders
from ..telemetry.builders import assets_event, reload_event, wall
from ..telemetry.sanitize import clean
from .commands import Commanded, Commands
from .companions import Companions
from .control import ControlSocket
from .feed import Consumer, Feed
from .generations import Generations
from .heartbeat import Heartbeat
from .listeners import Address, Listeners, address, wanted_addresses
from .packages import Packages
from .parked import Parked
from .policy import worker_count
from .quiet import Quiet
from .reload import Reloader
from .resting import BLOCKED
from .running import folder, socket_names
from .shutdown import log_waits
from .spawner import Spawner, choose_mode
from .starter import Starter
from .wanted import LOCK_FILE, Launch, WantedIntercepts, WantedMail, WantedThrottle
from .worker_handle import WorkerHandle
from .worker_observer import WorkerObserver, state_event

if TYPE_CHECKING:
    from ..telemetry.facts import StartFacts
    from ..telemetry.messages import Hello, Status

ORPHAN_PATIENCE = 1.0  # seconds that running requests get when the viewer is gone


class Supervisor:
    """One server with all its processes. `run()` gives the exit code."""

    def __init__(self, launch: Launch, loop: asyncio.AbstractEventLoop,
                 quiet: Optional[Quiet] = None) -> None:
        self._launch = launch
        #: what has begun already, and is taken over
        self._quiet = quiet
        #: of the environment in which the last process started; what it began with is told anyway
        self._env_notes: Optional[Tuple[Tuple[str, str], ...]] = None
        self._loop = loop
        settings = launch.settings
        self._throttle = WantedThrottle(settings.throttle, settings.presets)
        self._intercepts = WantedIntercepts()
        self._mail = WantedMail(bool(settings.hold_mail))
        self._slots = worker_count(settings.worker_num)
        self.listeners = quiet.listeners if quiet is not None else Listeners(
            settings, 1 if launch.dev else self._slots)
        self._feed = Feed(loop, self.hello)
        self._companions = Companions(
            loop, self._feed,
            companion_specs(settings.companions or {}) if settings.run_companions else [],
            self._environment)
        #: what pages in browsers must know to listen to us
        self._token = secrets.token_urlsafe(24)
        self._stop: asyncio.Future[bool] = loop.create_future()
        self._reloader: Optional[Reloader] = None
        self._control: Optional[ControlSocket] = None
        self._patience = settings.shutdown_timeout
        self._folder = os.getcwd()
        self._started = wall() if quiet is None else quiet.started
        self._lock_file = ""

    # -- the whole life --------------------------------------------------------------

    async def run(self, viewer: Optional[socket.socket] = None,
                  consumer: Optional[Consumer] = None, detail: int = 1) -> int:
        """Serve until a stop is asked for. Raises ConfigurationError when it cannot begin."""
        for wanted in self._addresses():
            self.listeners.bind(wanted)
        quiet = self._quiet
        # What is wrong is reported now.
        notes = self._env_files().notes if quiet is None else ()
        self._assemble()
        try:
            if quiet is None or not quiet.announced:
                self._open_control()
            if consumer is not None and not (quiet is not None and quiet.announced):
                self._feed.add_consumer(consumer, detail)
            if viewer is not None:
                self._feed.on_owner_gone = self._on_owner_gone
                self._feed.add_viewer(viewer, detail, owner=True)
            self._catch_signals()
            if quiet is None:
                for text, level in (*((note, "info") for note in self._launch.app.get(
                        "notes", ())), *notes):
                    self.note(text, level)
                return await self._serve()
            return await self._go_on(quiet, consumer, detail)
        finally:
            self._close()
            await self._spawner.close()

    def _assemble(self) -> None:
        """Make what starts and observes workers, and obeys viewers."""
        settings, loop = self._launch.settings, self._loop
        self._spawner = Spawner(
            loop, choose_mode(settings), self.note, self._environment, settings.no_preload,
            settings.loop)
        self._packages = Packages()
        self._parked = Parked(settings.keepalive_connections)
        self._observer = WorkerObserver(
            self._feed, self._throttle, self._intercepts, self._mail, self._spawner,
            self._packages, self._parked, self._bind_more)
        self._starter = Starter(
            loop, self._spawner, self.listeners, self._observer, self._describe,
            settings.startup_timeout, self._launch.capture)
        self._generations = Generations(
            loop, settings, self._spawner, self._starter, self.listeners, self._feed,
            self._observer, self._slots, self._launch.home)
        self._observer.attend(loop, self._generations, self.listeners)
        commands = Commands(Commanded(
            self._generations, self._throttle, self._intercepts, self._mail, self._observer,
            self._feed, self._companions, self.request_stop, self.status))
        self._feed.on_command, self._feed.on_viewers = commands.take, commands.viewers_changed

    async def _go_on(self, quiet: Quiet, consumer: Optional[Consumer], detail: int) -> int:
        """Serve with what has begun already, and perhaps was announced."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, BLOCKED)  # as it rested
        self._starter.adopt(quiet)
        first = self._generations.renew(cause="start")
        if quiet.announced:
            await first
            self._generations.last_ready = quiet.event
            self._generations.reload_ms = quiet.event["ms"]
            self._open_control()
            if consumer is not None:
                self._feed.add_consumer(consumer, detail)
            for worker in list(self._generations.workers):
                worker.go_on()
        for number in quiet.signals:
            os.kill(os.getpid(), number)
        return await self._serve(first, quiet.announced)

    async def _serve(self, first: "Optional[asyncio.Task[bool]]" = None,
                     announced: bool = False) -> int:
        settings = self._launch.settings
        first = first or self._generations.renew(cause="start")
        if settings.reload:
            reloader = Reloader(
                settings, self._launch.folder, self._launch.home, self._generations,
                self._spawner, self._loop, self.note, self._on_assets,
                self._launch.app.get("configured", ({}, ())))
            self._reloader = self._generations.reloader = self._observer.reloader = reloader
        heartbeat = Heartbeat(
            self._loop, self._generations, self._spawner, self._observer, self._reloader,
            self._packages, self._feed, settings.stuck_timeout,
            replace=not self._launch.dev)  # a debugger may hold it there
        try:
            self._companions.start()
            await self._begun(first)
            if not self._stop.done() and self._generations.then == "ends":
                await self._generations.stop_now()
                return 1
            if not announced:
                self._feed.notify_consumers(self.hello())
            now = await self._stop
            if not now:
                self._stop = self._loop.create_future()
                stopping = self._loop.create_task(
                    self._generations.stop(self._patience))
                ending = self._loop.create_task(
                    log_waits(self._generations.workers, self._feed, self._patience))
                either: List[asyncio.Future[Any]] = [stopping, self._stop]
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                stopping.cancel()
                ending.cancel()
            await self._generations.stop_now()
            return 0
        finally:
            await self._companions.stop()
            heartbeat.stop()
            self._observer.publish_stats()

    async def _begun(self, attempt: "asyncio.Task[bool]") -> None:
        """Wait until the first code has started or failed; what a save overtook did neither."""
        while True:
            either: List[asyncio.Future[Any]] = [attempt, self._stop]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            newest = self._generations.attempt
            if self._stop.done() or newest is None or newest is attempt:
                return
            attempt = newest

    def _addresses(self) -> List[Address]:
        named = self._launch.app.get("addresses")
        if named:
            return [address(host, port, options, self._launch.settings.host)
                    for host, port, options in named]
        return wanted_addresses(self._launch.settings)

    def _environment(self) -> Dict[str, str]:
        """The environment of processes that start now."""
        self._go_home()
        values = dict(os.environ)
        if self._lock_file:
            values[LOCK_FILE] = self._lock_file
        found: Dict[str, str] = {}
        try:
            found, notes = self._env_files()
            for text, level in notes:
                if self._env_notes is not None and (text, level) not in self._env_notes:
                    self.note(text, level)
            self._env_notes = notes
        except ConfigurationError as exc:
            self.note(str(exc), "warning")  # the worker fails over it, and reports it too
        return {**dict(self._launch.app.get("environ", {})), **found, **values}

    def _env_files(self) -> Environment:
        return read_env_files(self._launch.settings, self._launch.dev, self._launch.home)

    def _go_home(self) -> None:
        """Be in the working directory as the user named it, whatever has been put there since:
        processes that are started inherit it."""
        with contextlib.suppress(OSError):
            os.chdir(self._launch.home)

    def _open_control(self) -> None:
        try:
            self._lock_file = os.path.join(folder(), f"{os.getpid()}.lock")
            path = os.path.join(folder(), socket_names(self.listeners)[0])
            self._control = ControlSocket(
                self._feed, path, self._quiet.control if self._quiet is not None else None)
            self._control.alias(self.listeners)
        except (ConfigurationError, OSError) as exc:
            self.note(f"commands from other terminals are not possible: {exc}", "warning")

    def _catch_signals(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.add_signal_handler(number, self.request_stop)
        self._loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
        if not self._launch.dev:
            self._loop.add_signal_handler(signal.SIGTTIN, self._scale, 1)
            self._loop.add_signal_handler(signal.SIGTTOU, self._scale, -1)

    def _scale(self, by: int) -> None:
        self._generations.scale(max(1, self._generations.slots + by))

    def _on_hangup(self) -> None:
        """A headless server renews its workers; one whose terminal is closed ends."""
        if self._launch.dev:
            self.request_stop()
        else:
            self._generations.renew(cause="hangup")

    def request_stop(self, now: bool = False) -> None:
        """Drain and stop; at once if this was asked for before."""
        if not self._stop.done():
            self._stop.set_result(now or self._generations.stopping)

    def _on_owner_gone(self) -> None:
        """The viewer was killed, or its terminal closed: nobody waits for a long drain. One
        that left after asking for the stop changes nothing."""
        if not self._generations.stopping and not self._stop.done():
            self._patience = min(self._patience, ORPHAN_PATIENCE)
            self.request_stop()

    def _close(self) -> None:
        if self._reloader is not None:
            self._reloader.close()
        self._feed.close()
        self._parked.close()
        if self._control is not None:
            self._control.close()
        self.listeners.close()
        if self._lock_file and os.path.exists(self._lock_file):
            os.unlink(self._lock_file)

    # -- what viewers get ------------------------------------------------------------

    def hello(self) -> "Hello":
        """The whole known state."""
        generations = self._generations
        return builders.hello(
            version=__version__, app=self._launch.shown, addresses=self.listeners.names,
            local=self.listeners.named(project_host(self._launch.home))
            if self._launch.dev else "",
            pid=os.getpid(), folder=self._folder, started=self._started, gen=generations.number,
            reload=bool(self._launch.settings.reload), reload_ms=generations.reload_ms,
            throttle=self._throttle.as_dict(), hold_mail=self._mail.held,
            presets={name: {"label": preset.label, "throttle": preset.as_dict()}
                     for name, preset in self._throttle.presets.items()},
            workers=[state_event(worker, worker.state)
                     for worker in sorted(generations.workers, key=lambda w: w.began)],
            past=self._observer.rollup.past, companions=self._companions.states(),
            failed=None if generations.failed is None else reload_event(
                generations.newest.number if generations.newest else 0, generations.number,
                "failed", generations.newest.cause if generations.newest else "",
                then=generations.then, error=generations.failed))

    def status(self) -> "Status":
        """For `tremolo status` and `tremolo last error`."""
        rollup, errors = self._observer.rollup, self._observer.errors
        return {
            **self.hello(), "totals": rollup.totals(), "rates": rollup.rates(),
            "latency": rollup.latency(),
            "control": None if self._control is None else self._control.path,
            "mode": self._spawner.mode, "preloaded": self._spawner.preloaded,
            "not_preloaded": self._spawner.plan.not_preloaded,
            "zygote": self._spawner.zygote_pid, "standby": self._spawner.standby_pid,
            "last_error": errors[-1] if errors else None,
            "last_reload": self._generations.last_ready,
            "ignored": sorted(self._reloader.guard.stopped) if self._reloader else [],
        }

    def note(self, text: str, level: str = "info") -> None:
        """Log a line of our own; one of how we work only where that was asked for."""
        if level != "debug" or self._launch.settings.log_level.upper() == "DEBUG":
            self._feed.log(level, text)

    def _describe(self) -> "StartFacts":
        launch = self._launch
        return {"app": launch.app, "home": launch.home, "dev": launch.dev,
                "settings": launch.settings.as_dict(), "reload": bool(launch.settings.reload),
                "excluded": self._spawner.plan.excluded,
                "debug": os.path.dirname(self._control.path) if self._control and (
                    launch.dev) else "", "detail": self._feed.detail,
                "throttle": self._throttle.for_worker(), "hold_mail": self._mail.held,
                "token": self._token}

    def _bind_more(self, worker: WorkerHandle, wanted: List[List[Any]]) -> None:
        """Bind what an application asked for by app.listen(), and hand it to the worker."""
        known = {listener.wanted[:3]: listener for listener in self.listeners}
        descriptions, fds = [], []
        error = None
        for host, port, options in wanted:
            where = address(host, port, options, self._launch.settings.host)
            try:
                listener = self.listeners.bind(where)
            except ConfigurationError as exc:
                error = str(exc)
                break
            if listener is None and where[:3] in known:
                continue  # bound before, thus among those that the worker was started with
            if listener is not None:
                descriptions.append(listener.description())
                fds.append(listener.fd(worker.slot))
        if self._control is not None:
            self._control.alias(self.listeners)
        worker.send(builders.listeners(descriptions, error), tuple(fds))

    def _on_assets(self, paths: List[str]) -> None:
        """Templates, styles and the like changed: pages are looked at afresh, no more."""
        shown = [clean(os.path.relpath(path, self._launch.folder)) for path in paths[:50]]
        self._feed.publish(assets_event(self._generations.number, shown))
        self._generations.notify_serving("assets", files=shown)
