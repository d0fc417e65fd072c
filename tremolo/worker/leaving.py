"""What the end of a process waits for, reported when it takes long.

Looks from a thread of its own, so that it also sees what holds up the loop, and what Python
waits for when there is no loop any more: threads that are no daemons, and functions registered
with `atexit`. Changes nothing.
"""

import sys
import threading
import time
from types import FrameType
from typing import TYPE_CHECKING, Callable, Dict, List, Optional, Tuple

from ..stacks import undisturbed
from ..telemetry.sanitize import clean
from .installed import is_project
from .watchdog import BLOCKED_AFTER, stack_of

if TYPE_CHECKING:
    from ..net.server import Server

REPORT_AFTER = 0.75  # seconds, so that it is on the screen within one
LOOK = 0.2
SHOWN = 3  # of each kind


class Leaving:
    """Calls `notify(reasons)` when what is waited for becomes other than before.

    Phases: "requests" of `server` finish, the application's "shutdown", the "exit" of Python; or
    the rest of a "script", of which only the waiting for its threads concerns us. `stands()` is
    for how many seconds the loop has given no sign of life.
    """

    def __init__(self, server: "Optional[Server]", notify: Callable[[List[str]], None],
                 stands: Callable[[], float] = lambda: 0.0) -> None:
        self.phase = "requests"
        self._server = server
        self._notify = notify
        self._stands = stands
        self._main = threading.main_thread()
        self._thread = threading.Thread(target=self._run, name="tremolo-leaving", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        reported: List[str] = []
        pause = REPORT_AFTER
        while True:
            time.sleep(pause)
            pause = LOOK
            found = self.reasons()
            if found and found != reported:
                reported = found
                self._notify(found)

    def reasons(self) -> List[str]:
        """What is waited for now, each in a few words."""
        if self.phase == "exit":
            return _threads() or _children() or _place_of(self._main, "at exit")
        if self.phase == "script":
            return _threads() if _is_waiting_for_threads(self._main) else []
        held = _place_of(self._main, "which holds up the event loop") if (
            self._stands() > BLOCKED_AFTER) else []
        if self.phase == "shutdown":
            return ["the application's shutdown", *held]
        return [*([] if self._server is None else _exchanges(self._server)), *held]


def _exchanges(server: "Server") -> List[str]:
    """What of a server's work is not done."""
    connections = list(server.connections.values())
    sockets = sum(connection.upgraded is not None for connection in connections)
    heads = [connection.current.head for connection in connections
             if connection.upgraded is None and connection.current is not None]
    found = _few([f"{head.method.decode('latin-1')} {_shown(head.target)}"
                  for head in heads], "requests")
    if sockets:
        found.append(f"{sockets} WebSocket{'' if sockets == 1 else 's'}")
    silent = server.silent
    if silent and not found:
        who = "a client" if silent == 1 else f"{silent} clients"
        found.append(f"{who} that asked for nothing yet")
    return found


def _shown(target: bytes) -> str:
    return clean(target.decode("latin-1"), 80)


def _few(names: List[str], kind: str) -> List[str]:
    more = len(names) - SHOWN
    return names[:SHOWN] + ([f"{more} more {kind}"] if more > 0 else [])


def _place_of(thread: threading.Thread, what: str) -> List[str]:
    with undisturbed:
        frame = sys._current_frames().get(thread.ident or 0)
        if frame is None:
            return []
        place = _place(frame)
    return [] if place is None else [f"{place}, {what}"]


def _place(frame: FrameType) -> Optional[str]:
    """Where a frame is in the project, None if it is nowhere there."""
    entry: Optional[FrameType] = frame
    while entry is not None and not is_project(entry.f_code.co_filename):
        entry = entry.f_back
    return None if entry is None else stack_of(entry)[0]


def _threads() -> List[str]:
    """Threads that Python waits for, and where each is."""
    reported = []
    with undisturbed:
        frames: Dict[int, FrameType] = sys._current_frames()
        del frames[threading.get_ident()]  # one that knows itself would live on
        found: List[Tuple[str, Optional[FrameType]]] = [
            (thread.name, frames.get(thread.ident or 0)) for thread in threading.enumerate()
            if not thread.daemon and thread is not threading.main_thread()]
        for name, frame in found:
            place = None if frame is None else _place(frame) or stack_of(frame)[0]
            reported.append(f'thread "{clean(name, 40)}"' + (f" at {place}" if place else ""))
    return _few(reported, "threads")


def _is_waiting_for_threads(main: threading.Thread) -> bool:
    """Whether Python ends, but for threads: `threading._shutdown` runs then."""
    with undisturbed:
        frame = sys._current_frames().get(main.ident or 0)
        while frame is not None and frame.f_back is not None:
            frame = frame.f_back
    return frame is not None and frame.f_code.co_name == "_shutdown"


def _children() -> List[str]:
    """Processes of `multiprocessing` that Python waits for."""
    module = sys.modules.get("multiprocessing")
    if module is None:
        return []
    return _few([f'process "{clean(child.name, 40)}" ({child.pid})'
                 for child in module.active_children() if not child.daemon], "processes")
