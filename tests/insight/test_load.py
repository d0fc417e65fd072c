"""Where more requests come than can be looked into: which are, and that nothing is said of the
others that is not known."""

import asyncio
import logging

import pytest

from tests.support.serving import run, serving, until
from tremolo.insight.insight import MOST_NAMED, Insight
from tremolo.insight.record import running
from tremolo.insight.source import Source
from tremolo.net.handling import unobserved
from tremolo.worker.sampler import Sampler
from tremolo.worker.usage import Crowding

MORE = 30


class Log:
    def __getattr__(self, name):
        return lambda *told, **more: None


async def ask(site, target, count=1):
    client = await site.connect()
    for _ in range(count):
        await client.send(b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % target)
        await client.line(b"\r\n\r\n")
    client.close()
    await until(lambda: not site.server.tasks)


def watched(check, handle, **settings):
    """Run `check(site, insight, told, sampler)`; `told` gets the rows of frames."""
    async def main():
        async with serving(handle, **settings) as site:
            insight, told = Insight(Log()), []
            insight.serve(site.server)
            sampler = Sampler(site.server, lambda frame: bool(
                told.extend(frame.get("rows", ())) or True), asyncio.get_running_loop(),
                insight=insight)
            sampler.set_detail(1)
            try:
                await check(site, insight, told, sampler)
            finally:
                sampler.set_detail(0)

    run(main)


class Handler:
    """Answers, and counts how many requests were looked into."""

    def __init__(self):
        self.named, self.asked = 0, 0

    async def __call__(self, exchange):
        self.asked += 1
        record = running.get()
        if record is not None and not record.closed:
            self.named += 1
            if b"/things/" in exchange.head.target:
                record.routed("/things/{thing}")
        if exchange.head.target.endswith(b"/fails"):
            raise ValueError("no")
        exchange.response.respond(204, [])


def test_each_request_is_looked_into_at_an_ordinary_rate():
    handler = Handler()

    async def check(site, insight, told, sampler):
        for turn in range(10):
            await asyncio.gather(*(ask(site, b"/x", 4) for _ in range(5)))
            sampler.sample(float(turn))
            sampler._renew()
        assert handler.named == handler.asked == len(told) == 200
        assert not any("unobserved" in row or "weight" in row for row in told)

    watched(check, handler)


def test_under_load_those_are_looked_into_that_are_shown():
    handler = Handler()

    async def check(site, insight, told, sampler):
        site.server.recent.renew(MORE, 300)
        await ask(site, b"/x", 300)
        made = handler.named
        assert MORE // 2 <= made <= MORE + 1 and len(insight._records) == made
        sampler.sample(1.0)
        assert len(told) == made and not insight._records
        assert not any("unobserved" in row for row in told)
        frame = sampler.frame(2.0)
        assert frame["totals"]["rows_dropped"] == 300 - made
        assert frame["totals"]["requests"] == 300

    watched(check, handler)


def test_an_error_of_a_request_that_was_not_looked_into_is_reported_and_shown():
    handler = Handler()

    async def check(site, insight, told, sampler):
        errors = []
        site.server.on_error = lambda exchange, exc: errors.append(
            (exchange.id, insight.is_new(exchange.id, exc)))
        await ask(site, b"/things/1")
        sampler.sample(0.5)
        site.server.recent.renew(0, 10_000)
        await ask(site, b"/things/fails")  # the first for its target
        site.server.recent.renew(0, 10_000)
        site.server.recent.first_left = 0
        await ask(site, b"/things/fails")
        sampler.sample(1.0)
        assert errors == [(2, True), (3, True)]
        assert [row.get("unobserved", False) for row in told] == [False, False, True]
        assert [row["status"] for row in told] == [204, 500, 500]
        assert told[2]["error"] == "ValueError: no"
        # The route is what requests that look the same had.
        assert [row["route"] for row in told] == ["/things/{thing}"] * 3

    watched(check, handler)


def answers_for_itself(how, insight):
    """A function that an application answers a request with, and that fails."""
    def fail():
        raise ValueError("no")

    def handled():
        source = Source("library", Log(), insight)
        try:
            fail()
        except ValueError as exc:
            source.note_failure(exc, handled=True)

    def logged():
        try:
            fail()
        except ValueError as exc:
            insight.logged(logging.LogRecord(
                "app", logging.ERROR, __file__, 1, "no", (), (type(exc), exc, None)))

    if how == "flask":
        app = pytest.importorskip("flask").Flask("app")
        app.add_url_rule("/<any>", view_func=lambda any: fail())
        app.logger.disabled = True
        return lambda: app.test_client().get("/x")
    return {"handled": handled, "logged": logged}[how]


