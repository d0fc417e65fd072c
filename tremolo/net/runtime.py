"""What the event loop, the system and the settings give a server: a clock, tasks, descriptors,
limits."""

import asyncio
import resource
import sys
import time
from typing import Any, Callable, Coroutine, Optional

from ..config import Settings
from ..protocol.http1 import Limits

TaskMaker = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]


def limits_of(settings: Settings, body: Optional[int]) -> Limits:
    """What requests may cost, their bodies `body` bytes (None: as much as they want)."""
    return Limits(request_line=settings.client_max_request_line,
                  header_section=settings.client_max_header_size,
                  fields=settings.client_max_fields, body=body)


def server_line(settings: Settings) -> bytes:
    """The header line that names the server; b"" if it has no name."""
    name = settings.server_name.encode("latin-1")
    return b"server: " + name + b"\r\n" if name else b""


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


def copies_writes(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether its transports copy what a socket does not take at once."""
    if type(loop).__module__.startswith("uvloop"):
        return False
    return sys.version_info < (3, 12) or not isinstance(loop, asyncio.SelectorEventLoop)


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
