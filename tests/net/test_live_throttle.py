"""The throttle at work on real connections; exactness is tested with buckets alone."""

import asyncio
import os

import pytest

from tests.net.handlers import count, sends
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
from tests.support.wire import GET
from tremolo.net.connection import HTTPConnection
from tremolo.net.stream import Stream
from tremolo.throttle import OFF, PRESETS, Throttle

#: seconds of one step of the clock
STEP = 0.01


@pytest.fixture
def loop_name():
    """By the clock of the tests, but for those of `each_loop`."""
    return "by-hand"


async def take(client, received, seconds, step=STEP):
    """Let time pass while the client reads all that comes."""
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


def about(count, rate, seconds):
    """Whether so many bytes are what a rate lets pass, but for what may pass at once."""
    return abs(count - rate * seconds) <= 0.05 * rate


def held(site):
    """The throttle holds a response back."""
    return site.server.connections and site.connection.outbox.blocked_since


def body_of(received):
    return received.partition(b"\r\n\r\n")[2]


def test_download_rates_change_in_the_middle_of_a_response(conversation):
    data = pattern(1_000_000)

    async def talk(site, client):
        site.server.set_throttle("all", Throttle(download=100_000))
        await client.send(GET)
        await until(lambda: held(site))
        received = bytearray()
        for rate in (100_000, 10_000, 200_000):
            site.server.set_throttle("all", Throttle(download=rate))
            before = len(received)
            await take(client, received, 2.0)
            assert about(len(received) - before, rate, 2.0)
        site.server.set_throttle("all", None)
        await take(client, received, 0.1)
        assert body_of(received) == data

    conversation(sends(data), talk)


def test_a_slow_transfer_is_looked_at_when_it_may_go_on_not_at_every_turn(
        conversation, monkeypatch):
    looks = []
    look = HTTPConnection.on_pace
    monkeypatch.setattr(HTTPConnection, "on_pace",
                        lambda self, now: (looks.append(now), look(self, now)))

    async def talk(site, client):
        site.server.set_throttle("all", Throttle(download=10_000))
        await client.send(GET)
        await until(lambda: held(site))
        writes = site.server.counters.writes
        looks.clear()
        received = bytearray()
        await take(client, received, 2.0)
        writes = site.server.counters.writes - writes
        assert about(len(received), 10_000, 2.0)
        assert 0.8 * 2.0 / 0.06 <= writes <= 2.0 / 0.05
        assert len(looks) <= writes + 3

    conversation(sends(pattern(1_000_000)), talk)


@pytest.mark.skipif(not hasattr(os, "readv"), reason="PyPy has no os.readv")
def test_slow_uploads_are_read_without_waking_the_transport(conversation, monkeypatch):
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

    async def talk(site, client):
        site.server.set_throttle("all", Throttle(upload=10_000))
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 15000\r\n\r\n")
        await client.send(pattern(15_000))
        await until(lambda: site.server.connections and site.connection.stream.reads_blocked)
        await take(client, bytearray(), 1.0)
        assert about(sum(sizes), 10_000, 1.0)
        assert not woken
        monkeypatch.undo()
        site.server.remember(True)
        await take(client, bytearray(), 1.0)
        assert sum(sizes) == 15_000
        assert 1.0 < site.server.recent[0].throttled < 2.0

    conversation(sink, talk)


def test_offline_lets_nothing_pass_until_it_is_lifted(conversation):
    data = pattern(1_000_000)

    async def talk(site, client):
        site.server.set_throttle("all", Throttle(download=100_000))
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

    conversation(sends(data), talk)


@pytest.mark.parametrize("scope", ["*", "/", "#1", "client:127.0.0.1", "total"])
def test_each_scope_reaches_a_running_response(conversation, scope):
    data = pattern(20_000_000)

    async def talk(site, client):
        await client.send(GET)
        await until(lambda: site.server.connections and site.connection.outbox.full)
        assert not site.connection.throttled
        site.server.set_throttle(scope, Throttle(download=50_000))
        received = bytearray()
        await take(client, received, 0.5)
        out = site.connection.bytes_out
        await take(client, received, 2.0)
        assert about(site.connection.bytes_out - out, 50_000, 2.0)
        site.server.set_throttle(scope, None)
        while len(received) < len(data):
            received += await client.receive(1 << 20)
        assert data.startswith(body_of(received))

    conversation(sends(data), talk, receive_buffer=65536)


def test_the_handlers_own_rate_counts(conversation):
    async def handle(exchange):
        exchange.set_rate(20_000)
        await sends(pattern(100_000))(exchange)

    async def talk(site, client):
        await client.send(GET)
        await until(lambda: held(site))
        received = bytearray()
        await take(client, received, 2.0)
        assert about(len(received), 20_000, 2.0)
        await take(client, received, 4.0)
        assert body_of(received) == pattern(100_000)

    conversation(handle, talk)


def test_latency_holds_back_the_first_byte_and_no_second(conversation):
    async def talk(site, client):
        site.server.set_throttle("all", Throttle(latency=2.0))
        await client.send(GET)
        await until(lambda: site.server.counters.requests)
        received = bytearray()
        await take(client, received, 1.99)
        assert not received
        await take(client, received, 0.03)
        assert body_of(received) == b"x" * 1000

    conversation(sends(b"x" * 1000), talk)