@pytest.mark.parametrize("load", [0, 10_000])
@pytest.mark.parametrize("how", ["flask", "handled", "logged"])
def test_what_a_request_failed_over_is_told_whether_it_was_looked_into_or_not(how, load):
    called = []

    async def handle(exchange):
        called[-1]()
        exchange.response.respond(500, [], b"sorry")

    async def check(site, insight, told, sampler):
        raised = []
        insight.on_raised = lambda record, exc, where, status: raised.append(
            (record.id, record.method, record.path, str(exc), exc.__traceback__ is not None))
        called.append(answers_for_itself(how, insight))
        site.server.recent.renew(0, 10_000)
        site.server.recent.first_left = 0
        insight.expect(load)
        await ask(site, b"/x")
        sampler.sample(1.0)
        assert raised == [(1, "GET", "/x", "no", True)]
        assert told[0]["unobserved"] and told[0]["error"] == "ValueError: no"
        assert not insight._failing and "queries" not in told[0]

    watched(check, handle)


def test_what_a_request_handled_is_forgotten_when_it_is_not_shown():
    called, failing = [], []

    async def handle(exchange):
        called[-1]()
        failing.append(list(called[0].insight._failing))
        exchange.response.respond(200, [], b"fine")

    async def check(site, insight, told, sampler):
        called.append(answers_for_itself("handled", insight))
        called[0].insight = insight
        site.server.recent.renew(0, 10_000)
        site.server.recent.first_left = 0
        await ask(site, b"/x", 3)
        assert failing == [[1], [1, 2], [1, 2, 3]]
        insight.tick(1.0)
        sampler.sample(1.0)
        assert not insight._failing and not told

    watched(check, handle)


def test_who_builds_upon_what_is_seen_has_all_of_it():
    handler = Handler()

    async def main():
        async with serving(handler) as site:
            insight, told = Insight(Log()), []
            insight.needed = True
            insight.serve(site.server)
            sampler = Sampler(site.server, lambda frame: bool(
                told.extend(frame.get("rows", ())) or True), asyncio.get_running_loop(),
                insight=insight)
            sampler.set_detail(1)
            try:
                site.server.recent.renew(MORE, 100)
                await ask(site, b"/x", 100)
                assert handler.named == 100
                sampler.sample(1.0)
                assert len(told) < 100 and not insight._records  # nobody asks for the others
                assert not any("unobserved" in row for row in told)
            finally:
                insight.needed = False
                sampler.set_detail(0)

    run(main)


def test_what_ran_while_others_were_in_the_way_says_so():
    async def check(site, insight, told, sampler):
        waited, clock = 0.0, asyncio.get_running_loop().time
        crowding = sampler._rows._crowding = Crowding(clock(), (1.0, 0.0))
        for seconds in (0.0, 0.05, 0.0):
            await ask(site, b"/x")
            waited += seconds
            crowding.turn(clock(), (1.0, waited))
            sampler.sample(clock())
        assert [row.get("crowded", False) for row in told] == [False, True, False]

    watched(check, Handler())


def test_what_runs_long_is_shown_to_its_end():
    go_on = []

    async def handle(exchange):
        go_on.append(asyncio.get_running_loop().create_future())
        await go_on[-1]
        exchange.response.respond(204, [])

    async def check(site, insight, told, sampler):
        site.server.recent.renew(0, 10_000)
        site.server.recent.first_left = 0
        asking = asyncio.ensure_future(ask(site, b"/long"))
        await until(lambda: go_on)
        now = asyncio.get_running_loop().time()
        sampler.sample(now + 5.0)
        go_on[0].set_result(None)
        await asking
        sampler.sample(now + 6.0)
        assert [(row["state"], row.get("unobserved")) for row in told] == [
            ("live", True), ("done", True)]

    watched(check, handle)


def test_two_routes_that_look_the_same_are_not_guessed():
    names = iter(("/a/{one}", "/a/{two}"))

    async def handle(exchange):
        record = running.get()
        if record is not None:
            record.routed(next(names))
        exchange.response.respond(204, [])

    async def check(site, insight, told, sampler):
        await ask(site, b"/a/1")
        sampler.sample(1.0)
        assert insight.route_like("GET", "/a/7") == "/a/{one}"
        await ask(site, b"/a/2")
        sampler.sample(2.0)
        assert insight.route_like("GET", "/a/7") == "/a/{int}"
        assert insight.route_like("GET", "/b/7") == "/b/{int}"

    watched(check, handle)


def test_others_are_named_but_under_a_load_for_which_that_would_be_too_much():
    named = []

    async def handle(exchange):
        named.append(unobserved.get() == exchange.id)
        exchange.response.respond(204, [])

    async def check(site, insight, told, sampler):
        for load in (0, MOST_NAMED - 1, MOST_NAMED, 0):
            site.server.recent.renew(0, 10_000)
            site.server.recent.first_left = 0
            insight.expect(load)
            await ask(site, b"/x")
        assert named == [True, True, False, True]
        insight.watch(0)
        insight.expect(0)
        await ask(site, b"/x")
        assert named[4:] == [False], "nobody watches"

    watched(check, handle)
