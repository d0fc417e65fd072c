"""Token buckets: how many bytes may pass now, as arithmetic on a time that is passed in.

Knows rates, bytes and instants; must not know asyncio, sockets, connections or scopes.

Invariants, for any sequence of questions and rate changes:

* over any interval, bytes granted <= integral of the rate + largest `burst` in force in it;
* from rest, bytes granted <= rate * t + 30 ms of the rate (`idle`);
* in any 100 ms (half open) at most 1.3 times the highest rate in it passes;
* time in which more was wanted than given is not lost up to 250 ms: it is paid back under
  the 1.3 bound, so late ticks do not lower the average.
"""

import math
from collections import deque
from typing import Deque, List, Optional, Protocol

#: seconds of the rate that may pass at once after a pause
IDLE = 0.03
#: seconds of the rate that are remembered while somebody waits for them
CATCH_UP = 0.25
#: no more than PEAK seconds of the rate may pass in any WINDOW seconds
WINDOW = 0.1
PEAK = 0.13
#: grants closer together than this share an entry of the window
QUANTUM = 0.005
#: slow rates move a segment (bytes) at a time, or PATIENCE seconds of the rate where that is
#: less, not a few bytes every tick: fewer writes and wake-ups. Two of the latter fit in a WINDOW
#: with room to spare, and a third does not come near it
SEGMENT = 1400
PATIENCE = 0.06
#: seconds of a faster rate that are given in one piece, unless one was not asked for longer
LUMP = 0.04
#: seconds for which a flow that did not ask again still counts as present
LINGER = 0.06

#: instants that differ by rounding only
_EPSILON = 1e-7


class RateLimit:
    """A rate in bytes per second that any number of buckets follow.

    None is unlimited, 0 lets nothing pass. `change()` is all that a change needs: the limit
    keeps the integral of its rate, so each bucket accounts for the time before and after
    the change exactly, whenever it is asked next.
    """

    __slots__ = ("_base", "_since", "burst", "idle", "lump", "peak", "rate", "segment")

    rate: Optional[float]

    def __init__(self, rate: Optional[float], now: float) -> None:
        self._base = 0.0
        self._since = now
        self._set(rate)

    def change(self, rate: Optional[float], now: float) -> None:
        """Let `rate` bytes per second be in force from `now` on; None: unlimited, 0: nothing.

        Raises ValueError for a rate that is negative or not finite.
        """
        self._base = self.served(now)
        if now > self._since:
            self._since = now
        self._set(rate)

    def _set(self, rate: Optional[float]) -> None:
        if rate is not None and not 0 <= rate < math.inf:
            raise ValueError(f"rate must be finite and not negative, not {rate!r}")
        self.rate = rate
        if not rate:
            #: bytes: bounds of what may pass at once (see the module's invariants)
            self.burst = self.idle = self.peak = 0.0
            self.lump = self.segment = 0
            return
        self.idle = max(rate * IDLE, 1.0)
        self.burst = max(rate * CATCH_UP, 2.0)
        #: bytes that a flow which waits is given at least
        self.segment = min(SEGMENT, max(int(rate * PATIENCE), 1))
        #: bytes that are given in one piece, unless one was not asked for longer
        self.lump = max(int(rate * LUMP), self.segment)
        #: seconds of the rate that may pass within the window; one byte always may
        self.peak = max(PEAK, 1.0 / rate)

    def served(self, now: float) -> float:
        """Bytes that this rate would have let pass from the beginning until `now`."""
        rate = self.rate
        if not rate or now <= self._since:
            return self._base
        return self._base + rate * (now - self._since)

    def __repr__(self) -> str:
        return f"RateLimit({self.rate!r})"


class Gate(Protocol):
    """What a flow asks before it moves bytes: a bucket, or a share in one."""

    def allowance(self, now: float, wanted: int) -> int: ...

    def charge(self, now: float, count: int) -> None: ...

    def repay(self, now: float, count: int) -> None: ...

    def ready_at(self, now: float, wanted: int) -> float: ...

    @property
    def limit(self) -> RateLimit: ...


