"""Exceptions as viewers can show them: each of a chain with its frames, the source around each
place, and in the project's own frames the variables.

Bounded as a whole; what is left out is counted. Knows exceptions and files, no library.
"""

import linecache
import os
import traceback
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, List, Optional, Set, Tuple

from ..telemetry.sanitize import clean
from .values import texts_of

if TYPE_CHECKING:
    from ..telemetry.messages import ErrorFrame, Raised

MAX_RAISED = 8
MAX_FRAMES = 40
AROUND = 3  # lines of source before and after
SIZE = 24 * 1024  # characters of a chain, by estimate

#: our own observers are no part of what happened
OWN = os.path.dirname(os.path.abspath(__file__)) + os.sep

Judge = Callable[[str], bool]


def chain_of(exc: BaseException, is_project: Judge) -> "List[Raised]":
    """`exc` first, then what it was raised from or while handling, and the members of a group.

    `is_project(path)` tells the project's files from those of packages, whose frames come
    without source and variables.
    """
    chain: List[Raised] = []
    seen: Set[int] = set()
    room = SIZE
    waiting: List[Tuple[BaseException, str]] = [(exc, "")]
    while waiting and len(chain) < MAX_RAISED:
        current, relation = waiting.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        raised, size = _raised(current, relation, is_project, room)
        room -= size
        chain.append(raised)
        waiting[:0] = _related(current)
    if waiting and chain:
        chain[-1]["left_out"] = chain[-1].get("left_out", 0) + len(waiting)
    return chain


def line_of(exc: BaseException) -> str:
    """`exc` as a line: its type and its text."""
    return clean(f"{type(exc).__name__}: {_words(exc)}")


def _words(exc: BaseException) -> str:
    try:
        return str(exc)
    except Exception as second:
        return f"(its text cannot be shown: {type(second).__name__})"


def _related(exc: BaseException) -> List[Tuple[BaseException, str]]:
    found: List[Tuple[BaseException, str]] = []
    if exc.__cause__ is not None:
        found.append((exc.__cause__, "cause"))
    elif exc.__context__ is not None and not exc.__suppress_context__:
        found.append((exc.__context__, "context"))
    members = getattr(exc, "exceptions", None)
    if isinstance(members, (tuple, list)):
        found += [(member, "member") for member in members if isinstance(member, BaseException)]
    return found


def _raised(exc: BaseException, relation: str, is_project: Judge,
            room: int) -> "Tuple[Raised, int]":
    raised: Raised = {"type": clean(type(exc).__name__), "text": clean(_words(exc), 1024),
                      "relation": relation, "frames": [], "left_out": 0}
    frames = list(_walk(exc.__traceback__))
    if len(frames) > MAX_FRAMES:
        raised["left_out"] = len(frames) - MAX_FRAMES
        frames = frames[:MAX_FRAMES // 4] + frames[-3 * MAX_FRAMES // 4:]
    size = 0
    # From the inside out: where it happened is what must not be cut.
    for frame, line in reversed(frames):
        made = _frame(frame, line, is_project, size < room)
        size += 120 + sum(map(len, made.get("source", ()))) + sum(
            len(name) + len(text) for name, text in made.get("variables", {}).items())
        raised["frames"].insert(0, made)
    return raised, size


def _walk(trace: Optional[TracebackType]) -> List[Tuple[Any, int]]:
    return [(frame, line) for frame, line in traceback.walk_tb(trace)
            if not frame.f_code.co_filename.startswith(("<frozen importlib", OWN))]


def _frame(frame: Any, line: int, is_project: Judge, whole: bool) -> "ErrorFrame":
    code = frame.f_code
    path = code.co_filename
    project = not path.startswith("<") and is_project(path)
    made: ErrorFrame = {"file": clean(path, 1024), "line": line,
                        "name": clean(getattr(code, "co_qualname", code.co_name)),
                        "project": project}
    if not project or not whole:
        text = linecache.getline(path, line, frame.f_globals).strip()
        if text:
            made["source"], made["first"] = [clean(text)], line
        return made
    first = max(1, line - AROUND)
    lines: List[str] = []
    for number in range(first, line + AROUND + 1):
        text = linecache.getline(path, number, frame.f_globals)
        if not text:
            break
        lines.append(clean(text.rstrip("\n").expandtabs(4), 200))
    if lines:
        made["source"], made["first"] = lines, first
    made["variables"] = texts_of(frame.f_locals)
    return made
