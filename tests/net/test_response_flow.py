"""Responses leave in few writes and within bounded memory, however slow their clients are."""

import asyncio
import os

import pytest

from tests.net.handlers import PLAIN, without_end, write_all
from tests.support.serving import (
    by_hand,
    each_loop,
    pass_time,
    pattern,
    run,
    serving,
    settle,
    until,
)
from tests.support.wire import GET
from tremolo.net.counters import Counters
from tremolo.net.outbox import LARGEST_WRITE, UNBROKEN, WRITE_SIZE, Outbox

# Coalescing


@each_loop
def test_head_and_body_leave_in_one_write(loop_name):
    async def handle(exchange):
        exchange.response.start(200, PLAIN)
        exchange.response.write(b"Hello")
        exchange.response.finish()

    async def main():
        async with serving(handle) as site:
            assert (await site.get()).body == b"Hello"
            assert site.server.counters.writes == 1

    run(main, loop_name)


@each_loop
def test_a_thousand_small_pieces_leave_in_three_writes_at_most(loop_name):
    async def handle(exchange):
        exchange.response.start(200, PLAIN)
        await write_all(exchange.response, [b"0123456789"] * 1000)

    async def main():
        async with serving(handle) as site:
            assert (await site.get()).body == b"0123456789" * 1000
            assert site.server.counters.writes <= 3

    run(main, loop_name)


def test_a_piece_is_sent_before_the_next_one_is_there(conversation, late):
    async def end(exchange):
        exchange.response.finish()

    async def handle(exchange):
        exchange.response.start(200, PLAIN)
        exchange.response.write(b"first")
        await late.before(end)(exchange)

    async def talk(site, client):
        await client.send(GET)
        await client.line(b"5\r\nfirst\r\n")
        late.let()
        assert await client.line() == b"0"

    conversation(handle, talk)


def test_the_head_can_be_sent_before_any_body(conversation, late):
    async def body(exchange):
        exchange.response.write(b"abc")
        exchange.response.finish()

    async def handle(exchange):
        exchange.response.start(200, PLAIN, length=3)
        exchange.response.flush()
        await late.before(body)(exchange)

    async def talk(site, client):
        await client.send(GET)
        assert b"content-length: 3" in await client.line(b"\r\n\r\n")
        late.let()
        assert await client.need(3) == b"abc"

    conversation(handle, talk)


# Big bodies and slow clients


@each_loop
@pytest.mark.parametrize("tls", [False, True])
def test_a_big_body_in_one_piece_arrives_unchanged(conversation, tls):
    data = pattern(8_000_000)

    async def handle(exchange):
        exchange.response.respond(200, PLAIN, data)

    async def talk(site, client):
        for _ in range(2):
            await client.send(GET)
            response = await client.response()
            assert response["content-length"] == str(len(data))
            assert response.body == data

    conversation(handle, talk, tls=tls)


@pytest.mark.skipif(not hasattr(os, "writev"), reason="this Python has no writev(2), and "
                    "gives each piece to the transport")
@each_loop
def test_large_pieces_of_one_turn_are_gathered_into_few_writes(conversation):
    size, pieces = 64 * 1024, 16

    async def handle(exchange):
        exchange.response.start(200, PLAIN, length=size * pieces)
        for number in range(pieces):
            assert exchange.response.write(pattern(size, number)) is None
        exchange.response.finish()

    async def talk(site, client):
        await client.send(GET)
        response = await client.response()
        assert response.body == b"".join(pattern(size, n) for n in range(pieces))
        assert site.server.counters.writes <= size * pieces // WRITE_SIZE + 1

    conversation(handle, talk, receive_buffer=4 * size * pieces)


@each_loop
@pytest.mark.parametrize("tls", [False, True])
def test_pieces_of_all_sizes_arrive_in_their_order(conversation, tls):
    sizes = [1, 70_000, 5_000, 300_000, 100, 65_536, 65_536, 65_536, 262_144, 3] * 12

    async def handle(exchange):
        exchange.response.start(200, PLAIN, length=sum(sizes))
        await write_all(exchange.response, (
            pattern(size, number) for number, size in enumerate(sizes)))

    async def talk(site, client):
        await client.send(GET)
        response = await client.response()
        assert response.body == b"".join(pattern(size, n) for n, size in enumerate(sizes))

    conversation(handle, talk, tls=tls, receive_buffer=16384)


