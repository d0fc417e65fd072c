"""Generations of workers: starting new code, switching to it, replacing what died.

Keeps as many workers serving as are wanted, all of one generation. A new one is switched to
only when all of its workers are ready; until then, and if it fails, the old one goes on.
Nothing is waited for without a limit.
"""

import asyncio
import time
from typing import TYPE_CHECKING, Any, Coroutine, Dict, List, Optional, Protocol, Set, TypeVar

from ..config import Settings
from ..telemetry.builders import listeners, reload_event
from .basis import Basis
from .feed import Feed
from .generation import KILL_GRACE, Generation, brief, gone, outlook
from .listeners import Listeners
from .policy import Backoff
from .relevance import Change, shown_path
from .shutdown import make_way
from .spawner import Spawner
from .starter import Starter
from .waiting import undisturbed
from .worker_handle import Observer, WorkerFailed, WorkerHandle

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..telemetry.facts import ReloadOutcome
    from ..telemetry.messages import ErrorEvent, ReloadEvent

Result = TypeVar("Result")
SWITCH_LIMIT = 5.0
CANCEL_GRACE = 0.1  # for code that gives way to a newer save
DECIDING = 0.01
FRESH = 1.0  # seconds after the fork in which a crash makes forking suspect
FORK_SIGNALS = ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGILL", "SIGFPE")


class Decider(Protocol):
    """Knows what was saved, and is asked before an outcome is made known."""

    def failed(self) -> None: ...
    def undecided(self) -> bool: ...


