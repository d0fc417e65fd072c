"""Traffic of every kind for a while, good and bad, leaves nothing behind; and the wall clock may
jump meanwhile, for nothing but Date and the log goes by it.

A little by default; `TREMOLO_SOAK=200` for as long as it takes to see a slow leak.
"""

import asyncio
import gc
import logging
import os
import random
import time

import pytest

from tests.support.serving import each_loop, pass_time, pattern, run, serving_asgi, until
from tests.support.websocket_peer import TEXT, closing, frame, handshake

tracemalloc = pytest.importorskip("tracemalloc", reason="PyPy does not tell what is allocated")

pytestmark = pytest.mark.slow
ROUNDS = int(os.environ.get("TREMOLO_SOAK", "2"))
WARM = 1  # servers after which caches are filled
GROWTH = 256 << 10
DAY = 86400.0
UPGRADE = handshake()


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        for _ in range(2):
            message = await receive()
            await send({"type": message["type"] + ".complete"})
        return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            await send({"type": "websocket.send", "text": message["text"]})
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message["body"])
        if not message["more_body"]:
            break
    if scope["path"] == "/broken":
        raise ValueError("an error of the application")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(3):
        await send({"type": "http.response.body", "body": b"%d\n" % size, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def answered(client, data, count=1, status=200):
    await client.send(data)
    for _ in range(count):
        assert (await client.response()).status == status


async def kept_alive(client, rng):
    for _ in range(3):
        await answered(client, b"GET / HTTP/1.1\r\nHost: a\r\nX: %d\r\n\r\n" % rng.randrange(99))


async def pipelined(client, rng):
    await answered(client, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 5, 5)


async def upload(client, rng):
    body = pattern(rng.randrange(1, 50_000))
    await answered(client, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                   b"%x;a=b\r\n%b\r\n0\r\nX: y\r\n\r\n" % (len(body), body))


async def upload_left(client, rng):
    await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc")
    await asyncio.sleep(0)
    client.reset()


async def refused(client, rng):
    await answered(client, b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", status=400)


async def garbage(client, rng):
    await client.send(rng.randbytes(200))
    client.half_close()
    await client.rest()


async def broken(client, rng):
    await answered(client, b"GET /broken HTTP/1.1\r\nHost: a\r\n\r\n", status=500)


async def websocket(client, rng):
    await client.send(UPGRADE)
    assert (await client.line(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    for _ in range(3):
        await client.send(frame(TEXT, b"hello"))
        assert await client.need(7) == b"\x81\x05hello"
    if rng.random() < 0.5:
        await client.send(closing(1000))
        assert await client.need(4) == b"\x88\x02\x03\xe8"


KINDS = (kept_alive, pipelined, upload, upload_left, refused, garbage, broken, websocket)


async def traffic(site, rng):
    async def one(kind):
        client = await site.connect()
        try:
            await kind(client, rng)
        except ConnectionResetError:
            assert kind in (garbage, upload_left)
        finally:
            client.close()

    await asyncio.gather(*(one(kind) for kind in KINDS))
    await until(lambda: not site.server.connections and not site.server.tasks)


def descriptors():
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


@each_loop
def test_traffic_leaves_nothing_behind(loop_name, monkeypatch):
    seed = random.randrange(1 << 30)
    rng = random.Random(seed)
    print(f"seed {seed}")
    wall = time.time
    measured = []

    async def main():
        async with serving_asgi(app) as site:
            for _ in range(2):
                jump = rng.choice((-DAY, 0.0, DAY))
                monkeypatch.setattr(time, "time", lambda jump=jump: wall() + jump)
                await traffic(site, rng)

    logging.disable(logging.CRITICAL)  # pytest keeps records, and with them what they are about
    tracemalloc.start()
    try:
        for number in range(WARM + ROUNDS):
            run(main, loop_name)
            if number + 1 in (WARM, WARM + ROUNDS):
                gc.collect()
                measured.append((tracemalloc.get_traced_memory()[0], descriptors()))
    finally:
        tracemalloc.stop()
        logging.disable(logging.NOTSET)
    (memory, files), (memory_then, files_then) = measured
    assert memory_then - memory < GROWTH
    assert files_then == files


@pytest.mark.parametrize("jump", [-DAY, DAY], ids=["back", "on"])
def test_a_jump_of_the_wall_clock_ends_no_wait_and_moves_only_the_date(jump, monkeypatch):
    wall = time.time
    settings = {"request_timeout": 5, "keepalive_timeout": 5, "app_handler_timeout": 5}

    async def main():
        async with serving_asgi(app, download_rate=20_000, **settings) as site:
            kept = await site.connect()
            await answered(kept, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            begun = await site.connect()
            await begun.send(b"GET / HTTP/1.1\r\n")
            uploading = await site.connect()
            await uploading.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
            talking = await site.connect()
            await talking.send(UPGRADE)
            await talking.line(b"\r\n\r\n")
            await until(lambda: len(site.server.connections) == 4)
            monkeypatch.setattr(time, "time", lambda: wall() + jump)
            await pass_time(3)  # less than any of the clocks
            assert len(site.server.connections) == 4
            await begun.send(b"Host: a\r\n\r\n")
            date = (await begun.response())["date"]
            day = time.strftime("%a, %d %b %Y", time.gmtime(wall() + jump))
            assert date.startswith(day)
            await uploading.send(b"def")
            assert (await uploading.response()).body == b"6\n" * 3
            await answered(kept, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            await talking.send(frame(TEXT, b"hello"))
            assert await talking.need(7) == b"\x81\x05hello"
            monkeypatch.setattr(time, "time", wall)
            await pass_time(12)  # the clocks of waiting still run
            assert await kept.closed()
            for client in (kept, begun, uploading, talking):
                client.close()

    run(main, "by-hand")
