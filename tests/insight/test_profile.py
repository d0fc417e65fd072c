"""Which requests are slow, and where the time of one goes."""

import asyncio
import concurrent.futures
import gc
import math
import sys
import threading
import time
import weakref

import pytest

from tests.support.serving import run, serving
from tremolo.insight.events import event_of
from tremolo.insight.insight import Insight
from tremolo.insight.pace import ENOUGH, LEAST, MAX_ROUTES, NOTICED, Pace
from tremolo.insight.profile import (
    MAX_NODES,
    MAX_SLOW,
    MOST_REST,
    RARER,
    Profiler,
    tree_of,
)
from tremolo.insight.record import Record


class Log:
    def warning(self, *line, exc_info=None):
        raise AssertionError(line[0] % line[1:])


def test_what_anybody_notices_is_slow_until_more_is_known_of_its_route():
    pace = Pace()
    for _ in range(ENOUGH - 1):
        assert pace.limit("GET /") == NOTICED
        pace.add("GET /", 0.05)
    pace.add("GET /", 0.05)
    assert pace.limit("GET /") == 0.05


def test_a_request_is_slow_beyond_the_95th_percentile_of_its_route():
    pace = Pace()
    for number in range(100):
        pace.add("GET /", number / 1000)
        pace.add("GET /fast", 0.001)
        pace.add("GET /always", 1.0)
    assert pace.limit("GET /") == pytest.approx(0.095)
    assert pace.limit("GET /fast") == LEAST
    assert pace.limit("GET /always") == NOTICED


def test_routes_are_bounded():
    pace = Pace()
    for number in range(MAX_ROUTES + 10):
        pace.add(str(number), 1.0)
    assert len(pace._routes) == MAX_ROUTES


def until(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def waiting_for(record):
    until(lambda: record.samples >= 3)


async def waits(record):
    while record.samples < 3:
        await asyncio.sleep(0.001)


class Slow(Pace):
    """Everything is slow at once."""

    def limit(self, route):
        return 0.0


def profiled(answer):
    """A request that is answered by `answer(record)` while it is slow; its record."""
    async def main():
        record = Record(1, "GET", "/")
        profiler = Profiler(Slow(), lambda path: path == __file__)

        async def request():
            profiler.started(record, None)
            await answer(record)

        try:
            await asyncio.wait_for(asyncio.create_task(request()), 15)
        finally:
            profiler.stop()
        return record

    return asyncio.run(main())


class Running:
    """A task that nobody waits for."""

    ended = False

    def done(self):
        return self.ended


def test_where_all_ends_soon_looks_are_rare_and_where_something_runs_they_are_not():
    profiler, tasks = Profiler(Pace(), bool), [Running() for _ in range(6)]
    pauses = []
    for number, task in enumerate(tasks):
        task.ended = number != 4
        record = Record(number, "GET", "/")
        record.task = weakref.ref(task)
        profiler._running[number] = record
        pauses.append(profiler._turn(record.began + LEAST))
    assert pauses == [2 * LEAST, 4 * LEAST, MOST_REST, MOST_REST, LEAST, LEAST]


def test_looks_are_rare_under_load_too_where_always_something_runs_but_nothing_for_long():
    profiler, tasks = Profiler(Pace(), bool), [Running() for _ in range(7)]
    pauses, now = [], 1.0
    for number, task in enumerate(tasks):
        now += 0.001
        record = Record(number, "GET", "/")
        record.began, record.task = now, weakref.ref(task)
        profiler._running[number] = record
        for before in tasks[:number] if number < 5 else tasks[:4]:
            before.ended = True
        now += 0.001
        pauses.append(profiler._turn(now))
    # The fifth is still there at the seventh look; of the first nothing is known.
    assert pauses == [LEAST, 2 * LEAST, 4 * LEAST, MOST_REST, MOST_REST, LEAST, LEAST]


class Looks(Profiler):
    """Notes when it would sample."""

    def __init__(self):
        super().__init__(Pace(), bool)
        self.looks = []

    def _sample(self, slow, now):
        super()._sample(slow, now)  # finds no loop that these tasks are of
        self.looks += [(record.id, now - record.began) for record in slow]


class Aimless(Running):
    def get_loop(self):
        return None


def test_what_runs_for_long_is_sampled_ever_more_rarely_and_for_as_long_as_it_runs():
    profiler, task = Looks(), Aimless()
    record = Record(1, "GET", "/poll")
    record.task = weakref.ref(task)
    profiler._running[1] = record
    now, turns = record.began, 0
    while now < record.began + 600:
        now += profiler._turn(now)
        turns += 1
    times = [age for _, age in profiler.looks]
    assert sum(age < 1.0 for age in times) >= 85  # one each 10 ms, once it is slow
    assert 400 < len(times) < 100 + RARER * math.log(600) + 2 and times[-1] > 590
    assert turns <= 600 / LEAST + len(times)


def test_of_many_that_are_slow_each_has_its_turn():
    profiler, tasks = Looks(), [Aimless() for _ in range(3 * MAX_SLOW)]
    for number, task in enumerate(tasks):
        record = Record(number, "GET", "/")
        record.task = weakref.ref(task)
        profiler._running[number] = record
    now = record.began + 10.0
    for _ in range(10):
        now += profiler._turn(now)
    assert {number for number, _ in profiler.looks} == set(range(3 * MAX_SLOW))


def test_a_sample_of_what_has_run_for_long_stands_for_more_of_its_time():
    async def answer(record):
        record.began -= 5.0  # seconds ago
        await waits(record)

    record = profiled(answer)
    assert record.sampled >= 5 * record.samples >= 15
    assert sum(record.stacks.values()) == record.sampled
    assert event_of(record, False)["profile"]["every_ms"] == pytest.approx(
        10 * record.sampled / record.samples, abs=0.1)


def test_one_that_lasts_as_long_as_somebody_listens_is_sampled_no_longer():
    profiler, task = Profiler(Pace(), bool), Running()
    record = Record(1, "GET", "/events")
    record.task, record.samples, record.stacks = weakref.ref(task), 3, {("waits",): 3}
    profiler._running[1] = record
    profiler.leave(record)
    assert (profiler._running, record.samples, record.stacks) == ({}, 0, {})


def labels(record):
    return [label.split()[0].split(".")[-1] for _, label, _ in tree_of(record)]


def test_a_coroutine_that_waits_is_seen_where_it_waits():
    record = profiled(waits)
    assert "waits" in labels(record) and sum(record.stacks.values()) == record.samples


def test_a_function_that_holds_up_the_loop_is_seen():
    async def answer(record):
        waiting_for(record)

    assert "waiting_for" in labels(profiled(answer))


@pytest.mark.parametrize(("work", "seen"), [
    (waits, "waits"), (lambda record: asyncio.sleep(0, waiting_for(record)), "<lambda>")],
    ids=["waits", "holds up the loop"])
def test_what_a_task_does_that_the_request_started_is_seen(work, seen):
    """As below Starlette's BaseHTTPMiddleware: the task that answers but waits for it."""
    async def answer(record):
        from tremolo.insight.record import running

        async def child():
            await work(record)

        async def waits_for_the_child():
            await asyncio.wait([asyncio.ensure_future(child())])

        running.set(record)
        await waits_for_the_child()

    found = labels(profiled(answer))
    assert seen in found and "waits_for_the_child" not in found


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="it counts references")
def test_what_a_sampled_function_held_is_gone_when_it_has_returned():
    held = []

    class Held:
        pass

    async def answer(record):
        def holds():
            thing = Held()
            held.append(weakref.ref(thing))
            waiting_for(record)

        holds()

    gc.disable()
    try:
        profiled(answer)
        until(lambda: held[0]() is None)
    finally:
        gc.enable()


