"""psycopg 3: statements of its cursors, and the ends of transactions by its connections."""

import sys

from ..source import Source
from ..statements import Observing, row_count


def attach(source: Source) -> None:
    observing = Observing(source)
    psycopg = sys.modules["psycopg"]
    for name in ("execute", "executemany"):
        observing.method(psycopg.Cursor, name, row_count)
        observing.coroutine(psycopg.AsyncCursor, name, rows=row_count, of_result=False)
    for kind in (psycopg.Connection, psycopg.AsyncConnection):
        for word in ("commit", "rollback"):
            observing.ending(kind, word, word)
