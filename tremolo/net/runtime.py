"""What the event loop and the system give a server: a clock, tasks, descriptors."""

import asyncio
import resource
import sys
import time
from typing import Any, Callable, Coroutine

TaskMaker = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]


def connection_limit(wanted: int) -> int:
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if descriptors == resource.RLIM_INFINITY:
        descriptors = 1 << 20
    most = max(1, descriptors - 64)
    return min(wanted or 1000, most)


def clock_of(loop: asyncio.AbstractEventLoop) -> Callable[[], float]:
    kind = type(loop)
    if kind.__module__.startswith("uvloop") or kind.time is asyncio.BaseEventLoop.time:
        return time.monotonic
    return loop.time


def task_maker(loop: asyncio.AbstractEventLoop) -> TaskMaker:
    """What makes the tasks of handlers. From Python 3.12 on a task may take its first step at
    once; most handlers need no other, which saves the loop a turn (of a request with nothing
    else to do, a tenth). A task factory that the application set goes first."""
    if sys.version_info < (3, 12):
        return loop.create_task

    def create_task(coro: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        if loop.get_task_factory() is None:
            return asyncio.Task(coro, loop=loop, eager_start=True)
        return loop.create_task(coro)

    return create_task
