"""SQLAlchemy, of synchronous and asynchronous engines: statements, ends of transactions, and
the time that one waited for a connection of the pool.

Not by its events: a listener of engines costs each statement more than all else that is done.
"""

import sys
from typing import Any, Callable

from ..source import Source
from ..statements import Observing, row_count

#: how dialects hand a statement to a cursor
METHODS = ("do_execute", "do_executemany", "do_execute_no_params")


def _blocks(dialect: Any) -> bool:
    """Whether its statements block their thread: those of asynchronous engines let others run."""
    return not getattr(dialect, "is_async", True)


def _blocks_by(*names: str) -> Callable[..., bool]:
    """As `_blocks`, of the dialect that one comes to by attributes of these names."""
    def blocks(owner: Any, *arguments: Any) -> bool:
        for name in names:
            owner = getattr(owner, name, None)
        return _blocks(owner)
    return blocks


def attach(source: Source) -> None:
    observing = Observing(source)
    seen = set()

    def observe(dialect: Any) -> None:
        """Observe what a class of dialects has of its own, beside what it inherits."""
        if dialect not in seen:
            seen.add(dialect)
            for name in METHODS:
                if name in vars(dialect):
                    observing.method(dialect, name, row_count, blocks=_blocks, at=2)

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
        # For drivers note ends as well.
        observing.covering(base.Connection, f"_{word}_impl", _blocks_by("dialect"))
        observing.ending(base.Connection, f"_{word}_impl", word)
    # What a connection is set up with, and what it is given back to its pool with.
    pooled = sys.modules["sqlalchemy.pool.base"]
    observing.covering(pooled._ConnectionRecord, "_ConnectionRecord__connect",
                       _blocks_by("_ConnectionRecord__pool", "_dialect"))
    observing.covering(pooled._ConnectionFairy, "_reset", _blocks_by("_pool", "_dialect"))
    pool = sys.modules.get("sqlalchemy.pool.impl")
    if pool is not None:
        source.waiting(pool.QueuePool, "_do_get")
