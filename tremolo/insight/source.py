"""What a source may do: put observers in place of functions, and fail without consequences.

Observers that an exception of the application's may pass have a local `__traceback_hide__`, by
which debug pages leave frames out: an answer is not to change because somebody watches.

An observer calls `note` around the function that it stands for. The first exception of a
source's own code is logged and switches that source off, for good: the application goes on as
if it were not there.
"""

import functools
import inspect
import logging
from time import perf_counter
from typing import Any, Callable, List, Optional, Protocol, Tuple

from .places import Places
from .record import Record, running

Make = Callable[[Callable[..., Any]], Callable[..., Any]]
_MISSING = object()


class Observer(Protocol):
    """Who is told by sources, from any thread."""

    def failing(self) -> Optional[Record]:
        """The record of the exchange that runs here, also of one that is not looked into, for
        what it fails over."""

    def raised(self, record: Record, exc: BaseException, *, where: str = "request") -> None:
        """The application failed over `exc` in this exchange, or what that started did, as a
        "task" or a "thread"."""

    def is_project(self, path: str) -> bool:
        """Whether a file is the project's own, and no package's."""

    @property
    def detail(self) -> int:
        """The level of detail that is wanted: values of parameters from 2 on."""

    @property
    def holds_mail(self) -> bool:
        """Whether mail is kept from being sent."""

    @property
    def places(self) -> Places:
        """What finds places in the project."""


class Source:
    """One library that is looked into. `on` while somebody watches and nothing has failed."""

    def __init__(self, name: str, logger: logging.Logger, observer: Observer) -> None:
        self.name = name
        self.observer = observer
        self.on = True
        self.failed = False
        self._logger = logger
        self._replaced: List[Tuple[Any, str, Any, Any]] = []
        self._undo: List[Callable[[], None]] = []

    def note(self, observe: Callable[..., Any], *arguments: Any) -> Any:
        """`observe(record, *arguments)` if an exchange runs here; its result, None without."""
        record = running.get()
        if record is None or record.closed or not self.on:
            return None
        try:
            return observe(record, *arguments)
        except Exception as exc:
            self.fail(exc)
            return None

    def note_failure(self, exc: BaseException, handled: bool = False,
                     where: str = "request") -> None:
        """The exchange that runs here, looked into or not, is failing over `exc`, or (`handled`)
        the application has an answer for it. `where` see `Observer.raised`."""
        if not self.on:
            return
        try:
            record = self.observer.failing()
            if record is None:
                return
            if handled:
                record.suspect(exc)
            else:
                self.observer.raised(record, exc, where=where)
        except Exception as fault:
            self.fail(fault)

    def record(self) -> Optional[Record]:
        """The record of the exchange that runs here, for observers that do more than `note`."""
        record = running.get()
        return None if record is None or record.closed or not self.on else record

    def fail(self, exc: BaseException) -> None:
        """Switch off, because of a fault of our own."""
        if not self.failed:
            self.failed = True
            self.on = False
            self._logger.warning("insight: the source %s failed and is switched off: %s: %s",
                                 self.name, type(exc).__name__, exc, exc_info=exc)

    def replace(self, owner: Any, name: str, make: Make) -> None:
        """Put `make(original)` in the place of the function `owner.name`, if there is one."""
        original = getattr(owner, name, None)
        if original is None:
            return
        before = vars(owner).get(name, _MISSING)
        made = make(original)
        observed: Any = functools.wraps(original)(made)
        if isinstance(before, staticmethod):
            observed = staticmethod(observed)
        setattr(owner, name, observed)
        self._replaced.append((owner, name, before, observed))

    def undone_by(self, undo: Callable[[], None]) -> None:
        """Have `undo()` called when the source is detached."""
        self._undo.append(undo)

    def waiting(self, owner: Any, name: str) -> None:
        """Note how long each call of `owner.name`, a function or a coroutine function, takes as
        waiting for a connection."""
        def make(acquire: Callable[..., Any]) -> Callable[..., Any]:
            def observed(*arguments: Any, **named: Any) -> Any:
                __traceback_hide__ = True
                record, began = self.record(), perf_counter()
                try:
                    return acquire(*arguments, **named)
                finally:
                    if record is not None:
                        record.add_wait(perf_counter() - began)

            async def awaited(*arguments: Any, **named: Any) -> Any:
                __traceback_hide__ = True
                record, began = self.record(), perf_counter()
                try:
                    return await acquire(*arguments, **named)
                finally:
                    if record is not None:
                        record.add_wait(perf_counter() - began)

            return awaited if inspect.iscoroutinefunction(acquire) else observed

        self.replace(owner, name, make)

    def failures(self, owner: Any, name: str, handled: bool = False) -> None:
        """Note the exceptions that the method `owner.name` is given, as an argument: those that
        the application is failing over, or (`handled`) those that it has an answer for."""
        def make(method: Callable[..., Any]) -> Callable[..., Any]:
            def observed(*arguments: Any, **named: Any) -> Any:
                __traceback_hide__ = True
                for value in (*arguments, *named.values()):
                    if isinstance(value, BaseException):
                        if type(value).__name__ == "WebSocketDisconnect":
                            break  # how frameworks say that the client left
                        self.note_failure(value, handled)
                        break
                return method(*arguments, **named)
            return observed

        self.replace(owner, name, make)

    def detach(self) -> None:
        """Give everything back. What somebody else has wrapped since stays, and only passes
        calls on."""
        self.on = False
        for owner, name, before, observed in reversed(self._replaced):
            if vars(owner).get(name) is not observed:
                continue
            if before is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, before)
        self._replaced.clear()
        while self._undo:
            try:
                self._undo.pop()()
            except Exception as exc:
                self.fail(exc)
