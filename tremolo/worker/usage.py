"""What the system says of this process: its memory, and how much it has to do."""

import os
from collections import deque
from typing import Deque, Optional, Tuple


def resident() -> int:
    """Bytes of this process that are in memory."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        import resource
        import sys

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


SCHEDULED = "/proc/self/schedstat"
#: of a turn: seconds of waiting for a processor, and their part of those in which there was
#: something to do, from which on others are in the way
LEAST_WAITED, WAITED_SHARE = 0.002, 0.25
KEPT = 60.0  # seconds for which it is known when that was

#: seconds for which the process's first thread ran, and waited for a processor; None: nobody says
Scheduled = Optional[Tuple[float, float]]


def scheduled(path: str = SCHEDULED) -> Scheduled:
    """What Linux says of that (proc(5), `schedstat`). It opens a file: read it once for all who
    want to know."""
    try:
        with open(path, "rb", buffering=0) as file:
            ran, waited = file.read().split()[:2]
        return int(ran) / 1e9, int(waited) / 1e9
    except (OSError, ValueError):
        return None


def occupied(found: Scheduled, used: float) -> float:
    """Seconds in which the process had something to do: those in which its first thread ran or
    waited for a processor, else those that its threads `used` of one."""
    return used if found is None else sum(found)


class Crowding:
    """When other processes wanted the processor so much that what took long need not be slow.
    `found` is what `scheduled` says at an instant."""

    def __init__(self, now: float, found: Scheduled) -> None:
        self._at = now
        self._last = found
        #: from when to when, the oldest first
        self._times: Deque[Tuple[float, float]] = deque()

    def turn(self, now: float, found: Scheduled) -> None:
        """Some time has passed."""
        last = self._last
        begun, self._at, self._last = self._at, now, found
        times = self._times
        if last is not None and found is not None:
            ran, waited = found[0] - last[0], found[1] - last[1]
            if waited >= max(LEAST_WAITED, WAITED_SHARE * (ran + waited)):
                if times and times[-1][1] == begun:
                    begun = times.pop()[0]
                times.append((begun, now))
        while times and times[0][1] < now - KEPT:
            times.popleft()

    def during(self, begun: float, ended: float) -> bool:
        """Whether it was so at some time between two instants."""
        return any(begin <= ended and end >= begun for begin, end in self._times)
