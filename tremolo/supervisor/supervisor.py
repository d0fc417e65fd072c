"""The supervisor: owns the sockets, the wanted state and the feed, and ends everything.

Composes the parts of this package. Runs in the foreground with a consumer, or in a session of
its own with a viewer behind a socket, whose end means: drain and stop.
"""

import asyncio
import os
import signal
import socket
import time
from typing import Any, Dict, List, NamedTuple, Optional, Set

from .. import __version__
from ..config import Settings
from ..envfile import read_env_file
from ..exceptions import ConfigurationError
from ..telemetry.messages import VERSION
from ..telemetry.rollup import Rollup
from .control import ControlSocket, folder, socket_name
from .feed import Consumer, Feed, wall
from .generations import Generations
from .listeners import Address, Listeners, address, wanted_addresses
from .nursery import Nursery, fork_is_trusted
from .orders import Orders, WantedThrottle, throttle_event
from .reload import Reloader
from .worker_handle import WorkerHandle

SILENT_AFTER = 10.0  # seconds without a sign of a worker until it is called blocked
REPLACE_AFTER = 60.0  # and until it is replaced; not in dev, where a debugger may hold it
SECOND = 1.0
#: where workers find the file of the locks that they share (see `tremolo.app.locks`)
LOCK_FILE = "TREMOLO_LOCK_FILE"
ORPHAN_PATIENCE = 1.0  # seconds that running requests get when the viewer is gone


class Launch(NamedTuple):
    """What to run. `app` is the description for workers: {"target": "shop:app"} or
    {"script": path, "argv": [...], "folder": path}; `folder` is what to watch for changes."""

    app: Dict[str, Any]
    shown: str
    settings: Settings
    dev: bool
    folder: str
    capture: bool = False


