"""SQL: statements as they are observed, and normalised so that equal ones are equal.

`Observing` is what each source of a database library puts around the call that carries a
statement. Libraries lie upon each other (an ORM, its dialect, the driver): what is within the
call of one that is observed already is not noted again.

What is done for each statement is nearly all that insight costs. What can be done once they are
told, as to normalise them, or not at all, is not done there.
"""

import inspect
import re
import sys
import threading
from contextvars import ContextVar
from functools import lru_cache
from operator import attrgetter
from time import perf_counter
from typing import Any, Callable, Mapping, Optional, Set, Tuple, Type

from ..telemetry.sanitize import clean
from ..telemetry.secrets import MASK, is_secret
from .record import MAX_QUERIES, Query, Record, running
from .source import Source
from .values import text_of

#: the number of rows that a cursor or a result tells of, anything but an int for not known
Rows = Optional[Callable[[Any], Any]]
#: the statement and its parameters, from the arguments of a call, without `self`; a statement of
#: None is none
Reading = Callable[[Any, Tuple[Any, ...], Mapping[str, Any]], Tuple[Any, Any]]

_tuple: Any = tuple.__new__  # a named tuple's own costs as much as all the rest

MAX_STATEMENT = 4000
MAX_SHOWN = 300

#: a call that carries a statement is on its way here
covered: ContextVar[bool] = ContextVar("tremolo_statement", default=False)
#: threads in which one is that blocks: nothing else runs there meanwhile. To set the variable
#: takes as long as all else that is done for a statement
blocked: Set[int] = set()

_LITERAL = re.compile(
    # What has no end was cut, or is one to the end for the database as well.
    r"""(?<![A-Za-z0-9_])[eE]'(?:[^'\\]|\\.|'')*(?:'|\Z) | '(?:[^']|'')*(?:'|\Z)
        | \$([A-Za-z_]*)\$.*?(?:\$\1\$|\Z) | --[^\n]* | /\*.*?(?:\*/|\Z)
        | (?<![A-Za-z0-9_$%:]) (?: 0x[0-9a-fA-F]+ | [0-9]+(?:\.[0-9]+)? (?:[eE][+-]?[0-9]+)? ) \b
        | \s+""", re.VERBOSE | re.DOTALL)
_ONE = r"(?:\?|%s|:\w+|\$\d+|%\(\w+\)s)"
_LIST = re.compile(rf"\(\s*{_ONE}(?:\s*,\s*{_ONE})+\s*\)")
_ROWS = re.compile(r"(\(…\)|\(\?\))(?:\s*,\s*(?:\(…\)|\(\?\)))+")
#: names of savepoints are made up anew for each
_SAVEPOINT = re.compile(
    r"((?:SAVEPOINT|(?:RELEASE|ROLLBACK(?: \w+)? TO)(?: SAVEPOINT)?) )\S+",
    re.IGNORECASE)


def _plain(match: "re.Match[str]") -> str:
    first = match[0][0]
    return " " if first.isspace() or first in "-/" else "?"


@lru_cache(2048)
def normalised(statement: str) -> str:
    """`statement` on one line, without comments, its literals replaced by `?` and lists of
    parameters by `(…)`: no value is left in it."""
    text = _LITERAL.sub(_plain, statement)
    text = _LIST.sub("(…)", " ".join(text.split()))
    savepoint = _SAVEPOINT.fullmatch(text.rstrip(";"))
    if savepoint:
        text = savepoint[1] + "…"
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


row_count: Rows = attrgetter("rowcount")


def _may_have_rows(subject: Any) -> bool:
    """Whether what says that there are none is a cursor of sqlite3 (or has one) that has not
    read them: of `insert … returning` it learns of rows as it gives them back."""
    cursor = getattr(subject, "cursor", subject)
    module = sys.modules.get("sqlite3")
    return (module is not None and isinstance(cursor, module.Cursor)
            and cursor.description is not None)


#: what libraries call a statement, and its parameters, each with what stands for none
_NAMES = ((("query", "statement", "sql", "operation", "procname"), ""),
          (("params", "parameters", "param_list", "params_seq"), None))


def length(result: Any) -> int:
    """The rows that a result is, as a list or a single one."""
    return len(result) if isinstance(result, (list, tuple)) else 0 if result is None else 1


def first_and_second(owner: Any, arguments: Tuple[Any, ...], named: Mapping[str, Any]
                     ) -> Tuple[Any, Any]:
    """See `Reading`: of `execute(statement, parameters)`, by whatever names it is given them."""
    given = len(arguments)
    if given > 1 or not named:
        return arguments[0] if given else "", arguments[1] if given > 1 else None
    statement, parameters = (
        arguments[number] if number < len(arguments)
        else next((named[name] for name in names if name in named), none)
        for number, (names, none) in enumerate(_NAMES))
    return statement, parameters


def first_and_rest(owner: Any, arguments: Tuple[Any, ...], named: Mapping[str, Any]
                   ) -> Tuple[Any, Any]:
    """See `Reading`: of `fetch(statement, *parameters)`."""
    return arguments[0] if arguments else named.get("query", ""), arguments[1:]


