"""SQLAlchemy, of synchronous and asynchronous engines: statements, ends of transactions, and
the time that one waited for a connection of the pool.

Not by its events: a listener of engines costs each statement more than all else that is done.
"""

import sys
from operator import attrgetter
from typing import Any, Callable

from ..source import Source
from ..statements import Observing, row_count

#: how dialects hand a statement to a cursor
METHODS = ("do_execute", "do_executemany", "do_execute_no_params")


#: calls by which a connection comes to these, all of them private
WITHIN = 2
#: whether statements of a dialect let others run meanwhile, as those of asynchronous engines do
#: (asked for each: no function of ours)
_is_async = attrgetter("is_async")


def _unknown(dialect: Any) -> bool:
    """As `_is_async`, of dialects that do not say: to be on the safe side."""
    return True


def attach(source: Source) -> None:
    observing = Observing(source)
    seen = set()

    def observe(dialect: Any) -> None:
        """Observe what a class of dialects has of its own, beside what it inherits."""
        if dialect not in seen:
            seen.add(dialect)
            for name in METHODS:
                if name in vars(dialect):
                    observing.method(
                        dialect, name, row_count, at=2,
                        awaits=_is_async if hasattr(dialect, "is_async") else _unknown,
                        has_parameters=name != "do_execute_no_params", within=WITHIN)
            if "do_ping" in vars(dialect):  # whether a connection of the pool still works
                observing.covering(dialect, "do_ping", _is_async)

    def made(init: Callable[..., Any]) -> Callable[..., Any]:
        def observed(self: Any, pool: Any, dialect: Any, *arguments: Any, **named: Any) -> None:
            for kind in type(dialect).__mro__:
                observe(kind)
            init(self, pool, dialect, *arguments, **named)
        return observed

    default = sys.modules.get("sqlalchemy.engine.default")
    waiting = [] if default is None else [default.DefaultDialect]
    while waiting:
        dialect = waiting.pop()
        observe(dialect)
        waiting += dialect.__subclasses__()
    base = sys.modules["sqlalchemy.engine.base"]
    source.replace(base.Engine, "__init__", made)

    for word in ("commit", "rollback"):
        observing.ending(base.Connection, f"_{word}_impl", word,
                         awaits=attrgetter("dialect.is_async"))
    # What a connection is set up with, and what it is given back to its pool with.
    pooled = sys.modules["sqlalchemy.pool.base"]
    observing.covering(pooled._ConnectionRecord, "_ConnectionRecord__connect",
                       attrgetter("_ConnectionRecord__pool._dialect.is_async"))
    observing.covering(pooled._ConnectionFairy, "_reset", attrgetter("_pool._dialect.is_async"))
    pool = sys.modules.get("sqlalchemy.pool.impl")
    if pool is not None:
        source.waiting(pool.QueuePool, "_do_get")
