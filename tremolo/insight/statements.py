"""SQL: statements as they are observed, and normalised so that equal ones are equal.

`Observing` is what each source of a database library puts around the call that carries a
statement. Libraries lie upon each other (an ORM, its dialect, the driver): what is within the
call of one that is observed already is not noted again.
"""

import inspect
import re
from contextvars import ContextVar
from functools import lru_cache
from time import perf_counter
from typing import Any, Callable, Optional

from ..telemetry.sanitize import clean
from ..telemetry.secrets import MASK, is_secret
from .record import Record, running
from .source import Source
from .values import text_of

Rows = Callable[[Any, Any], Any]

MAX_STATEMENT = 4000
MAX_SHOWN = 300

#: a call that carries a statement is on its way here
covered: ContextVar[bool] = ContextVar("tremolo_statement", default=False)

_LITERAL = re.compile(
    # What has no end was cut, or is one to the end for the database as well.
    r"""(?<![A-Za-z0-9_])[eE]'(?:[^'\\]|\\.|'')*(?:'|\Z) | '(?:[^']|'')*(?:'|\Z)
        | \$([A-Za-z_]*)\$.*?(?:\$\1\$|\Z) | --[^\n]* | /\*.*?(?:\*/|\Z)
        | (?<![A-Za-z0-9_$%:]) (?: 0x[0-9a-fA-F]+ | [0-9]+(?:\.[0-9]+)? (?:[eE][+-]?[0-9]+)? ) \b
        | \s+""", re.VERBOSE | re.DOTALL)
_ONE = r"(?:\?|%s|:\w+|\$\d+|%\(\w+\)s)"
_LIST = re.compile(rf"\(\s*{_ONE}(?:\s*,\s*{_ONE})+\s*\)")
_ROWS = re.compile(r"(\(…\)|\(\?\))(?:\s*,\s*(?:\(…\)|\(\?\)))+")


def _plain(match: "re.Match[str]") -> str:
    first = match[0][0]
    return " " if first.isspace() or first in "-/" else "?"


@lru_cache(2048)
def normalised(statement: str) -> str:
    """`statement` on one line, without comments, its literals replaced by `?` and lists of
    parameters by `(…)`: no value is left in it."""
    text = _LITERAL.sub(_plain, statement)
    text = _LIST.sub("(…)", " ".join(text.split()))
    return clean(_ROWS.sub(r"\1, …", text), MAX_SHOWN)


def shown_parameters(statement: str, parameters: Any) -> str:
    """The parameters as text; none of them where the statement is about a secret."""
    if parameters is None or parameters == ():
        return ""
    if is_secret(statement):
        return MASK
    return text_of(parameters, 400)


def text_of_statement(statement: Any) -> str:
    """The text of what a driver is given: a str, bytes, or an object that composes one."""
    if isinstance(statement, str):
        return statement[:MAX_STATEMENT]
    if isinstance(statement, bytes):
        return statement[:MAX_STATEMENT].decode("utf-8", "replace")
    return f"<{type(statement).__name__}>"


def not_known(owner: Any, result: Any) -> Any:
    return -1


