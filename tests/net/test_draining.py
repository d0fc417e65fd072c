"""Stopping: nobody who was promised an answer goes without."""

import asyncio
import os
import socket
import ssl

import pytest

from tests.net.handlers import hello
from tests.support.serving import (
    Handling,
    by_hand,
    each_loop,
    pass_time,
    run,
    serving,
    settle,
    until,
)
from tests.support.wire import CERTIFICATE, DEADLINE, GET, Client, within
from tremolo.config import Settings
from tremolo.net.server import Server


async def second(exchange):
    exchange.response.respond(200, (), b"second")


class Heir:
    """A second server in this process, to which the first hands its connections."""

    def __init__(self):
        self.server = Server(Handling(second), Settings(), loop=asyncio.get_running_loop())
        self.count = 0

    def take(self, descriptor):
        self.count += 1
        self.server.adopt(socket.socket(fileno=descriptor))


@pytest.fixture
def handover(conversation):
    """As `conversation`, with a server that connections may be handed to."""

    def hand_over(adapter, talk, **options):
        async def with_heir(site, client):
            heir = Heir()
            try:
                await talk(site, client, heir)
            finally:
                await heir.server.drain(0)

        conversation(adapter, with_heir, **options)

    return hand_over


def drain(site, timeout=5.0, hand_over=None):
    """Begin it; to wait for it fails at the deadline of all tests."""
    return asyncio.ensure_future(within(site.server.drain(timeout, hand_over)))


@each_loop
@pytest.mark.parametrize("tls", [False, True])
def test_idle_connections_are_closed_at_once(conversation, tls):
    async def talk(site, client):
        await client.send(GET)
        await client.response()
        await drain(site)
        assert await client.closed()
        assert not site.server.connections

    conversation(hello, talk, tls=tls)


@each_loop
def test_no_connection_is_accepted_any_more(loop_name):
    async def main():
        async with serving(hello) as site:
            await drain(site)
            with pytest.raises(ConnectionRefusedError):
                await site.connect()

    run(main, loop_name)


@each_loop
def test_a_running_request_is_finished_and_closed(conversation, late):
    async def talk(site, client):
        await client.send(GET)
        await until(lambda: site.server.tasks)
        drained = drain(site)
        await until(lambda: site.server.draining)
        await settle()
        assert not drained.done()
        late.let()
        response = await client.response()
        assert (response.body, response["connection"]) == (b"Hello", "close")
        assert await client.closed()
        await drained

    conversation(late.before(hello), talk)


@each_loop
def test_a_connection_that_has_not_spoken_yet_is_answered(conversation):
    async def talk(site, client):
        await until(lambda: site.server.connections)
        drained = drain(site)
        await until(lambda: site.server.draining)
        await settle()
        await client.send(GET)
        response = await client.response()
        assert (response.status, response["connection"]) == (200, "close")
        assert await client.closed()
        await drained

    conversation(hello, talk)


@by_hand
def test_a_connection_that_never_speaks_holds_up_for_a_second_only(conversation):
    async def talk(site, client):
        await until(lambda: site.server.connections)
        drained = drain(site, 60.0)
        await pass_time(0.9, 0.1)
        assert not drained.done()
        await pass_time(0.6, 0.1)
        assert drained.done()
        assert await client.closed()

    conversation(hello, talk)


@each_loop
def test_a_request_of_which_the_head_is_half_there_is_answered(conversation):
    async def talk(site, client):
        await client.send(GET)
        await client.response()
        await client.send(GET[:10])
        await until(lambda: site.server.connections and site.connection.parser.in_head)
        drained = drain(site)
        await until(lambda: site.server.draining)
        await settle()
        await client.send(GET[10:])
        assert (await client.response())["connection"] == "close"
        await drained

    conversation(hello, talk)


@each_loop
@pytest.mark.parametrize("tls", [False, True])
def test_a_request_that_is_not_answered_by_the_limit_is_answered_with_503(
        conversation, late, tls):
    async def talk(site, client):
        await client.send(GET)
        await until(lambda: site.server.tasks)
        await drain(site, 0.05)
        assert not site.server.tasks
        assert not site.server.connections
        response = await client.response()
        assert (response.status, response["connection"]) == (503, "close")
        assert await client.closed()
        assert site.server.counters.errors == 0

    conversation(late.before(hello), talk, tls=tls)


@each_loop
def test_a_response_that_is_not_done_by_the_limit_is_cut(conversation):
    async def handle(exchange):
        exchange.response.start(200, ())
        exchange.response.write(b"begun")
        await asyncio.sleep(100)

    async def talk(site, client):
        await client.send(GET)
        await until(lambda: site.server.tasks)
        await drain(site, 0.05)
        assert not site.server.tasks
        assert not site.server.connections
        with pytest.raises((EOFError, ConnectionResetError)):
            await client.response()

    conversation(handle, talk)


def test_a_handler_that_will_not_be_cancelled_is_left(conversation):
    events = []

    async def handle(exchange):
        event = asyncio.Event()
        events.append(event)
        while not event.is_set():
            try:
                await event.wait()
            except asyncio.CancelledError:
                pass

    async def talk(site, client):
        await client.send(GET)
        await until(lambda: events)
        await drain(site, 0.01)
        events[0].set()
        await until(lambda: not site.server.tasks)

    conversation(handle, talk)


