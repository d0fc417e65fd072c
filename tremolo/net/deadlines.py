"""What happens when the deadline of a connection has passed, by its state.

Knows the clocks of each state, and sets the next look; nothing of bytes. A new state has an entry
here.
"""

from typing import Any, Callable, Dict, Protocol

from ..protocol.http1 import ProtocolError
from .outbox import Outbox
from .states import (
    CLOSED,
    CLOSING,
    DISCARDING,
    EXCHANGE,
    FLUSHING,
    HEAD,
    IDLE,
    LINGERING,
    UPGRADED,
    State,
)
from .ticker import NEVER


class Timed(Protocol):
    """A connection, as far as its clocks go."""

    deadline: float
    handler_timeout: float
    settings: Any
    server: Any
    outbox: Outbox
    stream: Any
    cycle: Any
    upgraded: Any

    def end(self) -> None: ...
    def close(self) -> None: ...
    def close_transport(self) -> None: ...
    def abort(self) -> None: ...


def _idle(connection: Timed, now: float) -> None:
    connection.close()


def _head(connection: Timed, now: float) -> None:
    seconds = connection.settings.request_timeout
    connection.cycle.refuse(ProtocolError(408, f"request timeout after {seconds:g}s"))


def _exchange(connection: Timed, now: float) -> None:
    """See which of the exchange's clocks ran out: the client's, who has to read; the handler's;
    or that of the request's body."""
    exchange = connection.cycle.current
    if exchange is None:
        return
    connection.deadline = NEVER
    if connection.outbox.full or connection.outbox.size:
        stream = connection.stream
        if now >= stream.stall_deadline:
            if stream.write_stalled():
                exchange.response.abort()
                return
            stream.stall_deadline = now + connection.server.write_timeout
        connection.deadline = stream.stall_deadline
    timeout = connection.handler_timeout
    if timeout and not exchange.response.started and exchange.task is not None:
        deadline = exchange.begun + exchange.stopped + timeout
        if now >= deadline:
            exchange.timed_out = True
            exchange.task.cancel()
            return
        connection.deadline = min(connection.deadline, deadline)
    if exchange.body is not None:
        exchange.body.check_pace(now)


def _discarding(connection: Timed, now: float) -> None:
    connection.end()


def _upgraded(connection: Timed, now: float) -> None:
    if connection.upgraded is not None:
        connection.upgraded.on_deadline(now)


def _closing(connection: Timed, now: float) -> None:
    """What is queued, here or in the transport, has to get on."""
    if connection.stream.write_stalled():
        connection.abort()
    else:
        connection.deadline = now + connection.server.write_timeout


def _lingering(connection: Timed, now: float) -> None:
    connection.close_transport()


def _closed(connection: Timed, now: float) -> None:
    connection.deadline = NEVER


ON_DEADLINE: Dict[State, Callable[[Timed, float], None]] = {
    IDLE: _idle,
    HEAD: _head,
    EXCHANGE: _exchange,
    FLUSHING: _exchange,
    DISCARDING: _discarding,
    UPGRADED: _upgraded,
    CLOSING: _closing,
    LINGERING: _lingering,
    CLOSED: _closed,
}
