"""psycopg 3: statements of its cursors, and the ends of transactions by its connections."""

import inspect
import sys
from typing import Any, Callable

from ..source import Source
from ..statements import Observing, row_count


def attach(source: Source) -> None:
    observing = Observing(source)
    psycopg = sys.modules["psycopg"]
    for name in ("execute", "executemany"):
        observing.method(psycopg.Cursor, name, row_count)
        observing.coroutine(psycopg.AsyncCursor, name, row_count)
    for word in ("commit", "rollback"):
        for kind in (psycopg.Connection, psycopg.AsyncConnection):
            source.replace(kind, word, _ending(observing, word))


def _ending(observing: Observing, word: str) -> Callable[[Callable[..., Any]],
                                                         Callable[..., Any]]:
    def make(end: Callable[..., Any]) -> Callable[..., Any]:
        def observed(self: Any) -> Any:
            __traceback_hide__ = True
            record = observing.record()
            if record is not None:
                record.add_end_of_transaction(word)
            return end(self)

        async def awaited(self: Any) -> Any:
            __traceback_hide__ = True
            return await observed(self)

        return awaited if inspect.iscoroutinefunction(end) else observed

    return make
