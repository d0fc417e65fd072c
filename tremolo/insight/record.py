"""What is known of one exchange. Sources add to it from any thread; its reader is the sampler.

Knows no library and no message. Everything in it is bounded, and what is cut is counted.
"""

from contextvars import ContextVar
from operator import itemgetter
from threading import RLock
from time import perf_counter
from typing import TYPE_CHECKING, Any, Callable, Dict, List, NamedTuple, Optional, Tuple, Union
from weakref import ReferenceType

from ..telemetry.sanitize import clean
from ..telemetry.templates import readable
from .endpoints import endpoint_of
from .places import Place
from .values import text_of

if TYPE_CHECKING:
    from ..telemetry.insight_messages import Mail
    from ..telemetry.rows import RequestRow

MAX_SEEN = 50
MAX_SUSPECTS = 5
MAX_QUERIES = 500
MAX_CALLS = 100

_tuple: Any = tuple.__new__


class Query(NamedTuple):
    """A statement. Instants are of `time.perf_counter`, durations in seconds; `rows` is -1 where
    nobody knows."""

    statement: str
    parameters: Any
    began: float
    seconds: float
    rows: int
    failed: bool
    place: Place


class Call(NamedTuple):
    """Something that was asked of another service: `kind` is "http", "redis", "cache", "mail" or
    "task"."""

    kind: str
    method: str
    target: str
    status: str
    began: float
    seconds: float
    place: Place
    mail: "Optional[Mail]" = None


_MADE_LATE: Dict[str, Callable[[], Any]] = {
    "queries": list, "ends": list, "calls": list, "stacks": dict, "seen": list,
    "suspects": list, "partial": dict, "mounts": list,
}


