"""Calls of other services, as the sources of their clients note them."""

import inspect
from time import perf_counter
from typing import Any, Callable, Tuple

from .record import Record
from .source import Source

#: what the arguments of a call, without `self`, mean: its method and its target
Named = Callable[[Any, Tuple[Any, ...], Any], Tuple[str, str]]


class Calling:
    """Observers of one source's calls, which are of a `kind`."""

    def __init__(self, source: Source, kind: str) -> None:
        self._source = source
        self._kind = kind

    def observe(self, owner: Any, name: str, named: Named,
                status: Callable[[Any], Any] = lambda result: "") -> None:
        """Observe the method `owner.name`, a function or a coroutine function. `named(self,
        arguments, keywords)` gives method and target, `status(result)` how it went."""
        def make(call: Callable[..., Any]) -> Callable[..., Any]:
            def observed(self: Any, *arguments: Any, **keywords: Any) -> Any:
                record = source.record()
                if record is None:
                    return call(self, *arguments, **keywords)
                began, how = perf_counter(), "interrupted"
                try:
                    result = call(self, *arguments, **keywords)
                    how = status(result)
                    return result
                except BaseException as exc:
                    how = type(exc).__name__
                    raise
                finally:
                    end(record, began, how, self, arguments, keywords)

            async def awaited(self: Any, *arguments: Any, **keywords: Any) -> Any:
                record = source.record()
                if record is None:
                    return await call(self, *arguments, **keywords)
                began, how = perf_counter(), "interrupted"
                try:
                    result = await call(self, *arguments, **keywords)
                    how = status(result)
                    return result
                except BaseException as exc:
                    how = type(exc).__name__
                    raise
                finally:
                    end(record, began, how, self, arguments, keywords)

            return awaited if inspect.iscoroutinefunction(call) else observed

        def end(record: Record, began: float, how: Any, self: Any, arguments: Tuple[Any, ...],
                keywords: Any) -> None:
            ended = perf_counter()
            try:
                method, target = named(self, arguments, keywords)
                record.add_call(self_kind, method, target, str(how), began, ended - began,
                                source.observer.places.here(3))
            except Exception as exc:
                source.fail(exc)

        source, self_kind = self._source, self._kind
        source.replace(owner, name, make)
