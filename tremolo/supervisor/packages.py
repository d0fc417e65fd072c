"""Which files of installed packages the workers run, and whether they have changed.

Looked at once in a while rather than watched: there are thousands of them, and they change
when something is installed.
"""

import os
from typing import Dict, Iterable, List, Optional, Tuple

Mark = Optional[Tuple[int, int, int]]


class Packages:
    """Remembers installed files by their modification time, size and inode."""

    def __init__(self) -> None:
        self._marks: Dict[str, Mark] = {}
        self._changing: Dict[str, Mark] = {}

    def learn(self, paths: Iterable[str]) -> None:
        """Files that are in use from now on, as they are now."""
        for path in paths:
            if path not in self._marks:
                self._marks[path] = _mark(path)

    def changed(self) -> List[str]:
        """Files that differ from what is in use, once they have stood still since the last
        look: an installation takes its time, and half of a package helps nobody."""
        differing = {}
        for path, mark in self._marks.items():
            now = _mark(path)
            if now != mark:
                differing[path] = now
        quiet = differing == self._changing
        self._changing = differing
        if not differing or not quiet:
            return []
        self._marks.update(differing)
        self._changing = {}
        return sorted(differing)


def _mark(path: str) -> Mark:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
