"""One HTTP connection: the cycle of its exchanges, its deadlines, its end.

The states are facts rather than a variable: `current` is the exchange in progress, `taken` the
WebSocket that owns the connection after an upgrade, `lingering` and `closing` lead to the
end, `lost` is the end. Without any of them the connection waits for a request. How bytes
get in and out is the business of `Client` below it, how it ends that of `Ending`.

One exchange at a time: what a client sends ahead waits in the parser, at most `READ_AHEAD`
bytes of it (RFC 9112 section 9.3.2).
"""

import asyncio
from typing import TYPE_CHECKING, Any, Optional, Protocol

from ..config import Settings
from ..exceptions import ClientDisconnected
from ..protocol.http1 import (
    END,
    NEED_DATA,
    Limits,
    ProtocolError,
    RequestHead,
    RequestParser,
)
from .client import LINGER_SECONDS
from .ending import Ending, server_line
from .exchange import DONE, Exchange
from .ticker import NEVER

if TYPE_CHECKING:
    from .server import Server

READ_AHEAD = 64 * 1024
#: bytes of a request body that the application left which are worth reading to keep a
#: connection
DISCARD_BYTES = 64 * 1024


class Taken(Protocol):
    """What owns a connection after an upgrade. While it is `holding` nothing shall be read."""

    holding: bool

    def data_received(self, data: bytes) -> None: ...
    def eof_received(self) -> None: ...
    def connection_lost(self) -> None: ...
    def on_deadline(self, now: float) -> None: ...
    def drain(self) -> None: ...


