"""One HTTP connection: the cycle of its exchanges, its deadlines, its end.

It is in one state of `tremolo.net.states`, which says what the next bytes mean, what happens at
`deadline` and what displays call it. It has a `stream` (its transport), an `outbox` before that,
a parser, and while it answers a request the `current` exchange.

One exchange at a time: what a client sends ahead waits in the parser, at most `READ_AHEAD`
bytes of it (RFC 9112 section 9.3.2).
"""

import asyncio
from typing import TYPE_CHECKING, Any, Callable, Optional

from ..config import Settings
from ..protocol.http1 import (
    END,
    NEED_DATA,
    Limits,
    ProtocolError,
    RequestHead,
    RequestParser,
    ResponseWriter,
)
from .deadlines import ON_DEADLINE
from .exchange import DONE, PLAIN, Exchange
from .handling import handle
from .outbox import Outbox
from .states import (
    CLOSE,
    CLOSED,
    CLOSING,
    DISCARD,
    DISCARDING,
    EXCHANGE,
    FLUSH,
    HEAD,
    HEAD_BEGUN,
    IDLE,
    LINGER,
    LINGERING,
    LOST,
    NEXT,
    REQUEST,
    UPGRADE,
    UPGRADED,
    State,
)
from .stream import Stream
from .throttling.pacer import Pacer
from .ticker import NEVER

if TYPE_CHECKING:
    from .contracts import ConnectionServer, Upgraded

READ_AHEAD = 64 * 1024
#: bytes of a request body that the application left which are worth reading to keep a
#: connection
DISCARD_BYTES = 64 * 1024
#: what is read and thrown away after a last response, so that no reset eats it (RFC 9112
#: section 9.6)
LINGER_BYTES = 64 * 1024
LINGER_SECONDS = 1.0


def server_line(settings: Settings) -> bytes:
    """The header line that names the server; b"" if it has no name."""
    name = settings.server_name.encode("latin-1")
    return b"server: " + name + b"\r\n" if name else b""


