"""Our own applications: the route that was found."""

import sys
from typing import Any, Callable

from ..record import Record
from ..source import Source


def attach(source: Source) -> None:
    def make(find: Callable[..., Any]) -> Callable[..., Any]:
        def observed(self: Any, path: bytes, target: bytes) -> Any:
            found = find(self, path, target)
            source.note(_routed, found[0])
            return found
        return observed

    source.replace(sys.modules["tremolo.app.routing"].Routes, "find", make)


def _routed(record: Record, route: Any) -> None:
    if route is None or route.func is sys.modules["tremolo.app.routing"].no_index:
        return
    methods = route.methods or {}
    handler = route.handler or methods.get(record.method.encode())
    record.chose(route.name, route.func if handler is None else handler.func)
