"""Calls of other services, as the sources of their clients note them."""

import inspect
from contextvars import ContextVar
from functools import partial
from time import perf_counter
from typing import Any, Callable, Optional, Tuple

from ..telemetry.insight_messages import Mail
from .record import Record
from .source import Source

#: what the arguments of a call, without `self`, mean: its method and its target
Named = Callable[[Any, Tuple[Any, ...], Any], Tuple[str, str]]
#: the message that such a call hands over, to be read
Reading = Callable[[Any, Tuple[Any, ...], Any], Mail]

#: a call is on its way here: what it does in its turn, as to follow a redirect, is part of it
covered: ContextVar[bool] = ContextVar("tremolo_call", default=False)


class Calling:
    """Observers of one source's calls, which are of a `kind`; `reading` gives the mail of one."""

    def __init__(self, source: Source, kind: str, reading: Optional[Reading] = None) -> None:
        self._source = source
        self._kind = kind
        self._reading = reading

    def begin(self) -> Optional[Record]:
        """The record to note a call in. Unless the result is None you must call `end`."""
        record = self._source.record()
        if record is None or covered.get():
            return None
        covered.set(True)
        return record

    def end(self, record: Record, began: float, named: Named, how: Callable[[], Any], self_: Any,
            arguments: Tuple[Any, ...], keywords: Any) -> None:
        """The call that began at `began` has come to its end; `how()` tells which."""
        seconds = perf_counter() - began
        covered.set(False)
        try:
            method, target = named(self_, arguments, keywords)
            mail = None if self._reading is None else self._reading(self_, arguments, keywords)
            record.add_call(self._kind, method, target, str(how()), began, seconds,
                            self._source.observer.places.here(3), mail)
        except Exception as exc:
            self._source.fail(exc)

    def observe(self, owner: Any, name: str, named: Named,
                status: Callable[[Any], Any] = lambda result: "") -> None:
        """Observe the method `owner.name`, a function or a coroutine function. `named(self,
        arguments, keywords)` gives method and target, `status(result)` how it went."""
        def make(call: Callable[..., Any]) -> Callable[..., Any]:
            def observed(self: Any, *arguments: Any, **keywords: Any) -> Any:
                __traceback_hide__ = True
                record = begin()
                if record is None:
                    return call(self, *arguments, **keywords)
                how: Callable[[], Any] = _interrupted
                began = perf_counter()
                try:
                    result = call(self, *arguments, **keywords)
                    how = partial(status, result)
                    return result
                except BaseException as exc:
                    how = partial(_name_of, type(exc))
                    raise
                finally:
                    end(record, began, named, how, self, arguments, keywords)

            async def awaited(self: Any, *arguments: Any, **keywords: Any) -> Any:
                __traceback_hide__ = True
                record = begin()
                if record is None:
                    return await call(self, *arguments, **keywords)
                how: Callable[[], Any] = _interrupted
                began = perf_counter()
                try:
                    result = await call(self, *arguments, **keywords)
                    how = partial(status, result)
                    return result
                except BaseException as exc:
                    how = partial(_name_of, type(exc))
                    raise
                finally:
                    end(record, began, named, how, self, arguments, keywords)

            return awaited if inspect.iscoroutinefunction(call) else observed

        begin, end = self.begin, self.end
        self._source.replace(owner, name, make)


def _interrupted() -> str:
    return "interrupted"


def _name_of(kind: type) -> str:
    return kind.__name__
