"""What became of a route since the save: told once, and only where enough requests say it."""

import pytest

from tui.model.changes import AFTER, BEFORE, TIMED, WITHOUT_ERROR
from tui.model.routes import Routes
from tui.model.session import Session
from tui.model.traffic import Row


class Watched(Routes):
    def __init__(self):
        super().__init__()
        self.lines = []
        self.on_change = lambda text, worse: self.lines.append((text, worse))

    def requests(self, gen, times, ms=10.0, **more):
        for _ in range(times):
            self.add(Row(1, 5, gen, {"route": "/items", "path": "/items", "ms": ms,
                                     "status": 200, **more}))


@pytest.fixture
def routes():
    return Watched()


def test_more_queries_are_told_once(routes):
    routes.requests(1, BEFORE, queries=3)
    routes.requests(2, AFTER - 1, queries=41)
    assert routes.lines == []
    routes.requests(2, 5, queries=41)
    assert routes.lines == [("since the save, /items: queries 3 → 41", True)]


def test_fewer_queries_are_no_warning(routes):
    routes.requests(1, BEFORE, queries=41)
    routes.requests(2, AFTER, queries=3)
    assert routes.lines == [("since the save, /items: queries 41 → 3", False)]


def test_what_overlaps_is_no_change(routes):
    routes.requests(1, BEFORE, queries=3)
    routes.requests(1, 1, queries=50)
    routes.requests(2, 5, queries=41)
    assert routes.lines == []


def test_durations_need_more_requests(routes):
    routes.requests(1, TIMED, ms=12.0)
    routes.requests(2, TIMED - 1, ms=90.0)
    assert routes.lines == []
    routes.requests(2, 1, ms=90.0)
    [(text, worse)] = routes.lines
    assert worse and text.startswith("since the save, /items: ") and text.endswith(" ms")


def test_durations_that_differ_little_are_no_change(routes):
    routes.requests(1, TIMED, ms=12.0)
    routes.requests(2, TIMED, ms=15.0)
    assert routes.lines == []


def test_an_error_is_new_where_there_was_none_before(routes):
    routes.requests(1, WITHOUT_ERROR)
    routes.requests(2, 1, status=500)
    assert routes.lines == [
        ("since the save, /items: new error: 1 of 1 requests, none of 10 before", True)]
    routes.requests(2, 5, status=500)
    routes.requests(3, 5, status=500)
    assert len(routes.lines) == 1


def test_too_few_requests_before_say_nothing_of_errors(routes):
    routes.requests(1, WITHOUT_ERROR - 1)
    routes.requests(2, 1, status=500)
    assert routes.lines == []


def test_a_generation_that_had_hardly_a_request_is_not_compared_with(routes):
    routes.requests(1, BEFORE, queries=3)
    routes.requests(2, 1, queries=3)
    routes.requests(3, AFTER, queries=41)
    assert routes.lines == [("since the save, /items: queries 3 → 41", True)]


class Counted(Watched):
    compared = 0

    def _compare(self, route):
        self.compared += 1
        super()._compare(route)


def test_a_torrent_of_requests_is_not_compared_one_by_one():
    routes = Counted()
    routes.requests(1, TIMED)
    routes.requests(2, 5_000)
    assert TIMED < routes.compared < 120


def test_the_first_failure_is_noticed_at_once_in_a_torrent(routes):
    routes.requests(1, WITHOUT_ERROR)
    routes.requests(2, 5_000)
    routes.requests(2, 1, status=500)
    assert routes.lines == [
        ("since the save, /items: new error: 1 of 5001 requests, none of 10 before", True)]


def test_the_session_says_it_in_its_notices():
    session = Session(clock=lambda: 100.0)
    for gen, queries in ((1, 3), (2, 41)):
        for number in range(BEFORE):
            session.apply({"v": 1, "kind": "frame", "t": 100.0, "pid": gen, "gen": gen, "seq": 1,
                           "rows": [{"id": number, "route": "/items", "path": "/items", "ms": 1.0,
                                     "status": 200, "queries": queries, "state": "done"}]})
    assert session.notices.newest.text == "since the save, /items: queries 3 → 41"
