"""Throttled connections over real sockets: nothing is lost, and nothing is left behind.

Tolerances are wide, for exactness is proven with buckets and a fake clock (test_throttle.py).
"""

import asyncio
import hashlib
import random
import socket

import pytest

from tests.net.handlers import whole_body, write_all
from tests.support.serving import (
    LOOPS,
    Handling,
    by_hand,
    each_loop,
    pass_time,
    pattern,
    run,
    serving,
    serving_asgi,
    settle,
    until,
)
from tests.support.wire import GET, within
from tremolo.throttle import OFF, PRESETS, Throttle

SIZE = 6_000_000


def down(rate, **more):
    return Throttle(download=rate, **more)


async def answer(exchange):
    """Reads the whole body, then sends a response whose size is in the target."""
    digest = hashlib.sha256(await whole_body(exchange))
    data = pattern(int(exchange.head.target.rpartition(b"/")[2] or 0))
    exchange.response.start(200, [(b"digest", digest.hexdigest().encode())])
    await write_all(exchange.response, (
        data[begin:begin + 10_000] for begin in range(0, len(data), 10_000)))


def request(size=0, path=b"/", body=None):
    head = b"POST" if body is not None else b"GET"
    head += b" %b%d HTTP/1.1\r\nHost: localhost\r\n" % (path, size)
    if body is not None:
        head += b"Content-Length: %d\r\n" % len(body)
    return head + b"\r\n"


def connections(site):
    return list(site.server.connections.values())


async def clean(site):
    """Wait until nothing is left of connections that ended."""
    server = site.server
    await until(lambda: not server.connections)
    await settle()
    assert not server.ticker._paced
    assert not server.paused
    assert server.throttle.total_download.members == 0
    assert server.throttle.total_upload.members == 0
    for link in server.throttle._buckets.values():
        assert link.users == 0 and link.download.members == 0 and link.upload.members == 0


# Changes in the middle of transfers


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@each_loop
def test_a_thousand_changes_lose_no_byte_in_either_direction(loop_name, tls):
    rng = random.Random(loop_name + str(tls))
    values = [None, OFF, PRESETS["offline"], PRESETS["wifi"], down(5e6, upload=5e6),
              down(2e7, upload=1e6), Throttle(upload=3e6), down(1e6, per_connection=True),
              down(4e7, upload=4e7), Throttle(latency=0.001)]
    body = pattern(SIZE, seed=2)

    async def main():
        async with serving(answer, tls=tls) as site:
            async def transfer(data, size):
                client = await site.connect()
                await client.send(request(size, b"/part/", data))
                if data is not None:
                    await client.send(data)
                response = await client.response()
                client.close()
                return response

            transfers = [asyncio.ensure_future(transfer(None, SIZE)),
                         asyncio.ensure_future(transfer(body, 1000))]
            for n in range(1000):
                scope = rng.choice(["all", "/part/*", "total", f"#{rng.randrange(1, 3)}"])
                value = rng.choice(values)
                if scope == "total" and value is not None:
                    value = rng.choice([None, down(3e6, upload=3e6), down(3e7)])
                site.server.set_throttle(scope, value)
                await asyncio.sleep(0.001 if n % 20 == 0 else 0)
            for scope in tuple(site.server.throttle.rules()):
                site.server.set_throttle(scope, None)
            downloaded, uploaded = await within(asyncio.gather(*transfers))
            assert downloaded.body == pattern(SIZE)
            assert uploaded["digest"] == hashlib.sha256(body).hexdigest()
            await clean(site)

    run(main, loop_name)


@each_loop
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_offline_holds_what_runs_and_what_is_new_and_releases_both(loop_name, tls):
    async def main():
        async with serving(answer, tls=tls) as site:
            running = await site.connect()
            site.server.set_throttle("all", down(200_000))
            await running.send(request(100_000))
            await until(lambda: connections(site) and connections(site)[0].outbox.blocked_since)
            site.server.set_throttle("all", PRESETS["offline"])
            out = connections(site)[0].bytes_out
            new = await site.connect()
            await new.send(request(10))
            assert await new.silent(0.15)
            assert connections(site)[0].bytes_out == out
            assert site.server.counters.requests == 1
            # uvloop reads once more, one byte at most
            assert sum(c.bytes_in for c in connections(site)) <= len(request(100_000)) + 1
            assert not site.server.ticker._paced  # nothing is asked in vain meanwhile
            site.server.set_throttle("all", None)
            assert (await running.response()).body == pattern(100_000)
            assert (await new.response()).body == pattern(10)
            running.close()
            new.close()
            await clean(site)

    run(main, loop_name)


