"""How many bytes passed each way in the last minute, by scope of the throttle.

Bytes are told late and in lumps (a frame's counters, a row when its exchange has ended); each
lump is spread evenly over the time that it is known to have taken.
"""

from typing import Dict, Iterable, List, Mapping, NamedTuple, Sequence, Tuple

from tremolo.scope import EVERYTHING, TOTAL, Scope

from .connections import Connection
from .traffic import Row

SECONDS = 60.0
BUCKET = 0.5  # seconds
LATE = 0.2  # seconds after which what belongs to a bucket has been told
KEPT = 12  # scopes beside everything

_COUNT = int(SECONDS / BUCKET)
_RING = _COUNT + 4


class Meter:
    """Bytes of one direction in buckets of half a second."""

    def __init__(self) -> None:
        self._ring = [0.0] * _RING
        self._newest = 0

    def add(self, count: float, since: float, until: float) -> None:
        """`count` bytes passed between two instants of the model's clock."""
        if count <= 0:
            return
        self._advance(int(until / BUCKET))
        span = until - since
        if span <= 0:
            self._put(int(until / BUCKET), count)
            return
        first, last = int(since / BUCKET), int(until / BUCKET)
        for index in range(max(first, self._newest - _RING + 1), last + 1):
            begin, end = max(since, index * BUCKET), min(until, (index + 1) * BUCKET)
            self._put(index, count * max(0.0, end - begin) / span)

    def _advance(self, index: int) -> None:
        ahead = index - self._newest
        if ahead <= 0:
            return
        for step in range(1, min(ahead, _RING) + 1):
            self._ring[(self._newest + step) % _RING] = 0.0
        if ahead > _RING:
            self._ring = [0.0] * _RING
        self._newest = index

    def _put(self, index: int, count: float) -> None:
        if self._newest - _RING < index <= self._newest:
            self._ring[index % _RING] += count

    def _at(self, index: int) -> float:
        return self._ring[index % _RING] if self._newest - _RING < index <= self._newest else 0.0

    def buckets(self, now: float) -> List[float]:
        """Bytes per second of the last minute's whole buckets, oldest first."""
        end = edge(now)
        return [self._at(index) / BUCKET for index in range(end - _COUNT, end)]

    def columns(self, now: float, count: int) -> List[float]:
        """The same minute in `count` columns, each the mean of its time."""
        buckets = self.buckets(now)
        if count == _COUNT:
            return buckets
        width = _COUNT / count
        means = []
        for column in range(count):
            low, high = column * width, (column + 1) * width
            total = 0.0
            for index in range(int(low), min(_COUNT, int(high) + 1)):
                total += buckets[index] * max(0.0, min(high, index + 1) - max(low, index))
            means.append(total / width)
        return means

    def rate(self, now: float, seconds: float = 2.0) -> float:
        """Bytes per second now: the mean of the newest whole buckets."""
        end = edge(now)
        count = max(1, int(seconds / BUCKET))
        return sum(self._at(index) for index in range(end - count, end)) / (count * BUCKET)


def edge(now: float) -> int:
    """The number of the bucket that is not whole yet at `now`."""
    return int((now - LATE) / BUCKET)


class Directions(NamedTuple):
    down: Meter
    up: Meter

    def add(self, down: float, up: float, since: float, until: float) -> None:
        self.down.add(down, since, until)
        self.up.add(up, since, until)

    def mark(self, now: float) -> int:
        """Changes as long as a plot of this does."""
        moving = any(any(meter.buckets(now)) for meter in self)
        return edge(now) if moving else -1


Known = Tuple[float, int, int]  # when, bytes out and bytes in until then


class Meters:
    """Everything, and the scopes that were asked for."""

    def __init__(self) -> None:
        self._all = Directions(Meter(), Meter())
        self._scoped: Dict[Scope, Directions] = {}
        self._processes: Dict[Tuple[int, int], Known] = {}
        self._exchanges: Dict[Tuple[int, int], Known] = {}
        self._connections: Dict[Scope, Known] = {}

    def of(self, scope: Scope, rows: Iterable[Row], now: float, wall: float) -> Directions:
        """The meters of `scope`, measured from here on, and before that from `rows`, the
        newest first; `wall` is what to add to a row's time to get the model's."""
        if scope in (EVERYTHING, TOTAL):
            return self._all
        found = self._scoped.get(scope)
        if found is None:
            if len(self._scoped) >= KEPT:
                oldest = next(iter(self._scoped))
                del self._scoped[oldest]
                self._connections.pop(oldest, None)
            found = self._scoped[scope] = Directions(Meter(), Meter())
            for row in rows:
                end = row.t + wall + row.ms / 1000
                if end < now - SECONDS:
                    break
                if end <= now and _concerns(scope, row):
                    found.add(row.bytes_out, row.bytes_in, end - row.ms / 1000, end)
        return found

    def process(self, pid: int, gen: int, totals: Mapping[str, int], now: float) -> None:
        """The cumulative counters of a process."""
        sent, read = int(totals.get("bytes_out", 0)), int(totals.get("bytes_in", 0))
        before = self._processes.get((pid, gen))
        self._processes[pid, gen] = (now, sent, read)
        if before is not None:
            self._all.add(sent - before[1], read - before[2], before[0], now)

    def ended(self, pid: int) -> None:
        for known in (self._processes, self._exchanges):
            for key in [key for key in known if key[0] == pid]:
                del known[key]

    def connections(self, connections: Sequence[Connection], now: float) -> None:
        """What frames say of the connections that are measured."""
        if not any(scope.connection for scope in self._scoped):
            return
        for connection in connections:
            meters = self._scoped.get(connection.scope)
            if meters is None:
                continue
            before = self._connections.get(connection.scope)
            self._connections[connection.scope] = (
                now, connection.bytes_out, connection.bytes_in)
            if before is not None:
                meters.add(connection.bytes_out - before[1], connection.bytes_in - before[2],
                           before[0], now)

    def row(self, row: Row, now: float) -> None:
        """An exchange in progress, or one that has ended, for the paths that are measured."""
        live = row.state == "live"
        if not (live or self._scoped or self._exchanges):
            return
        key = (row.pid, row.id)
        since, sent, read = self._exchanges.pop(key, (now - row.ms / 1000, 0, 0))
        if live:  # kept in any case: a meter begins with what it is from then
            self._exchanges[key] = (now, row.bytes_out, row.bytes_in)
        for scope in self._scoped:
            if scope.connection is None and _concerns(scope, row):
                self._scoped[scope].add(row.bytes_out - sent, row.bytes_in - read, since, now)


def _concerns(scope: Scope, row: Row) -> bool:
    if scope.connection is not None:
        return scope.connection == (row.pid, row.conn)
    if scope.client is not None:
        return Scope.of_peer(row.peer) == scope
    return row.route == scope or (scope.is_path and scope.covers(row.path))
