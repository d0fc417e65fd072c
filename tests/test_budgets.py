"""What one request may cost, counted rather than timed, so that it holds on any machine."""

import asyncio
import collections
import gc
import logging
import platform
import socket
import sys

import pytest

from tests.support.feed_player import FeedPlayer, line
from tests.support.serving import run, serving_asgi, until
from tremolo.insight.insight import Insight
from tremolo.net.exchange import Exchange
from tremolo.telemetry.codec import LineDecoder
from tremolo.worker.pages import DebugExchange
from tremolo.worker.sought import sought_by
from tui.model.session import Session

REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n"
START = {"type": "http.response.start", "status": 200,
         "headers": [(b"content-type", b"text/plain")]}
END = {"type": "http.response.body", "body": b"Hello, World!"}

#: from 3.12 on a handler's first step takes no turn of the loop
FUNCTION_CALLS = 80 if sys.version_info >= (3, 12) else 105
CALLS_WITH_DASHBOARD = 5
CALLS_OF_DASHBOARD = 60  # for a row, from the feed's bytes to all that is counted of it
WRITES_OF_A_STREAM = 3

cpython_only = pytest.mark.skipif(platform.python_implementation() != "CPython",
                                  reason="calls are counted on CPython")


async def hello(scope, receive, send):
    await send(START)
    await send(END)


class Calls:
    """Counts function calls, of Python and C."""

    def __init__(self):
        self.names = collections.Counter()

    def __call__(self, frame, event, argument):
        if event == "call":
            self.names[frame.f_code.co_qualname if sys.version_info >= (3, 11)
                       else frame.f_code.co_name] += 1
        elif event == "c_call":
            self.names[argument.__qualname__] += 1


REQUESTS = 100


def ask(port):
    """The client, in a thread of its own, whose calls are not counted."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        yield
        while True:
            for _ in range(REQUESTS):
                sock.sendall(REQUEST)
                data = b""
                while not data.endswith(b"Hello, World!"):
                    data += sock.recv(65536)
            yield


def measure(remember=False, insight=None, filters=()):
    """Calls, tasks and writes of the server for one request, the loop's own work included. With
    `insight` there are more requests than can be looked into; `filters` are viewers'."""
    async def main():
        async with serving_asgi(hello, lifespan="off") as site:
            server, loop = site.server, asyncio.get_running_loop()
            server.remember(remember or insight is not None)
            if insight is not None:
                insight.serve(server)
                insight.watch(1)
                server.recent.seek(sought_by(filters))
                server.recent.renew(0, 10_000)
                insight.expect(10_000)
            client = ask(site.port)
            for _ in range(2):  # connect; then warm up
                await loop.run_in_executor(None, next, client)
            tasks = []
            make = server.create_task

            def create_task(*args):
                tasks.append(args)
                return make(*args)

            server.create_task = create_task
            await loop.run_in_executor(None, next, client)
            server.create_task = make
            writes = server.counters.writes
            calls = Calls()
            sys.setprofile(calls)
            try:
                await loop.run_in_executor(None, next, client)
            finally:
                sys.setprofile(None)
            writes = server.counters.writes - writes
            client.close()
            if insight is not None:
                assert len(insight._records) <= 2  # the first one
                insight.watch(0)
            return sum(calls.names.values()) / REQUESTS, len(tasks) / REQUESTS, \
                writes / REQUESTS, calls.names.most_common()

    return run(main, "plain")


@cpython_only
def test_hello_over_keep_alive_stays_within_its_function_calls():
    calls, tasks, writes, names = measure()
    # What the client's thread costs the loop is spread over all requests: less than one each.
    assert calls < FUNCTION_CALLS + 1, names
    assert tasks == 1
    assert writes == 1


@cpython_only
def test_being_watched_costs_five_calls_more_at_most():
    alone, watched = measure()[0], measure(remember=True)[0]
    assert watched - alone < CALLS_WITH_DASHBOARD + 1


@cpython_only
def test_being_watched_costs_no_call_where_requests_are_too_many_to_be_looked_into():
    alone = measure()[0]
    watched = measure(insight=Insight(logging.getLogger("test")))
    assert watched[0] - alone < 1, watched[3]


@pytest.mark.skipif(platform.python_implementation() != "CPython" or sys.version_info < (3, 11),
                    reason="until CPython 3.11 each object has a dict for its attributes")
@pytest.mark.parametrize("kind", [Exchange, DebugExchange])
def test_an_exchange_needs_no_dict_for_its_attributes_also_when_viewers_come_late(kind):
    # The names that a class's objects have without a dict are those of its first objects.
    class Kind(kind):
        kept = []

        def record(self, outcome, now):
            super().record(outcome, now)
            self.kept[:] = [self]

    async def main():
        async with serving_asgi(hello, lifespan="off") as site:
            site.server.new_exchange = Kind
            insight = Insight(logging.getLogger("test"))
            insight.serve(site.server)
            found = []
            try:
                for watched in (0, 1):
                    site.server.remember(watched)
                    insight.watch(watched)
                    for turn in range(50):
                        if watched:
                            recent = site.server.recent
                            recent.renew(turn % 2, turn % 2)
                            recent.captures_left, recent.first_left = 10, 0
                        await site.ask(REQUEST.replace(b"1.1", b"1.0"))
                        [exchange] = Kind.kept
                        found.append((exchange.insight is not None, any(
                            isinstance(each, dict) for each in gc.get_referents(exchange))))
            finally:
                insight.watch(0)
            assert set(found[:50]) == {(False, False)}
            assert set(found[50:]) == {(False, False), (True, False)}

    run(main)


@cpython_only
@pytest.mark.parametrize("text, most", [
    ("/rare", 0), ("/rare | /seldom", 0), ("ms>50", 0), ("h:cookie", 0), ("m:post", 5),
    ("ip:10.1", 12), ("s:404", 10)])
def test_a_filter_costs_requests_that_it_does_not_mean_few_calls(text, most):
    before = measure(insight=Insight(logging.getLogger("test")))
    calls = measure(insight=Insight(logging.getLogger("test")), filters=[text])
    assert calls[0] - before[0] < most + 1, calls[3]


@cpython_only
def test_a_row_costs_the_dashboard_few_calls():
    player = FeedPlayer(clock=lambda: 1_700_000_000.0)
    player.rate = 5000
    told = [player.step(tick) for tick in range(101, 104)]
    data = [line(player.hello()), *(line(each) for turn in told for each in turn)]
    rows = sum(len(each.get("rows", ())) for turn in told for each in turn)
    session, decoder, calls = Session(clock=lambda: 100.0), LineDecoder(), Calls()
    sys.setprofile(calls)
    try:
        for piece in data:
            for _, each in decoder.feed(piece):
                session.apply(each)
    finally:
        sys.setprofile(None)
    assert session.traffic.seen == rows > 1000 and not session.rejected
    assert sum(calls.names.values()) / rows < CALLS_OF_DASHBOARD, calls.names.most_common()


def test_a_thousand_small_yields_are_three_writes_at_most():
    async def app(scope, receive, send):
        await send(START)
        for _ in range(1000):
            await send({"type": "http.response.body", "body": b"x" * 20, "more_body": True})
        await send({"type": "http.response.body"})

    async def main():
        async with serving_asgi(app, lifespan="off") as site:
            response = await site.get()
            assert response.body == b"x" * 20000
            await until(lambda: not site.server.tasks)
            assert site.server.counters.writes <= WRITES_OF_A_STREAM

    run(main)
