"""Stacks of other threads, looked at without a danger to the process.

A leaf: imports nothing of ours.
"""

import gc
import sys
import threading
from typing import Any

#: CPython 3.11 makes the object of a frame when somebody asks for it, which may run the garbage
#: collector before the frame is held: what that finalizes may let the frame's thread go on, and
#: its memory is another's then (`sys._current_frames` itself minds that from 3.11.5 on, CPython's
#: issue 106883). Before, each frame has its object from the beginning; later the collector waits
#: for an instruction's end.
NEEDED = sys.implementation.name == "cpython" and sys.version_info[:2] == (3, 11)


class Undisturbed:
    """Enter it before `sys._current_frames()` is called, or a coroutine's frame is asked for that
    another thread may run, and leave it when nobody asks these frames for others any more. The
    garbage collector rests meanwhile, where it must. One thread at a time."""

    def __init__(self, needed: bool = NEEDED) -> None:
        self._needed = needed
        self._lock = threading.Lock()
        self._was_enabled = False

    def __enter__(self) -> None:
        if self._needed:
            self._lock.acquire()
            self._was_enabled = gc.isenabled()
            gc.disable()

    def __exit__(self, *raised: Any) -> None:
        if self._needed:
            if self._was_enabled:
                gc.enable()
            self._lock.release()


undisturbed = Undisturbed()
