"""The throttle at work on real connections; exactness is tested with buckets alone."""

import asyncio
import os

import pytest

from tests.support.serving import (
    Handling,
    each_loop,
    pass_time,
    pattern,
    run,
    serving,
    settle,
    until,
)
from tremolo.net.connection import HTTPConnection
from tremolo.net.stream import Stream
from tremolo.throttle import OFF, PRESETS, Throttle

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
#: seconds of one step of the clock
STEP = 0.01


def sends(data):
    async def handle(exchange):
        exchange.response.start(200, (), length=len(data))
        for begin in range(0, len(data), 16384):
            wait = exchange.response.write(data[begin:begin + 16384])
            if wait is not None:
                await wait
        exchange.response.finish()

    return handle


async def take(client, received, seconds, step=STEP):
    """Let time pass while the client reads all that comes; the seconds that it really was."""
    begun = asyncio.get_running_loop().time()
    while seconds > 0:
        await pass_time(step, step)
        seconds -= step
        while True:
            try:
                data = client.sock.recv(1 << 20)
            except BlockingIOError:
                break
            if not data:
                break
            received += data
    return asyncio.get_running_loop().time() - begun


def about(count, rate, seconds):
    """Whether so many bytes are what a rate lets pass, with what may pass at once."""
    return 0.85 * rate * seconds - 2000 <= count <= 1.1 * rate * seconds + 0.25 * rate + 1500


def held(site):
    """The throttle holds a response back."""
    return site.server.connections and site.connection.outbox.blocked_since


def body_of(received):
    return received.partition(b"\r\n\r\n")[2]


def test_download_rates_change_in_the_middle_of_a_response():
    data = pattern(1_000_000)

    async def main():
        async with serving(sends(data)) as site:
            site.server.set_throttle("all", Throttle(download=100_000))
            client = await site.connect()
            await client.send(GET)
            await until(lambda: held(site))
            received = bytearray()
            seconds = await take(client, received, 2.0)
            assert about(len(received), 100_000, seconds)
            site.server.set_throttle("all", Throttle(download=10_000))
            before = len(received)
            seconds = await take(client, received, 2.0)
            assert about(len(received) - before, 10_000, seconds)
            site.server.set_throttle("all", Throttle(download=200_000))
            before = len(received)
            seconds = await take(client, received, 2.0)
            assert about(len(received) - before, 200_000, seconds)
            site.server.set_throttle("all", None)
            await take(client, received, 0.1)
            assert body_of(received) == data
            client.close()

    run(main)


def test_a_slow_transfer_is_looked_at_when_it_may_go_on_not_at_every_turn(monkeypatch):
    looks = []
    look = HTTPConnection.on_pace
    monkeypatch.setattr(HTTPConnection, "on_pace",
                        lambda self, now: (looks.append(now), look(self, now)))

    async def main():
        async with serving(sends(pattern(1_000_000))) as site:
            site.server.set_throttle("all", Throttle(download=10_000))
            client = await site.connect()
            await client.send(GET)
            await until(lambda: held(site))
            writes = site.server.counters.writes
            looks.clear()
            received = bytearray()
            seconds = await take(client, received, 2.0)
            writes = site.server.counters.writes - writes
            assert about(len(received), 10_000, seconds)
            assert 0.8 * seconds / 0.06 <= writes <= seconds / 0.05
            assert len(looks) <= writes + 3
            client.close()

    run(main)


@pytest.mark.skipif(not hasattr(os, "readv"), reason="PyPy has no os.readv")
def test_slow_uploads_are_read_without_waking_the_transport(monkeypatch):
    woken = []
    monkeypatch.setattr(Stream, "unblock_reads", woken.append)
    sizes = []

    async def sink(exchange):
        while True:
            piece = await exchange.read()
            sizes.append(len(piece))
            if not piece:
                break
        exchange.response.respond(200, (), b"%d" % sum(sizes))

    async def main():
        async with serving(sink) as site:
            site.server.set_throttle("all", Throttle(upload=10_000))
            client = await site.connect()
            await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 15000\r\n\r\n")
            await client.send(pattern(15_000))
            await until(lambda: site.server.connections and site.connection.stream.reads_blocked)
            seconds = await take(client, bytearray(), 1.0)
            assert about(sum(sizes), 10_000, seconds)
            assert not woken
            monkeypatch.undo()
            site.server.remember(True)
            seconds += await take(client, bytearray(), 1.0)
            assert sum(sizes) == 15_000
            throttled = site.server.recent[0].throttled
            assert 1.0 < throttled < seconds
            client.close()

    run(main)


