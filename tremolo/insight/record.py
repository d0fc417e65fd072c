"""What is known of one exchange. Sources add to it from any thread; its reader is the sampler.

Knows no library and no message. Everything in it is bounded, and what is cut is counted.
"""

from typing import Any, Dict, List, Optional

from ..telemetry.templates import readable
from .endpoints import endpoint_of


class Record:
    """The exchange `id`. `scope` is its ASGI scope, if it has one."""

    __slots__ = ("endpoint", "id", "method", "mounts", "root_path", "route", "scope")

    def __init__(self, id: int, method: str, root_path: str = "") -> None:
        self.id = id
        self.method = method
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
