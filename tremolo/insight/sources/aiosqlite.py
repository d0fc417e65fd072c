"""aiosqlite, and with it Tortoise: statements, in the task that asked for them."""

import sys
from operator import attrgetter
from typing import Any, Mapping, Tuple

from ..source import Source
from ..statements import Observing

CARRYING = frozenset(("execute", "executemany", "executescript", "_execute_insert",
                      "_execute_fetchall"))


def attach(source: Source) -> None:
    observing, connection = Observing(source), sys.modules["aiosqlite.core"].Connection
    observing.coroutine(connection, "_execute", _read, _rows)
    for word in ("commit", "rollback"):
        observing.ending(connection, word, word, attrgetter("in_transaction"))


def _read(connection: Any, arguments: Tuple[Any, ...], named: Mapping[str, Any]
          ) -> Tuple[Any, Any]:
    """Of `_execute(function, statement, parameters)`."""
    if len(arguments) < 2 or getattr(arguments[0], "__name__", "") not in CARRYING:
        return None, None
    return arguments[1], arguments[2] if len(arguments) > 2 else None


def _rows(result: Any) -> Any:
    return len(result) if isinstance(result, list) else getattr(result, "rowcount", -1)