def test_latency_ends_with_its_rule(conversation):
    async def talk(site, client):
        site.server.set_throttle("all", Throttle(latency=60.0))
        await client.send(GET)
        await until(lambda: site.server.counters.requests)
        received = bytearray()
        await take(client, received, 0.5)
        assert not received
        site.server.set_throttle("all", None)
        await take(client, received, 0.1)
        assert body_of(received) == b"x" * 1000

    conversation(sends(b"x" * 1000), talk)


def test_upload_rates_change_in_the_middle_of_a_request(conversation):
    data = pattern(2_000_000)
    got = bytearray()

    async def handle(exchange):
        while True:
            piece = await exchange.read()
            if not piece:
                break
            got.extend(piece)
        exchange.response.respond(200, (), b"")

    async def talk(site, client):
        site.server.set_throttle("all", Throttle(upload=100_000))
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
                          % len(data))
        await until(lambda: site.server.tasks)
        sending = asyncio.ensure_future(client.send(data))
        await pass_time(2.0, STEP)
        assert about(len(got), 100_000, 2.0)
        site.server.set_throttle("all", Throttle(upload=10_000))
        await pass_time(STEP, STEP)  # a piece that was due before may come now
        before = len(got)
        await pass_time(2.0, STEP)
        assert about(len(got) - before, 10_000, 2.0)
        before = len(got)
        site.server.set_throttle("all", PRESETS["offline"])
        await pass_time(50.0)
        assert len(got) - before <= 100
        site.server.set_throttle("all", None)
        await until(lambda: len(got) == len(data))
        await sending
        assert got == data
        assert (await client.response()).status == 200

    conversation(handle, talk)


def test_a_throttled_upload_that_nobody_reads_is_not_hoarded(conversation):
    async def handle(exchange):
        await asyncio.sleep(10**6)

    async def talk(site, client):
        site.server.set_throttle("all", Throttle(upload=200_000))
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n")
        sending = asyncio.ensure_future(client.send(bytes(9_000_000)))
        await until(lambda: site.server.tasks)
        await pass_time(20.0, 0.02)
        assert site.connection.parser.buffered <= 2 * 64 * 1024
        sending.cancel()

    conversation(handle, talk)


def test_a_throttled_upload_is_no_slow_body(conversation):
    async def talk(site, client):
        site.server.set_throttle("all", Throttle(upload=100))
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6000\r\n\r\n")
        await client.send(bytes(6000))
        await pass_time(40.0, 0.1)
        assert site.server.tasks
        site.server.set_throttle("all", None)
        await pass_time(0.1, STEP)
        assert (await client.response()).body == b"6000"

    conversation(count, talk)


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

    run(main, "by-hand")


@pytest.mark.parametrize("fault, status", [
    (Throttle(error_rate=1.0, error_status=503), 503),
    (Throttle(error_rate=1.0, error_status=429, latency=0.2), 429),
])
def test_an_injected_error_keeps_the_application_out_of_it(conversation, fault, status):
    asked = []

    async def handle(exchange):
        asked.append(exchange)

    async def talk(site, client):
        site.server.set_throttle("all", fault)
        for _ in range(2):
            await client.send(GET)
            await settle()
            await pass_time(fault.latency + STEP, STEP)
            assert (await client.response()).status == status
        assert not asked

    conversation(handle, talk)


def test_what_a_throttle_held_is_not_told_of_later_requests(conversation):
    async def handle(exchange):
        exchange.response.respond(200, (), b"x")

    async def talk(site, client):
        site.server.remember(True)
        site.server.set_throttle("all", Throttle(latency=0.1))
        await client.send(GET)
        await until(lambda: site.server.counters.requests)
        await pass_time(0.12, STEP)
        await client.response()
        site.server.set_throttle("all", None)
        await client.send(GET)
        await client.response()
        await until(lambda: len(site.server.recent) == 2)
        held, free = (ended.throttled for ended in site.server.recent)
        assert held == pytest.approx(0.1, abs=2 * STEP) and free == 0.0

    conversation(handle, talk)


@each_loop
def test_a_live_transfer_goes_on_through_many_changes(conversation):
    data = pattern(3_000_000)

    async def talk(site, client):
        await client.send(GET)
        task = asyncio.ensure_future(client.response())
        for number in range(40):
            site.server.set_throttle(
                "all", (Throttle(download=1_000_000 * (number % 4 + 1)), None,
                        PRESETS["offline"])[number % 3] if number % 5 else OFF)
            await asyncio.sleep(0.003)
        site.server.set_throttle("all", None)
        assert (await task).body == data

    conversation(sends(data), talk)


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


def test_a_connection_that_ends_while_it_is_held_leaves_nothing_behind(conversation):
    async def talk(site, client):
        site.server.set_throttle("all", Throttle(download=1000))
        await client.send(GET)
        await until(lambda: held(site))
        site.server.set_throttle("all", PRESETS["offline"])
        client.reset()
        await pass_time(1.0)
        assert not site.server.connections
        assert not site.server.tasks
        assert not site.server.ticker._paced

    conversation(sends(pattern(100_000)), talk)
