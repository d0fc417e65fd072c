"""The key bar offers what can be done with what is selected, and nothing that can but refuse."""

import asyncio

import pytest

pytest.importorskip("textual")

from tests.support.dashboard_driver import LARGE, dashboard, drive, rows
from tui.model.requests import Request


def bar(d):
    return d.screen()[-1]


@pytest.mark.parametrize("pane, lacking", [
    ("1", ["inspect", "cut", "replay", "pin"]), ("2", ["only this route"]),
    ("3", ["cut", "throttle this one"]), ("4", ["whole line", "clear"]),
    ("5", ["whole traceback", "editor", "copy traceback", "framework"]),
    ("6", ["restart"]),
], ids=str)
def test_nothing_that_needs_something_is_offered_where_there_is_nothing(pane, lacking):
    async def main():
        async with dashboard(LARGE) as d:
            await d.press(pane)
            assert not [words for words in lacking if f" {words}  " in bar(d)], bar(d)
            assert "? keys q quit" in bar(d)
    asyncio.run(main())


@drive(LARGE)
async def test_of_a_request_what_can_be_done_with_it(d):
    await d.say(rows(d.player, 2, conn=80))
    await d.press("1")
    assert "⏎ inspect" in bar(d) and "replay" not in bar(d) and "cut" not in bar(d)
    await d.press("up")
    for words in ("r replay", "p pin", "y curl", "x cut"):
        assert words in bar(d)
    d.player.connections = lambda pid: []  # it is closed
    await d.say(d.player.frame(4711))
    assert "x cut" not in bar(d) and "r replay" in bar(d)


@drive(LARGE)
async def test_a_connection_that_was_closed_is_not_cut(d):
    await d.say(d.player.frame(4711))
    await d.press("3", "G")
    assert "x cut" in bar(d) and "throttle this one" in bar(d)
    d.player.connections = lambda pid: []
    await d.say(d.player.frame(4711))
    assert "x cut" not in bar(d) and "throttle this one" not in bar(d)


@drive(LARGE)
async def test_only_a_worker_that_serves_is_restarted(d):
    await d.press("6", "down")
    assert "r restart" in bar(d) and "- one less" in bar(d)
    await d.say(d.player.worker(4711, "blocked", cause="time.sleep"))
    assert "r restart" in bar(d)
    await d.say(d.player.worker(4711, "exited", cause="killed", expected=False))
    assert "r restart" not in bar(d) and "- one less" not in bar(d), "one is left"
    d.commands()
    await d.press("r")
    assert "does not serve any more" in d.text() and not d.commands()


@drive(LARGE)
async def test_the_editor_is_offered_where_a_place_is_known(d):
    await d.say(d.player.error(file="", line=0))
    await d.press("5", "g")
    assert "⏎ whole traceback" in bar(d) and "editor" not in bar(d)
    await d.say(d.player.error(type="OSError"))
    await d.press("g")  # the newest
    assert "e editor" in bar(d)


@drive(LARGE)
async def test_a_detail_of_a_worker_offers_nothing_of_requests(d):
    await d.say(rows(d.player, 1, method="GET"))
    await d.press("1", "up", "6", "down", "enter", "enter")
    assert d.app.detail.has_focus
    for words in ("replay", "pin", "curl", "next tab"):
        assert words not in bar(d)
    await d.press("r")
    assert "select a request first" in d.text()
    assert not d.app.replays.running, "that one is selected elsewhere"


@drive(LARGE)
async def test_the_keys_of_a_shown_pin_are_about_that_pin(d):
    await d.say(rows(d.player, 1, method="GET", path="/selected", status=200))
    await d.press("1", "up")
    for path in ("/one", "/two"):
        d.app.session.pins.toggle(Request("GET", path, ()))
    one, two = d.app.session.pins
    two.lacks = ["cookie"]
    for pin, words in ((one, True), (two, False)):
        d.app.show_in_detail(pin)
        d.app.detail.focus()
        await d.press()
        assert ("r replay" in bar(d)) is words and "p pin" in bar(d)
    await d.press("r")
    assert "saved without its cookie" in d.text()
    await d.press("p")
    assert list(d.app.session.pins) == [one]


@drive(LARGE)
async def test_of_a_recorded_session_nothing_is_asked(d):
    await d.say(rows(d.player, 1, method="GET", conn=80))
    d.app.session.recorded = True
    for pane in "1367":
        await d.press(pane, "G", "up")
        for words in ("x cut", "R reload", "r restart", "+ one more", "t throttle", "0 off"):
            assert words not in bar(d), (pane, bar(d))
