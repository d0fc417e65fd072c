"""The application's handler of one exchange: its task, what its errors become, and when it is
cancelled.

Knows the adapter and the exchange; nothing of bytes.
"""

import asyncio
from contextvars import ContextVar
from typing import Any, Optional, Protocol
from weakref import ReferenceType, ref

from ..exceptions import ClientDisconnected
from ..protocol.http1 import ProtocolError
from .states import Progress

#: the exchange that runs here, where viewers are there but not shown it
#: (weakly: the exchange has its task, whose context this is)
unobserved: "ContextVar[Optional[ReferenceType[Any]]]" = ContextVar(
    "tremolo_unobserved", default=None)


class Answering(Protocol):
    """Its response, as far as that goes."""

    progress: Progress

    def refuse(self, status: int, body: bytes) -> None: ...


class Handled(Protocol):
    """An exchange, as far as its handler goes."""

    connection: Any
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
            else:
                unobserved.set(ref(exchange))
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