class Record:
    """The exchange `id`. `scope` is its ASGI scope, if it has one."""

    __slots__ = ("__weakref__", "_method", "_path", "began", "call_count", "call_seconds",
                 "calls", "changed", "chosen", "closed", "endpoint", "ends", "failure", "id",
                 "more_queries", "more_query_seconds", "mounts", "partial", "queries",
                 "queue_seconds", "root_path", "route", "sample_due", "sampled", "samples",
                 "scope", "seen", "stacks", "suspects", "task", "wait_seconds")

    #: threads of one exchange add to it at the same time; of many, seldom
    _lock = RLock()

    # Made when they are first asked for, which is never for most exchanges: what is made for each
    # request has the garbage collector at work under load.

    #: the first statements; how many there were in all is counted
    queries: List[Query]
    #: "commit" and "rollback", each time
    ends: List[str]
    calls: List[Call]
    #: which stacks were sampled, for how many steps of time each
    stacks: Dict[Tuple[str, ...], int]
    #: the exceptions that were told, or need not be: see `first_sight`
    seen: List[Tuple[int, str]]
    #: exceptions that the application handled, which matter if it answers with a 5xx
    suspects: List[Tuple[BaseException, Any]]
    #: what was printed and has no line end yet, by stream
    partial: Dict[str, str]
    #: templates of the paths below which the application was mounted, outermost first
    mounts: List[str]

    def __init__(self, id: int, method: Union[str, bytes], path: Union[str, bytes] = "",
                 root_path: str = "") -> None:
        self.id = id
        self._method = method
        self._path = path
        self.began = perf_counter()
        #: statements beyond the first ones
        self.more_queries = 0
        self.more_query_seconds = 0.0
        #: spent waiting for its turn: of the loop, and of a thread
        self.queue_seconds = 0.0
        #: the task that answers; how often its stack was sampled, for how many steps of time
        #: that stands, and when it is sampled next
        #: (for as long as it lives: its context has this record, and a circle would be left to
        #: the garbage collector)
        self.task: Optional[ReferenceType[Any]] = None
        self.samples = self.sampled = 0
        self.sample_due = 0.0
        #: spent waiting for connections of pools
        self.wait_seconds = 0.0
        self.call_count = 0
        self.call_seconds = 0.0
        #: called with this once it has ended, when more becomes known
        self.changed: Optional[Callable[[Record], None]] = None
        #: it ended long ago: what still runs in its name is no longer a matter of its
        self.closed = False
        #: what a proxy has taken off the path before we saw it
        self.root_path = root_path
        self.scope: Optional[Dict[str, Any]] = None
        #: a router chose its route: see `chose`
        self.chosen = False
        #: the template of the route, whole, as the framework writes it
        self.route: Optional[str] = None
        #: the last exception that was told of it, as a line
        self.failure = ""
        #: what answers: a function, a class or an object
        self.endpoint: Any = None

    @property
    def method(self) -> str:
        return clean(self._method, 16)

    @property
    def path(self) -> str:
        return clean(self._path)

    def __getattr__(self, name: str) -> Any:
        made = _MADE_LATE.get(name)
        if made is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        with self._lock:
            try:  # another thread may have been faster
                return object.__getattribute__(self, name)
            except AttributeError:
                value = made()
                setattr(self, name, value)
                return value

    def add_query(self, statement: str, parameters: Any, began: float, seconds: float, rows: int,
                  failed: bool, place: Place) -> None:
        """A statement came to its end."""
        queries = self.queries
        if len(queries) >= MAX_QUERIES:
            self.add_surplus(seconds)
            return
        # A named tuple's own `__new__` costs as much as all the rest, and so do counts that
        # threads must not make at the same time.
        queries.append(
            _tuple(Query, (statement, parameters, began, seconds, rows, failed, place)))
        if self.changed is not None:
            self.changed(self)

    def add_surplus(self, seconds: float) -> None:
        """A statement came to its end, of which nothing else is kept."""
        with self._lock:
            self.more_queries += 1
            self.more_query_seconds += seconds
        if self.changed is not None:
            self.changed(self)

    @property
    def query_count(self) -> int:
        return len(_queries_of(self)) + self.more_queries

    @property
    def query_seconds(self) -> float:
        return sum(map(seconds_of, _queries_of(self))) + self.more_query_seconds

    def add_end_of_transaction(self, word: str) -> None:
        with self._lock:
            if len(self.ends) < MAX_QUERIES:
                self.ends.append(word)

    @property
    def transactions(self) -> Dict[str, int]:
        """How many of its transactions ended with which word."""
        try:
            ends: List[str] = _made_ends(self)
        except AttributeError:
            return {}
        return {word: ends.count(word) for word in sorted(set(ends))}

    def add_wait(self, seconds: float) -> None:
        with self._lock:
            self.wait_seconds += seconds

    def add_queue(self, seconds: float) -> None:
        with self._lock:
            self.queue_seconds += seconds

    def add_call(self, kind: str, method: str, target: str, status: str, began: float,
                 seconds: float, place: Place, mail: "Optional[Mail]" = None) -> None:
        """A call of another service came to its end."""
        with self._lock:
            self.call_count += 1
            self.call_seconds += seconds
            if len(self.calls) < MAX_CALLS:
                self.calls.append(Call(
                    kind, method, target, status, began, seconds, place, mail))
        if self.changed is not None:
            self.changed(self)

    @property
    def weight(self) -> int:
        """How much of it is kept, in statements and calls."""
        return len(_queries_of(self)) + (len(self.calls) if self.call_count else 0)

    def close(self) -> None:
        """Forget what was kept: all of it was told, and no more will be."""
        self.closed = True
        self.queries.clear()
        self.calls.clear()
        self.stacks.clear()
        self.changed = None

    def mounted(self, template: str) -> None:
        """What follows happens below `template`."""
        self.mounts.append(template.rstrip("/"))

    def below(self, prefix: str) -> None:
        """As `mounted`, for frameworks that know but the path itself, which may be the work of
        mounts that are known already."""
        if prefix.startswith(self.root_path):
            prefix = prefix[len(self.root_path):]
        if not self.mounts and prefix.strip("/"):
            self.mounted(prefix)

    def routed(self, template: str, endpoint: Any = None) -> None:
        """A router chose the route `template`, relative to where the router is mounted."""
        if template[:1] not in ("/", "^"):
            template = "/" + template
        self.route = "".join(self.mounts) + template
        if endpoint is not None:
            self.endpoint = endpoint

    def chose(self, template: str, endpoint: Any = None, below: str = "") -> None:
        """As `routed`, which holds from now on; of `below` see there. An endpoint may send
        requests in its turn that stay within the process, as a test client does, or httpx with an
        application for its transport: these choose routes as well, in the same context, and they
        are not the exchange's."""
        if not self.chosen:
            self.chosen = True
            if below:
                self.below(below)
            self.routed(template, endpoint)

    def entered(self, template: str, app: Any) -> None:
        """A router left it to `app`, mounted below `template`, which may be no router: then this
        is all that is known of the route."""
        if not self.chosen:
            self.routed(template + "/{path:path}", app)
            self.mounted(template)

    def first_sight(self, exc: BaseException) -> bool:
        """Whether `exc` is seen for the first time here: frameworks signal, log and raise what
        is one and the same."""
        # The exception itself must not be kept: its frames hold whatever they work with.
        key = (id(exc), f"{type(exc).__name__}: {text_of(exc)}")
        with self._lock:
            if key in self.seen:
                return False
            if len(self.seen) < MAX_SEEN:
                self.seen.append(key)
        return True

    def suspect(self, exc: BaseException) -> None:
        """The application handles `exc`: an error only if it answers with a 5xx."""
        status = None
        if hasattr(exc, "detail"):  # as of Starlette and Litestar; clients' have answers
            status = getattr(exc, "status_code", None)
        elif hasattr(exc, "get_response"):  # as of Werkzeug
            status = getattr(exc, "code", None)
        if isinstance(status, int) and 100 <= status < 500:
            return
        if len(self.suspects) < MAX_SUSPECTS:
            self.suspects.append((exc, exc.__traceback__))

    def take_suspects(self) -> List[Tuple[BaseException, Any]]:
        """The exceptions that the application handled; they are not kept any longer."""
        try:
            suspects: List[Tuple[BaseException, Any]] = _made_suspects(self)
        except AttributeError:
            return []
        del self.suspects
        return suspects

    @property
    def is_routed(self) -> bool:
        """Whether the application's router has chosen a route, as far as that is known."""
        if self.route is None and self.scope is not None:
            self._ask_scope(self.scope)
        return self.route is not None

    def row(self) -> "RequestRow":
        """The fields that this adds to the exchange's row."""
        row: RequestRow = {}
        if self.is_routed and self.route is not None:
            row["route"] = readable(self.route)
        if self.endpoint is not None:
            endpoint = endpoint_of(self.endpoint, self.method)
            if endpoint is not None:
                row["endpoint"] = endpoint
        if self.queue_seconds >= 0.0001:
            row["queue_ms"] = round(self.queue_seconds * 1000, 3)
        count = self.query_count
        if count:
            row["queries"] = count
            row["sql_ms"] = round(self.query_seconds * 1000, 3)
        if self.call_count:
            row["calls"] = self.call_count
            row["calls_ms"] = round(self.call_seconds * 1000, 3)
        return row

    def _ask_scope(self, scope: Dict[str, Any]) -> None:
        """Take the route that a framework without a source of its own left in the scope."""
        route = scope.get("route")
        handler = scope.get("route_handler")  # Litestar's
        endpoint = getattr(handler, "fn", None) or scope.get("endpoint") or getattr(
            route, "endpoint", None)
        for template in (scope.get("path_template"), getattr(route, "path", None),
                         getattr(route, "path_format", None), getattr(route, "pattern", None)):
            if isinstance(template, str) and template:
                self.routed(template, endpoint)
                return


def _queries_of(record: Record) -> List[Query]:
    """Its statements, without a list being made for them."""
    try:
        return _slot(record)
    except AttributeError:
        return []


seconds_of: Callable[[Query], float] = itemgetter(3)
_slot: Callable[[Record], List[Query]] = vars(Record)["queries"].__get__
_made_suspects: Callable[[Record], List[Tuple[BaseException, Any]]] = vars(Record)[
    "suspects"].__get__
_made_ends: Callable[[Record], List[str]] = vars(Record)["ends"].__get__

#: the record of the exchange for which code runs here; None outside of one, and while nobody
#: watches. Tasks, `to_thread` and the thread pools of frameworks copy it; `sources/threads.py`
#: carries it to where nobody does.
running: ContextVar[Optional[Record]] = ContextVar("tremolo_exchange", default=None)
