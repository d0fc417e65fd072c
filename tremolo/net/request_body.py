"""The body of a request, as it is pulled from the connection, and the pace that it must keep.

Knows the parser and the connection's flow control; of the response only whether it has begun.
"""

import asyncio
from typing import Any, Callable, Optional, Protocol

from ..exceptions import ClientDisconnected
from ..protocol.http1 import (
    END,
    NEED_DATA,
    ProtocolError,
    RequestHead,
    RequestParser,
    ResponseWriter,
    Truncated,
)
from .capture import Capture
from .outbox import Outbox
from .stream import Stream

#: bytes of a body that the application left which are worth reading to keep a connection
DISCARD_BYTES = 64 * 1024
#: a request body must bring this many bytes a second over any window of this many seconds
BODY_RATE = 500
BODY_WINDOW = 15.0


class Pulled(Protocol):
    """The connection that a body is pulled from."""

    outbox: Outbox
    stream: Stream
    eof: bool
    deadline: float
    bytes_in: int
    server: Any

    @property
    def parser(self) -> RequestParser: ...
    @property
    def lost(self) -> bool: ...


class Answer(Protocol):
    """The response to the request."""

    @property
    def started(self) -> bool: ...
    @property
    def finished(self) -> bool: ...
    def end_connection(self) -> None: ...


class Bodied(Protocol):
    """The exchange whose request has a body."""

    head: RequestHead
    capture: Optional[Capture]
    on_read: Optional[Callable[[bytes], None]]
    bytes_in: int
    throttle_mark: float

    @property
    def connection(self) -> Pulled: ...
    @property
    def response(self) -> Answer: ...


