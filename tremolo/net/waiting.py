"""Those who wait for an exchange's end, or for its client to leave.

Knows the connection's state and futures; nothing of what is sent or received.
"""

import asyncio
from typing import TYPE_CHECKING, List, Optional

if TYPE_CHECKING:
    from .connection import HTTPConnection


class Waited:
    """The part of an Exchange that others wait for; the Exchange holds its state."""

    __slots__ = ("_gone", "_over", "connection", "finished", "outcome")

    connection: "HTTPConnection"
    finished: bool
    outcome: str
    _gone: "List[asyncio.Future[None]]"
    _over: "Optional[asyncio.Future[None]]"

    def wake_waiter(self) -> None:
        """Let go of those who wait for the client to leave: it left, the response is whole, or a
        WebSocket took over."""
        waiters, self._gone = self._gone, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def disconnect_waiter(self) -> "asyncio.Future[None]":
        """A future that is done once the client left, or the response is whole. Each caller has
        its own, so that cancelling one wait disturbs no other."""
        waiter = self.connection.server.loop.create_future()
        if self.connection.lost or self.connection.eof or self.finished:
            waiter.set_result(None)
        else:
            self._gone = [other for other in self._gone if not other.done()]
            self._gone.append(waiter)
        return waiter

    def over(self) -> "asyncio.Future[None]":
        """A future that is done once nothing more can be sent: the response was handed over or
        given up, or the connection is lost. A client that closed only its own side still gets
        the rest."""
        over = self._over
        if over is None:
            over = self._over = self.connection.server.loop.create_future()
            if self.outcome or self.connection.lost:
                over.set_result(None)
        return asyncio.shield(over)

    def _nothing_more(self) -> None:
        over = self._over
        if over is not None and not over.done():
            over.set_result(None)
