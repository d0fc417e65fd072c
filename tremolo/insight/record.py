"""What is known of one exchange. Sources add to it from any thread; its reader is the sampler.

Knows no library and no message. Everything in it is bounded, and what is cut is counted.
"""

from typing import Any, Dict, List, Optional, Tuple

from ..telemetry.templates import readable
from .endpoints import endpoint_of
from .values import text_of

MAX_SEEN = 50
MAX_SUSPECTS = 5


class Record:
    """The exchange `id`. `scope` is its ASGI scope, if it has one."""

    __slots__ = ("closed", "endpoint", "id", "method", "mounts", "partial", "path", "root_path",
                 "route", "scope", "seen", "suspects")

    def __init__(self, id: int, method: str, path: str = "", root_path: str = "") -> None:
        self.id = id
        self.method = method
        self.path = path
        #: it ended long ago: what still runs in its name is no longer a matter of its
        self.closed = False
        #: the exceptions that were told, or need not be: see `first_sight`
        self.seen: List[Tuple[int, str]] = []
        #: exceptions that the application handled, which matter if it answers with a 5xx
        self.suspects: List[Tuple[BaseException, Any]] = []
        #: what was printed and has no line end yet, by stream
        self.partial: Dict[str, str] = {}
        #: what a proxy has taken off the path before we saw it
        self.root_path = root_path
        self.scope: Optional[Dict[str, Any]] = None
        #: templates of the paths below which the application was mounted, outermost first
        self.mounts: List[str] = []
        #: the template of the route, whole, as the framework writes it
        self.route: Optional[str] = None
        #: what answers: a function, a class or an object
        self.endpoint: Any = None

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

    def first_sight(self, exc: BaseException) -> bool:
        """Whether `exc` is seen for the first time here: frameworks signal, log and raise what
        is one and the same."""
        # The exception itself must not be kept: its frames hold whatever they work with.
        key = (id(exc), f"{type(exc).__name__}: {text_of(exc)}")
        if key in self.seen:
            return False
        if len(self.seen) < MAX_SEEN:
            self.seen.append(key)
        return True

    def suspect(self, exc: BaseException) -> None:
        """The application handles `exc`: an error only if it answers with a 5xx."""
        status = getattr(exc, "status_code", getattr(exc, "code", None))
        if isinstance(status, int) and 100 <= status < 500:
            return
        if len(self.suspects) < MAX_SUSPECTS:
            self.suspects.append((exc, exc.__traceback__))

    def row(self) -> Dict[str, Any]:
        """The fields that this adds to the exchange's row."""
        if self.route is None and self.scope is not None:
            self._ask_scope(self.scope)
        row: Dict[str, Any] = {}
        if self.route is not None:
            row["route"] = readable(self.route)
        if self.endpoint is not None:
            endpoint = endpoint_of(self.endpoint, self.method)
            if endpoint is not None:
                row["endpoint"] = endpoint
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