@pytest.mark.parametrize("loop_name", LOOPS)
def test_the_first_read_is_paced_too(conversation):
    async def talk(site, client):
        site.server.set_throttle("all", Throttle(upload=20_000))
        body = bytes(50_000)
        await client.send(request(0, b"/", body) + body)
        await until(lambda: connections(site) and connections(site)[0].bytes_in)
        assert connections(site)[0].bytes_in < 5000
        site.server.set_throttle("all", None)
        assert (await client.response()).status == 200
        client.close()
        await clean(site)

    conversation(answer, talk)


def test_what_came_with_the_head_of_a_throttled_path_is_a_debt(conversation):
    async def talk(site, client):
        site.server.set_throttle("/slow/*", Throttle(upload=10_000))
        body = bytes(40_000)
        await client.send(request(0, b"/slow/", body) + body[:20_000])
        await until(lambda: connections(site) and connections(site)[0].bytes_in)
        at_first = connections(site)[0].bytes_in
        await client.send(body[20_000:])
        await settle()
        if at_first > 15_000:  # the kernel gave it to us in one piece
            assert connections(site)[0].bytes_in == at_first
        site.server.set_throttle("/slow/*", None)
        assert (await client.response()).status == 200
        client.close()
        await clean(site)

    conversation(answer, talk)


# Scopes


@by_hand
def test_the_narrowest_scope_wins_and_the_total_caps_all(conversation):
    async def handle(exchange):
        if exchange.head.path.startswith(b"/own/"):
            exchange.set_rate(50_000_000)
        await answer(exchange)

    async def talk(site, client):
        loop, server = asyncio.get_running_loop(), site.server

        async def seconds(path, size=300_000):
            begun = loop.time()
            await client.send(request(size, path))
            response = asyncio.ensure_future(client.response())
            while not response.done():
                await pass_time(0.01, 0.01)
            assert len((await response).body) == size
            return loop.time() - begun

        assert await seconds(b"/") < 0.2
        server.set_throttle("all", down(1_000_000))
        assert await seconds(b"/") == pytest.approx(0.3, abs=0.05)
        server.set_throttle("/fast/*", down(100_000_000))
        assert await seconds(b"/fast/") < 0.2
        server.set_throttle(f"#{site.connection.id}", down(1_000_000))
        assert await seconds(b"/fast/") == pytest.approx(0.3, abs=0.05)
        assert await seconds(b"/own/") < 0.2
        server.set_throttle("total", down(1_000_000))
        assert await seconds(b"/own/") == pytest.approx(0.3, abs=0.05)
        client.close()
        await clean(site)

    conversation(handle, talk)


def test_a_handler_that_takes_its_rate_back_leaves_it_to_the_others(conversation):
    async def handle(exchange):
        exchange.set_rate(10)
        exchange.set_rate(0)
        await answer(exchange)

    async def talk(site, client):
        await client.send(request(100_000))
        assert (await client.response()).body == pattern(100_000)

    conversation(handle, talk)


@pytest.mark.parametrize("name", [name for name in PRESETS if name not in ("off", "offline")])
def test_each_preset_can_be_put_in_force_and_taken_back(conversation, name):
    async def talk(site, client):
        site.server.set_throttle("all", PRESETS[name])
        await client.send(request(5_000_000))
        await until(lambda: connections(site) and connections(site)[0].current)
        assert connections(site)[0].throttled
        assert connections(site)[0].pacer.rule.throttle == PRESETS[name]
        site.server.set_throttle("all", OFF)
        assert len((await client.response()).body) == 5_000_000
        client.close()
        await clean(site)

    conversation(answer, talk)


# WebSockets

