"""Applies the throttle in force to the connections of a server.

`pacer` decides what may pass; this carries it out: where bytes wait, when they
are tried again, and how a change reaches a running transfer (one assignment and a wake-up).
An unthrottled connection has no Pacer and pays one comparison a request.
"""

from typing import TYPE_CHECKING, Any, List, Mapping, Optional, Protocol, Tuple

from ...protocol.http1 import RequestHead, RequestParser, ResponseWriter
from ...throttle import Throttle
from ..outbox import Outbox
from ..stream import Stream
from ..ticker import NEVER
from .bucket import RateLimit
from .faults import NO_FAULTS, Breakable, BreakingPace, Faults
from .pacer import Pacer
from .table import ThrottleTable

if TYPE_CHECKING:
    import asyncio
    from random import Random

READ_SIZE = 64 * 1024


class PacedResponse(Protocol):
    """A response, as far as the throttle goes."""

    writer: ResponseWriter
    faults: Optional[Faults]
    breaking: Optional[BreakingPace]

    def refuse(self, status: int, body: bytes, *, keep_alive: bool = False) -> None: ...


class PacedExchange(Protocol):
    """An exchange, as far as the throttle goes."""

    begun: float
    head: RequestHead
    rate: int
    task: Any

    @property
    def response(self) -> PacedResponse: ...


class Paced(Breakable, Protocol):
    """A connection, as far as the throttle goes."""

    id: int
    opened: float
    peer: Any
    pacer: Optional[Pacer]
    pace_due: float
    outbox: Outbox
    stream: Stream

    @property
    def parser(self) -> RequestParser: ...
    @property
    def current(self) -> Optional[PacedExchange]: ...


class Throttled(Protocol):
    """The server whose connections are throttled."""

    loop: "asyncio.AbstractEventLoop"
    throttle: ThrottleTable
    ticker: Any
    tasks: Any

    @property
    def connections(self) -> Mapping[int, Paced]: ...


