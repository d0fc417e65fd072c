"""One generation: the workers of one state of the code, and waiting for them.

Knows no other generation and starts nothing.
"""

import asyncio
import time
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional

from ..telemetry.builders import error_event
from .basis import Basis
from .worker_handle import WorkerHandle

if TYPE_CHECKING:
    from ..telemetry.messages import ErrorEvent
    from .relevance import Change

MAX_TRACEBACK = 16 * 1024
LEAVE_LIMIT = 0.5  # for old code to take no more requests, before new code is said to serve
KILL_GRACE = 2.0  # seconds after its time limit that a worker has left to end


class Generation:
    """Workers of one state of the code, by slot. Number 0 is that which shows `error` while there
    is no code that could answer."""

    def __init__(self, number: int, cause: str, error: "Optional[ErrorEvent]" = None,
                 change: "Optional[Change]" = None) -> None:
        self.number = number
        self.error = error
        self.began = time.monotonic()
        self.starting = True
        self.ended = 0.0  # when it was ready, or had failed
        self.cause = cause  # "start", "change", "request", "hangup", "packages"
        self.change = change
        self.workers: Dict[int, WorkerHandle] = {}
        self._read_before = Basis({}, {})  # by workers that others have replaced

    def joined_by(self, files: Mapping[str, str], serving: "Optional[Generation]") -> None:
        """It has read `files` (path -> digest) that were saved after it had begun: they are part
        of the change that it was begun for, unless `serving` code has the same."""
        if self.change is not None and self.starting:
            known = serving.basis.files if serving is not None else {}
            self.change = self.change.joined_by(
                path for path, digest in files.items() if known.get(path) != digest)

    def start_again(self) -> None:
        """Its workers are gone, and others will try; what was read is not forgotten."""
        self._read_before = self.basis
        self.workers.clear()

    def end_start(self) -> None:
        """It is ready, or has failed."""
        self.starting, self.ended = False, time.monotonic()

    @property
    def basis(self) -> Basis:
        """What its workers have read so far."""
        now = Basis.joined([worker.basis for worker in self.workers.values()])
        if not self._read_before.files:
            return now
        found = Basis({}, {})
        for part in (self._read_before, now):
            found.add(part.files, part.places)
        return found

    async def retire(self, timeout: float) -> None:
        """End workers that serve, within `timeout` seconds, before there are others: those get
        their idle connections."""
        for worker in self.workers.values():
            worker.drain(timeout, hand_over=True)
        await gone(list(self.workers.values()), timeout + KILL_GRACE)

    async def left(self) -> List[WorkerHandle]:
        """Wait until its workers take no more requests; those that do not respond in time."""
        leaving = {worker.left: worker for worker in self.workers.values()}
        if not leaving:
            return []
        _, late = await asyncio.wait(leaving, timeout=LEAVE_LIMIT)
        return [leaving[future] for future in late]

    async def dismiss(self, patience: float) -> None:
        """End workers that never served, with a moment for those that were ready to shut down.
        Waits `patience` seconds at most."""
        for worker in self.workers.values():
            if worker.state != "exited" and not worker.ready.done():
                worker.kill()
            elif worker.state != "exited":
                worker.drain(0, hand_over=False, grace=1.0)
        await gone(list(self.workers.values()), patience)


async def gone(workers: List[WorkerHandle], timeout: float) -> None:
    waiting = [worker.gone for worker in workers if worker.pid and not worker.gone.done()]
    if waiting:
        await asyncio.wait(waiting, timeout=timeout)


def timeout_error(gen: int, seconds: float, serving: bool = False) -> "ErrorEvent":
    """The ErrorEvent of a start that takes too long; perhaps it waits for code that serves."""
    hint = ("; if it waits for what the code that serves holds, --reload-order stop-first ends "
            "that first" if serving else "")
    return error_event("startup", "StartupTimeout", gen=gen,
                       text=f"the application did not start within {seconds:g} seconds{hint}")


def outlook(failed: Generation, serving: bool, reload: bool, configuration: bool) -> str:
    """What happens after a generation failed, see ReloadEvent."""
    if serving:
        return "serves"
    if failed.cause == "start" and (not reload or configuration):
        return "ends"
    return "waits" if reload else "asked"


def brief(error: Mapping[str, Any]) -> Dict[str, Any]:
    """An ErrorEvent whose texts fit into the line of a command, the end of its traceback kept."""
    return {**error, "traceback": str(error.get("traceback") or "")[-MAX_TRACEBACK:]}
