"""Starts the workers of a generation, each in the quickest way that holds for it.

Forked where that is trusted; in a fresh interpreter where a forked one died, or what was imported
ahead of it does not hold. Knows no other generation, and nothing of what follows a start.
"""

import asyncio
from typing import TYPE_CHECKING, Any, Awaitable, Callable, List, Optional, Set

from ..telemetry.builders import error_event
from .generation import KILL_GRACE, Generation, brief, timeout_error
from .listeners import Listeners
from .spawner import Spawner
from .waiting import undisturbed
from .worker_handle import Observer, WorkerFailed, WorkerHandle, WorkerStale

if TYPE_CHECKING:
    from ..telemetry.facts import StartFacts
    from .quiet import Quiet

FALLBACK_LIMIT = 10.0  # seconds for the page of an error, whatever applications get
KILLED = ("SIGKILL", "SIGTERM")  # sent by somebody else, or by the system for want of memory


class Starter:
    """`describe()` gives what all workers are started with; each has `limit` seconds to be
    ready. With `capture` their output comes to `observer`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, spawner: Spawner, listeners: Listeners,
                 observer: Observer, describe: "Callable[[], StartFacts]", limit: float,
                 capture: bool) -> None:
        self._loop = loop
        self._spawner = spawner
        self._listeners = listeners
        self._observer = observer
        self._describe = describe
        self._limit = limit
        self._capture = capture
        self._begun: Optional[Quiet] = None
        #: that were begun, and have not ended as far as is known
        self.workers: Set[WorkerHandle] = set()

    def adopt(self, begun: "Quiet") -> None:
        """Have the first worker be one that is there already."""
        self._begun = begun

    async def start(self, generation: Generation, slots: int, serving: bool) -> None:
        """Have a worker ready in each of `slots`; `serving` is whether other code serves
        meanwhile. Raises WorkerFailed of the first that is not."""
        try:
            await self._start_once(generation, slots, serving)
        except WorkerFailed as failure:
            dead = [worker for worker in generation.workers.values() if not worker.expected
                    and worker.cause is not None and worker.cause.startswith("SIG")]
            killed = all(worker.cause in KILLED for worker in dead)
            crashed = [worker for worker in dead if worker.mode == "zygote"]
            if failure.error.get("type") != "WorkerDied" or not dead or not (killed or crashed):
                raise
            await generation.dismiss(KILL_GRACE)
            generation.start_again()
            if killed:  # which says nothing of the code
                await self._start_once(generation, slots, serving)
                return
            # It died of a signal right after the fork. Perhaps some library cannot be forked:
            # a fresh interpreter shows whether it was that or the application itself.
            mode, self._spawner.mode = self._spawner.mode, "spawn"
            try:
                await self._start_once(generation, slots, serving)
            finally:
                self._spawner.mode = mode
            self._spawner.distrust(f"a forked worker died ({crashed[0].cause})")

    async def start_one(self, generation: Generation, slot: int, slots: int) -> WorkerHandle:
        """Have a worker ready in one slot of `slots`. One that is not is killed, and raises
        WorkerFailed."""
        try:
            return await asyncio.wait_for(
                self._start(self._add(generation, slot), generation, slots), self._limit)
        except asyncio.TimeoutError:
            failure = WorkerFailed(timeout_error(generation.number, self._limit))
        except WorkerFailed as exc:
            failure = exc
        generation.workers[slot].kill()
        raise failure

    async def _start_once(self, generation: Generation, slots: int, serving: bool) -> None:
        workers = [self._add(generation, slot) for slot in range(slots)]
        limit = self._limit if generation.error is None else max(self._limit, FALLBACK_LIMIT)
        try:
            await asyncio.wait_for(_all_ready(
                [self._start(worker, generation, slots) for worker in workers]), limit)
        except asyncio.TimeoutError:
            raise WorkerFailed(timeout_error(
                generation.number, self._limit, serving)) from None

    def _add(self, generation: Generation, slot: int) -> WorkerHandle:
        worker = WorkerHandle(self._loop, self._observer, generation.number, slot)
        generation.workers[slot] = worker
        self.workers.add(worker)
        return worker

    async def _start(self, worker: WorkerHandle, generation: Generation,
                     slots: int) -> WorkerHandle:
        """Start a worker. If what was imported ahead of it does not hold there, another is
        started afresh in its place, which is given back then."""
        try:
            await self._start_process(worker, generation, slots)
        except WorkerStale as stale:
            self._spawner.stale(stale.module, stale.reason, stale.lasting)
            worker = self._add(generation, worker.slot)
            await self._start_process(worker, generation, slots, afresh=True)
        return worker

    async def _start_process(self, worker: WorkerHandle, generation: Generation, slots: int,
                             afresh: bool = False) -> None:
        facts = self._describe()
        if generation.error is not None:
            facts["app"] = {"fallback": brief(generation.error)}
        facts["listeners"], fds = self._listeners.share(worker.slot, slots)
        try:
            if self._begun is not None:
                begun, self._begun = self._begun, None
                worker.take_over(begun, self._spawner.adopt(begun.pid))
            else:
                await worker.start(self._spawner, facts, fds, self._capture, afresh)
        except OSError as exc:
            self.workers.discard(worker)
            raise WorkerFailed(error_event(
                "worker", type(exc).__name__, gen=generation.number,
                text=f"a worker could not be started: {exc.strerror or exc}")) from None
        await undisturbed(worker.ready)


async def _all_ready(starts: "List[Awaitable[Any]]") -> None:
    """Wait for all; the first failure ends the waiting."""
    tasks = [asyncio.ensure_future(start) for start in starts]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
