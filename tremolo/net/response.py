"""The response of one exchange: its head and its body, through the writer into the outbox.

Keeps an application honest: whatever it does, its client gets whole, well-framed responses or a
closed connection. Knows the connection that it is written to; how far it is is its `progress`, of
`tremolo.net.states`. What follows once it is whole or given up, the connection knows.
"""

from typing import TYPE_CHECKING, Awaitable, Iterable, Optional, Tuple

from ..protocol.http1 import ExcessBody, RequestHead, ResponseWriter, ShortBody, raw_head
from .capture import Capture
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

if TYPE_CHECKING:
    from .contracts import ExchangeConnection

Headers = Iterable[Tuple[bytes, bytes]]

PLAIN = [(b"content-type", b"text/plain; charset=utf-8")]
#: bytes from which a piece of a body is not copied to join the response's head in one write
UNCOPIED = 128 * 1024
#: in the head of a response that is a stream of server-sent events
EVENT_STREAM = b"text/event-stream"


class ResponseMisuse(RuntimeError):
    """The application used the response out of order, or broke the length it promised."""


class Response:
    """One response: `start`, any number of `write`, then `finish`; or `respond`, which is all.

    It does not know its exchange, which has it: both would live on until the collector comes.
    """

    __slots__ = ("_capture", "_kept_back", "_request", "_request_body", "breaking", "bytes_out",
                 "connection", "event_stream", "faults", "first_byte", "progress", "status",
                 "writer")

    #: what is written is changed on its way, so that nothing may go past `write`
    filtered = False

    def __init__(self, connection: "ExchangeConnection", request: RequestHead,
                 body: Optional[RequestBody], capture: Optional[Capture]) -> None:
        """The response to `request`, whose `body` decides with it whether the connection
        persists."""
        self.connection = connection
        self._request = request
        self._request_body = body
        self._capture = capture
        self.writer = ResponseWriter(request.method, request.version,
                                     request.keep_alive and connection.server.keep_alive)
        self.progress: Progress = WAITING
        self.status = 0
        #: of the body, without what frames it
        self.bytes_out = 0
        #: the instant when the head was made
        self.first_byte = 0.0
        #: what the throttle lets go wrong with it
        self.faults: Optional[Faults] = None
        self.breaking: Optional[BreakingPace] = None
        #: it is a stream of server-sent events: its time says nothing of speed
        self.event_stream = False
        self._kept_back: Optional[Tuple[int, Headers, bytes, Optional[int]]] = None

    @property
    def started(self) -> bool:
        """The head was given, though perhaps not sent yet. (Hot code asks `progress`, to save
        this call.)"""
        return self.progress.started

    @property
    def finished(self) -> bool:
        """It is whole, or given up."""
        return self.progress.finished

    def end_connection(self) -> None:
        """The connection shall not outlive this response."""
        self.writer.keep_alive = False

    # -- the head -----------------------------------------------------------------------------

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
        body = self._request_body
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
        if self._capture is not None:
            self._capture.response_head = head
        if self.faults is not None:
            server.throttler.arm(connection, self, len(head))
        self.first_byte = server.clock()
        server.counters.status[status // 100] += 1
        connection.deadline = NEVER  # the handler's clock stops: it has begun to answer
        return head

    def _unmake_head(self, keep_alive: bool) -> None:
        self.connection.server.counters.status[self.status // 100] -= 1
        self.first_byte = 0.0
        self._renew_writer(keep_alive)
        self.progress = HEADED
        self._retract()

    def _renew_writer(self, keep_alive: bool) -> None:
        self.writer = ResponseWriter(self._request.method, self._request.version, keep_alive)

    # -- the body -----------------------------------------------------------------------------

    def write(self, data: bytes) -> Optional[Awaitable[None]]:
        """Send a piece of the body. None: go on; else await the result before the next.

        After the client left the data is dropped. Raises ResponseMisuse before `start`, after
        `finish`, and for more bytes than were promised: what still fits is sent, and the
        connection closed after it (RFC 9112 section 6.3).
        """
        if type(data) is not bytes:
            # It may wait here while its owner changes it.
            data = bytes(memoryview(data))
        connection = self.connection
        outbox = connection.outbox
        if self.progress is not SENDING or connection.state is CLOSED:
            if self.progress is not HEADED or connection.state is CLOSED:
                self._check_order("the response's body came before its start")
                return None
            outbox.push(self._make_head(None))
        try:
            framed = self.writer.body(data)
        except ExcessBody as exc:
            self._cut(b"", exc.allowed)
            raise ResponseMisuse(str(exc)) from None
        if framed:  # else the response has no body, as one to HEAD
            self.bytes_out += len(data)
        if self._capture is not None and framed:
            self._capture.add(self._capture.response_body, data)
        if self.breaking is not None:
            self.breaking.framed(len(data), len(framed))
        wait = outbox.push(framed) if framed else None
        if wait is not None:
            connection.watch_writes()
        if self.event_stream:
            self._log_events(data, wait is not None)
        return wait

    def _check_order(self, too_early: str) -> None:
        """Raise for what is written out of order; else nobody gets it."""
        if self.progress is WAITING:
            raise ResponseMisuse(too_early)
        if self.progress.finished and not self.progress.abandoned \
                and self.connection.state is not CLOSED:
            raise ResponseMisuse("the response is already complete")

    def _log_events(self, data: bytes, waited: bool) -> None:
        connection = self.connection
        log = connection.server.message_log
        exchange = connection.cycle.current  # ours, as long as its response is not whole
        if log is not None and exchange is not None and not exchange.hidden:
            log.add(connection.server.loop.time(), connection.id, exchange.id, False, EVENT,
                    data, waited)

    def write_last(self, data: bytes, trailers: Headers = ()) -> None:
        """`write` and `finish` in one, for the last piece of a body."""
        progress = self.progress
        connection = self.connection
        if (progress is not HEADED and progress is not SENDING) or connection.state is CLOSED:
            self._check_order("the response was finished before it was started")
            connection.cycle.give_up(self)
            return
        if type(data) is not bytes:
            data = bytes(memoryview(data))
        size = len(data)
        writer = self.writer
        head = b""
        if progress is HEADED:
            body = self._request_body
            if body is not None and not body.done and not body.short:
                writer.keep_alive = False
            head = self._make_head(None if trailers else size)
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
        if self._capture is not None and framed:
            self._capture.add(self._capture.response_body, data)
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
        # With the head it is all in one turn: the clock need not be asked again.
        connection.cycle.completed(self.first_byte if head else connection.server.clock())

    def finish(self, trailers: Headers = ()) -> None:
        """Complete the response. Raises ResponseMisuse for fewer bytes than were promised; the
        connection is then reset, so that the client cannot take the part for the whole, unless
        nothing has left yet: then there is no response, and another may be given."""
        self.write_last(b"", trailers)

    def respond(self, status: int, headers: Headers, body: bytes = b"",
                reason: bytes = b"") -> None:
        """Start, write and finish in one; the response leaves in one write."""
        self.start(status, headers, reason=reason)
        self.write_last(body)

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

    def _cut(self, head: bytes, last: bytes) -> None:
        """The application wrote too much: send what it promised, then close."""
        self.writer.keep_alive = False
        self.progress = SENDING.after[COMPLETE]
        self.bytes_out += len(last)
        self.connection.outbox.push_now(head + last)
        self.connection.cycle.completed(self.connection.server.clock())

    # -- what others frame, and what is no response ---------------------------------------------

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
            status, head = raw_head(data)
            if len(head) == len(data) and status // 100 == 1 and status != 101:
                return self.connection.outbox.push(data)
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
        if self._capture is not None:
            self._capture.response_head = head
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

    def inform(self, status: int, headers: Headers) -> None:
        """Send an interim response, such as 103 (RFC 8297). Not to HTTP/1.0."""
        if not self.started and not self.connection.lost and self._request.version != b"1.0":
            self.connection.outbox.push_now(ResponseWriter.informational(status, headers))

    def switch(self, headers: Headers) -> bytes:
        """The head of a 101, which is the response: what follows on the connection is not ours.
        Raises ValueError for headers that may not be sent."""
        connection = self.connection
        head = self.writer.head(101, headers, preface=connection.preface)
        if self._capture is not None:
            self._capture.response_head = head
        self.progress = self.progress.after[COMPLETE]
        self.status = 101
        self.first_byte = connection.server.loop.time()
        connection.server.counters.status[1] += 1
        return head

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
        self._renew_writer(keep_alive and self.writer.keep_alive)
        self.respond(status, headers, body + b"\n")

    def abort(self) -> None:
        """Reset the connection: what was promised cannot be delivered."""
        self.connection.cycle.give_up(self)
        if not self.connection.lost:
            self.connection.reset()

    def abandon(self) -> None:
        """It will not be completed: nothing more of it is written."""
        self.progress = self.progress.after[ABANDON]

    def drop_unsent(self) -> None:
        """What waits in the outbox will not be sent, and does not count as sent."""
        self.bytes_out = max(0, self.bytes_out - self.connection.outbox.size)
