"""Where in the project's code something happens: the innermost frame of the project.

Called for each statement and each call, so it makes no texts: a place is a file and a line. Each
frame on the way is looked at, for anything may call anything: a listener or a session of the
project's can stand between the frames of a library.

Where a library has a thread run what somebody asked for elsewhere, the frames further out are not
of who asked. A source names such code as a bound, with what knows more.
"""

import sys
from types import CodeType
from typing import Any, Callable, Dict, Iterable, Optional, Set, Tuple

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
        #: what is known at bounds, by their code, by their files: those are never among the
        #: foreign ones, so that what most statements need does not have to look for bounds
        self._bounds: Dict[str, Dict[CodeType, Callable[[Any], Place]]] = {}

    def bound(self, code: CodeType, place_of: Callable[[Any], Place]) -> Callable[[], None]:
        """Look no further out than at a frame of `code`, a library's: `place_of(frame)` is the
        place there. What is returned undoes it."""
        path = code.co_filename
        self._bounds[path] = {**self._bounds.get(path, {}), code: place_of}
        self._foreign.discard(path)

        def unbound() -> None:
            self._bounds[path] = {
                each: place_of for each, place_of in self._bounds[path].items() if each != code}
            if not self._bounds[path]:
                del self._bounds[path]

        return unbound

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
            path = code.co_filename
            bounds = self._bounds.get(path)
            if bounds is not None:
                if code in bounds:
                    return bounds[code](frame)
                frame = frame.f_back
                continue
            # Templates have code as well, but its lines are not those of their files.
            if path.endswith(".py") and self._is_project(path):
                return self._remembered(code, frame.f_lasti, (path, frame.f_lineno))
            foreign.add(path)

    def among(self, frames: Iterable[Any]) -> Place:
        """As `here`, of `frames` that do not run, the innermost first: those of a task that
        waits."""
        for frame in frames:
            code = frame.f_code
            path = code.co_filename
            place_of = self._bounds.get(path, {}).get(code)
            if place_of is not None:
                return place_of(frame)
            if path not in self._foreign and path.endswith(".py") and self._is_project(path):
                return path, frame.f_lineno
        return None

    def _remembered(self, code: CodeType, instruction: int, place: Place) -> Place:
        if len(self._known) >= MAX_REMEMBERED:
            self._known.clear()
        self._known[id(code), instruction] = code, place
        return place


def _current_greenlet() -> Any:
    module = sys.modules.get("greenlet")
    return None if module is None else module.getcurrent()
