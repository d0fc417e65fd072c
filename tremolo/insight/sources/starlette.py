"""Starlette: the template of the route that was chosen, with those of the mounts above it, and
exceptions that an application's handlers answer for."""

import sys
from typing import Any, Callable

from ..record import Record
from ..source import Source


def attach(source: Source) -> None:
    routing = sys.modules["starlette.routing"]

    def observer(note: Callable[..., None]) -> Callable[..., Any]:
        def make(handle: Callable[..., Any]) -> Callable[..., Any]:
            def observed(self: Any, scope: Any, receive: Any, send: Any) -> Any:
                source.note(note, self)
                return handle(self, scope, receive, send)
            return observed
        return make

    source.replace(routing.Route, "handle", observer(_routed))
    source.replace(routing.WebSocketRoute, "handle", observer(_routed))
    source.replace(routing.Mount, "handle", observer(_mounted))
    handling = sys.modules.get("starlette._exception_handler")
    if handling is not None:
        source.failures(handling, "_lookup_exception_handler", handled=True)


def _routed(record: Record, route: Any) -> None:
    record.chose(route.path, route.endpoint)


def _mounted(record: Record, mount: Any) -> None:
    record.entered(mount.path, mount.app)
