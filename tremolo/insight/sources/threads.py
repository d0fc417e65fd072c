"""Threads: what an exchange starts on one belongs to it, also where nobody copies contexts.

That are the jobs of `ThreadPoolExecutor`, thus of `run_in_executor`, and threads that run a
function of the project. The threads of libraries are not: they mostly serve many.
"""

import concurrent.futures
import threading
from time import perf_counter
from typing import Any, Callable, Dict, Tuple

from ..record import Record, running
from ..source import Source


def attach(source: Source) -> None:
    def submitting(submit: Callable[..., Any]) -> Callable[..., Any]:
        def observed(self: Any, function: Any, *arguments: Any, **named: Any) -> Any:
            record = source.record()
            if record is None:
                return submit(self, function, *arguments, **named)
            return submit(self, _carried, record, function, arguments, named, perf_counter())
        return observed

    def starting(start: Callable[..., Any]) -> Callable[..., Any]:
        def observed(self: threading.Thread) -> None:
            source.note(_carry, self, source.observer.is_project)
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


def _carry(record: Record, thread: Any, is_project: Callable[[str], bool]) -> None:
    run = thread.run
    for function in (getattr(thread, "_target", None), getattr(thread, "function", None),
                     type(thread).run):
        code = getattr(getattr(function, "__func__", function), "__code__", None)
        if code is not None and is_project(code.co_filename):
            break
    else:
        return

    def named() -> None:
        del thread.run
        running.set(record)
        run()

    thread.run = named
