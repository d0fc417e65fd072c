"""The newest of what viewers were told, for one that comes later.

Bounded in number and in bytes. Nothing is made for it: lines are kept as they were sent, and
what nobody looks at, as requests of an unwatched worker, is not asked for.
"""

from collections import deque
from typing import Any, Deque, Dict, Generic, Iterator, List, Mapping, Optional, Tuple, TypeVar

from ..telemetry.builders import earlier, past_event
from ..telemetry.codec import decode, encode_cut

Item = TypeVar("Item")
ROWS = 200
ROW_BYTES = 1024 * 1024
LOGS = 200
LOG_BYTES = 256 * 1024
EVENTS = 200  # reloads, and of requests what happened within them
EVENT_BYTES = 512 * 1024
ERRORS = 20
ERROR_BYTES = 512 * 1024


class Ring(Generic[Item]):
    """The newest items, of `most` things and `most_bytes` together; the newest one always."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._items: Deque[Tuple[int, Item, int, int]] = deque()
        self._count = self._bytes = 0
        #: things that had to make room
        self.gone = 0

    def add(self, order: int, item: Item, size: int, count: int = 1) -> None:
        """`item` stands for `count` things and takes `size` bytes."""
        self._items.append((order, item, size, count))
        self._count += count
        self._bytes += size
        while len(self._items) > 1 and (
                self._bytes > self._most_bytes
                or self._count - self._items[0][3] >= self._most):
            _, _, size, count = self._items.popleft()
            self._count -= count
            self._bytes -= size
            self.gone += count

    def __iter__(self) -> Iterator[Tuple[int, Item]]:
        return ((order, item) for order, item, _, _ in self._items)


class Recent:
    """What was published last, by kind."""

    def __init__(self) -> None:
        self._order = 0
        self._frames: Ring[bytes] = Ring(ROWS, ROW_BYTES)
        self._logs: Ring[Mapping[str, Any]] = Ring(LOGS, LOG_BYTES)
        self._errors: Ring[bytes] = Ring(ERRORS, ERROR_BYTES)
        self._events: Ring[bytes] = Ring(EVENTS, EVENT_BYTES)

    def note(self, message: Mapping[str, Any], line: Optional[bytes]) -> None:
        """Keep what was published; `line` is its encoded form, if there is one."""
        kind = message["kind"]
        self._order += 1
        if kind == "frame":
            ended = sum(_has_ended(row) for row in message.get("rows") or ())
            if ended:
                line = line or encode_cut(message)
                self._frames.add(self._order, line, len(line), ended)
        elif kind == "log":  # may come in floods while nobody looks: not encoded for this
            self._logs.add(self._order, message, len(message.get("text") or ""),
                           message.get("left_out") or 1)
        elif kind == "error":
            line = line or encode_cut(message)
            self._errors.add(self._order, line, len(line))
        elif kind == "insight" or (kind == "reload"
                                   and message.get("state") in ("ready", "failed")):
            line = line or encode_cut(message)
            self._events.add(self._order, line, len(line))

    def told(self, requests: int, with_messages: bool) -> List[Dict[str, Any]]:
        """The messages for a viewer, in the order of then, after one that says how much is
        missing, of `requests` that there were; header fields and bodies `with_messages` only."""
        found = [(order, row) for order, line in self._frames
                 for row in _rows_of(decode(line), with_messages)][-ROWS:]
        known = sum(float(frame["rows"][0].get("weight", 1.0)) for _, frame in found)
        found += [(order, {**message}) for order, message in self._logs]
        found += [(order, decode(line)) for order, line in (*self._errors, *self._events)]
        found.sort(key=lambda pair: pair[0])
        first = past_event(max(0, requests - round(known)), self._logs.gone)
        return [{**first}, *(earlier(message) for _, message in found)]


def _has_ended(row: Mapping[str, Any]) -> bool:
    return row.get("state") != "live"


def _rows_of(frame: Mapping[str, Any], with_messages: bool) -> Iterator[Dict[str, Any]]:
    """The requests of a frame that have ended, each in one that surely fits into a line."""
    head = {key: frame[key] for key in ("v", "kind", "pid", "gen", "seq", "t") if key in frame}
    for row in frame.get("rows", ()):
        if _has_ended(row):
            yield {**head, "rows": [row if with_messages else without_messages(row)]}


def without_messages(row: Mapping[str, Any]) -> Dict[str, Any]:
    """A row without the header fields and bodies, and the secrets in them."""
    return {key: value for key, value in row.items() if key not in ("request", "response")}
