"""FastAPI: as Starlette, but its routes answer by themselves, and routers are included late."""

import sys
from typing import Any, Callable

from ..record import Record
from ..source import Source


def attach(source: Source) -> None:
    def make(handle: Callable[..., Any]) -> Callable[..., Any]:
        def observed(self: Any, scope: Any, receive: Any, send: Any) -> Any:
            source.note(_routed, self, scope)
            return handle(self, scope, receive, send)
        return observed

    source.replace(sys.modules["fastapi.routing"].APIRoute, "handle", make)


def _routed(record: Record, route: Any, scope: Any) -> None:
    included = scope.get("fastapi", {}).get("effective_route_context")
    if included is None or getattr(included, "original_route", None) is not route:
        included = route
    record.chose(included.path, route.endpoint)
