"""One direction of a connection: all buckets that its bytes have to pass.

Knows buckets alone. An unthrottled connection pays one comparison of integers.
"""

from typing import Sequence

from .bucket import Gate

#: what a flow asks for when it cannot know: as much as one read may bring
AS_MUCH = 65536


class Flow:
    """One direction of a connection: all buckets that its bytes have to pass.

    `active`: whether anything limits it; while it is False there is no need to ask.
    """

    __slots__ = ("active", "gates")

    def __init__(self, gates: Sequence[Gate] = ()) -> None:
        self.gates = tuple(gates)
        self.active = bool(self.gates)

    @property
    def shut(self) -> bool:
        """Nothing passes, however long one waits, until a rate changes."""
        return any(gate.limit.rate == 0 for gate in self.gates)

    def allowance(self, now: float, wanted: int = AS_MUCH) -> int:
        """Bytes, at most `wanted`, that may move at `now`; `charge()` what moves."""
        for gate in self.gates:
            wanted = gate.allowance(now, wanted)
            if wanted <= 0:
                return 0
        return wanted

    def charge(self, now: float, count: int) -> None:
        """Account for `count` bytes that moved, allowed or not; too many are a debt."""
        for gate in self.gates:
            gate.charge(now, count)

    def grant(self, now: float, wanted: int) -> int:
        """Take bytes, at most `wanted`, that may move at `now`."""
        for gate in self.gates:
            wanted = gate.allowance(now, wanted)
            if wanted <= 0:
                return 0
        for gate in self.gates:
            gate.charge(now, wanted)
        return wanted

    def repay(self, now: float, count: int) -> None:
        """Give back `count` bytes of the last grant that did not move."""
        for gate in self.gates:
            gate.repay(now, count)

    def ready_at(self, now: float, wanted: int) -> float:
        """The instant from which asking is worthwhile; infinity while nothing passes."""
        ready = now
        for gate in self.gates:
            at = gate.ready_at(now, wanted)
            if at > ready:
                ready = at
        return ready


#: the flow of all connections that nothing limits
UNLIMITED = Flow()
