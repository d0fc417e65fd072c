"""One worker process: it gets a description of what to serve, imports, starts, serves, drains
and ends.

Everything that it is asked for comes over one socket whose other end only the supervisor holds;
the end of that socket means that the supervisor is gone. Everything that it reports goes back
over it, but for frames, which go into a lossy pipe.
"""

import asyncio
import importlib
import logging
import os
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional

from ..config import Settings
from ..exceptions import ConfigurationError
from ..net.adapter import Adapter
from ..telemetry import builders
from ..telemetry.builders import ADVICE, CHECKS, SLOW_START
from ..telemetry.sanitize import clean
from .application import Loaded, load_application, make_adapter
from .commands import Commands
from .environment import enter_home, load_variables
from .error_reports import ErrorReports
from .guard import exchange_kind, guarded, make_browser
from .installed import is_project
from .leaving import Leaving
from .listening import ListeningSockets
from .loops import new_loop
from .output import line_buffered, redirect, set_up_logging
from .sampler import Sampler
from .stats_pipe import StatsPipe
from .streams import Deferred, Records
from .supervisor_link import SupervisorLink
from .watchdog import Watchdog

if TYPE_CHECKING:
    from ..insight.insight import Insight
    from ..net.server import Server
    from ..telemetry.insight_messages import InsightEvent
    from .basis import Basis
    from .browser import Browser
    from .shelf import Shelf

ORPHAN_DRAIN = 0.8
SHUTDOWN_LIMIT = 5.0
ADDRESSES_LIMIT = 10.0
SWITCHED = 0.05  # seconds after which a switch is over
FIRST_PAGE = 0.3  # seconds in which a zygote does not take processor time from the first page