class Supervisor:
    """One server with all its processes. `run()` gives the exit code."""

    def __init__(self, launch: Launch, loop: asyncio.AbstractEventLoop) -> None:
        self._launch = launch
        self._loop = loop
        settings = launch.settings
        self.throttle = WantedThrottle(settings.throttle)
        self._rollup = Rollup()
        self._slots = _worker_count(settings.worker_num)
        self.listeners = Listeners(settings, 1 if launch.dev else self._slots)
        self.feed = Feed(loop, self.hello, self._on_command, self.spread_detail)
        self._orders = Orders(self)
        self._errors: List[Dict[str, Any]] = []
        self._stop: asyncio.Future[bool] = loop.create_future()
        self._reloader: Optional[Reloader] = None
        self._control: Optional[ControlSocket] = None
        self._patience = settings.shutdown_timeout
        self._lock_file = ""
        self._ticked = time.monotonic()
        self._blocked: Set[WorkerHandle] = set()
        self._modules: List[str] = []

    # -- the whole life --------------------------------------------------------------

    async def run(self, viewer: Optional[socket.socket] = None,
                  consumer: Optional[Consumer] = None, detail: int = 1) -> int:
        """Serve until told to stop. Raises ConfigurationError when it cannot begin."""
        settings, loop = self._launch.settings, self._loop
        for wanted in self._addresses():
            self.listeners.bind(wanted)
        if settings.env_file:
            read_env_file(settings.env_file)  # what is wrong with it is said now
        self._nursery = Nursery(
            loop, self._mode(), self._note, self._environment, settings.no_preload)
        self.generations = Generations(
            loop, settings, self._nursery, self.listeners, self.feed, self, self._describe,
            self._slots, self._launch.capture, self._launch.dev)
        try:
            self._open_control()
            if consumer is not None:
                self.feed.add_consumer(consumer, detail)
            if viewer is not None:
                self.feed.on_owner_gone = self._on_owner_gone
                self.feed.add_viewer(viewer, detail, owner=True)
            self._catch_signals()
            return await self._serve()
        finally:
            self._close()
            await self._nursery.close()

    async def _serve(self) -> int:
        settings = self._launch.settings
        first = self.generations.renew()
        if settings.reload:
            self._reloader = Reloader(settings, self._launch.folder, self.generations,
                                      self._nursery, self._loop, self._note)
        ticker = self._loop.create_task(self._tick())
        try:
            either: List[asyncio.Future[Any]] = [first, self._stop]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not self._stop.done() and self._ended_at_first(first):
                await self.generations.stop_now()
                return 1
            self.feed.tell_consumers(self.hello())
            now = await self._stop
            if not now:
                self._stop = self._loop.create_future()
                stopping = self._loop.create_task(
                    self.generations.stop(self._patience))
                either = [stopping, self._stop]
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                stopping.cancel()
            await self.generations.stop_now()
            return 0
        finally:
            ticker.cancel()
            self._publish_stats()

    def _ended_at_first(self, first: "asyncio.Task[bool]") -> bool:
        """The first start failed, and no later save can help."""
        if first.cancelled() or first.exception() is not None or first.result():
            return False
        failed = self.generations.failed or {}
        return not self._launch.settings.reload or (
            self.generations.serving is None and failed.get("type") == "ConfigurationError")

    def _mode(self) -> str:
        settings = self._launch.settings
        if settings.reload_mode != "auto":
            return settings.reload_mode if hasattr(os, "fork") else "spawn"
        # Without reloading nothing is ever learnt to load ahead, and forking gains little.
        return "zygote" if fork_is_trusted() and settings.reload else "spawn"

    def _addresses(self) -> List[Address]:
        named = self._launch.app.get("addresses")
        if named:
            return [address(host, port, options, self._launch.settings.host)
                    for host, port, options in named]
        return wanted_addresses(self._launch.settings)

    def _environment(self) -> Dict[str, str]:
        """The environment of processes that start now."""
        values = dict(os.environ)
        if self._lock_file:
            values[LOCK_FILE] = self._lock_file
        if self._launch.settings.env_file:
            try:
                found = read_env_file(self._launch.settings.env_file)
            except ConfigurationError as exc:
                self._note(str(exc), "warning")  # the worker fails over it, and says so too
                return values
            for name, value in found.items():
                values.setdefault(name, value)
        return values

    def _open_control(self) -> None:
        try:
            self._lock_file = os.path.join(folder(), f"{os.getpid()}.lock")
            path = os.path.join(folder(), socket_name(self.listeners))
            self._control = ControlSocket(self.feed, path)
        except (ConfigurationError, OSError) as exc:
            self._note(f"commands from other terminals are not possible: {exc}", "warning")

    def _catch_signals(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.add_signal_handler(number, self.request_stop)
        self._loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
        if not self._launch.capture:
            self._loop.add_signal_handler(
                signal.SIGTTIN, lambda: self._scale(1))
            self._loop.add_signal_handler(
                signal.SIGTTOU, lambda: self._scale(-1))

    def _scale(self, by: int) -> None:
        self.generations.scale(max(1, self.generations.slots + by))

    def _on_hangup(self) -> None:
        """A headless server renews its workers; one whose terminal is closed ends."""
        if self._launch.dev:
            self.request_stop()
        else:
            self.generations.renew()

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
        if self._reloader is not None:
            self._reloader.close()
        self.feed.close()
        if self._control is not None:
            self._control.close()
        self.listeners.close()
        if self._lock_file and os.path.exists(self._lock_file):
            os.unlink(self._lock_file)

    # -- what viewers are told -------------------------------------------------------

    def hello(self) -> Dict[str, Any]:
        """The whole known state."""
        generations = self.generations
        return {
            "v": VERSION, "kind": "hello", "t": wall(), "version": __version__,
            "app": self._launch.shown, "addresses": self.listeners.names, "pid": os.getpid(),
            "gen": generations.number, "reload": bool(self._launch.settings.reload),
            "reload_ms": generations.reload_ms, "throttle": self.throttle.as_dict(),
            "workers": [self._worker_event(worker, worker.state)
                        for worker in sorted(generations.workers, key=lambda w: w.began)],
            "past": self._rollup.past,
            "failed": None if generations.failed is None else {
                "v": VERSION, "kind": "reload", "t": wall(), "state": "failed",
                "gen": generations.newest.number if generations.newest else 0,
                "serving": generations.number, "files": [], "error": generations.failed},
        }

    def status(self) -> Dict[str, Any]:
        """For `tremolo status` and `tremolo last error`."""
        return {
            **self.hello(), "totals": self._rollup.totals(), "rates": self._rollup.rates(),
            "latency": self._rollup.latency(), "control": self._control and self._control.path,
            "mode": self._nursery.mode, "preloaded": self._nursery.preloaded,
            "zygote": self._nursery.zygote_pid,
            "last_error": self._errors[-1] if self._errors else None,
        }

    def publish_throttle(self) -> None:
        self.feed.publish(throttle_event(self.throttle))

    def spread_detail(self) -> None:
        """Tell the workers how much somebody wants to see."""
        level = self.feed.detail
        for worker in self.generations.workers:
            worker.tell("detail", level=level)

    def _on_command(self, viewer: Any, message: Dict[str, Any]) -> None:
        self._orders.take(viewer, message)

    def _note(self, text: str, level: str = "info") -> None:
        self.feed.log(level, text)

    def _describe(self) -> Dict[str, Any]:
        launch = self._launch
        return {"app": launch.app, "settings": launch.settings.as_dict(), "dev": launch.dev,
                "reload": bool(launch.settings.reload), "detail": self.feed.detail,
                "throttle": self.throttle.for_worker()}

    @staticmethod
    def _worker_event(worker: WorkerHandle, state: str, **more: Any) -> Dict[str, Any]:
        return {"v": VERSION, "kind": "worker", "t": wall(), "pid": worker.pid,
                "gen": worker.gen, "slot": worker.slot, "state": state, "cause": worker.cause,
                "expected": worker.expected, "retry_in": None, **more}

    # -- what workers tell -----------------------------------------------------------

    def worker_changed(self, worker: WorkerHandle, state: str, **more: Any) -> None:
        if state == "starting":
            self._rollup.started(worker.pid)
        if state == "exited":
            self._rollup.ended(worker.pid)
            self.throttle.forget_worker(worker.pid)
            self._blocked.discard(worker)
            more["retry_in"] = self.generations.exited(worker)
        self.feed.publish(self._worker_event(worker, state, **more))

    def worker_frame(self, worker: WorkerHandle, frame: Dict[str, Any],
                     line: Optional[bytes]) -> None:
        self._rollup.update(frame)
        self.feed.publish(frame, line)

    def worker_event(self, worker: WorkerHandle, event: Dict[str, Any]) -> None:
        if event["kind"] == "error":
            self._errors = [*self._errors[-19:], event]
        self.feed.publish(event)

    def worker_output(self, worker: WorkerHandle, stream: str, text: str) -> None:
        level = "info" if stream == "stdout" else "warning"
        self.feed.publish({"v": VERSION, "kind": "log", "t": wall(), "pid": worker.pid,
                           "gen": worker.gen, "stream": stream, "level": level, "name": "",
                           "text": text})

    def worker_handover(self, worker: WorkerHandle, fd: int) -> None:
        heir = self.generations.heir(worker)
        if heir is not None:
            heir.send({"v": VERSION, "kind": "adopt"}, (fd,))
        os.close(fd)

    def worker_life(self, worker: WorkerHandle, life: Dict[str, Any]) -> None:
        state = life.get("state")
        if state == "modules":
            self._modules.extend(life.get("modules", ()))
            if life.get("last"):
                self._nursery.preload(self._modules)
                self._modules = []
        elif state == "addresses":
            self._bind_more(worker, life.get("addresses", []))
        elif state == "memory":
            size = life.get("resident", 0) // 1024
            self._note(f"worker {worker.pid} has grown to {size} KiB and is replaced",
                       "warning")
            self.generations.replace(worker)
        elif state == "blocked":
            self._blocked.add(worker)
            place = f"the event loop is blocked by {life.get('place')}"
            self.feed.publish(self._worker_event(worker, "blocked", cause=place))
            self.feed.publish({
                "v": VERSION, "kind": "log", "t": wall(), "pid": worker.pid, "gen": worker.gen,
                "stream": "tremolo", "level": "warning", "name": "tremolo.watchdog",
                "text": f"{place}, for {life.get('seconds', 0) * 1000:.0f} ms so far\n"
                        f"{life.get('stack', '')}"})
        elif state == "unblocked":
            self._blocked.discard(worker)
            self.feed.publish(self._worker_event(worker, worker.state))
        elif state == "switching":
            # It was told the throttle and the detail of when it began to start.
            worker.tell("detail", level=self.feed.detail)
            for scope, throttle in self.throttle.for_worker().items():
                worker.tell("throttle", scope=scope, throttle=throttle)

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
        worker.send({"v": VERSION, "kind": "listeners", "listeners": descriptions,
                     "error": error}, tuple(fds))

    # -- time ------------------------------------------------------------------------

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(SECOND)
            now = time.monotonic()
            gap, self._ticked = now - self._ticked, now
            if gap > 3 * SECOND:  # the machine slept, or we were stopped: nobody is to blame
                for worker in self.generations.workers:
                    worker.last_sign = now
            self._publish_stats()
            self._check_signs(now)
            if self._reloader is not None:
                self._reloader.follow_imports()

    def _publish_stats(self) -> None:
        self._rollup.sample(time.monotonic())
        self.feed.publish({
            "v": VERSION, "kind": "stats", "t": wall(), "gen": self.generations.number,
            "totals": self._rollup.totals(), "rates": self._rollup.rates(),
            "latency": self._rollup.latency()})

    def _check_signs(self, now: float) -> None:
        for worker in list(self.generations.workers):
            silent = now - worker.last_sign
            if worker.state != "serving" or silent < SILENT_AFTER:
                continue
            if worker not in self._blocked:
                self._blocked.add(worker)
                self.feed.publish(self._worker_event(
                    worker, "blocked", cause=f"no sign of life for {silent:.0f} s"))
            if silent > REPLACE_AFTER and not self._launch.dev:
                self._note(f"worker {worker.pid} gave no sign of life for {silent:.0f} s and "
                           "is replaced", "error")
                worker.kill(signal.SIGABRT, expected=False)
                worker.last_sign = now


def _worker_count(wanted: int) -> int:
    if wanted > 0:
        return wanted
    if wanted == 0:
        return 1
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1
