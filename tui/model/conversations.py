"""What went over WebSockets and event streams: messages both ways, by exchange.

What comes from a worker is not trusted, and cleaned only where it is drawn. All of it is
bounded; the oldest messages are forgotten first, and counted.
"""

import base64
import json
from collections import deque
from typing import Any, Deque, Dict, List, Mapping, Optional, Sequence, Tuple

from .text import clean

MOST = 1000  # messages of an exchange
STREAMS = 200  # exchanges whose messages are kept
CONTROL = ("ping", "pong")
_KINDS = ("text", "binary", "ping", "pong", "close", "event")

Key = Tuple[int, int]  # pid, id of the exchange


class StreamMessage:
    __slots__ = ("data", "incoming", "kind", "size", "t", "text", "uid", "waited", "wire")

    def __init__(self, uid: int, told: Mapping[str, Any]) -> None:
        self.uid = uid
        self.t = float(told.get("t", 0.0))
        self.incoming = told.get("in") is True
        kind = str(told.get("kind", ""))
        self.kind = kind if kind in _KINDS else clean(kind, 12)
        self.size = int(told.get("size", 0))
        #: bytes of its payload on the wire, if it was compressed
        self.wire = int(told["wire"]) if told.get("wire") is not None else None
        self.waited = told.get("waited") is True
        text = told.get("text")
        self.text: Optional[str] = text if isinstance(text, str) else None
        encoded = told.get("data64")
        self.data = base64.b64decode(encoded, validate=True) if isinstance(encoded, str) else b""

    @property
    def known(self) -> int:
        """Bytes of it that are known here."""
        return len(self.data) if self.text is None else len(self.text.encode("utf-8", "replace"))

    def lines(self, pretty: bool) -> List[str]:
        """Its text, not cleaned: JSON indented if it shall be `pretty`, bytes as hex."""
        if self.text is None:
            return [self.data[start:start + 16].hex(" ") for start in range(
                0, min(len(self.data), 256 if pretty else 16), 16)] or [""]
        if pretty and self.known == self.size:
            try:
                value = json.loads(self.text)
            except (ValueError, RecursionError):
                value = None
            if isinstance(value, (dict, list)):
                return json.dumps(value, indent=2, ensure_ascii=False).split("\n")
        return self.text.rstrip("\n").split("\n")


class Conversation:
    """The messages of one exchange."""

    def __init__(self) -> None:
        self.messages: Deque[StreamMessage] = deque(maxlen=MOST)
        self.seen = 0
        self.received = self.sent = 0
        self.size = self.wire = 0  # bytes of those that were compressed: inflated, on the wire
        self.waited = 0  # that could not be sent at once

    @property
    def forgotten(self) -> int:
        return self.seen - len(self.messages)


class Conversations:
    def __init__(self) -> None:
        self._by_key: Dict[Key, Conversation] = {}
        self.left_out = 0  # that never came: too many at once
        self.revision = 0
        self._next_uid = 1

    def frame(self, pid: int, told: Sequence[Mapping[str, Any]], left_out: int) -> None:
        for message in told:
            key = (pid, int(message.get("id", 0)))
            talk = self._by_key.get(key)
            if talk is None:
                if len(self._by_key) >= STREAMS:
                    del self._by_key[next(iter(self._by_key))]
                talk = self._by_key[key] = Conversation()
            made = StreamMessage(self._next_uid, message)
            self._next_uid += 1
            talk.messages.append(made)
            talk.seen += 1
            talk.waited += made.waited
            if made.wire is not None:
                talk.size += made.size
                talk.wire += made.wire
            if made.kind not in CONTROL:
                talk.received += made.incoming
                talk.sent += not made.incoming
        self.left_out += left_out
        self.revision += 1

    def of(self, pid: int, exchange: int) -> Optional[Conversation]:
        return self._by_key.get((pid, exchange))
