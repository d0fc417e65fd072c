"""What a source may do: put observers in place of functions, and fail without consequences.

An observer calls `note` around the function that it stands for. The first exception of a
source's own code is logged and switches that source off, for good: the application goes on as
if it were not there.
"""

import functools
import logging
from typing import Any, Callable, List, Optional, Tuple

from .context import running
from .record import Record

Make = Callable[[Callable[..., Any]], Callable[..., Any]]
_MISSING = object()


class Source:
    """One library that is looked into. `on` while somebody watches and nothing has failed."""

    def __init__(self, name: str, logger: logging.Logger) -> None:
        self.name = name
        self.on = True
        self.failed = False
        self._logger = logger
        self._replaced: List[Tuple[Any, str, Any, Any]] = []
        self._undo: List[Callable[[], None]] = []

    def note(self, observe: Callable[..., Any], *arguments: Any) -> Any:
        """`observe(record, *arguments)` if an exchange runs here; its result, None without."""
        record = running.get()
        if record is None or not self.on:
            return None
        try:
            return observe(record, *arguments)
        except Exception as exc:
            self.fail(exc)
            return None

    def record(self) -> Optional[Record]:
        """The record of the exchange that runs here, for observers that do more than `note`."""
        return running.get() if self.on else None

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
        observer = functools.wraps(original)(made) if callable(original) else made
        setattr(owner, name, observer)
        self._replaced.append((owner, name, before, observer))

    def undone_by(self, undo: Callable[[], None]) -> None:
        """Have `undo()` called when the source is detached."""
        self._undo.append(undo)

    def detach(self) -> None:
        """Give everything back. What somebody else has wrapped since stays, and only passes
        calls on."""
        self.on = False
        for owner, name, before, observer in reversed(self._replaced):
            if vars(owner).get(name) is not observer:
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
