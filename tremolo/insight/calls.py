"""Calls of other services, as the sources of their clients note them."""

import inspect
from asyncio import CancelledError
from contextvars import ContextVar
from time import perf_counter
from typing import TYPE_CHECKING, Any, Callable, Mapping, Optional, Tuple, Type

from .record import Record
from .source import Source

if TYPE_CHECKING:
    from ..telemetry.insight_messages import Mail

#: what the arguments of a call, without `self`, mean: its method and its target
Named = Callable[[Any, Tuple[Any, ...], Any], Tuple[str, str]]
#: the message that such a call hands over, to be read
Reading = Callable[[Any, Tuple[Any, ...], Any], "Mail"]

#: the status of a call that its caller gave up, as with a timeout or because its client left
CANCELLED = "cancelled"

#: a call is on its way here: what it does in its turn, as to follow a redirect, is part of it
covered: ContextVar[bool] = ContextVar("tremolo_call", default=False)


def nothing(result: Any) -> str:
    """The status of calls whose result says nothing."""
    return ""


class Running:
    """A call that is on its way, from where it is entered until it is left, which is noted then:

        with running:
            return running.ended(call(running.owner, *running.arguments, **running.keywords))

    It is left with the status that `ended` found, the class of the exception that passes, or as
    cancelled. A library that hands over something else than it was given has a class of its own.
    """

    __slots__ = ("_began", "_calling", "_record", "_result", "arguments", "keywords", "owner",
                 "status")

    def __init__(self, calling: "Calling", record: Record, owner: Any,
                 arguments: Tuple[Any, ...], keywords: Mapping[str, Any]) -> None:
        self._calling = calling
        self._record = record
        self.owner = owner
        self.arguments = arguments
        self.keywords = keywords
        self._began = 0.0
        self._result: Any = None
        #: how it went; None for what the source makes of the result
        self.status: Optional[str] = None

    def __enter__(self) -> "Running":
        covered.set(True)
        self._began = perf_counter()
        return self

    def ended(self, result: Any) -> Any:
        """The call gave `result`: what its caller is given."""
        self._result = result
        return result

    def __exit__(self, kind: Optional[Type[BaseException]], exc: Any = None, *raised: Any
                 ) -> None:
        seconds = perf_counter() - self._began
        covered.set(False)
        if kind is not None:
            gave_up = issubclass(kind, (CancelledError, GeneratorExit))
            self.status = CANCELLED if gave_up else self.failure(kind, exc)
        calling = self._calling
        try:
            status = calling.status(self._result) if self.status is None else self.status
            self.note(calling, self._record, str(status), self._began, seconds)
        except Exception as exc:
            calling.source.fail(exc)

    def failure(self, kind: Type[BaseException], exc: Any) -> str:
        """How it went, where it raised `exc`."""
        return kind.__name__

    def note(self, calling: "Calling", record: Record, status: str, began: float,
             seconds: float) -> None:
        """Add to the record what there was."""
        owner, arguments, keywords = self.owner, self.arguments, self.keywords
        method, target = calling.named(owner, arguments, keywords)
        mail = None if calling.reading is None else calling.reading(owner, arguments, keywords)
        place = calling.source.observer.places.here(4)
        record.add_call(calling.kind, method, target, status, began, seconds, place, mail)


class Calling:
    """What observes calls of one `kind` that mean the same: `named(owner, arguments, keywords)`
    gives method and target of one, `status(result)` how it went, `reading` its mail."""

    def __init__(self, source: Source, kind: str, named: Named,
                 status: Callable[[Any], Any] = nothing, reading: Optional[Reading] = None,
                 running: Type[Running] = Running) -> None:
        self.source = source
        self.kind = kind
        self.named = named
        self.status = status
        self.reading = reading
        self._running = running

    def begin(self, owner: Any, arguments: Tuple[Any, ...], keywords: Mapping[str, Any]
              ) -> Optional[Running]:
        """A call, to be entered; None where none is to be noted."""
        record = self.source.record()
        if record is None or covered.get():
            return None
        return self._running(self, record, owner, arguments, keywords)

    def observe(self, owner: Any, name: str) -> None:
        """Observe the method `owner.name`, a function or a coroutine function."""
        def make(call: Callable[..., Any]) -> Callable[..., Any]:
            def observed(self: Any, *arguments: Any, **keywords: Any) -> Any:
                __traceback_hide__ = True
                running = begin(self, arguments, keywords)
                if running is None:
                    return call(self, *arguments, **keywords)
                with running:
                    return running.ended(call(self, *running.arguments, **running.keywords))

            async def awaited(self: Any, *arguments: Any, **keywords: Any) -> Any:
                __traceback_hide__ = True
                running = begin(self, arguments, keywords)
                if running is None:
                    return await call(self, *arguments, **keywords)
                with running:
                    return running.ended(await call(self, *running.arguments,
                                                    **running.keywords))

            return awaited if inspect.iscoroutinefunction(call) else observed

        begin = self.begin
        self.source.replace(owner, name, make)
