"""Attaches the sources while somebody watches, and keeps the records of recent exchanges.

All that it asks of `net` is `Server.look`: while watched, each exchange that viewers are shown is
named in `record.running` before the application is called. Unwatched nothing is left.
"""

import importlib
import logging
from collections import deque
from threading import RLock
from time import monotonic, perf_counter
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Deque,
    Dict,
    Iterable,
    List,
    Mapping,
    Optional,
    Set,
    Tuple,
)
from weakref import ReferenceType, ref

from ..net.exchange import Exchange
from ..net.handling import unobserved
from .arrivals import Arrivals
from .contexts import context_of
from .events import event_of, has_facts
from .failing import Failing
from .frames import chain_of, line_of
from .pace import KnownRoutes, Pace, route_of
from .places import Places
from .profile import Profiler
from .record import Record, running
from .source import Source
from .sources import SOURCES

if TYPE_CHECKING:
    from ..telemetry.insight_messages import InsightEvent
    from ..telemetry.messages import Raised
    from ..telemetry.rows import RequestRow

#: records that are kept for a sampler that does not come
MAX_RECORDS = 4000
#: seconds for which what runs on after an exchange's end, as background tasks, counts as its
LINGER = 60.0
#: a turn of the loop, ten times a second, is held up by telling for so many seconds at most
TELLING = 0.003
#: and the end of the process
TELLING_LAST = 0.3
MAX_UNTOLD = 1000
#: statements and calls that are kept of exchanges that have ended
MAX_KEPT = 20_000
#: requests in a turn of the loop, from which on naming those that are not looked into would take
#: a fiftieth of what they need: they do next to nothing, and hardly start threads and tasks
MOST_NAMED = 300


