"""A client that closes its side, or leaves: who hears of it, and when."""

import asyncio

import pytest

from tests.net.handlers import PLAIN, hello, without_end
from tests.support.serving import (
    Handling,
    by_hand,
    each_loop,
    each_loop_by_hand,
    pass_time,
    run,
    serving,
    settle,
    until,
    within_a_second,
)
from tests.support.wire import GET, Client, get
from tremolo.exceptions import ClientDisconnected

# The client closes


@each_loop
def test_a_half_closed_connection_is_answered(conversation):
    async def talk(site, client):
        await client.send(GET)
        client.half_close()
        assert (await client.response()).body == b"Hello"
        assert await client.closed()
        await until(lambda: not site.server.connections)

    conversation(hello, talk)


@each_loop
def test_all_pipelined_requests_of_a_half_closed_connection_are_answered(conversation):
    async def slow(exchange):
        await until(lambda: exchange.connection.eof)
        exchange.response.respond(200, PLAIN, exchange.head.target)

    async def talk(site, client):
        await client.send(get(b"/1") + get(b"/2") + get(b"/3"))
        client.half_close()
        for number in (1, 2, 3):
            assert (await client.response()).body == b"/%d" % number
        assert await client.closed()

    conversation(slow, talk)


@pytest.fixture
def leaving():
    """A handler that hears when its client leaves; what it heard."""
    heard = []

    async def handle(exchange):
        await exchange.disconnect_waiter()
        heard.append(exchange)

    return handle, heard


@each_loop_by_hand
@pytest.mark.parametrize("leave", ["close", "reset", "half_close"])
def test_the_handler_hears_within_a_second_that_the_client_left(conversation, leaving, leave):
    handle, heard = leaving

    async def talk(site, client):
        await client.send(GET)
        await until(lambda: site.server.tasks)
        getattr(client, leave)()
        await within_a_second(lambda: heard)

    conversation(handle, talk)


@each_loop_by_hand
@pytest.mark.parametrize("leave", ["close", "reset"])
def test_leaving_is_seen_behind_unread_data(conversation, leaving, leave):
    """asyncio looks neither for data nor for a hang-up while reading is paused."""
    handle, heard = leaving

    async def talk(site, client):
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n")
        await client.send(bytes(90000))
        await until(lambda: site.server.tasks and site.connection.stream.paused)
        getattr(client, leave)()
        await within_a_second(lambda: heard)

    conversation(handle, talk)


@each_loop
def test_a_cancelled_wait_for_the_client_does_not_disturb_the_next(conversation):
    outcome = []

    async def handle(exchange):
        async def wait():
            await exchange.disconnect_waiter()

        first, second = asyncio.ensure_future(wait()), asyncio.ensure_future(wait())
        await settle()
        first.cancel()
        await settle()
        outcome.append(second.done())
        third = asyncio.ensure_future(wait())
        await asyncio.wait([second, third], timeout=5)
        outcome.append((second.cancelled(), third.cancelled()))
        outcome.append((second.done(), third.done()))

    async def talk(site, client):
        await client.send(GET)
        await until(lambda: outcome)
        client.close()
        await until(lambda: len(outcome) == 3)
        assert outcome == [False, (False, False), (True, True)]

    conversation(handle, talk)


@each_loop
def test_reading_the_body_of_a_client_that_left_raises(loop_name):
    async def main():
        raised = []

        async def handle(exchange):
            try:
                while await exchange.read():
                    pass
            except ClientDisconnected as exc:
                raised.append(exc)

        async with serving(handle) as site:
            for leave in ("close", "reset", "half_close"):
                client = await site.connect()
                await client.send(b"POST / HTTP/1.1\r\nHost: a\r\n"
                                  b"Content-Length: 9\r\n\r\nabc")
                await site.reading()
                getattr(client, leave)()
                await until(lambda: raised)
                raised.clear()
                client.close()
                await until(lambda: not site.server.connections)
            assert not site.server.counters.errors

    run(main, loop_name)


def test_a_connection_without_a_byte_is_closed_without_a_byte(conversation):
    async def talk(site, client):
        client.half_close()
        assert await client.closed()
        assert site.server.counters.protocol_errors == 0

    conversation(hello, talk)


# In the middle of a response


@each_loop
def test_a_handler_learns_from_its_writes_that_the_client_left(conversation):
    async def handle(exchange):
        await without_end(exchange)
        assert exchange.response.write(b"dropped") is None
        exchange.response.finish()

    async def talk(site, client):
        site.server.remember(True)
        await client.send(GET)
        await client.receive()
        client.reset()
        await until(lambda: not site.server.tasks)
        assert (site.server.counters.aborted, site.server.counters.errors) == (1, 0)
        [row] = site.server.recent
        assert row.outcome == "aborted"

    conversation(handle, talk)


@by_hand
@pytest.mark.parametrize("leave", [Client.close, Client.reset])
def test_a_handler_that_outlives_its_client_is_cancelled(conversation, leave):
    cancelled = []

    async def handle(exchange):
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            cancelled.append(exchange)
            raise

    async def talk(site, client):
        await client.send(GET)
        await until(lambda: site.server.tasks)
        leave(client)
        await until(lambda: not site.server.connections or site.connection.eof)
        await pass_time(4)
        assert not cancelled
        await pass_time(2)
        assert cancelled

    conversation(Handling(handle, close_timeout=5.0), talk)
