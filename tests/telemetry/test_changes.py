"""What became of a route since the save: told once, and only where enough requests say it."""

import random

import pytest

from tremolo.telemetry import changes
from tremolo.telemetry.changes import (
    AFTER,
    BEFORE,
    EARLY,
    FEW,
    KEPT,
    MOMENT,
    TIMED,
    WITHOUT_ERROR,
    Changes,
)


class Watched(Changes):
    def __init__(self):
        super().__init__()
        self.events = []
        self.now = 1000.0

    def requests(self, gen, times, ms=10.0, **more):
        """One after the other, by hand."""
        self.together(gen, times, ms, apart=ms / 1000 + 0.5, **more)

    def together(self, gen, times, ms=10.0, apart=0.0, **more):
        rows = [{"method": "GET", "route": "/items", "path": "/items", "ms": ms, "status": 200,
                 "state": "done", "t": self.now + number * apart, **more}
                for number in range(times)]
        self.now += ms / 1000 + times * apart
        self.events += self.of_frame({"gen": gen, "rows": rows})

    @property
    def lines(self):
        return [self.line_of(event) for event in self.events]


@pytest.fixture
def routes():
    return Watched()


# -- queries

def test_more_queries_are_told_once(routes):
    routes.requests(1, BEFORE, queries=3)
    routes.requests(2, AFTER - 1, queries=41)
    assert routes.lines == []
    routes.requests(2, 5, queries=41)
    assert routes.lines == ["since the save: GET /items 3 → 41 queries (2 requests, 3 before)"]
    assert routes.events[0]["worse"] and routes.events[0]["gen"] == 2


def test_fewer_queries_are_no_warning(routes):
    routes.requests(1, BEFORE, queries=41)
    routes.requests(2, AFTER, queries=1)
    assert routes.lines == ["since the save: GET /items 41 → 1 query (2 requests, 3 before)"]
    assert not routes.events[0]["worse"]


def test_what_varies_is_told_as_a_range(routes):
    routes.requests(1, BEFORE)
    routes.requests(2, 1, queries=3)
    routes.requests(2, 1, queries=5)
    assert routes.events[0]["queries"] == [[0, 0], [3, 5]]
    assert "GET /items 0 → 3–5 queries" in routes.lines[0]


def test_what_overlaps_is_no_change(routes):
    routes.requests(1, BEFORE, queries=3)
    routes.requests(1, 1, queries=50)
    routes.requests(2, 5, queries=41)
    assert routes.lines == []


def test_methods_of_a_route_are_not_compared_with_each_other(routes):
    routes.requests(1, 20, ms=5.0, queries=1)
    routes.requests(2, 20, ms=500.0, queries=9, method="POST")
    assert routes.lines == []


@pytest.mark.parametrize("other", [
    pytest.param({"status": 404}, id="refused"), pytest.param({"status": 0}, id="unanswered"),
    pytest.param({"state": "aborted"}, id="left by its client"),
    pytest.param({"state": "live"}, id="running"), pytest.param({"sse": True}, id="stream"),
    pytest.param({"http": "ws"}, id="websocket"),
    pytest.param({"proxied": "http://localhost:5173"}, id="answered by another server")])
def test_what_is_no_answer_of_the_code_is_not_compared(routes, other):
    routes.requests(1, 20, ms=5.0, queries=1)
    routes.requests(2, 20, ms=500.0, queries=9, **other)
    assert routes.lines == []


# -- durations

