"""Flask: the rule that was chosen, and the exceptions that it answers with a 500."""

import sys
from typing import Any, Callable

from ..record import Record
from ..source import Source


def attach(source: Source) -> None:
    def make(dispatch: Callable[..., Any]) -> Callable[..., Any]:
        def observed(self: Any, *context: Any) -> Any:
            __traceback_hide__ = True
            source.note(_routed, self)
            return dispatch(self, *context)
        return observed

    flask = sys.modules["flask.app"].Flask
    source.replace(flask, "full_dispatch_request", make)
    source.failures(flask, "handle_exception")
    source.failures(flask, "handle_user_exception", handled=True)


def _routed(record: Record, app: Any) -> None:
    request = sys.modules["flask.globals"].request
    rule = request.url_rule
    if rule is not None:
        record.chose(rule.rule, app.view_functions.get(rule.endpoint), request.script_root)
