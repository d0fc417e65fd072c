"""Django: the route that was resolved, and the exceptions that it answers with a 500."""

import sys
from typing import Any, Callable, List

from ...telemetry.templates import readable
from ..record import Record
from ..source import Source

#: the source, while it is attached: signals remember their receivers, so that these are few
_attached: List[Source] = []


def attach(source: Source) -> None:
    def make(resolve: Callable[..., Any]) -> Callable[..., Any]:
        def observed(self: Any, request: Any) -> Any:
            __traceback_hide__ = True
            match = resolve(self, request)
            source.note(_routed, request)
            return match
        return observed

    base = sys.modules["django.core.handlers.base"]
    source.replace(base.BaseHandler, "resolve_request", make)

    _attached.append(source)
    signal = sys.modules["django.core.signals"].got_request_exception
    signal.connect(_failed)
    source.undone_by(lambda: signal.disconnect(_failed))
    source.undone_by(lambda: _attached.remove(source))


def _failed(sender: Any, **named: Any) -> None:
    exc = sys.exc_info()[1]
    for source in _attached:
        if exc is not None:
            source.note_failure(exc)


def _routed(record: Record, request: Any) -> None:
    match = request.resolver_match
    record.chose(readable("/" + match.route), match.func,
          request.path[:len(request.path) - len(request.path_info)])
