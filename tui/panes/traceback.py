"""Tracebacks as lines: the project's frames in full, the framework's folded."""

import re
from typing import List, NamedTuple, Sequence

from ..model.logs import Error

_FRAME = re.compile(r'^\s*(?:\|\s*)*File "(.+)", line (\d+)(?:, in (.+))?$')
_FOREIGN = re.compile(r"site-packages|dist-packages|/lib/python\d|/lib/pypy|<frozen |tremolo/")


class Line(NamedTuple):
    kind: str  # "frame", "source", "mark", "fold", "error", "text"
    text: str


def _foreign(file: str) -> bool:
    return _FOREIGN.search(file) is not None


def traceback_lines(error: Error, unfold: bool) -> List[Line]:
    """The traceback of `error`, a frame's lines together; without project frames all shown."""
    frames: List[List[Line]] = []
    foreign: List[bool] = []
    for text in error.traceback:
        found = _FRAME.match(text)
        if found:
            frames.append([Line("frame", text.strip())])
            foreign.append(_foreign(found.group(1)))
        elif frames and text.startswith("    "):
            mark = set(text.strip()) <= set("^~-")
            frames[-1].append(Line("mark" if mark else "source", text))
        else:
            kind = "text" if text.startswith("Traceback") or not text else "error"
            frames.append([Line(kind, text)])
            foreign.append(False)
    if unfold or not any(
            block[0].kind == "frame" and not away for block, away in zip(frames, foreign)):
        return [line for block in frames for line in block]
    return _folded(frames, foreign)


def _folded(frames: Sequence[List[Line]], foreign: Sequence[bool]) -> List[Line]:
    lines: List[Line] = []
    hidden = 0
    for block, away in zip(frames, foreign):
        if away:
            hidden += 1
            continue
        if hidden:
            lines.append(_fold(hidden))
            hidden = 0
        lines += block
    if hidden:
        lines.append(_fold(hidden))
    return lines


def _fold(count: int) -> Line:
    return Line("fold", f"▹ {count} framework frame{'s' if count > 1 else ''} hidden (f)")
