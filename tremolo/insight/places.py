"""Where in the project's code something happens: the innermost frame of the project.

Called for each statement and each call, so it makes no texts: a place is a file and a line.
"""

import sys
from types import CodeType
from typing import Any, Callable, Dict, NamedTuple, Optional, Tuple

MAX_DEPTH = 120
#: statements of which it is remembered where they came from, and frames in between from which
#: on that is quicker than to look at each
MAX_REMEMBERED = 1000
FAR = 6

Place = Optional[Tuple[str, int]]

_frame_at = sys._getframe


class _Way(NamedTuple):
    """How a place was found: so many frames further out, where `code` was at an instruction, in a
    call of `called`, by way of `between`, the code half-way, and `near`, the nearest but one."""

    away: int
    code: CodeType
    instruction: int
    called: Optional[CodeType]
    between: CodeType
    near: CodeType
    place: Place


class Places:
    """Finds places; `is_project(path)` is asked once for each file."""

    def __init__(self, is_project: Callable[[str], bool]) -> None:
        self._is_project = is_project
        self._known: Dict[str, bool] = {}
        self._ways: Dict[str, _Way] = {}

    def here(self, depth: int = 2) -> Place:
        """The place of the project's code that called, `depth` frames above and further out;
        for a coroutine that is the one that awaits."""
        return self._search(depth + 1, None)

    def of(self, statement: str, depth: int = 2) -> Place:
        """As `here`, where `statement` is sent. If it was sent before from as deep below the same
        instruction, by the same functions there, half-way and here, it took the same way, for
        libraries that are deep call themselves: to look at each frame costs a lot more."""
        nearest = _frame_at(depth)
        if self._known.get(nearest.f_code.co_filename):  # who sends it is the project itself
            return nearest.f_code.co_filename, nearest.f_lineno
        way = self._ways.get(statement)
        if way is not None:
            away, code, instruction, called, between, near, place = way
            try:
                frame = _frame_at(depth + away)
            except ValueError:  # so deep it is not
                frame = None
            if (frame is not None and frame.f_code is code and frame.f_lasti == instruction
                    and _frame_at(depth + away - 1).f_code is called
                    and _frame_at(depth + away // 2).f_code is between
                    and _frame_at(depth + 1).f_code is near):
                return place
        return self._search(depth + 1, statement)

    def _search(self, depth: int, statement: Optional[str]) -> Place:
        """The place; the way to it is remembered for `statement`, if it is far."""
        nearest: Any = _frame_at(depth)
        frame = nearest
        known = self._known.get
        called: Optional[CodeType] = None
        greenlet: Any = None
        for step in range(MAX_DEPTH):
            if frame is None:
                # The stack of a greenlet ends at its own beginning (SQLAlchemy's asyncio).
                greenlet = _current_greenlet() if greenlet is None else greenlet.parent
                parent = getattr(greenlet, "parent", None)
                frame = getattr(parent, "gr_frame", None)
                if frame is None:
                    return None
            code = frame.f_code
            found = known(code.co_filename)
            if found is None:
                found = self._judge(code.co_filename)
            if found:
                place = code.co_filename, frame.f_lineno
                if step >= FAR and statement is not None and greenlet is None:
                    if len(self._ways) >= MAX_REMEMBERED:
                        self._ways.clear()
                    self._ways[statement] = _Way(
                        step, code, frame.f_lasti, called, _code_at(nearest, step // 2),
                        _code_at(nearest, 1), place)
                return place
            called = code
            frame = frame.f_back
        return None

    def _judge(self, path: str) -> bool:
        # Templates have code as well, but its lines are not those of their files.
        found = self._known[path] = path.endswith(".py") and self._is_project(path)
        return found


def _code_at(frame: Any, away: int) -> CodeType:
    for _ in range(away):
        frame = frame.f_back
    code: CodeType = frame.f_code
    return code


def _current_greenlet() -> Any:
    module = sys.modules.get("greenlet")
    return None if module is None else module.getcurrent()
