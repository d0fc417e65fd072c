"""The body of a request, as it is pulled from the connection, and the pace that it must keep.

Knows the parser and the connection's flow control; nothing of responses but that they may have
begun.
"""

import asyncio
from typing import Optional

from ..exceptions import ClientDisconnected
from ..protocol.http1 import END, NEED_DATA, ProtocolError, ResponseWriter, Truncated
from .kept import Kept
from .waiting import Waited

#: a request body must bring this many bytes a second over any window of this many seconds
BODY_RATE = 500
BODY_WINDOW = 15.0


class RequestBody(Waited):
    """The reading half of an Exchange, which holds its state: a constructor of its own would
    cost each request a call."""

    __slots__ = ("_body_mark", "_body_paused", "_body_since", "body_done", "body_waiter",
                 "bytes_in", "continue_pending", "kept", "started", "throttle_mark", "writer")

    writer: ResponseWriter
    started: bool
    body_done: bool
    bytes_in: int
    continue_pending: bool
    body_waiter: "Optional[asyncio.Future[None]]"
    _body_since: float
    _body_mark: int
    _body_paused: float
    #: for those who look at messages; None for nearly all exchanges
    kept: Optional[Kept]
    #: seconds of throttling of the connection that are not this exchange's
    throttle_mark: float

    def set_body_limit(self, limit: Optional[int]) -> None:
        """Bound this request's body to `limit` bytes (None: not at all). Before reading."""
        self.connection.parser.set_body_limit(limit)

    def read_nowait(self) -> Optional[bytes]:
        """The next piece of the body that is there; b"" at its end, None if one must wait.

        Raises ClientDisconnected, or ProtocolError for a body that breaks its framing or its
        limit.
        """
        if self.body_done:
            return b""
        connection = self.connection
        if connection.lost or self.finished:
            raise ClientDisconnected("the client is gone")
        try:
            event = connection.parser.next_event()
        except Truncated:
            self.writer.keep_alive = False
            raise ClientDisconnected("the client closed in the middle of its body") from None
        except ProtocolError:
            self.writer.keep_alive = False
            raise
        if event is NEED_DATA:
            if connection.eof:
                raise ClientDisconnected("the client closed in the middle of its body")
            if self.continue_pending:
                self.continue_pending = False
                if not self.started:
                    # RFC 9110 section 10.1.1: only once somebody wants the body
                    connection.outbox.push_now(ResponseWriter.informational(100, ()))
            connection.resume_reading()
            return None
        if event is END:
            self.body_done = True
            return b""
        self.bytes_in += len(event)  # type: ignore[arg-type]
        if self.kept is not None:
            self.kept.add(self.kept.request_body, event)  # type: ignore[arg-type]
        return event  # type: ignore[return-value]

    async def read(self) -> bytes:
        """The next piece of the body, sized to what came; b"" at its end. Errors as
        `read_nowait`."""
        while True:
            piece = self.read_nowait()
            if piece is not None:
                return piece
            await self._wait_body()

    async def _wait_body(self) -> None:
        connection = self.connection
        loop = connection.server.loop
        if self.body_waiter is not None:
            raise RuntimeError("the request's body is already being read by another task")
        waiter = self.body_waiter = loop.create_future()
        now = loop.time()
        if self._body_paused:
            # only the time that we wait for the client counts, not the application's
            self._body_since = min(now, self._body_since + now - self._body_paused)
        else:
            self._body_since = now
            self._body_mark = connection.bytes_in
        connection.deadline = min(connection.deadline, self._body_since + BODY_WINDOW)
        try:
            await waiter
        finally:
            self.body_waiter = None
            self._body_paused = loop.time()

    def body_arrived(self) -> None:
        waiter = self.body_waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def held(self, seconds: float, now: float) -> None:
        """The throttle kept us from reading for a while: that is not the client's delay."""
        self._body_since = min(now, self._body_since + seconds)
        if self.body_waiter is not None:
            self.throttle_mark -= seconds

    def check_body_pace(self, waiter: "asyncio.Future[None]", now: float) -> None:
        """Somebody waits for the body: see whether it comes fast enough, set the next look."""
        connection = self.connection
        held_back = connection.reading_paused and not connection.reads_blocked
        over = now >= self._body_since + BODY_WINDOW
        if over and not held_back \
                and connection.bytes_in - self._body_mark < BODY_RATE * BODY_WINDOW:
            if not waiter.done():
                self.writer.keep_alive = False
                waiter.set_exception(ProtocolError(408, "the request body comes too slowly"))
            return
        if over or held_back:
            self._body_since = now
            self._body_mark = connection.bytes_in
        connection.deadline = min(connection.deadline, self._body_since + BODY_WINDOW)
