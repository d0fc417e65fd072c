"""Idle connections of code that has left, while there is no worker that could have them.

So it is between two generations where the old one ends first, and after the crash of the only
heir. What their clients send meanwhile waits in the kernel, as new connections do in the queue
of the listening socket: a client that keeps its connection shall not lose a request to a reload.
"""

import os
from typing import TYPE_CHECKING, Deque

from ..telemetry.builders import adopt

if TYPE_CHECKING:
    from .worker_handle import WorkerHandle


class Parked:
    """Keeps up to `limit` descriptors; of more, those that came first are closed."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._descriptors: Deque[int] = Deque()

    def keep(self, fd: int) -> None:
        """Own the descriptor of a connection until somebody can have it."""
        self._descriptors.append(fd)
        if len(self._descriptors) > self._limit:
            os.close(self._descriptors.popleft())

    def give(self, worker: "WorkerHandle") -> None:
        """Have `worker` adopt all of them."""
        while self._descriptors:
            fd = self._descriptors.popleft()
            worker.send(adopt(), (fd,))
            os.close(fd)

    def close(self) -> None:
        """Nobody will come."""
        while self._descriptors:
            os.close(self._descriptors.popleft())
