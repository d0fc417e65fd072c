"""Statements whose rows come bit by bit while the application works on them: each is one.

Between its parts the application does other things, which are no part of it: they are noted, and
their time is not that of the statement. Of a COPY alone, what is between counts as its time, for
that is when its data is written and read.
"""

from time import perf_counter
from typing import Any, AsyncIterator, Callable, Iterator, Optional, Type

from .record import Query, Record
from .statements import Observing, Reading, covered, text_of_statement

_ENDS = (StopIteration, StopAsyncIteration, GeneratorExit)


class Stream:
    """One that begins, and is noted once `tell` is called: enter it for each of its parts."""

    def __init__(self, observing: Observing, record: Record, statement: Any,
                 parameters: Any) -> None:
        observer = observing.source.observer
        self._record = record
        self._statement = text_of_statement(statement)
        self._parameters = parameters if observer.detail > 1 else None
        self._place = observer.places.here(3)
        self._began = self._since = perf_counter()
        self.seconds = 0.0
        #: that it brought, -1 for not known
        self.rows = -1
        self.failed = False

    def __enter__(self) -> None:
        covered.set(True)
        self._since = perf_counter()

    def __exit__(self, kind: Optional[Type[BaseException]], *raised: Any) -> None:
        self.seconds += perf_counter() - self._since
        covered.set(False)
        if kind is not None and not issubclass(kind, _ENDS):
            self.failed = True

    def tell(self) -> None:
        """It came to its end."""
        if not self._record.closed:
            self._record.add_query(*Query(
                self._statement, self._parameters, self._began, self.seconds,
                -1 if self.failed else self.rows, self.failed, self._place))

    def tell_whole(self, rows: Any, failed: bool) -> None:
        """As `tell`, with the time since it began."""
        self.seconds = perf_counter() - self._began
        self.failed = self.failed or failed
        if type(rows) is int:
            self.rows = rows
        self.tell()


def rows_of(stream: Stream, owner: Any, rows: Iterator[Any]) -> Iterator[Any]:
    """`rows`, which are noted once they came to an end, or nobody wants more."""
    __traceback_hide__ = True
    stream.rows = 0
    try:
        while True:
            with stream:
                try:
                    row = next(rows)
                except StopIteration:
                    return
            stream.rows += 1
            yield row
    finally:
        with stream:
            rows.close()  # type: ignore[attr-defined]
        stream.tell()


async def async_rows_of(stream: Stream, owner: Any, rows: AsyncIterator[Any]
                        ) -> AsyncIterator[Any]:
    """As `rows_of`."""
    __traceback_hide__ = True
    close = getattr(rows, "aclose", None)
    stream.rows = 0
    try:
        while True:
            with stream:
                try:
                    row = await rows.__anext__()
                except StopAsyncIteration:
                    return
            stream.rows += 1
            yield row
    finally:
        if close is not None:
            with stream:
                await close()
        stream.tell()


class Copying:
    """A context manager of a COPY by the cursor `owner`."""

    def __init__(self, stream: Stream, owner: Any, manager: Any) -> None:
        self._stream = stream
        self._owner = owner
        self._manager = manager

    def __enter__(self) -> Any:
        __traceback_hide__ = True
        try:
            with self._stream:
                return self._manager.__enter__()
        except BaseException:
            self._stream.tell()
            raise

    def __exit__(self, kind: Any, *raised: Any) -> Any:
        __traceback_hide__ = True
        try:
            with self._stream:
                return self._manager.__exit__(kind, *raised)
        finally:
            self._stream.tell_whole(getattr(self._owner, "rowcount", -1), kind is not None)


class AsyncCopying:
    """As `Copying`."""

    def __init__(self, stream: Stream, owner: Any, manager: Any) -> None:
        self._stream = stream
        self._owner = owner
        self._manager = manager

    async def __aenter__(self) -> Any:
        __traceback_hide__ = True
        try:
            with self._stream:
                return await self._manager.__aenter__()
        except BaseException:
            self._stream.tell()
            raise

    async def __aexit__(self, kind: Any, *raised: Any) -> Any:
        __traceback_hide__ = True
        try:
            with self._stream:
                return await self._manager.__aexit__(kind, *raised)
        finally:
            self._stream.tell_whole(getattr(self._owner, "rowcount", -1), kind is not None)


def observe(observing: Observing, owner: Any, name: str, read: Reading,
            wrap: Callable[[Stream, Any, Any], Any]) -> None:
    """Observe the function `owner.name`, whose result, of whose arguments `read` makes the
    statement, `wrap(stream, self, result)` stands for."""
    def make(begin: Callable[..., Any]) -> Callable[..., Any]:
        def observed(self: Any, *arguments: Any, **named: Any) -> Any:
            __traceback_hide__ = True
            result = begin(self, *arguments, **named)
            record = observing.record()
            if record is None:
                return result
            try:
                stream = Stream(observing, record, *read(self, arguments, named))
                return wrap(stream, self, result)
            except Exception as exc:
                observing.source.fail(exc)
                return result
        return observed

    observing.source.replace(owner, name, make)
