"""The bounded ring of finished requests, and the filtered, pausable view of it.

Every entry has a `uid` that only grows and is never reused, so a selection survives
trimming, filtering and reloads. Rules between generations are entries too.
"""

from bisect import bisect_left
from operator import attrgetter, itemgetter
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple, Union

from tremolo.telemetry.filters import (
    FilterError,
    Predicate,
    compile_filter,
    matches_everything,
)
from tremolo.telemetry.rows import BY_HAND, MOCK
from tremolo.units import counted

from .messages import Kept, Message, parse
from .text import clean, clean_known, decoded

CAPACITY = 10_000
SORTS = ("time", "ms", "size", "status", "path", "method")
#: how a row says what answered in the application's place
IN_PLACE = {MOCK: "mocked", BY_HAND: "by hand"}


class Endpoint(NamedTuple):
    """Where the code is that answered: as an Error, it can be opened in the editor."""

    name: str
    file: str
    line: int

    @classmethod
    def of(cls, data: Any) -> Optional["Endpoint"]:
        if not isinstance(data, dict) or not data.get("file"):
            return None
        return cls(clean(data.get("name", "")), clean(data["file"], 1000),
                   int(data.get("line", 0)))


#: what a row has that says less
_ABSENT: Dict[str, Any] = {
    "id": 0, "conn": 0, "t": 0.0, "method": "", "path": "", "route": None, "status": 0,
    "bytes_in": 0, "bytes_out": 0, "ms": 0.0, "ttfb_ms": 0.0, "throttle_ms": 0.0,
    "state": "done", "error": None, "http": "1.1", "secure": False}
_fetched: Callable[[Dict[str, Any]], Tuple[Any, ...]] = itemgetter(*_ABSENT)


class Row:
    """One exchange; the text in it is clean, but for that of its messages."""

    __slots__ = (
        "bytes_in", "bytes_out", "calls_ms", "conn", "crowded", "endpoint", "error", "gen",
        "held_ms", "http", "id", "marked", "method", "ms", "path", "peer", "pid", "proxied",
        "queries", "queue_ms", "rate", "request", "response", "route", "secure", "shown_path",
        "sql_ms", "sse", "state", "status", "t", "throttle_ms", "ttfb_ms", "uid", "unobserved",
        "weight")

    def __init__(self, uid: int, pid: int, gen: int, data: Dict[str, Any]) -> None:
        # Thousands come in a second: what nearly all have is fetched at once, ...
        try:
            values = _fetched(data)
        except KeyError:
            values = _fetched({**_ABSENT, **data})
        (number, conn, t, method, path, route, status, bytes_in, bytes_out, ms, ttfb_ms,
         throttle_ms, state, error, http, secure) = values
        self.uid = uid
        self.pid = pid
        self.gen = gen
        self.id = int(number)
        self.conn = int(conn)
        self.t = float(t)
        self.method = clean_known(method, 16)
        self.path = path = clean(path)
        self.shown_path = decoded(path) if "%" in path else path
        self.peer = clean_known(data.get("peer") or "", 64)
        self.marked = False
        self.route: Optional[str] = clean_known(route) if route else None
        self.status = int(status)
        self.bytes_in = int(bytes_in)
        self.bytes_out = int(bytes_out)
        self.ms = float(ms)
        self.ttfb_ms = float(ttfb_ms or 0.0)
        self.throttle_ms = float(throttle_ms or 0.0)
        self.state = str(state)
        self.error: Optional[str] = clean(error) if error else None
        self.http = clean_known(http, 8)
        self.secure = bool(secure)
        self.rate = 0.0
        # ... and what most have not is looked for.
        get = data.get
        self.sse = bool(get("sse")) if "sse" in data else False
        self.proxied = clean_known(get("proxied") or "", 80) if "proxied" in data else ""
        self.queue_ms = float(get("queue_ms") or 0.0) if "queue_ms" in data else 0.0
        self.held_ms = float(get("held_ms") or 0.0) if "held_ms" in data else 0.0
        self.queries = int(get("queries") or 0) if "queries" in data else 0
        self.sql_ms = float(get("sql_ms") or 0.0) if "sql_ms" in data else 0.0
        self.calls_ms = float(get("calls_ms") or 0.0) if "calls_ms" in data else 0.0
        self.endpoint = Endpoint.of(get("endpoint")) if "endpoint" in data else None
        #: how many requests it stands for, itself included; whether nobody looked into it
        self.weight = max(1.0, float(get("weight", 1.0))) if "weight" in data else 1.0
        self.unobserved = bool(get("unobserved")) if "unobserved" in data else False
        self.crowded = bool(get("crowded")) if "crowded" in data else False
        self.request: Optional[Message] = None
        self.response: Optional[Message] = None
        if "request" in data:
            self.request = parse(data["request"])
        if "response" in data:
            self.response = parse(data["response"])

    @property
    def websocket(self) -> bool:
        """Whether it is a WebSocket, or the handshake of one."""
        return self.http == "ws" or self.method == "WS" or self.status == 101

    @property
    def stream(self) -> bool:
        """Whether it goes on for as long as somebody listens: its time says nothing of speed."""
        return self.sse or self.websocket

    @property
    def phases(self) -> Tuple[float, float, float]:
        """Milliseconds in the application, held by the throttle, and sending: together `ms`.

        A throttled download is held while it is sent, an upload before its response begins.
        """
        whole = self.ms
        first = min(self.ttfb_ms or whole, whole)
        throttle = min(self.throttle_ms, whole)
        sending = whole - first
        held = min(throttle, sending)
        return first - (throttle - held), throttle, sending - held

    @property
    def parts(self) -> List[Tuple[str, float]]:
        """Where its milliseconds went, together `ms`: waiting for its turn, databases, other
        services, the application itself, the throttle, and sending. What ran side by side is
        counted once."""
        rest, throttle, sending = self.phases
        found: List[Tuple[str, float]] = []
        for name, ms in (("queue", self.queue_ms), ("SQL", self.sql_ms),
                         ("outgoing", self.calls_ms)):
            ms = min(ms, rest)
            rest -= ms
            found.append((name, ms))
        found.insert(1, ("app", rest))
        return [*found, ("send", sending), ("throttle", throttle)]