def test_offline_lets_nothing_pass_until_it_is_lifted():
    data = pattern(1_000_000)

    async def main():
        async with serving(sends(data)) as site:
            site.server.set_throttle("all", Throttle(download=100_000))
            client = await site.connect()
            await client.send(GET)
            await until(lambda: held(site))
            received = bytearray()
            await take(client, received, 1.0)
            site.server.set_throttle("all", PRESETS["offline"])
            await take(client, received, 0.05)
            before = len(received)
            assert before
            await take(client, received, 100.0, step=0.5)
            assert len(received) == before
            assert site.server.connections
            site.server.set_throttle("all", OFF)
            await take(client, received, 0.1)
            assert body_of(received) == data
            client.close()

    run(main)


@pytest.mark.parametrize("scope", ["*", "/", "#1", "client:127.0.0.1", "total"])
def test_each_scope_reaches_a_running_response(scope):
    data = pattern(20_000_000)

    async def main():
        async with serving(sends(data)) as site:
            client = await site.connect(receive_buffer=65536)
            await client.send(GET)
            await until(lambda: site.server.connections and site.connection.outbox.full)
            assert not site.connection.throttled
            site.server.set_throttle(scope, Throttle(download=50_000))
            received = bytearray()
            await take(client, received, 0.5)
            out = site.connection.bytes_out
            seconds = await take(client, received, 2.0)
            assert about(site.connection.bytes_out - out, 50_000, seconds)
            site.server.set_throttle(scope, None)
            while len(received) < len(data):
                received += await client.receive(1 << 20)
            assert data.startswith(body_of(received))
            client.close()

    run(main)


def test_the_handlers_own_rate_counts():
    async def main():
        async def handle(exchange):
            exchange.set_rate(20_000)
            await sends(pattern(100_000))(exchange)

        async with serving(handle) as site:
            client = await site.connect()
            await client.send(GET)
            await until(lambda: held(site))
            received = bytearray()
            seconds = await take(client, received, 2.0)
            assert about(len(received), 20_000, seconds)
            await take(client, received, 4.0)
            assert body_of(received) == pattern(100_000)
            client.close()

    run(main)


def test_latency_holds_back_the_first_byte_and_no_second():
    async def main():
        async with serving(sends(b"x" * 1000)) as site:
            site.server.set_throttle("all", Throttle(latency=2.0))
            client = await site.connect()
            await client.send(GET)
            await until(lambda: site.server.counters.requests)
            received = bytearray()
            await take(client, received, 1.9)
            assert not received
            await take(client, received, 0.2)
            assert body_of(received) == b"x" * 1000
            client.close()

    run(main)


def test_latency_ends_with_its_rule():
    async def main():
        async with serving(sends(b"x" * 1000)) as site:
            site.server.set_throttle("all", Throttle(latency=60.0))
            client = await site.connect()
            await client.send(GET)
            await until(lambda: site.server.counters.requests)
            received = bytearray()
            await take(client, received, 0.5)
            assert not received
            site.server.set_throttle("all", None)
            await take(client, received, 0.1)
            assert body_of(received) == b"x" * 1000
            client.close()

    run(main)


def test_upload_rates_change_in_the_middle_of_a_request():
    data = pattern(2_000_000)

    async def main():
        got = bytearray()

        async def handle(exchange):
            while True:
                piece = await exchange.read()
                if not piece:
                    break
                got.extend(piece)
            exchange.response.respond(200, (), b"")

        async with serving(handle) as site:
            site.server.set_throttle("all", Throttle(upload=100_000))
            client = await site.connect()
            await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
                              % len(data))
            await until(lambda: site.server.tasks)
            sending = asyncio.ensure_future(client.send(data))
            begun = asyncio.get_running_loop().time()
            await pass_time(2.0, STEP)
            assert about(len(got), 100_000, asyncio.get_running_loop().time() - begun)
            site.server.set_throttle("all", Throttle(upload=10_000))
            before = len(got)
            begun = asyncio.get_running_loop().time()
            await pass_time(2.0, STEP)
            assert about(len(got) - before, 10_000, asyncio.get_running_loop().time() - begun)
            before = len(got)
            site.server.set_throttle("all", PRESETS["offline"])
            await pass_time(50.0)
            assert len(got) - before <= 100
            site.server.set_throttle("all", None)
            await until(lambda: len(got) == len(data))
            await sending
            assert got == data
            assert (await client.response()).status == 200
            client.close()

    run(main)


def test_a_throttled_upload_that_nobody_reads_is_not_hoarded():
    async def main():
        async def handle(exchange):
            await asyncio.sleep(10**6)

        async with serving(handle) as site:
            site.server.set_throttle("all", Throttle(upload=200_000))
            client = await site.connect()
            await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n")
            sending = asyncio.ensure_future(client.send(bytes(9_000_000)))
            await until(lambda: site.server.tasks)
            await pass_time(20.0, 0.02)
            assert site.connection.parser.buffered <= 2 * 64 * 1024
            sending.cancel()
            client.close()

    run(main)


