"""Exceptions as messages: type, text, traceback and the place in the project.

Frames of the import machinery and of this package mean nothing to the user and are left out,
unless nothing else would remain.
"""

import importlib
import os
import traceback
from typing import TYPE_CHECKING, Any, List, Optional, Sequence, Tuple

from ..exceptions import ConfigurationError
from ..telemetry.builders import error_event
from ..telemetry.sanitize import clean, clean_lines, text_of_exception
from .installed import PACKAGE, is_project

if TYPE_CHECKING:
    from ..telemetry.messages import ErrorEvent

_WORKER = os.path.dirname(os.path.abspath(__file__)) + os.sep
#: the class of an exception, and the file and the line of the innermost frame of the project
#: (None without one)
Kind = Tuple[str, Optional[str], Optional[int]]
_MACHINERY = ("<frozen importlib", _WORKER, os.path.dirname(importlib.__file__) + os.sep)


def meaningful(files: Sequence[str]) -> List[int]:
    """Which of the frames of a stack, by their files and the outermost first, mean something to
    the user: ours are dropped from the beginning, and the import machinery's anywhere.
    Perhaps none does."""
    frames = [index for index, file in enumerate(files) if not file.startswith(_MACHINERY)]
    while frames and files[frames[0]].startswith(PACKAGE + os.sep):
        del frames[0]
    return frames


def _trim(shown: traceback.TracebackException) -> None:
    kept = meaningful([frame.filename for frame in shown.stack])
    if kept or _is_syntax_error(shown):
        shown.stack = traceback.StackSummary.from_list([shown.stack[index] for index in kept])
    for chained in (shown.__cause__, shown.__context__):
        if chained is not None:
            _trim(chained)


def _is_syntax_error(shown: traceback.TracebackException) -> bool:
    return getattr(shown, "filename", None) is not None and getattr(shown, "lineno", 0) != 0


def describe(exc: BaseException, where: str, gen: int, **more: Any) -> "ErrorEvent":
    """The ErrorEvent of an exception. `more` are further fields of the event."""
    try:
        shown = traceback.TracebackException.from_exception(exc)
        _trim(shown)
        text = "".join(shown.format())
    except Exception as second:  # a __str__ or __repr__ of the application's raises itself
        shown = None
        text = f"{type(exc).__name__} (its traceback cannot be shown: {type(second).__name__})"
    words = text_of_exception(exc)
    if where == "import" and isinstance(exc, ModuleNotFoundError) and exc.name:
        from .absent import where_looked

        words += where_looked(exc.name, os.curdir)
    if not words and not isinstance(exc, Exception):  # KeyboardInterrupt, GeneratorExit, ...
        words = "raised by the application's own code"
    if isinstance(exc, ConfigurationError):
        text = words
    event = error_event(where, clean(type(exc).__name__), clean(words, 1024), clean_lines(text),
                        pid=os.getpid(), gen=gen)
    event["file"] = event["line"] = None
    if isinstance(exc, SyntaxError) and exc.filename:
        event["file"], event["line"] = clean(exc.filename, 1024), exc.lineno
    elif shown is not None:
        for frame in reversed(shown.stack):
            if is_project(frame.filename):
                event["file"], event["line"] = clean(frame.filename, 1024), frame.lineno
                break
    event.update(more)  # type: ignore[typeddict-item]
    return event


def kind_of(exc: BaseException) -> Kind:
    """What exceptions are of one kind by."""
    place: Tuple[Optional[str], Optional[int]] = None, None
    trace = exc.__traceback__
    while trace is not None:
        path = trace.tb_frame.f_code.co_filename
        if is_project(path):
            place = path, trace.tb_lineno
        trace = trace.tb_next
    return (type(exc).__name__, *place)


def describe_briefly(exc: BaseException, kind: Kind, where: str, gen: int,
                     **more: Any) -> "ErrorEvent":
    """As `describe`, for one of too many: of its frames there is but the one of its `kind`."""
    name, file, line = clean(kind[0]), None if kind[1] is None else clean(kind[1], 1024), kind[2]
    words = clean(text_of_exception(exc), 1024)
    text = "Traceback (too many exceptions came at once to describe each: its place alone):\n" + (
        "" if file is None else f'  File "{file}", line {line}\n') + f"{name}: {words}\n"
    event = error_event(where, name, words, text, pid=os.getpid(), gen=gen)
    event["brief"], event["file"], event["line"] = True, file, line
    event.update(more)  # type: ignore[typeddict-item]
    return event


class ApplicationExited(Exception):
    """The application's code called sys.exit()."""


def exited(exc: BaseException) -> BaseException:
    """An exception, in words if it is the one of sys.exit()."""
    if not isinstance(exc, SystemExit):
        return exc
    code = "" if exc.code is None else repr(exc.code)
    error = ApplicationExited(f"the application called sys.exit({code})")
    return error.with_traceback(exc.__traceback__)
