"""The end of one connection: what is queued is sent first, and no reset eats any of it.

Knows the outbox and the stream; the state is the connection's. Made once the end is decided.
"""

from typing import Any, Protocol

from .outbox import Outbox
from .states import CLOSING, LINGERING, State
from .stream import Stream

#: for how long is read and thrown away, after a last response, what the client still sends, so
#: that no reset eats the response (RFC 9112 section 9.6): browsers look for it only when all of
#: their upload has left, and call anything else a network error
LINGER_SECONDS = 1.0
#: so many bytes buy another second, for who sends more slowly does not upload
LINGER_RATE = 16 * 1024
LINGER_LIMIT = 30.0


class Closing(Protocol):
    """The connection that ends; in a closing state."""

    state: State
    deadline: float
    eof: bool
    transport: Any
    outbox: Outbox
    stream: Stream
    server: Any

    def watch_writes(self) -> None: ...
    def linger(self, seconds: float) -> None: ...
    def close_transport(self) -> None: ...


class Ending:
    """Sends what is queued and closes then. With `lingers` it reads, between the two, what the
    client still sends: unread it would have the system send a reset. For a moment, and longer
    as long as much of it comes and the server does not end."""

    __slots__ = ("_connection", "_earned", "_limit", "_lingers")

    def __init__(self, connection: Closing, lingers: bool) -> None:
        self._connection = connection
        self._lingers = lingers
        #: instants until which it lingers: by what came, and in any case
        self._earned = self._limit = 0.0

    def begin(self) -> None:
        connection = self._connection
        if connection.outbox.size:
            connection.outbox.on_empty = self._sent
            connection.watch_writes()
        else:
            self._sent()

    def _sent(self) -> None:
        """What was queued has left."""
        connection = self._connection
        if not self._lingers or connection.eof or connection.state is not CLOSING:
            connection.close_transport()
            return
        connection.linger(LINGER_SECONDS)
        self._earned = connection.deadline
        self._limit = connection.deadline - LINGER_SECONDS + LINGER_LIMIT
        connection.stream.resume_reading()
        if not connection.stream.shut_down() and connection.transport.can_write_eof():
            connection.close_transport()

    def received(self, nbytes: int) -> None:
        """Something came after the last response."""
        connection = self._connection
        server = connection.server
        if connection.state is LINGERING and not server.draining:
            self._earned += nbytes / LINGER_RATE
            connection.deadline = min(server.loop.time() + LINGER_SECONDS, self._earned,
                                      self._limit)

    def hurry(self, now: float) -> None:
        """The server ends: so long as for any last response, and no longer."""
        if self._connection.state is LINGERING:
            self._connection.deadline = min(self._connection.deadline, now + LINGER_SECONDS)