class Running:
    """A call that carries a statement, from where it is entered until it is left; then the
    statement is noted, and until then nothing else is there. `read` makes it of the arguments."""

    __slots__ = ("_arguments", "_began", "_named", "_observing", "_owner", "_read", "_record",
                 "_rows", "_subject")

    def __init__(self, observing: "Observing", record: Record, read: Reading, rows: Rows,
                 owner: Any, arguments: Tuple[Any, ...], named: Mapping[str, Any],
                 subject: Any) -> None:
        self._observing = observing
        self._record = record
        self._read = read
        self._rows = rows
        self._owner = owner
        self._arguments = arguments
        self._named = named
        self._subject = subject
        self._began = 0.0

    def __enter__(self) -> "Running":
        covered.set(True)
        self._began = perf_counter()
        return self

    def ended(self, result: Any) -> Any:
        """The call gave `result`, which tells of its rows where there is no `subject`."""
        if self._subject is None:
            self._subject = result
        return result

    def __exit__(self, kind: Optional[Type[BaseException]], *raised: Any) -> None:
        seconds = perf_counter() - self._began
        covered.set(False)
        try:
            statement, parameters = self._read(self._owner, self._arguments, self._named)
        except Exception as exc:
            self._observing.source.fail(exc)
            return
        if statement is not None:
            self._observing.note(self._record, self._began, seconds, statement, parameters,
                                 self._rows, self._subject, kind is not None)


class Covering:
    """While it is entered nothing is noted, though others run in this thread, too."""

    __slots__ = ("_before",)

    def __enter__(self) -> None:
        self._before = covered.get()
        covered.set(True)

    def __exit__(self, *raised: Any) -> None:
        covered.set(self._before)


class Blocking:
    """While it is entered nothing is noted in this thread, where nothing else runs meanwhile."""

    __slots__ = ("_thread",)

    def __enter__(self) -> None:
        thread = threading.get_ident()
        self._thread = None if thread in blocked else thread
        blocked.add(thread)

    def __exit__(self, *raised: Any) -> None:
        if self._thread is not None:
            blocked.discard(self._thread)


def sheltered(awaits: Optional[Callable[[Any], Any]], owner: Any) -> Any:
    """To be entered for a call of `owner` within which nothing is to be noted. It blocks its
    thread if `awaits(owner)` is there to say that no others run there meanwhile."""
    try:
        alone = awaits is not None and not awaits(owner)
    except AttributeError:
        alone = False
    return Blocking() if alone else Covering()


def holds(question: Callable[[Any], Any], owner: Any) -> bool:
    """Whether `question(owner)` is true; not for what cannot be asked, as a connection that is
    closed: the call that follows will say so."""
    try:
        return bool(question(owner))
    except Exception:
        return False


