"""Logs what the end of workers waits for, when it takes longer than a moment: that of the server,
or that of old code which is to end before new code starts.

Knows only what workers have reported.
"""

import asyncio
import time
from typing import Collection, List

from .feed import Feed
from .generation import KILL_GRACE, Generation
from .worker_handle import WorkerHandle

LOG_AFTER = 0.95  # seconds of silence
LOOK = 0.1


#: what happens next, by what the workers end for
SERVER_ENDS = "Ctrl+C again ends it at once; else it is ended"
CODE_FOLLOWS = "the new code starts after that, at the latest"


async def make_way(old: Generation, feed: Feed, timeout: float) -> None:
    """End code that serves, within `timeout` seconds, before there is other code."""
    telling = asyncio.ensure_future(
        log_waits(list(old.workers.values()), feed, timeout, CODE_FOLLOWS))
    try:
        await old.retire(timeout)
    finally:
        telling.cancel()


async def log_waits(workers: Collection[WorkerHandle], feed: Feed, timeout: float,
                    then: str = SERVER_ENDS) -> None:
    """While `workers` end, within `timeout` seconds, log what they wait for: after a second, and
    whenever that becomes something else. Runs until it is cancelled."""
    began = time.monotonic()
    logged: List[str] = []
    await asyncio.sleep(LOG_AFTER)
    while True:
        found = [reason for worker in sorted(workers, key=lambda w: w.pid)
                 for reason in reasons(worker)]
        if found and found != logged:
            logged = found
            left = max(0.0, timeout + KILL_GRACE - (time.monotonic() - began))
            feed.log("warning", f"waiting for {', '.join(found)} ({then} in {left:.0f} s)",
                     name="tremolo.ending")
        await asyncio.sleep(LOOK)


def reasons(worker: WorkerHandle) -> List[str]:
    """What one worker waits for."""
    if worker.gone.done() or not worker.pid:
        return []
    state = "which starts" if worker.state == "starting" else "which gives no reason"
    return worker.waits_for or [f"worker {worker.pid}, {state}"]
