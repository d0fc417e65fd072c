"""Log lines for a peer that does not keep up: the newest wait, and what was left out is counted.

Log lines come in floods, and of a flood the end shows what happened. Both ends have one, over
channels of different kinds: the worker towards the supervisor, the feed towards each viewer.
"""

import threading
from collections import deque
from typing import Deque, Generic, List, Tuple, TypeVar

Line = TypeVar("Line")
KEPT = 1000


class Backlog(Generic[Line]):
    """Keeps the newest `most` lines until they are taken. Safe to add to from any thread."""

    def __init__(self, most: int = KEPT) -> None:
        self._lines: Deque[Tuple[Line, int]] = deque()
        self._most = most
        self._lock = threading.Lock()
        self.left_out = 0

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, line: Line, stands_for: int = 1) -> None:
        """`stands_for` is the number of lines that one which tells of those left out is about."""
        with self._lock:
            self._lines.append((line, stands_for))
            if len(self._lines) > self._most:
                self.left_out += self._lines.popleft()[1]

    def take(self) -> "tuple[int, List[Line]]":
        """How many were left out before the ones that waited, and these."""
        with self._lock:
            left_out, lines = self.left_out, [line for line, _ in self._lines]
            self.left_out = 0
            self._lines.clear()
            return left_out, lines
