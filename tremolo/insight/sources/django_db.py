"""Django's databases: the statements of its cursors, and the ends of transactions."""

import sys
from typing import Any, Callable

from ..source import Source
from ..statements import Observing


def attach(source: Source) -> None:
    observing = Observing(source)
    utils = sys.modules["django.db.backends.utils"]
    # In debug mode Django asks the database once more, for what it logs.
    for cursors in (utils.CursorWrapper, utils.CursorDebugWrapper):
        for name in ("execute", "executemany", "callproc"):
            if name in vars(cursors):
                observing.method(cursors, name, lambda cursor, _: cursor.cursor.rowcount)
    base = sys.modules["django.db.backends.base.base"].BaseDatabaseWrapper
    observing.covering(base, "connect")

    def ending(word: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        def make(end: Callable[..., Any]) -> Callable[..., Any]:
            def observed(self: Any) -> Any:
                record = observing.record()
                if record is not None:
                    record.add_end_of_transaction(word)
                return end(self)
            return observed
        return make

    for word in ("commit", "rollback"):
        source.replace(base, word, ending(word))
