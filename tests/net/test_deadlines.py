"""Clocks of a connection, by a loop whose clock the tests move on."""

import asyncio

import pytest

from tests.net.handlers import hello
from tests.support.serving import Handling, pass_time, run, serving, settle, until
from tests.support.wire import GET
from tremolo.net.ticker import GAP, INTERVAL, Ticker


@pytest.fixture
def loop_name():
    return "by-hand"


async def never(exchange):
    await asyncio.sleep(100000)


# The head: 10 seconds in all, from the accept or from a later head's first byte


def test_a_connection_that_says_nothing_is_closed_without_a_word(conversation):
    async def talk(site, client):
        await until(lambda: site.server.connections)
        await pass_time(9.5)
        assert site.server.connections
        await pass_time(1)
        assert await client.closed()

    conversation(hello, talk)


@pytest.mark.parametrize("drip", [False, True])
def test_a_slow_head_is_refused_however_it_drips(conversation, drip):
    async def talk(site, client):
        await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n")
        await until(lambda: site.server.connections)
        for _ in range(21):
            if drip:
                await client.send(b"X")
                await settle()
            await pass_time(0.5)
        response = await client.response()
        assert (response.status, response["connection"]) == (408, "close")

    conversation(hello, talk)


def test_the_clock_of_a_later_head_starts_with_its_first_byte(conversation):
    async def talk(site, client):
        await client.send(GET)
        await client.response()
        await pass_time(12)
        await client.send(b"GET ")
        await settle()
        await pass_time(8)
        assert site.server.connections
        await client.send(b"/ HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await client.response()).status == 200
        await client.send(b"GET ")
        await settle()
        await pass_time(11)
        assert (await client.response()).status == 408

    conversation(hello, talk)


def test_a_pipelined_head_that_is_never_completed_is_refused(conversation):
    async def talk(site, client):
        await client.send(GET + b"GET / HT")
        assert (await client.response()).status == 200
        await pass_time(11)
        assert (await client.response()).status == 408

    conversation(hello, talk)


# Between requests


def test_an_idle_connection_is_closed_without_a_word(conversation):
    async def talk(site, client):
        for _ in range(3):
            await client.send(GET)
            await client.response()
            await pass_time(4.5)
        assert site.server.connections
        await pass_time(1)
        assert await client.closed()

    conversation(hello, talk, keepalive_timeout=5)


# The handler


def test_a_handler_that_does_not_answer_in_time_is_cancelled(conversation):
    async def talk(site, client):
        await client.send(GET)
        await until(lambda: site.server.tasks)
        await pass_time(59)
        assert site.server.tasks
        await pass_time(2)
        response = await client.response()
        assert (response.status, response["connection"]) == (504, "close")
        assert not site.server.tasks

    conversation(Handling(never, handler_timeout=60.0), talk)


def test_a_handler_that_has_begun_to_answer_has_all_the_time(conversation):
    async def handle(exchange):
        exchange.response.start(200, ())
        exchange.response.write(b"x")
        exchange.response.flush()
        await asyncio.sleep(100)
        exchange.response.finish()

    async def talk(site, client):
        await client.send(GET)
        await until(lambda: site.server.tasks)
        await pass_time(104, step=2)
        assert (await client.response()).body == b"x"

    conversation(Handling(handle, handler_timeout=60.0), talk)


def test_without_handler_timeout_a_handler_has_all_the_time(conversation):
    async def talk(site, client):
        await client.send(GET)
        await until(lambda: site.server.tasks)
        await pass_time(300, step=2)
        assert site.server.tasks

    conversation(Handling(never, handler_timeout=0.0), talk)


# Pauses of the whole process


def test_a_pause_of_the_process_shifts_the_clocks():
    async def main():
        loop = asyncio.get_running_loop()
        async with serving(Handling(never, handler_timeout=60.0)) as site:
            silent, asking, sending = [await site.connect() for _ in range(3)]
            await asking.send(GET)
            await sending.send(b"GET / HT")
            await until(lambda: len(site.server.connections) == 3 and site.server.tasks)
            await pass_time(5)
            loop.moved += 3600  # SIGSTOP, a debugger, a closed lid
            await pass_time(4)
            assert len(site.server.connections) == 3
            await pass_time(3)
            assert await silent.closed()
            assert (await sending.response()).status == 408
            await pass_time(45)
            assert site.server.tasks
            await pass_time(4)
            assert (await asking.response()).status == 504
            for client in (silent, asking, sending):
                client.close()

    run(main, "by-hand")


def test_a_pause_is_no_slow_body(conversation):
    async def handle(exchange):
        exchange.response.respond(200, (), await exchange.read())

    async def talk(site, client):
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n")
        await site.reading()
        await pass_time(10)
        asyncio.get_running_loop().moved += 500
        await pass_time(4)
        await client.send(b"abc")
        assert (await client.response()).body == b"abc"

    conversation(Handling(handle, handler_timeout=100.0), talk)


# The ticker alone


class Member:
    def __init__(self, deadline):
        self.deadline = deadline
        self.fired = []
        self.shifted = 0.0

    def on_deadline(self, now):
        self.fired.append(now)
        self.deadline = float("inf")

    def shift(self, seconds):
        self.deadline += seconds
        self.shifted += seconds


def test_the_ticker_fires_within_an_interval_and_once():
    async def main():
        loop = asyncio.get_running_loop()
        turns = []
        begun = loop.time()
        early, late = Member(begun + 1), Member(begun + 5)
        ticker = Ticker(loop, {1: early, 2: late}, turns.append)
        ticker.wake()
        await pass_time(3, step=0.1)
        assert len(early.fired) == 1
        assert begun + 1 <= early.fired[0] <= begun + 1 + 2 * INTERVAL
        assert not late.fired
        ticker.stop()
        await pass_time(3)
        assert not late.fired
        assert turns

    run(main, "by-hand")


@pytest.mark.parametrize("pause, shifted", [(GAP, False), (GAP + 2 * INTERVAL, True)])
def test_the_ticker_shifts_deadlines_by_a_long_pause_only(pause, shifted):
    async def main():
        loop = asyncio.get_running_loop()
        member = Member(loop.time() + 1)
        ticker = Ticker(loop, {1: member}, lambda now: None)
        ticker.wake()
        loop.moved += pause
        await settle()
        assert bool(member.shifted) is shifted
        assert bool(member.fired) is not shifted
        ticker.stop()

    run(main, "by-hand")


def test_the_ticker_rests_without_members():
    async def main():
        loop = asyncio.get_running_loop()
        turns = []
        members = {}
        ticker = Ticker(loop, members, turns.append)
        ticker.wake()
        await pass_time(1)
        seen = len(turns)
        await pass_time(10)
        assert len(turns) == seen
        member = members[1] = Member(loop.time() + 0.1)
        ticker.wake()
        await pass_time(1, step=0.1)
        assert member.fired
        ticker.stop()

    run(main, "by-hand")


def test_the_ticker_goes_on_after_a_member_that_raises():
    async def main():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: heard.append(context))
        heard = []
        broken, other = Member(loop.time()), Member(loop.time() + 1)

        def fail(now):
            broken.deadline = float("inf")
            raise ValueError("broken")

        broken.on_deadline = fail
        ticker = Ticker(loop, {1: broken, 2: other}, lambda now: None)
        ticker.wake()
        await pass_time(2)
        assert heard
        assert other.fired
        ticker.stop()

    run(main, "by-hand")


