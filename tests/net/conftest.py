"""What tests of `net` have in common: a server, and one client that talks to it."""

import asyncio

import pytest

from tests.support.serving import conversing, serving


@pytest.fixture
def conversation(loop_name):
    """Serves an adapter while `talk(site, client)` runs, and ends both."""
    return conversing(serving, loop_name)


class Late:
    """Handlers that go on to others once they are let."""

    def __init__(self):
        self._then = None
        self._let = None

    def before(self, then):
        self._then = then
        return self.handle

    async def handle(self, exchange):
        if self._let is None:  # within the loop that it is of, before Python 3.10
            self._let = asyncio.Event()
        await self._let.wait()
        await self._then(exchange)

    @property
    def waits(self):
        return self._let is not None

    def let(self):
        self._let.set()


@pytest.fixture
def late():
    """`late.before(handle)` waits for `late.let()`."""
    return Late()
