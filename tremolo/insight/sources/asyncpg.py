"""asyncpg: statements, ends of transactions, and the time that one waited for the pool."""

import sys
from time import perf_counter
from typing import Any, Callable

from ..source import Source
from ..statements import Observing, length


def attach(source: Source) -> None:
    observing = Observing(source)
    connection = sys.modules["asyncpg.connection"].Connection
    for name in ("execute", "executemany", "fetchmany"):
        observing.coroutine(connection, name, split=True)
    for name in ("fetch", "fetchval", "fetchrow"):
        observing.coroutine(connection, name, length, split=True)
    prepared = sys.modules["asyncpg.prepared_stmt"].PreparedStatement
    for name in ("fetch", "fetchval", "fetchrow", "fetchmany", "executemany"):
        source.replace(prepared, name, _prepared(observing))
    # How a pool cleans its connections, and a transaction is begun, nobody has written.
    observing.covering(connection, "reset")
    transaction = sys.modules["asyncpg.transaction"].Transaction
    observing.covering(transaction, "start")
    for word in ("commit", "rollback"):
        name = f"_Transaction__{word}"
        observing.covering(transaction, name)
        source.replace(transaction, name, _ending(observing, word))
    source.waiting(sys.modules["asyncpg.pool"].Pool, "_acquire")


def _ending(observing: Observing, word: str) -> Callable[[Callable[..., Any]],
                                                         Callable[..., Any]]:
    def make(end: Callable[..., Any]) -> Callable[..., Any]:
        async def observed(self: Any) -> Any:
            __traceback_hide__ = True
            record = observing.record()
            if record is not None and not getattr(self, "_nested", False):
                record.add_end_of_transaction(word)
            return await end(self)
        return observed

    return make


def _prepared(observing: Observing) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Observes a method of prepared statements, which know their statement themselves."""
    def make(fetch: Callable[..., Any]) -> Callable[..., Any]:
        async def observed(self: Any, *arguments: Any, **named: Any) -> Any:
            __traceback_hide__ = True
            record = observing.begin()
            if record is None:
                return await fetch(self, *arguments, **named)
            began, failed, result = perf_counter(), True, None
            try:
                result = await fetch(self, *arguments, **named)
                failed = False
                return result
            finally:
                observing.end(record, began, self.get_query(), arguments, length, self, result,
                              failed)
        return observed

    return make
