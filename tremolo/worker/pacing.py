"""How many exchanges may be shown, so that showing them takes little of what requests need.

Arithmetic on processor seconds, which are handed in: knows no clock.
"""

MAX_ROWS = 300  # a turn
MIN_ROWS = 1
MOST_CAPTURES = 20  # a turn
#: turns of which captures that were not used may be used at once: a page asks for all that it
#: shows together, and for nothing else for a while
SAVED_TURNS = 3
#: of the time that passes, what telling may take: where the process has nothing else to do, and
#: where it works all the time (of what it gets of the processor, if others want it, too)
IDLE_SHARE, BUSY_SHARE = 0.05, 0.006
LEAST_SHARE = 0.001
#: of the time, what rows of that may take beside this which viewers look for, in seconds a turn;
#: and how many there are at least and at most
SOUGHT_TIME, LEAST_SOUGHT, MOST_SOUGHT = 0.0006, 4, 20
#: of it, what rows of connections may take
CONNECTIONS_SHARE = 0.2
#: rows that may be told after a rest whatever they cost: all that a page loads at once, also
#: where others want the processor; and how many more of them each turn gives that left time
CREDIT, MORE_CREDIT = 60, 20
#: requests that a page loads at once, of which all are looked into
A_PAGE = 100
#: processor seconds that are saved of it for a burst, and owed after one, at most
SAVED = 0.008
#: requests that begin in a turn of a busy process from which on they are a load, and no page
#: that somebody waits for; processor seconds of what was saved that a load gets
A_LOAD, SAVED_OF_A_LOAD = 2 * A_PAGE, 0.001
#: processor seconds of a row, before any was made; the rows of a turn from which that is learned,
#: for in few of them one sees what a turn costs without any
A_ROW, ENOUGH_ROWS = 40e-6, 10
#: the part of the time in which a busy process has something to do, at least
BUSY = 0.5


class Pacing:
    """`share` is the part of the time that telling may take, `busy` whether the process had much
    else to do since the last turn, and `stays_busy` whether before that, too, or so many requests
    come that it will be."""

    def __init__(self) -> None:
        self.share = IDLE_SHARE
        self.busy = self.stays_busy = False
        #: processor seconds that telling has taken in all; that it may take now; that a row takes
        self.spent = 0.0
        self._saved = SAVED
        self._a_row = A_ROW
        self._credit = CREDIT
        #: the part that it gets of the processor while it has something to do
        self._got = 1.0
        #: the instant from which rows of connections are due
        self._due = float("-inf")

    @property
    def rows(self) -> int:
        """How many exchanges may be shown at this turn, or at the next one after it."""
        # While others want the processor, what was saved weighs as much more.
        saved = self._saved * self._got if self.busy else self._saved
        return max(MIN_ROWS, self._credit, min(MAX_ROWS, round(saved / self._a_row)))

    @property
    def room(self) -> int:
        """How many exchanges may be looked into until the next turn, of which the last may be
        told at later ones: who has time is ready for all that a page loads."""
        return self.rows if self.busy else max(A_PAGE, self.rows)

    @property
    def captures(self) -> int:
        """Of how many exchanges heads and bodies are worth their time, until the next turn."""
        return max(1, min(MOST_CAPTURES, self.rows // 3))

    def passed(self, seconds: float, used: float, occupied: float, begun: int = 0) -> None:
        """So many `seconds` passed, in which the process `used` so many of the processor, and had
        something to do for so long as it was `occupied`; so many requests have `begun`."""
        part = min(1.0, occupied / seconds)
        self.stays_busy, self.busy = self.busy and part >= BUSY, part >= BUSY
        self._got = min(1.0, used / max(occupied, 1e-6))
        if self.busy:
            self.share = max(LEAST_SHARE, BUSY_SHARE * self._got)
        else:
            self._credit = min(CREDIT, self._credit + MORE_CREDIT)
            self.share = IDLE_SHARE - (IDLE_SHARE - BUSY_SHARE) * part / BUSY
        if self.busy and begun > A_LOAD:
            self.stays_busy = True
            self._credit = 0
            self._saved = min(SAVED_OF_A_LOAD, self._saved)
        self._saved = min(SAVED, self._saved + self.share * seconds)

    @property
    def sought(self) -> int:
        """How many exchanges that viewers look for may be shown at a turn beside the others."""
        return max(LEAST_SOUGHT, min(MOST_SOUGHT, round(SOUGHT_TIME / self._a_row)))

    def told(self, rows: int, cost: float, sought: int = 0) -> None:
        """A turn told so many `rows`, which took `cost` seconds of the processor; so many of them
        viewers looked for."""
        self.spent += cost
        self._credit = max(0, self._credit - rows + sought)
        beside = sought * min(A_ROW, self._a_row)  # without what a turn costs anyhow
        self._saved = max(-SAVED, self._saved - max(0.0, cost - beside))
        if rows >= ENOUGH_ROWS:
            self._a_row += (cost / rows - self._a_row) / 4

    def told_connections(self, now: float, cost: float) -> None:
        """Rows of connections took `cost` seconds of the processor."""
        self._due = now + cost / (self.share * CONNECTIONS_SHARE)

    def wants_connections(self, now: float) -> bool:
        return now >= self._due
