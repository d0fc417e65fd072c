"""The connections of one worker: accepting, the live set, counters, draining.

Knows the adapter that answers and the settings in force; nothing of processes.
"""

import asyncio
import contextvars
import logging
import os
import socket
import ssl
import time
from functools import partial
from typing import Callable, Dict, List, Optional, Sequence, Set

from ..config import Settings
from ..protocol.dates import format_http_date
from ..protocol.http1 import HeaderCache, ProtocolError, RequestHead
from ..throttle import Throttle
from . import runtime
from .acceptor import Acceptor, made_ready
from .adapter import Adapter
from .connection import READ_AHEAD, HTTPConnection
from .counters import Counters
from .exchange import Exchange
from .message_log import MessageLog
from .recent import Recent
from .stream import look_for_hangups, peer_text
from .throttling.table import ThrottleTable
from .throttling.throttler import Throttler
from .ticker import Ticker

#: seconds that an accepted connection has to send its request while the server stops
UNSPOKEN_GRACE = 1.0
WRITE_STALL = 30.0
WIDE_READ = 256 * 1024
HANDSHAKE_TIMEOUT = 10.0

ErrorHook = Callable[[Exchange, BaseException], None]
HandOver = Callable[[int], None]


class Server:
    """Serves connections with `adapter` under `settings`.

    Call `start` with listening sockets once the adapter is ready, `drain` to end.
    """

    def __init__(self, adapter: Adapter, settings: Settings, *,
                 loop: Optional[asyncio.AbstractEventLoop] = None,
                 logger: Optional[logging.Logger] = None) -> None:
        self.adapter = adapter
        self.settings = settings
        self.loop = loop or asyncio.get_event_loop()
        self.logger = logger or logging.getLogger("tremolo")
        #: the loop's clock, or the one behind it: uvloop's own stands still for a millisecond
        self.clock = runtime.clock_of(self.loop)
        self.copies_writes = runtime.copies_writes(self.loop)
        self.counters = Counters()
        #: open connections by id
        self.connections: Dict[int, HTTPConnection] = {}
        #: tasks of handlers; asyncio itself holds them only weakly
        self.tasks: Set[asyncio.Task[None]] = set()
        #: connections that do not read at present, by id
        self.paused: Dict[int, HTTPConnection] = {}
        #: exchanges that ended, while somebody wants to see them
        self.recent: Optional[Recent] = None
        #: called within the task of each exchange that viewers are shown, before its handler; and
        #: whether of all others, too; else whether those are named in `handling.unobserved`, for
        #: what runs beside their handlers' tasks
        self.look: Optional[Callable[[Exchange], None]] = None
        self.looks_at_each = self.names_others = False
        #: messages of streams, for viewers that want to see them; None where there is none
        self.message_log: Optional[MessageLog] = None
        self.on_error: Optional[ErrorHook] = None
        #: makes the exchange of a request; another kind of it may see what applications send
        self.new_exchange: Callable[[HTTPConnection, RequestHead], Exchange] = Exchange
        self.limits = runtime.limits_of(settings, adapter.body_limit)
        self.header_cache = HeaderCache()
        #: where everything is read to; WebSockets may read more at once, for long messages
        self.wide_view = memoryview(bytearray(WIDE_READ))
        self.read_view = self.wide_view[:READ_AHEAD]
        self.write_timeout = WRITE_STALL
        self.keep_alive = settings.keepalive_timeout > 0
        #: accepting rests, for there is no room
        self.full = False
        self.draining = False
        #: other code takes over: WebSockets close with 1012 (come back) rather than 1001
        self.restarting = False
        #: seconds that those have who must answer or be answered before the server stops
        self.drain_grace = 0.0
        #: `date` line of each response, and with it `server`
        self.date_line = self.preface = b""
        self.ticker = Ticker(self.loop, self.connections, self._on_turn)  # type: ignore[arg-type]
        self.throttle = ThrottleTable(download_rate=settings.download_rate,
                                      upload_rate=settings.upload_rate)
        self.throttler = Throttler(self)
        self.max_connections = runtime.connection_limit(settings.max_connections)
        self.create_task = runtime.task_maker(self.loop)
        self._context = contextvars.copy_context()
        self._acceptors: List[Acceptor] = []
        self._setups: Set[asyncio.Task[None]] = set()
        self._last_id = 0
        self._second = 0
        self._swept = 0.0
        self._hand_over: Optional[HandOver] = None
        self._quiet: Optional[asyncio.Future[None]] = None
        self._refusal_logged = float("-inf")
        self._server_line = runtime.server_line(settings)
        self._on_turn(0.0)

    # -- accepting -----------------------------------------------------------------------------

    async def start(self, sockets: Sequence[socket.socket],
                    ssl_context: Optional[ssl.SSLContext] = None) -> None:
        """Accept from `sockets`, which listen already. They are closed by `stop_accepting`."""
        for sock in sockets:
            self.listen(sock, ssl_context)

    def listen(self, sock: socket.socket, ssl_context: Optional[ssl.SSLContext]) -> Acceptor:
        """Accept from one socket, until `stop_listening` or `stop_accepting`."""
        acceptor = Acceptor(self.loop, sock, partial(self._set_up, ssl_context=ssl_context),
                            self._room, self.logger)
        self._acceptors.append(acceptor)
        acceptor.start()
        return acceptor

    def stop_listening(self, acceptor: Acceptor) -> None:
        """Close one of the listening sockets (this process's copy)."""
        acceptor.close()
        self._acceptors.remove(acceptor)

    def stop_accepting(self) -> None:
        """Close the listening sockets (this process's copies)."""
        for acceptor in self._acceptors:
            acceptor.close()

    def adopt(self, sock: socket.socket) -> None:
        """Serve a connected plain socket that another worker handed over."""
        self._set_up(sock)

    def _set_up(self, sock: socket.socket, ssl_context: Optional[ssl.SSLContext] = None) -> None:
        """Give a connected socket a protocol. Those on the way are known, for draining."""
        if not made_ready(sock):
            sock.close()
            return
        task = self.loop.create_task(self._connect(sock, ssl_context))
        self._setups.add(task)
        task.add_done_callback(self._set_up_done)
        if len(self.connections) + len(self._setups) > self.max_connections:
            # Idle connections go first, the one that has been idle longest before others.
            idle = self._expendable()
            if idle:
                min(idle, key=lambda c: c.deadline).close()

    def _set_up_done(self, task: "asyncio.Task[None]") -> None:
        self._setups.discard(task)
        self._check_quiet()

    async def _connect(self, sock: socket.socket, context: Optional[ssl.SSLContext]) -> None:
        if context is not None:
            from .tls import speaks_tls  # deferred, as below: most servers speak plain HTTP

            if not await speaks_tls(
                    self.loop, sock, HANDSHAKE_TIMEOUT, redirect=self.settings.https):
                sock.close()
                return
        try:
            await self.loop.connect_accepted_socket(
                self._new_connection, sock, ssl=context,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT if context else None)
        except (OSError, asyncio.TimeoutError) as exc:
            self.logger.debug("a connection ended before it was set up: %s", exc)
            sock.close()

    def _new_connection(self) -> HTTPConnection:
        return HTTPConnection(self)

    def next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def _room(self) -> int:
        """How many more connections there is room for, perhaps in place of an idle one."""
        room = self.max_connections - len(self.connections) - len(self._setups)
        if room <= 0 and self._expendable():
            return 1
        self.full = room <= 0
        return room

    @property
    def silent(self) -> int:
        """How many clients have connected and asked for nothing yet, not even for TLS."""
        return len(self._setups) + sum(
            not connection.requests for connection in self.connections.values())

    def _expendable(self) -> List[HTTPConnection]:
        """Idle connections. A new one has a moment to send its request."""
        newest = self.loop.time() - UNSPOKEN_GRACE
        return [c for c in self.connections.values()
                if c.idle and (c.requests or c.opened < newest)]

    def accept_again(self) -> None:
        """A connection ended or became idle: those that wait may have its room."""
        self.full = False
        for acceptor in self._acceptors:
            self.outside(acceptor.start)

    # -- the live set --------------------------------------------------------------------------

    def add(self, connection: HTTPConnection) -> None:
        self.counters.connections += 1
        self.connections[connection.id] = connection
        self.ticker.wake()
        self.throttler.admit(connection)
        self.adapter.connection_made(connection)
        if self.draining:
            self.loop.call_soon(self.release, connection)

    def remove(self, connection: HTTPConnection) -> None:
        self.connections.pop(connection.id, None)
        self.paused.pop(connection.id, None)
        self.throttler.forget(connection)
        if self.draining:
            self._check_quiet()
        elif self.full:
            self.accept_again()

    def call_soon(self, callback: Callable[[], None]) -> None:
        """As the loop's, but outside the context variables of whoever calls."""
        self.loop.call_soon(callback, context=self._context)

    def outside(self, callback: Callable[[], None]) -> None:
        """Call now, outside the context variables of whoever calls: what asyncio calls back
        later it calls in the context in which it was asked to."""
        self._context.copy().run(callback)

    def _on_turn(self, now: float) -> bool:
        """A few times a second; whether there is something to watch beside connections."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            self.date_line = b"date: " + format_http_date(second) + b"\r\n"
            self.preface = self.date_line + self._server_line
        if now - self._swept >= 1.0:
            self._swept = now
            self.throttle.sweep(now)
        if self.paused:
            look_for_hangups(self.paused.values())
        encrypted = self.draining and [c for c in self.connections.values() if c.is_tls]
        if encrypted:
            from .tls import end_silent

            end_silent(encrypted)
        if self.full:
            self.accept_again()
        if len(self.connections) > self.settings.keepalive_connections:
            self._close_surplus()
        return self.throttle.clients > 0

    def _close_surplus(self) -> None:
        idle = [c for c in self.connections.values() if c.idle and c.requests]
        surplus = len(idle) - self.settings.keepalive_connections
        if surplus > 0:
            for connection in sorted(idle, key=lambda c: c.deadline)[:surplus]:
                connection.close()

    def remember(self, wanted: bool) -> None:
        """Keep (or no longer keep) exchanges that ended in `recent`: as few as that says, for
        each that lives on costs a request 4 %, since the collector has to look at it."""
        if not wanted:
            self.recent = None
        elif self.recent is None:
            self.recent = Recent()

    def cut(self, connection_id: int) -> bool:
        """Reset a connection; False if it is gone already."""
        connection = self.connections.get(connection_id)
        if connection is None:
            return False
        connection.reset()
        return True

    def set_throttle(self, scope: str, throttle: Optional[Throttle]) -> None:
        """Put a throttle in force for a scope, or take it away; running transfers follow."""
        self.throttler.set(scope, throttle)

    # -- errors and refusals -------------------------------------------------------------------

    def report(self, exchange: Exchange, exc: BaseException) -> None:
        """The application raised `exc`."""
        self.counters.errors += 1
        exchange.error = exc
        if self.on_error is not None:
            self.on_error(exchange, exc)
            return
        head = exchange.head
        self.logger.error("%s %s: %s: %s", head.method.decode("latin-1"),
                          ascii(head.target.decode("latin-1"))[1:-1], type(exc).__name__, exc,
                          exc_info=exc)

    def refused(self, connection: HTTPConnection, exc: ProtocolError) -> None:
        """A request was refused; logged at most once a second, so that nobody can flood a log."""
        now = self.loop.time()
        if now - self._refusal_logged >= 1.0:
            self._refusal_logged = now
            self.logger.info("refused a request from %s: %d %s",
                             peer_text(connection.peer), exc.status, exc.reason)

    # -- draining ------------------------------------------------------------------------------

    def leave(self, timeout: float, hand_over: Optional[HandOver] = None) -> None:
        """Answer no new request from now on, neither on new connections nor on idle ones;
        arguments as for `drain`, which waits for what still runs."""
        self.stop_accepting()
        self.draining = True
        self.restarting = hand_over is not None
        self._hand_over = hand_over
        self.drain_grace = min(UNSPOKEN_GRACE, timeout / 2)
        if hand_over is None:
            self.keep_alive = False
        for connection in tuple(self.connections.values()):
            exchange = connection.current
            if exchange is not None and exchange.on_drain is not None:
                exchange.on_drain()
            if connection.upgraded is not None:
                connection.upgraded.drain()
            elif connection.current is not None and hand_over is None:
                connection.current.response.end_connection()
            else:
                self.release(connection)
        for task in tuple(self._setups):
            self.loop.call_later(UNSPOKEN_GRACE, task.cancel)

    async def drain(self, timeout: float, hand_over: Optional[HandOver] = None) -> None:
        """Stop accepting, let what runs finish, end the rest after `timeout` seconds.

        `hand_over(fd)` is given a duplicate of the descriptor of each idle connection without
        TLS (to be closed by the callee), for another worker; without it they are closed.
        """
        if not self.draining:
            self.leave(timeout, hand_over)
        self._quiet = self.loop.create_future()
        self._check_quiet()
        await asyncio.wait([self._quiet], timeout=timeout)
        end = self.loop.time() + 1.0
        for task in (*self.tasks, *self._setups):
            task.cancel()
        for connection in tuple(self.connections.values()):
            if not connection.unanswered:  # those get an answer when their tasks end
                connection.reset()
        if self.tasks or self._setups:
            await asyncio.wait((*self.tasks, *self._setups), timeout=1.0)
        while self.connections and self.loop.time() < end:
            await asyncio.sleep(0.001)  # their ends are on the way
        for connection in tuple(self.connections.values()):
            connection.reset()
        await asyncio.sleep(0)
        self.ticker.stop()

    @property
    def websocket_close_code(self) -> int:
        """The code for WebSockets that the server ends: 1012 where other code takes over."""
        return 1012 if self.restarting else 1001

    def _check_quiet(self) -> None:
        if self._quiet is None or self._quiet.done():
            return
        if self.connections or self._setups:
            return
        if self.tasks:
            self.loop.call_later(0.01, self._check_quiet)
        else:
            self._quiet.set_result(None)

    def release(self, connection: HTTPConnection) -> None:
        """Let go of an idle connection while draining."""
        if connection.ending is not None:
            connection.ending.hurry(self.loop.time())
        if not connection.idle or connection.lost:
            return
        sock = connection.socket
        if self._hand_over is not None and sock is not None and not connection.is_tls \
                and not connection.transport.get_write_buffer_size():
            # The duplicate keeps the connection open; what the client is just sending waits in
            # the kernel for the one who adopts it.
            try:
                descriptor = os.dup(sock.fileno())
            except OSError as exc:  # out of descriptors
                self.logger.error("cannot hand a connection over: %s", exc.strerror)
                connection.close()
                return
            connection.abort()
            self._hand_over(descriptor)
        elif connection.requests:
            connection.close()
        else:
            # accepted, but has not spoken yet: its request may be on the way
            self.keep_alive = False
            connection.deadline = min(connection.deadline, self.loop.time() + UNSPOKEN_GRACE)
