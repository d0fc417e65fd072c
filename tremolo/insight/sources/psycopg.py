"""psycopg 3: statements of its cursors, and the ends of transactions by its connections."""

import sys

from ..source import Source
from ..statements import Observing, first_and_second, row_count
from ..streams import AsyncCopying, Copying, async_rows_of, observe, rows_of


def attach(source: Source) -> None:
    observing = Observing(source)
    psycopg = sys.modules["psycopg"]
    for name in ("execute", "executemany"):
        observing.method(psycopg.Cursor, name, row_count)
        observing.coroutine(psycopg.AsyncCursor, name, rows=row_count, of_result=False)
    observe(observing, psycopg.Cursor, "stream", first_and_second, rows_of)
    observe(observing, psycopg.AsyncCursor, "stream", first_and_second, async_rows_of)
    observe(observing, psycopg.Cursor, "copy", first_and_second, Copying)
    observe(observing, psycopg.AsyncCursor, "copy", first_and_second, AsyncCopying)
    for kind in (psycopg.Connection, psycopg.AsyncConnection):
        for word in ("commit", "rollback"):
            observing.ending(kind, word, word)
