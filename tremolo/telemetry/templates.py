"""Routes as people read them: templates of frameworks, and paths grouped where there is none.

Pure text. A template names the variable parts of a path, as `/items/{id}`, `/items/<int:id>`.
"""

import re
from functools import lru_cache
from typing import List

#: a segment of a path that names one of many things rather than a kind of them
_NUMBER = re.compile(r"[0-9]+")
_UUID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
_DIGEST = re.compile(r"(?=[0-9a-f]*[0-9])(?=[0-9]*[a-f])[0-9a-f]{12,}")
_MIXED = re.compile(r"(?=(?:[^0-9]*[0-9]){3})(?=.*[A-Za-z])[A-Za-z0-9]{16,}")
_QUANTITY = re.compile(r"[?*+]|\{[0-9,]*\}|")
MAX_SEGMENTS = 12


@lru_cache(2048)
def grouped(path: str) -> str:
    """`path`, without its query, with what looks like an identifier replaced by its kind:
    `/users/17/posts/6f9…` is `/users/{int}/posts/{hex}`."""
    segments = path.split("?", 1)[0].split("/")
    if len(segments) > MAX_SEGMENTS:
        segments = [*segments[:MAX_SEGMENTS], "*"]
    return "/".join(_kind(segment) for segment in segments)


def _kind(segment: str) -> str:
    if not segment or segment.isalpha():
        return segment
    if _NUMBER.fullmatch(segment):
        return "{int}"
    if _UUID.fullmatch(segment):
        return "{uuid}"
    if _DIGEST.fullmatch(segment):
        return "{hex}"
    return "{id}" if _MIXED.fullmatch(segment) else segment


@lru_cache(1024)
def readable(route: str) -> str:
    """A template that is a regular expression (`^/page/(?P<number>\\d+)$`) as one of names:
    `/page/{number}`. Others are given back as they are."""
    if not route.startswith("^") and not route.endswith("$") and "(?P<" not in route:
        return route
    out: List[str] = []
    position = unnamed = 0
    while position < len(route):
        char, following = route[position], route[position + 1:position + 2]
        end, name = position + 1, ""
        if char == "(":
            end = _closing(route, position) + 1
            inner = route[position + 1:end - 1]
            named = re.match(r"\?P<(\w+)>", inner)
            if named:
                name = named[1]
            elif inner.startswith("?") and not inner.startswith("?:"):
                position = end  # it only looks ahead or behind
                continue
        elif char == "[":
            end = route.find("]", position + 2) + 1 or len(route)
        elif char == "\\" and following not in tuple("dwsDWS"):
            out.append("" if following in tuple("AZbB") else following)
            position += 2
            continue
        elif char == "\\":
            end = position + 2
        elif char == "." and following in ("*", "+"):
            out.append("*")
            position += 2
            continue
        else:
            out.append("" if char in "^$?" else char)
            position += 1
            continue
        if not name:
            unnamed += 1
        out.append("{" + (name or str(unnamed)) + "}")
        position = _QUANTITY.match(route, end).end()  # type: ignore[union-attr]
    text = "".join(out)
    return text if text.startswith("/") else "/" + text


def _closing(text: str, position: int) -> int:
    """Where the bracket that opens at `position` is closed."""
    depth = 0
    while position < len(text):
        if text[position] == "\\":
            position += 1
        elif text[position] == "(":
            depth += 1
        elif text[position] == ")":
            depth -= 1
            if depth == 0:
                return position
        position += 1
    return len(text)

