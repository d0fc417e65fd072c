"""One request and its response, as the adapters see it.

It has the `response`, and if the head announces one the request's `body`, each an object of its
own; what became of it in the end is recorded here, and those who wait for that are notified.
"""

import asyncio
from bisect import bisect_right
from typing import TYPE_CHECKING, Any, Callable, Optional, Type

from ..protocol.http1 import RequestHead
from .capture import Capture
from .counters import LATENCY_BOUNDS
from .handling import cancel_if_unanswered, cancel_if_unfinished
from .recent import LEFT_OUT, SAMPLED
from .request_body import RequestBody
from .response import Response
from .sought import Sought
from .states import SENDING
from .waiters import Waiters

if TYPE_CHECKING:
    from .contracts import ExchangeConnection

DONE, ABORTED = "done", "aborted"


#: what is set of exchanges, beginning with what each has: see `Exchange.__init_subclass__`
SET = ("id", "connection", "head", "begun", "task", "outcome", "held", "waiters", "body",
       "choice", "throttle_mark", "response", "ended", "bytes_in", "route", "error", "stands_for",
       "sought", "capture", "insight", "throttled")


class Exchange:
    """One request and its response. `head` is the request; see the methods for the rest.

    Without `__slots__`: what most exchanges leave as it is stands in the class, and costs them
    nothing to set. What each request is asked for is set for each, though: Python finds that
    faster than what it must look for in the class, by 5 to 1.
    """

    #: what answers are made by
    response_kind: Type[Response] = Response
    #: business of the server's own, which viewers are not shown: whoever sets it makes it a
    #: `choice`, too, so that it does not count among those that are left out
    hidden = False
    bytes_in = 0
    #: route pattern, for displays
    route: Optional[str] = None
    #: the handler's own download rate in bytes per second, 0 for none
    rate = 0
    error: Optional[BaseException] = None
    #: its handler was cancelled for taking too long
    timed_out = False
    #: seconds of throttling: of the connection when it began; its own, once it is shown
    throttle_mark = 0.0
    throttled = 0.0
    #: how it came to be shown to viewers, or did not
    choice = SAMPLED
    #: of how many that began it was chosen for the sample
    stands_for = 1.0
    #: what viewers look for and it is one of
    sought: Optional[Sought] = None
    #: for viewers that want to see messages; None for nearly all exchanges
    capture: Optional[Capture] = None
    #: what happens within, for viewers; None where nobody looks into it
    insight: Any = None
    #: sees each piece of the request's body as it is read
    on_read: Optional[Callable[[bytes], None]] = None
    #: the server that answers in the application's place, or what else does, for viewers
    proxied: Optional[str] = None
    #: called when the server begins to drain; for responses without an end of their own
    on_drain: Optional[Callable[[], None]] = None
    #: the instant when it was handed over or given up
    ended = 0.0
    #: seconds during which the process did not run
    stopped = 0.0

    def __init_subclass__(cls) -> None:
        # CPython (since 3.11) needs no dict for the attributes of an object that the first ones
        # of its class had, too. What only viewers ask for begins to be set later than that, and
        # would make a dict for each exchange: a twentieth of what a request costs.
        super().__init_subclass__()
        first = cls.__new__(cls)
        for name in SET:
            setattr(first, name, None)

    def __init__(self, connection: "ExchangeConnection", head: RequestHead) -> None:
        server = connection.server
        counters = server.counters
        counters.requests += 1
        self.id = counters.requests
        self.connection = connection
        self.head = head
        self.begun = server.clock()
        self.task: Any = None
        #: what became of it once it is over: `DONE` or `ABORTED`
        self.outcome = ""
        #: seconds for which a viewer held the request
        self.held = 0.0
        #: None for all exchanges that nobody waits for
        self.waiters: Optional[Waiters] = None
        #: the request's body, None if the head announces none
        body = self.body = RequestBody(self, head.expect_continue) if head.has_body else None
        capture = None
        recent = server.recent
        if recent is not None:
            if recent.until_next > 1 and (not recent.asks or head.target in recent.seen):
                # As `begin` would have it, without the call, which costs as much as all of this.
                recent.until_next -= 1
                self.choice = LEFT_OUT
            else:
                capture = recent.begin(self)
        throttled = connection.outbox.throttle_seconds
        if throttled:
            self.throttle_mark = throttled
        self.response = self.response_kind(connection, head, body, capture)

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

    def set_rate(self, rate: int) -> None:
        """Throttle this response to `rate` bytes per second; 0 leaves it to other scopes."""
        if rate != self.rate:
            self.rate = rate
            self.connection.server.throttler.rethrottle(self.connection)

    def settle(self) -> None:
        """The handler ended without a whole response."""
        response = self.response
        if self.connection.lost:
            self.give_up()
        elif response.progress is SENDING:
            response.abort()
        elif self.connection.eof and not self.body_done:
            # It may still read why (RFC 9112 section 8).
            response.refuse(400, b"bad request: the connection ended in the middle of it")
        else:
            response.refuse(500, b"Internal Server Error")

    def switched(self) -> None:
        """The response is a 101: what follows on the connection is not ours."""
        if self.body is not None:
            self.body.done = True
        if self.waiters is not None:
            self.waiters.disconnected()

    # -- the end ------------------------------------------------------------------------------

    def give_up(self) -> None:
        """The response will not be completed."""
        self.drop_unsent()
        self.response.abandon()
        self.record(ABORTED, self.connection.server.clock())

    def drop_unsent(self) -> None:
        """What waits in the outbox will not be sent, and does not count as sent."""
        if not self.outcome:
            self.response.drop_unsent()

    def record(self, outcome: str, now: float) -> None:
        """Count this exchange, once, and leave it for whoever wants to see what ended."""
        if self.outcome:
            return
        self.outcome = outcome
        self.ended = now
        if self.waiters is not None:
            self.waiters.ended()
        server = self.connection.server
        response = self.response
        seconds = now - self.begun - self.held
        lasting = response.event_stream or response.status == 101
        if not lasting:
            server.counters.latency[bisect_right(LATENCY_BOUNDS, seconds)] += 1
        if outcome != DONE:
            server.counters.aborted += 1
        recent = server.recent
        if recent is not None:
            if self.choice or seconds >= recent.judged_from or lasting or outcome != DONE \
                    or response.status >= 500:
                if not self.hidden:
                    recent.end(self, seconds, lasting or outcome != DONE
                               or response.status >= 500)
            else:
                recent.plain_out += 1  # as `end` would have it

    # -- the client's leaving, and those who wait ------------------------------------------------

    def peer_left(self) -> None:
        """The client closed its side: notify those who wait for just that."""
        if self.body is not None:
            self.body.arrived()
        if self.waiters is not None:
            self.waiters.disconnected()

    def half_closed(self) -> None:
        """The client closed its side. It may still read, so an answer that has begun goes on."""
        self.peer_left()
        cancel_if_unanswered(self)

    def lost(self) -> None:
        """The connection ended."""
        self.peer_left()
        if self.waiters is not None:
            self.waiters.ended()
        if self.response.finished or self.task is None:
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
            connection.lost or connection.eof or self.response.finished)

    def over(self) -> "asyncio.Future[None]":
        """A future that is done once nothing more can be sent: the response was handed over or
        given up, or the connection is lost. A client that closed only its own side still gets
        the rest."""
        return self._waited().for_end(bool(self.outcome) or self.connection.lost)

    def _waited(self) -> Waiters:
        if self.waiters is None:
            self.waiters = Waiters(self.connection.server.loop)
        return self.waiters


Exchange.__init_subclass__()
