"""How many exchanges may be shown, so that showing them takes little of what requests need.

Arithmetic on processor seconds, which are handed in: knows no clock.
"""

MAX_ROWS = 500  # a turn
MIN_ROWS = 20
MOST_CAPTURES = 20  # a turn
#: turns of which captures that were not used may be used at once: a page asks for all that it
#: shows together, and for nothing else for a while
SAVED_TURNS = 3
#: of the time that passes, what telling may take: where the process has nothing else to do, and
#: where it works all the time (of what it gets of the processor, if others want it, too)
IDLE_SHARE, BUSY_SHARE = 0.05, 0.01
LEAST_SHARE = 0.001
#: of it, what rows of connections may take
CONNECTIONS_SHARE = 0.2
BUSY = 0.9


class Pacing:
    """`rows` is how many exchanges more may be shown at the next turn, `share` the part of the
    time that telling may take."""

    def __init__(self) -> None:
        self.rows = MAX_ROWS
        self.share = IDLE_SHARE
        #: processor seconds that telling has taken in all
        self.spent = 0.0
        #: the instant from which rows of connections are due
        self._due = float("-inf")

    @property
    def captures(self) -> int:
        """Of how many exchanges heads and bodies are worth their time, until the next turn."""
        return min(MOST_CAPTURES, self.rows // 3)

    def turned(self, rows: int, cost: float, used: float, occupied: float, passed: float) -> None:
        """A turn told so many `rows`, which took `cost` seconds of the processor. Of the `passed`
        seconds since the last one, the process `used` so many of the processor, and had something
        to do for so long as it was `occupied`."""
        self.spent += cost
        self.share = max(BUSY_SHARE * min(1.0, used / max(occupied, 1e-6)),
                         min(IDLE_SHARE, (BUSY - occupied / passed) / 10), LEAST_SHARE)
        allowed = self.share * passed
        if cost > allowed:
            self.rows = max(MIN_ROWS, min(self.rows, int(rows * allowed / cost)))
        else:
            self.rows = min(MAX_ROWS, self.rows + max(1, self.rows // 20))

    def told_connections(self, now: float, cost: float) -> None:
        """Rows of connections took `cost` seconds of the processor."""
        self._due = now + cost / (self.share * CONNECTIONS_SHARE)

    def wants_connections(self, now: float) -> bool:
        return now >= self._due
