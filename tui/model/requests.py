"""Requests that can be sent again: made from rows whose request is known whole, and written
as text that a person can edit.

Hop-by-hop fields (RFC 9110, 7.6.1) and what belongs to the connection or the framing are left
out: whoever sends the request sets them anew. A field that could not be sent exactly as it is,
or that could end the head early, makes the request refused.
"""

import hashlib
import re
from typing import Any, List, NamedTuple, Optional, Sequence, Set, Tuple

from .messages import Fields, Message

SAFE = ("GET", "HEAD")  # sent again even if their headers are not known
HARMLESS = (*SAFE, "OPTIONS")
LONGEST = 250  # characters of a target: rows have at most 256, the last of them "…"
VERSION = "HTTP/1.1"
DEFAULT: Fields = (("Accept", "*/*"), ("User-Agent", "tremolo-replay"))

HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection", "te", "trailer",
              "transfer-encoding", "upgrade", "http2-settings"}
_SET_ANEW = HOP_BY_HOP | {"content-length", "expect"}
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_ESCAPED = re.compile(r"\\(x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")  # cleaning wrote that

Key = Tuple[str, ...]  # method, target, and the digest of a body if there is one


class Request(NamedTuple):
    """`headers` None: they are not known, and the usual ones are sent."""

    method: str
    target: str
    headers: Optional[Fields] = None
    body: bytes = b""

    @property
    def key(self) -> Key:
        if not self.body:
            return (self.method, self.target)
        return (self.method, self.target, hashlib.sha256(self.body).hexdigest())

    @property
    def name(self) -> str:
        return f"{self.method} {self.target}"


class Malformed(ValueError):
    """A text is no request; `line` counts from 1."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(f"line {line}: {text}")
        self.line = line


# -- from rows

def key_of(row: Any) -> Key:
    """What a pin of this row's request is, or would be, known by."""
    request = row.request
    if request is None:
        return (row.method, row.path) if row.method in SAFE else (row.method, row.path, "?")
    if not request.whole:
        return (row.method, row.path, "?")
    digest = request.digest
    return (row.method, row.path, digest) if digest else (row.method, row.path)


def refusal_of(row: Any) -> str:
    """Why the request of `row` cannot be sent again; "" if it can."""
    if row.websocket or (row.request and "websocket" in row.request.field("upgrade").lower()):
        return "a WebSocket is not replayed: one request would not make it"
    return refusal(row.method, row.path, row.request)


def refusal(method: str, target: str, request: Optional[Message] = None) -> str:
    """Why this request cannot be sent again; "" if it can."""
    if request is None and method not in SAFE:
        return (f"{method} is not replayed: its headers and body are not known here; "
                "y copies it as curl")
    if not _TOKEN.fullmatch(method):
        return "its method is not known whole; it is not replayed"
    if not is_target(target) or len(target) >= LONGEST or _ESCAPED.search(target):
        return "its target is not known whole; it is not replayed"
    if request is None:
        return ""
    if not request.whole:
        return (f"{method} is not replayed: its "
                f"{'headers are' if request.body_whole else 'body is'} not known whole")
    problem = problem_of(Request(method, target, request.headers))
    return f"{method} is not replayed: {problem}" if problem else ""


def request_of(row: Any) -> Request:
    """The request of `row`, which must not be refused."""
    if row.request is None:
        return Request(row.method, row.path)
    left_out = {"host", "accept-encoding"}
    return Request(row.method, row.path, without(row.request.headers, left_out),
                   row.request.body or b"")


def is_target(target: str) -> bool:
    """Whether this is the target of a request to an origin (RFC 9112, 3.2.1)."""
    return target.startswith("/") and target.isascii() and target.isprintable() \
        and " " not in target


def problem_of(request: Request) -> str:
    """Why this cannot be sent as one request and nothing else; "" if it can."""
    if not _TOKEN.fullmatch(request.method) or not is_target(request.target):
        return "its method or its target is not one"
    for name, value in request.headers or ():
        problem = field_problem(name, value)
        if problem:
            return problem
    return ""


def field_problem(name: str, value: str) -> str:
    """Why a field cannot be sent exactly as it is; "" if it can."""
    if not _TOKEN.fullmatch(name):
        return "a header's name is not one"
    if any(char in value for char in "\r\n\0"):
        return f"the value of {name[:40]} has a line end or NUL in it"
    if any(ord(char) > 0xFF for char in value):
        return f"the value of {name[:40]} has characters that a header cannot carry"
    return ""


def without(headers: Sequence[Tuple[str, str]], names: Set[str]) -> Fields:
    """The fields that go along with a request wherever it is sent, but for `names`."""
    named = {word.strip().lower() for name, value in headers if name.lower() == "connection"
             for word in value.split(",")}
    left_out = _SET_ANEW | named | names
    return tuple(field for field in headers if field[0].lower() not in left_out)


# -- as text

def as_text(request: Request) -> str:
    """Request line, fields, an empty line, the body. Raises ValueError if the body is not
    UTF-8, or has NUL in it: no editor would give it back as it was."""
    fields = DEFAULT if request.headers is None else request.headers
    head = [f"{request.name} {VERSION}", *(f"{name}: {value}" for name, value in fields)]
    body = request.body.decode("utf-8")
    if "\0" in body:
        raise ValueError("NUL in the body")
    return "\n".join([*head, "", body])


def from_text(data: bytes, before: Request) -> Request:
    """The request that was edited. A line end after a body that had none is the editor's.

    What belongs to the framing is left out, as it is set anew. Raises Malformed.
    """
    head, body = _parted(data)
    if body.endswith(b"\n") and not before.body.endswith(b"\n"):
        body = body[:-2] if body.endswith(b"\r\n") else body[:-1]
    try:
        lines = head.decode("utf-8").split("\n")
    except UnicodeDecodeError as exc:
        raise Malformed(head.count(b"\n", 0, exc.start) + 1, "this is not UTF-8") from None
    lines = [line[:-1] if line.endswith("\r") else line for line in lines]
    method, target = _request_line(lines[0])
    headers: List[Tuple[str, str]] = []
    for number, line in enumerate(lines[1:], 2):
        name, colon, value = line.partition(":")
        if not colon or not _TOKEN.fullmatch(name):
            raise Malformed(number, "a header is written as name: value")
        problem = field_problem(name, value)
        if problem:
            raise Malformed(number, problem)
        headers.append((name, value.strip(" \t")))
    return Request(method, target, without(headers, set()), body)


def _parted(data: bytes) -> Tuple[bytes, bytes]:
    """Head and body, without the empty line between them."""
    found = re.search(rb"\r?\n\r?\n", data)
    if found:
        return data[:found.start()], data[found.end():]
    return data.rstrip(b"\r\n"), b""


def _request_line(line: str) -> Tuple[str, str]:
    words = line.split(" ")
    if len(words) == 3 and words[2] not in (VERSION, "HTTP/1.0"):
        raise Malformed(1, f"the version has to be {VERSION}")
    if len(words) not in (2, 3) or not _TOKEN.fullmatch(words[0]):
        raise Malformed(1, f"expected a method, a target and {VERSION}")
    if not is_target(words[1]):
        raise Malformed(1, "the target has to begin with / and be ASCII; %XX for the rest")
    return words[0], words[1]
