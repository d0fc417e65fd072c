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
import time
from typing import Any, Dict, List, Optional, Set

from .. import __version__
from ..addresses import project_host
from ..companions import companion_specs
from ..envfile import Environment, read_env_files
from ..exceptions import ConfigurationError
from ..scope import TOTAL
from ..telemetry import builders
from ..telemetry.builders import (
    assets_event,
    log_event,
    reload_event,
    stats_event,
    throttle_event,
    wall,
    worker_event,
)
from ..telemetry.messages import CHECKS, Hello, WorkerEvent
from ..telemetry.rollup import Rollup
from ..telemetry.sanitize import clean
from .commands import Commands
from .companions import Companions
from .control import ControlSocket
from .feed import Consumer, Feed
from .generations import Generations
from .heartbeat import Heartbeat
from .lending import Lending
from .listeners import Address, Listeners, address, wanted_addresses
from .plan import ModuleNames
from .policy import worker_count
from .quiet import Quiet
from .reload import Reloader
from .running import folder, socket_names
from .shutdown import log_waits
from .spawner import Spawner, choose_mode
from .total_shares import TotalShares
from .wanted import LOCK_FILE, Launch, WantedThrottle
from .worker_handle import WorkerHandle

ORPHAN_PATIENCE = 1.0  # seconds that running requests get when the viewer is gone