class Bottomless:
    """A transport whose client takes everything at once."""

    def __init__(self):
        self.taken = 0

    def write(self, data):
        self.taken += len(data)

    def is_closing(self):
        return False

    def get_write_buffer_size(self):
        return 0


def test_a_big_body_to_a_fast_client_leaves_the_loop_its_turns():
    size = 10 * UNBROKEN

    async def main():
        transport = Bottomless()
        outbox = Outbox(asyncio.get_running_loop(), transport, Counters(), lambda _: None, None)
        wait = outbox.push(bytes(size))
        turns = 0
        while transport.taken < size:
            assert transport.taken <= (turns + 1) * UNBROKEN
            await asyncio.sleep(0)
            turns += 1
        await wait

    run(main)


@each_loop
@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_a_body_can_be_any_kind_of_bytes_and_is_taken_as_it_is_now(loop_name, kind):
    async def handle(exchange):
        store = bytearray(b"first")
        exchange.response.start(200, PLAIN, length=10)
        exchange.response.write(kind(store))
        store[:] = b"other"
        exchange.response.write(kind(store))
        exchange.response.finish()

    async def main():
        async with serving(handle) as site:
            assert (await site.get()).body == b"firstother"

    run(main, loop_name)


@each_loop
@pytest.mark.parametrize("tls", [False, True])
def test_a_slow_client_holds_the_handler_and_not_memory(conversation, tls):
    size, pieces = 100_000, 120  # several times what the system takes
    sent = 0

    async def handle(exchange):
        nonlocal sent
        exchange.response.start(200, PLAIN, length=size * pieces)
        for number in range(pieces):
            wait = exchange.response.write(pattern(size, number))
            sent += size
            if wait is not None:
                await wait
        exchange.response.finish()

    async def talk(site, client):
        await client.send(GET)
        waiting = await site.stuck()
        assert sent < size * pieces
        records = 1.01 if tls else 1  # what waits may be encrypted already
        assert waiting <= (LARGEST_WRITE + size) * records
        response = await client.response()
        assert response.body == b"".join(pattern(size, n) for n in range(pieces))

    conversation(handle, talk, tls=tls, receive_buffer=16384)


@by_hand
def test_a_client_that_stops_reading_is_given_up(conversation):
    async def talk(site, client):
        await client.send(GET)
        await site.stuck()
        await pass_time(29)
        assert site.server.connections
        await pass_time(35)
        assert not site.server.connections
        await until(lambda: not site.server.tasks)
        assert site.server.counters.aborted == 1

    conversation(without_end, talk, receive_buffer=16384)


@by_hand
def test_a_client_that_reads_slowly_is_not_given_up(conversation):
    """The handler waits again and again: only silence since the last wait may count."""
    async def talk(site, client):
        await client.send(GET)
        await until(lambda: site.server.connections and site.connection.outbox.full)
        for silence in (29.5, 19.5) * 3:
            mark = site.connection.bytes_out
            while site.connection.bytes_out == mark or not site.connection.outbox.full:
                await client.receive(1 << 20)
                await settle(2)
            await pass_time(silence)
            assert site.server.connections

    conversation(without_end, talk, receive_buffer=16384)


@by_hand
def test_a_whole_response_that_nobody_takes_is_given_up(conversation):
    async def handle(exchange):
        exchange.response.respond(200, [(b"connection", b"close")], bytes(30_000_000))

    async def talk(site, client):
        await client.send(GET)
        await site.stuck()
        await pass_time(65)
        assert not site.server.connections
        assert site.server.counters.aborted == 1

    conversation(handle, talk, receive_buffer=16384)


def test_the_next_request_waits_for_the_last_response_to_leave(conversation):
    async def handle(exchange):
        exchange.response.respond(200, PLAIN, bytes(5_000_000))

    async def talk(site, client):
        await client.send(GET * 3)
        await site.stuck()
        assert site.server.counters.requests == 1
        for _ in range(3):
            assert len((await client.response()).body) == 5_000_000

    conversation(handle, talk, receive_buffer=16384)
