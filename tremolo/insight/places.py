"""Where in the project's code something happens: the innermost frame of the project.

Called for each statement and each call, so it makes no texts: a place is a file and a line.
"""

import sys
from typing import Any, Callable, Dict, Optional, Tuple

MAX_DEPTH = 120
_DEPTHS = range(MAX_DEPTH)

Place = Optional[Tuple[str, int]]


class Places:
    """Finds places; `is_project(path)` is asked once for each file."""

    def __init__(self, is_project: Callable[[str], bool]) -> None:
        self._is_project = is_project
        self._known: Dict[str, bool] = {}

    def here(self, depth: int = 2) -> Place:
        """The place of the project's code that called, `depth` frames above and further out;
        for a coroutine that is the one that awaits."""
        frame: Any = sys._getframe(depth)
        known = self._known.get
        greenlet: Any = None
        for _ in _DEPTHS:
            if frame is None:
                # The stack of a greenlet ends at its own beginning (SQLAlchemy's asyncio).
                greenlet = _current_greenlet() if greenlet is None else greenlet.parent
                parent = getattr(greenlet, "parent", None)
                frame = getattr(parent, "gr_frame", None)
                if frame is None:
                    return None
            found = known(frame.f_code.co_filename)
            if found is None:
                found = self._judge(frame.f_code.co_filename)
            if found:
                return frame.f_code.co_filename, frame.f_lineno
            frame = frame.f_back
        return None

    def _judge(self, path: str) -> bool:
        # Templates have code as well, but its lines are not those of their files.
        found = self._known[path] = path.endswith(".py") and self._is_project(path)
        return found


def _current_greenlet() -> Any:
    module = sys.modules.get("greenlet")
    return None if module is None else module.getcurrent()