class Observing:
    """Observers of one source. `rows(self, result)` gives the number of rows that a call of a
    method of `self` brought, -1 for not known."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def record(self) -> Optional[Record]:
        """The record to note something in; None where there is nothing to note."""
        record = self._source.record()
        return None if record is None or covered.get() else record

    def begin(self) -> Optional[Record]:
        """As `record`, for a statement that begins. Unless the result is None you must call
        `end`, in the same context; until then nothing else is noted there."""
        record = running.get()
        if record is None or covered.get() or record.closed or not self._source.on:
            return None
        covered.set(True)
        return record

    def end(self, record: Record, began: float, statement: Any, parameters: Any = None,
            rows: Rows = not_known, owner: Any = None, result: Any = None,
            failed: bool = False) -> None:
        """The statement that began at `began` has come to its end."""
        seconds = perf_counter() - began
        covered.set(False)
        try:
            count = -1 if failed else rows(owner, result)
            observer = self._source.observer
            if type(statement) is not str or len(statement) > MAX_STATEMENT:
                statement = text_of_statement(statement)
            record.add_query(
                statement, parameters if observer.detail > 1 else None, began,
                seconds, count if type(count) is int else -1, failed, observer.places.here(3))
        except Exception as exc:
            self._source.fail(exc)

    def method(self, owner: Any, name: str, rows: Rows = not_known) -> None:
        """Observe the method `owner.name(statement, parameters)`."""
        def make(execute: Callable[..., Any]) -> Callable[..., Any]:
            def observed(self: Any, statement: Any, *arguments: Any, **named: Any) -> Any:
                __traceback_hide__ = True
                # `begin`, written out: of a driver below an ORM nothing more than this is run.
                record = current()
                if record is None or is_covered() or record.closed or not source.on:
                    return execute(self, statement, *arguments, **named)
                cover(True)
                began, failed, result = perf_counter(), True, None
                try:
                    result = execute(self, statement, *arguments, **named)
                    failed = False
                    return result
                finally:
                    end(record, began, statement,
                        arguments[0] if arguments else named.get("params"),
                        rows, self, result, failed)
            return observed

        source, end = self._source, self.end
        current, is_covered, cover = running.get, covered.get, covered.set
        self._source.replace(owner, name, make)

    def argument(self, owner: Any, name: str, rows: Rows = not_known) -> None:
        """Observe `owner.name(cursor, statement, parameters, …)`, whose cursor is `rows`' owner;
        without parameters, what follows the statement is no tuple, list or dict."""
        def make(execute: Callable[..., Any]) -> Callable[..., Any]:
            def observed(self: Any, cursor: Any, statement: Any, *arguments: Any,
                         **named: Any) -> Any:
                __traceback_hide__ = True
                record = begin()
                if record is None:
                    return execute(self, cursor, statement, *arguments, **named)
                began, failed = perf_counter(), True
                try:
                    result = execute(self, cursor, statement, *arguments, **named)
                    failed = False
                    return result
                finally:
                    given = arguments[0] if arguments else named.get("parameters")
                    end(record, began, statement,
                        given if isinstance(given, (tuple, list, dict)) else None,
                        rows, cursor, None, failed)
            return observed

        begin, end = self.begin, self.end
        self._source.replace(owner, name, make)

    def covering(self, owner: Any, name: str) -> None:
        """Note nothing of what `owner.name` does in its turn: what sets up a connection, say, is
        no statement of the application's."""
        def make(function: Callable[..., Any]) -> Callable[..., Any]:
            def observed(*arguments: Any, **named: Any) -> Any:
                __traceback_hide__ = True
                before = covered.get()
                covered.set(True)
                try:
                    return function(*arguments, **named)
                finally:
                    covered.set(before)

            async def awaited(*arguments: Any, **named: Any) -> Any:
                __traceback_hide__ = True
                before = covered.get()
                covered.set(True)
                try:
                    return await function(*arguments, **named)
                finally:
                    covered.set(before)

            # A decorator may pass on what is to be awaited, and be none itself.
            return awaited if inspect.iscoroutinefunction(inspect.unwrap(function)) else observed

        self._source.replace(owner, name, make)

    def coroutine(self, owner: Any, name: str, rows: Rows = not_known,
                  split: bool = False) -> None:
        """As `method`, for a coroutine function; with `split` its parameters are all that
        follows the statement."""
        def make(execute: Callable[..., Any]) -> Callable[..., Any]:
            async def observed(self: Any, statement: Any, *arguments: Any, **named: Any) -> Any:
                __traceback_hide__ = True
                record = begin()
                if record is None:
                    return await execute(self, statement, *arguments, **named)
                began, failed, result = perf_counter(), True, None
                try:
                    result = await execute(self, statement, *arguments, **named)
                    failed = False
                    return result
                finally:
                    parameters = arguments if split else (
                        arguments[0] if arguments else named.get("params"))
                    end(record, began, statement, parameters, rows, self, result, failed)
            return observed

        begin, end = self.begin, self.end
        self._source.replace(owner, name, make)


def row_count(owner: Any, result: Any) -> Any:
    """The rows that a cursor tells of, which is the owner of the method or its result."""
    count = getattr(owner, "rowcount", None)
    return getattr(result, "rowcount", -1) if count is None else count


def length(owner: Any, result: Any) -> Any:
    return len(result) if isinstance(result, (list, tuple)) else 0 if result is None else 1
