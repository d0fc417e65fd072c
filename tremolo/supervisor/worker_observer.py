"""What becomes of what workers send: counted, published, and acted upon.

The observer of all worker handles. What each state of a `life` message leads to is in one table,
`_LIFE`. Sends workers what follows from it; starts and ends none itself.
"""

import asyncio
import os
import time
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Set

from ..scope import TOTAL
from ..telemetry.builders import (
    CHECKS,
    SLOW_START,
    adopt,
    log_event,
    stats_event,
    wall,
    worker_event,
)
from ..telemetry.rollup import Rollup
from .feed import Feed
from .generations import Generations
from .lending import Lending
from .listeners import Listeners
from .packages import Packages
from .parked import Parked
from .plan import ModuleNames
from .reload import Reloader
from .spawner import Spawner
from .total_shares import TotalShares
from .wanted import WantedIntercepts, WantedMail, WantedThrottle
from .worker_handle import WorkerHandle

if TYPE_CHECKING:
    from ..telemetry.messages import WorkerEvent

ERRORS_KEPT = 20


class WorkerObserver:
    """`bind_more(worker, addresses)` has further addresses bound. `attend()` must be called
    before the first worker starts, `reloader` be set where there is one."""

    def __init__(self, feed: Feed, throttle: WantedThrottle, intercepts: WantedIntercepts,
                 mail: WantedMail, spawner: Spawner, packages: Packages, parked: Parked,
                 bind_more: Callable[[WorkerHandle, List[List[Any]]], None]) -> None:
        self._feed = feed
        self._throttle = throttle
        self._intercepts = intercepts
        self._mail = mail
        self._spawner = spawner
        self._packages = packages
        self._parked = parked
        self._bind_more = bind_more
        self._modules = ModuleNames()
        self._blocked: Set[WorkerHandle] = set()
        self._checked: Optional[str] = None
        self.reloader: Optional[Reloader] = None
        self.rollup = Rollup()
        self.total_shares = TotalShares()
        #: the newest ErrorEvents, the oldest first
        self.errors: List[Dict[str, Any]] = []

    def attend(self, loop: asyncio.AbstractEventLoop, generations: Generations,
               listeners: Listeners) -> None:
        """Observe the workers of `generations`."""
        self._generations = generations
        self._lending = Lending(loop, listeners, generations, self._blocked)

    # -- as Observer -----------------------------------------------------------------

    def worker_changed(self, worker: WorkerHandle, state: str,
                       cause: Optional[str] = None) -> None:
        retry_in = None
        if state == "starting":
            self.rollup.started(worker.pid)
        if state == "exited":
            self.rollup.ended(worker.pid)
            self._throttle.forget_worker(worker.pid)
            self.total_shares.forget(worker.pid)
            self._blocked.discard(worker)
            self._modules.forget(worker.pid)
            retry_in = self._generations.exited(worker)
        if state == "serving" and not worker.expected:
            self._parked.give(worker)
        if state == "draining" and not worker.expected:
            # A signal from elsewhere: what runs there may take long, new requests do not wait.
            self._generations.replace(worker)
        self._lending.look()
        self._feed.publish(state_event(worker, state, cause, retry_in))

    def worker_frame(self, worker: WorkerHandle, frame: Dict[str, Any],
                     line: Optional[bytes]) -> None:
        self.rollup.update(frame)
        self.total_shares.note(worker.pid, frame)
        self._feed.publish(frame, line)
        if worker in self._blocked:
            self._unblocked(worker)

    def worker_event(self, worker: WorkerHandle, event: Dict[str, Any]) -> None:
        if event["kind"] == "error":
            self.errors = [*self.errors[1 - ERRORS_KEPT:], event]
        if event.get("name") == CHECKS:  # it finds the same at each start
            if event.get("text") == self._checked:
                return
            self._checked = event.get("text")
        if event.get("name") == SLOW_START:
            event = {**event, "text": f"{event.get('text')}; {self._meanwhile()} meanwhile"}
        self._feed.publish(event)

    def _meanwhile(self) -> str:
        """Who answers while new code starts."""
        serving = self._generations.serving
        if serving is None or not any(
                worker.state == "serving" for worker in serving.workers.values()):
            return "nobody serves"
        return (f"gen {serving.number} serves" if serving.error is None
                else "the page of the last error is served")

    def worker_output(self, worker: WorkerHandle, stream: str, text: str) -> None:
        level = "info" if stream == "stdout" else "warning"
        self._feed.publish(log_event(text, level, "", stream, pid=worker.pid, gen=worker.gen))

    def worker_handover(self, worker: WorkerHandle, fd: int) -> None:
        heir = self._generations.heir(worker)
        if heir is None and not self._generations.stopping:
            self._parked.keep(fd)
            return
        if heir is not None:
            heir.send(adopt(), (fd,))
        os.close(fd)

    def worker_switching(self, worker: WorkerHandle) -> None:
        # It knows the throttle and the detail of when it began to start.
        worker.notify("detail", level=self._feed.detail)
        if self._feed.filters:
            worker.notify("filter", filters=self._feed.filters)
        for scope, throttle in self._throttle.for_worker().items():
            worker.notify("throttle", scope=scope, throttle=throttle)
        worker.notify("mail", hold=self._mail.held)
        if self._intercepts.args:
            worker.notify("intercept", **self._intercepts.args)
        self.total_shares.forget(worker.pid)
        self.share_total()

    def worker_life(self, worker: WorkerHandle, life: Mapping[str, Any]) -> None:
        action = _LIFE.get(str(life.get("state")))
        if action is not None:
            action(self, worker, life)

    # -- what states of life lead to -------------------------------------------------

    def _on_modules(self, worker: WorkerHandle, life: Mapping[str, Any]) -> None:
        found = self._modules.add(worker.pid, life)
        # Of code that makes way for newer it is of no use any more: that tells of itself soon.
        if found is not None and worker.slot == 0 and not (
                worker.expected or self._generations.is_starting_after(worker.gen)):
            self._spawner.learn(*found, mode=worker.mode)

    def _on_packages(self, worker: WorkerHandle, life: Mapping[str, Any]) -> None:
        self._packages.learn(map(str, life.get("files", ())))

    def _on_wrote(self, worker: WorkerHandle, life: Mapping[str, Any]) -> None:
        if self.reloader is not None:
            self.reloader.guard.wrote(str(life.get("path")), wall(), life.get("digest"))

    def _on_files(self, worker: WorkerHandle, life: Mapping[str, Any]) -> None:
        newest = self._generations.newest
        if self.reloader is not None and newest is not None and newest.number == worker.gen:
            self.reloader.read(life.get("files", {}), life.get("places", {}))

    def _on_own(self, worker: WorkerHandle, life: Mapping[str, Any]) -> None:
        """It reads files that it writes itself."""
        if self.reloader is not None:
            for path in life.get("paths", []):
                self.reloader.reads.wrote(str(path))

    def _on_outdated(self, worker: WorkerHandle, life: Mapping[str, Any]) -> None:
        """Files that it has read are others by now."""
        if self.reloader is None:
            return
        reads, generations = self.reloader.reads, self._generations
        paths = [str(path) for path in life.get("paths", [])]
        if generations.serving is None or (
                generations.serving.workers.get(worker.slot) is not worker):
            return  # it is on its way out
        if generations.newest is generations.serving and generations.attempt is not None:
            # It may have begun to serve this very moment: that is to be published first.
            generations.attempt.add_done_callback(lambda _: reads.stale(paths))
        elif worker in generations.keeping():
            reads.stale(paths)

    def _on_addresses(self, worker: WorkerHandle, life: Mapping[str, Any]) -> None:
        self._bind_more(worker, life.get("addresses", []))

    def _on_memory(self, worker: WorkerHandle, life: Mapping[str, Any]) -> None:
        size = life.get("resident", 0) // 1024
        self._feed.log("warning",
                       f"worker {worker.pid} has grown to {size} KiB and is replaced")
        self._generations.replace(worker)

    def _on_requests(self, worker: WorkerHandle, life: Mapping[str, Any]) -> None:
        self._feed.log("info", f"worker {worker.pid} has had {life.get('count')} requests and "
                       "is replaced")
        self._generations.replace(worker)

    def _on_blocked(self, worker: WorkerHandle, life: Mapping[str, Any]) -> None:
        place = f"the event loop is blocked by {life.get('place')}"
        worker.waits_for = [place]
        self._set_blocked(worker, place)
        self._feed.publish(log_event(
            f"{place}, for {life.get('seconds', 0) * 1000:.0f} ms so far\n"
            f"{life.get('stack', '')}", "warning", "tremolo.watchdog", pid=worker.pid,
            gen=worker.gen))

    def _on_unblocked(self, worker: WorkerHandle, life: Mapping[str, Any]) -> None:
        if worker in self._blocked:
            self._unblocked(worker)

    # -- blocked workers -------------------------------------------------------------

    def found_blocked(self, worker: WorkerHandle, cause: str) -> None:
        """Publish, once, that a worker stands still."""
        if worker not in self._blocked:
            self._set_blocked(worker, cause)

    def _set_blocked(self, worker: WorkerHandle, cause: str) -> None:
        self._blocked.add(worker)
        self._lending.look()
        self._feed.publish(state_event(worker, "blocked", cause))

    def _unblocked(self, worker: WorkerHandle) -> None:
        self._blocked.discard(worker)
        self._lending.look()
        worker.waits_for = []
        self._feed.publish(state_event(worker, worker.state))

    # -- sums ------------------------------------------------------------------------

    def share_total(self, anew: bool = False) -> None:
        """Divide the cap of the whole server between the workers, by what they want; `anew`
        if each was just given all of it."""
        if anew:
            self.total_shares.restart()
        workers = {worker.pid: worker for worker in self._generations.workers
                   if worker.state in ("ready", "serving", "draining")}
        for pid, share in self.total_shares.due(self._throttle.total, workers).items():
            workers[pid].notify("throttle", scope=TOTAL, throttle=share.as_dict())

    def publish_stats(self) -> None:
        """Once a second: the sums, after what follows from them."""
        self.rollup.sample(time.monotonic())
        self.share_total()
        self._feed.publish(stats_event(
            self._generations.number, self.rollup.totals(), self.rollup.rates(),
            self.rollup.latency()))


Action = Callable[[WorkerObserver, WorkerHandle, Mapping[str, Any]], None]

#: what is done when a `life` message of this state comes; others are the worker handle's
_LIFE: Dict[str, Action] = {
    "modules": WorkerObserver._on_modules,
    "packages": WorkerObserver._on_packages,
    "wrote": WorkerObserver._on_wrote,
    "files": WorkerObserver._on_files,
    "own": WorkerObserver._on_own,
    "outdated": WorkerObserver._on_outdated,
    "addresses": WorkerObserver._on_addresses,
    "memory": WorkerObserver._on_memory,
    "requests": WorkerObserver._on_requests,
    "blocked": WorkerObserver._on_blocked,
    "unblocked": WorkerObserver._on_unblocked,
}


def state_event(worker: WorkerHandle, state: str, cause: Optional[str] = None,
                retry_in: Optional[float] = None) -> "WorkerEvent":
    """The WorkerEvent of a worker in `state`."""
    return worker_event(worker.pid, worker.gen, worker.slot, state,
                        worker.cause if cause is None else cause, worker.expected, retry_in)
