"""aiosqlite, and with it Tortoise: statements, in the task that asked for them."""

import sys
from time import perf_counter
from typing import Any, Callable

from ..source import Source
from ..statements import Observing

CARRYING = frozenset(("execute", "executemany", "executescript", "_execute_insert",
                      "_execute_fetchall"))


def attach(source: Source) -> None:
    observing = Observing(source)

    def make(execute: Callable[..., Any]) -> Callable[..., Any]:
        async def observed(self: Any, function: Any, *arguments: Any, **named: Any) -> Any:
            __traceback_hide__ = True
            record = observing.begin() if arguments and getattr(
                function, "__name__", "") in CARRYING else None
            if record is None:
                return await execute(self, function, *arguments, **named)
            began, failed, result = perf_counter(), True, None
            try:
                result = await execute(self, function, *arguments, **named)
                failed = False
                return result
            finally:
                observing.end(record, began, arguments[0],
                              arguments[1] if len(arguments) > 1 else None,
                              _rows, None, result, failed)
        return observed

    source.replace(sys.modules["aiosqlite.core"].Connection, "_execute", make)


def _rows(owner: Any, result: Any) -> Any:
    return len(result) if isinstance(result, list) else getattr(result, "rowcount", -1)
