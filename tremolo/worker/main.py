"""One worker process: told what to serve, it imports, starts, serves, drains and ends.

Everything that it is told comes over one socket whose other end only the supervisor holds;
the end of that socket means that the supervisor is gone. Everything that it tells goes back
over it, but for frames, which go into a lossy pipe.
"""

import asyncio
import importlib
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections import deque
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any, Deque, Dict, List, Mapping, Optional, Tuple

from ..config import Settings
from ..exceptions import ConfigurationError
from ..telemetry import builders
from ..telemetry.backlog import Backlog
from ..telemetry.channel import Channel, MessageReader, receive
from ..telemetry.codec import encode_cut
from ..telemetry.messages import CHECKS
from ..telemetry.sanitize import clean
from .application import Loaded, load_application, make_adapter
from .commands import Commands
from .console import Console
from .debugger import Debugger
from .failures import describe, exited
from .frameworks import advise, check
from .guard import exchange_kind, guarded, make_browser
from .held import held
from .imports import ProjectImports, installed_modules, is_installed
from .leaving import Leaving
from .lent import LentSockets
from .loops import new_loop
from .output import line_buffered, redirect, set_up_logging
from .reads import ReadFiles, requests_of
from .sampler import Sampler
from .stats_pipe import StatsPipe
from .streams import Deferred, Records
from .watchdog import Watchdog

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .ahead import Ahead
    from .shelf import Shelf, Stale

ORPHAN_DRAIN = 0.8
SHUTDOWN_LIMIT = 5.0
MAX_LOG_PENDING = 1 << 20
NAMES_A_MESSAGE = 400
READS_EVERY = 5  # tenths of a second: files that were read are compared with the disk
ERRORS_A_SECOND = 100


