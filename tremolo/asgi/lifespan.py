"""The lifespan protocol of ASGI: startup before serving, shutdown after (specification 2.0)."""

import asyncio
import sys
import traceback
from typing import Any, Callable, Dict, Optional

from ..exceptions import LifespanError


class Lifespan:
    """Runs an application's lifespan. `mode`: "auto" tolerates applications without one, "on"
    does not, "off" never asks.

    `state` is the namespace that the application fills; requests get copies of it.
    """

    def __init__(self, app: Callable[..., Any], mode: str, asgi: Dict[str, str]) -> None:
        self._app = app
        self._mode = mode
        self._asgi = asgi
        self.state: Dict[str, Any] = {}
        self.supported = False
        self._asked = False
        #: it answered with something else: an application that takes every scope for a request
        self._misused = False
        self._task: Optional[asyncio.Task[None]] = None
        self._inbox: asyncio.Queue[Dict[str, Any]]
        self._started: asyncio.Future[None]
        self._stopped: asyncio.Future[None]

    async def startup(self) -> None:
        """Send `lifespan.startup` and wait for its answer.

        Raises LifespanError with the application's message if startup failed, or the
        exception that it raised after it had asked for the startup event.
        """
        if self._mode == "off":
            return
        loop = asyncio.get_running_loop()
        self._inbox = asyncio.Queue()
        self._started = loop.create_future()
        self._stopped = loop.create_future()
        self._inbox.put_nowait({"type": "lifespan.startup"})
        self._task = loop.create_task(self._run())
        await self._started

    async def shutdown(self) -> None:
        """Send `lifespan.shutdown` and wait for its answer. Raises LifespanError if it failed."""
        if self._task is None or not self.supported or self._task.done():
            return
        self._inbox.put_nowait({"type": "lifespan.shutdown"})
        try:
            await self._stopped
        finally:
            if not self._task.done():
                # A task that goes on after its answer is not waited for without limit.
                await asyncio.wait([self._task], timeout=1.0)
                self._task.cancel()

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {**self._asgi, "spec_version": "2.0"},
                 "state": self.state}
        try:
            await self._app(scope, self._receive, self._send)
        except asyncio.CancelledError:
            raise
        except BaseException as exc:
            self._failed(exc)
            if not isinstance(exc, Exception):
                raise
        else:
            self._settle(self._started, None if self._mode == "auto" else LifespanError(
                "the application returned without answering 'lifespan.startup'"))
            self._settle(self._stopped, None)

    def _failed(self, exc: BaseException) -> None:
        if not self._started.done():
            if self._mode == "auto" and isinstance(exc, Exception) and (
                    not self._asked or self._misused):
                self._settle(self._started, None)  # no lifespan protocol: it is optional
            else:
                self._settle(self._started, exc)
        self._settle(self._stopped, exc)
        if self._stopped.done() and not self._stopped.cancelled():
            self._stopped.exception()  # it is there for a later caller; no warning otherwise

    @staticmethod
    def _settle(future: "asyncio.Future[None]", exc: Optional[BaseException]) -> None:
        if future.done():
            return
        if exc is None:
            future.set_result(None)
        elif isinstance(exc, Exception) and not isinstance(exc, StopIteration):
            future.set_exception(exc)
        else:
            words = f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__
            error = LifespanError(f"the application raised {words}")
            error.__cause__ = exc
            future.set_exception(error)

    async def _receive(self) -> Dict[str, Any]:
        message = await self._inbox.get()
        self._asked = True
        return message

    async def _send(self, message: Dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "lifespan.startup.complete":
            self.supported = True
            self._settle(self._started, None)
        elif kind == "lifespan.startup.failed":
            self._settle(self._started, _failure(
                message.get("message") or "the application's startup failed"))
        elif kind == "lifespan.shutdown.complete":
            self._settle(self._stopped, None)
        elif kind == "lifespan.shutdown.failed":
            self._settle(self._stopped, _failure(
                message.get("message") or "the application's shutdown failed"))
        else:
            self._misused = True
            raise RuntimeError(f"expected a 'lifespan.…' message, got {kind!r}")


def _failure(message: str) -> Exception:
    """The error of an application that reports with `message` that it failed.

    Frameworks catch the exception and send its text or traceback as the message: then it is
    the error, with its place. With another message it is what that was caused by.
    """
    caught = sys.exc_info()[1]  # what the caller of send() is handling
    error = LifespanError(message)
    if not isinstance(caught, Exception) or isinstance(caught, StopIteration):
        return error
    last = traceback.format_exception_only(type(caught), caught)[-1].strip()
    if message.strip() in (str(caught), repr(caught)) or message.strip().endswith(last):
        return caught
    error.__cause__ = caught
    return error
