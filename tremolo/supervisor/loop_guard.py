"""Reloads that the application causes itself, by writing a file that it was read from.

Only what a worker has reported to write is evidence, one report for one content: whatever
else changes was changed by somebody else, and counts, also in a file that is ignored when the
application writes it.
"""

import os
import time
from typing import Dict, Iterable, List, NamedTuple, Optional, Set

MAX_WRITTEN = 1_000


class Writing(NamedTuple):
    """A worker opened a file for writing, at `since` by the wall clock; `digest` is what it
    held a moment later, as soon as that is known."""

    since: float
    digest: Optional[str]


class LoopGuard:
    """A path is `stopped` when it was the cause of three reloads within five seconds, each
    time written by a process of ours."""

    RELOADS = 3
    WITHIN = 5.0
    WRITES_FOR = 1.0  # seconds from opening a file to what was written to it

    def __init__(self) -> None:
        self._writing: Dict[str, Writing] = {}
        self._caused: Dict[str, List[float]] = {}
        self._accepted: Dict[str, str] = {}
        self.stopped: Set[str] = set()

    def wrote(self, path: str, now: float, digest: Optional[str] = None) -> None:
        """One of our processes writes a file; `now` by the wall clock."""
        if len(self._writing) >= MAX_WRITTEN:
            self._writing.clear()
        since = self._writing[path].since if digest and path in self._writing else now
        self._writing[path] = Writing(since, digest)

    def is_own(self, path: str, digest: Optional[str]) -> bool:
        """Whether what a file holds now was written by one of our processes. Until it is
        reported what that is, what is written just then may be half of it."""
        writing = self._writing.get(path)
        if writing is None or digest is None:
            return False
        if writing.digest is None:
            # What was emptied a moment ago still bears the time of what it held before.
            return abs(_written(path) - writing.since) <= self.WRITES_FOR
        return writing.digest == digest

    def is_in_doubt(self, path: str) -> bool:
        """Whether a process of ours is about to report what it wrote."""
        writing = self._writing.get(path)
        return writing is not None and writing.digest is None and (
            0 <= time.time() - writing.since < self.WRITES_FOR)

    def caught(self, paths: Iterable[str], now: float) -> Optional[str]:
        """Note a reload because of `paths`, which are all our own; the path that is stopped
        from now on, if any."""
        for path in paths:
            times = [t for t in self._caused.get(path, ()) if now - t < self.WITHIN]
            self._caused[path] = [*times, now]
            if len(times) + 1 >= self.RELOADS:
                self.stopped.add(path)
                return path
        return None

    def accept(self, path: str, digest: str) -> None:
        """What the application wrote is no change any more."""
        self._accepted[path] = digest

    def accepts(self, path: str, digest: Optional[str]) -> bool:
        return digest is not None and self._accepted.get(path) == digest

    def pardon(self, path: str) -> None:
        """Somebody else changed it: it is theirs again."""
        self.stopped.discard(path)
        self._caused.pop(path, None)
        self._accepted.pop(path, None)

    def forgive(self) -> None:
        """Somebody asked for a reload: what was stopped counts again."""
        self.stopped.clear()
        self._caused.clear()
        self._accepted.clear()


class Pace:
    """Spaces out reloads when the same files change again and again while new code starts: a
    program that the application starts may write them, which nobody reports."""

    FREE = 8  # reloads in a row, as fast as they come
    BURST = 3.0  # seconds in which any number of changes may be somebody's who saves
    PAUSE = 2.0  # seconds without a change after which a row ends
    MOST = 1.0
    NOTED = 4  # of those that are spaced out

    def __init__(self) -> None:
        self._causes: Set[str] = set()
        self._row = self._spaced = 0
        self._since = 0.0
        self._last = float("-inf")

    def delay(self, paths: Iterable[str], now: float, busy: bool) -> float:
        """Seconds to wait before the reload because of `paths`, usually none. `busy`: new code
        is starting, or has just started."""
        causes = set(paths)
        in_a_row = busy and causes == self._causes and now - self._last < self.PAUSE
        if not in_a_row:
            self._row, self._spaced, self._since = 0, 0, now
        self._row += 1
        self._causes, self._last = causes, now
        if self._row <= self.FREE or now - self._since < self.BURST:
            return 0.0
        self._spaced += 1
        return float(min(self.MOST, 0.1 * 2 ** self._spaced))

    @property
    def is_noteworthy(self) -> bool:
        return self._spaced == self.NOTED


def _written(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0
