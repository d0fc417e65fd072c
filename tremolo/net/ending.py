"""The end of one connection: what is queued is sent first, and no reset eats any of it.

Knows the outbox and the stream; the state is the connection's. Made once the end is decided.
"""

from typing import Any, Protocol

from .outbox import Outbox
from .states import CLOSING, LINGERING, State
from .stream import Stream

#: what is read and thrown away after a last response, so that no reset eats it (RFC 9112
#: section 9.6)
LINGER_BYTES = 64 * 1024
LINGER_SECONDS = 1.0


class Closing(Protocol):
    """The connection that ends; in a closing state."""

    state: State
    eof: bool
    transport: Any
    outbox: Outbox
    stream: Stream

    def watch_writes(self) -> None: ...
    def linger(self, seconds: float) -> None: ...
    def close_transport(self) -> None: ...


class Ending:
    """Sends what is queued and closes then. With `lingers` it reads, between the two, for a
    moment what the client still sends: unread it would have the system send a reset."""

    __slots__ = ("_bytes_left", "_connection", "_lingers")

    def __init__(self, connection: Closing, lingers: bool) -> None:
        self._connection = connection
        self._lingers = lingers
        self._bytes_left = LINGER_BYTES

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
        connection.stream.resume_reading()
        if not connection.stream.shut_down() and connection.transport.can_write_eof():
            connection.close_transport()

    def received(self, nbytes: int) -> None:
        """Something came after the last response."""
        if self._connection.state is LINGERING:
            self._bytes_left -= nbytes
            if self._bytes_left < 0:
                self._connection.close_transport()