class Insight:
    """Insight into what a server serves: made before the application is imported, so that what
    it imports is seen; `serve` says what answers. `is_project(path)` tells the project's files.

    `on_facts(event)` is given the fields of InsightEvents that are about exchanges.
    `on_raised(record, exc, where, status)` is called, from any thread, once for each exception
    that an exchange failed over and that did not reach the server: `where` is "request", or what
    the exchange started, a "task" or a "thread"; `status` what it is answered with, as far as
    known. `output` is who tells log records and printed lines, and learns here which exchange
    they belong to.
    """

    def __init__(self, logger: logging.Logger, output: Any = None,
                 is_project: Callable[[str], bool] = bool) -> None:
        self._server: Any = None
        self._logger = logger
        self._root_path = ""
        self.is_project = is_project
        self.places = Places(is_project)
        self.on_raised: Callable[[Record, BaseException, str, Optional[int]], None] = _ignored
        self.on_facts: Callable[[InsightEvent], Any] = _ignored
        self.detail = 0
        #: of which there is something to tell, each once
        self._untold: Dict[int, Record] = {}
        #: watch for good: somebody else builds upon what is seen
        self.needed = False
        #: mail is kept from being sent, watched or not
        self.holds_mail = False
        self._output = output
        self._unnamed: Any = None
        self._records: Dict[int, Record] = {}
        self._failing = Failing()
        #: those that ended, and when; what still runs in their names has some time more
        #: (for as long as anybody has them: thousands that nothing more can happen to would
        #: have the garbage collector at work)
        self._ended: Deque[Tuple[float, ReferenceType[Record]]] = deque()
        #: those of them that have written in this second, and in the one before
        self._writing: Set[Record] = set()
        self._wrote: Set[Record] = set()
        self._lock = RLock()
        self._weighed = 0.0
        self._pace = Pace()
        self._routes = KnownRoutes()
        self._profiler: Optional[Profiler] = None
        self._sources: Dict[str, Source] = {}
        self._arrivals: Optional[Arrivals] = None

    @property
    def watching(self) -> bool:
        return self._arrivals is not None

    def watch(self, detail: int) -> None:
        """Look into what happens, as deep as the level of `detail` is; at 0 give everything
        back."""
        self.detail = detail
        wanted = detail > 0 or self.needed or self.holds_mail
        if wanted and self._arrivals is None:
            if self._output is not None:
                self._unnamed, self._output.requests = self._output.requests, self
            self._arrivals = Arrivals(SOURCES, self._attach)
            self._arrivals.start()
            self._take_server()
        elif not wanted and self._arrivals is not None:
            self._arrivals.stop()
            self._arrivals = None
            if self._output is not None:
                self._output.requests = self._unnamed
            if self._server is not None:
                self._server.look = None
                self._server.looks_at_each = self._server.names_others = False
            if self._profiler is not None:
                self._profiler.stop()
                self._profiler = None
            with self._lock:
                for source in self._sources.values():
                    source.detach()
                self._sources.clear()
            self._flush({*self._records.values(), *self._writing, *self._wrote})
            self._writing, self._wrote = set(), set()
            self._records.clear()
            self._failing.clear()
            self._ended.clear()
            self._untold.clear()

    def hold_mail(self, hold: bool) -> None:
        """Keep mail from being sent, or no longer. Who connects while it is kept reaches no
        server, also later."""
        self.holds_mail = hold
        if hold:
            importlib.import_module("smtplib")  # so that none is sent before we notice it
        self.watch(self.detail)

    def serve(self, server: Any, *, root_path: str = "") -> None:
        """Look into the requests of `server`. `root_path` is the path that a proxy in front has
        taken off."""
        self._server, self._root_path = server, root_path
        if self.watching:
            self._take_server()

    def _take_server(self) -> None:
        if self._server is None or self._arrivals is None:
            return
        self._arrivals.look()  # before the first request, which may come before the first tick
        self._profiler = Profiler(self._pace, self.is_project)
        self._server.look, self._server.looks_at_each = self._look, self.needed
        self._server.names_others = True

    def expect(self, begun: int) -> None:
        """As many requests as have `begun` since the last time are expected until the next."""
        if self.watching and self._server is not None:
            self._server.names_others = begun < MOST_NAMED

    def _look(self, exchange: Exchange) -> None:
        """Runs within the exchange's task, whose context is its own."""
        if exchange.hidden or self._profiler is None:
            return
        head = exchange.head
        record = Record(exchange.id, head.method, head.target, self._root_path)
        record.queue_seconds = max(0.0, monotonic() - exchange.begun)
        self._records[exchange.id] = exchange.insight = record
        running.set(record)
        self._profiler.started(record, exchange.task)

    def _attach(self, library: str) -> None:
        with self._lock:  # a thread may import a library while the last viewer leaves
            if self._arrivals is not None:
                self._attach_source(SOURCES[library])

    def _attach_source(self, name: str) -> None:
        source = self._sources.get(name)
        if source is None:
            source = self._sources[name] = self._source(name)
        try:
            module = importlib.import_module(f"{__package__}.sources.{name}")
            module.attach(source)
        except Exception as exc:
            source.fail(exc)
            source.detach()

    def _source(self, name: str) -> Source:
        return Source(name, self._logger, self)

    def tick(self, now: float) -> None:
        """A few times a second: what was imported meanwhile, and what nobody asked for."""
        if self._arrivals is not None:
            self._arrivals.look()
        records = self._records
        while len(records) > MAX_RECORDS:
            del records[next(iter(records))]
        self._failing.forget_told()
        self._tell(TELLING)
        ended = self._ended
        while ended and (ended[0][0] < now - LINGER or len(ended) > MAX_RECORDS):
            _close(ended.popleft()[1]())
        if now - self._weighed >= 1.0:
            self._weighed = now
            before, self._wrote, self._writing = self._wrote, self._writing, set()
            self._flush(before - self._wrote)  # who writes a line bit by bit goes on sooner
            ended = self._ended = deque(entry for entry in ended if entry[1]() is not None)
            kept = sum(record.weight for record in (entry() for _, entry in ended) if record)
            while kept > MAX_KEPT and ended:
                kept -= _close(ended.popleft()[1]())

    def _flush(self, records: Iterable[Record]) -> None:
        """Tell what they printed without a line end."""
        for record in records:
            if self._output is not None:
                self._output.flush(record)

    def last(self) -> None:
        """Nothing more happens in this process: tell what waits. After the last rows."""
        self._flush(self._writing | self._wrote)
        self._tell(TELLING_LAST)

    def _tell(self, seconds: float) -> None:
        """Tell what is known of exchanges that have ended, for so many `seconds`; of too many, of
        the newest. All of them have their counts in their rows."""
        try:
            self._tell_events(seconds)
        except Exception as exc:
            self._logger.warning("insight: what a request did cannot be told: %s: %s",
                                 type(exc).__name__, exc, exc_info=exc)

    def _tell_events(self, seconds: float) -> None:
        untold = list(self._untold.items())
        surplus = len(untold) - MAX_UNTOLD
        until = perf_counter() + seconds
        for index, (id, record) in enumerate(untold):
            if index >= surplus and perf_counter() > until:
                break
            self._untold.pop(id, None)
            if index >= surplus and not record.closed:
                self.on_facts(event_of(record, self.detail > 1))

    def _changed(self, record: Record) -> None:
        self._untold[record.id] = record

    def row(self, id: int, status: int, ended: bool, now: float,
            seconds: Optional[float] = None) -> "RequestRow":
        """What the row of the exchange `id` has beside what the server itself knows; it took so
        many `seconds`, unless it was one that lasts as long as somebody listens."""
        record = self._record_of(id)
        if record is None:
            return {}
        if seconds is None and self._profiler is not None:
            self._profiler.leave(record)
        if ended:
            self._records.pop(id, None)
            self._failing.forget(id)
            self._ended.append((now, ref(record)))
            for exc, trace in record.take_suspects():
                if status >= 500:
                    self.raised(record, exc.with_traceback(trace), status=status)
            record.changed = self._changed
            if has_facts(record):
                self._changed(record)
            self._flush((record,))
        row = record.row()
        if status >= 500 and record.failure:
            row["error"] = record.failure
        if ended:
            if "route" in row:
                self._routes.add(record.method, record.path, row["route"])
            if seconds is not None:
                self._pace.add(route_of(record), seconds)
        return row

    def route_like(self, method: str, path: str) -> str:
        """See `KnownRoutes.like`."""
        return self._routes.like(method, path)

    def keep(self, wanted: Set[int]) -> None:
        """All exchanges but these ended, and nobody will ask for their rows."""
        for id in [id for id in self._records if id not in wanted]:
            del self._records[id]

    def give_up(self, id: int) -> None:
        """Nobody will ask for the row of this exchange, which ended."""
        record = self._records.pop(id, None)
        if record is None:
            return
        self._flush((record,))
        record.closed = True  # what it kept goes with it: of these there are hundreds at once

    # -- log records and printed lines: see `worker.streams.Requests` ------------------

    def current(self) -> Optional[Record]:
        record = running.get()
        if record is None or record.closed:
            return None
        if record.changed is not None:  # it has ended, and writes on
            self._writing.add(record)
        return record

    def logged(self, record: logging.LogRecord) -> None:
        info = record.exc_info
        exc = info[1] if isinstance(info, tuple) else None
        exchange = None if exc is None else self.failing()
        if exc is None or exchange is None:
            return
        if record.levelno >= logging.ERROR:
            self.raised(exchange, exc, status=None)
        elif exchange.changed is None:  # a warning, as of each 403: it has not ended yet
            exchange.suspect(exc)

    # -- what sources tell -------------------------------------------------------------

    def failing(self) -> Optional[Record]:
        """See `source.Observer`."""
        if running.get() is not None:
            return self.current()
        return self._failing.here(self._server, self._root_path)

    def failing_of(self, told: Mapping[str, Any]) -> Optional[Record]:
        """As `failing`, for what the exception handler of a loop is `told` of: it may be called
        wherever the garbage collector finds a task that failed."""
        context = context_of(told)
        if context is None or not (context.get(running) or context.get(unobserved)):
            return None
        return context.copy().run(self.failing)

    def raised(self, record: Record, exc: BaseException, *, where: str = "request",
               status: Optional[int] = 500) -> None:
        """See `source.Observer`. `status` is the answer's, None for not known."""
        if record.first_sight(exc):
            record.failure = line_of(exc)
            self.on_raised(record, exc, where, status if where == "request" else None)

    def chain_of(self, exc: BaseException) -> "List[Raised]":
        """`exc` with its frames; see `frames.chain_of`."""
        return chain_of(exc, self.is_project)

    def is_new(self, id: int, exc: BaseException) -> bool:
        """Whether `exc`, which reached the server, was not told before."""
        record = self._record_of(id)
        return record is None or record.first_sight(exc)

    def _record_of(self, id: int) -> Optional[Record]:
        return self._records.get(id) or self._failing.of(id)


def _close(record: Optional[Record]) -> int:
    """Nothing more of `record` is told, if anybody still has it. How much of it was kept."""
    if record is None:
        return 0
    weight = record.weight
    record.close()
    return weight


def _ignored(*told: Any) -> None:
    """Nobody wants to know."""
