"""Request bodies: read lazily, bounded, never taken for a request (RFC 9112 section 6)."""

import asyncio
import socket

import pytest

from tests.support.serving import (
    Handling,
    by_hand,
    each_loop,
    pass_time,
    pattern,
    run,
    serving,
    settle,
    until,
    within,
)
from tremolo.protocol.http1 import ProtocolError

GET = b"GET /next HTTP/1.1\r\nHost: localhost\r\n\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"


def post(length, fields=b""):
    return b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n%b\r\n" % (length, fields)


def chunked(*chunks):
    return b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(
        b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)


async def ignore_body(exchange):
    exchange.response.respond(200, (), exchange.head.target)


async def count(exchange):
    total = 0
    while True:
        piece = await exchange.read()
        if not piece:
            break
        total += len(piece)
    exchange.response.respond(200, (), b"%d" % total)


def reading(site):
    return until(lambda: site.server.connections and site.connection.word == "reading")


# Bodies that the application leaves


@each_loop
@pytest.mark.parametrize("length", [1, 64, 1000, 60000])
def test_a_short_unread_body_is_drained_and_the_connection_kept(conversation, length):
    async def talk(site, client):
        body = (SMUGGLED * (length // len(SMUGGLED) + 1))[:length]
        await client.send(post(length) + body + GET)
        assert (await client.response()).body == b"/"
        assert (await client.response()).body == b"/next"

    conversation(ignore_body, talk)


def test_a_short_unread_body_that_comes_after_the_response_is_drained(conversation):
    async def talk(site, client):
        await client.send(post(len(SMUGGLED)))
        assert (await client.response()).body == b"/"
        await client.send(SMUGGLED[:10])
        await settle()
        await client.send(SMUGGLED[10:] + GET)
        assert (await client.response()).body == b"/next"

    conversation(ignore_body, talk)


@each_loop
def test_a_long_unread_body_closes_the_connection_and_is_not_parsed(conversation):
    seen = []

    async def handle(exchange):
        seen.append(exchange.head.target)
        await ignore_body(exchange)

    async def talk(site, client):
        await client.send(post(200000))
        response = await client.response()
        assert response["connection"] == "close"
        try:
            await client.send(SMUGGLED * 1000)
        except OSError:
            pass
        assert await client.closed()
        assert seen == [b"/"]

    conversation(handle, talk)


def test_a_long_unread_chunked_body_closes_the_connection(conversation):
    seen = []

    async def handle(exchange):
        seen.append(exchange.head.target)
        await ignore_body(exchange)

    async def talk(site, client):
        await client.send(chunked(*[bytes(10000)] * 5))
        assert (await client.response()).status == 200
        try:
            await client.send(b"2710\r\n" + bytes(10000) + b"\r\n")
            for _ in range(20):
                await client.send(b"2710\r\n" + bytes(10000) + b"\r\n")
        except OSError:
            pass
        assert await client.closed()
        assert seen == [b"/"]

    conversation(handle, talk)


@by_hand
def test_an_unread_body_that_never_comes_does_not_hold_the_connection(conversation):
    async def talk(site, client):
        await client.send(post(100))
        await client.response()
        for _ in range(6):  # dripping does not extend it
            await client.send(b"x")
            await pass_time(0.5)
        assert await client.closed()

    conversation(ignore_body, talk)


# Expect: 100-continue (RFC 9110 section 10.1.1)


@each_loop
def test_continue_is_sent_only_when_the_body_is_read(conversation, late):
    async def talk(site, client):
        await client.send(post(3, b"Expect: 100-continue\r\n"))
        await until(lambda: site.server.tasks)
        await settle()
        assert site.server.counters.writes == 0
        late.let()
        assert (await client.response()).status == 100
        await client.send(b"abc" + GET)
        assert (await client.response()).body == b"3"
        assert (await client.response()).status == 200

    conversation(late.before(count), talk)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_final_answer_without_continue_closes(conversation, streamed):
    async def handle(exchange):
        exchange.response.start(403, ())
        if streamed:
            exchange.response.write(b"no")
        exchange.response.finish()

    async def talk(site, client):
        await client.send(post(len(SMUGGLED), b"Expect: 100-continue\r\n"))
        response = await client.response()
        assert response.status == 403
        assert response["connection"] == "close"
        await client.send(SMUGGLED)
        assert await client.closed()

    conversation(handle, talk)


def test_continue_is_not_sent_when_the_body_has_come_already(conversation):
    async def talk(site, client):
        await client.send(post(3, b"Expect: 100-continue\r\n") + b"abc")
        assert (await client.response()).status == 200

    conversation(count, talk)


@each_loop
@pytest.mark.parametrize("handle", [count, ignore_body])
def test_a_body_that_does_not_wait_for_continue_keeps_the_connection(conversation, handle):
    async def talk(site, client):
        await client.send(post(3, b"Expect: 100-continue\r\n") + b"abc" + GET)
        first = await client.response()
        assert first.status == 200 and first.body in (b"3", b"/")
        assert (await client.response()).body in (b"0", b"/next")

    conversation(handle, talk)


def test_continue_is_not_sent_to_http_1_0(conversation):
    async def talk(site, client):
        await client.send(b"POST / HTTP/1.0\r\nContent-Length: 3\r\n"
                          b"Expect: 100-continue\r\n\r\n")
        await reading(site)
        assert site.server.counters.writes == 0
        await client.send(b"abc")
        assert (await client.response()).body == b"3"

    conversation(count, talk)


# Limits


@each_loop
def test_a_body_past_the_limit_is_refused_at_its_head(loop_name):
    async def main():
        async with serving(Handling(count, body_limit=1000)) as site:
            client = await site.connect()
            await client.send(post(1001))
            response = await client.response()
            assert (response.status, response["connection"]) == (413, "close")
            assert await client.closed()
            assert site.server.counters.requests == 0
            client.close()
            client = await site.connect()
            await client.send(post(1000) + bytes(1000))
            assert (await client.response()).body == b"1000"
            client.close()

    run(main, loop_name)


@each_loop
def test_a_chunked_body_past_the_limit_is_refused_while_it_comes(conversation):
    async def talk(site, client):
        await client.send(chunked(bytes(999)))
        await settle()
        await client.send(b"2\r\nab\r\n")
        response = await client.response()
        assert (response.status, response["connection"]) == (413, "close")
        assert await client.closed()

    conversation(Handling(count, body_limit=1000), talk)


def test_a_handler_can_allow_itself_a_bigger_body(conversation):
    async def handle(exchange):
        exchange.set_body_limit(None)
        await count(exchange)

    async def talk(site, client):
        await client.send(chunked(bytes(5000)) + b"0\r\n\r\n")
        assert (await client.response()).body == b"5000"

    conversation(Handling(handle, body_limit=1000), talk)


def test_a_handler_can_allow_itself_a_smaller_body(conversation):
    async def handle(exchange):
        exchange.set_body_limit(10)
        await count(exchange)

    async def talk(site, client):
        await client.send(post(11) + bytes(11))
        assert (await client.response()).status == 413
        assert await client.closed()

    conversation(handle, talk)


@pytest.mark.parametrize("bad", [b"zz\r\n", b"3\r\nabcX\n", b"-1\r\n"])
def test_a_body_that_breaks_its_framing_is_refused(bad):
    async def main():
        async with serving(count) as site:
            data = await site.ask(chunked(b"abc") + bad + GET)
            assert data.startswith(b"HTTP/1.1 400 ")
            assert data.count(b"HTTP/1.1 ") == 1
            assert site.server.counters.errors == 0

    run(main)


@each_loop
def test_a_refusal_reaches_a_client_that_is_still_sending(conversation):
    """RFC 9112 section 9.6: a close with unread data would reset, and so eat the response."""
    async def talk(site, client):
        await client.send(post(50000) + bytes(25000))
        await until(lambda: site.server.counters.status[4])
        await client.send(bytes(25000))
        response = await client.response()
        assert response.status == 413
        assert await client.closed()
        client.close()
        await until(lambda: not site.server.connections)

    conversation(Handling(count, body_limit=1000), talk)


def test_a_client_that_sends_for_ever_after_a_refusal_is_cut_off(conversation):
    async def talk(site, client):
        sent = 0
        try:
            await client.send(post(10**9))
            while sent < 50_000_000:
                await client.send(bytes(65536))
                sent += 65536
        except OSError:
            pass
        assert sent < 50_000_000
        await until(lambda: not site.server.connections)
        assert site.server.counters.bytes_in < 1_000_000

    conversation(Handling(count, body_limit=1000), talk)


# Back-pressure


@each_loop
def test_a_body_that_nobody_reads_stays_with_the_client(conversation, late):
    size = 20_000_000

    async def talk(site, client):
        await client.send(post(size))
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
        pieces = []
        while True:
            piece = await exchange.read()
            if not piece:
                break
            assert type(piece) is bytes
            pieces.append(piece)
        exchange.response.respond(200, (), b"same" if b"".join(pieces) == data else b"different")

    async def talk(site, client):
        if framing == "length":
            await client.send(post(len(data)) + data)
        else:
            await client.send(chunked(
                *(data[n:n + 70_001] for n in range(0, len(data), 70_001))) + b"0\r\n\r\n")
        assert (await client.response()).body == b"same"

    conversation(handle, talk)


# Progress: 500 bytes a second over any 15 seconds


@by_hand
def test_a_body_that_comes_too_slowly_is_refused(conversation):
    async def talk(site, client):
        await client.send(post(100_000) + b"x")
        await reading(site)
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
        await client.send(post(60 * 600))
        await reading(site)
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
        await client.send(post(3) + b"x")
        await until(lambda: late.waits)
        await pass_time(30)
        late.let()
        await reading(site)
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
        await client.send(post(3))
        await reading(site)
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
        await client.send(post(3))
        await reading(site)
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
