"""Lines that the application wrote, and its exceptions with their tracebacks."""

import copy
from collections import deque
from typing import Any, Deque, Dict, List, Mapping, Optional, Tuple

from tremolo.telemetry.filters import (
    FilterError,
    Predicate,
    compile_search,
    matches_everything,
)

from .raised import chain_of, shown_file
from .text import clean, clean_lines, colour_runs

LINES = 5_000
ERRORS = 200
OF_REQUESTS = 1_000
TIMES = 200  # of one kind of exceptions, for its trend
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}


class LogLine:
    """One line; `raw` keeps colour codes and must go through `text.colour_runs`."""

    __slots__ = ("_text", "client", "first", "gen", "level", "name", "page", "pid", "raw",
                 "request", "stream", "t", "uid")

    def __init__(self, uid: int, message: Mapping[str, Any], raw: str, first: bool) -> None:
        self.uid = uid
        self.t = float(message.get("t", 0.0))
        self.pid = int(message.get("pid", 0) or 0)
        self.gen = int(message.get("gen", 0) or 0)
        self.stream = clean(message.get("stream", ""), 12)
        self.level = clean(message.get("level", "info"), 12).lower()
        self.name = clean(message.get("name", ""), 40)
        self.page = clean(message.get("page", ""), 300)  # of a browser's console
        self.client = clean(message.get("client", ""), 64)
        request = message.get("request")
        self.request: Optional[int] = request if isinstance(request, int) else None
        self.raw = raw
        self.first = first
        self._text: Optional[str] = None

    @property
    def rank(self) -> int:
        return _LEVELS.get(self.level, 20)

    @property
    def text(self) -> str:
        """Clean, and without colours."""
        if self._text is None:
            self._text = "".join(run for _, run in colour_runs(self.raw))
        return self._text


class Log:
    def __init__(self, capacity: int = LINES) -> None:
        self.lines: Deque[LogLine] = deque(maxlen=capacity)
        self.revision = 0
        self.threshold = 0
        self.search_text = ""
        self.search_error: Optional[FilterError] = None
        self.left_out = 0  # lines that did not get through to this viewer
        self.earlier = 0  # lines before those that this viewer was told of
        self._matches: Predicate = matches_everything
        self._next_uid = 1
        self._view: Tuple[int, List[LogLine]] = (-1, [])

    @property
    def forgotten(self) -> int:
        """Lines that came, but were pushed out by newer ones."""
        return self.earlier + self._next_uid - 1 - len(self.lines)

    def add(self, message: Mapping[str, Any]) -> None:
        text = str(message.get("text", ""))[:16_384].expandtabs(4)
        for index, raw in enumerate(text.rstrip("\n").split("\n")[:200]):
            self.lines.append(LogLine(self._next_uid, message, raw.rstrip("\r"), index == 0))
            self._next_uid += 1
        self.left_out += int(message.get("left_out", 0) or 0)
        self.revision += 1

    def clear(self) -> None:
        self.lines.clear()
        self._next_uid, self.left_out, self.earlier = 1, 0, 0
        self.revision += 1

    def search(self, text: str) -> bool:
        """Show lines that contain what `text` asks for. If it is invalid: False,
        `search_error` is set, and the search from before stays."""
        self.revision += 1
        try:
            self._matches = compile_search(text)
        except FilterError as exc:
            self.search_error = exc
            return False
        self.search_error = None
        self.search_text = text.strip()
        return True

    def view(self) -> List[LogLine]:
        """Lines at or above the chosen level that are searched for, oldest first."""
        if self._view[0] != self.revision:
            lines = [line for line in self.lines if line.rank >= self.threshold]
            if self._matches is not matches_everything:
                lines = [line for line in lines if self._matches(line)]
            self._view = (self.revision, lines)
        return self._view[1]

    def cycle_threshold(self) -> str:
        """Show all, then from info, from warning, from error."""
        steps = [0, 20, 30, 40]
        self.threshold = steps[(steps.index(self.threshold) + 1) % len(steps)]
        self.revision += 1
        return self.threshold_name

    @property
    def threshold_name(self) -> str:
        return {0: "all", 20: "≥ info", 30: "≥ warning", 40: "≥ error"}[self.threshold]

    def of_request(self, pid: int, request: int, limit: int = 100) -> List[LogLine]:
        """The newest lines that a request wrote."""
        return [line for line in self.lines
                if line.request == request and line.pid == pid][-limit:]


