"""One HTTP connection: the protocol object of a transport, its state, its deadlines, its end.

It is in one state of `tremolo.net.states`, which says what the next bytes mean, what happens at
`deadline` and what displays call it. It has a `stream` (its transport), an `outbox` before that,
and the `cycle` of its exchanges, for which at most `READ_AHEAD` bytes are read ahead.
"""

import asyncio
from typing import TYPE_CHECKING, Any, Optional

from ..config import Settings
from ..protocol.http1 import RequestParser
from .cycle import Cycle
from .deadlines import ON_DEADLINE
from .ending import Ending
from .exchange import Exchange
from .outbox import Outbox
from .runtime import limits_of, server_line
from .states import (
    CLOSE,
    CLOSED,
    CLOSING,
    DISCARDING,
    EXCHANGE,
    HEAD,
    IDLE,
    LINGER,
    LOST,
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

    __slots__ = ("bytes_in", "context", "cycle", "deadline", "ending", "eof",
                 "handler_timeout", "id", "is_tls", "opened", "outbox", "pace_due", "pacer",
                 "peer", "server", "server_line", "settings", "socket",
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
        self.cycle = Cycle(self, RequestParser(server.limits, server.header_cache))
        self.upgraded: Optional[Upgraded] = None
        #: a slot for the adapter
        self.context: Any = None
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
        self.cycle = Cycle(self, RequestParser(limits_of(settings, body_limit),
                                               server.header_cache))
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
        exchange = self.cycle.current
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
            cycle = self.cycle
            cycle.parser.receive_data(bytes(server.wide_view[:nbytes]))
            cycle.advance()
        elif state is UPGRADED:
            self.upgraded.data_received(  # type: ignore[union-attr]
                bytes(server.wide_view[:nbytes]))
        elif state.closing:
            if self.ending is not None:
                self.ending.received(nbytes)
        else:
            parser = self.cycle.parser
            parser.receive_data(bytes(server.wide_view[:nbytes]))
            body = self.cycle.current.body  # type: ignore[union-attr]
            if state is DISCARDING:
                self.cycle.discard()
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
        self.cycle.parser.receive_eof()
        exchange = self.cycle.current
        if exchange is None:
            self.cycle.advance()
        elif state is DISCARDING:
            self.end()
        else:
            exchange.half_closed()
        return not self.is_tls and not self.state.closing

    def connection_lost(self, exc: Optional[Exception]) -> None:
        self.state = self.state.after[LOST]
        self.stream.over = True
        self.deadline = NEVER
        exchange = self.cycle.current
        if exchange is not None and self.upgraded is None:
            exchange.drop_unsent()
        self.outbox.lost()
        server = self.server
        server.remove(self)
        if self.upgraded is not None:
            self.upgraded.connection_lost()
        elif exchange is not None:
            exchange.lost()
        server.adapter.connection_lost(self)

    def pause_writing(self) -> None:
        self.outbox.full = True

    def resume_writing(self) -> None:
        self.outbox.resume_writing()

    # -- its states ------------------------------------------------------------------------

    def enter(self, state: State, deadline: float) -> None:
        """It comes to this state, which is looked at again at `deadline`."""
        self.state = state
        self.deadline = deadline

    def upgrade(self, upgraded: "Upgraded", deadline: float) -> bytes:
        """From now on the connection is `upgraded`'s, which is looked at at `deadline`. Gives
        what came early for it."""
        self.enter(self.state.after[UPGRADE], deadline)
        self.upgraded = upgraded
        return self.cycle.parser.take_buffered()

    # -- the end -----------------------------------------------------------------------------

    @property
    def preface(self) -> bytes:
        """The lines that each response begins with. (Hot code asks for `server_line` first, to
        save this call.)"""
        if self.server_line is None:
            return self.server.preface
        return self.server.date_line + self.server_line

    def end(self) -> None:
        """Close after everything is sent, without a reset that could eat the response."""
        if self.lost:
            return
        self._end(lingers=self.cycle.stop())

    def leave(self) -> None:
        """The WebSocket on this connection has ended: close, the server first (RFC 6455
        section 7.1.1), without a reset that could eat its last frame."""
        self.cycle.parser.take_buffered()
        self._end(lingers=True)

    def close(self) -> None:
        """Close once what was queued is sent."""
        self._end(lingers=False)

    def cut(self) -> None:
        """Close in the middle of a response, after what was written so far."""
        if self.cycle.current is not None:
            self.cycle.current.give_up()
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
        self.enter(CLOSING.after[LINGER], self.server.loop.time() + seconds)

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
        return self.cycle.parser.buffered < READ_AHEAD or self.cycle.current is None

    def excuse(self, held: float, now: float) -> None:
        """What was not read for `held` seconds because we held it back is not the client's
        delay."""
        if self.cycle.current is None:
            if not self.state.closing:
                self.deadline += held
        elif self.cycle.current.body is not None:
            self.cycle.current.body.held(held, now)

    def hung_up(self, gone: bool) -> None:
        """The client closed its side, or (`gone`) both, behind data that is not read yet."""
        if gone:
            self.abort()
        elif self.cycle.current is not None:
            self.cycle.current.peer_left()

    def watch_writes(self) -> None:
        """Somebody waits for the client to read: it must make progress from now on."""
        due = self.stream.watch_writes()
        if self.cycle.current is None or due < self.deadline:
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
        if self.cycle.current is not None:
            self.cycle.current.shift(seconds)

    def on_deadline(self, now: float) -> None:
        """The clock of the present state ran out."""
        if self.stream.reads_blocked:
            self.stream.excuse(now)
            if now < self.deadline:
                return
        ON_DEADLINE[self.state](self, now)

    # -- for viewers, and for who comes from outside ---------------------------------------------

    @property
    def current(self) -> Optional[Exchange]:
        """The exchange in progress."""
        return self.cycle.current

    @property
    def parser(self) -> RequestParser:
        return self.cycle.parser

    @property
    def requests(self) -> int:
        return self.cycle.requests

    @property
    def lost(self) -> bool:
        """The transport is gone."""
        return self.state is CLOSED

    @property
    def idle(self) -> bool:
        """Nothing is in progress and nothing has been sent ahead."""
        return self.state is IDLE and not self.cycle.parser.buffered and not self.outbox.size

    @property
    def unanswered(self) -> bool:
        """A handler runs that has not begun to answer."""
        return self.state is EXCHANGE and self.cycle.current is not None \
            and not self.cycle.current.response.started

    @property
    def throttled(self) -> bool:
        return self.pacer is not None

    @property
    def bytes_out(self) -> int:
        return self.outbox.bytes_out

    @property
    def word(self) -> str:
        """One word for displays: the state's, or a closer one."""
        if self.state is EXCHANGE and self.cycle.current is not None:
            body = self.cycle.current.body
            if body is not None and body.waiter is not None:
                return "reading"
            return "sending" if self.cycle.current.response.started else "handling"
        if self.state is IDLE and not self.requests:
            return "new"
        return self.state.word