class HTTPConnection(asyncio.BufferedProtocol):
    """The protocol object of one transport."""

    __slots__ = ("_bytes_left", "bytes_in", "context", "current", "deadline", "eof",
                 "handler_timeout", "id", "is_tls", "opened", "outbox", "pace_due", "pacer",
                 "parser", "peer", "requests", "server", "server_line", "settings", "socket",
                 "sockname", "state", "stream", "transport", "upgraded")

    #: set by `connection_made`
    stream: Stream
    outbox: Outbox
    transport: Any
    socket: Any
    peer: Any
    sockname: Any
    is_tls: bool
    opened: float

    def __init__(self, server: "ConnectionServer") -> None:
        self.server = server
        self.id = server.next_id()
        self.state: State = IDLE
        self.parser = RequestParser(server.limits, server.header_cache)
        self.current: Optional[Exchange] = None
        self.upgraded: Optional[Upgraded] = None
        #: a slot for the adapter
        self.context: Any = None
        self.requests = 0
        self.bytes_in = 0
        #: the client will send nothing more
        self.eof = False
        #: the instant of the next look at this connection
        self.deadline = NEVER
        #: what throttles it, None while nothing does; and when that may let more pass
        self.pacer: Optional[Pacer] = None
        self.pace_due = 0.0
        #: those of the server, unless the adapter has others for the address
        self.settings = server.settings
        self.handler_timeout = server.adapter.handler_timeout
        #: in place of the server's own
        self.server_line: Optional[bytes] = None
        #: how much more is read only to be thrown away, in the states that do so
        self._bytes_left = 0

    # -- the transport's side ------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stream = self.stream = Stream(self, transport)
        self.transport = transport
        self.outbox = stream.outbox
        self.socket = stream.socket
        self.is_tls = stream.is_tls
        self.peer = transport.get_extra_info("peername")
        self.sockname = transport.get_extra_info("sockname")
        self.opened = self.server.loop.time()
        self.deadline = self.opened + self.settings.request_timeout
        self.server.add(self)

    def adopt_settings(self, settings: Settings, body_limit: Optional[int]) -> None:
        """Serve this connection, from which nothing was read yet, by settings of its own."""
        server = self.server
        self.settings = settings
        self.parser = RequestParser(Limits(
            request_line=settings.client_max_request_line,
            header_section=settings.client_max_header_size,
            fields=settings.client_max_fields, body=body_limit), server.header_cache)
        self.handler_timeout = settings.app_handler_timeout
        if settings.server_name != server.settings.server_name:
            self.server_line = server_line(settings)
        self.deadline = self.opened + settings.request_timeout
        rates = settings.download_rate, settings.upload_rate
        if rates != (server.settings.download_rate, server.settings.upload_rate):
            server.throttler.set_connection_rates(self, *rates)

    def get_buffer(self, sizehint: int) -> memoryview:
        server = self.server
        pacer = self.pacer
        if pacer is not None and pacer.upload.active:
            # Exact upload pacing: the kernel cannot hand over more than fits here.
            if self.stream.reads_blocked and self.is_tls:
                return server.read_view  # delivered though we paused: a debt
            allowed = pacer.upload.allowance(server.loop.time(), READ_AHEAD)
            return server.read_view[:max(1, allowed)]
        state = self.state
        if state is IDLE or state is HEAD:
            return server.read_view
        if state is UPGRADED:
            return server.wide_view
        exchange = self.current
        if exchange is not None and exchange.body is not None and not exchange.head.chunked \
                and exchange.body.waiter is not None:
            # It is taken at once, as it is, for two thirds of what 64 KiB each time cost. Chunks
            # would have to be cut out of it, which costs more than it saves.
            return server.wide_view
        return server.read_view

    def buffer_updated(self, nbytes: int) -> None:
        server = self.server
        self.bytes_in += nbytes
        server.counters.bytes_in += nbytes
        if self.pacer is not None and self.pacer.upload.active:
            server.throttler.charge_upload(self, nbytes)
        state = self.state
        if state is IDLE or state is HEAD:
            self.parser.receive_data(bytes(server.wide_view[:nbytes]))
            self._advance()
        elif state is UPGRADED:
            self.upgraded.data_received(  # type: ignore[union-attr]
                bytes(server.wide_view[:nbytes]))
        elif state.closing:
            self._ignore(nbytes)
        else:
            parser = self.parser
            parser.receive_data(bytes(server.wide_view[:nbytes]))
            body = self.current.body  # type: ignore[union-attr]
            if state is DISCARDING:
                self._discard()
            elif body is not None and body.waiter is not None and not body.waiter.done():
                body.arrived()
            elif parser.buffered >= READ_AHEAD:
                # uvloop reads 32 times in a turn, long before anybody takes it: what waits that
                # long is no longer in the processor's cache.
                self.stream.pause_reading()

    def _ignore(self, nbytes: int) -> None:
        """Something came after the last response."""
        if self.state is LINGERING:
            self._bytes_left -= nbytes
            if self._bytes_left < 0:
                self.close_transport()

    def eof_received(self) -> bool:
        """The client will send nothing more. What it asked for is still answered (a half-closed
        connection), but whoever waits for a disconnect is notified."""
        self.eof = self.stream.over = True
        state = self.state
        if state is CLOSING and self.outbox.size:
            return not self.is_tls  # what is queued still leaves
        if state.closing:
            self.close_transport()
            return False
        if self.upgraded is not None:
            self.upgraded.eof_received()
            return False
        self.parser.receive_eof()
        if self.current is None:
            self._advance()
        elif state is DISCARDING:
            self.end()
        else:
            self.current.half_closed()
        return not self.is_tls and not self.state.closing

    def connection_lost(self, exc: Optional[Exception]) -> None:
        self.state = self.state.after[LOST]
        self.stream.over = True
        self.deadline = NEVER
        if self.current is not None and self.upgraded is None:
            self.current.drop_unsent()
        self.outbox.lost()
        server = self.server
        server.remove(self)
        if self.upgraded is not None:
            self.upgraded.connection_lost()
        elif self.current is not None:
            self.current.lost()
        server.adapter.connection_lost(self)

    def pause_writing(self) -> None:
        self.outbox.full = True

    def resume_writing(self) -> None:
        self.outbox.resume_writing()

    # -- the cycle of exchanges ------------------------------------------------------------

    def _advance(self) -> None:
        """Take up the next request, if its head is there."""
        state = self.state
        if state is not IDLE and state is not HEAD:
            return
        parser = self.parser
        try:
            event = parser.next_event()
        except ProtocolError as exc:
            self.refuse(exc)
            return
        if type(event) is RequestHead:
            self._begin(event)
        elif self.eof:
            self.close()
        elif state is IDLE and parser.in_head:
            self.state = IDLE.after[HEAD_BEGUN]
            if self.requests:
                # The first head's clock runs from the accept, a later one's from its first byte.
                self.deadline = self.server.loop.time() + self.settings.request_timeout

    def _begin(self, head: RequestHead) -> None:
        server = self.server
        self.state = self.state.after[REQUEST]
        self.requests += 1
        exchange = self.current = server.new_exchange(self, head)
        timeout = self.handler_timeout
        self.deadline = exchange.begun + timeout if timeout else NEVER
        if (server.throttle.active or self.pacer is not None) \
                and server.throttler.begin(self, exchange):
            return
        task = exchange.task = server.create_task(handle(exchange, server))
        if not task.done():  # it may have been the matter of one step
            server.tasks.add(task)

    def completed(self, exchange: Exchange) -> None:
        """The response is whole. Once it has been handed over, go on or end."""
        if self.state is not EXCHANGE:  # it is closing already
            exchange.record(DONE)
            return
        outbox = self.outbox
        if outbox.size or outbox.full:
            exchange.ended = 0.0
            self.state = EXCHANGE.after[FLUSH]
            outbox.on_empty = self._handed_over
            self.watch_writes()
            outbox.flush()
        else:
            exchange.record(DONE)
            self._go_on(exchange)

    def _handed_over(self) -> None:
        exchange = self.current
        if exchange is not None:
            exchange.record(DONE)
            if not self.state.closing:
                self._go_on(exchange)

    def _go_on(self, exchange: Exchange) -> None:
        """The response is handed over: on to the next request, or to the end."""
        body = exchange.body
        if body is not None and body.awaited:
            self._bytes_left = DISCARD_BYTES
            self.state = self.state.after[DISCARD]
            self.deadline = self.server.loop.time() + LINGER_SECONDS
            self._discard()
        elif not exchange.writer.keep_alive or (self.eof and not self.parser.buffered):
            faults = exchange.faults
            if faults is not None and faults.slow_close:
                self.server.loop.call_later(faults.slow_close, self.end)
            else:
                self.end()
        else:
            self._next(exchange.ended)

    def _next(self, now: float) -> None:
        """Wait for the next request, which may have come already."""
        self.state = self.state.after[NEXT]
        self.current = None
        server = self.server
        ahead = self.parser.next_cycle()
        if self.stream.paused:
            self.stream.resume_reading()
        if ahead:
            # Not from within the handler's task: the next one must not inherit its context
            # variables.
            server.call_soon(self._advance)
        self.deadline = now + self.settings.keepalive_timeout
        if server.draining:
            server.release(self)
        elif server.full:
            server.accept_again()

    def _discard(self) -> None:
        """Read what the application left of the request's body, up to a limit."""
        exchange = self.current
        body = exchange.body if exchange is not None else None
        if exchange is None or body is None:
            return
        if body.withheld or not exchange.writer.keep_alive:
            self.end()
            return
        try:
            while True:
                event = self.parser.next_event()
                if event is END:
                    body.done = True
                    self._next(self.server.loop.time())
                    return
                if event is NEED_DATA:
                    break
                self._bytes_left -= len(event)  # type: ignore[arg-type]
                if self._bytes_left < 0:
                    self.end()
                    return
        except ProtocolError:
            self.end()
            return
        if self.eof:
            self.end()
        else:
            self.stream.resume_reading()

    def upgrade(self, upgraded: "Upgraded", deadline: float) -> bytes:
        """From now on the connection is `upgraded`'s, which is looked at at `deadline`. Gives
        what came early for it."""
        self.state = self.state.after[UPGRADE]
        self.upgraded = upgraded
        self.deadline = deadline
        return self.parser.take_buffered()

    # -- the end -----------------------------------------------------------------------------

    @property
    def preface(self) -> bytes:
        """The lines that each response begins with. (Hot code asks for `server_line` first, to
        save this call.)"""
        if self.server_line is None:
            return self.server.preface
        return self.server.date_line + self.server_line

    def refuse(self, exc: ProtocolError) -> None:
        """Answer a request that cannot be understood; nothing after it is looked at."""
        server = self.server
        server.counters.protocol_errors += 1
        self.current = None
        writer = ResponseWriter(b"GET", b"1.1", False)
        body = exc.reason.encode("latin-1", "replace") + b"\n"
        head = writer.head(exc.status, PLAIN, length=len(body), preface=self.preface)
        server.counters.status[exc.status // 100] += 1
        self.outbox.push_now(head + writer.body(body) + writer.end())
        server.refused(self, exc)
        self.end()

    def end(self) -> None:
        """Close after everything is sent, without a reset that could eat the response."""
        if self.lost:
            return
        exchange = self.current
        self.current = None
        unread = self.parser.buffered or exchange is None or not exchange.body_done
        self._end_by(self._linger if unread else self.close_transport)

    def leave(self) -> None:
        """The WebSocket on this connection has ended: close, the server first (RFC 6455
        section 7.1.1), without a reset that could eat its last frame."""
        self.parser.take_buffered()
        self._end_by(self._linger)

    def close(self) -> None:
        """Close once what was queued is sent."""
        self._end_by(self.close_transport)

    def cut(self) -> None:
        """Close in the middle of a response, after what was written so far."""
        if self.current is not None:
            self.current.give_up()
        self.outbox.lost()
        self.close_transport()

    def abort(self) -> None:
        """End the connection now; what was queued is dropped."""
        self.state = self.state.after[CLOSE]
        self.transport.abort()

    def reset(self) -> None:
        """As `abort`, with a TCP reset, so that the client cannot take it for an end."""
        self.stream.prepare_reset()
        self.abort()

    def _end_by(self, end: Callable[[], None]) -> None:
        """Begin to close: call `end` once what was queued is handed over."""
        self.state = self.state.after[CLOSE]
        if self.outbox.size:
            self.outbox.on_empty = end
            self.watch_writes()
        else:
            end()

    def _linger(self) -> None:
        """What is queued has left: close, but read for a moment what the client still sends."""
        if self.lost or self.eof or self.state is not CLOSING:
            self.close_transport()
            return
        self._bytes_left = LINGER_BYTES
        self.state = CLOSING.after[LINGER]
        self.deadline = self.server.loop.time() + LINGER_SECONDS
        self.stream.resume_reading()
        if not self.stream.shut_down() and self.transport.can_write_eof():
            self.close_transport()

    def close_transport(self) -> None:
        """Close the transport, what it still holds first."""
        self.state = self.state.after[CLOSE]
        if not self.lost:
            self.watch_writes()
            self.stream.close()

    # -- flow control and time ---------------------------------------------------------------

    def wants_more(self) -> bool:
        """Whether there is room for what would be read."""
        if self.upgraded is not None:
            return not self.upgraded.holding
        return self.parser.buffered < READ_AHEAD or self.current is None

    def allow_reading(self) -> None:
        """The throttle holds reading back no longer; something else still may."""
        self._excuse(self.server.loop.time())
        self.stream.reads_blocked = False
        if self.wants_more():
            self.stream.resume_reading()

    def read_held(self, size: int) -> bool:
        """Read at most `size` bytes although the transport is paused, and let it be so. False:
        that is not possible."""
        if not self.wants_more():
            return False
        nbytes = self.stream.read_now(self.server.read_view[:size])
        if nbytes:
            self._excuse(self.server.loop.time())
            self.buffer_updated(nbytes)
        return nbytes > 0

    def _excuse(self, now: float) -> None:
        """What was not read because we held it back is not the client's delay."""
        stream = self.stream
        held = now - stream.held_since
        stream.held_since = now
        if self.current is None:
            if not self.state.closing:
                self.deadline += held
        elif self.current.body is not None:
            self.current.body.held(held, now)

    def hung_up(self, gone: bool) -> None:
        """The client closed its side, or (`gone`) both, behind data that is not read yet."""
        if gone:
            self.abort()
        elif self.current is not None:
            self.current.peer_left()

    def watch_writes(self) -> None:
        """Somebody waits for the client to read: it must make progress from now on."""
        due = self.stream.watch_writes()
        if self.current is None or due < self.deadline:
            self.deadline = due

    def on_write_pace(self, blocked: bool) -> None:
        """The outbox waits for its throttle, or no longer does."""
        self.server.throttler.writes_blocked(self, blocked)

    def on_pace(self, now: float) -> None:
        """The throttle's fast tick."""
        self.server.throttler.on_pace(self, now)

    def shift(self, seconds: float) -> None:
        """The process did not run for a while: no clock shall have run either."""
        self.deadline += seconds
        self.stream.stall_deadline += seconds
        if self.current is not None:
            self.current.shift(seconds)

    def on_deadline(self, now: float) -> None:
        """The clock of the present state ran out."""
        if self.stream.reads_blocked:
            self._excuse(now)
            if now < self.deadline:
                return
        ON_DEADLINE[self.state](self, now)

    # -- for viewers -------------------------------------------------------------------------

    @property
    def lost(self) -> bool:
        """The transport is gone."""
        return self.state is CLOSED

    @property
    def idle(self) -> bool:
        """Nothing is in progress and nothing has been sent ahead."""
        return self.state is IDLE and not self.parser.buffered and not self.outbox.size

    @property
    def unanswered(self) -> bool:
        """A handler runs that has not begun to answer."""
        return self.state is EXCHANGE and self.current is not None and not self.current.started

    @property
    def throttled(self) -> bool:
        return self.pacer is not None

    @property
    def bytes_out(self) -> int:
        return self.outbox.bytes_out

    @property
    def word(self) -> str:
        """One word for displays: the state's, or a closer one."""
        if self.state is EXCHANGE and self.current is not None:
            body = self.current.body
            if body is not None and body.waiter is not None:
                return "reading"
            return "sending" if self.current.started else "handling"
        if self.state is IDLE and not self.requests:
            return "new"
        return self.state.word
