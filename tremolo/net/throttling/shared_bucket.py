"""A bucket that several flows share, and how it is divided among them.

Knows token buckets; must not know connections, addresses or scopes.

Fairness: flows that always want more get the same bytes, within a fraction of a second's
worth; what one does not want goes to the others.
"""

import math
from operator import attrgetter
from typing import Dict, List

from .bucket import LINGER, RateLimit, TokenBucket

#: the least that one of several flows is given at once
LEAST_SHARE = 128
#: seconds between two divisions
ROUND = 0.01


class SharedBucket(TokenBucket):
    """A bucket for several flows, each with a `Share`, that divides fairly.

    Some 50 times a second what is there is divided among the flows that wait, first to those
    that had least. A flow that wants less leaves the rest to the others; one that comes back
    from a pause gets no more than those that stayed.
    """

    __slots__ = ("_level", "_next_round", "_reserved", "_waiting", "floor", "members")

    def __init__(self, limit: RateLimit, now: float) -> None:
        super().__init__(limit, now)
        self._waiting: Dict[Share, None] = {}
        self._next_round = now
        self._reserved = 0.0
        #: bytes served to a flow: where those of the last round stood, and were lifted to
        self.floor = 0.0
        self._level = 0.0
        #: shares that were not given up
        self.members = 0

    @property
    def credit(self) -> float:
        return self._credit

    @property
    def waiting(self) -> int:
        """Flows that want more than they were given."""
        return len(self._waiting)

    def join(self) -> "Share":
        """A share for one more flow; `leave()` it when the flow ends."""
        self.members += 1
        return Share(self)

    def offer(self, now: float, share: "Share") -> float:
        """Bytes that `share` may move at `now`."""
        waiting = self._waiting
        self.pending = bool(waiting)
        room = self.room(now)
        share.asked = now
        if now >= self._next_round and room >= 1.0 and (
                self._credit >= self._limit.segment or not waiting):
            self._divide(now, self.piece(room))
        if share not in waiting and share.served < self.floor:
            share.served = self.floor
        if self.uncontended(share):
            return self.piece(room)
        room -= self._reserved - share.quota
        behind = self._level - share.served
        if behind < room:
            room = behind
        if room < LEAST_SHARE and room > share.quota:
            return share.quota
        return room

    def uncontended(self, share: "Share") -> bool:
        """Whether nobody but `share` waits."""
        waiting = self._waiting
        return not waiting or (len(waiting) == 1 and share in waiting)

    def _divide(self, now: float, room: float) -> None:
        self._next_round = now + ROUND
        # A flow is gone that did not ask while others did; a late tick is nobody's absence.
        before = now - self._pause
        for share in [s for s in self._waiting if before - s.asked > LINGER]:
            del self._waiting[share]
            share.quota = 0.0
        # Fill up those that had least to one level, as far as there is something worth a
        # write for each of them.
        filled: List[Share] = []
        total = level = 0.0
        shares = sorted(self._waiting, key=attrgetter("served"))
        for share in shares:
            share.quota = 0.0
        for share in shares:
            raised = (total + share.served + room) / (len(filled) + 1)
            if filled and raised - share.served < LEAST_SHARE:
                break
            filled.append(share)
            total += share.served
            level = raised
        for share in filled:
            share.quota = level - share.served
        if filled and filled[0].served > self.floor:
            self.floor = filled[0].served
        self._level = level
        self._reserved = room if filled else 0.0

    def await_turn(self, share: "Share") -> None:
        if share not in self._waiting:
            self._waiting[share] = None

    def release(self, share: "Share") -> None:
        """`share` waits no longer; what is reserved for it is free for the others."""
        if share in self._waiting:
            del self._waiting[share]
            self._reserved = max(0.0, self._reserved - share.quota)
            share.quota = 0.0

    def use(self, share: "Share", count: int) -> None:
        used = min(share.quota, count)
        share.quota -= used
        self._reserved -= used


class Share:
    """One flow's part in a `SharedBucket`; used like a bucket of its own."""

    __slots__ = ("_offered", "_short", "asked", "bucket", "quota", "served")

    def __init__(self, bucket: SharedBucket) -> None:
        self.bucket = bucket
        #: bytes moved, not counting what was missed while absent
        self.served = 0.0
        self.quota = 0.0
        self.asked = -math.inf
        self._offered = 0
        self._short = False

    @property
    def limit(self) -> RateLimit:
        return self.bucket.limit

    def allowance(self, now: float, wanted: int) -> int:
        """As TokenBucket.allowance()."""
        bucket = self.bucket
        limit = bucket.limit
        if limit.rate is None:
            return bucket.allowance(now, wanted)
        allowed = int(bucket.offer(now, self))
        if allowed >= wanted:
            self._short = False
            self._offered = wanted
            return wanted
        self._short = True
        if allowed <= 0 or (bucket.waiting == 1 and bucket.credit < limit.segment):
            bucket.await_turn(self)
            self._offered = 0
            return 0
        self._offered = allowed
        return allowed

    def charge(self, now: float, count: int) -> None:
        """As TokenBucket.charge()."""
        bucket = self.bucket
        if self.served > bucket.floor and bucket.uncontended(self):
            bucket.floor = self.served
        bucket.charge(now, count)
        self.served += count
        bucket.use(self, count)
        if self._short and count >= self._offered:
            bucket.await_turn(self)
        else:
            bucket.release(self)

    def grant(self, now: float, wanted: int) -> int:
        """As TokenBucket.grant()."""
        allowed = self.allowance(now, wanted)
        if allowed > 0:
            self.charge(now, allowed)
        return allowed

    def repay(self, now: float, count: int) -> None:
        """As TokenBucket.repay()."""
        self.bucket.repay(now, count)
        self.served -= count
        self.bucket.release(self)

    def ready_at(self, now: float, wanted: int) -> float:
        """As TokenBucket.ready_at(); while others wait too, the next division counts, which is
        soon."""
        bucket = self.bucket
        if bucket.limit.rate == 0 or bucket.uncontended(self):
            bucket.pending = bucket.waiting > 0
            return bucket.ready_at(now, wanted)
        return now

    def leave(self) -> None:
        """The flow has ended. Call once."""
        self.bucket.release(self)
        self.bucket.members -= 1