def test_durations_need_more_requests_where_they_vary(routes):
    routes.requests(1, 1, ms=10.0)
    for ms in (10.0, 12.0, 14.0, 80.0):
        routes.requests(1, 1 + TIMED // 4, ms=ms)
    routes.requests(2, TIMED, ms=90.0)
    assert routes.lines == []
    routes.requests(2, 1, ms=90.0)
    [event] = routes.events
    assert event["worse"] and event["requests"] == [17, 13]
    assert routes.lines == ["since the save: GET /items 12 → 90 ms (13 requests, 17 before)"]


def test_few_requests_tell_where_each_was_slower_than_any_before(routes):
    routes.requests(1, FEW, ms=12.0)
    routes.requests(2, FEW, ms=90.0)
    assert routes.lines == []
    routes.requests(2, 1, ms=90.0)
    assert routes.lines == ["since the save: GET /items 12 → 90 ms (5 requests, 4 before)"]


def test_few_requests_of_which_one_was_as_fast_as_before_tell_nothing(routes):
    routes.requests(1, FEW, ms=12.0)
    routes.requests(2, 1, ms=12.5)
    routes.requests(2, TIMED - 2, ms=90.0)
    assert routes.lines == []


def test_requests_that_begin_before_the_first_answer_of_new_code_are_slow_for_that(routes):
    routes.requests(1, KEPT + 1, ms=12.0)
    routes.together(2, TIMED, ms=90.0)
    assert routes.lines == []
    routes.requests(2, FEW, ms=90.0)
    assert "12 → 90 ms" in routes.lines[0]


def test_first_requests_of_each_generation_are_no_reason_to_call_the_others_faster(routes):
    for gen in range(TIMED):
        routes.requests(gen, 1, ms=90.0)
    routes.requests(TIMED, 1, ms=90.0)
    routes.requests(TIMED, 2 * TIMED, ms=12.0)
    assert routes.lines == []


def test_what_was_slow_within_a_moment_is_no_change(routes):
    routes.requests(1, 2 * TIMED, ms=12.0)
    routes.requests(2, 1, ms=12.0)
    routes.together(2, 40, ms=90.0, apart=MOMENT / 50)
    assert routes.lines == []
    routes.together(2, 40, ms=90.0, apart=MOMENT / 50)
    assert "12 → 90 ms" in routes.lines[0]


def test_what_took_long_while_others_were_in_the_way_says_nothing(routes):
    routes.requests(1, TIMED, ms=12.0, queries=3)
    routes.requests(2, 5 * TIMED, ms=90.0, queries=3, crowded=True)
    routes.requests(2, FEW, ms=12.0, queries=3)
    assert routes.lines == []
    routes.requests(3, TIMED, ms=12.0, queries=41, crowded=True)
    assert "3 → 41 queries" in routes.lines[0], "whose number it does not change"


def test_what_new_code_needs_first_is_not_slower_than_it_was_for_the_code_before(routes):
    """A cache that is filled by the first requests of each process."""
    for gen in range(1, 5):
        routes.requests(gen, 1 + EARLY // 2, ms=90.0)
        routes.requests(gen, KEPT, ms=12.0)
    assert routes.lines == []
    routes.requests(5, 1 + EARLY // 2, ms=200.0)
    assert "12 → 200 ms" in routes.lines[0]


def test_what_stays_slow_once_all_is_there_is_slower(routes):
    routes.requests(1, 1 + EARLY // 2, ms=90.0)
    routes.requests(1, KEPT, ms=12.0)
    routes.requests(2, EARLY, ms=90.0)
    assert routes.lines == []
    routes.requests(2, EARLY, ms=90.0)
    assert "12 → 90 ms" in routes.lines[0]


#: how long answers take, in milliseconds, where nothing changes: of a handler that waits for a
#: database, of one with a cache that misses, of one that is sometimes held up, by far
NOISE = {
    "log-normal": lambda by: 20 * by.lognormvariate(0, 0.4),
    "two kinds": lambda by: by.choice((8.0, 60.0)) * by.uniform(0.8, 1.3),
    "heavy tail": lambda by: 10 * by.paretovariate(1.5),
    "short": lambda by: by.expovariate(1 / 3.0),
}


@pytest.mark.parametrize("noise", NOISE)
@pytest.mark.parametrize("times", [FEW, TIMED, 50])
def test_where_nothing_changed_no_noise_is_called_a_change(noise, times):
    by, told = random.Random(noise), 0
    for _ in range(40):
        routes = Watched()
        for gen in range(1, 6):
            for _ in range(1 + times):
                routes.requests(gen, 1, ms=NOISE[noise](by))
        told += len(routes.lines)
    assert told <= (1 if times >= TIMED else 6), "of 160 saves"


@pytest.mark.parametrize("noise", NOISE)
def test_a_change_beyond_the_noise_is_found(noise):
    by, told = random.Random(noise), 0
    for _ in range(20):
        routes = Watched()
        for gen, slower in ((1, 0.0), (2, 150.0)):
            for _ in range(1 + EARLY):
                routes.requests(gen, 1, ms=NOISE[noise](by) + slower)
        told += len(routes.lines)
    assert told >= 19, "of 20 saves"


@pytest.mark.parametrize(("before", "now"), [(12.0, 15.0), (1.0, 5.5), (5.5, 1.0)])
def test_durations_that_differ_little_are_no_change(routes, before, now):
    routes.requests(1, TIMED, ms=before)
    routes.requests(2, TIMED, ms=now)
    assert routes.lines == []


def test_faster_is_told_and_is_no_warning(routes):
    routes.requests(1, TIMED, ms=90.0)
    routes.requests(2, TIMED, ms=2.54)
    assert "90 → 2.5 ms" in routes.lines[0] and not routes.events[0]["worse"]


def test_the_throttle_is_not_the_codes(routes):
    routes.requests(1, TIMED, ms=10.0)
    routes.requests(2, TIMED, ms=900.0, throttle_ms=890.0)
    assert routes.lines == []


def test_waiting_for_other_requests_is_not_the_codes(routes):
    routes.requests(1, TIMED, ms=10.0)
    routes.requests(2, 2 * TIMED, ms=90.0, queue_ms=79.0)
    assert routes.lines == []


def test_time_is_that_of_the_newest_requests(routes):
    routes.requests(1, 1000, ms=500.0)
    routes.requests(1, KEPT, ms=10.0)
    routes.requests(2, 2 * EARLY, ms=90.0)
    assert routes.events[0]["ms"] == [10.0, 90.0]


# -- errors

def test_an_error_is_new_where_there_was_none_before(routes):
    routes.requests(1, WITHOUT_ERROR)
    routes.requests(2, 1, status=500)
    assert routes.lines == [
        "since the save: GET /items new error: 1 of 1 request, none of 10 before"]
    routes.requests(2, 5, status=500)
    routes.requests(3, 5, status=500)
    assert len(routes.lines) == 1


def test_an_error_is_not_new_where_generations_that_count_together_had_one(routes):
    routes.requests(1, WITHOUT_ERROR)
    routes.requests(1, 1, status=500)
    routes.requests(2, 1)
    routes.requests(3, 1, status=500)
    assert routes.lines == []


def test_an_answer_that_broke_off_by_an_error_is_one(routes):
    routes.requests(1, WITHOUT_ERROR)
    routes.requests(2, 1, state="aborted", error="ValueError: no")
    assert "new error: 1 of 1 request" in routes.lines[0]


def test_too_few_requests_before_say_nothing_of_errors(routes):
    routes.requests(1, WITHOUT_ERROR - 1)
    routes.requests(2, 1, status=500)
    assert routes.lines == []


def test_failures_are_no_answers_with_fewer_queries(routes):
    routes.requests(1, WITHOUT_ERROR, queries=9)
    routes.requests(2, 20, status=500, ms=900.0)
    [event] = routes.events
    assert "queries" not in event and "ms" not in event


def test_all_that_is_told_at_once_is_one_line(routes):
    routes.requests(1, TIMED, ms=12.0, queries=3)
    routes.requests(2, 1, status=500)
    routes.requests(2, TIMED, ms=90.0, queries=41)
    assert routes.lines == [
        "since the save: GET /items new error: 1 of 1 request, none of 12 before",
        "since the save: GET /items 3 → 41 queries (2 requests, 12 before)",
        "since the save: GET /items 12 → 90 ms (5 requests, 12 before)"]


# -- generations

def test_a_generation_that_had_hardly_a_request_is_not_compared_with(routes):
    routes.requests(1, BEFORE, queries=3)
    routes.requests(2, 1, queries=3)
    routes.requests(3, AFTER, queries=41)
    assert "3 → 41 queries" in routes.lines[0]


def test_one_request_a_save_adds_up(routes):
    for gen in range(1, BEFORE + 1):
        routes.requests(gen, 1, queries=3)
    routes.requests(BEFORE + 1, AFTER, queries=41)
    assert "3 → 41 queries (2 requests, 3 before)" in routes.lines[0]


def test_durations_of_generations_that_count_together_are_all_there(routes):
    routes.requests(1, TIMED, ms=90.0)
    routes.requests(2, 1, ms=90.0)
    routes.requests(3, TIMED, ms=12.0)
    assert "90 → 12 ms" in routes.lines[0]


def test_what_changed_after_one_request_is_what_the_next_save_is_compared_with(routes):
    routes.requests(1, BEFORE, queries=3)
    routes.requests(2, 1, queries=41)
    routes.requests(3, 2, queries=41)
    assert routes.lines == []
    routes.requests(4, AFTER, queries=3)
    assert "41 → 3 queries (2 requests, 3 before)" in routes.lines[0]


def test_a_late_row_of_a_generation_that_drains_is_left_out(routes):
    routes.requests(1, BEFORE, queries=3)
    routes.requests(2, 1, queries=41)
    routes.requests(1, 1, queries=41)
    routes.requests(2, 1, queries=41)
    assert routes.events[0]["requests"] == [3, 2]


# -- bounds

def test_a_torrent_of_requests_is_not_compared_one_by_one(routes, monkeypatch):
    compared = []
    monkeypatch.setattr(changes, "compared",
                        lambda before, now, do=changes.compared: compared.append(1)
                        or do(before, now))
    routes.requests(1, TIMED)
    before = len(compared)
    routes.requests(2, 5_000)
    assert TIMED < len(compared) - before < 120


def test_the_first_failure_is_noticed_at_once_in_a_torrent(routes):
    routes.requests(1, WITHOUT_ERROR)
    routes.requests(2, 5_000)
    routes.requests(2, 1, status=500)
    assert routes.lines == [
        "since the save: GET /items new error: 1 of 5,001 requests, none of 10 before"]


def test_of_paths_without_end_only_so_many_are_kept(routes):
    for number in range(changes.MAX_ROUTES + 50):
        routes.requests(1, 1, route="", path=f"/p{number}?q=1")
    assert len(routes._routes) == changes.MAX_ROUTES
    assert ("GET", "/p7") in routes._routes


def test_a_name_with_control_characters_is_shown_on_one_line(routes):
    routes.requests(1, BEFORE, route="/a\n\x1b[31m", queries=1)
    routes.requests(2, AFTER, route="/a\n\x1b[31m", queries=2)
    assert routes.lines[0].isprintable()


# -- a sample

def test_of_a_sample_what_it_stands_for_is_counted(routes):
    routes.requests(1, WITHOUT_ERROR, weight=30.5)
    routes.requests(2, WITHOUT_ERROR, weight=100.0)
    routes.requests(2, 1, status=500)
    assert routes.lines == ["since the save: GET /items new error: 1 of "
                            f"{100 * WITHOUT_ERROR + 1:,} requests, none of "
                            f"{305 * WITHOUT_ERROR // 10:,} before"]


def test_what_is_shown_because_it_was_slow_is_not_compared(routes):
    """Of what nobody looked into only the slow ones have rows, and none says its queries."""
    routes.requests(1, TIMED, queries=3)
    routes.requests(2, 50, ms=900.0, unobserved=True)
    routes.requests(2, TIMED, queries=3)
    assert routes.lines == []
    routes.requests(2, 1, status=500, unobserved=True)
    assert "new error: 1 of 63 requests" in routes.lines[0]
