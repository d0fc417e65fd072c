"""asyncpg: statements, ends of transactions, and the time that one waited for the pool."""

import sys
from typing import Any, Mapping, Tuple

from ..source import Source
from ..statements import Observing, first_and_rest, length


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
    # How a pool cleans its connections, and a transaction is begun, nobody has written.
    observing.covering(connection, "reset")
    transaction = sys.modules["asyncpg.transaction"].Transaction
    observing.covering(transaction, "start")
    for word in ("commit", "rollback"):
        name = f"_Transaction__{word}"
        observing.covering(transaction, name)
        observing.ending(transaction, name, word, _is_outermost)
    source.waiting(sys.modules["asyncpg.pool"].Pool, "_acquire")


def _is_outermost(transaction: Any) -> bool:
    return not getattr(transaction, "_nested", False)


def _prepared(prepared: Any, arguments: Tuple[Any, ...], named: Mapping[str, Any]
              ) -> Tuple[Any, Any]:
    """Prepared statements know their statement themselves."""
    return prepared.get_query(), arguments
