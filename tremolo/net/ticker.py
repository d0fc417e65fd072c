"""Coarse time: one timer for all connections of a server.

Knows which objects have a deadline and which are paced, not why. Runs only while there is
something to watch, and faster only while something is paced. (10,000
connections are walked in about 0.1 ms; a timer each would cost 1.9 us a request.)
"""

import asyncio
import contextvars
import time
from typing import Callable, Dict, Optional, Protocol, Set

INTERVAL = 0.25
#: seconds between two turns while something is paced
PACE_INTERVAL = 0.01
#: the same for many connections. Buckets let 1.3 times the rate pass in 100 ms: turns of 35 to
#: 50 ms, three in a window, would lose some of it
PACE_STRETCHED = 0.03
#: a turn that comes this late means that the process did not run (SIGSTOP, a debugger, a
#: sleeping machine): deadlines are shifted rather than fired
GAP = 2.0

NEVER = float("inf")


class Timed(Protocol):
    """An object with a deadline, in seconds of the loop's clock."""

    deadline: float

    def on_deadline(self, now: float) -> None: ...

    def shift(self, seconds: float) -> None: ...


class Paced(Protocol):
    """An object that is waiting for its throttle, which gives nothing before `pace_due`."""

    pace_due: float

    def on_pace(self, now: float) -> None: ...


class Ticker:
    """Walks `members` a few times a second and calls those whose deadline has passed. It goes
    on without members while `on_turn` is true."""

    def __init__(self, loop: asyncio.AbstractEventLoop, members: "Dict[int, Timed]",
                 on_turn: Callable[[float], bool]) -> None:
        self._loop = loop
        self._members = members
        self._on_turn = on_turn
        self._timer: Optional[asyncio.TimerHandle] = None
        self._pace_timer: Optional[asyncio.TimerHandle] = None
        self._last = 0.0
        self._pace_due = 0.0
        # Requests that a turn reads must not inherit the variables of a handler that was paced.
        self._context = contextvars.copy_context()
        self._paced: Set[Paced] = set()

    def wake(self) -> None:
        """Start ticking, if it does not already."""
        if self._timer is None:
            now = self._last = self._loop.time()
            self._on_turn(now)
            self._timer = self._loop.call_later(INTERVAL, self._turn)

    def stop(self) -> None:
        for timer in (self._timer, self._pace_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._pace_timer = None

    def _turn(self) -> None:
        now = self._loop.time()
        gap = now - self._last - INTERVAL
        self._last = now
        busy = self._on_turn(now)
        members = self._members
        if gap > GAP:
            for member in members.values():
                member.shift(gap)
        self._timer = \
            self._loop.call_later(INTERVAL, self._turn) if members or busy else None
        due = [member for member in members.values() if member.deadline <= now]
        for member in due:
            member.on_deadline(now)

    def pace(self, member: Paced) -> None:
        """Call `member.on_pace` at the fast turns until `unpace`: at the next one, then at
        those that are not before its `pace_due`."""
        member.pace_due = 0.0
        self._paced.add(member)
        if self._pace_timer is None:
            self._pace_due = self._loop.time() + PACE_INTERVAL
            self._pace_timer = self._loop.call_at(self._pace_due, self._pace_turn,
                                                  context=self._context)

    def unpace(self, member: Paced) -> None:
        self._paced.discard(member)

    def _pace_turn(self) -> None:
        started = self._loop.time()
        worked = time.thread_time()
        try:
            for member in [member for member in self._paced if member.pace_due <= started]:
                member.on_pace(started)
        finally:
            self._pace_again(worked)

    def _pace_again(self, worked: float) -> None:
        if self._paced:
            # Many paced connections stretch the interval, so that pacing them takes a part of
            # the core; not beyond what buckets make up for, though, while that leaves anything.
            # Time that other processes took is no reason to stretch it, and a late turn
            # none for the next to be late.
            spent = time.thread_time() - worked
            interval = max(PACE_INTERVAL, min(4 * spent, PACE_STRETCHED), 1.5 * spent)
            self._pace_due = max(self._pace_due + interval, self._loop.time() + spent / 2)
            self._pace_timer = self._loop.call_at(self._pace_due, self._pace_turn,
                                                  context=self._context)
        else:
            self._pace_timer = None
