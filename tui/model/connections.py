"""Open connections, as the newest frame of each process shows them."""

from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from tremolo.scope import Scope

from .text import clean

Key = Tuple[int, int]  # pid, connection id


class Connection:
    __slots__ = ("age", "bytes_in", "bytes_out", "current", "gen", "id", "peer", "pid",
                 "rate_in", "rate_out", "requests", "state", "throttled")

    def __init__(self, pid: int, gen: int, data: Mapping[str, Any]) -> None:
        get = data.get
        self.pid = pid
        self.gen = gen
        self.id = int(get("id", 0))
        self.peer = clean(get("peer", ""), 64) or "unix"
        self.state = clean(get("state", ""), 16)
        self.bytes_in = int(get("bytes_in", 0))
        self.bytes_out = int(get("bytes_out", 0))
        self.rate_in = float(get("rate_in", 0.0))
        self.rate_out = float(get("rate_out", 0.0))
        self.age = float(get("age", 0.0))
        self.requests = int(get("requests", 0))
        self.current = clean(get("current", ""))
        self.throttled = bool(get("throttled", False))

    @property
    def key(self) -> Key:
        return (self.pid, self.id)

    @property
    def scope(self) -> Scope:
        return Scope.of_connection(self.pid, self.id)

    @property
    def client(self) -> Optional[Scope]:
        return Scope.of_peer(self.peer)

    def shown(self) -> Tuple[Any, ...]:
        """What a line shows: two frames that agree in it need no drawing."""
        age = int(self.age) if self.age < 10 else 10  # older ones tick slower, see the pane
        return (self.id, self.state, self.bytes_in, self.bytes_out, round(self.rate_in),
                round(self.rate_out), age, self.requests, self.current,
                self.throttled)


#: what is most first, but for texts
_ORDERS: Dict[str, Callable[[Connection], Any]] = {
    "rate": lambda c: -(c.rate_in + c.rate_out), "bytes": lambda c: -(c.bytes_in + c.bytes_out),
    "requests": lambda c: -c.requests, "state": lambda c: c.state, "peer": lambda c: c.peer}
SORTS = ("age", *_ORDERS)


class Connections:
    def __init__(self) -> None:
        self.revision = 0
        self._by_pid: Dict[int, List[Connection]] = {}
        self._left_out: Dict[int, int] = {}
        self._shown: Dict[int, Tuple[Any, ...]] = {}
        self._sorted: Tuple[int, str, List[Connection]] = (-1, "", [])
        self.sort, self.reverse = "age", False

    def keys(self) -> List[Key]:
        """Of those that are known: process and number."""
        return [connection.key for known in self._by_pid.values() for connection in known]

    def frame(self, pid: int, gen: int, rows: Sequence[Mapping[str, Any]], left_out: int
              ) -> List[Connection]:
        connections = [Connection(pid, gen, row) for row in rows]
        self._by_pid[pid] = connections
        self._left_out[pid] = left_out
        shown = tuple(connection.shown() for connection in connections)
        if shown != self._shown.get(pid):
            self._shown[pid] = shown
            self.revision += 1
        return connections

    def ended(self, pid: int) -> None:
        self._by_pid.pop(pid, None)
        self._left_out.pop(pid, None)
        self._shown.pop(pid, None)
        self.revision += 1

    # -- looking

    @property
    def left_out(self) -> int:
        return sum(self._left_out.values())

    def __len__(self) -> int:
        return sum(map(len, self._by_pid.values()))

    def list(self) -> List[Connection]:
        """All known, in an order that stays put: the oldest first, or by another of SORTS."""
        if self._sorted[:2] != (self.revision, self.sort):
            every = [c for connections in self._by_pid.values() for c in connections]
            every.sort(key=lambda c: (c.gen, c.pid, c.id))
            if self.sort != "age":
                every.sort(key=_ORDERS[self.sort])
            if self.reverse:
                every.reverse()
            self._sorted = (self.revision, self.sort, every)
        return self._sorted[2]

    def cycle_sort(self) -> str:
        self.sort_by(SORTS[(SORTS.index(self.sort) + 1) % len(SORTS)])
        return self.sort

    def sort_by(self, column: str) -> None:
        """Order by one of SORTS; by the same one again: the other way round."""
        self.reverse = column == self.sort and not self.reverse
        self.sort = column
        self.revision += 1

    def find(self, key: Key) -> Optional[Connection]:
        for connection in self._by_pid.get(key[0], ()):
            if connection.id == key[1]:
                return connection
        return None
