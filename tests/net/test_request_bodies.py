"""Request bodies: read lazily, bounded, never taken for a request (RFC 9112 section 6)."""

import contextlib

import pytest

from tests.net.handlers import count
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
from tests.support.wire import chunked, get, post_head

NEXT = get(b"/next")
SMUGGLED = get(b"/smuggled")


async def ignore_body(exchange):
    exchange.response.respond(200, (), exchange.head.target)


# Bodies that the application leaves


@each_loop
@pytest.mark.parametrize("length", [1, 64, 1000, 60000])
def test_a_short_unread_body_is_drained_and_the_connection_kept(conversation, length):
    async def talk(site, client):
        body = (SMUGGLED * (length // len(SMUGGLED) + 1))[:length]
        await client.send(post_head(length) + body + NEXT)
        assert (await client.response()).body == b"/"
        assert (await client.response()).body == b"/next"

    conversation(ignore_body, talk)


def test_a_short_unread_body_that_comes_after_the_response_is_drained(conversation):
    async def talk(site, client):
        await client.send(post_head(len(SMUGGLED)))
        assert (await client.response()).body == b"/"
        await client.send(SMUGGLED[:10])
        await settle()
        await client.send(SMUGGLED[10:] + NEXT)
        assert (await client.response()).body == b"/next"

    conversation(ignore_body, talk)


@each_loop
def test_a_long_unread_body_closes_the_connection_and_is_not_parsed(conversation):
    seen = []

    async def handle(exchange):
        seen.append(exchange.head.target)
        await ignore_body(exchange)

    async def talk(site, client):
        await client.send(post_head(200000))
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
        await client.send(post_head(100))
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
        await client.send(post_head(3, b"Expect: 100-continue\r\n"))
        await until(lambda: site.server.tasks)
        await settle()
        assert site.server.counters.writes == 0
        late.let()
        assert (await client.response()).status == 100
        await client.send(b"abc" + NEXT)
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
        await client.send(post_head(len(SMUGGLED), b"Expect: 100-continue\r\n"))
        response = await client.response()
        assert response.status == 403
        assert response["connection"] == "close"
        await client.send(SMUGGLED)
        assert await client.closed()

    conversation(handle, talk)


def test_continue_is_not_sent_when_the_body_has_come_already(conversation):
    async def talk(site, client):
        await client.send(post_head(3, b"Expect: 100-continue\r\n") + b"abc")
        assert (await client.response()).status == 200

    conversation(count, talk)


@each_loop
@pytest.mark.parametrize("handle", [count, ignore_body])
def test_a_body_that_does_not_wait_for_continue_keeps_the_connection(conversation, handle):
    async def talk(site, client):
        await client.send(post_head(3, b"Expect: 100-continue\r\n") + b"abc" + NEXT)
        first = await client.response()
        assert first.status == 200 and first.body in (b"3", b"/")
        assert (await client.response()).body in (b"0", b"/next")

    conversation(handle, talk)


def test_continue_is_not_sent_to_http_1_0(conversation):
    async def talk(site, client):
        await client.send(b"POST / HTTP/1.0\r\nContent-Length: 3\r\n"
                          b"Expect: 100-continue\r\n\r\n")
        await site.reading()
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
            await client.send(post_head(1001))
            response = await client.response()
            assert (response.status, response["connection"]) == (413, "close")
            assert await client.closed()
            assert site.server.counters.requests == 0
            client.close()
            client = await site.connect()
            await client.send(post_head(1000) + bytes(1000))
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
        await client.send(post_head(11) + bytes(11))
        assert (await client.response()).status == 413
        assert await client.closed()

    conversation(handle, talk)


@pytest.mark.parametrize("bad", [b"zz\r\n", b"3\r\nabcX\n", b"-1\r\n"])
def test_a_body_that_breaks_its_framing_is_refused(bad):
    async def main():
        async with serving(count) as site:
            data = await site.ask(chunked(b"abc") + bad + NEXT)
            assert data.startswith(b"HTTP/1.1 400 ")
            assert data.count(b"HTTP/1.1 ") == 1
            assert site.server.counters.errors == 0

    run(main)


@each_loop
@pytest.mark.parametrize("size", [50_000, 12_000_000])
def test_a_refusal_reaches_a_client_that_is_still_sending(conversation, size):
    """RFC 9112 section 9.6: a close with unread data would reset, and so eat the response."""
    async def talk(site, client):
        await client.send(post_head(size) + bytes(25000))
        await until(lambda: site.server.counters.status[4])
        for _ in range(25000, size, 25000):
            await client.send(bytes(25000))
        response = await client.response()
        assert response.status == 413
        assert await client.closed()
        client.close()
        await until(lambda: not site.server.connections)

    conversation(Handling(count, body_limit=1000), talk)


@by_hand
@pytest.mark.parametrize("size, seconds", [(0, 1), (50, 1), (4096, 2), (65536, 30)])
def test_a_client_that_sends_for_ever_after_a_refusal_is_cut_off(conversation, size, seconds):
    """After a second, after more if it really sends, and in any case."""
    async def talk(site, client):
        await client.send(post_head(10**9))
        await until(lambda: site.server.counters.status[4])
        counters = site.server.counters
        passed = 0.0
        while site.server.connections:
            assert passed <= seconds
            come = counters.bytes_in + size
            with contextlib.suppress(OSError):
                await client.send(bytes(size))
            await until(lambda come=come: counters.bytes_in == come
                        or not site.server.connections)
            await pass_time(0.5)
            passed += 0.5
        assert seconds <= passed

    conversation(Handling(count, body_limit=1000), talk)


@by_hand
def test_the_end_of_the_server_does_not_wait_for_an_upload_that_was_refused(conversation):
    async def talk(site, client):
        await client.send(post_head(10**9))
        await until(lambda: site.server.counters.status[4])
        await client.send(bytes(65536))
        await settle()
        site.server.leave(10.0)
        for _ in range(3):
            await client.send(bytes(65536))
            await settle()
            await pass_time(0.5)
        assert not site.server.connections

    conversation(Handling(count, body_limit=1000), talk)
