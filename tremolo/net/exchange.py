"""One request and its response, as the adapters see it.

Pushes the response through the writer into the outbox (the request's body is a `RequestBody` of
its own), and keeps both sides honest: whatever an application does, the client gets whole,
well-framed responses or a closed connection.
"""

import asyncio
import re
from typing import TYPE_CHECKING, Any, Awaitable, Callable, Iterable, Optional, Tuple

from ..protocol.http1 import ExcessBody, RequestHead, ResponseWriter, ShortBody
from .capture import Capture
from .counters import latency_bucket
from .handling import cancel_if_unanswered, cancel_if_unfinished
from .message_log import EVENT
from .request_body import RequestBody
from .states import (
    ABANDON,
    CLOSED,
    COMPLETE,
    HEADED,
    RETRACT,
    SEND_HEAD,
    SENDING,
    START,
    WAITING,
    Progress,
)
from .throttling.faults import BreakingPace, Faults
from .ticker import NEVER
from .waiters import Waiters

if TYPE_CHECKING:
    from .contracts import ExchangeConnection

Headers = Iterable[Tuple[bytes, bytes]]

DONE, ABORTED = "done", "aborted"
PLAIN = [(b"content-type", b"text/plain; charset=utf-8")]
#: bytes from which a piece of a body is not copied to join the response's head in one write
UNCOPIED = 128 * 1024
#: in the head of a response that is a stream of server-sent events
EVENT_STREAM = b"text/event-stream"
#: a response's head as an application may write it itself (RFC 9112 section 4)
RAW_HEAD = re.compile(rb"HTTP/1\.[01] ([1-9][0-9][0-9])[ \r].*?\r\n\r\n", re.DOTALL)


class ResponseMisuse(RuntimeError):
    """The application used the response out of order, or broke the length it promised."""


