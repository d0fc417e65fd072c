"""Sockets of workers that do not accept, lent to those that do.

Behind `SO_REUSEPORT` the kernel deals connections out to the sockets, whatever is behind them:
those for a worker that stands still, or has died and waits for its restart, would wait with it.
The supervisor has all sockets, so the others accept on that one, too, until it is well again.
"""

import asyncio
from typing import TYPE_CHECKING, AbstractSet, Dict, Optional, Set

from ..telemetry.builders import lend, take_back

if TYPE_CHECKING:
    from .generations import Generations
    from .listeners import Listeners
    from .worker_handle import WorkerHandle

#: seconds in which several changes are one: workers of a reload begin to serve one by one
SETTLE = 0.05


class Lending:
    """`blocked` are the workers that stand still. Call `look` whenever one of them, or the state
    of a worker, has changed."""

    def __init__(self, loop: asyncio.AbstractEventLoop, listeners: "Listeners",
                 generations: "Generations", blocked: AbstractSet["WorkerHandle"]) -> None:
        self._loop = loop
        self._listeners = listeners
        self._generations = generations
        self._blocked = blocked
        self._lent: Dict[int, Set[int]] = {}  # by process: the slots that it accepts for
        self._timer: Optional[asyncio.TimerHandle] = None

    def look(self) -> None:
        """See soon who has to accept for whom."""
        if self._timer is None and self._listeners.slots > 1:
            self._timer = self._loop.call_later(SETTLE, self._look)

    def _look(self) -> None:
        self._timer = None
        generations = self._generations
        generation = generations.serving
        if generation is None or generations.stopping:
            return
        well = {slot: worker for slot, worker in generation.workers.items()
                if worker.state == "serving" and worker not in self._blocked}
        wanted = set(range(generations.slots)).difference(well)
        lent, self._lent = self._lent, {}
        for worker in well.values():
            had = lent.get(worker.pid, set())
            for slot in had - wanted:
                worker.send(take_back(slot))
            for slot in wanted - had:
                descriptions, fds = self._listeners.share(slot, generations.slots)
                worker.send(lend(slot, descriptions), tuple(fds))
            self._lent[worker.pid] = set(wanted)
        for worker in self._blocked:
            if worker.pid in lent:  # it still has them, and hears of it when it goes on
                self._lent[worker.pid] = lent[worker.pid]
