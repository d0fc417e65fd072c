"""Threads for synchronous handlers: the executor, and objects of the loop as they see them.

Knows threads and one event loop. A handler's thread waits for the loop, never the loop for a
thread.
"""

import asyncio
import contextvars
import inspect
import queue
import threading
from typing import (
    Any,
    AsyncIterator,
    Awaitable,
    Callable,
    Dict,
    Iterator,
    List,
    Optional,
    Tuple,
)

from .handlers import Handler

_STOP = object()
_END = object()
Job = Tuple[Any, ...]


class Executor:
    """A fixed number of threads, started when they are first needed.

    `submit` runs a function on one of them. `counter` counts what was submitted.
    """

    def __init__(self, size: int = 5, *, loop: Optional[asyncio.AbstractEventLoop] = None,
                 name: str = "tremolo") -> None:
        self.size = max(1, size)
        self.counter = 0
        self.name = name
        self._loop = loop
        #: thread by number; a number without one has not been needed yet
        self.threads: Dict[int, threading.Thread] = {}
        self._queues: List[queue.SimpleQueue[Any]] = [
            queue.SimpleQueue() for _ in range(self.size)]
        self._waiting = [0] * self.size
        self._down = False

    def submit(self, func: Callable[..., Any], args: Tuple[Any, ...] = (),
               kwargs: Optional[Dict[str, Any]] = None, name: Optional[int] = None) -> Any:
        """Run `func(*args, **kwargs)` on a thread: an awaitable of its result.

        For a generator function the result is an async generator of what it yields. `name`
        picks the thread (modulo `size`), else the one with the shortest queue takes it. Raises
        TypeError when `func` cannot be called, RuntimeError after `shutdown` and when the
        picked thread had died; another takes its place for the next call.
        """
        if not callable(func):
            raise TypeError(f"submit needs a function, not {type(func).__name__}")
        kwargs = kwargs or {}
        if inspect.isgeneratorfunction(func):
            return self._generate(func, args, kwargs, self._pick(name))
        return self._run(func, args, kwargs, self._pick(name))

    def _pick(self, name: Optional[int]) -> int:
        self.counter += 1
        if name is not None:
            return name % self.size
        waiting = self._waiting
        return min(range(self.size), key=waiting.__getitem__)

    def _run(self, func: Callable[..., Any], args: Tuple[Any, ...], kwargs: Dict[str, Any],
             number: int) -> "asyncio.Future[Any]":
        if self._down:
            raise RuntimeError("the executor was shut down")
        thread = self.threads.get(number)
        if thread is None:
            self._start(number)
        elif not thread.is_alive():
            self._start(number)
            raise RuntimeError(f"thread {number} of the executor had died")
        loop = self._loop or asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._waiting[number] += 1
        self._queues[number].put(
            (loop, future, contextvars.copy_context(), func, args, kwargs))
        return future

    async def _generate(self, func: Callable[..., Any], args: Tuple[Any, ...],
                        kwargs: Dict[str, Any], number: int) -> AsyncIterator[Any]:
        generator = await self._run(func, args, kwargs, number)
        try:
            while True:
                value = await self._run(next, (generator, _END), {}, number)
                if value is _END:
                    return
                yield value
        finally:
            if not self._down:
                await self._run(generator.close, (), {}, number)

    def _start(self, number: int) -> None:
        thread = threading.Thread(target=self._work, args=(number,), daemon=True,
                                  name=f"{self.name}-{number}")
        self.threads[number] = thread
        thread.start()

    def _work(self, number: int) -> None:
        get = self._queues[number].get
        while True:
            job = get()
            if job is _STOP:
                return
            loop, future, context, func, args, kwargs = job
            result, error = None, None
            if not future.cancelled():
                try:
                    result = context.run(func, *args, **kwargs)
                except StopIteration as exc:
                    error = RuntimeError(f"{func!r} raised StopIteration")
                    error.__cause__ = exc
                except BaseException as exc:
                    error = exc  # type: ignore[assignment]
            try:
                loop.call_soon_threadsafe(self._deliver, number, future, result, error)
            except RuntimeError:
                return  # the loop is closed: nobody waits any more
            del job, future, context, func, args, kwargs, result, error

    def _deliver(self, number: int, future: "asyncio.Future[Any]", result: Any,
                 error: Optional[BaseException]) -> None:
        self._waiting[number] -= 1
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)

    def shutdown(self) -> None:
        """Let the threads end after what they are doing. Does not wait for them."""
        self._down = True
        for number in self.threads:
            self._queues[number].put(_STOP)


