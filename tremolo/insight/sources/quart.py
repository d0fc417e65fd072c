"""Quart: the rule that was chosen, and the exceptions that it answers with a 500."""

import sys
from typing import Any, Callable

from ..record import Record
from ..source import Source


def attach(source: Source) -> None:
    def observer(name: str) -> Callable[..., Any]:
        def make(dispatch: Callable[..., Any]) -> Callable[..., Any]:
            def observed(self: Any, *context: Any) -> Any:
                source.note(_routed, self, name)
                return dispatch(self, *context)
            return observed
        return make

    quart = sys.modules["quart.app"].Quart
    source.replace(quart, "full_dispatch_request", observer("request"))
    source.replace(quart, "full_dispatch_websocket", observer("websocket"))
    for name in ("handle_exception", "handle_websocket_exception"):
        source.failures(quart, name)
    source.failures(quart, "handle_user_exception", handled=True)


def _routed(record: Record, app: Any, name: str) -> None:
    rule = getattr(sys.modules["quart.globals"], name).url_rule
    if rule is not None:
        record.chose(rule.rule, app.view_functions.get(rule.endpoint))