class HTTPConnection(Ending):
    """The protocol object of one transport."""

    __slots__ = ("_discarding", "_head_began", "context", "handler_timeout", "requests",
                 "settings", "taken")

    def __init__(self, server: "Server") -> None:
        super().__init__(server)
        self.parser = RequestParser(server.limits, server.header_cache)
        self.current: Optional[Exchange] = None
        self.taken: Optional[Taken] = None
        #: a slot for the adapter
        self.context: Any = None
        self.requests = 0
        #: those of the server, unless the adapter has others for the address
        self.settings = server.settings
        self.handler_timeout = server.adapter.handler_timeout
        self.server_line = None
        self._discarding = -1
        self._head_began = False

    # -- the transport's side ------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
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
            server.throttling.set_connection_rates(self, *rates)

    def get_buffer(self, sizehint: int) -> memoryview:
        pacer = self.pacer
        if pacer is not None and pacer.upload.active:
            # Exact upload pacing: the kernel cannot hand over more than fits here.
            if self.reads_blocked and self.is_tls:
                return self.server.read_view  # delivered though we paused: a debt
            allowed = pacer.upload.allowance(self.server.loop.time(), READ_AHEAD)
            return self.server.read_view[:max(1, allowed)]
        return self.server.read_view if self.taken is None else self.server.wide_view

    def buffer_updated(self, nbytes: int) -> None:
        server = self.server
        data = bytes(server.wide_view[:nbytes])
        self.bytes_in += nbytes
        server.counters.bytes_in += nbytes
        if self.pacer is not None and self.pacer.upload.active:
            server.throttling.charge_upload(self, nbytes)
        if self.lingering:
            self.linger(nbytes)
            return
        if self.taken is not None:
            if not self.closing:
                self.taken.data_received(data)
            return
        parser = self.parser
        parser.receive_data(data)
        exchange = self.current
        if exchange is None:
            self._advance()
        elif self._discarding >= 0:
            self._discard()
        elif exchange.body_waiter is not None:
            exchange.body_arrived()
        elif parser.buffered >= READ_AHEAD:
            self.pause_reading()

    def eof_received(self) -> bool:
        """The client will send nothing more. What it asked for is still answered (a half-closed
        connection), but whoever waits for a disconnect is told."""
        self.eof = True
        if self.lingering or self.closing:
            self.close_transport()
            return False
        if self.taken is not None:
            self.taken.eof_received()
            return False
        self.parser.receive_eof()
        if self.current is None:
            self._advance()
        elif self._discarding >= 0:
            self._finish_connection()
        else:
            self.current.half_closed()
        return not self.is_tls and not self.closing

    def connection_lost(self, exc: Optional[Exception]) -> None:
        self.lost = True
        self.deadline = NEVER
        self.outbox.lost()
        server = self.server
        server.remove(self)
        if self.taken is not None:
            self.taken.connection_lost()
        elif self.current is not None:
            self.current.lost()
        server.adapter.connection_lost(self)

    # -- the cycle of exchanges ------------------------------------------------------------

    def _advance(self) -> None:
        """Take up the next request, if its head is there."""
        if self.current is not None or self.lost or self.closing or self.taken is not None:
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
        elif self.requests and not self._head_began and parser.in_head:
            # The first head's clock runs from the accept, a later one's from its first byte.
            self._head_began = True
            self.deadline = self.server.loop.time() + self.settings.request_timeout

    def _begin(self, head: RequestHead) -> None:
        server = self.server
        self.requests += 1
        self._head_began = False
        exchange = self.current = server.new_exchange(self, head)
        timeout = self.handler_timeout
        self.deadline = exchange.begun + timeout if timeout else NEVER
        if (server.throttle.active or self.pacer is not None) \
                and server.throttling.begin(self, exchange):
            return
        task = exchange.task = server.create_task(self._handle(exchange))
        server.tasks.add(task)

    async def _handle(self, exchange: Exchange) -> None:
        server = self.server
        try:
            await server.adapter.handle(exchange)
        except ClientDisconnected:
            pass
        except asyncio.CancelledError:
            if exchange.timed_out:
                exchange.refuse(504, b"Gateway Timeout: the handler took too long")
        except ProtocolError as exc:
            exchange.refuse(exc.status, exc.reason.encode("latin-1", "replace"))
        except Exception as exc:
            server.report(exchange, exc)
        finally:
            server.tasks.discard(exchange.task)
            if not exchange.finished:
                exchange.settle()

    def completed(self, exchange: Exchange) -> None:
        """The response is whole, though perhaps not all of it has been handed over."""
        outbox = self.outbox
        if outbox.size or outbox.full:
            exchange.ended = 0.0
            outbox.on_empty = self._end_cycle
            self.watch_writes()
            outbox.flush()
        else:
            self._end_cycle()

    def _end_cycle(self) -> None:
        exchange = self.current
        if exchange is None:
            return
        exchange.record(DONE)
        if self.lost:
            self.current = None
            return
        if not exchange.body_done:
            self._discarding = 0
            self.deadline = self.server.loop.time() + LINGER_SECONDS
            self._discard()
            return
        if not exchange.writer.keep_alive or (self.eof and not self.parser.buffered):
            faults = exchange.faults
            if faults is not None and faults.slow_close:
                self.server.loop.call_later(faults.slow_close, self._finish_connection)
            else:
                self._finish_connection()
            return
        self._next_cycle(exchange.ended)

    def _next_cycle(self, now: float) -> None:
        self.current = None
        self._discarding = -1
        parser = self.parser
        parser.next_cycle()
        server = self.server
        if self.reading_paused:
            self.resume_reading()
        if parser.buffered:
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
        if exchange is None:
            return
        if exchange.continue_pending or not exchange.writer.keep_alive:
            self._finish_connection()
            return
        try:
            while True:
                event = self.parser.next_event()
                if event is END:
                    exchange.body_done = True
                    self._next_cycle(self.server.loop.time())
                    return
                if event is NEED_DATA:
                    break
                self._discarding += len(event)  # type: ignore[arg-type]
                if self._discarding > DISCARD_BYTES:
                    self._finish_connection()
                    return
        except ProtocolError:
            self._finish_connection()
            return
        if self.eof:
            self._finish_connection()
            return
        self.resume_reading()

    # -- flow control and time ---------------------------------------------------------------

    def wants_more(self) -> bool:
        if self.taken is not None:
            return not self.taken.holding
        return self.parser.buffered < READ_AHEAD or self.current is None

    def excuse(self, now: float) -> None:
        """What was not read because we held it back is not the client's delay."""
        held = now - self.held_since
        self.held_since = now
        if self.current is not None:
            self.current.held(held, now)
        elif not self.closing:
            self.deadline += held

    def hung_up(self, gone: bool) -> None:
        """The client closed its side, or (`gone`) both, behind data that is not read yet."""
        if gone:
            self.abort()
        elif self.current is not None:
            self.current.peer_left()

    def shift(self, seconds: float) -> None:
        """The process did not run for a while: no clock shall have run either."""
        self.deadline += seconds
        self.stall_deadline += seconds
        if self.current is not None:
            self.current.shift(seconds)

    def on_deadline(self, now: float) -> None:
        """Some clock ran out: see which."""
        if self.reads_blocked:
            self.excuse(now)
            if now < self.deadline:
                return
        if self.lost:
            self.deadline = NEVER
        elif self.lingering:
            self.lingering = 0
            self.close_transport()
        elif self.taken is not None and not self.closing:
            self.taken.on_deadline(now)
        elif self.closing:
            if self.write_stalled():
                self.abort()
            else:
                self.deadline = now + self.server.write_timeout
        elif self._discarding >= 0:
            self._finish_connection()
        elif self.current is not None:
            self.current.on_deadline(now)
        elif self.parser.in_head:
            seconds = self.settings.request_timeout
            self.refuse(ProtocolError(408, f"request timeout after {seconds:g}s"))
        else:
            self.close()

    # -- throttle ------------------------------------------------------------------------------

    def _on_write_pace(self, blocked: bool) -> None:
        self.server.throttling.writes_blocked(self, blocked)

    def on_pace(self, now: float) -> None:
        """The throttle's fast tick."""
        self.server.throttling.on_pace(self, now)

    @property
    def throttled(self) -> bool:
        return self.pacer is not None

    # -- for those who look ------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Nothing is in progress and nothing has been sent ahead."""
        return (self.current is None and self.taken is None and not self.closing
                and not self.parser.in_head and not self.parser.buffered
                and not self.outbox.size)

    @property
    def state(self) -> str:
        """One word for displays."""
        if self.taken is not None:
            return "websocket"
        if self.closing or self.lost:
            return "draining"
        exchange = self.current
        if exchange is not None:
            if exchange.body_waiter is not None:
                return "reading"
            return "sending" if exchange.started else "handling"
        if self.parser.in_head:
            return "reading"
        return "idle" if self.requests else "new"
