"""The selection, its detail, and what stays on the screen as lines come and go."""

import asyncio

import pytest

pytest.importorskip("textual")

from tests.support.dashboard_driver import LARGE, SMALL, dashboard, drive, rows
from tremolo.telemetry.builders import past_event
from tui.model.logs import LogLine


def paths(d):
    """Of the selected request, and of the one in the detail."""
    row, subject = d.app.traffic.selected_row(), d.app.detail.subject
    return row and row.path, subject and subject.path


@pytest.mark.parametrize("size", [LARGE, SMALL], ids=["large", "small"])
def test_the_last_line_is_selected_and_followed_where_the_detail_is_open(size):
    async def main():
        async with dashboard(size) as d:
            await d.say(rows(d.player, 3, path="/old"), rows(d.player, 1, path="/new"))
            await d.press("g", "enter", "G")
            assert paths(d) == ("/new", "/new") and "FOLLOW" in d.text()
            await d.say(rows(d.player, 1, path="/newer"))
            assert paths(d) == ("/newer", "/newer") and d.app.traffic.follow
            await d.press("up")
            await d.say(rows(d.player, 1, path="/newest"))
            assert paths(d) == ("/new", "/new") and not d.app.traffic.follow
    asyncio.run(main())


@drive(LARGE)
async def test_a_detail_that_is_closed_leaves_the_list_following_with_nothing_selected(d):
    await d.say(rows(d.player, 3, path="/one"))
    await d.press("up", "enter", "G", "escape")
    assert d.app.traffic.follow and d.app.traffic.selected is None and "FOLLOW" in d.text()


@drive(LARGE)
async def test_a_stream_that_runs_does_not_keep_the_newest_request_from_being_followed(d):
    d.player.streams = []
    stream = d.player.row(4711, path="/feed", state="live", sse=True, t=1_600_000_000.0)
    await d.say(rows(d.player, 2, path="/old", t=1_600_000_010.0), d.player.frame(4711, [stream]))
    await d.press("g", "enter", "G")
    assert paths(d) == ("/old", "/old")
    await d.say(d.player.frame(4711, [stream, d.player.row(
        4711, path="/new", t=1_600_000_020.0)]))
    assert paths(d) == ("/new", "/new")


@drive(LARGE)
async def test_what_else_the_detail_shows_stays_there(d):
    await d.say(rows(d.player, 3, path="/one"), d.player.error())
    await d.press("i", "1", "G")
    await d.say(rows(d.player, 1, path="/two"))
    assert d.app.detail.subject is d.app.session.notices


@drive(LARGE)
async def test_a_line_of_the_log_goes_along_as_well(d):
    await d.say(*(d.player.log(f"line {number}") for number in range(5)))
    await d.press("4", "up", "enter", "up", "up")
    assert d.app.detail.subject.text == "line 2"
    await d.press("G")
    await d.say(d.player.log("the newest"))
    subject = d.app.detail.subject
    assert isinstance(subject, LogLine) and subject.text == "the newest"
    assert d.app.panes["log"].selected == subject.uid


@drive(LARGE)
async def test_what_the_filter_hides_stays_selected_as_long_as_its_detail_is_open(d):
    await d.say(rows(d.player, 1, path="/one"), rows(d.player, 3, path="/two"))
    await d.press("g", "enter")
    d.app.session.traffic.set_filter("two")
    d.app.traffic.redraw()
    assert paths(d) == ("/one", "/one")
    d.app.session.traffic.set_filter("")
    d.app.traffic.redraw()
    assert paths(d) == ("/one", "/one")
    d.app.session.traffic.set_filter("two")
    await d.press("escape")
    assert d.app.traffic.selected_row() is None


