"""Where not all requests can be shown: the filter is asked for, its list said to be a sample."""

import socket

from tests.support.dashboard_driver import LARGE, drive, rows
from tremolo.commands import viewing
from tremolo.telemetry.codec import LineDecoder
from tui.model.traffic import Traffic


@drive(LARGE)
async def test_workers_are_told_what_is_filtered_by_once_it_is_typed_and_when_it_goes(d):
    await d.press("slash", *"rare", "enter")
    d.app.session.tick()
    d.app.session.tick()
    told = [command for command in await d.obey() if command["name"] == "filter"]
    # A tick of the dashboard's own may have come while it was typed.
    assert told[-1]["args"] == {"filter": "rare"} and len(told) <= len("rare")
    await d.press("escape")
    d.app.session.tick()
    [gone] = await d.obey()
    assert (gone["name"], gone["args"]) == ("filter", {"filter": ""})
    assert "filter: done" not in d.text()  # nobody asked for news of that


@drive(LARGE)
async def test_a_list_that_is_a_sample_of_what_matches_says_of_how_much(d):
    await d.say(rows(d.player, 2, path="/few"), rows(d.player, 2, path="/many", weight=31.5))
    await d.press("slash", *"few", "enter")
    assert "2 of 4" in d.text() and "more match" not in d.text()
    await d.press("slash", *["backspace"] * 3, *"many", "enter")
    assert "2 of 4  ~61 more match" in d.text()
    await d.say(rows(d.player, 1, path="/many", weight=20.0))
    assert "3 of 5  ~80 more match" in d.text()


@drive(LARGE)
async def test_what_no_worker_judges_is_said_to_be_searched_for_in_the_sample_alone(d):
    few = rows(d.player, 2, path="/a")
    few["totals"]["rows_dropped"] = 1200
    await d.say(few)
    for text, said in (("/a", False), ("s:404", False), ("err:", False), ("h:cookie", True),
                       ("/a h:cookie", False), ("/a | b:total", True)):
        d.app.session.traffic.set_filter(text)
        await d.press("f12")  # whatever: it is drawn anew
        assert "1200 not listed" in d.text()
        assert ("1200 not listed, not searched" in d.text()) is said, text


def test_what_is_listed_no_more_stands_for_nothing():
    traffic = Traffic(capacity=8)
    for number in range(30):
        traffic.add(1, 1, {"path": "/a" if number % 2 else "/b", "weight": 3.0})
        assert traffic.unlisted == 2 * len(traffic.entries)
    traffic.set_filter("/a")
    assert traffic.unlisted == 2 * sum(row.path == "/a" for row in traffic.entries)
    for _ in range(20):
        traffic.add(1, 1, {"path": "/b", "weight": 3.0})
    assert traffic.unlisted == 2 * sum(row.path == "/a" for row in traffic.entries)


def test_the_log_asks_for_what_it_filters_by():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert list(viewing._messages(ours, 1, 0.0, "s:404")) == []
        told = [message for _, message in LineDecoder().feed(theirs.recv(65536))]
        assert [(each["name"], each["args"]) for each in told] == [
            ("detail", {"level": 1}), ("filter", {"filter": "s:404"})]