@each_loop
@pytest.mark.parametrize("spoke", [True, False])
def test_an_idle_tls_client_that_never_answers_does_not_hold_up_the_end(loop_name, spoke):
    def connect(address):
        """A client that, once it has connected, neither reads nor writes."""
        sock = socket.create_connection(address, DEADLINE)
        client = ssl.create_default_context(cafile=CERTIFICATE).wrap_socket(
            sock, server_hostname="localhost")
        if spoke:
            client.sendall(GET)
            assert client.recv(1000).startswith(b"HTTP/1.1 200")
        return client

    async def main():
        async with serving(hello, tls=True) as site:
            loop = asyncio.get_running_loop()
            client = await loop.run_in_executor(None, connect, site.address)
            await until(lambda: site.server.connections)
            await drain(site, 5 * DEADLINE)
            client.settimeout(DEADLINE)
            # Its end was said and is no reset: nobody takes a part for the whole.
            assert await loop.run_in_executor(None, client.recv, 1) == b""
            client.close()

    run(main, loop_name)


@each_loop
@pytest.mark.parametrize("said", [b"", b"\x16\x03"])
def test_a_tls_client_that_is_silent_before_its_handshake_has_a_moment(loop_name, said):
    async def main():
        async with serving(hello, tls=True) as site:
            client = await Client.open(site.address)
            await client.send(said)
            await until(lambda: site.server._setups)
            await drain(site, 5 * DEADLINE)
            assert await client.closed()
            client.close()

    run(main, loop_name)


def test_a_tls_handshake_that_never_happens_does_not_hold_up_the_end():
    async def main():
        async with serving(hello, tls=True) as site:
            client = await Client.open(site.address)
            await until(lambda: site.server.silent == 1)
            await drain(site, 0.05)
            assert await client.closed()
            client.close()

    run(main)


def test_work_after_the_response_is_waited_for(conversation, late):
    done = []

    async def work(exchange):
        done.append(True)

    async def handle(exchange):
        exchange.response.respond(200, (), b"")
        await late.before(work)(exchange)

    async def talk(site, client):
        await client.send(GET)
        assert (await client.response()).status == 200
        drained = drain(site)
        await until(lambda: not site.server.connections)
        await settle()
        assert not drained.done()
        late.let()
        await drained
        assert done

    conversation(handle, talk)


# Idle connections go to the next worker


@each_loop
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
def test_an_idle_connection_is_handed_over(handover, family):
    async def talk(site, client, heir):
        await client.send(GET)
        assert (await client.response()).body == b"Hello"
        await drain(site, hand_over=heir.take)
        assert heir.count == 1
        for _ in range(3):
            await client.send(GET)
            response = await client.response()
            assert response.body == b"second"
            assert "connection" not in response

    handover(hello, talk, family=family)


@each_loop
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
def test_a_request_sent_at_the_switch_is_answered_by_the_next(handover, family):
    async def talk(site, client, heir):
        await client.send(GET)
        await client.response()
        await client.send(GET)  # in the kernel, not read yet
        drained = drain(site, hand_over=heir.take)
        assert (await client.response()).body in (b"Hello", b"second")
        await drained
        await client.send(GET)
        assert (await client.response()).body == b"second"

    handover(hello, talk, family=family)


@each_loop
def test_a_busy_connection_is_handed_over_after_its_response(handover, late):
    async def talk(site, client, heir):
        await client.send(GET)
        await until(lambda: site.server.tasks)
        drained = drain(site, hand_over=heir.take)
        await until(lambda: site.server.draining)
        await settle()
        late.let()
        response = await client.response()
        assert response.body == b"Hello"
        assert "connection" not in response
        await drained
        await client.send(GET)
        assert (await client.response()).body == b"second"

    handover(late.before(hello), talk)


@each_loop
def test_a_large_response_is_whole_before_its_connection_is_handed_over(handover):
    async def handle(exchange):
        exchange.response.respond(200, (), bytes(20_000_000))

    async def talk(site, client, heir):
        await client.send(GET)
        await until(lambda: site.server.connections and site.connection.outbox.full)
        drained = drain(site, hand_over=heir.take)
        await until(lambda: site.server.draining)
        await settle()
        assert (await client.response()).body == bytes(20_000_000)
        await drained
        await client.send(GET)
        assert (await client.response()).body == b"second"

    handover(handle, talk, receive_buffer=16384)


@each_loop
def test_a_new_connection_is_handed_over_before_it_speaks(handover):
    async def talk(site, client, heir):
        await until(lambda: site.server.connections)
        await drain(site, hand_over=heir.take)
        await client.send(GET)
        assert (await client.response()).body == b"second"

    handover(hello, talk)


def test_an_idle_tls_connection_is_closed_and_not_handed_over(conversation):
    async def talk(site, client):
        await client.send(GET)
        await client.response()
        handed = []
        await drain(site, hand_over=handed.append)
        assert not handed
        assert await client.closed()

    conversation(hello, talk, tls=True)


def test_a_connection_is_closed_when_its_descriptor_cannot_be_duplicated(
        conversation, monkeypatch):
    def fail(descriptor):
        raise OSError(24, "Too many open files")

    async def talk(site, client):
        await client.send(GET)
        await client.response()
        with monkeypatch.context() as patched:
            patched.setattr(os, "dup", fail)
            await drain(site, hand_over=lambda descriptor: None)
        assert await client.closed()
        await settle()

    conversation(hello, talk)
