"""asyncpg: statements, ends of transactions, and the time that one waited for the pool."""

import sys
from typing import Any, Mapping, Tuple

from ..source import Source
from ..statements import Observing, first_and_rest, length
from ..streams import async_rows_of, observe


def attach(source: Source) -> None:
    observing = Observing(source)
    connection = sys.modules["asyncpg.connection"].Connection
    for name in ("execute", "executemany", "fetchmany"):
        observing.coroutine(connection, name, first_and_rest)
    for name in ("fetch", "fetchval", "fetchrow"):
        observing.coroutine(connection, name, first_and_rest, length)
    prepared = sys.modules["asyncpg.prepared_stmt"].PreparedStatement
    for name in ("fetch", "fetchval", "fetchrow", "fetchmany", "executemany"):
        observing.coroutine(prepared, name, _prepared, length)
    cursors = sys.modules["asyncpg.cursor"]
    observe(observing, cursors.CursorFactory, "__aiter__", _of_cursor, async_rows_of)
    for name in ("fetch", "fetchrow"):  # each asks the server
        observing.coroutine(cursors.Cursor, name, _fetched, length)
    # How a pool cleans its connections, and a transaction is begun, nobody has written.
    observing.covering(connection, "reset")
    transaction = sys.modules["asyncpg.transaction"].Transaction
    observing.covering(transaction, "start")
    for word in ("commit", "rollback"):
        name = f"_Transaction__{word}"
        observing.ending(transaction, name, word, _is_outermost)
    source.waiting(sys.modules["asyncpg.pool"].Pool, "_acquire")


def _is_outermost(transaction: Any) -> bool:
    return not getattr(transaction, "_nested", False)


def _of_cursor(cursor: Any, arguments: Tuple[Any, ...], named: Mapping[str, Any]
               ) -> Tuple[Any, Any]:
    return cursor._query, cursor._args


def _fetched(cursor: Any, arguments: Tuple[Any, ...], named: Mapping[str, Any]
             ) -> Tuple[Any, Any]:
    # What SQLAlchemy asks for bit by bit is noted already, as one.
    if str(sys._getframe(3).f_globals.get("__name__")).startswith("sqlalchemy."):
        return None, None
    return _of_cursor(cursor, arguments, named)


def _prepared(prepared: Any, arguments: Tuple[Any, ...], named: Mapping[str, Any]
              ) -> Tuple[Any, Any]:
    """Prepared statements know their statement themselves."""
    return prepared.get_query(), arguments
