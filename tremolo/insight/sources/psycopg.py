"""psycopg 3: statements of its cursors, those on the server too, and the ends of transactions, by
its connections and by blocks of `transaction()`."""

import sys
from typing import Any, Callable, Generator

from ..source import Source
from ..statements import Observing, first_and_second, row_count
from ..streams import AsyncCopying, Copying, async_rows_of, observe, rows_of


def attach(source: Source) -> None:
    observing = Observing(source)
    psycopg = sys.modules["psycopg"]
    for name in ("execute", "executemany"):
        observing.method(psycopg.Cursor, name, row_count)
        observing.coroutine(psycopg.AsyncCursor, name, rows=row_count, of_result=False)
    # On the server: its rows are not known until they are fetched.
    observing.method(psycopg.ServerCursor, "execute")
    observing.coroutine(psycopg.AsyncServerCursor, "execute")
    observe(observing, psycopg.Cursor, "stream", first_and_second, rows_of)
    observe(observing, psycopg.AsyncCursor, "stream", first_and_second, async_rows_of)
    observe(observing, psycopg.Cursor, "copy", first_and_second, Copying)
    observe(observing, psycopg.AsyncCursor, "copy", first_and_second, AsyncCopying)
    for kind in (psycopg.Connection, psycopg.AsyncConnection):
        for word in ("commit", "rollback"):
            observing.ending(kind, word, word, _is_in_transaction)
    for kind in (psycopg.Transaction, psycopg.AsyncTransaction):
        for word in ("commit", "rollback"):
            source.replace(kind, f"_{word}_gen", _block_ending(observing, word))


def _is_in_transaction(connection: Any) -> bool:
    return bool(connection.pgconn.transaction_status)  # 0: with autocommit there is none


def _block_ending(observing: Observing, word: str) -> Callable[..., Any]:
    """Of what ends a block: a transaction, unless it is within one, and a savepoint of that."""
    def make(end: Callable[..., Any]) -> Callable[..., Any]:
        def observed(self: Any, *arguments: Any) -> Generator[Any, Any, Any]:
            __traceback_hide__ = True
            ended = "rollback"  # as what cannot be committed is
            try:
                result = yield from end(self, *arguments)
                ended = word
                return result
            finally:
                record = observing.record()
                if record is not None and getattr(self, "_outer_transaction", True):
                    record.add_end_of_transaction(ended)
        return observed

    return make
