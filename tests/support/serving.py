"""Serves an application or a bare adapter with the real Server, for tests over real sockets.

Knows the server, sockets and clocks; nothing of what is tested with them. Everything that
waits has a deadline, and an exception that only the loop hears of fails the test.
"""

import asyncio
import contextlib
import os
import socket
import ssl
import tempfile
import threading
import time
import zlib
from typing import NamedTuple

import pytest

from tests.support.wire import CERTIFICATE, DEADLINE, Client, get, within
from tremolo.asgi.adapter import ASGIAdapter
from tremolo.config import Settings
from tremolo.net.server import Server
from tremolo.wsgi.adapter import WSGIAdapter

try:
    import uvloop
except ImportError:
    uvloop = None

KEY = os.path.join(os.path.dirname(__file__), "key.pem")

LOOPS = ["asyncio"] + (["uvloop"] if uvloop is not None else [])
each_loop = pytest.mark.parametrize("loop_name", LOOPS)
#: asyncio's goes on by `pass_time` alone
by_hand = pytest.mark.parametrize("loop_name", ["by-hand"])
each_loop_by_hand = pytest.mark.parametrize("loop_name", ["by-hand", *LOOPS[1:]])


class ClockLoop(asyncio.SelectorEventLoop):
    """A loop whose clock can be moved on by hand. Where it `stands` it goes on in no other way,
    so that what is told by it does not depend on how busy the machine is."""

    def __init__(self, stands=False):
        super().__init__()
        self.stands = stands
        self.moved = 1000.0 if stands else 0.0

    def time(self):
        return self.moved if self.stands else super().time() + self.moved

    def go_on(self):
        """Let the clock go on by itself."""
        if self.stands:
            self.moved -= super().time()
            self.stands = False


def run(main, loop_name="asyncio"):
    """Run `main()` on a new loop. Fails for exceptions that reached only the loop."""
    if loop_name == "uvloop":
        loop = uvloop.new_event_loop()
    elif loop_name == "plain":
        loop = asyncio.SelectorEventLoop()
    else:
        loop = ClockLoop(stands=loop_name == "by-hand")
    unheard = []
    loop.set_exception_handler(lambda _, context: unheard.append(context))
    asyncio.set_event_loop(loop)
    try:
        task = loop.create_task(main())
        # By a clock that no test can move.
        timer = threading.Timer(3 * DEADLINE, loop.call_soon_threadsafe, (task.cancel,))
        timer.start()
        try:
            result = loop.run_until_complete(task)
        finally:
            timer.cancel()
            timer.join()
            loop.run_until_complete(_finish())
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    assert not unheard, unheard
    return result


async def _finish():
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    await asyncio.sleep(0)


async def pass_time(seconds, step=0.5):
    """Move the clock on in steps that the server does not take for a pause of the machine."""
    loop = asyncio.get_running_loop()
    while seconds > 0:
        loop.moved += min(step, seconds)
        seconds -= step
        await settle()


