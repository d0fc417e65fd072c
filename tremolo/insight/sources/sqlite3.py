"""sqlite3: statements and ends of transactions, of connections made while this is attached.

Its types cannot be changed, so connections and cursors are made of subclasses of what they
would be. Detached, those only pass calls on.
"""

import sys
from operator import attrgetter
from typing import Any, Callable, Dict, List, Type

from ..source import Source
from ..statements import Observing, holds, row_count

METHODS = ("execute", "executemany", "executescript")
MAX_KINDS = 100
_is_in_transaction = attrgetter("in_transaction")
#: the subclass of each class of connections and cursors, made once: connections live on
_KINDS: Dict[Type[Any], Type[Any]] = {}
#: what gives the class that stands for another, while this is attached
_watched: List[Callable[[Any, Any], Any]] = []
#: what it gave for each class of cursors
_cursors: Dict[Any, Any] = {}


def attach(source: Source) -> None:
    module: Any = sys.modules["sqlite3"]
    observing = Observing(source)
    observed_now = set()

    def observe(kind: Any) -> None:
        if kind not in observed_now:
            observed_now.add(kind)
            for name in METHODS:
                if hasattr(kind, name):
                    observing.method(kind, name, row_count, of_result=True)
            if issubclass(kind, module.Connection):
                for word in ("commit", "rollback"):
                    observing.ending(kind, word, word, _is_in_transaction)
                source.replace(kind, "__exit__", ending_block)

    def ending_block(leave: Callable[..., Any]) -> Callable[..., Any]:
        """`with connection` calls no method for it."""
        def observed(self: Any, kind: Any = None, *raised: Any) -> Any:
            __traceback_hide__ = True
            record = observing.record()
            counts = record is not None and holds(_is_in_transaction, self)
            word = "commit" if kind is None else "rollback"
            try:
                return leave(self, kind, *raised)
            except BaseException:
                word = "rollback"  # of what cannot be committed
                raise
            finally:
                if record is not None and counts and not self.in_transaction:
                    record.add_end_of_transaction(word)
        return observed

    def watched(base: Any, plain: Any) -> Any:
        """What stands for `base`, a class of connections or cursors."""
        if not source.on or not isinstance(base, type) or not issubclass(base, plain):
            return base  # a function that makes some
        kind = base if base in _KINDS.values() else _KINDS.get(base)
        if kind is None:
            kind = _KINDS[base] = _kind(base, module)
        observe(kind)
        return kind

    def make(connect: Callable[..., Any]) -> Callable[..., Any]:
        def observed(*arguments: Any, **named: Any) -> Any:
            if len(arguments) > 5:  # the factory by position
                arguments = (*arguments[:5], watched(arguments[5], module.Connection),
                             *arguments[6:])
            else:
                named["factory"] = watched(
                    named.get("factory", module.Connection), module.Connection)
            return connect(*arguments, **named)
        return observed

    for kind in list(_KINDS.values()):
        observe(kind)
    source.replace(module, "connect", make)
    source.replace(sys.modules["sqlite3.dbapi2"], "connect", make)
    _watched.append(watched)
    source.undone_by(_cursors.clear)
    source.undone_by(lambda: _watched.remove(watched))


def _kind(base: Any, module: Any) -> Any:
    """A subclass of `base` that is like it; connections make cursors that are watched."""
    def cursor(self: Any, factory: Any = module.Cursor) -> Any:
        kind = _cursors.get(factory)
        if kind is None:
            kind = factory
            for watched in _watched:
                kind = watched(factory, module.Cursor)
                if isinstance(factory, type) and len(_cursors) < MAX_KINDS:
                    _cursors[factory] = kind
        return base.cursor(self, kind)

    body: Dict[str, Any] = {"__module__": base.__module__, "__qualname__": base.__qualname__,
                            "__doc__": base.__doc__, "__slots__": ()}
    if issubclass(base, module.Connection):
        body["cursor"] = cursor
    return type(base.__name__, (base,), body)
