"""Messages of WebSockets and events of event streams, while somebody wants to see them.

The newest are kept, those left out are counted. Knows bytes only; where nobody looks there is no
log, and a message costs one comparison.
"""

import collections
from typing import Deque, List, NamedTuple, Optional, Tuple

#: bytes that are kept of a message
CAPTURED = 4096
MOST = 500

TEXT, BINARY, PING, PONG, CLOSE, EVENT = "text", "binary", "ping", "pong", "close", "event"


class StreamMessage(NamedTuple):
    """One message. `at` is an instant of the loop's clock, `size` its bytes without framing and
    compression, `wire` those of its payload as it passed compressed, None where it did not;
    `waited` says that it could not be handed over at once: the client, or the throttle, takes no
    more."""

    at: float
    connection: int
    exchange: int
    incoming: bool
    kind: str
    size: int
    data: bytes
    waited: bool
    wire: Optional[int] = None


class MessageLog:
    def __init__(self, most: int = MOST) -> None:
        self._messages: Deque[StreamMessage] = collections.deque()
        self._most = most
        self._left_out = 0

    def add(self, at: float, connection: int, exchange: int, incoming: bool, kind: str,
            data: bytes, waited: bool = False, wire: Optional[int] = None) -> None:
        self._messages.append(StreamMessage(at, connection, exchange, incoming, kind, len(data),
                                            bytes(data[:CAPTURED]), waited, wire))
        if len(self._messages) > self._most:
            self._messages.popleft()
            self._left_out += 1

    def take(self) -> Tuple[int, List[StreamMessage]]:
        """How many were left out since the last call, and the others, oldest first."""
        left_out, messages = self._left_out, list(self._messages)
        self._left_out = 0
        self._messages.clear()
        return left_out, messages
