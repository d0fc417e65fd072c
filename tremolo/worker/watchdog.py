"""Notices that the event loop stands still, and who holds it up.

A thread that looks a few times a second whether the loop has given a sign of life. After a
quarter of a second without one it takes the stack of the main thread, as it does of a start that
takes long. It also sees that the
supervisor is gone when the loop cannot, as in an endless loop at import. Time in which this
thread did not run either (a stopped process, a sleeping machine) does not count.
"""

import os
import select
import sys
import threading
import time
import traceback
from types import FrameType
from typing import Callable, Optional, Tuple

from ..stacks import undisturbed
from ..telemetry.sanitize import clean, clean_lines
from .installed import PACKAGE, is_project

LOOK = 0.1
BLOCKED_AFTER = 0.25
ORPHAN_AFTER = 1.5  # a loop that runs ends by itself before that
ORPHAN_AT_IMPORT = 0.3  # it serves nobody
SLOW_START = 5.0

Report = Callable[[float, str, str], None]


class Watchdog:
    """Watches the thread that makes it. `beat()` is the sign of life.

    `blocked(seconds, place, stack)` is called from the watching thread, once for each time
    that the loop stands still; `unblocked(seconds)` when it goes on. `slow(seconds, place)` is
    called once if neither `started()` nor `rest()` was called for `slow_after` seconds; `place`
    is where the project's code is then, "" where none of it runs.
    """

    def __init__(self, blocked: Report, unblocked: Callable[[float], None],
                 control_fd: int = -1, slow: Callable[[float, str], None] = lambda *_: None,
                 slow_after: float = SLOW_START) -> None:
        self._blocked = blocked
        self._unblocked = unblocked
        self._slow = slow
        self._slow_after = slow_after
        self._starting = True
        self._control_fd = control_fd
        self._main = threading.get_ident()
        self._last_beat = time.monotonic()
        self._watching = False  # the loop runs
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tremolo-watchdog", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def beat(self) -> None:
        self._watching = True
        self._last_beat = time.monotonic()

    def stands(self) -> float:
        """Seconds since the last sign of life; 0 where none is expected."""
        return time.monotonic() - self._last_beat if self._watching else 0.0

    def started(self) -> None:
        """The application has started."""
        self._starting = False

    def rest(self) -> None:
        """No signs of life are expected any more."""
        self._watching = self._starting = False

    def stop(self) -> None:
        self._stopped.set()

    def _run(self) -> None:
        reported = False
        orphaned_since: Optional[float] = None
        looked = time.monotonic()
        skipped = observed = 0.0
        while not self._stopped.wait(LOOK):
            now = time.monotonic()
            if now - looked > LOOK + BLOCKED_AFTER:
                skipped = now  # this thread stood still as well
            observed += min(now - looked, LOOK + BLOCKED_AFTER)
            looked = now
            if self._starting and observed > self._slow_after:
                self._starting = False
                self._report_slow(observed)
            since = max(self._last_beat, skipped)
            blocked = now - since
            if self._watching and blocked > BLOCKED_AFTER + LOOK:
                if not reported:
                    reported = True
                    self._report(blocked)
            elif reported:
                reported = False
                self._unblocked(blocked)
            if self._supervisor_gone():
                orphaned_since = orphaned_since or now
                patience = ORPHAN_AFTER if self._watching else ORPHAN_AT_IMPORT
                if now - orphaned_since > patience and (
                        not self._watching or blocked > BLOCKED_AFTER):
                    os._exit(1)  # nobody is left to notify; the main thread does not return

    def _report_slow(self, seconds: float) -> None:
        # Not in `_run`, which would keep the frame, and all that it works with, for good.
        with undisturbed:
            frame = sys._current_frames().get(self._main)
            place = project_place(frame) if frame is not None else ""
        self._slow(seconds, place)

    def _report(self, seconds: float) -> None:
        with undisturbed:
            frame = sys._current_frames().get(self._main)
            if frame is None:
                return
            place, stack = stack_of(frame)
        self._blocked(seconds, place, stack)

    def _supervisor_gone(self) -> bool:
        if self._control_fd < 0:
            return False
        poll = select.poll()
        poll.register(self._control_fd, 0)
        try:
            return any(events & (select.POLLHUP | select.POLLERR | select.POLLNVAL)
                       for _, events in poll.poll(0))
        except OSError:
            return True


def project_place(frame: FrameType) -> str:
    """Where in the project's code a frame is ("shop.py:12 in total"), "" if it is in none."""
    for entry in reversed(traceback.extract_stack(frame)):
        if is_project(entry.filename):
            return clean(f"{os.path.basename(entry.filename)}:{entry.lineno} in {entry.name}")
    return ""


def stack_of(frame: FrameType) -> Tuple[str, str]:
    """Where a frame is, in the project if possible ("shop.py:12 in total"), otherwise which
    import of a library it belongs to, or where in the library it is; and its stack, without the
    machinery of imports and of this server, which nobody has to look at."""
    whole = traceback.extract_stack(frame)
    summary = [entry for entry in whole if not _is_machinery(entry.filename)] or whole
    place = project_place(frame) or _import_of(frame) or next(
        (f"{os.path.basename(entry.filename)}:{entry.lineno} in {entry.name}"
         for entry in reversed(summary) if not entry.filename.startswith("<")), "?")
    first = next((index for index, entry in enumerate(summary)
                  if is_project(entry.filename)), 0)
    lines = traceback.format_list(summary[first:])
    return clean(place), clean_lines("".join(lines), 8 * 1024)


def _is_machinery(filename: str) -> bool:
    return filename.startswith(("<frozen importlib", PACKAGE + os.sep))


def _import_of(frame: FrameType) -> str:
    """The import that a frame runs in, named by the outermost module of it, "" if in none."""
    name = ""
    step: Optional[FrameType] = frame
    while step is not None:
        code = step.f_code
        if code.co_name == "<module>" and not (
                code.co_filename.startswith("<") or _is_machinery(code.co_filename)):
            name = f"the import of {step.f_globals.get('__name__')}"
        step = step.f_back
    return name
