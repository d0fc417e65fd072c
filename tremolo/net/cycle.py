"""The exchanges of one connection, one after the other.

Knows the parser that requests come from and the exchange in progress; the transport, the clocks
and the state are the connection's, which is told what it comes to.

One exchange at a time: what a client sends ahead waits in the parser (RFC 9112 section 9.3.2).
"""

from typing import TYPE_CHECKING, Optional

from ..protocol.http1 import ProtocolError, RequestHead, RequestParser, refusal
from .exchange import DONE, Exchange
from .handling import handle
from .response import Response
from .states import DISCARD, EXCHANGE, FLUSH, HEAD, HEAD_BEGUN, IDLE, NEXT, REQUEST
from .ticker import NEVER

if TYPE_CHECKING:
    from .contracts import CycleConnection

#: seconds in which the rest of a body has to come that the application left
DISCARD_SECONDS = 1.0


class Cycle:
    """Takes up requests and goes on, or ends the connection, once each is answered.

    `current` is the exchange in progress, `requests` how many there were.
    """

    __slots__ = ("_connection", "current", "parser", "requests")

    def __init__(self, connection: "CycleConnection", parser: RequestParser) -> None:
        self._connection = connection
        self.parser = parser
        self.current: Optional[Exchange] = None
        self.requests = 0

    def advance(self) -> None:
        """Take up the next request, if its head is there."""
        connection = self._connection
        state = connection.state
        if state is not IDLE and state is not HEAD:
            return
        try:
            head = self.parser.next_event()
        except ProtocolError as exc:
            self.refuse(exc)
            return
        if type(head) is not RequestHead:
            self._wait_for_head()
            return
        server = connection.server
        self.requests += 1
        exchange = self.current = server.new_exchange(connection, head)
        timeout = connection.handler_timeout
        connection.enter(state.after[REQUEST],
                         exchange.begun + timeout if timeout else NEVER)
        if (server.throttle.active or connection.pacer is not None) \
                and server.throttler.begin(connection, exchange):
            return
        task = exchange.task = server.create_task(handle(exchange, server))
        if not task.done():  # it may have been the matter of one step
            server.tasks.add(task)

    def _wait_for_head(self) -> None:
        connection = self._connection
        if connection.eof:
            connection.close()
        elif connection.state is IDLE and self.parser.in_head:
            # The first head's clock runs from the accept, a later one's from its first byte.
            seconds = connection.settings.request_timeout
            connection.enter(IDLE.after[HEAD_BEGUN], connection.server.loop.time() + seconds
                             if self.requests else connection.deadline)

    def completed(self, now: float) -> None:
        """The response of the exchange in progress is whole. Once it has been handed over, go
        on or end."""
        connection = self._connection
        exchange: Exchange = self.current  # type: ignore[assignment]
        outbox = connection.outbox
        if connection.state is not EXCHANGE:  # it is closing already
            exchange.record(DONE, now)
        elif outbox.size or outbox.full:
            connection.enter(EXCHANGE.after[FLUSH], connection.deadline)
            outbox.on_empty = self._emptied
            connection.watch_writes()
            if exchange.waiters is not None:
                exchange.waiters.disconnected()
            outbox.flush()
        else:
            self._handed_over(exchange, now)

    def _emptied(self) -> None:
        exchange = self.current
        if exchange is None:
            return
        now = self._connection.server.clock()
        if self._connection.state.closing:
            exchange.record(DONE, now)
        else:
            self._handed_over(exchange, now)

    def _handed_over(self, exchange: Exchange, now: float) -> None:
        """The response has left: on to the next request, or to the end."""
        exchange.record(DONE, now)
        connection = self._connection
        body = exchange.body
        response = exchange.response
        if body is not None and body.awaited:
            connection.enter(connection.state.after[DISCARD],
                             connection.server.loop.time() + DISCARD_SECONDS)
            self.discard()
        elif not response.writer.keep_alive or (connection.eof and not self.parser.buffered):
            faults = response.faults
            if faults is not None and faults.slow_close:
                connection.server.loop.call_later(faults.slow_close, connection.end)
            else:
                connection.end()
        else:
            self._next(now)

    def _next(self, now: float) -> None:
        """Wait for the next request, which may have come already."""
        connection = self._connection
        connection.enter(connection.state.after[NEXT],
                         now + connection.settings.keepalive_timeout)
        self.current = None
        server = connection.server
        ahead = self.parser.next_cycle()
        if connection.stream.paused:
            connection.stream.resume_reading()
        if ahead:
            # Not from within the handler's task: the next one must not inherit its context
            # variables.
            server.call_soon(self.advance)
        if server.draining:
            server.release(connection)
        elif server.full:
            server.accept_again()

    def discard(self) -> None:
        """Read what the application left of the request's body, as far as that is worth it to
        keep the connection."""
        connection = self._connection
        exchange = self.current
        body = exchange.body if exchange is not None else None
        if exchange is None or body is None:
            return
        if body.withheld or not exchange.response.writer.keep_alive:
            connection.end()
            return
        try:
            worthwhile = body.discard()
        except ProtocolError:
            worthwhile = False
        if body.done:
            self._next(connection.server.loop.time())
        elif connection.eof or not worthwhile:
            connection.end()
        else:
            connection.stream.resume_reading()

    # -- the end -----------------------------------------------------------------------------

    def refuse(self, exc: ProtocolError) -> None:
        """Answer a request that cannot be understood; nothing after it is looked at."""
        connection = self._connection
        server = connection.server
        server.counters.protocol_errors += 1
        server.counters.status[exc.status // 100] += 1
        connection.outbox.push_now(refusal(exc, connection.preface))
        server.refused(connection, exc)
        connection.end()

    def give_up(self, response: Response) -> None:
        """This response will not be completed."""
        exchange = self.current
        if exchange is not None and exchange.response is response:
            exchange.give_up()

    def stop(self) -> bool:
        """Nothing more is taken up. Whether something that the client sent is still unread."""
        exchange, self.current = self.current, None
        return exchange is None or not exchange.body_done or self.parser.buffered > 0
