"""Which route a request belongs to.

Knows paths and patterns; knows nothing of requests beyond their target. Literal paths are
looked up in one dictionary; regular expressions are tried after them, the last registered
first.
"""

import importlib
import inspect
import re
from types import ModuleType
from typing import (
    Any,
    Callable,
    Dict,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Pattern,
    Tuple,
    Union,
)
from urllib.parse import unquote_to_bytes

from ..exceptions import ServiceUnavailable
from .handlers import ERROR_NAMES, Handler
from .views import allow_value, class_methods, module_methods

Path = Union[str, bytes]
#: pattern (of an error page: its code), function, options, and an empty dict
Entry = Tuple[Any, Any, Dict[str, Any], Dict[str, Any]]
FIRST_ERROR, LAST_ERROR = 400, 511
_ENCODED_SLASH = re.compile(b"%2[fF]")


def path_bytes(path: Path) -> bytes:
    """A path as it may stand on the wire: text that latin-1 lacks is UTF-8, as browsers
    send."""
    if isinstance(path, bytes):
        return path
    return path.encode("utf-8")


def literal_key(path: bytes) -> bytes:
    """The form under which paths that mean the same literal are equal.

    Leading and trailing slashes do not count, percent-encoding is undone, but an encoded slash
    stays what it is: part of a segment.
    """
    path = path.strip(b"/")
    if b"%" in path:
        path = b"%2F".join(unquote_to_bytes(part) for part in _ENCODED_SLASH.split(path))
    return b"/" + path


def is_regex(path: bytes) -> bool:
    """A path that begins with `^` or ends with `$` is a regular expression."""
    return path.startswith(b"^") or path.endswith(b"$")


async def no_index() -> None:
    """The index of an application that has set none."""
    raise ServiceUnavailable


class _Module(NamedTuple):
    """A module of views in a pickled route."""

    name: str


class Route:
    """One path or pattern and what answers it: a handler, or one for each method."""

    __slots__ = ("allow", "func", "handler", "methods", "name", "options", "path", "pattern")

    def __init__(self, func: Any, path: Path, options: Mapping[str, Any]) -> None:
        self.func = func
        self.options = dict(options)
        self.path = path.encode("latin-1", "replace") if isinstance(path, str) else path
        self.pattern: Optional[Pattern[bytes]] = None
        self.name = path if isinstance(path, str) else path.decode("latin-1")
        groups: List[str] = []
        if is_regex(self.path):
            self.pattern = compile_pattern(self.path)
            groups = list(self.pattern.groupindex)
        else:
            self.path = literal_key(path_bytes(path))
        #: answers every method, unless `methods` is set
        self.handler: Optional[Handler] = None
        self.methods: Optional[Dict[bytes, Handler]] = None
        self.allow = b""
        if isinstance(func, ModuleType):
            self.methods = module_methods(func, options, groups)
        elif inspect.isclass(func):
            self.methods = class_methods(func, options, groups)
        else:
            self.handler = Handler(func, options, groups=groups)
        if self.methods is not None:
            self.allow = allow_value(self.methods)

    def __getstate__(self) -> Dict[str, Any]:
        state = {name: getattr(self, name) for name in self.__slots__}
        if isinstance(self.func, ModuleType):  # pickle knows no modules
            state["func"] = _Module(self.func.__name__)
        return state

    def __setstate__(self, state: Dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)
        if isinstance(self.func, _Module):
            self.func = importlib.import_module(self.func.name)

    def __repr__(self) -> str:
        return f"<Route {self.name}>"

    def entry(self) -> Entry:
        """This route as earlier versions kept it: (pattern, function, options, {})."""
        pattern = self.pattern
        if pattern is None:
            path = re.escape(self.path.strip(b"/"))
            pattern = re.compile(b"^/+" + path + rb"(?:/+)?(?:\?.*)?$")
        return pattern, self.func, dict(self.options), {}

    def moved(self, prefix: bytes) -> "Route":
        """This route below `prefix` (of an application that is being mounted)."""
        if self.pattern is None:
            return Route(self.func, prefix + self.path, self.options)
        return Route(self.func, mounted_pattern(self.path, prefix), self.options)


def compile_pattern(path: bytes) -> Pattern[bytes]:
    """The regular expression of a route; a final `$` also accepts a query string.

    Raises ValueError naming the pattern when it is not a regular expression.
    """
    source = path
    if path.endswith(b"$") and not path.endswith(b"\\$"):
        source = path[:-1] + rb"(?:\?.*)?$"
    try:
        return re.compile(source)
    except re.error as exc:
        raise ValueError(f"route {path.decode('latin-1')!r} is not a regular expression: {exc}"
                         ) from None


