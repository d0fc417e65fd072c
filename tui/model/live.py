"""Exchanges in progress, as rows that have no place in the history yet.

A worker tells those that run for a while, in each of its frames; what it does not tell
(WebSockets) is derived from its connections. Uids are negative, so that they never meet one of
the ring, and stay the same while the exchange runs.
"""

from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from .connections import Connection
from .traffic import Row

LIVE_AFTER = 0.25  # seconds an exchange must have been seen in progress
REMEMBERED = 500

Key = Tuple[Any, ...]


class Live:
    def __init__(self) -> None:
        self._told: Dict[Key, Row] = {}
        self._derived: Dict[Key, Row] = {}
        self._since: Dict[Key, Tuple[float, int, int]] = {}
        self._became: Dict[int, int] = {}
        self._sockets: Dict[Tuple[int, int], str] = {}
        self._last = 0

    def _uid(self) -> int:
        self._last -= 1
        return self._last

    # -- filling

    def told(self, pid: int, gen: int, rows: Sequence[Dict[str, Any]]) -> List[Row]:
        """All exchanges of a process that have been running for a while."""
        fresh: Dict[Key, Row] = {}
        for data in rows:
            key = (pid, int(data.get("id", 0)))
            before = self._told.get(key)
            row = Row(before.uid if before is not None else self._uid(), pid, gen, data)
            if before is not None:
                row.rate = before.rate
                row.request = row.request or before.request  # they are told once
                row.response = row.response or before.response
            fresh[key] = row
        for key in [key for key in self._told if key[0] == pid and key not in fresh]:
            del self._told[key]
        self._told.update(fresh)
        return list(fresh.values())

    def connections(self, pid: int, connections: Sequence[Connection], now: float,
                    t: float) -> None:
        """What the connections of a process say beside: rates, and exchanges not told."""
        rates = {connection.id: connection.rate_in + connection.rate_out
                 for connection in connections}
        known = set()
        for key, row in self._told.items():
            if key[0] == pid:
                row.rate = rates.get(row.conn, 0.0)
                known.add(row.conn)
        fresh: Dict[Key, Row] = {}
        for connection in connections:
            websocket = connection.state == "websocket"
            if connection.id in known or not (connection.current or websocket):
                continue
            key = (pid, connection.id, connection.requests, connection.current)
            before = self._derived.get(key)
            if before is None:
                self._since[key] = (now, connection.bytes_in, connection.bytes_out)
            fresh[key] = self._derive(key, connection, before, now, t)
        for key in [key for key in self._derived if key[0] == pid and key not in fresh]:
            del self._derived[key], self._since[key]
        self._derived.update(fresh)

    def _derive(self, key: Key, connection: Connection, before: Optional[Row], now: float,
                t: float) -> Row:
        since, base_in, base_out = self._since[key]
        websocket = connection.state == "websocket"
        method, _, path = connection.current.partition(" ")
        path = path or self._sockets.get(connection.key, "")
        row = Row(before.uid if before is not None else self._uid(), connection.pid,
                  connection.gen, {
            "conn": connection.id, "t": before.t if before is not None else t,
            "method": "WS" if websocket else method, "path": path,
            "status": 101 if websocket else 0, "http": "ws" if websocket else "1.1",
            "bytes_in": max(0, connection.bytes_in - base_in),
            "bytes_out": max(0, connection.bytes_out - base_out),
            "ms": (now - since) * 1000, "state": "live"})
        row.rate = connection.rate_in + connection.rate_out
        return row

    def finished(self, row: Row) -> None:
        """The exchange has its row in the history; a selection goes over to it."""
        live = self._told.pop((row.pid, row.id), None) if self._told else None
        if live is not None:
            _remember(self._became, live.uid, row.uid)
        if row.status == 101:
            _remember(self._sockets, (row.pid, row.conn), row.path)

    def ended(self, pid: int) -> None:
        for known in (self._told, self._derived, self._since):
            for key in [key for key in known if key[0] == pid]:
                del known[key]

    # -- looking

    def rows(self, now: float, limit: int) -> List[Row]:
        """The newest `limit`, oldest first."""
        rows = list(self._told.values())
        rows += [row for key, row in self._derived.items()
                 if now - self._since[key][0] >= LIVE_AFTER]
        rows.sort(key=lambda row: -row.uid)
        return rows[-limit:]

    def became(self, uid: int) -> Optional[int]:
        """The uid in the history of what was live under `uid`."""
        return self._became.get(uid)


def _remember(memory: Dict[Any, Any], key: Any, value: Any) -> None:
    memory[key] = value
    if len(memory) > REMEMBERED:
        del memory[next(iter(memory))]


def split(rows: Sequence[Mapping[str, Any]]) -> Tuple[List[Any], List[Any]]:
    """Rows of finished and of running exchanges, each in the order of their ids."""
    done = [row for row in rows if row.get("state") != "live"]
    live = [row for row in rows if row.get("state") == "live"]
    done.sort(key=lambda row: int(row.get("id", 0)))
    return done, live