HANDSHAKE = (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
             b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
MESSAGE = pattern(4000)
MESSAGES = 50


async def echo(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        await send({"type": "websocket.send", "bytes": message["bytes"]})


@each_loop
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_websocket_is_paced_both_ways_and_loses_nothing(loop_name, tls):
    frame = b"\x82\xfe" + len(MESSAGE).to_bytes(2, "big") + bytes(4) + MESSAGE
    reply = b"\x82\x7e" + len(MESSAGE).to_bytes(2, "big") + MESSAGE

    async def main():
        loop = asyncio.get_running_loop()
        async with serving_asgi(echo, tls=tls) as site:
            for throttle in (Throttle(upload=500_000), down(500_000)):
                site.server.set_throttle("all", throttle)
                client = await site.connect()
                await client.send(HANDSHAKE)
                await client.line(b"\r\n\r\n")
                begun = loop.time()
                sending = asyncio.ensure_future(client.send(frame * MESSAGES))
                assert await client.need(len(reply) * MESSAGES) == reply * MESSAGES
                assert loop.time() - begun > 0.2
                await sending
                client.close()
                await clean(site)

    run(main, loop_name)


# Letting go


def test_idle_connections_under_a_throttle_are_handed_over():
    async def main():
        descriptors = []
        async with serving(answer) as old:
            old.server.set_throttle("all", down(1_000_000, upload=1_000_000))
            client = await old.connect()
            await client.send(request(10))
            assert (await client.response()).body == pattern(10)
            await until(lambda: connections(old)[0].idle)
            await within(old.server.drain(1.0, descriptors.append))
            assert not old.server.ticker._paced
        async with serving(answer) as new:
            new.server.set_throttle("all", down(1_000_000, upload=1_000_000))
            [descriptor] = descriptors
            new.server.adopt(socket.socket(fileno=descriptor))
            await client.send(request(1000))
            assert (await client.response()).body == pattern(1000)
            client.close()
            await clean(new)

    run(main)


def test_unused_links_are_swept_even_when_no_connection_is_left():
    async def main():
        loop = asyncio.get_running_loop()
        async with serving(Handling(answer)) as site:
            site.server.set_throttle("all", down(1_000_000))
            assert (await site.get(b"/10")).body == pattern(10)
            assert site.server.throttle.clients == 1
            await until(lambda: not site.server.connections)
            loop.moved += 5
            await until(lambda: not site.server.throttle.clients)

    run(main)


def test_a_throttle_over_idle_connections_has_nothing_to_do():
    async def main():
        async with serving(answer) as site:
            clients = [await site.connect() for _ in range(20)]
            for client in clients:
                await client.send(request(10))
                await client.response()
            site.server.set_throttle("all", PRESETS["slow-4g"])
            await settle()
            assert not site.server.ticker._paced
            for client in clients:
                client.close()
            await clean(site)

    run(main)


# Clocks


@by_hand
def test_a_request_that_we_hold_back_is_not_too_slow(conversation):
    async def talk(site, client):
        site.server.set_throttle("all", PRESETS["offline"])
        body = bytes(20_000)
        await client.send(request(10, b"/", body) + body)
        await until(lambda: site.server.connections)
        await pass_time(40)
        assert site.server.connections
        site.server.set_throttle("all", None)
        assert (await client.response()).body == pattern(10)
        client.close()
        await clean(site)

    conversation(answer, talk, request_timeout=2.0, keepalive_timeout=2.0)


@by_hand
def test_a_client_that_sends_nothing_is_too_slow_under_a_throttle_too(conversation):
    async def talk(site, client):
        site.server.set_throttle("all", Throttle(upload=1_000_000))
        await client.send(request(10, b"/", bytes(1000)))
        await until(lambda: site.server.tasks)
        await pass_time(20)
        assert (await client.response()).status == 408

    conversation(answer, talk)


def test_an_application_that_writes_to_a_broken_connection_does_not_keep_the_loop(conversation):
    async def handle(exchange):
        exchange.response.start(200, (), length=1 << 40)
        while not exchange.disconnected:
            wait = exchange.response.write(bytes(16384))
            if wait is not None:
                await wait

    async def talk(site, client):
        await client.send(GET)
        await client.receive()
        client.reset()
        await clean(site)

    conversation(handle, talk)
