"""Why a request took its time: what the detail says in few words, and when it says nothing."""

import pytest

from tests.support.dashboard_driver import LARGE, drive
from tui.model.causes import causes_of
from tui.model.insight import Facts
from tui.model.traffic import Row


def row(ms=100.0, **given):
    return Row(1, 7, 1, {"id": 5, "path": "/", "ms": ms, "ttfb_ms": ms, **given})


def facts(**given):
    return Facts({"pid": 7, "request": 5, **given})


FLAME = [[0, "view views.py:9", 90], [1, "render t.py:3", 20], [2, "deep t.py:4", 20],
         [1, "load views.py:14", 60], [2, "sleep views.py:15", 40], [2, "read x.py:1", 20],
         [0, "middleware m.py:1", 10]]


@pytest.mark.parametrize("given, known, expected", [
    ({}, None, []),
    ({"sql_ms": 10.0}, {}, []),  # a tenth does not stand out
    ({"sql_ms": 80.0}, {"statements": ["select 1", "select 2"],
                        "places": ["app/a.py:3", "app/b.py:4"],
                        "queries": [[0, 0, 0, 30000, 1], [1, 1, 0, 20000, 1],
                                    [1, 1, 0, 30000, 1]]},
     ["80 % in SQL, most at b.py:4"]),
    ({"calls_ms": 45.0, "sql_ms": 45.0}, {}, ["45 % in SQL", "45 % waited for other services"]),
    ({"calls_ms": 60.0}, {"calls": [{"method": "GET", "target": "http://rates/eur", "ms": 60}]},
     ["60 % waited for GET http://rates/eur"]),
    ({"queue_ms": 70.0}, None, ["70 % waited for its turn"]),
    ({"throttle_ms": 90.0}, None, ["90 % held by the throttle"]),
    ({"ttfb_ms": 20.0}, None, ["80 % from its first byte to its last"]),
    ({}, {"profile": {"samples": 100, "every_ms": 1, "tree": FLAME}},
     ["40 % of samples in sleep views.py:15"]),
    ({"ttfb_ms": 20.0},
     {"profile": {"samples": 9, "every_ms": 1, "tree": [[0, "body x.py:2", 9]]}},
     ["80 % from its first byte to its last", "100 % of samples in body x.py:2"]),
    ({"ms": 19.0, "ttfb_ms": 19.0, "sql_ms": 19.0}, {}, []),  # not worth a word
    ({"ms": 1.0}, {"statements": ["select"], "places": ["app/a.py:3"],
                   "repeated": [{"count": 40, "sql": 0, "place": 0, "ms": 0.1}]},
     ["1+N: 40× at a.py:3"]),
    ({"sse": True, "ttfb_ms": 1.0}, None, []),  # a stream lasts as long as somebody listens
    ({"state": "live", "sql_ms": 80.0}, {}, []),
])
def test_only_what_stands_out_is_said(given, known, expected):
    assert causes_of(row(**given), None if known is None else facts(**known)) == expected


def test_a_call_that_calls_many_others_is_named_itself():
    flame = [[0, "view views.py:9", 100], *([1, f"each x.py:{n}", 10] for n in range(10))]
    told = facts(profile={"samples": 100, "every_ms": 1, "tree": flame})
    assert causes_of(row(), told) == ["100 % of samples in view views.py:9"]
    spread = [[0, f"view x.py:{n}", 10] for n in range(10)]
    told = facts(profile={"samples": 100, "every_ms": 1, "tree": spread})
    assert causes_of(row(), told) == []


def test_a_call_below_another_branch_is_not_taken_for_one_of_the_hottest():
    flame = [[0, "a a.py:1", 60], [1, "b b.py:1", 5], [0, "c c.py:1", 40], [1, "d d.py:1", 40]]
    told = facts(profile={"samples": 100, "every_ms": 1, "tree": flame})
    assert causes_of(row(), told) == ["60 % of samples in a a.py:1"]


@drive(LARGE)
async def test_the_detail_says_it_in_every_tab(driver):
    player = driver.player
    slow = player.row(4711, path="/slow", ms=200.0, ttfb_ms=200.0, queries=41, sql_ms=150.0)
    plain = player.row(4711, path="/plain", ms=1.0)
    await driver.say(player.frame(4711, [slow, plain]), {
        "v": 1, "kind": "insight", "t": 1.0, "gen": 1, "pid": 4711,
        "request": slow["id"], "query_count": 41, "sql_ms": 150.0,
        "statements": ["select name from items where id = ?"], "places": ["app/views.py:31"],
        "queries": [[0, 0, 0, 150000, 1]],
        "repeated": [{"count": 40, "sql": 0, "place": 0, "ms": 150.0}]})
    await driver.press("up", "up", "enter")
    cause = "75 % in SQL, most at views.py:31 · 1+N: 40× at views.py:31"
    assert cause in driver.text()
    await driver.press("right")
    assert cause in driver.text()
    await driver.press("escape", "down", "enter")
    assert "/plain" in driver.text() and cause not in driver.text()
