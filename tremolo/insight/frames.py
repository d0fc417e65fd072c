"""Exceptions as viewers can show them: each of a chain with its frames, the source around each
place, and in the project's own frames the variables.

Bounded as a whole; what is left out is counted. Knows exceptions and files, no library.
"""

import linecache
import os
from itertools import islice
from types import BuiltinFunctionType, FunctionType, ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Callable, List, NamedTuple, Optional, Set, Tuple

from ..telemetry.sanitize import clean, text_of_exception
from .values import texts_of

if TYPE_CHECKING:
    from ..telemetry.messages import ErrorFrame, Raised

MAX_RAISED = 8
MAX_FRAMES = 40
AROUND = 3  # lines of source before and after
SIZE = 24 * 1024  # characters of a chain, by estimate

#: our own observers are no part of what happened
OWN = os.path.dirname(os.path.abspath(__file__)) + os.sep

_DEFINED = (ModuleType, FunctionType, BuiltinFunctionType, type)

Judge = Callable[[str], bool]


class Place(NamedTuple):
    """Where a frame was: `instruction` is the index of the one that it executed."""

    frame: Any
    line: int
    instruction: int


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
    return clean(f"{type(exc).__name__}: {text_of_exception(exc)}")


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
    raised: Raised = {"type": clean(type(exc).__name__),
                      "text": clean(text_of_exception(exc), 1024),
                      "relation": relation, "frames": [], "left_out": 0}
    places = _walk(exc.__traceback__)
    if len(places) > MAX_FRAMES:
        raised["left_out"] = len(places) - MAX_FRAMES
        places = places[:MAX_FRAMES // 4] + places[-3 * MAX_FRAMES // 4:]
    frames: List[ErrorFrame] = []
    size = 0
    if isinstance(exc, SyntaxError) and exc.filename and exc.lineno:
        frames.append(_not_compiled(exc, exc.filename, exc.lineno, is_project))
    # From the inside out: where it happened is what must not be cut.
    for place in reversed(places):
        made = _frame(place, is_project, size < room)
        size += 120 + sum(map(len, made.get("source", ()))) + sum(
            len(name) + len(text) for name, text in made.get("variables", {}).items())
        frames.append(made)
    raised["frames"] = frames[::-1]
    return raised, size


def _walk(trace: Optional[TracebackType]) -> List[Place]:
    places: List[Place] = []
    while trace is not None:
        code = trace.tb_frame.f_code
        if not code.co_filename.startswith(("<frozen importlib", OWN)):
            places.append(Place(trace.tb_frame, trace.tb_lineno, trace.tb_lasti))
        trace = trace.tb_next
    return places


def _frame(place: Place, is_project: Judge, whole: bool) -> "ErrorFrame":
    frame, line = place.frame, place.line
    code = frame.f_code
    path = code.co_filename
    project = is_project(path)
    made: ErrorFrame = {"file": clean(path, 1024), "line": line,
                        "name": clean(getattr(code, "co_qualname", code.co_name)),
                        "project": project}
    if not project or not whole:
        text = linecache.getline(path, line, frame.f_globals).strip()
        if text:
            made["source"], made["first"] = [clean(text)], line
        return made
    _add_source(made, path, line, frame.f_globals)
    columns = _columns(code, place.instruction)
    if columns is not None:
        text = linecache.getline(path, line, frame.f_globals).rstrip()
        encoded = text.encode("utf-8", "surrogateescape")  # columns count its bytes
        _mark(made, text, *(len(encoded[:column].decode("utf-8", "replace"))
                            for column in columns))
    names = frame.f_locals
    if code.co_name == "<module>":  # most of its names are what it imported and defined
        names = {name: value for name, value in names.items()
                 if not isinstance(value, _DEFINED)}
    made["variables"] = texts_of(names)
    return made


def _not_compiled(exc: SyntaxError, path: str, line: int, is_project: Judge) -> "ErrorFrame":
    """The place that Python could not read, as the frame that it never became."""
    made: ErrorFrame = {"file": clean(path, 1024), "line": line, "name": "",
                        "project": is_project(path)}
    linecache.checkcache(path)
    _add_source(made, path, line, None)
    begin = (exc.offset or 0) - 1
    if begin >= 0:
        same_line = getattr(exc, "end_lineno", None) in (None, 0, line)
        end = (getattr(exc, "end_offset", None) or 0) - 1 if same_line else -1
        _mark(made, linecache.getline(path, line).rstrip(), begin, max(end, begin + 1))
    return made


def _add_source(made: "ErrorFrame", path: str, line: int, names: Any) -> None:
    first = max(1, line - AROUND)
    lines: List[str] = []
    for number in range(first, line + AROUND + 1):
        text = linecache.getline(path, number, names)
        if not text:
            break
        lines.append(_shown(text.rstrip("\n")))
    if lines:
        made["source"], made["first"] = lines, first


def _shown(text: str) -> str:
    return clean(text.expandtabs(4), 200)


def _columns(code: Any, instruction: int) -> Optional[Tuple[int, int]]:
    """Where in its line an instruction is from, if Python (from 3.11) knows. An expression of
    several lines ends with the first."""
    positions = getattr(code, "co_positions", None)
    if positions is None or instruction < 0:
        return None
    line, end_line, begin, end = next(islice(positions(), instruction // 2, None),
                                      (None, None, None, None))
    if line is None or begin is None or end is None:
        return None
    return begin, end if end_line == line else 1_000_000


def _mark(made: "ErrorFrame", text: str, begin: int, end: int) -> None:
    """Say which part of the line `text` is meant, unless it is all of it."""
    end = min(end, len(text))
    if text[:begin].strip() or text[end:].strip():
        made["marked"] = [len(_shown(text[:begin])), len(_shown(text[:end]))]