class Worker:
    """The life of a worker on its control socket `sock`. `run()` returns the exit code."""

    def __init__(self, sock: socket.socket, shelf: "Optional[Shelf]" = None) -> None:
        self._sock = sock
        self._shelf = shelf
        self._ahead: Optional[Ahead] = None
        self._reader = MessageReader()
        self._waiting: Deque[Tuple[Dict[str, Any], List[int]]] = deque()
        self._channel: Optional[Channel] = None
        self._logs: Backlog[Mapping[str, Any]] = Backlog()
        self._imports: Optional[ProjectImports] = None
        self._listeners: List[Tuple[Dict[str, Any], socket.socket]] = []
        self._more_listeners: Optional[asyncio.Future[None]] = None
        self._drain_task: Optional[asyncio.Task[None]] = None
        self._serve_task: Optional[asyncio.Task[None]] = None
        self._told_memory = False
        self._ready = False
        self._ticks = 0
        self._reads = ReadFiles(lambda path: self._life("own", paths=[path]))
        self._errors: Deque[float] = deque(maxlen=ERRORS_A_SECOND)
        self._errors_left_out = 0
        self._insight: Any = None
        self._sending = threading.RLock()
        self._pid = os.getpid()
        self._parts: Dict[str, float] = {}

    # -- the start -------------------------------------------------------------------

    def run(self) -> int:
        try:
            start, fds = self._next_message()
        except (OSError, ValueError, EOFError):
            return 0  # the supervisor changed its mind, or is gone
        self._gen: int = start.get("gen", 0)
        self._slot: int = start.get("slot", 0)
        self._start = start
        begun = time.monotonic()
        self._parts["fork"] = (begun - start.get("asked", begun)) * 1000
        self._stats = StatsPipe(fds.pop(0))
        if start.get("capture"):
            redirect((fds.pop(0), fds.pop(0)))
        self._add_listeners(start, fds)
        line_buffered()
        self._watchdog = Watchdog(self._blocked, self._unblocked, self._sock.fileno())
        self._watchdog.start()
        if start.get("debug") and not os.isatty(0):
            Debugger(start["debug"], self._say, self._watchdog.rest,
                     self._watchdog.beat).install()
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            # Ctrl+C reaches the whole foreground group; the supervisor says what to do.
            # A handler rather than SIG_IGN, which the application's children would inherit.
            signal.signal(signal.SIGINT, lambda *_: None)
        try:
            if start.get("home") and "fallback" not in start["app"]:
                os.chdir(start["home"])  # the folder of that name now, not that of the zygote
            importlib.invalidate_caches()
            settings = Settings(**start.get("settings", {}))
            self._set_up_logging(settings)
            _load_environment(start, settings)
            self._loop = new_loop(settings.loop)
            loaded = self._load(settings)
            self._loop = new_loop(settings.loop, self._loop)
            return self._loop.run_until_complete(self._live(loaded))
        except BaseException as exc:
            return self._ended_by(exc)

    def _ended_by(self, exc: BaseException) -> int:
        """The application raised what ends a process: tell it; the exit code."""
        if not self._ready:
            self._fail(exc, "import" if self._channel is None else "startup")
        elif signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            self._send(describe(exited(exc), "task", self._gen))
        if self._channel is not None:
            self._channel.flush(1.0)
        if self._ready and isinstance(exc, SystemExit):
            raise exc
        return 1

    def _next_message(self) -> Tuple[Dict[str, Any], List[int]]:
        """The next message, before there is a loop."""
        self._sock.setblocking(True)
        while not self._waiting:
            data, fds = receive(self._sock)
            if not data:
                raise EOFError
            self._waiting.extend(self._reader.feed(data, fds))
        return self._waiting.popleft()

    def _send(self, message: Mapping[str, Any]) -> None:
        with self._sending:
            if self._channel is None:
                try:
                    self._sock.sendall(encode_cut(message))
                except OSError:
                    return  # the supervisor is gone; the loop will see it
                return
        self._channel.send(message)

    def _notify(self, event: Mapping[str, Any]) -> None:
        """An event for viewers."""
        self._send({**event, "pid": os.getpid(), "gen": self._gen})

    def _set_up_logging(self, settings: Settings) -> None:
        capture = bool(self._start.get("capture"))
        self._records = Records(self._gen, self._send_log if capture else None)
        set_up_logging(settings, Deferred(self._records), not capture)
        self._records.install()

    def _send_log(self, message: Mapping[str, Any]) -> None:
        if self._channel is None or not (
                self._logs or self._channel.pending > MAX_LOG_PENDING):
            self._send(message)
        else:
            self._logs.add(message)

    def _send_waiting_logs(self) -> None:
        """Once the supervisor reads again: the newest lines, after the number of the others."""
        if not self._logs or self._channel is None or self._channel.pending:
            return
        left_out, messages = self._logs.take()
        if left_out:
            self._send(builders.left_out_event(left_out, os.getpid(), self._gen))
        for message in messages:
            self._send(message)

    def _load(self, settings: Settings) -> Loaded:
        if self._start.get("reload"):
            self._imports = ProjectImports()
            self._imports.on_read = self._tell_files
            self._imports.install()
            counts = settings.reload_include
            self._reads.install(self._imports.importing)
            self._imports.watch_writes(
                lambda path: path.endswith(".py") or any(
                    fnmatch(os.path.basename(path), pattern) or fnmatch(path, pattern)
                    for pattern in counts), self._wrote)
            if "fallback" not in self._start["app"]:
                from .ahead import Ahead  # deferred: nothing is imported ahead without reload

                self._ahead = Ahead(self._start, self._imports, self._shelf, self._give_up,
                                    lambda text: self._log("info", text))
        self._look_into()
        began = time.monotonic()
        loaded = load_application(self._start, settings, self._imports)
        check(self._start, lambda text: self._log("warning", text, CHECKS))
        if self._ahead is not None:
            self._ahead.imported()
        self._parts["import"] = (time.monotonic() - began) * 1000
        return loaded

    def _fail(self, exc: BaseException, where: str) -> None:
        self._tell_files()
        error = describe(exited(exc), where, self._gen, held=held(exc))
        self._life("failed", error=error, configuration=isinstance(exc, ConfigurationError))

    def _give_up(self, stale: "Stale") -> None:
        """What was imported ahead does not hold: another process starts without it."""
        self._life("stale", module=stale.module, reason=stale.reason,
                   lasting=stale.lasting[:NAMES_A_MESSAGE])
        if self._channel is not None:
            self._channel.flush(1.0)
        os._exit(0)

    def _life(self, state: str, **facts: "Unpack[builders.LifeFacts]") -> None:
        self._send(builders.life(state, **facts))

    def _tell_files(self) -> None:
        """Name what the project was read from since the last time."""
        if self._imports is None or os.getpid() != self._pid:
            return  # a forked child must not speak on our socket
        self._imports.report_written()
        files, places = self._imports.take()
        if files:
            self._life("files", files=files)
        for folder, names in places.items():
            found = list(names.items())
            for index in range(0, len(found), NAMES_A_MESSAGE // 4):
                self._life("files", places={
                    folder: dict(found[index:index + NAMES_A_MESSAGE // 4])})

    # -- with a loop -----------------------------------------------------------------

    async def _live(self, loaded: Loaded) -> int:
        from ..net.server import Server

        loop = self._loop
        self._done: asyncio.Future[int] = loop.create_future()
        self._server: Any = None
        with self._sending:
            self._channel = Channel(self._sock, loop, self._on_message, self._on_close,
                                    self._reader)
        loop.add_signal_handler(signal.SIGTERM, self._on_terminate)
        loop.set_exception_handler(self._on_loop_error)
        while self._waiting:
            self._on_message(*self._waiting.popleft())
        settings = loaded.settings
        began = time.monotonic()
        try:
            self._contexts(settings)
            self._browser = browser = make_browser(self._start, settings)
            if browser is not None:
                browser.console = Console(loop.time, self._on_console)
            bare = make_adapter(loaded)
            adapter = guarded(self._proxied(bare, loaded), settings, browser)
            self._server = server = Server(adapter, settings, loop=loop,
                                           logger=logging.getLogger("tremolo"))
            server.new_exchange = exchange_kind(settings, browser)
            server.on_error = self._on_error
            if self._insight is not None:
                self._insight.serve(
                    server, asgi=bare if loaded.kind in ("asgi", "asgi2") else None,
                    root_path=loaded.settings.root_path.rstrip("/"))
            self._adapter = adapter
            self._limit_memory = settings.limit_memory * 1024
            self._max_requests = settings.max_requests
            self._sampler = Sampler(server, self._stats.send, loop, gen=self._gen,
                                    slot=self._slot, on_tick=self._on_tick,
                                    on_memory=self._on_memory,
                                    insight=self._insight)
            self._sampler.set_detail(int(self._start.get("detail", 0)))
            self._lent = LentSockets(server, self._context_of)
            self._commands = Commands(server, self._sampler, self._serve, self._drain,
                                      self._browser, loaded.application,
                                      self._reads.stale, self._notify)
            for scope, throttle in self._start.get("throttle", {}).items():
                self._commands.obey({"name": "throttle", "args": {
                    "scope": scope, "throttle": throttle}})
            await self._extra_addresses(loaded)
            await self._startup(adapter, began)
        except BaseException as exc:
            self._fail(exc, "startup")
            self._channel.flush(1.0)
            return 1
        code = await self._done
        self._leaving.phase = "exit"
        self._watchdog.rest()
        self._channel.flush(1.0)
        return code

    def _look_into(self) -> None:
        """In development: see what happens within requests, from the first import on."""
        if self._start.get("dev") and "fallback" not in self._start["app"]:
            from ..insight.insight import Insight

            self._insight = insight = Insight(
                logging.getLogger("tremolo"), self._records,
                is_project=lambda path: not is_installed(path))
            insight.on_raised = self._on_raised
            insight.on_facts = self._on_facts
            insight.needed = bool(self._start.get("settings", {}).get("proxy"))
            insight.watch(int(self._start.get("detail", 0)))

    def _proxied(self, adapter: Any, loaded: Loaded) -> Any:
        """The application's adapter behind those paths that other servers answer."""
        if not (self._start.get("dev") and loaded.settings.proxy):
            return adapter
        from .proxy import ProxyAdapter, proxied

        found = proxied(adapter, loaded.settings, loaded.kind, loaded.application,
                        logging.getLogger("tremolo"))
        if self._browser is not None and isinstance(found, ProxyAdapter):
            self._browser.is_elsewhere = found.serves
        return found

    async def _startup(self, adapter: Any, began: float) -> None:
        await adapter.startup()
        self._parts["lifespan"] = (time.monotonic() - began) * 1000
        if self._imports is not None:
            self._imports.lookups.note_loaded()
        self._tell_files()
        self._ready = True
        self._life("ready", parts={k: round(v, 2) for k, v in self._parts.items()},
                   slowest=self._imports.slowest() if self._imports else [])
        self._sampler.start()
        self._watchdog.beat()

    async def _extra_addresses(self, loaded: Loaded) -> None:
        """Have what the application wants to listen on bound by the supervisor."""
        wanted = [[host, port, options] for host, port, options in loaded.addresses]
        if wanted:
            self._more_listeners = self._loop.create_future()
            self._life("addresses", addresses=wanted)
            await asyncio.wait_for(self._more_listeners, 10.0)
            self._contexts(loaded.settings)

    def _add_listeners(self, message: Mapping[str, Any], fds: List[int]) -> None:
        for description in message.get("listeners", ()):
            self._listeners.append((description, socket.socket(fileno=fds.pop(0))))

    def _contexts(self, settings: Settings) -> None:
        """Make TLS contexts now, so that a wrong file fails the start and not a handshake."""
        from ..net.tls import server_context

        self._tls: List[Any] = []
        for description, sock in self._listeners:
            options = description.get("options", {})
            # A Unix socket speaks TLS only when asked for it by its own options.
            plain = sock.family == socket.AF_UNIX and not options.get("ssl")
            self._tls.append(None if plain else server_context(settings, options.get("ssl")))

    def _context_of(self, name: str) -> Any:
        """The TLS context of an address that this worker accepts on; None for a plain one."""
        return next((context for (description, _), context in zip(self._listeners, self._tls)
                     if description.get("name") == name), None)

    # -- what the supervisor says ----------------------------------------------------

    def _on_message(self, message: Dict[str, Any], fds: List[int]) -> None:
        kind = message["kind"]
        if kind == "command" and self._server is not None:
            self._send(self._commands.obey(message))
        elif kind == "command":
            if message.get("name") == "drain":  # while it starts: it never served anything
                os._exit(0)
            self._send(builders.refused(message, "the worker is starting"))
        elif kind == "adopt" and self._server is not None and self._drain_task is None:
            while fds:
                self._server.adopt(socket.socket(fileno=fds.pop(0)))
        elif kind == "lend" and self._serve_task is not None and self._drain_task is None:
            self._lent.take(message["slot"], message["listeners"], fds)
        elif kind == "return" and self._server is not None:
            self._lent.give_back(message["slot"])
        elif kind == "listeners":
            known = len(self._listeners)
            self._add_listeners(message, fds)
            if self._serve_task is not None:
                self._more_task = self._loop.create_task(self._serve_more(known))
            elif self._more_listeners is not None and not self._more_listeners.done():
                if message.get("error"):
                    self._more_listeners.set_exception(ConfigurationError(message["error"]))
                else:
                    self._more_listeners.set_result(None)
        for fd in fds:
            os.close(fd)

    def _on_close(self, reason: str) -> None:
        """The supervisor is gone: finish what can be finished soon, and end."""
        self._stats.broken = True
        self._loop.call_later(2 * ORPHAN_DRAIN, os._exit, 1)
        if self._server is None:
            os._exit(1)
        self._drain(ORPHAN_DRAIN, False)

    def _on_terminate(self) -> None:
        if self._server is None:
            os._exit(0)
        self._drain(self._server.settings.shutdown_timeout, False)

    def _serve(self) -> None:
        if self._serve_task is None and self._drain_task is None:
            self._serve_task = self._loop.create_task(self._start_serving())

    async def _start_serving(self) -> None:
        for (_, sock), context in zip(self._listeners, self._tls):
            await self._server.start([sock], ssl_context=context)
        self._life("serving")
        server = self._server
        self._reads.serve(lambda: list(requests_of(server)))
        self._tell_stale(self._reads.all_stale())
        self._loop.call_later(0.05, self._tell_modules)
        advise(self._start, lambda text: self._loop.call_soon_threadsafe(
            self._log, "warning", text))

    async def _serve_more(self, known: int) -> None:
        """Accept also on the sockets that came since there were `known`."""
        self._contexts(self._server.settings)
        for (_, sock), context in list(zip(self._listeners, self._tls))[known:]:
            await self._server.start([sock], ssl_context=context)

    def _tell_modules(self) -> None:
        """Name what a zygote may import ahead; after the switch, for it is in no hurry."""
        if self._ahead is not None and self._channel is not None:
            for message in self._ahead.messages():
                self._life("modules", **message)
            files = installed_modules()[1]
            for index in range(0, len(files), NAMES_A_MESSAGE // 2):
                self._life("packages", files=files[index:index + NAMES_A_MESSAGE // 2])

    def _drain(self, timeout: float, hand_over: bool) -> None:
        if self._drain_task is None:
            self._drain_task = self._loop.create_task(self._leave(timeout, hand_over))
        elif timeout <= 0:
            for connection in list(self._server.connections.values()):
                connection.abort()

    async def _leave(self, timeout: float, hand_over: bool) -> None:
        self._life("draining")
        self._leaving = Leaving(self._server, self._waits, self._watchdog.stands)
        self._leaving.start()
        for _, sock in self._listeners:
            if self._serve_task is None:
                sock.close()
        try:
            await self._server.drain(timeout, hand_over=self._hand_over if hand_over else None)
            self._leaving.phase = "shutdown"
            await asyncio.wait_for(self._adapter.shutdown(), max(timeout, SHUTDOWN_LIMIT))
        except asyncio.TimeoutError:
            self._log("warning", f"shutdown took more than {max(timeout, SHUTDOWN_LIMIT):g} s "
                      "and was left")
        except Exception as exc:
            self._send(describe(exc, "shutdown", self._gen))
        self._sampler.stop()
        self._send(self._sampler.final())
        self._life("drained")
        if not self._done.done():
            self._done.set_result(0)

    def _hand_over(self, fd: int) -> None:
        assert self._channel is not None
        self._channel.send(builders.handover(), (fd,))
        os.close(fd)

    # -- what it says ----------------------------------------------------------------

    def _on_tick(self) -> None:
        self._watchdog.beat()
        if self._errors_left_out and self._loop.time() - self._errors[-1] > 1.0:
            count, self._errors_left_out = self._errors_left_out, 0
            self._log("warning", f"{count:,} exceptions came too fast to be told one by one")
        self._ticks += 1
        if self._ticks % READS_EVERY == 0:
            self._tell_stale(self._reads.all_stale())
        self._send_waiting_logs()
        self._tell_files()
        if 0 < self._max_requests <= self._server.counters.requests:
            self._max_requests = 0
            self._life("requests", count=self._server.counters.requests)

    def _on_memory(self, resident: int) -> None:
        if 0 < self._limit_memory < resident and not self._told_memory:
            self._told_memory = True
            self._life("memory", resident=resident)

    def _waits(self, reasons: List[str]) -> None:
        self._life("waits", reasons=reasons)

    def _tell_stale(self, paths: List[str]) -> None:
        for index in range(0, len(paths), NAMES_A_MESSAGE // 4):
            self._life("outdated", paths=paths[index:index + NAMES_A_MESSAGE // 4])

    def _wrote(self, path: str, digest: Optional[str]) -> None:
        if os.getpid() == self._pid:
            self._life("wrote", path=path, digest=digest, t=time.time())

    def _on_error(self, exchange: Any, exc: BaseException) -> None:
        if self._insight is None or self._insight.is_new(exchange.id, exc):
            head = exchange.head
            self._tell_error(exc, exchange.id, clean(head.method, 16), clean(head.target),
                             exchange.status or 500)

    def _on_raised(self, record: Any, exc: BaseException) -> None:
        """An exception that the application's framework has an answer for. From any thread."""
        self._tell_error(exc, record.id, record.method, record.path, 500)

    def _on_facts(self, facts: Any) -> None:
        """What is known from within a request; lost where the supervisor does not read."""
        if self._channel is not None and self._channel.pending < MAX_LOG_PENDING:
            self._send(builders.insight_event(os.getpid(), self._gen, facts))

    def _tell_error(self, exc: BaseException, id: int, method: str, path: str,
                    status: int) -> None:
        now = self._loop.time()
        errors = self._errors
        if (len(errors) == ERRORS_A_SECOND and now - errors[0] < 1.0) or (
                self._channel is not None and self._channel.pending > MAX_LOG_PENDING):
            self._errors_left_out += 1  # the counters have them; a flood of them helps nobody
            return
        errors.append(now)
        more = {} if self._insight is None else {"chain": self._insight.chain_of(exc)}
        self._send(describe(exc, "request", self._gen, request=id, method=method, path=path,
                            status=status, **more))

    def _on_loop_error(self, loop: asyncio.AbstractEventLoop, context: Dict[str, Any]) -> None:
        exc = context.get("exception")
        if isinstance(exc, Exception):
            self._send(describe(exc, "task", self._gen))
        else:
            self._log("error", clean(str(context.get("message", "")), 1024))

    def _say(self, text: str, waits: bool) -> None:
        event = builders.log_event(clean(text, 1024), "warning", "tremolo.debugger",
                                   pid=os.getpid(), gen=self._gen)
        event["waits"] = waits
        self._send_log(event)

    def _log(self, level: str, text: str, name: str = "tremolo") -> None:
        self._send_log(builders.log_event(text, level, name, pid=os.getpid(), gen=self._gen))

    def _on_console(self, fields: Mapping[str, Any]) -> None:
        """What the console of a browser page says. Its page may be of another worker."""
        event = builders.log_event(fields["text"], fields["level"], "browser", "browser",
                                   pid=fields["pid"], gen=fields["gen"])
        event["request"] = fields["request"]
        event["page"], event["client"] = fields["page"], fields["client"]
        self._send_log(event)

    def _blocked(self, seconds: float, place: str, stack: str) -> None:
        self._life("blocked", seconds=round(seconds, 3), place=place, stack=stack)

    def _unblocked(self, seconds: float) -> None:
        self._life("unblocked")


def _load_environment(start: Mapping[str, Any], settings: Settings) -> None:
    """What files add to the environment, in the order in which the first that says wins."""
    from ..envfile import read_env_files

    for name, value in {**start["app"].get("environ", {}), **read_env_files(
            settings, bool(start.get("dev")), start.get("home", "")).values}.items():
        os.environ.setdefault(name, value)


def main(control_fd: int) -> None:
    """Entry of a worker in an interpreter of its own."""
    sys.exit(Worker(socket.socket(fileno=control_fd)).run())
