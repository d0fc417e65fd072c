"""SQLAlchemy, of synchronous and asynchronous engines: statements, ends of transactions, and
the time that one waited for a connection of the pool. By its own events."""

import sys
from time import perf_counter
from typing import Any, Dict, List, Tuple

from ..record import Record
from ..source import Source
from ..statements import Observing, Rows, not_known, row_count

MAX_BEGUN = 1000


def attach(source: Source) -> None:
    event = sys.modules["sqlalchemy.event"]
    engine = sys.modules["sqlalchemy.engine"].Engine
    observing = Observing(source)
    #: the statements that are on their way, by their connection
    begun: Dict[int, Tuple[Record, float, Any, Any]] = {}

    def before(conn: Any, cursor: Any, statement: Any, parameters: Any, context: Any,
               executemany: bool) -> None:
        record = observing.begin()
        if record is not None:
            if len(begun) > MAX_BEGUN:
                begun.clear()
            begun[id(conn)] = (record, perf_counter(), statement, parameters)

    def end(conn: Any, rows: Rows, cursor: Any, failed: bool) -> None:
        found = begun.pop(id(conn), None)
        if found is not None:
            record, began, statement, parameters = found
            observing.end(record, began, statement, parameters, rows, cursor, None, failed)

    def after(conn: Any, cursor: Any, statement: Any, parameters: Any, context: Any,
              executemany: bool) -> None:
        end(conn, row_count, cursor, False)

    def failed(context: Any) -> None:
        if context.connection is not None:
            end(context.connection, not_known, None, True)

    def ending(word: str) -> Any:
        def ended(conn: Any) -> None:
            record = observing.record()
            if record is not None:
                record.add_end_of_transaction(word)
        return ended

    listeners: List[Tuple[str, Any]] = [
        ("before_cursor_execute", before), ("after_cursor_execute", after),
        ("handle_error", failed), ("commit", ending("commit")), ("rollback", ending("rollback"))]
    for name, listener in listeners:
        event.listen(engine, name, listener)
        source.undone_by(lambda name=name, listener=listener:  # type: ignore[misc]
                         event.remove(engine, name, listener))
    observing.covering(sys.modules["sqlalchemy.pool.base"]._ConnectionRecord,
                       "_ConnectionRecord__connect")
    pool = sys.modules.get("sqlalchemy.pool.impl")
    if pool is not None:
        source.waiting(pool.QueuePool, "_do_get")
