"""How many workers there shall be, and how long to wait before one that died is replaced.

Pure arithmetic on what happened; reads no clock.
"""

import os
from typing import Optional

STEADY = 1.0  # seconds of serving after which a death is not the start's fault
LONGEST = 30.0
LOOP = 5  # deaths in a row that are called a crash loop


class Backoff:
    """The delays of one worker slot."""

    def __init__(self) -> None:
        self.deaths = 0

    def died(self, served: Optional[float]) -> float:
        """Seconds to wait, after a death `served` seconds into serving (None: before that).

        What served a while died of a request, or of what it did meanwhile: a new worker can
        serve the next one, so it comes at once, however often. One that dies before serving, or
        right at its beginning, would most likely do so again; only the first such death after
        serving began is forgiven.
        """
        if served is not None and served >= STEADY:
            self.deaths = 0
            return 0.0
        self.deaths += 1
        if served is not None and self.deaths == 1:
            return 0.0
        return min(LONGEST, 0.25 * 2.0 ** min(self.deaths, 10))

    def succeeded(self) -> None:
        """New code was started: what happened to the old does not count."""
        self.deaths = 0

    @property
    def looping(self) -> bool:
        return self.deaths >= LOOP


def worker_count(wanted: int) -> int:
    """How many workers `worker_num` means: negative is one for each usable processor."""
    if wanted > 0:
        return wanted
    if wanted == 0:
        return 1
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1