class Rule:
    """A thin line in the list: a new generation serves from here on, or could not; or `missing`
    requests are not listed here."""

    __slots__ = ("failed", "gen", "missing", "ms", "t", "text", "uid")

    def __init__(
        self, uid: int, gen: int, t: float, text: str, ms: float, failed: bool, missing: int
    ) -> None:
        self.uid = uid
        self.gen = gen
        self.t = t
        self.text = text
        self.ms = ms
        self.failed = failed
        self.missing = missing

    @property
    def label(self) -> str:
        if self.missing:
            return f"{counted(self.missing, 'earlier request')} not listed"
        if self.failed:
            return f"gen {self.gen} failed · {self.text}"
        return f"gen {self.gen} · {self.text or 'by request'} · {self.ms:.0f} ms"


Entry = Union[Row, Rule]


class Traffic:
    """Rows as they came (`entries`), and those that the filter lets through (`view`)."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self.entries: List[Entry] = []
        self.kept = Kept()
        self.seen = 0
        self.revision = 0
        self.filter_text = ""
        self.filter_error: Optional[FilterError] = None
        self.sort = "time"
        self.reverse = False
        self._matches: Predicate = matches_everything
        self._next_uid = 1
        self._rules: List[int] = []  # the uids of those that are among the entries
        self._view: List[Entry] = self.entries
        self._unlisted = 0.0
        self._frozen: Optional[List[Entry]] = None
        self._sorted: Tuple[int, List[Entry]] = (-1, [])

    # -- filling

    def add(self, pid: int, gen: int, data: Dict[str, Any]) -> Row:
        row = Row(self._next_uid, pid, gen, data)
        self.seen += 1
        if row.request is not None or row.response is not None:
            self.kept.add(row)
        shown = self._matches is matches_everything or self._matches(row)
        self._unlisted += row.weight - 1 if shown else 0.0
        self._append(row, shown)
        return row

    def add_rule(self, gen: int, t: float, text: str, ms: float, failed: bool = False) -> Rule:
        return self._add_rule(Rule(self._next_uid, gen, t, text, ms, failed, 0))

    def add_gap(self, t: float, missing: int) -> Rule:
        """So many requests there were here, which are not known."""
        return self._add_rule(Rule(self._next_uid, 0, t, "", 0.0, False, missing))

    def _add_rule(self, rule: Rule) -> Rule:
        self._rules.append(rule.uid)
        self._append(rule, True)
        return rule

    def _append(self, entry: Entry, shown: bool) -> None:
        self._next_uid += 1
        self.revision += 1
        self.entries.append(entry)
        if self._view is not self.entries and shown:
            self._view.append(entry)
        if len(self.entries) >= self.capacity + self.capacity // 4:
            self._trim()

    def _trim(self) -> None:
        """Drop the oldest in bulk: a quarter at a time makes the cost per row constant."""
        del self.entries[: len(self.entries) - self.capacity]
        oldest = self.entries[0].uid
        del self._rules[: bisect_left(self._rules, oldest)]
        if self._view is not self.entries:
            del self._view[: bisect_left(_Uids(self._view), oldest)]
        self._unlisted = _unlisted(self._view)
        if self._frozen is None:
            self.kept.forget_before(oldest)

    # -- looking

    @property
    def paused(self) -> bool:
        return self._frozen is not None

    @property
    def filtered(self) -> bool:
        return self._matches is not matches_everything

    def shown(self) -> List[Entry]:
        """Those that the filter lets through, as they came."""
        return list(self._view)

    @property
    def in_order_of_time(self) -> bool:
        """As they came, the newest at the end."""
        return self.sort == "time" and not self.reverse

    def lines(self) -> List[Entry]:
        """What to show now, oldest first (or sorted). Not to be changed by the caller."""
        if self._frozen is not None:
            return self._frozen
        if self.sort == "time" and not self.reverse:
            return self._view
        if self._sorted[0] != self.revision:
            self._sorted = (self.revision, self._in_order(self._view))
        return self._sorted[1]

    def _in_order(self, view: List[Entry]) -> List[Entry]:
        if self.sort == "time":
            return view[::-1]
        column = {"size": "bytes_out", "path": "shown_path"}.get(self.sort, self.sort)
        rows = [entry for entry in view if isinstance(entry, Row)]
        backwards = (self.sort not in ("path", "method")) != self.reverse
        if backwards:
            rows.reverse()  # of equal ones the newest is first: sorting leaves them as they are
        rows.sort(key=attrgetter(column), reverse=backwards)
        return list(rows)

    def counts(self) -> Tuple[int, int]:
        """How many requests are shown, and how many there are: without the rules."""
        lines = self.lines()
        whole = len(self.entries) - len(self._rules)
        if self._frozen is not None:
            return sum(isinstance(entry, Row) for entry in lines), whole
        return len(lines) - (len(self._rules) if self.sort == "time" else 0), whole

    @property
    def unlisted(self) -> int:
        """About how many more requests those stand for that the filter lets through."""
        return round(self._unlisted)

    def index_of(self, uid: int) -> Optional[int]:
        lines = self.lines()
        if self.sort == "time" and not self.reverse:
            index = bisect_left(_Uids(lines), uid)
            return index if index < len(lines) and lines[index].uid == uid else None
        for index, entry in enumerate(lines):
            if entry.uid == uid:
                return index
        return None

    def find(self, uid: int) -> Optional[Entry]:
        for lines in (self.entries, self._frozen or []):
            index = bisect_left(_Uids(lines), uid)
            if index < len(lines) and lines[index].uid == uid:
                return lines[index]
        return None

    def newest_of(self, peer: str) -> Optional[Row]:
        """The newest request from an address with its port, among the last few hundred."""
        for entry in reversed(self.entries[-500:]):
            if isinstance(entry, Row) and entry.peer == peer:
                return entry
        return None

    # -- changing the view

    def set_filter(self, text: str) -> bool:
        """Filter by `text`. If invalid: False, `filter_error` is set, the old filter stays."""
        try:
            matches = compile_filter(text)
        except FilterError as exc:
            self.filter_error = exc
            self.revision += 1
            return False
        self.filter_error = None
        self.filter_text = text.strip()
        self._matches = matches
        if matches is matches_everything:
            self._view = self.entries
        else:
            self._view = [entry for entry in self.entries
                          if isinstance(entry, Rule) or matches(entry)]
        self._unlisted = _unlisted(self._view)
        self.revision += 1
        if self._frozen is not None:
            self._frozen = self._snapshot()
        return True

    def pause(self, on: bool) -> None:
        """Freeze the view; collection goes on behind it."""
        self._frozen = None
        if on:
            self._frozen = self._snapshot()
        self.revision += 1

    def _snapshot(self) -> List[Entry]:
        self._frozen = None
        return list(self.lines())

    def cycle_sort(self) -> str:
        self.sort_by(SORTS[(SORTS.index(self.sort) + 1) % len(SORTS)])
        return self.sort

    def sort_by(self, column: str) -> None:
        """Order by one of SORTS; by the same one again: the other way round."""
        self.reverse = column == self.sort and not self.reverse
        self.sort = column
        self._resort()

    def reverse_sort(self) -> None:
        self.reverse = not self.reverse
        self._resort()

    def _resort(self) -> None:
        self.revision += 1
        if self._frozen is not None:
            self._frozen = self._snapshot()

    def matches(self, row: Row) -> bool:
        return self._matches(row)


class _Uids:
    """A list of entries seen as the list of their uids (bisect has no key before 3.10)."""

    __slots__ = ("entries",)

    def __init__(self, entries: List[Entry]) -> None:
        self.entries = entries

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> int:
        return self.entries[index].uid


def _unlisted(entries: List[Entry]) -> float:
    """How many more requests they stand for."""
    return sum([entry.weight - 1 for entry in entries if isinstance(entry, Row)])