class Observing:
    """Observers of one source."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._observer = source.observer

    def record(self) -> Optional[Record]:
        """The record to note something in; None where there is nothing to note."""
        record = running.get()
        if record is None or covered.get() or threading.get_ident() in blocked \
                or record.closed or not self.source.on:
            return None
        return record

    def note(self, record: Record, began: float, seconds: float, statement: Any, parameters: Any,
             rows: Rows, subject: Any, failed: bool, within: int = 0) -> None:
        """A statement came to its end, two calls below the library's and so many more `within`
        it; `rows(subject)` is the number of its rows."""
        try:
            queries = record.queries
            if len(queries) >= MAX_QUERIES:  # of which nothing but number and time is kept
                record.add_surplus(seconds)
                return
            if type(statement) is not str or len(statement) > MAX_STATEMENT:
                statement = text_of_statement(statement)
            count = -1
            if rows is not None and not failed:
                try:
                    count = rows(subject)
                except AttributeError:  # no cursor, as an application's own may give back
                    pass
                if type(count) is not int or (not count and _may_have_rows(subject)):
                    count = -1
            observer = self._observer
            # `add_query`, written out: to call it costs as much as what it does.
            queries.append(_tuple(Query, (
                statement, parameters if observer.detail > 1 else None, began, seconds,
                count, failed, observer.places.here(3 + within))))
            if record.changed is not None:
                record.changed(record)
        except Exception as exc:
            self.source.fail(exc)

    def method(self, owner: Any, name: str, rows: Rows = None, of_result: bool = False,
               awaits: Optional[Callable[[Any], Any]] = None, at: int = 1,
               has_parameters: bool = True, within: int = 0) -> None:
        """Observe the method `owner.name(statement, parameters)`, whose statement is the argument
        `at` that place; what follows it are its parameters, if it `has_parameters`. What tells of
        `rows` is its result, else what precedes the statement: its owner, or a cursor that it is
        handed. It blocks its thread until it has come to its end, unless `awaits(self)` says that
        others run there meanwhile. `within` so many calls of its own the library calls it: their
        places need not be looked at, which is most that is done here."""
        def make(execute: Callable[..., Any]) -> Callable[..., Any]:
            # Each step of this is done for each statement, the first ones of a driver's below an
            # ORM as well, of which nothing is noted.
            def observed(*arguments: Any, **named: Any) -> Any:
                __traceback_hide__ = True
                record = current()
                if record is None:
                    return execute(*arguments, **named) if named else execute(*arguments)
                thread = ident()
                if thread in blocked or is_covered() or record.closed or not source.on:
                    return execute(*arguments, **named) if named else execute(*arguments)
                if awaits is not None and awaits(arguments[0]):
                    with Running(observing, record, read, rows, None, arguments, named,
                                 subject_of(arguments)) as running:
                        return running.ended(execute(*arguments, **named))
                enter(thread)
                result, failed, began = None, True, clock()
                try:
                    result = execute(*arguments, **named) if named else execute(*arguments)
                    failed = False
                    return result
                finally:
                    seconds = clock() - began
                    leave(thread)
                    if named or len(arguments) <= after:
                        statement, parameters = read(None, arguments, named)
                        note(record, began, seconds, statement, parameters, rows,
                             result if of_result else subject_of(arguments), failed)
                    else:
                        note(record, began, seconds, arguments[at], arguments[after], rows,
                             result if of_result else arguments[before], failed, within)
            return observed

        def read(owner: Any, arguments: Tuple[Any, ...], named: Mapping[str, Any]
                 ) -> Tuple[Any, Any]:
            statement, parameters = first_and_second(None, arguments[at:], named)
            return statement, parameters if has_parameters else None

        def subject_of(arguments: Tuple[Any, ...]) -> Any:
            return arguments[before] if len(arguments) > before and not of_result else None

        observing, source, note, before = self, self.source, self.note, at - 1
        after = at + 1 if has_parameters else sys.maxsize
        current, is_covered, clock = running.get, covered.get, perf_counter
        ident, enter, leave = threading.get_ident, blocked.add, blocked.discard
        self.source.replace(owner, name, make)

    def coroutine(self, owner: Any, name: str, read: Reading = first_and_second,
                  rows: Rows = None, of_result: bool = True) -> None:
        """Observe the coroutine function `owner.name`, of whose arguments `read` makes the
        statement and its parameters; what tells of `rows` is its result, or its owner."""
        def make(execute: Callable[..., Any]) -> Callable[..., Any]:
            async def observed(self: Any, *arguments: Any, **named: Any) -> Any:
                __traceback_hide__ = True
                record = find()
                if record is None:
                    return await execute(self, *arguments, **named)
                with Running(observing, record, read, rows, self, arguments, named,
                             None if of_result else self) as running:
                    return running.ended(await execute(self, *arguments, **named))
            return observed

        observing, find = self, self.record
        self.source.replace(owner, name, make)

    def covering(self, owner: Any, name: str,
                 awaits: Optional[Callable[[Any], Any]] = None) -> None:
        """Note nothing of what the method `owner.name` does in its turn: what sets up a
        connection, say, is no statement of the application's. `awaits` see `sheltered`."""
        def make(function: Callable[..., Any]) -> Callable[..., Any]:
            def observed(*arguments: Any, **named: Any) -> Any:
                __traceback_hide__ = True
                if current() is None:  # nothing would be noted
                    return function(*arguments, **named)
                with sheltered(awaits, arguments[0]):
                    return function(*arguments, **named)

            async def awaited(*arguments: Any, **named: Any) -> Any:
                __traceback_hide__ = True
                with Covering():
                    return await function(*arguments, **named)

            # A decorator may pass on what is to be awaited, and be none itself.
            return awaited if inspect.iscoroutinefunction(inspect.unwrap(function)) else observed

        current = running.get
        self.source.replace(owner, name, make)

    def ending(self, owner: Any, name: str, word: str,
               counts: Callable[[Any], Any] = lambda owner: True,
               awaits: Optional[Callable[[Any], Any]] = None) -> None:
        """Note each call of `owner.name`, a method or a coroutine method, as the end of a
        transaction once it has come to that, if it `counts(self)` before; and nothing that it
        does in its turn. `awaits` see `sheltered`."""
        def make(end: Callable[..., Any]) -> Callable[..., Any]:
            def observed(self: Any, *arguments: Any, **named: Any) -> Any:
                __traceback_hide__ = True
                record = find()
                if record is None:
                    return end(self, *arguments, **named)
                counted = holds(counts, self)
                with sheltered(awaits, self):
                    result = end(self, *arguments, **named)
                if counted:
                    record.add_end_of_transaction(word)
                return result

            async def awaited(self: Any, *arguments: Any, **named: Any) -> Any:
                __traceback_hide__ = True
                record = find()
                if record is None:
                    return await end(self, *arguments, **named)
                counted = holds(counts, self)
                with Covering():
                    result = await end(self, *arguments, **named)
                if counted:
                    record.add_end_of_transaction(word)
                return result

            return awaited if inspect.iscoroutinefunction(end) else observed

        find = self.record
        self.source.replace(owner, name, make)
