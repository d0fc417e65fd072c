"""What goes wrong with a response on purpose, and the pace that makes it so.

Knows shares and bytes of a body; which response breaks is the pacer's draw.
"""

import asyncio
from typing import NamedTuple, Optional, Protocol

from ..outbox import WritePace
from ..ticker import NEVER


class Faults(NamedTuple):
    """What goes wrong with one response, as drawn by `Pacer.faults()`.

    Offsets count bytes of the response's body; None: does not happen.
    """

    #: answer with this status instead of asking the application
    status: Optional[int] = None
    #: reset the connection after this share (0 to 1) of the body, see `offset()`
    reset: Optional[float] = None
    #: send nothing more after this share of the body, until the throttle changes
    stall: Optional[float] = None
    #: close the connection after this many bytes of the body
    cut_after: Optional[int] = None
    #: seconds to wait between the last byte and closing the connection
    slow_close: float = 0.0

    @staticmethod
    def offset(share: float, length: Optional[int]) -> int:
        """The byte of the body at `share`; of its first 64 KiB when the length is unknown."""
        return int(share * (65536 if length is None else length))


#: nothing goes wrong
NO_FAULTS = Faults()


class Breakable(Protocol):
    """A connection that can be broken in the middle of a response."""

    @property
    def lost(self) -> bool: ...
    def reset(self) -> None: ...
    def cut(self) -> None: ...


class BreakingPace:
    """A pace that lets `before` bytes and `offset` bytes of a body pass and then breaks the
    response: "reset" and "cut" end the connection, "stall" holds what follows."""

    __slots__ = ("_action", "_connection", "_left", "_loop", "_passed", "_until", "inner",
                 "stalled")

    def __init__(self, loop: asyncio.AbstractEventLoop, connection: Breakable,
                 inner: Optional[WritePace], action: str, before: int, offset: int) -> None:
        self._loop = loop
        self._connection = connection
        self._action = action
        self._until = before + offset
        #: bytes of the body that are not written yet, up to where it breaks
        self._left = offset
        self._passed = 0
        self.inner = inner
        self.stalled = False

    def framed(self, size: int, wire: int) -> None:
        """The next `size` bytes of the body take `wire` bytes: what frames chunks passes too."""
        if self._left > 0:
            if size < self._left:
                self._until += wire - size
            elif wire > size:
                self._until += len(b"%x\r\n" % size)
            self._left -= size

    def grant(self, now: float, wanted: int) -> int:
        """As the pace of the throttle, up to the byte where it breaks."""
        room = min(wanted, self._until - self._passed)
        if room > 0 and self.inner is not None:
            room = self.inner.grant(now, room)
        self._passed += room
        if self._passed >= self._until and wanted > room and not self.stalled:
            self.stalled = True
            if self._action != "stall":
                self._loop.call_soon(self._end)  # after these bytes are written
        return room

    def ready_at(self, now: float, wanted: int) -> float:
        """The instant from which asking is worthwhile; infinity while nothing passes."""
        if self.stalled:
            return NEVER
        return now if self.inner is None else self.inner.ready_at(now, wanted)

    def _end(self) -> None:
        if not self._connection.lost:
            if self._action == "reset":
                self._connection.reset()
            else:
                self._connection.cut()