def mounted_pattern(path: bytes, prefix: bytes) -> bytes:
    """A pattern as it reads below `prefix`: `^/x` is `^/prefix/x`, `x$` is `^/prefix/.*x$`."""
    if not prefix.strip(b"/"):
        return path
    start = b"^" + re.escape(prefix)
    end = b""
    body = path
    if body.endswith(b"$") and not body.endswith(b"\\$"):
        body, end = body[:-1], b"$"
    body = body[1:] if body.startswith(b"^") else b"/.*" + body
    if b"|" in body:  # keep each alternative below the prefix
        body = b"(?:" + body + b")"
    return start + body + end


class Routes(Mapping[Any, List[Entry]]):
    """The routes and error pages of an application.

    `literals` maps a path's key to its route, `patterns` are tried from the last to the first,
    `errors` maps a status to its handler. As a mapping it is read-only and laid out as in
    earlier versions: `[0]` the error pages by `code - 400`, `[1]` the index, `[-1]` the
    patterns, `[bytes([segments]) + first_segment]` the literals; made when it is asked for.
    """

    def __init__(self) -> None:
        self.literals: Dict[bytes, Route] = {}
        self.patterns: List[Route] = []
        self.errors: Dict[int, Handler] = {}
        #: what answers `/` while nothing is registered there; None once mounted elsewhere
        self.index: Optional[Route] = Route(no_index, "/", {})

    def __bool__(self) -> bool:
        return self.index is not None  # False: moved into another application

    def __len__(self) -> int:
        return len(self._table())

    def __iter__(self) -> Iterator[Any]:
        return iter(self._table())

    def __getitem__(self, key: Any) -> List[Entry]:
        return self._table()[key]

    def __contains__(self, key: object) -> bool:
        return key in self._table()

    def __repr__(self) -> str:
        return f"<Routes {[*self.literals.values(), *self.patterns]}>"

    def _table(self) -> Dict[Any, List[Entry]]:
        if self.index is None:
            return {}
        table: Dict[Any, List[Entry]] = {
            0: [self._error_entry(code) for code in range(FIRST_ERROR, LAST_ERROR + 1)],
            1: [self.literals.get(b"/", self.index).entry()],
            -1: [route.entry() for route in self.patterns]}
        for path, route in self.literals.items():
            parts = path.strip(b"/").split(b"/", 254)
            if parts[0]:
                table.setdefault(bytes([len(parts)]) + parts[0], []).append(route.entry())
        return table

    def _error_entry(self, code: int) -> Entry:
        handler = self.errors.get(code)
        if handler is None:
            return code, None, {}, {}
        return code, handler.func, dict(handler.options), {}

    def compile(self, executor: Any = None) -> None:
        """Nothing is left to do: handlers and patterns are made ready at registration."""

    def add(self, func: Any, path: Path = "/", kwargs: Optional[Mapping[str, Any]] = None,
            **options: Any) -> Route:
        """Register `func` for `path`; the one registered last wins.

        Raises TypeError when `func` cannot be a handler, ValueError for a bad pattern.
        """
        route = Route(func, path, {**(kwargs or {}), **options})
        self._insert(route)
        return route

    def _insert(self, route: Route) -> None:
        if route.pattern is None:
            self.literals[route.path] = route
        else:
            self.patterns.append(route)

    def check_error(self, code: int) -> None:
        """Raise ValueError unless an error page can be registered for `code`: 400 to 511."""
        if isinstance(code, bool) or not (isinstance(code, int)
                                          and FIRST_ERROR <= code <= LAST_ERROR):
            raise ValueError(f"an error code is from {FIRST_ERROR} to {LAST_ERROR}, "
                             f"not {code!r}")

    def add_error(self, code: int, func: Callable[..., Any]) -> None:
        """Register an error page. Raises ValueError unless `code` is from 400 to 511."""
        self.check_error(code)
        self.errors[code] = Handler(func, offered=ERROR_NAMES)

    def find(self, path: bytes, target: bytes) -> Tuple[Optional[Route], Any]:
        """The route for a request and, for a pattern, its match; (None, None) if there is
        none.

        `path` is the raw path without the query string, `target` the path with it.
        """
        route = self.literals.get(path)
        if route is None:
            if path[:1] == b"/":
                route = self.literals.get(literal_key(path))
            if route is None:
                for candidate in reversed(self.patterns):
                    match = candidate.pattern.search(target)  # type: ignore[union-attr]
                    if match is not None:
                        return candidate, match
                if path.strip(b"/") == b"":
                    return self.index, None
        return route, None

    def take(self, other: "Routes", prefix: bytes) -> None:
        """Move the routes of `other` below `prefix`, leaving it empty.

        Error pages stay behind: those of the outermost application answer everywhere.
        """
        for route in [*([other.index] if other.index else ()), *other.literals.values(),
                      *other.patterns]:
            self._insert(route.moved(prefix))
        other.index = None
        other.literals.clear()
        other.patterns.clear()
