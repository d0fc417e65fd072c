"""Where in the project's code something happens: the innermost frame of the project.

Called for each statement and each call, so it makes no texts: a place is a file and a line. Each
frame on the way is looked at, for anything may call anything: a listener or a session of the
project's can stand between the frames of a library.
"""

import sys
from types import CodeType
from typing import Any, Callable, Dict, Optional, Set, Tuple

MAX_REMEMBERED = 1000  # instructions of which the place is known

Place = Optional[Tuple[str, int]]

_frame_at = sys._getframe


class Places:
    """Finds places; `is_project(path)` is asked once for each file."""

    def __init__(self, is_project: Callable[[str], bool]) -> None:
        self._is_project = is_project
        #: files that are not the project's
        self._foreign: Set[str] = set()
        #: the place of an instruction, by the `id` of its code, which is kept so that no other
        #: code has that: Python counts a line from the beginning of a function
        self._known: Dict[Tuple[int, int], Tuple[CodeType, Place]] = {}

    def here(self, depth: int = 2) -> Place:
        """The place of the project's code that called, `depth` frames above and further out;
        for a coroutine that is the one that awaits."""
        frame: Any
        foreign = self._foreign
        try:
            frame = _frame_at(depth)
            while frame.f_code.co_filename in foreign:
                frame = frame.f_back
            return self._known[id(frame.f_code), frame.f_lasti][1]
        except (AttributeError, KeyError):  # there is no frame further out, or it is a new one
            return self._further(frame)
        except ValueError:  # there are not so many
            return self._further(_frame_at(1))

    def _further(self, frame: Any) -> Place:
        """As `here`, from `frame` on; None is the end of a stack."""
        foreign = self._foreign
        greenlet: Any = None
        while True:
            while frame is not None and frame.f_code.co_filename in foreign:
                frame = frame.f_back
            if frame is None:
                # The stack of a greenlet ends at its own beginning (SQLAlchemy's asyncio).
                greenlet = _current_greenlet() if greenlet is None else greenlet.parent
                parent = getattr(greenlet, "parent", None)
                frame = getattr(parent, "gr_frame", None)
                if frame is None:
                    return None
                continue
            code = frame.f_code
            known = self._known.get((id(code), frame.f_lasti))
            if known is not None:
                return known[1]
            # Templates have code as well, but its lines are not those of their files.
            path = code.co_filename
            if path.endswith(".py") and self._is_project(path):
                return self._remembered(code, frame.f_lasti, (path, frame.f_lineno))
            foreign.add(path)

    def _remembered(self, code: CodeType, instruction: int, place: Place) -> Place:
        if len(self._known) >= MAX_REMEMBERED:
            self._known.clear()
        self._known[id(code), instruction] = code, place
        return place


def _current_greenlet() -> Any:
    module = sys.modules.get("greenlet")
    return None if module is None else module.getcurrent()
