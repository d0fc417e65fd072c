"""What a viewer looks for among more exchanges than can be shown: a stratum of its own, of which
as many are chosen as there is room for.

It is judged by the viewer's own words, compiled elsewhere, at the beginning of an exchange or at
its end. Knows no clock.
"""

from typing import Any, Callable, Optional

#: exchanges that begin without being asked about, since all for their target were not meant
MOST_TARGETS = 1000


class Sought:
    """`begins(exchange)` says of one that begins whether it is looked for, and `by_target`
    that its target alone decides that; or `ends(exchange, seconds)` says so of one that took so
    many `seconds`, but of none that took less than `slower`."""

    __slots__ = ("_found", "_left", "_stride", "_until_next", "begins", "by_target", "ends",
                 "out", "slower")

    def __init__(self, begins: Optional[Callable[[Any], bool]] = None, by_target: bool = False,
                 ends: Optional[Callable[[Any, float], bool]] = None,
                 slower: float = 0.0) -> None:
        self.begins, self.by_target = begins, by_target
        self.ends, self.slower = ends, slower
        #: how many may still be chosen, how many are found for each that is, and were so far
        self._left = self._stride = self._until_next = 1
        self._found = 0
        #: found, not chosen, and stood for by nothing that was taken yet
        self.out = 0

    def renew(self, room: int) -> None:
        """So many may be chosen until the next time, and as many as were found are expected."""
        self._stride = max(1, self._found // max(1, room))
        self._until_next = min(self._until_next, self._stride)
        self._left, self._found = room, 0

    def choose(self) -> bool:
        """Whether one more that is found is chosen."""
        self._found += 1
        self._until_next -= 1
        if self._until_next > 0 or self._left <= 0:
            return False
        self._left -= 1
        self._until_next = self._stride
        return True

    def weigh(self, count: int) -> float:
        """What each of so many that were chosen stands for, which is told now."""
        told, self.out = max(0, self.out), min(0, self.out)
        return (count + told) / count
