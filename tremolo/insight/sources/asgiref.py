"""asgiref, by which Django's asynchronous ORM has threads send its statements: the place of who
awaits them.

`SyncToAsync` runs a function in a thread, and `AsyncToSync` a coroutine in a loop. The stack
ends there, or goes on with that of somebody else: whoever waits for a coroutine lends its thread
to the functions of any. So each call hands on the place that it comes from, in the context that
asgiref carries there anyway.
"""

import asyncio
import functools
import sys
from contextvars import ContextVar
from typing import Any, Callable, List, Optional, Tuple
from weakref import ref

from ..contexts import context_in
from ..places import Place
from ..record import running
from ..source import Source

MAX_DEPTH = 200  # coroutines that a task awaits
MAX_TASKS = 10  # that wait for each other

#: which object's call runs here, and the place that it was called from. An application may have
#: a function run in a context of its own, which tells of another call
handed: ContextVar[Optional[Tuple[Any, Place]]] = ContextVar("tremolo_handed", default=None)


def attach(source: Source) -> None:
    places = source.observer.places

    def place_of_task() -> Place:
        """Where the project waits for the task that runs here, which has nothing of its, as one
        that `gather` made of a library's coroutine."""
        try:
            task = asyncio.current_task()
        except RuntimeError:  # there is no loop
            return None
        for _ in range(MAX_TASKS):
            task = None if task is None else _waiting_for(task)
            context = None if task is None else context_in(task)
            if context is None or context.get(running) is not running.get():
                return None  # another request may wait for what this one began
            frames = _frames_of(task)
            if frames is None:
                return None
            place = places.among(frames)
            if place is not None:
                return place
        return None

    def hand(called: Any, place: Place) -> Any:
        return handed.set((ref(called), place))

    def awaiting(call: Callable[..., Any]) -> Callable[..., Any]:
        async def observed(self: Any, *arguments: Any, **named: Any) -> Any:
            __traceback_hide__ = True
            token = None
            if source.record() is not None:
                try:
                    # Now, for asgiref copies the context before it waits.
                    token = hand(self, places.here() or place_of_task())
                except Exception as exc:
                    source.fail(exc)
            try:
                return await call(self, *arguments, **named)
            finally:
                _take_back(token)
        return observed

    def calling(call: Callable[..., Any]) -> Callable[..., Any]:
        def observed(self: Any, *arguments: Any, **named: Any) -> Any:
            __traceback_hide__ = True
            token = None
            if source.record() is not None:
                try:
                    token = hand(self, places.here())
                except Exception as exc:
                    source.fail(exc)
            try:
                return call(self, *arguments, **named)
            finally:
                _take_back(token)
        return observed

    sync = sys.modules["asgiref.sync"]
    lent = sync.CurrentThreadExecutor.run_until_future
    for code, place_of in ((sync.SyncToAsync.thread_handler.__code__, _place_handed),
                           (sync.AsyncToSync.main_wrap.__code__, _place_handed),
                           (lent.__code__, _nowhere)):
        source.undone_by(places.bound(code, place_of))
    source.replace(sync.SyncToAsync, "__call__", awaiting)
    source.replace(sync.AsyncToSync, "__call__", calling)


def _take_back(token: Any) -> None:
    if token is not None:
        try:
            handed.reset(token)
        except ValueError:
            # A coroutine is closed in another context than it began in, whose variables asgiref
            # has set in this one meanwhile.
            handed.set(None)


def _place_handed(frame: Any) -> Place:
    """At a frame of a method of the object that was called."""
    found = handed.get()
    if found is None or found[0]() is not frame.f_locals.get("self"):
        return None
    return found[1]


def _nowhere(frame: Any) -> Place:
    return None


def _waiting_for(task: Any) -> Any:
    """The task that waits for `task` alone or with others; None if none does, or nobody knows."""
    future = task
    for _ in range(MAX_TASKS):
        for callback, *_ in getattr(future, "_callbacks", None) or ():
            owner = getattr(callback, "__self__", None)
            if isinstance(owner, asyncio.Task):
                return owner  # it goes on once this is done
            further = _further(callback, owner)
            if further is not None:
                future = further
                break
        else:
            return None
    return None


def _further(callback: Any, owner: Any) -> Any:
    """The future that may be done once `callback` was called: of asyncio's functions for several,
    which keep it in a variable, or of the `owner` of the callback, a task group."""
    partial = isinstance(callback, functools.partial)
    function = callback.func if partial else callback
    if str(getattr(function, "__module__", None)).partition(".")[0] != "asyncio":
        return None
    if partial:  # of `wait_for`, before Python 3.12
        return next(filter(asyncio.isfuture, callback.args), None)
    code, cells = getattr(callback, "__code__", None), getattr(callback, "__closure__", None)
    for name, cell in zip(getattr(code, "co_freevars", ()), cells or ()):
        if name in ("outer", "waiter"):
            return cell.cell_contents
    return getattr(owner, "_on_completed_fut", None)


def _frames_of(task: Any) -> Optional[List[Any]]:
    """The frames of a task that waits, the innermost first; None if not all of them are known."""
    frames: List[Any] = []
    coroutine: Any = task.get_coro()
    while coroutine is not None and len(frames) < MAX_DEPTH:
        for kind in ("cr", "gi"):
            frame = getattr(coroutine, kind + "_frame", None)
            if frame is not None:
                frames.append(frame)
                coroutine = getattr(coroutine, kind + (
                    "_await" if kind == "cr" else "_yieldfrom"), None)
                break
        else:
            if type(coroutine).__name__ != "FutureIter":
                return None  # an asynchronous generator: its frame cannot be had from who asks it
            break
    return frames[::-1]
