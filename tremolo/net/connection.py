"""One HTTP connection: the cycle of its exchanges, its deadlines, its end.

It is in one state of `tremolo.net.states`, which says what the next bytes mean, what happens at
`deadline` and what displays call it. It has a `stream` (its transport), an `outbox` before that,
a parser, and while it answers a request the `current` exchange.

One exchange at a time: what a client sends ahead waits in the parser, at most `READ_AHEAD`
bytes of it (RFC 9112 section 9.3.2).
"""

import asyncio
from typing import TYPE_CHECKING, Any, Optional

from ..config import Settings
from ..protocol.http1 import ProtocolError, RequestHead, RequestParser, refusal
from .deadlines import ON_DEADLINE
from .ending import LINGER_SECONDS, Ending
from .exchange import DONE, Exchange
from .handling import handle
from .outbox import Outbox
from .response import Response
from .runtime import limits_of, server_line
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


class HTTPConnection(asyncio.BufferedProtocol):
    """The protocol object of one transport."""

    __slots__ = ("bytes_in", "context", "current", "deadline", "ending", "eof",
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
        #: in the closing states
        self.ending: Optional[Ending] = None

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
        self.parser = RequestParser(limits_of(settings, body_limit), server.header_cache)
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
            if self.ending is not None:
                self.ending.received(nbytes)
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

    def completed(self, now: float) -> None:
        """The response of the exchange in progress is whole. Once it has been handed over, go
        on or end."""
        exchange: Exchange = self.current  # type: ignore[assignment]
        outbox = self.outbox
        if self.state is not EXCHANGE:  # it is closing already
            exchange.record(DONE, now)
        elif outbox.size or outbox.full:
            self.state = EXCHANGE.after[FLUSH]
            outbox.on_empty = self._handed_over
            self.watch_writes()
            outbox.flush()
        else:
            exchange.record(DONE, now)
            self._go_on(exchange)
        exchange.answered()

    def _handed_over(self) -> None:
        exchange = self.current
        if exchange is not None:
            exchange.record(DONE, self.server.clock())
            if not self.state.closing:
                self._go_on(exchange)

    def _go_on(self, exchange: Exchange) -> None:
        """The response is handed over: on to the next request, or to the end."""
        body = exchange.body
        response = exchange.response
        if body is not None and body.awaited:
            self.state = self.state.after[DISCARD]
            self.deadline = self.server.loop.time() + LINGER_SECONDS
            self._discard()
        elif not response.writer.keep_alive or (self.eof and not self.parser.buffered):
            faults = response.faults
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
        if body.withheld or not exchange.response.writer.keep_alive:
            self.end()
            return
        try:
            worthwhile = body.discard()
        except ProtocolError:
            worthwhile = False
        if body.done:
            self._next(self.server.loop.time())
        elif self.eof or not worthwhile:
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
        server.counters.status[exc.status // 100] += 1
        self.outbox.push_now(refusal(exc, self.preface))
        server.refused(self, exc)
        self.end()

    def end(self) -> None:
        """Close after everything is sent, without a reset that could eat the response."""
        if self.lost:
            return
        exchange = self.current
        self.current = None
        unread = self.parser.buffered or exchange is None or not exchange.body_done
        self._end(lingers=bool(unread))

    def leave(self) -> None:
        """The WebSocket on this connection has ended: close, the server first (RFC 6455
        section 7.1.1), without a reset that could eat its last frame."""
        self.parser.take_buffered()
        self._end(lingers=True)

    def close(self) -> None:
        """Close once what was queued is sent."""
        self._end(lingers=False)

    def give_up(self, response: Response) -> None:
        """This response will not be completed."""
        exchange = self.current
        if exchange is not None and exchange.response is response:
            exchange.give_up()

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

    def _end(self, lingers: bool) -> None:
        """Begin to close."""
        self.state = self.state.after[CLOSE]
        self.ending = Ending(self, lingers)
        self.ending.begin()

    def linger(self, seconds: float) -> None:
        """Everything is sent: what comes is read for some seconds."""
        self.state = CLOSING.after[LINGER]
        self.deadline = self.server.loop.time() + seconds

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

    def excuse(self, held: float, now: float) -> None:
        """What was not read for `held` seconds because we held it back is not the client's
        delay."""
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
            self.stream.excuse(now)
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
        return self.state is EXCHANGE and self.current is not None \
            and not self.current.response.started

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
            return "sending" if self.current.response.started else "handling"
        if self.state is IDLE and not self.requests:
            return "new"
        return self.state.word
