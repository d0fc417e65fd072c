"""aiosqlite, and with it Tortoise: statements, in the task that asked for them."""

import sys
from time import perf_counter
from typing import Any, Callable

from ..source import Source
from ..statements import Observing, covered

CARRYING = frozenset(("execute", "executemany", "executescript", "_execute_insert",
                      "_execute_fetchall"))


def attach(source: Source) -> None:
    observing = Observing(source)

    def make(execute: Callable[..., Any]) -> Callable[..., Any]:
        async def observed(self: Any, function: Any, *arguments: Any, **named: Any) -> Any:
            record = observing.begin() if arguments and getattr(
                function, "__name__", "") in CARRYING else None
            if record is None:
                return await execute(self, function, *arguments, **named)
            token, began, failed, rows = covered.set(True), perf_counter(), True, -1
            try:
                result = await execute(self, function, *arguments, **named)
                failed = False
                rows = len(result) if isinstance(result, list) else getattr(
                    result, "rowcount", -1)
                return result
            finally:
                covered.reset(token)
                observing.end(record, began, arguments[0],
                              arguments[1] if len(arguments) > 1 else None, rows, failed)
        return observed

    source.replace(sys.modules["aiosqlite.core"].Connection, "_execute", make)
