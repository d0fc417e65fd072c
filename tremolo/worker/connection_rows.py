"""Rows of open connections for frames: the busiest, by what passed since the last time."""

import heapq
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Tuple

from ..net.stream import peer_text
from ..telemetry.sanitize import clean

if TYPE_CHECKING:
    from ..net.connection import HTTPConnection
    from ..telemetry.rows import ConnectionRow

MAX_CONNECTIONS = 500
CONNECTIONS_SIZE = 24 * 1024


def bounded(text: str) -> int:
    """The most bytes of JSON that a text takes: what is not ASCII is escaped."""
    return len(text) if text.isascii() else 6 * len(text)


@lru_cache(1024)
def shown_peer(peer: Any) -> str:
    """The address at the other end of a connection, as rows have it."""
    return clean(peer_text(peer), 64)


class ConnectionRows:
    """Remembers how many bytes had passed at the last call."""

    def __init__(self) -> None:
        self._bytes: Dict[int, Tuple[int, int]] = {}
        self._at = 0.0

    def rows(self, connections: Mapping[int, Any], now: float
             ) -> "Tuple[List[ConnectionRow], int, int]":
        """Rows of the busiest, how many are left out, and the estimated size of the rows."""
        passed = max(now - self._at, 1e-3)
        before, after = self._bytes, {}
        ranked = []
        for id, connection in connections.items():
            bytes_in, bytes_out = connection.bytes_in, connection.bytes_out
            after[id] = (bytes_in, bytes_out)
            known = before.get(id, (0, 0))
            ranked.append((bytes_in - known[0] + bytes_out - known[1], id,
                           (bytes_in - known[0]) / passed, (bytes_out - known[1]) / passed))
        self._bytes, self._at = after, now
        rows: List[ConnectionRow] = []
        size = 0
        for _, id, rate_in, rate_out in heapq.nlargest(MAX_CONNECTIONS, ranked):
            row = _row(connections[id], rate_in, rate_out, now)
            size += 220 + len(row["peer"]) + bounded(row["current"])
            if size > CONNECTIONS_SIZE:
                break
            rows.append(row)
        return rows, len(ranked) - len(rows), size


def _row(connection: "HTTPConnection", rate_in: float, rate_out: float,
         now: float) -> "ConnectionRow":
    exchange = connection.current
    current = ""
    if exchange is not None:
        head = exchange.head  # our own queries hold a secret
        target = head.path if exchange.hidden else head.target
        current = f"{clean(head.method, 16)} {clean(target, 100)}"
    return {
        "id": connection.id, "peer": shown_peer(connection.peer),
        "state": connection.word, "bytes_in": connection.bytes_in,
        "bytes_out": connection.bytes_out, "rate_in": round(rate_in, 1),
        "rate_out": round(rate_out, 1), "age": round(now - connection.opened, 1),
        "requests": connection.requests, "current": current,
        "throttled": connection.throttled,
    }