@drive(LARGE)
async def test_nothing_is_followed_in_another_order_than_that_of_time(d):
    await d.say(d.player.frame(4711, [
        d.player.row(4711, path=f"/{ms}", ms=ms) for ms in range(1, 60)]))
    await d.press("1", "s", "G")
    assert paths(d)[0] == "/1" and "FOLLOW" not in d.text()
    await d.say(rows(d.player, 1, path="/slowest", ms=1000.0))
    assert paths(d)[0] == "/1" and "FOLLOW" not in d.text()


@drive(SMALL)
async def test_the_slowest_stay_on_the_screen_as_slower_ones_come(d):
    await d.say(rows(d.player, 60, path="/one", ms=5.0))
    await d.press("s", "down")
    for ms in range(10, 20):
        await d.say(rows(d.player, 1, path=f"/slow-{ms}", ms=float(ms)))
    assert "/slow-19" in d.text() and paths(d)[0] == "/one"


@drive(SMALL)
async def test_a_key_in_an_empty_list_does_not_end_following(d):
    await d.press("down", "up")
    await d.say(rows(d.player, 50, path="/one"), rows(d.player, 1, path="/newest"))
    assert "FOLLOW" in d.text() and "/newest" in d.text()


@drive(SMALL)
async def test_the_first_line_is_the_first_that_can_be_selected(d):
    await d.say(past_event(5, 0), rows(d.player, 1, path="/first"), rows(d.player, 3))
    await d.press("g")
    assert paths(d)[0] == "/first"


def test_where_only_one_pane_fits_a_detail_takes_its_place_and_gives_it_back():
    async def main():
        async with dashboard((40, 10)) as d:
            await d.say(rows(d.player, 3, path="/one", ms=5.0))
            await d.press("up", "enter")
            assert "Esc closes" in d.text() and "all requests" not in d.text()
            await d.press("right")
            assert d.app.detail.tab == "Curl"
            await d.press("escape")
            assert "all requests" in d.text() and d.app.traffic.has_focus
            await d.press("t")
            assert "preset" in d.text() and "all requests" not in d.text()
            await d.press("escape")
            assert "all requests" in d.text()
            await d.press("enter")
            await d.pilot.resize_terminal(80, 24)
            assert "Esc closes" in d.text() and "all requests" in d.text()
            await d.press("escape", "enter")
            await d.pilot.resize_terminal(40, 10)
            assert "Esc closes" in d.text() and d.app.detail.has_focus
    asyncio.run(main())


def test_in_a_low_terminal_the_detail_gets_more_than_the_list():
    async def main():
        async with dashboard((60, 16)) as d:
            await d.say(rows(d.player, 30, path="/one"))
            await d.press("up", "enter")
            assert d.app.detail.size.height > d.app.traffic.size.height >= 4
            await d.pilot.resize_terminal(60, 24)
            assert abs(d.app.detail.size.height - d.app.traffic.size.height) <= 1
    asyncio.run(main())


@drive(SMALL)
async def test_where_the_filter_lets_nothing_through_lines_between_requests_say_nothing(d):
    await d.say(rows(d.player, 3, path="/one"), d.player.reload("ready"))
    await d.press("slash", *"s:5xx", "enter")
    assert "none of 3 requests matches the filter; Esc shows all" in d.text()
    assert "gen 15 ·" not in "\n".join(d.screen()[4:-2])


@drive((100, 30))
async def test_what_is_said_of_a_request_is_wrapped_and_not_cut(d):
    await d.say(rows(d.player, 1, path="/one", crowded=True, unobserved=True, endpoint={
        "name": "a_handler_of_quite_a_long_name", "file": "/home/ada/shop/main.py", "line": 46}))
    await d.press("up", "enter")
    while d.app.detail.tab != "Timing":
        await d.press("right")
    shown = " ".join(" ".join(line.partition("│")[2].split()) for line in d.screen())
    for words in ("other processes wanted the processor, too", "e opens it",
                  "not looked into: too many requests came at once"):
        assert words in shown, words


