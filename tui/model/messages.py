"""Requests and responses as they were on the wire: header fields, and the first of the body.

What comes from a worker is not trusted: what has the wrong type counts as absent. Nothing here
is cleaned (it has to be sent again exactly), so whoever draws it has to do that. `Kept` bounds
what all messages together take.
"""

import base64
import hashlib
import sys
from collections import deque
from typing import Any, Deque, Optional, Tuple

from tremolo.telemetry.secrets import is_secret as is_secret

MOST = 16 * 1024 * 1024  # bytes that the messages of all rows may take
_LARGEST = 1 << 62  # a size beyond is nonsense
_OBJECTS = 400  # bytes that a message takes beside its fields and its body

Fields = Tuple[Tuple[str, str], ...]


class Message:
    """A request or a response: its header fields in their order, and what is known of its body.

    `size` is that of the whole body in bytes; None when it is not known. `body` is None when
    nothing of it is known. `cut` says that something is missing: of the body, or of the fields
    where those are very long.
    """

    __slots__ = ("_digest", "body", "cut", "headers", "size")

    def __init__(self, headers: Fields, size: Optional[int], body: Optional[bytes],
                 cut: bool) -> None:
        self.headers = headers
        self.size = size
        self.body = body
        self.cut = cut
        self._digest = ""

    @property
    def whole(self) -> bool:
        """Whether all fields and every byte of the body are known."""
        return not self.cut

    @property
    def body_whole(self) -> bool:
        """Whether every byte of the body is known, if perhaps not all fields."""
        return self.size == len(self.body or b"")

    @property
    def digest(self) -> str:
        """Of the known part of the body; "" when there is none."""
        if self.body and not self._digest:
            self._digest = hashlib.sha256(self.body).hexdigest()
        return self._digest

    @property
    def cost(self) -> int:
        """Bytes of memory, roughly."""
        fields = sum(sys.getsizeof(name) + sys.getsizeof(value) + 64
                     for name, value in self.headers)
        return _OBJECTS + fields + len(self.body or b"")

    def field(self, name: str) -> str:
        """The value of the first field `name` (in lower case); "" without one."""
        for known, value in self.headers:
            if known.lower() == name:
                return value.strip()
        return ""

    def has_line(self, word: str) -> bool:
        """Whether a line "name: value" of the head contains `word` (in lower case)."""
        return any(word in f"{name}: {value}".lower() for name, value in self.headers)

    def has_text(self, word: str) -> bool:
        """Whether what is known of the body contains `word` (in lower case)."""
        return bool(self.body) and word in (self.body or b"").decode("utf-8", "replace").lower()


def parse(data: Any) -> Optional[Message]:
    """The message in a row's `request` or `response`; None when there is none.

    A message whose fields are not all known is none: a part of them would be a lie.
    """
    if not isinstance(data, dict):
        return None
    headers = _fields(data.get("headers"))
    if headers is None:
        return None
    body = _body(data)
    known = len(body or b"")
    size = data.get("size")
    if type(size) is not int or not known <= size < _LARGEST:  # a bool is no size either
        size = None
    cut = data.get("cut") is True or size is None or size > known
    return Message(headers, size, body, cut)


def _fields(data: Any) -> Optional[Fields]:
    if not isinstance(data, list):
        return None
    for field in data:
        if not (isinstance(field, list) and len(field) == 2
                and isinstance(field[0], str) and isinstance(field[1], str)):
            return None
    return tuple((name, value) for name, value in data)


def _body(data: Any) -> Optional[bytes]:
    text, encoded = data.get("body"), data.get("body64")
    try:
        if isinstance(text, str):
            return text.encode("utf-8")
        if isinstance(encoded, str):
            return base64.b64decode(encoded, validate=True)
    except ValueError:  # a lone surrogate, or no base64
        return None
    return None


def masked(value: str) -> str:
    """What is shown in place of a secret."""
    count = len(value)
    return f"•••• {count} character{'' if count == 1 else 's'}"


class Kept:
    """The rows that have messages, oldest first: beyond `most` bytes the oldest lose theirs."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self.bytes = 0
        self._rows: Deque[Tuple[int, Any]] = deque()  # what its messages take, and the row

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, row: Any) -> None:
        cost = sum(message.cost for message in (row.request, row.response) if message)
        self._rows.append((cost, row))
        self.bytes += cost
        while self.bytes > self.most:
            self._forget()

    def forget_before(self, uid: int) -> None:
        """Rows that have left the ring need no messages."""
        while self._rows and self._rows[0][1].uid < uid:
            self._forget()

    def _forget(self) -> None:
        cost, row = self._rows.popleft()
        self.bytes -= cost
        row.request = row.response = None