class Worker:
    """The life of a worker on its control socket `sock`. `run()` returns the exit code."""

    def __init__(self, sock: socket.socket, shelf: "Optional[Shelf]" = None) -> None:
        self._link = SupervisorLink(sock)
        self._shelf = shelf
        self._listening = ListeningSockets()
        self._errors = ErrorReports(self._link)
        self._basis: Optional[Basis] = None  # known where code is reloaded
        self._insight: Optional[Insight] = None
        self._more_listeners: Optional[asyncio.Future[None]] = None
        self._drain_task: Optional[asyncio.Task[None]] = None
        self._serve_task: Optional[asyncio.Task[None]] = None
        self._reported_memory = False
        self._ready = False
        self._parts: Dict[str, float] = {}

    # -- the start -------------------------------------------------------------------

    def run(self) -> int:
        try:
            start, fds = self._link.receive()
        except (OSError, ValueError, EOFError):
            # The supervisor changed its mind, or is gone. Nothing of the application is here yet:
            # taking down what was imported ahead would be in vain.
            os._exit(0)
        self._start = start
        self._link.gen = start.get("gen", 0)
        begun = time.monotonic()
        self._parts["fork"] = (begun - start.get("asked", begun)) * 1000
        self._stats = StatsPipe(fds.pop(0))
        if start.get("capture"):
            redirect((fds.pop(0), fds.pop(0)))
        self._listening.add(start, fds)
        line_buffered()
        self._watchdog = Watchdog(self._on_blocked, self._on_unblocked, self._link.fileno(),
                                  self._on_slow_start)
        self._watchdog.start()
        if start.get("debug") and not os.isatty(0):
            from .debugger import Debugger
            Debugger(start["debug"], self._log_debugger, self._watchdog.rest,
                     self._watchdog.beat).install()
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            # Ctrl+C reaches the whole foreground group; the supervisor decides what it means.
            # A handler rather than SIG_IGN, which the application's children would inherit.
            signal.signal(signal.SIGINT, lambda *_: None)
        try:
            if start.get("home") and "fallback" not in start["app"]:
                enter_home(start["home"])
            importlib.invalidate_caches()
            settings = Settings(**start.get("settings", {}))
            self._set_up_logging(settings)
            load_variables(start, settings)
            self._loop = new_loop(settings.loop)
            loaded = self._load(settings)
            self._loop = new_loop(settings.loop, self._loop)
            return self._loop.run_until_complete(self._live(loaded))
        except BaseException as exc:
            return self._ended_by(exc)

    def _ended_by(self, exc: BaseException) -> int:
        """The application raised what ends a process: report it; the exit code."""
        if not self._ready:
            self._fail(exc, "startup" if self._link.attached else "import")
        elif signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            self._errors.on_end(exc, "task")
        self._link.flush()
        if self._ready and isinstance(exc, SystemExit):
            raise exc
        return 1

    def _set_up_logging(self, settings: Settings) -> None:
        capture = bool(self._start.get("capture"))
        self._records = Records(self._link.gen, self._link.send_log if capture else None)
        set_up_logging(settings, Deferred(self._records), not capture)
        self._records.install()

    def _load(self, settings: Settings) -> Loaded:
        start = self._start
        if start.get("reload"):
            from .basis import Basis  # in development alone
            self._basis = Basis(self._link, start, settings, self._shelf)
        if start.get("dev") and "fallback" not in start["app"]:
            self._insight = self._make_insight()
            self._errors.use(self._insight)
        began = time.monotonic()
        loaded = load_application(start, settings,
                                  None if self._basis is None else self._basis.imports)
        if start.get("dev"):
            from .frameworks import check
            check(start, lambda text: self._link.log("warning", text, CHECKS))
        if self._basis is not None:
            self._basis.imported()
        self._parts["import"] = (time.monotonic() - began) * 1000
        return loaded

    def _make_insight(self) -> "Insight":
        """In development: see what happens within requests, from the first import on."""
        from ..insight.insight import Insight

        insight = Insight(logging.getLogger("tremolo"), self._records,
                          is_project=is_project)
        insight.on_facts = self._on_facts
        insight.needed = bool(self._start.get("settings", {}).get("proxy"))
        insight.hold_mail(bool(self._start.get("hold_mail")))
        insight.watch(int(self._start.get("detail", 0)))
        return insight

    def _fail(self, exc: BaseException, where: str) -> None:
        if self._basis is not None:
            self._basis.report_files()
        self._errors.on_failure(exc, where)

    # -- with a loop -----------------------------------------------------------------

    async def _live(self, loaded: Loaded) -> int:
        loop = self._loop
        self._done: asyncio.Future[int] = loop.create_future()
        loop.set_exception_handler(self._errors.on_loop_error)
        began = time.monotonic()
        try:
            self._listening.make_contexts(loaded.settings)
            self._server = self._make_server(loaded)
            # Only now, so that whatever comes finds a server.
            loop.add_signal_handler(signal.SIGTERM, self._on_terminate)
            self._link.attach(loop, self._on_message, self._on_close)
            await self._extra_addresses(loaded)
            await self._startup(began)
        except BaseException as exc:
            self._fail(exc, "startup")
            self._link.flush()
            return 1
        code = await self._done
        self._leaving.phase = "exit"
        self._watchdog.rest()
        self._link.flush()
        return code

    def _make_server(self, loaded: Loaded) -> "Server":
        from ..net.server import Server

        settings, loop = loaded.settings, self._loop
        browser = make_browser(self._start, settings)
        if browser is not None:
            from .console import Console  # in development alone
            browser.console = Console(loop.time, self._link.send_log)
        self._adapter = guarded(self._proxied(make_adapter(loaded), loaded, browser), settings,
                                browser)
        server = Server(self._adapter, settings, loop=loop,
                        logger=logging.getLogger("tremolo"))
        server.new_exchange = exchange_kind(settings, browser)
        server.on_error = self._errors.on_error
        if self._insight is not None:
            self._insight.serve(server, root_path=settings.root_path.rstrip("/"))
        self._limit_memory = settings.limit_memory * 1024
        self._max_requests = settings.max_requests
        self._sampler = Sampler(
            server, self._stats.send, loop, gen=self._link.gen, slot=self._start.get("slot", 0),
            on_tick=self._on_tick, on_memory=self._on_memory, insight=self._insight)
        self._sampler.set_detail(int(self._start.get("detail", 0)))
        self._commands = Commands(
            server, self._sampler, self._serve, self._drain, browser, loaded.application,
            (lambda paths: []) if self._basis is None else self._basis.stale, self._link.notify,
            (lambda hold: None) if self._insight is None else self._insight.hold_mail)
        for scope, throttle in self._start.get("throttle", {}).items():
            self._commands.obey(builders.command(0, "throttle", {
                "scope": scope, "throttle": throttle}))
        return server

    def _proxied(self, adapter: Adapter, loaded: Loaded,
                 browser: "Optional[Browser]") -> Adapter:
        """The application's adapter behind those paths that other servers answer."""
        if not (self._start.get("dev") and loaded.settings.proxy):
            return adapter
        from .proxy import ProxyAdapter, proxied

        found = proxied(adapter, loaded.settings, loaded.kind, loaded.application,
                        logging.getLogger("tremolo"))
        if browser is not None and isinstance(found, ProxyAdapter):
            browser.is_elsewhere = found.serves
        return found

    async def _extra_addresses(self, loaded: Loaded) -> None:
        """Have what the application wants to listen on bound by the supervisor."""
        wanted = [[host, port, options] for host, port, options in loaded.addresses]
        if wanted:
            self._more_listeners = self._loop.create_future()
            self._link.life("addresses", addresses=wanted)
            await asyncio.wait_for(self._more_listeners, ADDRESSES_LIMIT)
            self._listening.make_contexts(loaded.settings)

    async def _startup(self, began: float) -> None:
        await self._adapter.startup()
        self._parts["lifespan"] = (time.monotonic() - began) * 1000
        slowest: List[List[Any]] = []
        if self._basis is not None:
            self._basis.started()
            slowest = self._basis.imports.slowest()
        self._ready = True
        self._watchdog.started()
        self._link.life("ready", parts={k: round(v, 2) for k, v in self._parts.items()},
                        slowest=slowest)
        self._sampler.start()
        self._watchdog.beat()

    # -- what the supervisor asks for ------------------------------------------------

    def _on_message(self, message: Dict[str, Any], fds: List[int]) -> None:
        kind = message["kind"]
        if kind == "command":
            self._link.send(self._commands.obey(message))
        elif kind == "adopt" and self._drain_task is None:
            while fds:
                self._server.adopt(socket.socket(fileno=fds.pop(0)))
        elif kind == "lend" and self._serve_task is not None and self._drain_task is None:
            self._listening.borrow(self._server, message["slot"], message["listeners"], fds)
        elif kind == "return":
            self._listening.give_back(self._server, message["slot"])
        elif kind == "listeners":
            self._on_listeners(message, fds)
        for fd in fds:
            os.close(fd)

    def _on_listeners(self, message: Mapping[str, Any], fds: List[int]) -> None:
        self._listening.add(message, fds)
        if self._serve_task is not None:
            self._listening.make_contexts(self._server.settings)
            self._more_task = self._loop.create_task(self._listening.accept(self._server))
        elif self._more_listeners is not None and not self._more_listeners.done():
            if message.get("error"):
                self._more_listeners.set_exception(ConfigurationError(message["error"]))
            else:
                self._more_listeners.set_result(None)

    def _on_close(self, reason: str) -> None:
        """The supervisor is gone: finish what can be finished soon, and end."""
        self._stats.broken = True
        self._loop.call_later(2 * ORPHAN_DRAIN, os._exit, 1)
        self._drain(ORPHAN_DRAIN, False)

    def _on_terminate(self) -> None:
        self._drain(self._server.settings.shutdown_timeout, False)

    def _serve(self) -> None:
        if self._serve_task is None and self._drain_task is None:
            self._serve_task = self._loop.create_task(self._start_serving())

    async def _start_serving(self) -> None:
        await self._listening.accept(self._server)
        self._link.life("serving")
        if self._basis is not None:
            self._basis.serve(self._server)
            self._loop.call_later(SWITCHED, self._basis.report_packages)
            self._loop.call_later(FIRST_PAGE if self._link.gen == 1 else SWITCHED,
                                  self._basis.report_modules)
        if self._start.get("dev"):
            from .frameworks import advise
            advise(self._start, lambda text: self._loop.call_soon_threadsafe(
                self._link.log, "warning", text, ADVICE))

    def _drain(self, timeout: float, hand_over: bool) -> None:
        if self._drain_task is None:
            self._drain_task = self._loop.create_task(self._leave(timeout, hand_over))
        elif timeout <= 0:
            for connection in list(self._server.connections.values()):
                connection.abort()

    async def _leave(self, timeout: float, hand_over: bool) -> None:
        self._leaving = Leaving(self._server, self._on_waits, self._watchdog.stands)
        self._leaving.start()
        if self._serve_task is None:
            self._listening.close()
        try:
            self._server.leave(timeout, self._hand_over if hand_over else None)
            self._link.life("draining")  # only now: whoever hears it counts on new code alone
            await self._server.drain(timeout)
            self._leaving.phase = "shutdown"
            await asyncio.wait_for(self._adapter.shutdown(), max(timeout, SHUTDOWN_LIMIT))
        except asyncio.TimeoutError:
            self._link.log("warning", "shutdown took more than "
                           f"{max(timeout, SHUTDOWN_LIMIT):g} s and was left")
        except Exception as exc:
            self._errors.on_end(exc, "shutdown")
        self._sampler.stop()
        self._link.send(self._sampler.final())
        if self._insight is not None:
            self._insight.last()
        self._link.life("drained")
        if not self._done.done():
            self._done.set_result(0)

    def _hand_over(self, fd: int) -> None:
        self._link.send(builders.handover(), (fd,))
        os.close(fd)

    # -- what it reports -------------------------------------------------------------

    def _on_tick(self) -> None:
        self._watchdog.beat()
        self._errors.tell_counted()
        self._link.send_backlog()
        if self._basis is not None:
            self._basis.tick()
        if 0 < self._max_requests <= self._server.counters.requests:
            self._max_requests = 0
            self._link.life("requests", count=self._server.counters.requests)

    def _on_memory(self, resident: int) -> None:
        if 0 < self._limit_memory < resident and not self._reported_memory:
            self._reported_memory = True
            self._link.life("memory", resident=resident)

    def _on_waits(self, reasons: List[str]) -> None:
        self._link.life("waits", reasons=reasons)

    def _on_blocked(self, seconds: float, place: str, stack: str) -> None:
        self._link.life("blocked", seconds=round(seconds, 3), place=place, stack=stack)

    def _on_slow_start(self, seconds: float, place: str) -> None:
        self._link.log("warning", f"gen {self._link.gen} has not started after {seconds:.0f} s: "
                                  f"{place or 'its startup waits'}", SLOW_START)

    def _on_unblocked(self, seconds: float) -> None:
        self._link.life("unblocked")

    def _on_facts(self, facts: "InsightEvent") -> None:
        """What is known from within a request; lost where the supervisor does not read."""
        if self._link.attached and not self._link.congested:
            self._link.send(builders.insight_event(os.getpid(), self._link.gen, facts))

    def _log_debugger(self, text: str, waits: bool) -> None:
        event = builders.log_event(clean(text, 1024), "warning", "tremolo.debugger",
                                   pid=os.getpid(), gen=self._link.gen)
        event["waits"] = waits
        self._link.send_log(event)


def main(control_fd: int) -> None:
    """Entry of a worker in an interpreter of its own."""
    sys.exit(Worker(socket.socket(fileno=control_fd)).run())