async def settle(turns=6):
    """Let everything that is ready happen."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def until(condition, deadline=DEADLINE):
    """Wait until `condition()` holds; its value."""
    stands = getattr(asyncio.get_running_loop(), "stands", False)
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, "the condition never held"
        await asyncio.sleep(0 if stands else 0.002)
        if stands:  # what shall come about comes from sockets and threads
            time.sleep(0.001)
    return condition()


async def within_a_second(condition):
    """Wait until `condition()` holds, which the server has a second for by a clock that stands.
    By one that goes on it has longer: a busy machine gives it no processor for so long."""
    if getattr(asyncio.get_running_loop(), "stands", False):
        await pass_time(1.0, 0.05)
        assert condition(), "it has taken more than a second"
    else:
        await until(condition)


class Handling:
    """An adapter whose `handle` is a plain coroutine function."""

    def __init__(self, handle, *, body_limit=None, handler_timeout=0.0, close_timeout=0.0):
        self.handle = handle
        self.body_limit = body_limit
        self.handler_timeout = handler_timeout
        self.close_timeout = close_timeout
        self.made = []
        self.lost = []

    def connection_made(self, connection):
        self.made.append(connection)

    def connection_lost(self, connection):
        self.lost.append(connection)

    async def startup(self):
        pass

    async def shutdown(self):
        pass


class Site(NamedTuple):
    """A server that serves, and where."""

    server: Server
    adapter: object
    address: object
    tls: bool

    @property
    def port(self):
        return self.address[1]

    @property
    def connection(self):
        """The only connection that there is."""
        [connection] = self.server.connections.values()
        return connection

    async def connect(self, **options):
        return await Client.open(self.address, tls=self.tls, **options)

    def reading(self):
        """Wait until the body of a request is awaited."""
        return until(lambda: self.server.connections and self.connection.word == "reading")

    async def stuck(self):
        """Wait until the client and the system between take no more of a response; how many
        bytes of it wait in this process."""
        await until(lambda: self.server.connections and self.connection.outbox.full)
        sizes = []

        def stays():
            sizes.append((self.connection.outbox.size,
                          self.connection.transport.get_write_buffer_size()))
            return sizes[-10:] == sizes[-1:] * 10

        await until(stays)
        return sum(sizes[-1])

    async def ask(self, data):
        """The responses to `data`, sent on a connection of its own, until the end of it."""
        client = await self.connect()
        try:
            await client.send(data)
            return await client.rest()
        finally:
            client.close()

    async def get(self, target=b"/", fields=b""):
        """The response to one GET."""
        client = await self.connect()
        try:
            await client.send(get(target, fields))
            return await client.response()
        finally:
            client.close()


def listener(family=socket.AF_INET, path=None):
    sock = socket.socket(family, socket.SOCK_STREAM)
    if family == socket.AF_UNIX:
        sock.bind(path)
    else:
        sock.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
    sock.listen(128)
    return sock


@contextlib.asynccontextmanager
async def serving(adapter, *, tls=False, family=socket.AF_INET, **settings):
    """Serve `adapter`, a coroutine function of an exchange, or an object with `asgi`."""
    if not hasattr(adapter, "handle"):
        adapter = Handling(adapter)
    with contextlib.ExitStack() as stack:
        path = None
        if family == socket.AF_UNIX:
            path = os.path.join(stack.enter_context(tempfile.TemporaryDirectory()), "s")
        sock = stack.enter_context(listener(family, path))
        server = Server(adapter, Settings(**settings), loop=asyncio.get_running_loop())
        context = None
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(CERTIFICATE, KEY)
        await server.start([sock], ssl_context=context)
        address = path or sock.getsockname()
        try:
            yield Site(server, adapter, address, tls)
        finally:
            if isinstance(server.loop, ClockLoop):
                server.loop.go_on()
            await within(server.drain(0))
            await settle()


@contextlib.asynccontextmanager
async def serving_asgi(app, *, tls=False, family=socket.AF_INET, **settings):
    """Serve an ASGI application, its lifespan included."""
    adapter = ASGIAdapter(app, Settings(**settings))
    await within(adapter.startup())
    async with serving(adapter, tls=tls, family=family, **settings) as site:
        yield site
    await within(adapter.shutdown())


@contextlib.asynccontextmanager
async def serving_wsgi(app, **settings):
    """Serve a WSGI application."""
    adapter = WSGIAdapter(app, Settings(**settings))
    async with serving(adapter, **settings) as site:
        yield site
    await adapter.shutdown()


def conversing(serve, loop_name, **defaults):
    """A function that serves an application by `serve`, with these settings unless it is given
    others, while `talk(site, client)` runs, and ends both."""
    def converse(app, talk, *, receive_buffer=None, **settings):
        async def main():
            async with serve(app, **{**defaults, **settings}) as site:
                client = await site.connect(receive_buffer=receive_buffer)
                try:
                    await talk(site, client)
                finally:
                    client.close()

        run(main, loop_name)

    return converse


def pattern(size, seed=1):
    """Bytes of which each stretch differs from the others, so that a mistake shows."""
    block = b"".join(b"%08x" % zlib.crc32(b"%d:%d" % (seed, n)) for n in range(1280))
    return (block * (size // len(block) + 1))[:size]
