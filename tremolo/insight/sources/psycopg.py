"""psycopg 3: statements of its cursors, and the time that one waited for a pool."""

import sys

from ..source import Source
from ..statements import Observing, row_count


def attach(source: Source) -> None:
    observing = Observing(source)
    psycopg = sys.modules["psycopg"]
    for name in ("execute", "executemany"):
        observing.method(psycopg.Cursor, name, row_count)
        observing.coroutine(psycopg.AsyncCursor, name, row_count)