class RequestBody:
    """One request's body; made only where the head announces one.

    `done` once its end was read. `continue_pending` while the client waits for an answer to its
    `Expect: 100-continue` (RFC 9110 section 10.1.1).
    """

    __slots__ = ("_discarded", "_exchange", "_mark", "_paused", "_since", "continue_pending",
                 "done", "waiter")

    def __init__(self, exchange: Bodied, expect_continue: bool) -> None:
        self._exchange = exchange
        self.done = False
        self.continue_pending = expect_continue
        #: somebody waits for the next piece
        self.waiter: Optional[asyncio.Future[None]] = None
        self._since = 0.0
        self._mark = 0
        self._paused = 0.0
        self._discarded = 0

    def read_nowait(self) -> Optional[bytes]:
        """The next piece that is there; b"" at its end, None if one must wait.

        Raises ClientDisconnected, or ProtocolError for a body that breaks its framing or its
        limit.
        """
        if self.done:
            return b""
        exchange = self._exchange
        connection = exchange.connection
        if connection.lost or exchange.response.finished:
            raise ClientDisconnected("the client is gone")
        try:
            event = connection.parser.next_event()
        except Truncated:
            exchange.response.end_connection()
            raise ClientDisconnected("the client closed in the middle of its body") from None
        except ProtocolError:
            exchange.response.end_connection()
            raise
        if event is NEED_DATA:
            if connection.eof:
                raise ClientDisconnected("the client closed in the middle of its body")
            if self.continue_pending:
                self.continue_pending = False
                if not exchange.response.started:
                    # RFC 9110 section 10.1.1: only once somebody wants the body
                    connection.outbox.push_now(ResponseWriter.informational(100, ()))
            connection.stream.resume_reading()
            return None
        self.continue_pending = False  # it sends the body without waiting
        if event is END:
            self.done = True
            return b""
        exchange.bytes_in += len(event)  # type: ignore[arg-type]
        if exchange.capture is not None:
            exchange.capture.add(exchange.capture.request_body, event)  # type: ignore[arg-type]
        if exchange.on_read is not None:
            exchange.on_read(event)  # type: ignore[arg-type]
        return event  # type: ignore[return-value]

    async def read(self) -> bytes:
        """The next piece, sized to what came; b"" at its end. Errors as `read_nowait`."""
        while True:
            piece = self.read_nowait()
            if piece is not None:
                return piece
            await self._wait()

    def discard(self) -> bool:
        """Throw away what came of a body that the application left; `done` once that was all of
        it. False: it is more than is worth reading. Raises ProtocolError as `read_nowait`."""
        parser = self._exchange.connection.parser
        while self._discarded <= DISCARD_BYTES:
            event = parser.next_event()
            if event is END:
                self.done = True
                return True
            if event is NEED_DATA:
                return True
            self._discarded += len(event)  # type: ignore[arg-type]
        return False

    @property
    def withheld(self) -> bool:
        """The client holds it back until it is asked to go on, and nothing of it has come. What
        follows may then be the body or, without it, the next request."""
        return self.continue_pending and not self._exchange.connection.parser.buffered

    @property
    def awaited(self) -> bool:
        """Something of it is still to come from the client."""
        return not self.done

    @property
    def short(self) -> bool:
        """What is left of it is not worth closing the connection for."""
        head = self._exchange.head
        return head.chunked or (head.content_length or 0) - self._exchange.bytes_in <= 64 * 1024

    async def _wait(self) -> None:
        connection = self._exchange.connection
        loop = connection.server.loop
        if self.waiter is not None:
            raise RuntimeError("the request's body is already being read by another task")
        waiter = self.waiter = loop.create_future()
        now = loop.time()
        if self._paused:
            # only the time that we wait for the client counts, not the application's
            self._since = min(now, self._since + now - self._paused)
        else:
            self._since = now
            self._mark = connection.bytes_in
        connection.deadline = min(connection.deadline, self._since + BODY_WINDOW)
        try:
            await waiter
        finally:
            self.waiter = None
            self._paused = loop.time()

    def arrived(self) -> None:
        """Something came, or nothing more will."""
        waiter = self.waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def held(self, seconds: float, now: float) -> None:
        """The throttle kept us from reading for a while: that is not the client's delay."""
        self._since = min(now, self._since + seconds)
        if self.waiter is not None:
            self._exchange.throttle_mark -= seconds

    def shift(self, seconds: float) -> None:
        """The process did not run for a while."""
        if self.waiter is not None:
            self._since += seconds

    def check_pace(self, now: float) -> None:
        """See whether it comes fast enough for whoever waits for it; set the next look."""
        waiter = self.waiter
        if waiter is None:
            return
        exchange = self._exchange
        connection = exchange.connection
        stream = connection.stream
        held_back = stream.paused and not stream.reads_blocked
        over = now >= self._since + BODY_WINDOW
        if over and not held_back \
                and connection.bytes_in - self._mark < BODY_RATE * BODY_WINDOW:
            if not waiter.done():
                exchange.response.end_connection()
                waiter.set_exception(ProtocolError(408, "the request body comes too slowly"))
            return
        if over or held_back:
            self._since = now
            self._mark = connection.bytes_in
        connection.deadline = min(connection.deadline, self._since + BODY_WINDOW)


class GivenBody(RequestBody):
    """What the application gets in place of the client's body, which was read to its end."""

    __slots__ = ("_given",)

    awaited = False
    short = True

    def __init__(self, exchange: Bodied, data: bytes) -> None:
        super().__init__(exchange, expect_continue=False)
        self._given = data

    def read_nowait(self) -> bytes:
        data, self._given = self._given, b""
        self.done = not data
        return data


async def replace_body(exchange: Any, data: bytes) -> None:
    """Give the application of `exchange` the body `data`, with the framing of its length. Before
    anything else reads it. Raises what reading the client's own raises."""
    while await exchange.read():
        pass
    head: RequestHead = exchange.head
    head.headers = [field for field in head.headers
                    if field[0] not in (b"content-length", b"transfer-encoding")]
    head.headers.append((b"content-length", str(len(data)).encode("ascii")))
    head.content_length, head.chunked, head.has_body = len(data), False, bool(data)
    exchange.body = GivenBody(exchange, data) if data else None