class Exchange:
    """One request and its response. `head` is the request; see the methods for the rest.

    Without `__slots__`: what most exchanges leave as it is stands in the class, and costs them
    nothing to set.
    """

    #: what is written is changed on its way, so that nothing may go past `write`
    filtered = False
    #: business of the server's own, which viewers are not shown
    hidden = False

    progress: Progress = WAITING
    #: what became of it once it is over: `DONE` or `ABORTED`
    outcome = ""
    status = 0
    bytes_in = 0
    bytes_out = 0
    #: the request's body, None if the head announces none
    body: Optional[RequestBody] = None
    #: instants: when the response's head was made, when it was handed over or given up
    first_byte = 0.0
    ended = 0.0
    #: route pattern, for displays
    route: Optional[str] = None
    #: the handler's own download rate in bytes per second, 0 for none
    rate = 0
    error: Optional[BaseException] = None
    task: Any = None
    #: its handler was cancelled for taking too long
    timed_out = False
    #: what the throttle lets go wrong with this response
    faults: Optional[Faults] = None
    breaking: Optional[BreakingPace] = None
    #: seconds of throttling: of the connection when it began; its own, once it is over
    throttle_mark = 0.0
    throttled = 0.0
    #: for viewers that want to see messages; None for nearly all exchanges
    capture: Optional[Capture] = None
    #: the response is a stream of server-sent events: its time says nothing of speed
    event_stream = False
    #: sees each piece of the request's body as it is read
    on_read: Optional[Callable[[bytes], None]] = None
    #: the server that answers in our place, for viewers
    proxied: Optional[str] = None
    #: called when the server begins to drain; for responses without an end of their own
    on_drain: Optional[Callable[[], None]] = None
    _kept_back: Optional[Tuple[int, Headers, bytes, Optional[int]]] = None
    #: None for all exchanges that nobody waits for
    _waiters: Optional[Waiters] = None
    #: seconds for which a viewer held the request
    held = 0.0
    #: seconds during which the process did not run
    stopped = 0.0

    def __init__(self, connection: "ExchangeConnection", head: RequestHead) -> None:
        server = connection.server
        counters = server.counters
        counters.requests += 1
        self.id = counters.requests
        self.connection = connection
        self.head = head
        self.begun = server.clock()
        self.writer = ResponseWriter(head.method, head.version,
                                     head.keep_alive and server.keep_alive)
        if head.has_body:
            self.body = RequestBody(self, head.expect_continue)
        throttled = connection.outbox.throttle_seconds
        if throttled:
            self.throttle_mark = throttled
        if server.captures_left > 0:
            server.captures_left -= 1
            self.capture = Capture(head.headers)

    @property
    def started(self) -> bool:
        """The response's head was given, though perhaps not sent yet. (Hot code asks
        `progress`, to save this call.)"""
        return self.progress.started

    @property
    def finished(self) -> bool:
        """The response is whole, or given up."""
        return self.progress.finished

    @property
    def disconnected(self) -> bool:
        """The client is gone: nothing can be sent any more."""
        return self.connection.lost

    # -- the request's body -------------------------------------------------------------------

    @property
    def body_done(self) -> bool:
        """Nothing of the request is left to be read."""
        return self.body is None or self.body.done

    def set_body_limit(self, limit: Optional[int]) -> None:
        """Bound this request's body to `limit` bytes (None: not at all). Before reading."""
        self.connection.parser.set_body_limit(limit)

    def read_nowait(self) -> Optional[bytes]:
        """The next piece of the body that is there; b"" at its end, None if one must wait.

        Raises ClientDisconnected, or ProtocolError for a body that breaks its framing or its
        limit.
        """
        return b"" if self.body is None else self.body.read_nowait()

    async def read(self) -> bytes:
        """The next piece of the body, sized to what came; b"" at its end. Errors as
        `read_nowait`."""
        return b"" if self.body is None else await self.body.read()

    # -- the response -------------------------------------------------------------------------

    def start(self, status: int, headers: Headers, *, reason: bytes = b"",
              length: Optional[int] = None) -> None:
        """Give the response's head; it is kept back to join the first body write.

        `length` is the body's length in bytes when it is known and no Content-Length is in
        `headers`. Raises ResponseMisuse if a response was started already; errors in the
        headers are raised by the first write.
        """
        progress = self.progress
        if progress.started:
            raise ResponseMisuse("a response was already started for this request")
        self.progress = progress.after[START]
        if progress.abandoned:
            return
        self.status = status
        self._kept_back = (status, headers, reason, length)

    def promise(self, length: int) -> None:
        """The body will have `length` bytes, if the head does not say so itself. Without effect
        once the head is on its way."""
        if self._kept_back is not None and self._kept_back[3] is None:
            self._kept_back = (*self._kept_back[:3], length)

    def _retract(self) -> None:
        self.progress = self.progress.after[RETRACT]
        self.status = 0
        self._kept_back = None

    def _make_head(self, length: Optional[int]) -> bytes:
        status, headers, reason, given = self._kept_back  # type: ignore[misc]
        connection = self.connection
        body = self.body
        if body is not None and body.withheld:
            self.writer.keep_alive = False
        server = connection.server
        preface = server.preface if connection.server_line is None else connection.preface
        try:
            head = self.writer.head(status, headers, reason,
                                    length if given is None else given, preface)
        except ValueError:
            self._retract()
            raise
        self.progress = HEADED.after[SEND_HEAD]
        self._kept_back = None
        if length is None and EVENT_STREAM in head:
            self.event_stream = True
        if self.capture is not None:
            self.capture.response_head = head
        if self.faults is not None:
            server.throttler.arm(connection, self, len(head))
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
        progress = self.progress
        if progress is WAITING:
            raise ResponseMisuse("the response's body came before its start")
        connection = self.connection
        if connection.state is CLOSED or progress.abandoned:
            return None
        if progress.finished:
            raise ResponseMisuse("the response is already complete")
        if type(data) is not bytes:
            # It may wait here while its owner changes it.
            data = bytes(memoryview(data))
        writer = self.writer
        head = self._make_head(None) if progress is HEADED else b""
        try:
            framed = writer.body(data)
        except ExcessBody as exc:
            self._cut(head, exc.allowed)
            raise ResponseMisuse(str(exc)) from None
        size = len(data)
        if framed:  # else the response has no body, as one to HEAD
            self.bytes_out += size
        if self.capture is not None and framed:
            self.capture.add(self.capture.response_body, data)
        if self.breaking is not None:
            self.breaking.framed(size, len(framed))
        outbox = connection.outbox
        if head:
            if size < UNCOPIED:
                framed = head + framed
            else:
                outbox.push(head)
        wait = outbox.push(framed) if framed else None
        if wait is not None:
            connection.watch_writes()
        if self.event_stream and not self.hidden \
                and connection.server.message_log is not None:
            connection.server.message_log.add(
                connection.server.loop.time(), connection.id, self.id, False, EVENT, data,
                wait is not None)
        return wait

    def write_raw(self, data: bytes) -> Optional[Awaitable[None]]:
        """Send `data` as it is: before `start` the head is in it, after that it is framed by the
        caller; so is all that is written later (see `ResponseWriter.unframe`). A whole interim
        response (RFC 9110 section 15.2) leaves the response itself to be given. Otherwise as
        `write`."""
        progress = self.progress
        if self.connection.state is CLOSED or progress.abandoned:
            return None
        data = bytes(data)
        if progress is WAITING:
            match = RAW_HEAD.match(data)
            status = 0 if match is None else int(match.group(1))
            if match is not None and match.end() == len(data) and status // 100 == 1 \
                    and status != 101:
                return self.connection.outbox.push(data)
            head = b"" if match is None else match.group()
            self._begin_raw(status, head)
            data = data[len(head):]
        elif not progress.finished:
            self.unframe()
        return self.write(data)

    def _begin_raw(self, status: int, head: bytes) -> None:
        """The response begins with a `head` that the application wrote, b"" if that came in
        another shape than a whole one."""
        self.writer.unframe()
        connection = self.connection
        self.progress = self.progress.after[START].after[SEND_HEAD]
        self.status = status
        if self.capture is not None:
            self.capture.response_head = head
        if self.faults is not None:
            connection.server.throttler.arm(connection, self, len(head))
        self.first_byte = connection.server.clock()
        if status:
            connection.server.counters.status[status // 100] += 1
        connection.deadline = NEVER
        if head:
            connection.outbox.push(head)

    def unframe(self) -> None:
        """Let the caller frame what follows. A head that is kept back leaves before that."""
        if self.progress is HEADED:
            self.connection.outbox.push(self._make_head(None))
        self.writer.unframe()

    def finish(self, trailers: Iterable[Tuple[bytes, bytes]] = ()) -> None:
        """Complete the response. Raises ResponseMisuse for fewer bytes than were promised; the
        connection is then reset, so that the client cannot take the part for the whole, unless
        nothing has left yet: then there is no response, and another may be given."""
        self.write_last(b"", trailers)

    def respond(self, status: int, headers: Headers, body: bytes = b"",
                reason: bytes = b"") -> None:
        """Start, write and finish in one; the response leaves in one write."""
        self.start(status, headers, reason=reason)
        self.write_last(body)

    def write_last(self, data: bytes, trailers: Iterable[Tuple[bytes, bytes]] = ()) -> None:
        """`write` and `finish` in one, for the last piece of a body."""
        progress = self.progress
        if progress is WAITING:
            raise ResponseMisuse("the response was finished before it was started")
        connection = self.connection
        if connection.state is CLOSED or progress.abandoned:
            self.give_up()
            return
        if progress.finished:
            raise ResponseMisuse("the response is already complete")
        if type(data) is not bytes:
            data = bytes(memoryview(data))
        size = len(data)
        writer = self.writer
        head = b""
        if progress is HEADED:
            body = self.body
            if body is not None and not body.done and not body.short:
                writer.keep_alive = False
            head = self._make_head(None if trailers else size)
            # All in one turn: the clock need not be asked again.
            self.ended = self.first_byte
        keep_alive = writer.keep_alive
        try:
            framed, end = writer.last(data, tuple(trailers) if trailers else ())
        except ExcessBody as exc:
            self._cut(head, exc.allowed)
            raise ResponseMisuse(str(exc)) from None
        except ShortBody as exc:
            if head:
                self._unmake_head(keep_alive)  # nothing has left yet: there can be another answer
            else:
                self.abort()
            raise ResponseMisuse(str(exc)) from None
        if framed:  # else the response has no body, as one to HEAD
            self.bytes_out += size
        if self.capture is not None and framed:
            self.capture.add(self.capture.response_body, data)
        if self.breaking is not None:
            self.breaking.framed(size, len(framed) + len(end))
        self.progress = SENDING.after[COMPLETE]
        outbox = connection.outbox
        if size >= UNCOPIED and framed:
            if head:
                outbox.push(head)
            outbox.push(framed)
            framed = end
        else:
            framed = head + framed + end if end else head + framed
        if framed:
            outbox.push_now(framed)
        else:
            outbox.flush()
        connection.completed(self)
        if self._waiters is not None:
            self._waiters.disconnected()

    def _unmake_head(self, keep_alive: bool) -> None:
        self.connection.server.counters.status[self.status // 100] -= 1
        self.first_byte = self.ended = 0.0
        self.writer = ResponseWriter(self.head.method, self.head.version, keep_alive)
        self.progress = HEADED
        self._retract()

    def _cut(self, head: bytes, last: bytes) -> None:
        """The application wrote too much: send what it promised, then close."""
        self.writer.keep_alive = False
        self.progress = SENDING.after[COMPLETE]
        self.bytes_out += len(last)
        self.connection.outbox.push_now(head + last)
        self.connection.completed(self)

    def flush(self) -> None:
        """Send what was written so far, the head included."""
        if self.progress is HEADED and not self.connection.lost:
            self.connection.outbox.push(self._make_head(None))
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

    def upgraded(self, head: bytes) -> None:
        """A 101 with this `head` is the response; what follows on the connection is not ours."""
        if self.capture is not None:
            self.capture.response_head = head
        self.progress = self.progress.after[COMPLETE]
        self.status = 101
        if self.body is not None:
            self.body.done = True
        server = self.connection.server
        self.first_byte = server.loop.time()
        server.counters.status[1] += 1
        if self._waiters is not None:
            self._waiters.disconnected()

    def set_rate(self, rate: int) -> None:
        """Throttle this response to `rate` bytes per second; 0 leaves it to other scopes."""
        if rate != self.rate:
            self.rate = rate
            self.connection.server.throttler.rethrottle(self.connection)

    # -- the end ------------------------------------------------------------------------------

    def refuse(self, status: int, body: bytes, *, keep_alive: bool = False,
               headers: Headers = PLAIN) -> None:
        """Answer with an error and close; or reset, if a response is already under way."""
        progress = self.progress
        if progress.finished:
            return
        if progress is SENDING:
            self.abort()
            return
        self._retract()
        self.writer = ResponseWriter(self.head.method, self.head.version,
                                     keep_alive and self.writer.keep_alive)
        self.respond(status, headers, body + b"\n")

    def settle(self) -> None:
        """The handler ended without a whole response."""
        if self.connection.lost:
            self.give_up()
        elif self.progress is SENDING:
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
        self.drop_unsent()
        self.progress = self.progress.after[ABANDON]
        self.record(ABORTED)

    def drop_unsent(self) -> None:
        """What waits in the outbox will not be sent, and does not count as sent."""
        if not self.outcome:
            self.bytes_out = max(0, self.bytes_out - self.connection.outbox.size)

    def record(self, outcome: str) -> None:
        """Count this exchange, once, and leave it for whoever wants to see what ended."""
        if self.outcome:
            return
        self.outcome = outcome
        if self._waiters is not None:
            self._waiters.ended()
        connection = self.connection
        server = connection.server
        counters = server.counters
        if not self.ended:
            self.ended = server.clock()
        if self.status != 101 and not self.event_stream:
            counters.latency[latency_bucket(self.ended - self.begun - self.held)] += 1
        if outcome != DONE:
            counters.aborted += 1
        if server.recent is not None and not self.hidden:
            self.throttled = connection.outbox.throttle_seconds - self.throttle_mark
            server.recent.append(self)

    # -- the client's leaving, and those who wait ------------------------------------------------

    def peer_left(self) -> None:
        """The client closed its side: notify those who wait for just that."""
        if self.body is not None:
            self.body.arrived()
        if self._waiters is not None:
            self._waiters.disconnected()

    def half_closed(self) -> None:
        """The client closed its side. It may still read, so an answer that has begun goes on."""
        self.peer_left()
        cancel_if_unanswered(self)

    def lost(self) -> None:
        """The connection ended."""
        self.peer_left()
        if self._waiters is not None:
            self._waiters.ended()
        if self.progress.finished or self.task is None:
            self.give_up()  # or it is whole, but not all of it was handed over
        else:
            cancel_if_unfinished(self)

    def shift(self, seconds: float) -> None:
        """The process did not run for a while: no clock shall have run either."""
        self.stopped += seconds
        if self.body is not None:
            self.body.shift(seconds)

    def disconnect_waiter(self) -> "asyncio.Future[None]":
        """A future that is done once the client left, or the response is whole. Each caller has
        its own, so that cancelling one wait disturbs no other."""
        connection = self.connection
        return self._waited().for_disconnect(
            connection.lost or connection.eof or self.progress.finished)

    def over(self) -> "asyncio.Future[None]":
        """A future that is done once nothing more can be sent: the response was handed over or
        given up, or the connection is lost. A client that closed only its own side still gets
        the rest."""
        return self._waited().for_end(bool(self.outcome) or self.connection.lost)

    def _waited(self) -> Waiters:
        if self._waiters is None:
            self._waiters = Waiters(self.connection.server.loop)
        return self._waiters