class TokenBucket:
    """What one flow may move under a `RateLimit`.

    `grant()` takes; or ask `allowance()`, move at most that much, and `charge()` what was
    really moved. Charging more than was allowed is a debt that is waited for.
    """

    __slots__ = ("_asked", "_credit", "_limit", "_offered", "_pause", "_recent", "_seen",
                 "_short", "_used", "pending", "total")

    def __init__(self, limit: RateLimit, now: float) -> None:
        self._limit = limit
        self._seen = limit.served(now)
        self._asked = now
        self._pause = 0.0
        self._credit = limit.idle
        #: entries [first instant, last instant, seconds of the rate] of the last WINDOW
        self._recent: Deque[List[float]] = deque()
        self._used = 0.0
        self._offered = 0
        self._short = False
        #: more was wanted than could be given
        self.pending = False
        #: bytes charged so far
        self.total = 0

    @property
    def limit(self) -> RateLimit:
        return self._limit

    def follow(self, limit: RateLimit, now: float) -> None:
        """Obey another limit from `now` on; debt and recent use are kept."""
        if limit is not self._limit:
            self.room(now)
            self._limit = limit
            self._seen = limit.served(now)

    def room(self, now: float) -> float:
        """Bytes that may pass at `now`; negative while there is a debt."""
        limit = self._limit
        rate = limit.rate
        served = limit.served(now)
        credit = self._credit
        cap = limit.burst if self.pending else limit.idle
        pause = now - self._asked
        if not self.pending and credit > cap and pause < LINGER:
            # Late credit outlives the moment in which a chunk is done and the next one is
            # not there yet, though nothing is added to it.
            cap = min(credit, limit.burst)
        if served > self._seen:
            credit += served - self._seen
            self._seen = served
        if credit > cap:
            credit = cap
        self._credit = credit
        self._asked = now
        self._pause = pause
        if not rate:
            return credit if credit < 0.0 else 0.0
        recent = self._recent
        if recent:
            horizon = now - WINDOW + _EPSILON
            while recent and recent[0][1] <= horizon:
                self._used -= recent.popleft()[2]
            if not recent:
                self._used = 0.0
        room = (limit.peak - self._used) * rate
        return credit if credit < room else room

    def piece(self, room: float) -> float:
        """How much of `room` is given at once.

        What was missed is not given back in one piece: the window, being full then, would
        hold back what follows, and make a steady flow one of a pulse a window.
        """
        limit = self._limit
        if room <= limit.lump or not limit.rate:
            return room
        longest = self._pause * limit.rate
        if longest >= room:
            return room
        return longest if longest > limit.lump else limit.lump

    def allowance(self, now: float, wanted: int) -> int:
        """Bytes, at most `wanted`, that may be moved at `now`; nothing is taken."""
        limit = self._limit
        if limit.rate is None:
            self._rest(now)
            return wanted
        room = self.room(now)
        allowed = int(room if room <= limit.lump else self.piece(room))
        if allowed >= wanted:
            self._short = False
            self._offered = wanted
            return wanted
        self._short = True
        if allowed <= 0 or (self.pending and self._credit < limit.segment):
            self.pending = True
            self._offered = 0
            return 0
        self._offered = allowed
        return allowed

    def charge(self, now: float, count: int) -> None:
        """Account for `count` bytes that moved at `now`, allowed or not."""
        self.total += count
        rate = self._limit.rate
        if rate is None:
            return
        self.pending = self._short and count >= self._offered
        self._credit -= count
        if rate:
            self._note(now, count / rate)

    def grant(self, now: float, wanted: int) -> int:
        """Take bytes, at most `wanted`, that may be moved at `now`."""
        allowed = self.allowance(now, wanted)
        if allowed > 0:
            self.charge(now, allowed)
        return allowed

    def repay(self, now: float, count: int) -> None:
        """Give back `count` bytes of the last grant that were not moved after all."""
        self.total -= count
        rate = self._limit.rate
        if rate is None or count <= 0:
            return
        self.pending = False
        self._credit += count
        if rate and self._recent:
            last = self._recent[-1]
            returned = min(count / rate, last[2])
            last[2] -= returned
            self._used -= returned

    def ready_at(self, now: float, wanted: int) -> float:
        """The instant from which `allowance(wanted)` gives something worth a write.

        `now` if it does already, infinity while the rate is 0. A change of the rate makes
        an answer obsolete, as does another flow of a shared bucket.
        """
        limit = self._limit
        rate = limit.rate
        if rate is None:
            return now
        if rate == 0:
            return math.inf
        room = self.room(now)
        need = min(wanted, limit.segment) if self.pending else 1
        if room >= 1 and self._credit >= need:
            return now
        # A hundredth of a byte more, so that rounding cannot make it one too few.
        ready = now + max(0.0, need + 0.01 - self._credit) / rate
        used = self._used
        for entry in self._recent:
            if (limit.peak - used) * rate >= 1:
                break
            used -= entry[2]
            ready = max(ready, entry[1] + WINDOW)
        return ready

    def _note(self, now: float, seconds: float) -> None:
        self._used += seconds
        recent = self._recent
        if recent:
            last = recent[-1]
            if now - last[0] < QUANTUM:
                last[1] = now
                last[2] += seconds
                return
        recent.append([now, now, seconds])

    def _rest(self, now: float) -> None:
        """Nothing is limited: forget debts and demand, so that a later limit starts clean."""
        self._asked = now
        self._seen = self._limit.served(now)
        self._credit = 0.0
        self.pending = self._short = False
