"""Faults that the throttle injects: an error status, a reset, a stall, a cut, a slow close."""

import asyncio

import pytest

from tests.net.test_pacing import answer, clean, connections, down, request
from tests.support.serving import each_loop, pattern, run, serving_asgi, until
from tremolo.throttle import OFF, Throttle


@each_loop
def test_an_error_status_comes_instead_of_the_response_and_the_connection_stays(conversation):
    async def talk(site, client):
        site.server.set_throttle("all", Throttle(error_rate=1.0, error_status=502))
        for _ in range(3):
            await client.send(request(10))
            assert (await client.response()).status == 502
        site.server.set_throttle("all", None)
        await client.send(request(10))
        assert (await client.response()).body == pattern(10)

    conversation(answer, talk)


@each_loop
def test_a_reset_comes_in_the_middle_of_the_response(conversation):
    async def talk(site, client):
        site.server.set_throttle("all", Throttle(reset_rate=1.0))
        await client.send(request(3_000_000))
        with pytest.raises((ConnectionResetError, EOFError)):
            await client.response()
        client.close()
        await clean(site)

    conversation(answer, talk)


@each_loop
def test_a_stall_lasts_until_the_throttle_changes(conversation):
    async def talk(site, client):
        site.server.set_throttle("all", Throttle(stall_rate=1.0))
        await client.send(request(1_000_000))
        await until(lambda: connections(site) and connections(site)[0].current
                    and connections(site)[0].current.response.breaking
                    and connections(site)[0].current.response.breaking.stalled)
        await until(lambda: not site.server.ticker._paced)
        site.server.set_throttle("all", OFF)
        assert (await client.response()).body == pattern(1_000_000)
        client.close()
        await clean(site)

    conversation(answer, talk)


def unchunked(wire):
    """The bytes of a chunked body, as far as they came, and whether its end came."""
    body = b""
    while wire:
        size, _, wire = wire.partition(b"\r\n")
        length = int(size, 16)
        body += wire[:length]
        if not length:
            return body, True
        wire = wire[length + 2:]
    return body, False


@each_loop
@pytest.mark.parametrize("pieces", [[100_000], [1000] * 100, [4999, 1, 5000], [5000, 5000],
                                    [1] * 6000])
def test_a_cut_counts_the_body_not_its_chunks(loop_name, pieces):
    async def app(scope, receive, send):
        length = [(b"content-length", b"%d" % sum(pieces))] if scope["path"] == "/length" else []
        await send({"type": "http.response.start", "status": 200, "headers": length})
        for size in pieces:
            await send({"type": "http.response.body", "body": bytes(size), "more_body": True})
        await send({"type": "http.response.body"})

    async def main():
        async with serving_asgi(app, lifespan="off") as site:
            site.server.set_throttle("all", Throttle(cut_after=5000))
            for path in (b"/length", b"/chunked"):
                client = await site.connect()
                await client.send(b"GET " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n")
                came = (await client.rest()).partition(b"\r\n\r\n")[2]
                if path == b"/chunked":
                    came, ended = unchunked(came)
                    assert not ended
                assert came == bytes(5000)
                client.close()
            await clean(site)

    run(main, loop_name)


def test_a_shorter_body_is_not_cut():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(10):
            await send({"type": "http.response.body", "body": bytes(499), "more_body": True})
        await send({"type": "http.response.body"})

    async def main():
        async with serving_asgi(app, lifespan="off") as site:
            site.server.set_throttle("all", Throttle(cut_after=4991))
            client = await site.connect()
            for _ in range(2):
                await client.send(request(1))
                assert (await client.response()).body == bytes(4990)
            client.close()

    run(main)


def test_a_slow_close_sends_everything_first(conversation):
    async def talk(site, client):
        loop = asyncio.get_running_loop()
        site.server.set_throttle("all", Throttle(slow_close=0.3))
        await client.send(b"GET /10 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert (await client.response()).body == pattern(10)
        begun = loop.time()
        assert await client.closed()
        assert loop.time() - begun > 0.15

    conversation(answer, talk)


def test_faults_end_with_their_rule_and_do_not_reach_the_next_response(conversation):
    async def talk(site, client):
        site.server.set_throttle("all", down(100_000, cut_after=80_000))
        await client.send(request(100_000))
        await until(lambda: connections(site) and connections(site)[0].outbox.blocked_since)
        site.server.set_throttle("all", None)
        assert (await client.response()).body == pattern(100_000)
        await client.send(request(200_000))
        assert (await client.response()).body == pattern(200_000)

    conversation(answer, talk)