class Error:
    """Exceptions of one type from one place, cleaned: the newest of them in full, and how many
    there were, when, and which generation brought them."""

    def __init__(self, uid: int, message: Mapping[str, Any]) -> None:
        get = message.get
        self.uid = uid
        self.t = float(get("t", 0.0))
        self.pid = int(get("pid", 0) or 0)
        self.gen = int(get("gen", 0) or 0)
        self.where = clean(get("where", ""), 16)
        self.type = clean(get("type", "Exception"), 60)
        self.text = clean(get("text", ""))
        self.traceback = clean_lines(get("traceback", ""))
        self.file: Optional[str] = clean(get("file"), 1000) if get("file") else None
        self.line = int(get("line") or 0)
        self.request: Optional[int] = get("request")
        self.method = clean(get("method", ""), 16)
        self.path = clean(get("path", ""))
        self.status = int(get("status") or 0)
        self.chain = chain_of(get("chain"))
        #: there is more to see of others
        self.brief = bool(get("brief"))
        self.count = max(1, int(get("count") or 1))
        self.first_t = self.t
        self.first_gen = self.gen
        self.times: Deque[float] = deque([self.t], maxlen=TIMES)

    @property
    def title(self) -> str:
        return f"{self.type}: {self.text}" if self.text else self.type

    def place_in(self, folder: str) -> str:
        """File and line, as they are called from within the project's `folder`; "" if unknown."""
        return f"{shown_file(self.file, folder)}:{self.line}" if self.file else ""

    def same_as(self, other: "Error") -> bool:
        """Whether both come from one place, whatever they say; without a place by their text."""
        if (self.type, self.where) != (other.type, other.where):
            return False
        if self.file is None or other.file is None:
            return self.file is other.file and self.text == other.text
        return (self.file, self.line) == (other.file, other.line)

    def again(self, newer: "Error") -> None:
        """It happened again: the newest is what is shown, of those that are described whole."""
        self.count += newer.count
        self.times.append(newer.t)
        if newer.brief and not self.brief:
            self.t = newer.t
            return
        self.brief = newer.brief
        for name in ("t", "pid", "gen", "text", "traceback", "request", "method", "path",
                     "status", "chain"):
            setattr(self, name, getattr(newer, name))

    def trend(self, now: float, cells: int, seconds: float) -> List[int]:
        """How often in each of `cells` equal parts of the last `seconds`, oldest first."""
        counts = [0] * cells
        for t in self.times:
            place = cells - 1 - int((now - t) / seconds * cells)
            if 0 <= place < cells:
                counts[place] += 1
        return counts


class Errors:
    def __init__(self, capacity: int = ERRORS) -> None:
        self.items: Deque[Error] = deque(maxlen=capacity)
        self.total = 0
        self.unseen = 0
        self.revision = 0
        self._next_uid = 1
        self._by_request: Dict[Tuple[int, int], Error] = {}
        self._told: Deque[Mapping[str, Any]] = deque(maxlen=capacity)

    def add(self, message: Mapping[str, Any]) -> Error:
        error = Error(self._next_uid, message)
        self._told.append(message)
        self.total += error.count
        self.unseen += error.count
        self.revision += 1
        if error.request is not None:
            # A copy: what is shown for a place changes with each that comes of it.
            self._by_request[error.pid, error.request] = copy.copy(error)
            if len(self._by_request) > OF_REQUESTS:
                del self._by_request[next(iter(self._by_request))]
        known = next((item for item in reversed(self.items) if item.same_as(error)), None)
        if known is not None:
            known.again(error)
            if known is not self.items[-1]:
                self.items.remove(known)
                self.items.append(known)
            return known
        self._next_uid += 1
        self.items.append(error)
        return error

    def of_request(self, pid: int, request: int) -> Optional[Error]:
        """The exception of a request, which has its own variables if not its own line."""
        return self._by_request.get((pid, request))

    def told(self) -> List[Mapping[str, Any]]:
        """The newest as they came."""
        return list(self._told)

    def find(self, uid: int) -> Optional[Error]:
        for error in self.items:
            if error.uid == uid:
                return error
        return None

    def seen(self) -> None:
        if self.unseen:
            self.unseen = 0
            self.revision += 1
