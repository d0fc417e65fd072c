"""What the supervisor does once a second: counters, silent workers, changed packages.

Time in which the machine slept, or this process was stopped, is nobody's silence.
"""

import asyncio
import signal
import time
from typing import TYPE_CHECKING

from .packages import Packages

if TYPE_CHECKING:
    from .supervisor import Supervisor

SECOND = 1.0
SILENT_AFTER = 10.0  # seconds without a sign of a worker until it is called blocked
ABORT_GRACE = 0.5  # for the stack that SIGABRT may print, until the worker is killed


class Heartbeat:
    """Beats for a supervisor until it is stopped."""

    def __init__(self, supervisor: "Supervisor", loop: asyncio.AbstractEventLoop,
                 stuck_timeout: float, dev: bool) -> None:
        self._supervisor = supervisor
        self._stuck_timeout = stuck_timeout if not dev else 0.0  # a debugger may hold it there
        self._silent_after = min(SILENT_AFTER, stuck_timeout / 2 or SILENT_AFTER)
        self._ticked = time.monotonic()
        self._beats = 0
        self.packages = Packages()
        self._task = loop.create_task(self._run())

    def stop(self) -> None:
        self._task.cancel()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(SECOND)
            now = time.monotonic()
            gap, self._ticked = now - self._ticked, now
            if gap > 3 * SECOND:
                for worker in self._supervisor.generations.workers:
                    worker.last_sign = now
            self._supervisor.publish_stats()
            self._check_signs(now)
            self._beats += 1
            reloader = self._supervisor.reloader
            if reloader is not None:
                reloader.look_for_missed()
                if self._beats % 2:
                    self._check_packages()

    def _check_packages(self) -> None:
        supervisor = self._supervisor
        supervisor.spawner.check_growth()
        changed = self.packages.changed()
        if changed and not supervisor.generations.stopping:
            supervisor.note(f"installed packages have changed ({changed[0]}"
                            f"{f' and {len(changed) - 1} more' if changed[1:] else ''})")
            supervisor.spawner.renew(forget=True)
            supervisor.generations.renew(cause="packages")

    def _check_signs(self, now: float) -> None:
        supervisor = self._supervisor
        for worker in list(supervisor.generations.workers):
            silent = now - worker.last_sign
            if worker.state != "serving" or silent < self._silent_after:
                continue
            supervisor.found_blocked(worker, f"no sign of life for {silent:.0f} s")
            if self._stuck_timeout and silent > self._stuck_timeout:
                supervisor.note(f"worker {worker.pid} gave no sign of life for {silent:.0f} s "
                                "and is replaced", "error")
                worker.kill(signal.SIGABRT, expected=False)
                worker.kill_in(ABORT_GRACE)
                worker.last_sign = now
