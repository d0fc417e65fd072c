"""Logs what the end of the server waits for, when it takes longer than a moment.

Knows only what workers have reported; ends nothing.
"""

import asyncio
import time
from typing import Collection, List

from .feed import Feed
from .generation import KILL_GRACE
from .worker_handle import WorkerHandle

LOG_AFTER = 0.95  # seconds of silence
LOOK = 0.1


async def log_waits(workers: Collection[WorkerHandle], feed: Feed, timeout: float) -> None:
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
            feed.log("warning", f"waiting for {', '.join(found)} (Ctrl+C again ends it at once; "
                     f"else it is ended in {left:.0f} s)", name="tremolo.ending")
        await asyncio.sleep(LOOK)


def reasons(worker: WorkerHandle) -> List[str]:
    """What one worker waits for."""
    if worker.gone.done() or not worker.pid:
        return []
    state = "which starts" if worker.state == "starting" else "which gives no reason"
    return worker.waits_for or [f"worker {worker.pid}, {state}"]