@drive(LARGE)
async def test_what_runs_is_above_all_others_where_the_newest_are(d):
    d.player.streams = []
    live = [d.player.row(4711, path=f"/live-{n}", state="live", t=1_700_000_000.0 + n)
            for n in range(3)]
    await d.say(rows(d.player, 3, path="/ended", status=200), d.player.frame(4711, live))
    await d.press("1", "S")
    screen = [line for line in d.screen() if "/live" in line or "/ended" in line]
    assert ["/live-2" in screen[0], "/live-0" in screen[2], "/ended" in screen[3]] == [True] * 3
    await d.press("g", "down", "down", "down")
    assert paths(d)[0] == "/ended"
    await d.press("up")
    assert paths(d)[0] == "/live-0"


@drive(LARGE)
async def test_how_many_run_that_are_not_listed_is_said(d):
    d.player.streams = []
    live = [d.player.row(4711, path="/live", state="live") for _ in range(10)]
    await d.say(rows(d.player, 2, path="/ended"), d.player.frame(4711, live))
    assert "2 in progress not listed" in d.text()
    await d.press("1", "s")
    assert "10 in progress not listed" in d.text() and "/live" not in d.text()
    await d.press("slash", *"/end", "enter")
    assert "in progress" not in d.text() and "2 of 12" in d.text()


@pytest.mark.parametrize("column, mark, words", [
    ("ms", "▼MS", "by ms"), ("size", "▼SIZE", "by size"), ("status", "▼STAT", "by status"),
    ("path", "▲PATH", "by path"), ("method", "▲METHOD", "by method")], ids=lambda word: word)
def test_a_sorted_column_says_which_end_comes_first(column, mark, words):
    async def main():
        async with dashboard((100, 30)) as d:
            await d.say(rows(d.player, 2))
            while d.app.session.traffic.sort != column:
                await d.press("s")
            assert mark in d.screen()[4] and f" {words} " in d.screen()[3]
            await d.press("S")
            other = {"▼": "▲", "▲": "▼"}[mark[0]] + mark[1:]
            assert other in d.screen()[4] and f" {words} reversed " in d.screen()[3]
    asyncio.run(main())


@drive((60, 24))
async def test_a_mark_of_order_fits_into_a_narrow_column(d):
    await d.say(rows(d.player, 2))
    while d.app.session.traffic.sort != "method":
        await d.press("s")
    assert "▲MET " in d.screen()[4]


@drive((70, 24))
async def test_what_the_last_start_took_is_wrapped_below_the_workers(d):
    await d.say(d.player.reload("ready", cause="start", ms=1176.0, files=[], parts={
        "seen": 0.0, "fork": 163.0, "import": 997.0, "lifespan": 4.0, "switch": 3.0}))
    await d.press("6")
    assert "switch 3" in d.text() and "i shows more" in d.text()


@drive(LARGE)
async def test_where_there_are_no_notices_it_is_said_what_they_would_be(d):
    await d.press("i")
    assert "none yet" in d.text() and "what stood at the foot of the screen" in d.text()


@drive((120, 36))
async def test_the_columns_of_errors_stand_below_their_heads(d):
    places = [("shop/views.py", 7), ("a.py", 1234), ("shop/long/name/of/a/folder/cart.py", 88)]
    for number, (file, line) in enumerate(places):
        await d.say(d.player.error(type=f"Error{number}", file=file, line=line, gen=number + 1))
    await d.press("5")
    head, *lines = d.screen()[3:7]
    for name, words in (("SINCE", "gen "), ("10 MINUTES", "▁"), ("ERROR", "Error")):
        assert {line.index(words) for line in lines} == {head.index(name)}, name
    assert {line.index(file) for line, (file, _) in zip(lines, reversed(places))} == {
        head.index("WHERE")}
    await d.pilot.click("#errors", offset=(20, 3))  # the last of them
    await d.press()
    assert d.app.panes["errors"].selected_error().type == "Error0"
