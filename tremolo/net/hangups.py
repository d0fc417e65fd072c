"""Which clients left while nothing is read from them: asyncio does not look then.

Knows descriptors and what the system says of them.
"""

import select
import sys
from typing import Any, Iterable, Protocol

#: the peer closed its side (Linux only; elsewhere only resets are seen)
HALF_CLOSED = getattr(select, "POLLRDHUP", 0x2000 if sys.platform == "linux" else 0)


class Watched(Protocol):
    """A connection whose `socket` nothing is read from; None for one in memory."""

    socket: Any

    def hung_up(self, gone: bool) -> None: ...


def look_for_hangups(connections: Iterable[Watched]) -> None:
    """Ask the system about all of them at once, and notify those whose peer has left."""
    poll = select.poll()
    by_descriptor = {}
    for connection in connections:
        sock = connection.socket
        descriptor = sock.fileno() if sock is not None else -1  # in memory: none
        if descriptor >= 0:
            by_descriptor[descriptor] = connection
            poll.register(descriptor, HALF_CLOSED)
    for descriptor, events in poll.poll(0):
        by_descriptor[descriptor].hung_up(bool(events & (select.POLLHUP | select.POLLERR)))
