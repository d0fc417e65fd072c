"""One request and its response, as the adapters see it.

Pushes the response through the writer into the outbox (the request's body comes in by
`RequestBody`), and keeps both sides honest: whatever an application does, the client gets
whole, well-framed responses or a closed connection.
"""

import asyncio
from typing import TYPE_CHECKING, Any, Awaitable, Callable, Iterable, List, Optional, Tuple

from ..protocol.http1 import ExcessBody, RequestHead, ResponseWriter, ShortBody
from .counters import latency_bucket
from .incoming import RequestBody
from .kept import Kept
from .pacing import Breaking
from .throttle import Faults
from .ticker import NEVER

if TYPE_CHECKING:
    from .connection import HTTPConnection

Headers = Iterable[Tuple[bytes, bytes]]

DONE, ABORTED = "done", "aborted"
PLAIN = [(b"content-type", b"text/plain; charset=utf-8")]


class ResponseMisuse(RuntimeError):
    """The application used the response out of order, or broke the length it promised."""


class Exchange(RequestBody):
    """One request and its response. `head` is the request; see the methods for the rest."""

    __slots__ = ("_head", "_stopped", "begun", "breaking", "bytes_out", "ended", "error",
                 "faults", "first_byte", "head", "id", "on_drain", "rate", "route", "status",
                 "task", "timed_out")

    #: what is written is changed on its way, so that nothing may go past `write`
    filtered = False
    #: business of the server's own, which those who look at requests are not shown
    hidden = False

    def __init__(self, connection: "HTTPConnection", head: RequestHead) -> None:
        server = connection.server
        counters = server.counters
        counters.requests += 1
        self.id = counters.requests
        self.connection = connection
        self.head = head
        self.begun = server.clock()
        self.writer = ResponseWriter(head.method, head.version,
                                     head.keep_alive and server.keep_alive)
        #: the response's head was given (though perhaps not sent yet)
        self.started = False
        #: the response is whole, or given up
        self.finished = False
        self.status = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.body_done = not head.has_body
        self.continue_pending = head.expect_continue and head.has_body
        self.body_waiter: Optional[asyncio.Future[None]] = None
        self._body_since = 0.0
        self._body_mark = 0
        self._body_paused = 0.0
        self.first_byte = 0.0
        #: when the response was handed over or given up
        self.ended = 0.0
        #: route pattern, for displays
        self.route: Optional[str] = None
        #: the handler's own download rate in bytes per second, 0 for none
        self.rate = 0
        self.error: Optional[BaseException] = None
        self.task: Any = None
        self.timed_out = False
        self.outcome = ""
        #: what the throttle lets go wrong with this response
        self.faults: Optional[Faults] = None
        self.breaking: Optional[Breaking] = None
        self.throttle_mark = 0.0
        self.kept: Optional[Kept] = None
        if server.keeping > 0:
            server.keeping -= 1
            self.kept = Kept(head.headers)
        self._head: Optional[Tuple[int, Headers, bytes, Optional[int]]] = None
        self._gone: List[asyncio.Future[None]] = []
        self._over: Optional[asyncio.Future[None]] = None
        #: called when the server begins to drain; for responses without an end of their own
        self.on_drain: Optional[Callable[[], None]] = None
        #: seconds during which the process did not run
        self._stopped = 0.0

    @property
    def disconnected(self) -> bool:
        """The client is gone: nothing can be sent any more."""
        return self.connection.lost

    # -- the response -------------------------------------------------------------------------

    def start(self, status: int, headers: Headers, *, reason: bytes = b"",
              length: Optional[int] = None) -> None:
        """Give the response's head; it is kept back to join the first body write.

        `length` is the body's length in bytes when it is known and no Content-Length is in
        `headers`. Raises ResponseMisuse if a response was started already; errors in the
        headers are raised by the first write.
        """
        if self.started:
            raise ResponseMisuse("a response was already started for this request")
        self.started = True
        self.status = status
        self._head = (status, headers, reason, length)

    def promise(self, length: int) -> None:
        """The body will have `length` bytes, if the head does not say so itself. Without effect
        once the head is on its way."""
        if self._head is not None and self._head[3] is None:
            self._head = (*self._head[:3], length)

    def _write_head(self, length: Optional[int]) -> bytes:
        status, headers, reason, given = self._head  # type: ignore[misc]
        connection = self.connection
        if self.continue_pending:
            # What follows may be the body or, without it, the next request.
            self.writer.keep_alive = False
        server = connection.server
        preface = server.preface if connection.server_line is None else connection.preface
        try:
            head = self.writer.head(status, headers, reason=reason, preface=preface,
                                    length=length if given is None else given)
        except ValueError:
            self.started = False
            self.status = 0
            self._head = None
            raise
        self._head = None
        if self.kept is not None:
            self.kept.response_head = head
        if self.faults is not None:
            server.throttling.arm(connection, self, len(head))
        self.first_byte = server.clock()
        server.counters.status[status // 100] += 1
        connection.deadline = NEVER  # the handler's clock stops: it has begun to answer
        return head

    def write(self, data: bytes) -> Optional[Awaitable[None]]:
        """Send a piece of the body. None: go on; else await the result before the next.

        After the client left the data is dropped. Raises ResponseMisuse before `start`, after
        `finish`, and for more bytes than were promised: what still fits is sent, and the
        connection closed after it (RFC 9112 section 6.3).
        """
        if not self.started:
            raise ResponseMisuse("the response's body came before its start")
        connection = self.connection
        if connection.lost or self.outcome == ABORTED:
            return None
        if self.finished:
            raise ResponseMisuse("the response is already complete")
        if type(data) is not bytes:
            # It may wait here while its owner changes it.
            data = bytes(memoryview(data))
        writer = self.writer
        head = self._write_head(None) if self._head is not None else b""
        try:
            framed = writer.body(data)
        except ExcessBody as exc:
            self._cut(head + exc.allowed)
            raise ResponseMisuse(str(exc)) from None
        self.bytes_out += len(data)
        if self.kept is not None and framed:
            self.kept.add(self.kept.response_body, data)
        if self.breaking is not None:
            self.breaking.framed(len(data), len(framed))
        wait = connection.outbox.push(head + framed if head else framed) \
            if head or framed else None
        if wait is not None:
            connection.watch_writes()
        return wait

    def finish(self, trailers: Iterable[Tuple[bytes, bytes]] = ()) -> None:
        """Complete the response. Raises ResponseMisuse for fewer bytes than were promised; the
        connection is then reset, so that the client cannot take the part for the whole."""
        self.write_last(b"", trailers)

    def respond(self, status: int, headers: Headers, body: bytes = b"",
                reason: bytes = b"") -> None:
        """Start, write and finish in one; the response leaves in one write."""
        self.start(status, headers, reason=reason)
        self.write_last(body)

    def write_last(self, data: bytes, trailers: Iterable[Tuple[bytes, bytes]] = ()) -> None:
        """`write` and `finish` in one, for the last piece of a body."""
        if not self.started:
            raise ResponseMisuse("the response was finished before it was started")
        connection = self.connection
        if connection.lost or self.outcome == ABORTED:
            self.give_up()
            return
        if self.finished:
            raise ResponseMisuse("the response is already complete")
        if type(data) is not bytes:
            data = bytes(memoryview(data))
        size = len(data)
        writer = self.writer
        if self._head is not None:
            if not self.body_done and not self._body_is_short():
                writer.keep_alive = False
            framed = self._write_head(None if trailers else size)
            # All in one turn: the clock need not be asked again.
            self.ended = self.first_byte
        else:
            framed = b""
        before = len(framed)
        try:
            framed += writer.body(data) if data else b""
            framed += writer.end(tuple(trailers) if trailers else ())
        except ExcessBody as exc:
            self._cut(framed + exc.allowed)
            raise ResponseMisuse(str(exc)) from None
        except ShortBody as exc:
            self.abort()
            raise ResponseMisuse(str(exc)) from None
        self.bytes_out += size
        if self.kept is not None and len(framed) > before:
            self.kept.add(self.kept.response_body, data)
        if self.breaking is not None:
            self.breaking.framed(size, len(framed) - before)
        self.finished = True
        outbox = connection.outbox
        if framed:
            outbox.push_now(framed)
        else:
            outbox.flush()
        connection.completed(self)
        if self._gone:
            self.wake_waiter()

    def _body_is_short(self) -> bool:
        """What the application has left of the request's body is not worth a close."""
        head = self.head
        return head.chunked or (head.content_length or 0) - self.bytes_in <= 64 * 1024

    def _cut(self, last: bytes) -> None:
        """The application wrote too much: send what it promised, then close."""
        self.writer.keep_alive = False
        self.finished = True
        self.connection.outbox.push_now(last)
        self.connection.completed(self)

    def flush(self) -> None:
        """Send what was written so far, the head included."""
        if self._head is not None and not self.connection.lost:
            self.connection.outbox.push(self._write_head(None))
        self.connection.outbox.flush()

    async def drained(self) -> None:
        """Wait until what was written is handed over and there is room again."""
        self.flush()
        outbox = self.connection.outbox
        while outbox.congested and not self.connection.lost:
            self.connection.watch_writes()
            await outbox.wait()

    def inform(self, status: int, headers: Headers) -> None:
        """Send an interim response, such as 103 (RFC 8297). Not to HTTP/1.0."""
        if not self.started and not self.connection.lost and self.head.version != b"1.0":
            self.connection.outbox.push_now(ResponseWriter.informational(status, headers))

    def set_rate(self, rate: int) -> None:
        """Throttle this response to `rate` bytes per second; 0 leaves it to other scopes."""
        if rate != self.rate:
            self.rate = rate
            self.connection.server.throttling.rethrottle(self.connection)

    # -- the end ------------------------------------------------------------------------------

    def refuse(self, status: int, body: bytes, *, keep_alive: bool = False,
               headers: Headers = PLAIN) -> None:
        """Answer with an error and close; or reset, if a response is already under way."""
        if self.finished:
            return
        if self.started and self._head is None:
            self.abort()
            return
        self.started = False
        self._head = None
        self.writer = ResponseWriter(self.head.method, self.head.version,
                                     keep_alive and self.writer.keep_alive)
        self.respond(status, headers, body + b"\n")

    def settle(self) -> None:
        """The handler ended without a whole response."""
        if self.connection.lost:
            self.give_up()
        elif self.started and self._head is None:
            self.abort()
        elif self.connection.eof and not self.body_done:
            # It may still read why (RFC 9112 section 8).
            self.refuse(400, b"bad request: the connection ended in the middle of it")
        else:
            self.refuse(500, b"Internal Server Error")

    def abort(self) -> None:
        """Reset the connection: what was promised cannot be delivered."""
        self.give_up()
        if not self.connection.lost:
            self.connection.reset()

    def give_up(self) -> None:
        """This response will not be completed."""
        self.finished = True
        self.record(ABORTED)

    def peer_left(self) -> None:
        """The client closed its side: tell those who wait for just that."""
        self.body_arrived()
        self.wake_waiter()

    def half_closed(self) -> None:
        """The client closed its side. It may still read, so an answer that has begun goes on."""
        self.peer_left()
        timeout = self.connection.server.adapter.close_timeout
        if timeout and self.task is not None:
            self.connection.server.loop.call_later(timeout, self._cancel_unanswered)

    def _cancel_unanswered(self) -> None:
        if not self.started:
            self._cancel_abandoned()

    def lost(self) -> None:
        """The connection ended."""
        self.peer_left()
        self._nothing_more()
        if self.finished or self.task is None:
            self.give_up()  # or it is whole, but not all of it was handed over
        else:
            timeout = self.connection.server.adapter.close_timeout
            if timeout:
                self.connection.server.loop.call_later(timeout, self._cancel_abandoned)

    def _cancel_abandoned(self) -> None:
        if not self.finished:
            self.task.cancel()

    def shift(self, seconds: float) -> None:
        """The process did not run for a while: no clock shall have run either."""
        self._stopped += seconds
        if self.body_waiter is not None:
            self._body_since += seconds

    def on_deadline(self, now: float) -> None:
        """See which of this exchange's clocks ran out; set the next look."""
        connection = self.connection
        server = connection.server
        connection.deadline = NEVER
        if connection.outbox.full or connection.outbox.size:
            if now >= connection.stall_deadline:
                if connection.write_stalled():
                    self.abort()
                    return
                connection.stall_deadline = now + server.write_timeout
            connection.deadline = connection.stall_deadline
        timeout = connection.handler_timeout
        if timeout and not self.started and self.task is not None:
            deadline = self.begun + self._stopped + timeout
            if now >= deadline:
                self.timed_out = True
                self.task.cancel()
                return
            connection.deadline = min(connection.deadline, deadline)
        if self.body_waiter is not None:
            self.check_body_pace(self.body_waiter, now)

    def record(self, outcome: str) -> None:
        """Count this exchange, once, and leave a line for whoever wants to see it."""
        if self.outcome:
            return
        self.outcome = outcome
        if self._over is not None:
            self._nothing_more()
        connection = self.connection
        server = connection.server
        counters = server.counters
        if not self.ended:
            self.ended = server.clock()
        seconds = self.ended - self.begun
        counters.latency[latency_bucket(seconds)] += 1
        if outcome != DONE:
            counters.aborted += 1
        if server.recent is not None and not self.hidden:
            head = self.head
            server.recent.append((
                self.id, connection.id, self.begun, head.method, head.target, self.route,
                self.status, self.bytes_in, self.bytes_out, seconds,
                self.first_byte - self.begun if self.first_byte else seconds,
                connection.outbox.throttle_seconds - self.throttle_mark, outcome, self.error,
                head.version, connection.is_tls, self.kept))