class Throttler:
    """The throttle of one server's connections."""

    def __init__(self, server: Throttled) -> None:
        self._server = server
        self._random: Optional[Random] = None

    def _chance(self) -> "Random":
        if self._random is None:
            from random import Random  # deferred: nothing is left to chance without a throttle

            self._random = Random()
        return self._random

    def admit(self, connection: Paced) -> None:
        """A connection was accepted: its first read is paced too."""
        if self._server.throttle.active:
            pacer = self._pacer(connection)
            pacer.begin(None, connection.opened)
            self._apply(connection, pacer)

    def begin(self, connection: Paced, exchange: PacedExchange) -> bool:
        """A request begins: take up the rule for its path. True when it was answered here,
        by an injected fault, and the application shall not see it."""
        server = self._server
        now = exchange.begun
        pacer = self._pacer(connection)
        charged = pacer.upload.gates
        pacer.begin(exchange.head.path, now)
        if pacer.upload.active and connection.parser.buffered:
            # What came with the head was read before its path was known: that is a debt.
            for gate in pacer.upload.gates:
                if gate not in charged:
                    gate.charge(now, connection.parser.buffered)
            if not pacer.upload.allowance(now, READ_SIZE):
                connection.stream.block_reads()
        self._apply(connection, pacer)
        if pacer.rule is None:
            return False
        latency = pacer.latency(self._chance())
        if latency:
            connection.outbox.hold_until = now + latency
        faults = pacer.faults(self._chance())
        exchange.response.faults = None if faults == NO_FAULTS else faults
        if faults.status is not None:
            exchange.response.refuse(faults.status, b"Injected by the throttle", keep_alive=True)
            server.tasks.discard(exchange.task)
            return True
        return False

    def arm(self, connection: Paced, response: PacedResponse, head: int) -> None:
        """A response with faults begins, with a head of `head` bytes: break it where its
        faults say. The nearest one happens."""
        faults = response.faults
        if faults is None:
            return
        length = response.writer.length
        plans: List[Tuple[int, str]] = []
        if faults.reset is not None:
            plans.append((faults.offset(faults.reset, length), "reset"))
        if faults.stall is not None:
            plans.append((faults.offset(faults.stall, length), "stall"))
        if faults.cut_after is not None:
            plans.append((faults.cut_after, "cut"))
        if plans:
            offset, action = min(plans)
            outbox = connection.outbox
            response.breaking = BreakingPace(self._server.loop, connection, outbox.pace, action,
                                             outbox.size + head, offset)
            outbox.pace = response.breaking

    def set(self, scope: str, throttle: Optional[Throttle]) -> None:
        """Put `throttle` in force for `scope` (None: remove it), running transfers included."""
        server = self._server
        server.throttle.set(scope, throttle, server.loop.time())
        for connection in tuple(server.connections.values()):
            self.rethrottle(connection)

    def set_total(self, download: Optional[float], upload: Optional[float]) -> None:
        """Cap all connections together, in bytes per second; None: no cap."""
        server = self._server
        server.throttle.set_total(download, upload, server.loop.time())
        for connection in tuple(server.connections.values()):
            self.rethrottle(connection)

    def set_connection_rates(self, connection: Paced, download: float,
                             upload: float) -> None:
        """The API's rates for one connection, bytes per second, 0: unlimited; in place of those
        of the settings."""
        now = self._server.loop.time()
        pacer = self._pacer(connection)
        pacer.own_rates = (RateLimit(download or None, now), RateLimit(upload or None, now))
        pacer.begin(None, now)
        self._apply(connection, pacer)

    def rethrottle(self, connection: Paced) -> None:
        """What is in force changed: let a connection follow at once."""
        now = self._server.loop.time()
        exchange = connection.current
        rate = exchange.rate if exchange is not None else 0
        if connection.pacer is None:
            if not (self._server.throttle.active or rate) or connection.lost:
                return
            pacer = self._pacer(connection)
            pacer.begin(exchange.head.path if exchange is not None else None, now)
        else:
            pacer = connection.pacer
        if rate:
            pacer.set_rate(rate, now)
        else:
            pacer.drop_rate(now)
        if exchange is not None:
            if connection.outbox.hold_until:
                connection.outbox.hold_until = exchange.begun + pacer.latency(self._chance())
            if pacer.rule is None or not pacer.rule.throttle.faulty:
                exchange.response.faults = exchange.response.breaking = None
        self._apply(connection, pacer)

    def _pacer(self, connection: Paced) -> Pacer:
        pacer = connection.pacer
        if pacer is None:
            peer = connection.peer
            address = peer[0] if isinstance(peer, tuple) and peer else None
            pacer = connection.pacer = Pacer(self._server.throttle, connection.id, address)
        return pacer

    def _apply(self, connection: Paced, pacer: Pacer) -> None:
        outbox = connection.outbox
        outbox.pace = pacer.download if pacer.download.active else None
        response = None if connection.current is None else connection.current.response
        if response is not None and response.breaking is not None:
            if response.breaking.stalled:
                response.breaking = None  # a stall lasts until the throttle changes
            else:
                response.breaking.inner = outbox.pace
                outbox.pace = response.breaking
        if pacer.rule is None:
            outbox.hold_until = 0.0
        if not pacer.active and pacer.rule is None:
            pacer.close(self._server.loop.time())
            connection.pacer = None
        if pacer.upload.shut:
            connection.stream.block_reads()
        elif connection.stream.reads_blocked and not pacer.upload.active:
            connection.stream.unblock_reads()
        outbox.repace()
        if (outbox.blocked_since and not outbox.hold_until) or connection.stream.reads_blocked:
            self._server.ticker.pace(connection)  # it may have been given up as shut

    def writes_blocked(self, connection: Paced, blocked: bool) -> None:
        """The outbox waits for its pace, or no longer does."""
        if blocked:
            self._server.ticker.pace(connection)
        elif not connection.stream.reads_blocked:
            self._server.ticker.unpace(connection)

    def charge_upload(self, connection: Paced, nbytes: int) -> None:
        """`nbytes` were read; pause reading when no more may come now. What TLS delivers after
        that is a debt."""
        pacer = connection.pacer
        if pacer is None:
            return
        now = self._server.loop.time()
        pacer.upload.charge(now, nbytes)
        if connection.stream.reads_blocked or not pacer.upload.allowance(now, READ_SIZE):
            connection.stream.block_reads()
            self._server.ticker.pace(connection)

    def on_pace(self, connection: Paced, now: float) -> None:
        """Try again what waits; no longer what only a change can set going."""
        outbox = connection.outbox
        due = NEVER
        if outbox.blocked_since:
            outbox.flush()
            pace = outbox.pace
            if outbox.blocked_since and not outbox.hold_until and pace is not None:
                due = pace.ready_at(now, outbox.size)
        if connection.stream.reads_blocked:
            pacer = connection.pacer
            allowed = READ_SIZE if pacer is None else pacer.upload.allowance(now, READ_SIZE)
            if allowed >= READ_SIZE or (allowed and not connection.stream.read_held(allowed)):
                connection.stream.unblock_reads()
            elif pacer is not None:
                due = min(due, pacer.upload.ready_at(now, READ_SIZE))
        connection.pace_due = due
        if due == NEVER:
            self._server.ticker.unpace(connection)

    def forget(self, connection: Paced) -> None:
        """A connection ended."""
        self._server.ticker.unpace(connection)
        if connection.pacer is not None:
            connection.pacer.close(self._server.loop.time())
            connection.pacer = None
