"""Threads: what an exchange starts on one belongs to it, also where nobody copies contexts.

That are the jobs of `ThreadPoolExecutor`, thus of `run_in_executor`, and threads that run a
function of the project. The threads of libraries are not: they mostly serve many. What such a
thread fails over is told before `threading.excepthook` has it.
"""

import concurrent.futures
import sys
import threading
from contextvars import Context
from time import perf_counter
from typing import Any, Callable, Dict, Iterator, Tuple

from ..record import Record, running
from ..source import Source

MAX_WRAPPED = 10  # functions in functions


def attach(source: Source) -> None:
    def submitting(submit: Callable[..., Any]) -> Callable[..., Any]:
        def observed(self: Any, function: Any, /, *arguments: Any, **named: Any) -> Any:
            __traceback_hide__ = True
            record = source.record()
            if record is None:
                return submit(self, function, *arguments, **named)
            return submit(self, _carried, record, function, arguments, named, perf_counter())
        return observed

    def starting(start: Callable[..., Any]) -> Callable[..., Any]:
        def observed(self: threading.Thread) -> None:
            __traceback_hide__ = True
            source.note(_carry, self, source)
            start(self)
        return observed

    source.replace(concurrent.futures.ThreadPoolExecutor, "submit", submitting)
    source.replace(threading.Thread, "start", starting)


def _carried(record: Record, function: Callable[..., Any], arguments: Tuple[Any, ...],
             named: Dict[str, Any], submitted: float) -> Any:
    __traceback_hide__ = True
    record.add_queue(perf_counter() - submitted)
    token = running.set(record)
    try:
        return function(*arguments, **named)
    finally:
        running.reset(token)


def _files(*functions: Any) -> Iterator[str]:
    """Where what a thread runs is written, also what is wrapped, as by a decorator of Flask's
    that carries its context, or bound."""
    for function in functions:
        for _ in range(MAX_WRAPPED):
            function = getattr(function, "__func__", function)
            code = getattr(function, "__code__", None)
            if code is not None:
                yield code.co_filename
            function = getattr(function, "__wrapped__", getattr(function, "func", None))
            if function is None:
                break


def _carry(record: Record, thread: Any, source: Source) -> None:
    if not any(map(source.observer.is_project, _files(
            getattr(thread, "_target", None), getattr(thread, "function", None),
            type(thread).run))):
        return
    # Outside of what a traceback of the thread begins with: it has no frame of ours. Each goes as
    # it is called, for a thread that refers to itself is left to the garbage collector.
    begin, tell = thread._bootstrap_inner, thread._invoke_excepthook

    if hasattr(thread, "_context"):  # from Python 3.14 on `run` has a context of its own
        if thread._context is None and not getattr(
                sys.flags, "thread_inherit_context", 0):
            thread._context = Context()
        if thread._context is not None and running not in thread._context:
            thread._context.run(running.set, record)

    def begun() -> None:
        del thread._bootstrap_inner
        running.set(record)
        begin()

    def failed(thread: Any) -> None:
        exc = sys.exc_info()[1]
        if isinstance(exc, Exception):
            source.note_failure(exc, where="thread")
        tell(thread)

    thread._bootstrap_inner = begun
    thread._invoke_excepthook = failed