def test_what_a_thread_does_for_the_request_is_seen():
    insight = Insight(Log(), is_project=lambda path: path == __file__)
    insight.watch(1)
    try:
        async def answer(record):
            from tremolo.insight.record import running

            running.set(record)
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                await asyncio.get_running_loop().run_in_executor(pool, waiting_for, record)

        record = profiled(answer)
        assert "waiting_for" in labels(record)
        assert record.queue_seconds > 0
    finally:
        insight.watch(0)


def test_the_tree_has_the_heaviest_first_and_is_bounded():
    record = Record(1, "GET")
    record.stacks = {("a", "b"): 1, ("a", "c"): 5, ("d",): 2}
    assert tree_of(record) == [[0, "a", 6], [1, "c", 5], [1, "b", 1], [0, "d", 2]]
    record.stacks = {(str(number),): 1 for number in range(MAX_NODES * 2)}
    assert len(tree_of(record)) == MAX_NODES


def test_nothing_is_sampled_while_no_request_is_slow_and_nothing_runs_unwatched():
    async def handle(exchange):
        exchange.response.respond(200, [], b"")

    def threads():
        return [thread.name for thread in threading.enumerate()
                if thread.name == "tremolo-profiler"]

    async def main():
        async with serving(handle) as site:
            insight = Insight(Log())
            insight.serve(site.server)
            until(lambda: threads() == [])  # of other tests
            await site.get()
            assert threads() == []
            insight.watch(1)
            await asyncio.gather(*(site.get() for _ in range(30)))
            assert len(threads()) == 1 and insight._profiler.samples == 0
            insight.watch(0)
            await asyncio.to_thread(until, lambda: threads() == [])

    run(main)


def test_a_slow_request_tells_its_profile_and_the_others_do_not():
    told = []

    async def handle(exchange):
        if exchange.id == ENOUGH + 1:
            await slow_part(exchange.id)
        exchange.response.respond(200, [], b"")

    async def slow_part(id):
        await waits(insight._records[id])

    async def main():
        async with serving(handle) as site:
            insight.on_facts = told.append
            insight.serve(site.server)
            insight.watch(1)
            for id in range(1, ENOUGH + 2):
                await site.get()
                insight.row(id, 200, True, 0.0, 0.001)
            insight.tick(0.0)
            insight.watch(0)

    insight = Insight(Log(), is_project=lambda path: path == __file__)
    run(main)
    [event] = told
    assert event["request"] == ENOUGH + 1 and event["profile"]["samples"] >= 3
    assert any("slow_part" in label for _, label, _ in event["profile"]["tree"])


def test_what_is_slow_is_judged_each_tenth_time_however_many_are_kept():
    pace = Pace()
    for seconds in [0.09] + 190 * [0.05] + 9 * [0.09]:
        pace.add("GET /", seconds)
    limits = []
    for _ in range(10):
        pace.add("GET /", 0.05)
        limits.append(pace.limit("GET /"))
    assert limits == 9 * [0.09] + [0.05]
