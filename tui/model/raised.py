"""Exceptions with their frames, as messages tell them: cleaned, and of the right types."""

import os
from typing import Any, Dict, List, NamedTuple, Tuple

from .text import clean


class Frame(NamedTuple):
    """A frame of a traceback; `first` is the number of the first line of `source`, `marked` the
    part of `line` that is meant, empty for all of it."""

    file: str
    line: int
    name: str
    project: bool
    first: int
    source: Tuple[str, ...]
    marked: Tuple[int, int]
    variables: Dict[str, str]


class Raised(NamedTuple):
    """One exception of a chain; see `tremolo.telemetry.messages.Raised`."""

    type: str
    text: str
    relation: str
    frames: Tuple[Frame, ...]
    left_out: int


def shown_file(file: str, folder: str) -> str:
    """A file as it is called from within the project's `folder`."""
    beneath = folder.rstrip(os.sep) + os.sep
    return file[len(beneath):] if folder and file.startswith(beneath) else file


def chain_of(message: Any) -> Tuple[Raised, ...]:
    """The chain of an ErrorEvent; what has not the form of one is left out."""
    found: List[Raised] = []
    for raised in message if isinstance(message, list) else ():
        if isinstance(raised, dict):
            found.append(Raised(
                clean(raised.get("type", "Exception"), 80), clean(raised.get("text", ""), 1024),
                clean(raised.get("relation", ""), 10),
                tuple(_frame(frame) for frame in raised.get("frames") or ()
                      if isinstance(frame, dict)), int(raised.get("left_out") or 0)))
    return tuple(found)


def _frame(data: Dict[str, Any]) -> Frame:
    variables = data.get("variables")
    return Frame(
        clean(data.get("file", ""), 1000), int(data.get("line") or 0),
        clean(data.get("name", ""), 120), bool(data.get("project")), int(data.get("first") or 0),
        tuple(clean(line, 200) for line in data.get("source") or ()),
        _marked(data.get("marked")),
        {clean(name, 80): clean(value) for name, value in variables.items()}
        if isinstance(variables, dict) else {})


def _marked(value: Any) -> Tuple[int, int]:
    begin, end = value if isinstance(value, list) and len(value) == 2 else (0, 0)
    return int(begin), int(end)