def test_the_ticker_calls_the_paced_faster_until_they_leave():
    async def main():
        loop = asyncio.get_running_loop()

        class Paced:
            calls = 0

            def on_pace(self, now):
                self.calls += 1

        paced = Paced()
        ticker = Ticker(loop, {}, lambda now: None)
        ticker.pace(paced)
        await pass_time(0.2, step=0.01)
        assert 10 <= paced.calls <= 30
        ticker.unpace(paced)
        seen = paced.calls
        await pass_time(0.2, step=0.01)
        assert paced.calls == seen
        ticker.stop()

    run(main, "by-hand")


def test_the_ticker_lets_the_paced_alone_until_they_are_due():
    async def main():
        loop = asyncio.get_running_loop()

        class Paced:
            pace_due = 0.0
            calls = 0

            def on_pace(self, now):
                assert now >= self.pace_due
                self.calls += 1
                self.pace_due = now + 0.06

        paced = Paced()
        ticker = Ticker(loop, {}, lambda now: None)
        ticker.pace(paced)
        await pass_time(0.6, step=0.01)
        assert 7 <= paced.calls <= 11
        seen = paced.calls
        ticker.pace(paced)  # something changed: it may be due at once
        await pass_time(0.02, step=0.01)
        assert paced.calls == seen + 1
        ticker.stop()

    run(main, "by-hand")
