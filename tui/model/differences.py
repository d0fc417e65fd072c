"""Two answers of one request, line against line: what a person reads to see what changed.

Secrets are masked on both sides; what they hide is no difference then, but the digest is.
"""

import difflib
from typing import List, Tuple

from . import bodies
from .messages import is_secret, masked
from .pins import Answer, counted, field_changes
from .text import MAX_LINE, clean, duration, size

LINES = 1000  # of a body that are compared
CONTEXT = 3  # lines around a change
SHOWN = 400  # lines of a difference

#: what becomes of a line: "-" it was, "+" it is, " " it is between them, "@" a heading
Line = Tuple[str, str]


def lines_of(before: Answer, after: Answer) -> List[Line]:
    """Status, time and queries, header fields, and the body; empty if all is the same."""
    if before.error or after.error:
        return _pair(before.words(), after.words())
    lines = _pair(str(before.status), str(after.status))
    if before.queries != after.queries and min(before.queries, after.queries) >= 0:
        lines += _pair(counted(before.queries), counted(after.queries))
    fields = field_changes(before, after)
    if fields:
        lines.append(("@", "Headers"))
        for name, was, now in fields:
            lines += [(sign, f"{clean(name, 80)}: {_value(name, value)}")
                      for sign, value in (("-", was), ("+", now)) if value is not None]
    if before.digest != after.digest:
        lines += [("@", "Body"), *_body(before, after)]
    return lines


def times(before: Answer, after: Answer) -> str:
    """How the times compare, in words."""
    return f"{duration(before.ms)} → {duration(after.ms)}"


def _pair(was: str, now: str) -> List[Line]:
    return [] if was == now else [("-", was), ("+", now)]


def _value(name: str, value: str) -> str:
    return masked(value) if is_secret(name) else clean(value, MAX_LINE)


def _body(before: Answer, after: Answer) -> List[Line]:
    sides: List[List[str]] = []
    for answer in (before, after):
        message, _ = bodies.readable(answer.message)
        if bodies.kind_of(message) == "binary" or (answer.bytes and not answer.body):
            return _pair(_about(before), _about(after)) or [("@", "other bytes, as many")]
        shown, _ = bodies.shown(message, reveal=False, most=LINES)
        sides.append([clean(line, MAX_LINE) for line in shown])
    found: List[Line] = []
    for line in difflib.unified_diff(sides[0], sides[1], n=CONTEXT, lineterm=""):
        if line.startswith(("---", "+++")) and not found:
            continue
        if line.startswith("@@"):
            found.append(("@", line.strip("@ ")))
        else:
            found.append((line[0], line[1:]))
    if not found:
        return [("@", "it differs beyond what is known of it here, or in what is masked")]
    if len(found) > SHOWN:
        found[SHOWN:] = [("@", f"{len(found) - SHOWN:,} more lines")]
    return found


def _about(answer: Answer) -> str:
    return f"{bodies.content_type(answer.message) or 'no type'}, {size(answer.bytes)}"