class Generations:
    """All workers; `slots` of them should serve. Files in events are relative to `home`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, settings: Settings, spawner: Spawner,
                 starter: Starter, listeners: Listeners, feed: Feed, observer: Observer,
                 slots: int, home: str) -> None:
        self._loop = loop
        self._settings = settings
        self._spawner = spawner
        self._listeners = listeners
        self._feed = feed
        self._observer = observer
        self._starter = starter
        #: all that live, of whatever generation
        self.workers = starter.workers
        self.slots = slots
        self._home = home
        self._number = 0
        self.serving: Optional[Generation] = None
        self.newest: Optional[Generation] = None
        self.failed: Optional[ErrorEvent] = None
        self.then = "serves"  # what happens after that failure, see ReloadEvent
        self.reload_ms: Optional[float] = None
        self.last_ready: Optional[ReloadEvent] = None  # the last ReloadEvent that was one
        self.order = settings.reload_order
        self.stopping = False
        self.reloader: Optional[Decider] = None
        self.attempt: Optional[asyncio.Task[bool]] = None  # to start the newest
        self._retiring: Optional[asyncio.Task[None]] = None
        self._backoff: Dict[int, Backoff] = {}
        self._tasks: Set[asyncio.Task[Any]] = set()

    @property
    def number(self) -> int:
        """The generation that serves; 0 while none does."""
        return self.serving.number if self.serving is not None else 0

    def is_starting_after(self, number: int) -> bool:
        """Whether code newer than that generation is on its way."""
        return (self.newest is not None and self.newest.number != number
                and self.attempt is not None and not self.attempt.done())

    def keeping(self) -> List[WorkerHandle]:
        """Workers that serve, if new code is not on its way already: that reads all afresh."""
        serving = self.serving
        if serving is None or self.stopping or self.is_starting_after(serving.number):
            return []
        return [worker for worker in serving.workers.values() if worker.state == "serving"]

    @property
    def basis(self) -> Basis:
        """What the newest code was made of, as far as it is known."""
        return self.newest.basis if self.newest is not None else Basis({}, {})

    def spawn_task(self, coroutine: "Coroutine[Any, Any, Result]") -> "asyncio.Task[Result]":
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # -- new code --------------------------------------------------------------------

    def renew(self, change: Optional[Change] = None,
              cause: str = "request") -> "asyncio.Task[bool]":
        """Start a new generation. One that is still starting is given up for it. `cause` is
        "start", "change", "request", "hangup" or "packages"."""
        previous = self.attempt
        if previous is not None and self.newest is not None and not previous.done():
            previous.cancel()
            change = change and change.after(self.newest.change)
        self._number += 1
        self.newest = Generation(self._number, cause, change=change)
        attempt = self.attempt = self.spawn_task(self._renew(self.newest, previous))
        return attempt

    async def _renew(self, generation: Generation,
                     previous: "Optional[asyncio.Task[bool]]") -> bool:
        if previous is not None and not previous.done():
            await asyncio.wait([previous])
        began = generation.change.seen if generation.change is not None else time.monotonic()
        self._publish(generation, "started")
        waits = {"stop": await self._make_way()} if self.order == "stop-first" else {}
        failure: Optional[WorkerFailed] = None
        try:
            try:
                await self._start_all(generation)
            except WorkerFailed as exc:
                failure = exc
            ready = time.monotonic()
            await self._decided(failure is not None)
            waits["settle"] = time.monotonic() - ready
            if generation is not self.newest:  # wait_for can swallow a cancellation
                raise asyncio.CancelledError
        except asyncio.CancelledError:
            await generation.dismiss(
                KILL_GRACE if self.order == "stop-first" else CANCEL_GRACE)
            raise
        generation.end_start()
        if failure is not None:
            if failure.error.get("held"):
                self.order = self._settings.reload_order  # it was not the code that served
            self._note_failure(generation, failure)
            self._spawner.stand_by()  # the cure is to be as fast
            await generation.dismiss(KILL_GRACE)
            if self.serving is None and self.then != "ends":
                await self._serve_fallback()
            return False
        await self._switch(generation, began, waits)
        return True

    async def _make_way(self) -> float:
        """End the code that serves before its successor starts, also when that is given up
        meanwhile for another. The seconds that it took."""
        began = time.monotonic()
        if self.serving is not None:
            old, self.serving = self.serving, None
            self._retiring = self.spawn_task(
                make_way(old, self._feed, self._settings.drain_timeout))
        if self._retiring is not None:
            await undisturbed(self._retiring)
        return time.monotonic() - began

    async def _decided(self, failed: bool) -> None:
        """Return when nothing has been saved that this outcome does not know of. Otherwise the
        next generation is asked for, and this one is cancelled."""
        reloader = self.reloader
        if reloader is None:
            return
        if failed:
            reloader.failed()
        while reloader.undecided() and not self.stopping:
            await asyncio.sleep(DECIDING)
        await asyncio.sleep(0)

    async def _start_all(self, generation: Generation) -> None:
        """Have all workers ready, after those that serve have ended if it takes that. Raises
        WorkerFailed of the first that is not."""
        try:
            await self._starter.start(generation, self.slots, bool(self.number))
        except WorkerFailed as failure:
            what = failure.error.get("held")
            if not what or not self.number:
                raise
            hint = (f"gen {generation.number} wants {what} that is held already, perhaps by the "
                    f"code that serves ({failure})")
            if not self._settings.reload:  # a gap in production is for its owner to decide
                self._feed.log("warning", f"{hint}: --reload-order stop-first ends that first")
                raise
            self._feed.log("warning", f"{hint}: from now on old code is ended before new code "
                           "starts, as by --reload-order stop-first; this is tried again")
            self.order = "stop-first"
            await generation.dismiss(KILL_GRACE)
            generation.start_again()
            await self._make_way()
            await self._starter.start(generation, self.slots, bool(self.number))

    async def _switch(self, generation: Generation, began: float,
                      waits: Dict[str, float]) -> None:
        ready = time.monotonic()
        old, self.serving = self.serving, generation
        self.failed = None
        for worker in generation.workers.values():
            self._observer.worker_switching(worker)
            worker.notify("serve")
            if worker.gone.done():  # it ended before this generation was the one that serves
                self.exited(worker)
        if old is not None:
            for worker in old.workers.values():
                worker.drain(self._settings.drain_timeout, hand_over=True)
        await asyncio.wait([worker.serving for worker in generation.workers.values()],
                           timeout=SWITCH_LIMIT)
        now = time.monotonic()
        if old is not None and await self._left(old):
            now = time.monotonic()
        for backoff in self._backoff.values():
            backoff.succeeded()
        change = generation.change
        slowest = max(generation.workers.values(), key=lambda w: sum(w.parts.values()))
        parts = {"seen": (change.saved if change is not None else 0.0) * 1000,
                 **slowest.parts,
                 **{name: each * 1000 for name, each in waits.items() if each > 0.005},
                 "switch": (now - ready) * 1000}
        self.reload_ms = round(parts["seen"] + (now - began) * 1000, 1)
        self._publish(generation, "ready", ms=self.reload_ms,
                      parts={name: round(ms, 1) for name, ms in parts.items()},
                      modules=slowest.slowest, mode=slowest.mode,
                      preloaded=self._spawner.preloaded if slowest.mode == "zygote" else 0,
                      not_preloaded=self._spawner.plan.not_preloaded)

    async def _left(self, old: Generation) -> bool:
        """Wait until old code takes no more requests: before that, not each answer is one of
        new code. False if a worker stands still, which does not accept either."""
        late = await old.left()
        for worker in late:
            self._feed.log("warning", f"worker {worker.pid} of gen {old.number} does not "
                           "respond: requests on its connections wait, and get the old answers")
        return not late

    def _note_failure(self, generation: Generation, failure: WorkerFailed) -> None:
        self.failed = failure.error
        self.then = outlook(generation, bool(self.number), bool(self._settings.reload),
                            failure.configuration)
        self._publish(generation, "failed", error=failure.error, then=self.then,
                      mode=self._spawner.mode, preloaded=self._spawner.preloaded)
        self.notify_serving("broken", error=brief(failure.error))

    async def _serve_fallback(self) -> None:
        """Answer with the error while there is no code that could."""
        fallback = Generation(0, "start", self.failed)
        try:
            await self._starter.start(fallback, self.slots, serving=False)
        except WorkerFailed as failure:
            self._feed.log("error", f"the page of the error cannot be served: {failure}")
            return
        except asyncio.CancelledError:
            await fallback.dismiss(CANCEL_GRACE)
            raise
        self.serving = fallback
        for worker in fallback.workers.values():
            worker.notify("serve")

    def notify_serving(self, name: str, **args: Any) -> None:
        """Give a command to all workers that serve."""
        for worker in self.serving.workers.values() if self.serving is not None else ():
            worker.notify(name, **args)

    def _publish(self, generation: Generation, state: str,
                 **outcome: "Unpack[ReloadOutcome]") -> None:
        change = generation.change
        files = [shown_path(path, self._home)
                 for path in (change.paths if change is not None else ())]
        event = reload_event(generation.number, self.number, state, generation.cause, files,
                             **outcome)
        if state == "ready":
            self.last_ready = event
        self._feed.publish(event)

    # -- replacing -------------------------------------------------------------------

    def exited(self, worker: WorkerHandle) -> Optional[float]:
        """A worker has ended. Seconds until it is replaced; None if it is not."""
        self.workers.discard(worker)
        generation = self.serving
        if self.stopping or generation is None or worker.stale or (
                generation.workers.get(worker.slot) is not worker):
            return None
        backoff = self._backoff.setdefault(worker.slot, Backoff())
        served = None if worker.serving_since is None else (
            time.monotonic() - worker.serving_since)
        delay = 0.0 if worker.cause == "drained" else backoff.died(served)
        self._judge(worker.slot, backoff, worker.cause)
        if worker.mode == "zygote" and worker.cause in FORK_SIGNALS and (
                time.monotonic() - worker.began < FRESH):
            self._spawner.distrust(f"a forked worker died in its first second ({worker.cause})")
        self.spawn_task(self._replace(generation, worker.slot, delay))
        return delay

    def _judge(self, slot: int, backoff: Backoff, cause: Optional[str]) -> None:
        if backoff.looping:
            self._feed.log("error", f"crash loop: worker slot {slot} died {backoff.deaths} "
                           f"times in a row, the last time: {cause}")

    async def _replace(self, generation: Generation, slot: int, delay: float) -> None:
        """Put a new worker into a slot of the serving generation, however often it takes."""
        while True:
            await asyncio.sleep(delay)
            if self.stopping or self.serving is not generation or slot >= self.slots:
                return
            old = generation.workers.get(slot)
            try:
                worker = await self._starter.start_one(generation, slot, self.slots)
            except WorkerFailed as failure:
                self._feed.publish(failure.error)
                if old is not None and not old.gone.done():
                    generation.workers[slot] = old  # it was to be replaced, but it lives
                    return
                backoff = self._backoff.setdefault(slot, Backoff())
                delay = backoff.died(None)
                self._judge(slot, backoff, str(failure))
                if self._settings.reload and all(
                        worker.gone.done() or worker.slot == slot
                        for worker in generation.workers.values()):
                    self.failed, self.then = failure.error, "waits"
                    await self._serve_fallback()
                    return
                continue
            if self.serving is not generation:
                worker.drain(0, hand_over=False)
                return
            worker.notify("serve")
            if self.failed is not None:
                worker.notify("broken", error=brief(self.failed))
            if old is not None and not old.gone.done():
                old.drain(self._settings.drain_timeout, hand_over=True)
            return

    def replace(self, worker: WorkerHandle) -> bool:
        """Replace a worker that serves: the new one first. False if it does not serve."""
        generation = self.serving
        if generation is None or generation.workers.get(worker.slot) is not worker:
            return False
        self.spawn_task(self._replace(generation, worker.slot, 0.0))
        return True

    def scale(self, count: int) -> None:
        """Have `count` workers from now on."""
        generation, before = self.serving, self.slots
        self.slots = count
        if generation is None:
            return
        for slot in range(before, count):
            self.spawn_task(self._replace(generation, slot, 0.0))
        for slot in range(count, before):
            worker = generation.workers.pop(slot, None)
            if worker is not None:
                worker.drain(self._settings.shutdown_timeout, hand_over=True)
        for slot, worker in generation.workers.items():
            # Connections to the sockets of slots that are no more are accepted by the others.
            descriptions, fds = self._listeners.share(slot, count, beside=before)
            if fds and worker.state == "serving":
                worker.send(listeners(descriptions), tuple(fds))

    def heir(self, worker: WorkerHandle) -> Optional[WorkerHandle]:
        """Who takes over connections of `worker`: one that serves, in its slot if possible."""
        if self.serving is None:
            return None
        candidates = [self.serving.workers.get(worker.slot), *self.serving.workers.values()]
        for candidate in candidates:
            if (candidate is not None and candidate is not worker
                    and not candidate.expected and candidate.state in ("ready", "serving")):
                return candidate
        return None

    # -- ending ----------------------------------------------------------------------

    async def stop(self, timeout: float) -> None:
        """Drain all workers, for at most `timeout` seconds, then kill what is left."""
        self.stopping = True
        for task in list(self._tasks):
            task.cancel()
        for worker in list(self.workers):
            if worker.state == "starting":
                worker.kill()
            else:
                worker.drain(timeout, hand_over=False, grace=KILL_GRACE)
        await gone(list(self.workers), timeout + KILL_GRACE)
        await self.stop_now()

    async def stop_now(self) -> None:
        """Kill all workers."""
        self.stopping = True
        for worker in list(self.workers):
            worker.kill()
        await gone(list(self.workers), KILL_GRACE)
