"""Taking connections: limits, exhausted descriptors, cutting one."""

import asyncio
import errno
import logging
import socket

import pytest

from tests.net.handlers import hello
from tests.support.serving import Handling, each_loop, pass_time, run, serving, settle, until
from tests.support.wire import GET, Client, within
from tremolo.config import Settings
from tremolo.net.acceptor import Acceptor
from tremolo.net.server import Server

# Limits


@each_loop
def test_at_the_limit_the_connection_that_is_idle_longest_makes_room(loop_name):
    async def main():
        async with serving(hello, max_connections=3) as site:
            clients = [await site.connect() for _ in range(3)]
            for client in clients:
                await client.send(GET)
                await client.response()
                answered = asyncio.get_running_loop().time()
                await until(lambda: asyncio.get_running_loop().time() > answered)  # noqa: B023
            await clients[0].send(GET)
            await clients[0].response()
            late = await site.connect()
            await late.send(GET)
            assert (await late.response()).status == 200
            assert await clients[1].closed()
            for client in (clients[0], clients[2], late):
                await client.send(GET)
                assert (await client.response()).status == 200
            assert len(site.server.connections) == 3
            for client in (*clients, late):
                client.close()

    run(main, loop_name)


@each_loop
def test_at_the_limit_busy_connections_stay_and_others_wait(loop_name):
    async def main():
        go_on = asyncio.Event()

        async def handle(exchange):
            await go_on.wait()
            exchange.response.respond(200, (), b"")

        async with serving(handle, max_connections=2) as site:
            clients = [await site.connect() for _ in range(4)]
            for client in clients:
                await client.send(GET)
            await until(lambda: len(site.server.tasks) == 2)
            await settle()
            assert len(site.server.connections) == 2
            go_on.set()
            for client in clients:
                assert (await client.response()).status == 200
                client.close()

    run(main, loop_name)


def test_connections_that_say_nothing_make_room_after_a_second():
    async def main():
        async with serving(hello, max_connections=2) as site:
            silent = [await site.connect() for _ in range(2)]
            await until(lambda: len(site.server.connections) == 2)
            client = await site.connect()
            await client.send(GET)
            await until(lambda: site.server.full)
            await settle()
            assert site.server.counters.requests == 0
            await pass_time(2)
            assert (await client.response()).status == 200
            for other in (*silent, client):
                other.close()

    run(main)


def test_idle_connections_beyond_what_is_kept_are_closed():
    async def main():
        async with serving(hello, keepalive_connections=2) as site:
            clients = [await site.connect() for _ in range(5)]
            for client in clients:
                await client.send(GET)
                await client.response()
            await until(lambda: len(site.server.connections) == 2)
            for client in clients[:3]:
                assert await client.closed()
            for client in clients[3:]:
                await client.send(GET)
                assert (await client.response()).status == 200
            for client in clients:
                client.close()

    run(main)


# accept(2) fails


class Failing:
    """A listening socket whose accept fails as it is told."""

    def __init__(self, sock):
        self.sock = sock
        self.fault = None
        self.calls = 0

    def accept(self):
        self.calls += 1
        if self.fault is not None:
            raise OSError(self.fault, "accept failed")
        return self.sock.accept()

    def fileno(self):
        return self.sock.fileno()

    def setblocking(self, flag):
        self.sock.setblocking(flag)

    def close(self):
        self.sock.close()


@each_loop
@pytest.mark.parametrize("fault", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS])
def test_without_descriptors_accepting_rests_and_recovers(loop_name, fault, caplog):
    caplog.set_level(logging.DEBUG)

    async def main():
        sock = socket.create_server(("127.0.0.1", 0))
        failing = Failing(sock)
        server = Server(Handling(hello), Settings(), loop=asyncio.get_running_loop())
        failing.fault = fault
        await server.start([failing])
        client = await Client.open(sock.getsockname())
        await until(lambda: failing.calls > 1)
        calls = failing.calls
        await settle(50)
        assert failing.calls <= calls + 1  # it rests in between
        assert len([r for r in caplog.records if r.levelno >= logging.ERROR]) == 1
        failing.fault = None
        await client.send(GET)
        assert (await client.response()).status == 200
        client.close()
        await server.drain(0)

    run(main, loop_name)


def test_a_client_that_left_before_it_was_accepted_is_no_matter(caplog):
    async def main():
        sock = socket.create_server(("127.0.0.1", 0))
        failing = Failing(sock)
        taken = []
        loop = asyncio.get_running_loop()
        acceptor = Acceptor(loop, failing, taken.append, lambda: 10,
                            logging.getLogger("tremolo"))
        failing.fault = errno.ECONNABORTED
        acceptor.start()
        client = await Client.open(sock.getsockname())
        await settle()
        failing.fault = None
        await until(lambda: taken)
        assert not caplog.records
        acceptor.close()
        client.close()
        taken[0].close()

    run(main)


# One connection


@each_loop
def test_a_connection_can_be_cut(loop_name):
    async def main():
        go_on = asyncio.Event()

        async def handle(exchange):
            await go_on.wait()

        async with serving(handle) as site:
            client = await site.connect()
            await client.send(GET)
            await until(lambda: site.server.tasks)
            number = site.connection.id
            assert site.server.cut(number)
            with pytest.raises((EOFError, ConnectionResetError)):
                await client.response()
            await until(lambda: not site.server.connections)
            assert not site.server.cut(number)
            go_on.set()
            client.close()

    run(main, loop_name)


def test_the_adapter_hears_of_each_connection_and_its_end():
    async def main():
        async with serving(hello) as site:
            await site.get()
            await until(lambda: site.adapter.lost)
            assert site.adapter.made == site.adapter.lost
            assert site.adapter.made[0].peer[0] == "127.0.0.1"
            assert site.adapter.made[0].sockname == site.address

    run(main)


def test_a_connection_says_what_it_is_doing():
    async def main():
        step = asyncio.Event()

        async def handle(exchange):
            await exchange.read()
            step.set()
            await exchange.read()
            await asyncio.sleep(0)
            step.clear()
            exchange.response.start(200, ())
            exchange.response.write(b"x")
            await step.wait()
            exchange.response.finish()

        async with serving(handle) as site:
            client = await site.connect()
            await until(lambda: site.server.connections)
            connection = site.connection
            assert connection.word == "new"
            assert connection.idle
            await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n")
            await until(lambda: connection.word == "reading")
            await client.send(b"a")
            await until(step.is_set)
            await client.send(b"b")
            await until(lambda: connection.word == "sending")
            step.set()
            await client.response()
            await until(lambda: connection.word == "idle")
            assert connection.requests == 1
            client.close()

    run(main)


def test_a_flood_of_bad_requests_is_one_log_line(caplog):
    caplog.set_level(logging.DEBUG)

    async def main():
        async with serving(hello) as site:
            for _ in range(20):
                data = await within(site.ask(b"\0\0\0\r\n\r\n"))
                assert data.startswith(b"HTTP/1.1 400")
            assert site.server.counters.protocol_errors == 20

    run(main)
    assert len([r for r in caplog.records if r.name == "tremolo"]) <= 2
    assert not [r for r in caplog.records if r.exc_info]