def test_a_throttled_upload_is_no_slow_body():
    async def main():
        async def handle(exchange):
            total = 0
            while True:
                piece = await exchange.read()
                if not piece:
                    break
                total += len(piece)
            exchange.response.respond(200, (), b"%d" % total)

        async with serving(handle) as site:
            site.server.set_throttle("all", Throttle(upload=100))
            client = await site.connect()
            await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6000\r\n\r\n")
            await until(lambda: site.server.tasks)
            await client.send(bytes(6000))
            await pass_time(40.0, 0.1)
            assert site.server.tasks
            site.server.set_throttle("all", None)
            assert (await client.response()).body == b"6000"
            client.close()

    run(main)


def test_a_rule_is_for_its_path_only():
    async def main():
        async with serving(sends(pattern(100_000))) as site:
            site.server.set_throttle("/slow/*", Throttle(download=10_000))
            slow, fast = await site.connect(), await site.connect()
            await slow.send(b"GET /slow/a HTTP/1.1\r\nHost: a\r\n\r\n")
            await fast.send(b"GET /fast HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await fast.response()).body == pattern(100_000)
            await until(lambda: any(c.outbox.blocked_since
                                    for c in site.server.connections.values()))
            # The limit ends with the response, not with the connection.
            received = bytearray()
            await take(slow, received, 11.0, 0.02)
            assert body_of(received) == pattern(100_000)
            await slow.send(b"GET /fast HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await slow.response()).body == pattern(100_000)
            slow.close()
            fast.close()

    run(main)


@pytest.mark.parametrize("fault, status", [
    (Throttle(error_rate=1.0, error_status=503), 503),
    (Throttle(error_rate=1.0, error_status=429, latency=0.2), 429),
])
def test_an_injected_error_keeps_the_application_out_of_it(fault, status):
    async def main():
        asked = []

        async def handle(exchange):
            asked.append(exchange)

        async with serving(handle) as site:
            site.server.set_throttle("all", fault)
            client = await site.connect()
            for _ in range(2):
                await client.send(GET)
                assert (await client.response()).status == status
            assert not asked
            client.close()

    run(main)


def test_what_a_throttle_held_is_not_told_of_later_requests():
    async def main():
        async with serving(lambda exchange: _respond(exchange)) as site:
            site.server.remember(True)
            client = await site.connect()
            site.server.set_throttle("all", Throttle(latency=0.1))
            await client.send(GET)
            await client.response()
            site.server.set_throttle("all", None)
            await client.send(GET)
            await client.response()
            await until(lambda: len(site.server.recent) == 2)
            held, free = (ended.throttled for ended in site.server.recent)
            assert held > 0.05 and free == 0.0
            client.close()

    run(main)


async def _respond(exchange):
    exchange.response.respond(200, (), b"x")


@each_loop
def test_a_live_transfer_goes_on_through_many_changes(loop_name):
    data = pattern(3_000_000)

    async def main():
        async with serving(sends(data)) as site:
            client = await site.connect()
            await client.send(GET)
            task = asyncio.ensure_future(client.response())
            for number in range(40):
                site.server.set_throttle(
                    "all", (Throttle(download=1_000_000 * (number % 4 + 1)), None,
                            PRESETS["offline"])[number % 3] if number % 5 else OFF)
                await asyncio.sleep(0.003)
            site.server.set_throttle("all", None)
            assert (await task).body == data
            client.close()

    run(main, loop_name)


@each_loop
@pytest.mark.parametrize("tls", [False, True])
def test_a_throttled_transfer_over_the_wire_is_whole_and_not_fast(loop_name, tls):
    data = pattern(300_000)

    async def main():
        loop = asyncio.get_running_loop()
        async with serving(Handling(sends(data)), tls=tls) as site:
            site.server.set_throttle("all", Throttle(download=1_000_000))
            begun = loop.time()
            assert (await site.get()).body == data
            assert loop.time() - begun > 0.15

    run(main, loop_name)


def test_a_connection_that_ends_while_it_is_held_leaves_nothing_behind():
    async def main():
        async with serving(sends(pattern(100_000))) as site:
            site.server.set_throttle("all", Throttle(download=1000))
            client = await site.connect()
            await client.send(GET)
            await until(lambda: held(site))
            site.server.set_throttle("all", PRESETS["offline"])
            client.reset()
            await until(lambda: not site.server.connections)
            await settle()
            assert not site.server.tasks
            assert not site.server.ticker._paced

    run(main)
