"""The cap of the whole server, divided between its workers by demand.

Each worker reports how many transfers wait for the cap; once a second the rates are divided
anew. Knows throttle values and worker processes by their ids, nothing of how they are reached.
"""

from dataclasses import replace
from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple

from ..throttle import Throttle
from ..units import MIN_RATE

#: transfers that a worker without any counts for: what a new one gets until the next division
IDLE_WEIGHT = 0.2
#: shares that differ by less than this part are left as they are
NOTICEABLE = 0.05

Rates = Tuple[Optional[float], Optional[float]]


class TotalShares:
    """Who gets how much of a total. `note` demand, then `due` is what is to be sent."""

    def __init__(self) -> None:
        self._waiting: Dict[int, Tuple[float, float]] = {}
        self._sent: Dict[int, Rates] = {}

    def note(self, pid: int, frame: Mapping[str, Any]) -> None:
        """Take in the demand that a worker's frame shows."""
        waiting = frame.get("waiting")
        if isinstance(waiting, list) and len(waiting) == 2:
            self._waiting[pid] = (float(waiting[0]), float(waiting[1]))

    def forget(self, pid: int) -> None:
        self._waiting.pop(pid, None)
        self._sent.pop(pid, None)

    def restart(self) -> None:
        """Every worker was just given all of it: divide anew."""
        self._sent.clear()

    def divide(self, total: Throttle, pids: Iterable[int]) -> Dict[int, Throttle]:
        """The throttle of each worker; together they have the rates of `total`."""
        workers = list(pids)
        if total.offline:
            return dict.fromkeys(workers, total)
        down = self._parts(total.download, workers, 0)
        up = self._parts(total.upload, workers, 1)
        return {pid: replace(total, download=down[pid], upload=up[pid]) for pid in workers}

    def _parts(self, rate: Optional[float], pids: List[int],
               direction: int) -> Dict[int, Optional[float]]:
        if rate is None:
            return dict.fromkeys(pids)
        weights = {pid: max(self._waiting.get(pid, (0.0, 0.0))[direction], IDLE_WEIGHT)
                   for pid in pids}
        every = sum(weights.values())
        return {pid: max(MIN_RATE, rate * weight / every) for pid, weight in weights.items()}

    def due(self, total: Optional[Throttle], pids: Iterable[int]) -> Dict[int, Throttle]:
        """The shares that changed noticeably since they were last asked for."""
        if total is None:
            self.restart()
            return {}
        found = {}
        for pid, share in self.divide(total, pids).items():
            rates = share.download, share.upload
            if not _alike(rates, self._sent.get(pid)):
                self._sent[pid] = rates
                found[pid] = share
        return found


def _alike(new: Rates, old: Optional[Rates]) -> bool:
    if old is None:
        return False
    for a, b in zip(new, old):
        if (a is None) != (b is None):
            return False
        if a is not None and b is not None and abs(a - b) > NOTICEABLE * max(a, b):
            return False
    return True
