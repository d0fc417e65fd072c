"""Request bodies that come faster than they are read, or too slowly."""

import asyncio
import socket

import pytest

from tests.net.handlers import count, whole_body
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
from tests.support.wire import chunked, post_head, within
from tremolo.protocol.http1 import ProtocolError

# Back-pressure


@each_loop
def test_a_body_that_nobody_reads_stays_with_the_client(conversation, late):
    size = 20_000_000

    async def talk(site, client):
        await client.send(post_head(size))
        sending = asyncio.ensure_future(client.send(bytes(size)))
        await until(lambda: site.server.connections and site.connection.stream.paused)
        await settle()
        assert site.connection.parser.buffered <= 2 * 64 * 1024
        assert not sending.done()
        late.let()
        await sending
        assert (await client.response()).body == b"%d" % size

    conversation(late.before(count), talk)


@each_loop
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_large_body_arrives_unchanged(conversation, framing):
    data = pattern(3_000_000)

    async def handle(exchange):
        same = await whole_body(exchange) == data
        exchange.response.respond(200, (), b"same" if same else b"different")

    async def talk(site, client):
        if framing == "length":
            await client.send(post_head(len(data)) + data)
        else:
            await client.send(chunked(
                *(data[n:n + 70_001] for n in range(0, len(data), 70_001))) + b"0\r\n\r\n")
        assert (await client.response()).body == b"same"

    conversation(handle, talk)


# Progress: 500 bytes a second over any 15 seconds


@by_hand
def test_a_body_that_comes_too_slowly_is_refused(conversation):
    async def talk(site, client):
        await client.send(post_head(100_000) + b"x")
        await site.reading()
        for _ in range(15):
            await client.send(b"x" * 400)
            await pass_time(1)
        await pass_time(0.5)
        response = await client.response()
        assert (response.status, response["connection"]) == (408, "close")

    conversation(count, talk)


@by_hand
def test_a_body_that_comes_just_fast_enough_is_read(conversation):
    async def talk(site, client):
        await client.send(post_head(60 * 600))
        await site.reading()
        for _ in range(60):
            await client.send(b"x" * 600)
            await settle()
            await pass_time(1)
        assert (await client.response()).body == b"36000"

    conversation(count, talk)


@by_hand
def test_the_time_that_the_application_takes_is_not_the_clients(conversation, late):
    async def handle(exchange):
        assert await exchange.read() == b"x"
        await late.before(count)(exchange)

    async def talk(site, client):
        await client.send(post_head(3) + b"x")
        await until(lambda: late.waits)
        await pass_time(30)
        late.let()
        await site.reading()
        await pass_time(10)
        await client.send(b"yz")
        assert (await client.response()).body == b"2"

    conversation(handle, talk)


@by_hand
def test_a_body_that_the_handler_stops_waiting_for_is_no_fault(conversation):
    async def handle(exchange):
        try:
            await asyncio.wait_for(exchange.read(), 1.0)
        except asyncio.TimeoutError:
            exchange.response.respond(200, (), b"too slow for me")

    async def talk(site, client):
        await client.send(post_head(3))
        await site.reading()
        await pass_time(1.5)
        assert (await client.response()).body == b"too slow for me"

    conversation(handle, talk)


def test_two_tasks_cannot_read_one_body(conversation):
    async def handle(exchange):
        first = asyncio.ensure_future(exchange.read())
        await settle()
        with pytest.raises(RuntimeError):
            await exchange.read()
        exchange.response.respond(200, (), await first)

    async def talk(site, client):
        await client.send(post_head(3))
        await site.reading()
        await settle()
        await client.send(b"abc")
        assert (await client.response()).body == b"abc"

    conversation(handle, talk)


def test_a_fault_of_the_body_raises_in_the_handler():
    raised = []

    async def handle(exchange):
        try:
            await count(exchange)
        except ProtocolError as exc:
            raised.append(exc.status)
            raise

    async def main():
        async with serving(handle) as site:
            assert (await site.ask(chunked() + b"zz\r\n")).startswith(b"HTTP/1.1 400")
            assert raised == [400]

    run(main)


@each_loop
@pytest.mark.parametrize("chunked", [False, True])
def test_no_more_is_read_in_one_turn_than_whoever_waits_can_take(loop_name, chunked):
    ahead = []
    size = 8 * 1024 * 1024

    async def handle(exchange):
        count = 0
        while True:
            piece = await exchange.read()
            if not piece:
                break
            count += len(piece)
            ahead.append(exchange.connection.parser.buffered)
        exchange.response.respond(200, (), b"%d" % count)

    def upload(port):
        framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % size
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (size, bytes(size)) if chunked else bytes(size)
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.sendall(b"POST / HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n%b" % (framing, body))
            return sock.recv(4096)

    async def main():
        async with serving(handle) as site:
            # In a thread, so that it sends while the server reads.
            answer = await within(
                asyncio.get_running_loop().run_in_executor(None, upload, site.port))
            assert answer.endswith(b"%d" % size)
            assert max(ahead) <= 2 * 256 * 1024

    run(main, loop_name)
