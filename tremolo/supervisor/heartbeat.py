"""What the supervisor does once a second: counters, silent workers, changed packages.

Time in which the machine slept, or this process was stopped, is nobody's silence.
"""

import asyncio
import signal
import time
from typing import Optional

from .feed import Feed
from .generations import Generations
from .packages import Packages
from .reload import Reloader
from .spawner import Spawner
from .worker_observer import WorkerObserver

SECOND = 1.0
SILENT_AFTER = 10.0  # seconds without a sign of a worker until it is called blocked
ABORT_GRACE = 0.5  # for the stack that SIGABRT may print, until the worker is killed


class Heartbeat:
    """Beats until it is stopped. A worker that gives no sign of life for `stuck_timeout` seconds
    (0: for ever) is replaced, if `replace` is set."""

    def __init__(self, loop: asyncio.AbstractEventLoop, generations: Generations,
                 spawner: Spawner, observer: WorkerObserver, reloader: Optional[Reloader],
                 packages: Packages, feed: Feed, stuck_timeout: float, replace: bool) -> None:
        self._generations = generations
        self._spawner = spawner
        self._observer = observer
        self._reloader = reloader
        self._packages = packages
        self._feed = feed
        self._stuck_timeout = stuck_timeout if replace else 0.0
        self._silent_after = min(SILENT_AFTER, stuck_timeout / 2 or SILENT_AFTER)
        self._ticked = time.monotonic()
        self._beats = 0
        self._task = loop.create_task(self._run())

    def stop(self) -> None:
        self._task.cancel()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(SECOND)
            now = time.monotonic()
            gap, self._ticked = now - self._ticked, now
            if gap > 3 * SECOND:
                for worker in self._generations.workers:
                    worker.last_sign = now
            self._observer.publish_stats()
            self._check_signs(now)
            self._beats += 1
            if self._reloader is not None:
                self._reloader.look_for_missed()
                if self._beats % 2:
                    self._check_packages()

    def _check_packages(self) -> None:
        self._spawner.check_growth()
        changed = self._packages.changed()
        if changed and not self._generations.stopping:
            self._feed.log("info", f"installed packages have changed ({changed[0]}"
                           f"{f' and {len(changed) - 1} more' if changed[1:] else ''})")
            self._spawner.renew(forget=True)
            self._generations.renew(cause="packages")

    def _check_signs(self, now: float) -> None:
        for worker in list(self._generations.workers):
            silent = now - worker.last_sign
            if worker.state != "serving" or silent < self._silent_after:
                continue
            self._observer.found_blocked(worker, f"no sign of life for {silent:.0f} s")
            if self._stuck_timeout and silent > self._stuck_timeout:
                self._feed.log("error", f"worker {worker.pid} gave no sign of life for "
                               f"{silent:.0f} s and is replaced")
                worker.kill(signal.SIGABRT, expected=False)
                worker.kill_in(ABORT_GRACE)
                worker.last_sign = now