class Supervisor:
    """One server with all its processes. `run()` gives the exit code."""

    def __init__(self, launch: Launch, loop: asyncio.AbstractEventLoop,
                 quiet: Optional[Quiet] = None) -> None:
        self._launch = launch
        #: what has begun already, and is taken over
        self._quiet = quiet
        self._loop = loop
        settings = launch.settings
        self.total_shares = TotalShares()
        self.throttle = WantedThrottle(settings.throttle, settings.presets)
        self._rollup = Rollup()
        self._slots = worker_count(settings.worker_num)
        self.listeners = quiet.listeners if quiet is not None else Listeners(
            settings, 1 if launch.dev else self._slots)
        self.feed = Feed(loop, self.hello, self._on_command, self.spread_detail)
        self._commands = Commands(self)
        self.companions = Companions(
            loop, self.feed,
            companion_specs(settings.companions or {}) if settings.run_companions else [],
            self._environment)
        #: what pages in browsers must know to listen to us
        self._token = secrets.token_urlsafe(24)
        self._errors: List[Dict[str, Any]] = []
        self._checked: Optional[str] = None
        self._stop: asyncio.Future[bool] = loop.create_future()
        self.reloader: Optional[Reloader] = None
        self._control: Optional[ControlSocket] = None
        self._patience = settings.shutdown_timeout
        self._folder = os.getcwd()
        self._started = wall() if quiet is None else quiet.started
        self._lock_file = ""
        self._blocked: Set[WorkerHandle] = set()

    # -- the whole life --------------------------------------------------------------

    async def run(self, viewer: Optional[socket.socket] = None,
                  consumer: Optional[Consumer] = None, detail: int = 1) -> int:
        """Serve until told to stop. Raises ConfigurationError when it cannot begin."""
        settings, loop = self._launch.settings, self._loop
        for wanted in self._addresses():
            self.listeners.bind(wanted)
        quiet = self._quiet
        # What is wrong is said now.
        told = self._env_files().notes if quiet is None else ()
        self.spawner = Spawner(
            loop, choose_mode(settings), self.note, self._environment, settings.no_preload)
        self._modules = ModuleNames()
        self.generations = Generations(
            loop, settings, self.spawner, self.listeners, self.feed, self, self._describe,
            self._slots, self._launch)
        self.lending = Lending(loop, self.listeners, self.generations, self._blocked)
        try:
            if quiet is None or not quiet.announced:
                self._open_control()
            if consumer is not None and not (quiet is not None and quiet.announced):
                self.feed.add_consumer(consumer, detail)
            if viewer is not None:
                self.feed.on_owner_gone = self._on_owner_gone
                self.feed.add_viewer(viewer, detail, owner=True)
            self._catch_signals()
            if quiet is None:
                for text, level in (*((note, "info") for note in self._launch.app.get(
                        "notes", ())), *told):
                    self.note(text, level)
                return await self._serve()
            return await self._go_on(quiet, consumer, detail)
        finally:
            self._close()
            await self.spawner.close()

    async def _go_on(self, quiet: Quiet, consumer: Optional[Consumer], detail: int) -> int:
        """Serve with what has begun already, and has said already that it did."""
        self.generations.adopt(quiet)
        first = self.generations.renew(cause="start")
        if quiet.announced:
            await first
            self.generations.last_ready = quiet.event
            self.generations.reload_ms = quiet.event["ms"]
            self._open_control()
            if consumer is not None:
                self.feed.add_consumer(consumer, detail)
            for worker in list(self.generations.workers):
                worker.hear(quiet.rest)
        for number in quiet.signals:
            os.kill(os.getpid(), number)
        return await self._serve(first, quiet.announced)

    async def _serve(self, first: "Optional[asyncio.Task[bool]]" = None,
                     announced: bool = False) -> int:
        settings = self._launch.settings
        first = first or self.generations.renew(cause="start")
        if settings.reload:
            self.reloader = self.generations.reloader = Reloader(
                settings, self._launch.folder, self._launch.home, self.generations,
                self.spawner, self._loop, self.note, self._on_assets)
        self._heartbeat = Heartbeat(self, self._loop, settings.stuck_timeout, self._launch.dev)
        try:
            self.companions.start()
            await self._begun(first)
            if not self._stop.done() and self.generations.then == "ends":
                await self.generations.stop_now()
                return 1
            if not announced:
                self.feed.tell_consumers(self.hello())
            now = await self._stop
            if not now:
                self._stop = self._loop.create_future()
                stopping = self._loop.create_task(
                    self.generations.stop(self._patience))
                ending = self._loop.create_task(
                    log_waits(self.generations.workers, self.feed, self._patience))
                either: List[asyncio.Future[Any]] = [stopping, self._stop]
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                stopping.cancel()
                ending.cancel()
            await self.generations.stop_now()
            return 0
        finally:
            await self.companions.stop()
            self._heartbeat.stop()
            self.publish_stats()

    async def _begun(self, attempt: "asyncio.Task[bool]") -> None:
        """Wait until the first code has started or failed; what a save overtook did neither."""
        while True:
            either: List[asyncio.Future[Any]] = [attempt, self._stop]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            newest = self.generations.attempt
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
            found = self._env_files().values
        except ConfigurationError as exc:
            self.note(str(exc), "warning")  # the worker fails over it, and says so too
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
                self.feed, path, self._quiet.control if self._quiet is not None else None)
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
        self.generations.scale(max(1, self.generations.slots + by))

    def _on_hangup(self) -> None:
        """A headless server renews its workers; one whose terminal is closed ends."""
        if self._launch.dev:
            self.request_stop()
        else:
            self.generations.renew(cause="hangup")

    def request_stop(self, now: bool = False) -> None:
        """Drain and stop; at once if this was asked for before."""
        if not self._stop.done():
            self._stop.set_result(now or self.generations.stopping)

    def _on_owner_gone(self) -> None:
        """The viewer was killed, or its terminal closed: nobody waits for a long drain. One
        that left after asking for the stop changes nothing."""
        if not self.generations.stopping and not self._stop.done():
            self._patience = min(self._patience, ORPHAN_PATIENCE)
            self.request_stop()

    def _close(self) -> None:
        if self.reloader is not None:
            self.reloader.close()
        self.feed.close()
        if self._control is not None:
            self._control.close()
        self.listeners.close()
        if self._lock_file and os.path.exists(self._lock_file):
            os.unlink(self._lock_file)

    # -- what viewers are told -------------------------------------------------------

    def hello(self) -> Hello:
        """The whole known state."""
        generations = self.generations
        return builders.hello(
            version=__version__, app=self._launch.shown, addresses=self.listeners.names,
            local=self.listeners.named(project_host(self._launch.home))
            if self._launch.dev else "",
            pid=os.getpid(), folder=self._folder, started=self._started, gen=generations.number,
            reload=bool(self._launch.settings.reload), reload_ms=generations.reload_ms,
            throttle=self.throttle.as_dict(),
            presets={name: {"label": preset.label, "throttle": preset.as_dict()}
                     for name, preset in self.throttle.presets.items()},
            workers=[self._worker_event(worker, worker.state)
                     for worker in sorted(generations.workers, key=lambda w: w.began)],
            past=self._rollup.past, companions=self.companions.states(),
            failed=None if generations.failed is None else reload_event(
                generations.newest.number if generations.newest else 0, generations.number,
                "failed", generations.newest.cause if generations.newest else "",
                then=generations.then, error=generations.failed))

    def status(self) -> Dict[str, Any]:
        """For `tremolo status` and `tremolo last error`."""
        return {
            **self.hello(), "totals": self._rollup.totals(), "rates": self._rollup.rates(),
            "latency": self._rollup.latency(), "control": self._control and self._control.path,
            "mode": self.spawner.mode, "preloaded": self.spawner.preloaded,
            "not_preloaded": self.spawner.plan.not_preloaded,
            "zygote": self.spawner.zygote_pid, "standby": self.spawner.standby_pid,
            "last_error": self._errors[-1] if self._errors else None,
            "last_reload": self.generations.last_ready,
            "ignored": sorted(self.reloader.guard.stopped) if self.reloader else [],
        }

    def publish_throttle(self) -> None:
        self.feed.publish(throttle_event(self.throttle.as_dict()))

    def spread_detail(self) -> None:
        """Tell the workers how much somebody wants to see."""
        level = self.feed.detail
        for worker in self.generations.workers:
            worker.tell("detail", level=level)

    def _on_command(self, viewer: Any, message: Dict[str, Any]) -> None:
        self._commands.take(viewer, message)

    def note(self, text: str, level: str = "info") -> None:
        self.feed.log(level, text)

    def _describe(self) -> Dict[str, Any]:
        launch = self._launch
        return {"app": launch.app, "home": launch.home, "dev": launch.dev,
                "settings": launch.settings.as_dict(), "reload": bool(launch.settings.reload),
                "excluded": self.spawner.plan.excluded,
                "debug": os.path.dirname(self._control.path) if self._control and (
                    launch.dev) else "", "detail": self.feed.detail,
                "throttle": self.throttle.for_worker(), "token": self._token}

    @staticmethod
    def _worker_event(worker: WorkerHandle, state: str, cause: Optional[str] = None,
                      retry_in: Optional[float] = None) -> WorkerEvent:
        return worker_event(worker.pid, worker.gen, worker.slot, state,
                            worker.cause if cause is None else cause, worker.expected, retry_in)

    # -- what workers tell -----------------------------------------------------------

    def worker_changed(self, worker: WorkerHandle, state: str, **more: Any) -> None:
        if state == "starting":
            self._rollup.started(worker.pid)
        if state == "exited":
            self._rollup.ended(worker.pid)
            self.throttle.forget_worker(worker.pid)
            self.total_shares.forget(worker.pid)
            self._blocked.discard(worker)
            self._modules.forget(worker.pid)
            more["retry_in"] = self.generations.exited(worker)
        self.lending.look()
        self.feed.publish(self._worker_event(worker, state, **more))

    def worker_frame(self, worker: WorkerHandle, frame: Dict[str, Any],
                     line: Optional[bytes]) -> None:
        self._rollup.update(frame)
        self.total_shares.note(worker.pid, frame)
        self.feed.publish(frame, line)
        if worker in self._blocked:
            self._unblocked(worker)

    def worker_event(self, worker: WorkerHandle, event: Dict[str, Any]) -> None:
        if event["kind"] == "error":
            self._errors = [*self._errors[-19:], event]
        if event.get("name") == CHECKS:  # it finds the same at each start
            if event.get("text") == self._checked:
                return
            self._checked = event.get("text")
        self.feed.publish(event)

    def worker_output(self, worker: WorkerHandle, stream: str, text: str) -> None:
        level = "info" if stream == "stdout" else "warning"
        self.feed.publish(log_event(text, level, "", stream, pid=worker.pid, gen=worker.gen))

    def worker_handover(self, worker: WorkerHandle, fd: int) -> None:
        heir = self.generations.heir(worker)
        if heir is not None:
            heir.send(builders.adopt(), (fd,))
        os.close(fd)

    def worker_life(self, worker: WorkerHandle, life: Dict[str, Any]) -> None:
        state = life.get("state")
        if state == "modules":
            told = self._modules.add(worker.pid, life)
            if told is not None and worker.slot == 0:
                self.spawner.learn(*told, mode=worker.mode)
        elif state == "packages":
            self._heartbeat.packages.learn(map(str, life.get("files", ())))
        elif state == "wrote":
            if self.reloader is not None:
                self.reloader.guard.wrote(str(life.get("path")), float(life.get("t", wall())),
                                          life.get("digest"))
        elif state == "files":
            newest = self.generations.newest
            if self.reloader is not None and newest is not None and newest.number == worker.gen:
                self.reloader.read(life.get("files", {}), life.get("places", {}))
        elif state in ("outdated", "own") and self.reloader is not None:
            self._read(worker, state, life.get("paths", []))
        elif state == "addresses":
            self._bind_more(worker, life.get("addresses", []))
        elif state == "memory":
            size = life.get("resident", 0) // 1024
            self.note(f"worker {worker.pid} has grown to {size} KiB and is replaced",
                       "warning")
            self.generations.replace(worker)
        elif state == "requests":
            self.note(f"worker {worker.pid} has had {life.get('count')} requests and is replaced")
            self.generations.replace(worker)
        elif state == "blocked":
            self._blocked.add(worker)
            self.lending.look()
            place = f"the event loop is blocked by {life.get('place')}"
            worker.waits_for = [place]
            self.feed.publish(self._worker_event(worker, "blocked", cause=place))
            self.feed.publish(log_event(
                f"{place}, for {life.get('seconds', 0) * 1000:.0f} ms so far\n"
                f"{life.get('stack', '')}", "warning", "tremolo.watchdog", pid=worker.pid,
                gen=worker.gen))
        elif state == "unblocked" and worker in self._blocked:
            self._unblocked(worker)
        elif state == "switching":
            # It was told the throttle and the detail of when it began to start.
            worker.tell("detail", level=self.feed.detail)
            for scope, throttle in self.throttle.for_worker().items():
                worker.tell("throttle", scope=scope, throttle=throttle)
            self.total_shares.forget(worker.pid)
            self.share_total()

    def _read(self, worker: WorkerHandle, state: str, paths: List[Any]) -> None:
        """What a worker tells of files that it reads and writes."""
        assert self.reloader is not None
        reads, generations = self.reloader.reads, self.generations
        if state == "own":
            for path in paths:
                reads.wrote(str(path))
        elif generations.serving is None or (
                generations.serving.workers.get(worker.slot) is not worker):
            return  # it is on its way out
        elif generations.newest is generations.serving and generations.attempt is not None:
            # It may have begun to serve this very moment: that is to be told first.
            generations.attempt.add_done_callback(lambda _: reads.stale(map(str, paths)))
        elif worker in generations.keeping():
            reads.stale(map(str, paths))

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

    def share_total(self) -> None:
        """Divide the cap of the whole server between the workers, by what they want."""
        workers = {worker.pid: worker for worker in self.generations.workers
                   if worker.state in ("ready", "serving", "draining")}
        for pid, share in self.total_shares.due(self.throttle.total, workers).items():
            workers[pid].tell("throttle", scope=TOTAL, throttle=share.as_dict())

    def publish_stats(self) -> None:
        self._rollup.sample(time.monotonic())
        self.share_total()
        self.feed.publish(stats_event(
            self.generations.number, self._rollup.totals(), self._rollup.rates(),
            self._rollup.latency()))

    def found_blocked(self, worker: WorkerHandle, cause: str) -> None:
        """Tell, once, that a worker stands still."""
        if worker not in self._blocked:
            self._blocked.add(worker)
            self.lending.look()
            self.feed.publish(self._worker_event(worker, "blocked", cause=cause))

    def _unblocked(self, worker: WorkerHandle) -> None:
        self._blocked.discard(worker)
        self.lending.look()
        worker.waits_for = []
        self.feed.publish(self._worker_event(worker, worker.state))

    def _on_assets(self, paths: List[str]) -> None:
        """Templates, styles and the like changed: pages are looked at afresh, no more."""
        shown = [clean(os.path.relpath(path, self._launch.folder)) for path in paths[:50]]
        self.feed.publish(assets_event(self.generations.number, shown))
        self.generations.tell_serving("assets", files=shown)
