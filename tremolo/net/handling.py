"""The application's handler of one exchange: its task, what its errors become, and when it is
cancelled.

Knows the adapter and the exchange; nothing of bytes.
"""

import asyncio
from contextvars import ContextVar
from typing import Any, Protocol

from ..exceptions import ClientDisconnected
from ..protocol.http1 import ProtocolError
from .states import Progress

#: the number of the exchange that runs here, where viewers are there but not shown it; 0 is
#: none, or that none is named (`Server.names_others`). Tasks and threads that a handler starts
#: have it, too. (The exchange itself has its task, whose context this is, and a weak reference is
#: made and taken away for each: see `in_progress`)
unobserved: "ContextVar[int]" = ContextVar("tremolo_unobserved", default=0)


class Answering(Protocol):
    """Its response, as far as that goes."""

    progress: Progress

    def refuse(self, status: int, body: bytes) -> None: ...


class Handled(Protocol):
    """An exchange, as far as its handler goes."""

    connection: Any
    id: int
    task: Any
    timed_out: bool
    choice: int

    @property
    def response(self) -> Answering: ...
    def settle(self) -> None: ...


async def handle(exchange: Handled, server: Any) -> None:
    """Have `exchange` answered by the adapter, whatever happens. For a task of its own."""
    try:
        look = server.look
        if look is not None:
            if exchange.choice or server.looks_at_each:
                look(exchange)
            elif server.names_others:
                unobserved.set(exchange.id)
        await server.adapter.handle(exchange)
    except ClientDisconnected:
        pass
    except asyncio.CancelledError:
        if exchange.timed_out:
            exchange.response.refuse(504, b"Gateway Timeout: the handler took too long")
        elif server.draining and not exchange.response.progress.started:
            exchange.response.refuse(503, b"Service Unavailable: the server stops")
    except ProtocolError as exc:
        exchange.response.refuse(exc.status, exc.reason.encode("latin-1", "replace"))
    except Exception as exc:
        server.report(exchange, exc)
    finally:
        server.tasks.discard(exchange.task)
        if not exchange.response.progress.finished:
            exchange.settle()


def of_this_task() -> Any:
    """The exchange whose handler's task runs here; None in a task or thread of its own."""
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no loop runs in this thread
        return None
    coro: Any = None if task is None else task.get_coro()
    if getattr(coro, "cr_code", None) is not handle.__code__:
        return None
    return coro.cr_frame.f_locals["exchange"]


def in_progress(server: Any, id: int) -> Any:
    """The exchange `id`, as long as it is its connection's or its handler runs; None later. From
    any thread."""
    for connection in list(server.connections.values()):
        exchange = connection.current or getattr(connection.upgraded, "exchange", None)
        if exchange is not None and exchange.id == id:
            return exchange
    for task in list(server.tasks):  # whose connection is lost, or is on with another one
        frame = getattr(task.get_coro(), "cr_frame", None)
        exchange = None if frame is None else frame.f_locals.get("exchange")
        if exchange is not None and exchange.id == id:
            return exchange
    return None


def cancel_if_unanswered(exchange: Handled) -> None:
    """The client shut its side: it may still read, so an answer that has begun goes on; but one
    that has not begun within the adapter's `close_timeout` never will."""

    def cancel() -> None:
        if not exchange.response.progress.started and not exchange.response.progress.finished:
            exchange.task.cancel()

    _later(exchange, cancel)


def cancel_if_unfinished(exchange: Handled) -> None:
    """The connection is lost: nobody will get the rest of the answer. What the handler has begun
    it may finish within the adapter's `close_timeout`."""

    def cancel() -> None:
        if not exchange.response.progress.finished:
            exchange.task.cancel()

    _later(exchange, cancel)


def _later(exchange: Handled, cancel: Any) -> None:
    server = exchange.connection.server
    if server.adapter.close_timeout and exchange.task is not None:
        server.loop.call_later(server.adapter.close_timeout, cancel)
