"""A bucket that several flows share, and how it is divided among them.

Knows token buckets; must not know connections, addresses or scopes.

Fairness: flows that always want more get the same bytes, within a fraction of a second's
worth; what one does not want goes to the others.
"""

import math
from operator import attrgetter
from typing import Dict

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

    __slots__ = ("_floor", "_level", "_next_round", "_reserved", "_waiting", "members")

    def __init__(self, limit: RateLimit, now: float) -> None:
        super().__init__(limit, now)
        self._waiting: Dict[Share, None] = {}
        self._next_round = now
        self._reserved = 0.0
        #: bytes served to a flow: where those of the last round stood, and were lifted to
        self._floor = 0.0
        self._level = 0.0
        #: shares that were not given up
        self.members = 0

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
        if now >= self._next_round and (room >= self._limit.segment or not waiting):
            self._divide(now, room)
        if now - share.asked > LINGER and share.served < self._floor:
            share.served = self._floor
        share.asked = now
        alone = not waiting or (len(waiting) == 1 and share in waiting)
        if alone:
            return room
        room -= self._reserved - share.quota
        behind = self._level - share.served
        return behind if behind < room else room

    def _divide(self, now: float, room: float) -> None:
        self._next_round = now + ROUND
        self._reserved = 0.0
        for share in [s for s in self._waiting if now - s.asked > LINGER]:
            del self._waiting[share]
            share.quota = 0.0
        if len(self._waiting) < 2 or room < 1.0:
            for share in self._waiting:
                share.quota = 0.0
                self._floor = self._level = share.served
            return
        # Fill up those that had least to one level, as far as there is something worth a
        # write for each of them.
        shares = sorted(self._waiting, key=attrgetter("served"))
        self._floor = shares[0].served
        most = max(1, int(room) // LEAST_SHARE)
        total, count, level = 0.0, 0, 0.0
        for share in shares:
            if count and (count >= most or share.served > level):
                break
            count += 1
            total += share.served
            level = (total + room) / count
        self._level = level
        for share in shares:
            share.quota = max(0.0, level - share.served) if count > 0 else 0.0
            count -= 1
        self._reserved = room

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
        least = limit.segment if bucket.waiting < 2 else min(limit.segment, LEAST_SHARE)
        if allowed <= 0 or (allowed < least and bucket.waiting):
            bucket.await_turn(self)
            self._offered = 0
            return 0
        self._offered = allowed
        return allowed

    def charge(self, now: float, count: int) -> None:
        """As TokenBucket.charge()."""
        bucket = self.bucket
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
        """As TokenBucket.ready_at(); others may be faster."""
        return self.bucket.ready_at(now, wanted)

    def leave(self) -> None:
        """The flow has ended. Call once."""
        self.bucket.release(self)
        self.bucket.members -= 1
