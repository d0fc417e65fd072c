"""Futures of one exchange: that its client leaves, and that it is over.

Knows futures only. Made for the few exchanges that somebody waits for.
"""

import asyncio
from typing import List, Optional


class Waiters:
    """The futures of one exchange."""

    __slots__ = ("_end", "_leaving", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._leaving: List[asyncio.Future[None]] = []
        self._end: Optional[asyncio.Future[None]] = None

    def for_disconnect(self, gone: bool) -> "asyncio.Future[None]":
        """Done once the client left (it may be `gone` already), the response is whole, or another
        protocol took over. Each caller has its own, so that cancelling one wait disturbs no
        other."""
        waiter: asyncio.Future[None] = self._loop.create_future()
        if gone:
            waiter.set_result(None)
        else:
            self._leaving = [other for other in self._leaving if not other.done()]
            self._leaving.append(waiter)
        return waiter

    def for_end(self, over: bool) -> "asyncio.Future[None]":
        """Done once nothing more can be sent, which may be so already. It may be cancelled as
        well."""
        if self._end is None:
            self._end = self._loop.create_future()
            if over:
                self._end.set_result(None)
        return asyncio.shield(self._end)

    def disconnected(self) -> None:
        """The client left, the response is whole, or a WebSocket took over."""
        leaving, self._leaving = self._leaving, []
        for waiter in leaving:
            if not waiter.done():
                waiter.set_result(None)

    def ended(self) -> None:
        """Nothing more can be sent."""
        self.disconnected()
        if self._end is not None and not self._end.done():
            self._end.set_result(None)