class AsyncToSyncWrapper:
    """An object of the loop, for a thread: its coroutine methods block, its async generators
    are plain generators, everything else is the object's own."""

    __slots__ = ("_loop", "_wrapped")

    def __init__(self, wrapped: Any, loop: asyncio.AbstractEventLoop) -> None:
        object.__setattr__(self, "_wrapped", wrapped)
        object.__setattr__(self, "_loop", loop)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._wrapped, name)
        if not callable(value):
            return value
        if inspect.iscoroutinefunction(value):
            return _blocking(value, self._loop)
        if inspect.isasyncgenfunction(value):
            return _stepping(value, self._loop)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._wrapped, name, value)

    def __getitem__(self, key: Any) -> Any:
        return self._wrapped[key]

    def __iter__(self) -> Iterator[Any]:
        if hasattr(self._wrapped, "__aiter__"):
            return _steps(self._wrapped.__aiter__(), self._loop)
        return iter(self._wrapped)

    def __call__(self, *args: Any, **kwargs: Any) -> "AsyncToSyncWrapper":
        return AsyncToSyncWrapper(self._wrapped(*args, **kwargs), self._loop)

    def __enter__(self) -> Any:
        return wait_for(self._wrapped.__aenter__(), self._loop)

    def __exit__(self, *exc_info: Any) -> Any:
        return wait_for(self._wrapped.__aexit__(*exc_info), self._loop)

    def __repr__(self) -> str:
        return f"<synchronous {self._wrapped!r}>"


def wait_for(awaitable: Awaitable[Any], loop: asyncio.AbstractEventLoop) -> Any:
    """Run an awaitable on the loop and wait for it, from another thread.

    Raises RuntimeError on the loop's own thread, where it would wait for ever.
    """
    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        running = None
    if running is loop:
        if inspect.iscoroutine(awaitable):
            awaitable.close()
        raise RuntimeError("a synchronous wrapper was used on the event loop's thread")

    async def run() -> Any:
        return await awaitable

    return asyncio.run_coroutine_threadsafe(run(), loop).result()


def _blocking(method: Callable[..., Any],
              loop: asyncio.AbstractEventLoop) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        return wait_for(method(*args, **kwargs), loop)

    return call


def _stepping(method: Callable[..., Any],
              loop: asyncio.AbstractEventLoop) -> Callable[..., Any]:
    def generate(*args: Any, **kwargs: Any) -> Iterator[Any]:
        return _steps(method(*args, **kwargs), loop)

    return generate


def _steps(source: Any, loop: asyncio.AbstractEventLoop) -> Iterator[Any]:
    async def step() -> Any:
        try:
            return await source.__anext__()
        except StopAsyncIteration:
            return _END

    try:
        while True:
            value = wait_for(step(), loop)
            if value is _END:
                return
            yield _wrapped(value, loop)
    finally:
        close = getattr(source, "aclose", None)
        if close is not None and not loop.is_closed():
            wait_for(close(), loop)


def _wrapped(value: Any, loop: asyncio.AbstractEventLoop) -> Any:
    """What an async generator gives, wrapped when it can be streamed itself."""
    if inspect.isasyncgenfunction(getattr(value, "stream", None)):
        return AsyncToSyncWrapper(value, loop)
    return value


#: server objects that a synchronous handler gets wrapped
WRAPPED = ("request", "response", "lock", "sse", "websocket")


def synchronous(server: Dict[str, Any], loop: asyncio.AbstractEventLoop) -> Dict[str, Any]:
    """The server objects for a handler on a thread."""
    wrapped = dict(server)
    for name in WRAPPED:
        if wrapped.get(name) is not None:
            wrapped[name] = AsyncToSyncWrapper(wrapped[name], loop)
    return wrapped


def call_on_thread(executor: Executor, handler: Handler, server: Dict[str, Any],
                   loop: asyncio.AbstractEventLoop) -> Any:
    """Start a FUNCTION handler on a thread: an awaitable of what it returns."""
    return executor.submit(handler.call, (synchronous(server, loop),))


def generate_on_thread(executor: Executor, handler: Handler, server: Dict[str, Any],
                       loop: asyncio.AbstractEventLoop) -> Any:
    """An async generator of what a GENERATOR handler yields on a thread."""
    wrapped = synchronous(server, loop)

    def steps() -> Iterator[Any]:
        yield from handler.call(wrapped)

    return executor.submit(steps)
