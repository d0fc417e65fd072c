"""Requests that are held, routes that are mocked, and how both are typed."""

import base64
import re
from typing import Any, Dict, Mapping, NamedTuple, Optional, Tuple

from .text import clean

_WORD = re.compile(r"[A-Z]+$")


class Malformed(ValueError):
    """A text that is no rule; it says what one is."""


class Held(NamedTuple):
    pid: int
    id: int
    method: str
    path: str
    until: float  # model clock


class Mock(NamedTuple):
    """`body` is None where the text says nothing of one."""

    method: str
    path: str
    status: int
    headers: Tuple[Tuple[str, str], ...]
    body: bytes

    def told(self) -> Dict[str, Any]:
        return {"method": self.method, "path": self.path, "status": self.status,
                "headers": [list(field) for field in self.headers],
                "body64": base64.b64encode(self.body).decode("ascii")}


class Holding:
    """What is wanted, and what is held now."""

    def __init__(self) -> None:
        self.held: Dict[Tuple[int, int], Held] = {}
        self.hold = ""  # as it was typed
        self.mocks: Dict[Tuple[str, str], Mock] = {}
        self.revision = 0

    def event(self, message: Mapping[str, Any], now: float) -> Held:
        """A request is held, or is not any more."""
        self.revision += 1
        key = (int(message["pid"]), int(message["id"]))
        held = Held(*key, clean(message.get("method", ""), 16), clean(message.get("path", "")),
                    now + float(message.get("seconds", 0.0)))
        if message.get("state") == "held":
            self.held[key] = held
        else:
            self.held.pop(key, None)
        return held

    def ended(self, pid: int) -> None:
        """A process is gone, and what it held with it."""
        for key in [key for key in self.held if key[0] == pid]:
            del self.held[key]
            self.revision += 1

    def headline(self) -> str:
        """What is not as the application has it: "holds POST /api/*, mocks 2 routes", or ""."""
        parts = [f"holds {self.hold}"] if self.hold else []
        if len(self.mocks) == 1:
            parts += [f"mocks {method} {path}" for method, path in self.mocks]
        elif self.mocks:
            parts.append(f"mocks {len(self.mocks)} routes")
        return ", ".join(parts)

    def wanted(self) -> Dict[str, Any]:
        """The arguments of the command that asks for all of it."""
        return {"hold": self.hold, "mocks": [mock.told() for mock in self.mocks.values()]}


def mock_of(text: str, recorded: Optional[Mock] = None) -> Mock:
    """`GET /api/items/* 503 {"error": 1}`; without a body that of `recorded`, if its status is
    the same. Raises Malformed."""
    words = text.strip().split(None, 3)
    if len(words) < 3 or not _WORD.match(words[0]) or not words[1].startswith("/") or not (
            re.match("[2-5][0-9][0-9]$", words[2])):
        raise Malformed('a mock is method, path, status, body: GET /a/* 503 {"error": 1}')
    status = int(words[2])
    if len(words) == 3:
        if recorded is not None and recorded.status == status:
            return recorded._replace(method=words[0], path=words[1])
        return Mock(words[0], words[1], status, (), b"")
    media = "application/json" if words[3][0] in "{[" else "text/plain; charset=utf-8"
    return Mock(words[0], words[1], status, (("content-type", media),), words[3].encode())


def change_of(text: str) -> Dict[str, Any]:
    """How one that is held goes on: `PUT /other X-Role: admin | Cookie: || {"id": 3}`; what
    stands behind || is its body. Raises Malformed."""
    text, bars, body = text.partition("||")
    head, *fields = [part.strip() for part in text.split("|")]
    words = head.split(None, 2)
    if len(words) < 2 or not _WORD.match(words[0]) or not words[1].startswith("/"):
        raise Malformed("a method and a target, then headers and a body: "
                        "PUT /other X-Role: admin | Cookie: || body")
    headers: Dict[str, Optional[str]] = {}
    for field in filter(None, [*words[2:], *fields]):
        name, colon, value = field.partition(":")
        if not colon or not name.strip() or " " in name.strip():
            raise Malformed("a header is written as name: value; without a value it goes")
        headers[name.strip()] = value.strip() or None
    changed: Dict[str, Any] = {"method": words[0], "target": words[1], "headers": headers}
    if bars:
        changed["body64"] = base64.b64encode(body.strip().encode()).decode("ascii")
    return changed
