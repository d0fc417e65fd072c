"""The dashboard as a whole, driven by keys, with a feed over a socketpair."""

import asyncio

import pytest

pytest.importorskip("textual")

from textual import events

from tests.support.dashboard_driver import LARGE, SMALL, dashboard, drive, rows

HOSTILE = ["/[bold red]x[/]", "/[/", "/[@click=app.quit]go[/]", "/\x1b[2J\x1b]0;t\x07",
           "/\x9b31m",
           "/\u202etxt.exe\u2066", "/a\u200bb\ud800", "/日本語" * 20, "/" + "e\u0301" * 100,
           "/\\[x]", "/a\nb\r\tc"]



@drive(SMALL)
async def test_the_head_shows_app_address_workers_and_generation(d):
    head = d.screen()[0]
    for words in ("TREMOLO", "shop:app", "127.0.0.1:8000", "2 workers", "gen 14 ✔ 71 ms"):
        assert words in head
    assert all(len(line) == 80 for line in d.screen())


@drive(SMALL)
async def test_requests_appear_and_the_list_follows(d):
    await d.say(rows(d.player, 40, path="/first"))
    await d.say(rows(d.player, 1, path="/newest", status=404, method="DELETE"))
    text = d.text()
    assert "/newest" in text and "DEL" in text and "404" in text and "FOLLOW" in text


@drive(SMALL)
async def test_moving_up_stops_following_and_holds_the_row_while_others_come(d):
    await d.say(rows(d.player, 40), rows(d.player, 1, path="/this-one"))
    await d.press("up")
    place = next(y for y, line in enumerate(d.screen()) if "/this-one" in line)
    await d.say(rows(d.player, 30))
    assert "/this-one" in d.screen()[place] and "FOLLOW" not in d.text()
    await d.press("G")
    assert "FOLLOW" in d.text() and "/this-one" not in d.text()


@drive(SMALL)
async def test_enter_opens_the_request_and_escape_closes_it(d):
    await d.say(rows(d.player, 3, path="/inspect/me", ms=112.7, throttle_ms=40.0))
    await d.press("up", "enter")
    text = d.text()
    assert "→ 200" in text and "throttle" in text and "Esc closes" in text
    await d.press("escape")
    assert "Esc closes" not in d.text()


@drive(SMALL)
async def test_a_notice_that_is_too_long_keeps_its_place_and_loses_what_was_added(d):
    place = "/home/ada/projects/shop/warehouse/views.py:10"
    d.app.session.notify(f"OperationalError: no such table: shop_book  {place}", "error")
    await d.press()
    line = d.screen()[-2].strip()
    assert line.endswith("OperationalError: no such table: shop_book  views.py:10")
    d.app.session.notify("gen 3 failed: SyntaxError: '(' was never closed (main.py, line 6) · "
                         "gen 2 serves", "error")
    await d.press()
    assert d.screen()[-2].strip().endswith("'(' was never closed (main.py, line 6)…")


@drive(SMALL)
async def test_the_filter_counts_what_runs_and_hides_no_first_hints(d):
    d.app.session.traffic.set_filter("/ws")
    await d.press()
    assert "waiting for requests on" in d.text() and "filter /ws" in d.text()
    row = d.player.row(4711, path="/ws", status=101, http="ws", state="live", ms=900.0, id=5)
    await d.say(rows(d.player, 3, path="/other"), d.player.frame(4711, [row]))
    assert "1 of 4" in d.text()


@drive(LARGE)
async def test_a_worker_that_died_is_said_to_be_replaced_once_it_is(d):
    await d.press("6")
    await d.say(d.player.worker(4711, "exited", cause="SIGKILL", expected=False, retry_in=0.0))
    await d.press("6")
    assert "SIGKILL, being replaced" in d.text()
    await d.say(d.player.worker(4713, "serving"))
    assert "SIGKILL, replaced" in d.text()


@drive(SMALL)
async def test_the_timing_names_the_handler(d):
    await d.say(rows(d.player, 1, path="/books", id=7, endpoint={
        "name": "books", "file": "/home/ada/shop/main.py", "line": 46}))
    await d.press("up", "enter", "right", "right", "enter", "G")
    assert "handler   books  main.py:46  e opens it" in d.text()


@drive(LARGE)
async def test_enter_again_gives_the_open_detail_the_keys(d):
    await d.say(rows(d.player, 3, path="/inspect/me"))
    await d.press("up", "enter")
    assert d.app.panes["traffic"].has_focus
    await d.press("up", "enter")  # the detail went along: once is enough
    assert d.app.detail.has_focus
    await d.press("escape")
    assert d.app.panes["traffic"].has_focus and "Esc closes" not in d.text()


@drive(LARGE)
async def test_a_pane_stands_alone_after_its_key_came_twice_at_once(d):
    """Before the pane itself was told that it has the focus."""
    d.app.arrangement.choose(4)
    d.app.arrangement.choose(4)
    assert d.app.arrangement.alone


@drive(LARGE)
async def test_a_request_that_others_were_in_the_way_of_says_so(d):
    await d.say(rows(d.player, 1, path="/alone"), rows(d.player, 1, path="/not", crowded=True))
    await d.press("up", "enter")
    assert "meanwhile other processes wanted the processor, too" in d.text()
    await d.press("up")
    assert "meanwhile" not in d.text()


@drive(LARGE)
async def test_a_sample_is_said_to_be_one(d):
    await d.say(rows(d.player, 2, path="/few", route="/few"),
                rows(d.player, 2, path="/many", route="/many", weight=31.5),
                rows(d.player, 1, path="/late", route="/late", unobserved=True))
    lines = d.screen()
    [many] = [line for line in lines if " /many " in line and "~63" in line]
    assert many and not any("~" in line for line in lines if " /few " in line)
    await d.press("up", "enter")
    assert "not looked into: too many requests came at once" in d.text()
    await d.press("up")
    assert "one of    about 32 like it" in d.text() and "not looked into" not in d.text()


@drive(SMALL)
async def test_the_filter_is_live_and_escape_brings_back_the_old_one(d):
    await d.say(rows(d.player, 3, path="/keep"), rows(d.player, 3, path="/drop"))
    await d.press("slash", *"keep")
    assert "/keep" in d.text() and "/drop" not in d.text() and "3 of 6" in d.text()
    await d.press(*" ms", "greater_than_sign")
    assert "ms needs a number" in d.text() and "/drop" not in d.text()
    await d.press("backspace", "backspace", "backspace", "enter")
    assert d.app.session.traffic.filter_text == "keep" and not d.app.asking.entry.display
    await d.press("slash", "x", "escape")
    assert d.app.session.traffic.filter_text == "keep"
    await d.press("escape")
    assert "/drop" in d.text()


@drive(SMALL)
async def test_only_keys_that_can_do_something_are_offered(d):
    await d.say(rows(d.player, 1, method="GET", path="/ws/chat", status=101, http="ws"),
                rows(d.player, 1, method="GET", path="/page", status=200))
    await d.press("up")
    assert "r replay" in d.screen()[-1] and "p pin" in d.screen()[-1]
    await d.press("up")
    assert "replay" not in d.screen()[-1] and "pin" not in d.screen()[-1]
    await d.press("r")
    assert "a WebSocket is not replayed" in d.text()
    await d.press("slash")
    assert "R reload" not in d.screen()[-1], "that is a letter now"
    assert "Esc cancel" in d.screen()[-1] and "⏎ accept" in d.screen()[-1]


@pytest.mark.parametrize("size", [(40, 10), (60, 16), (80, 24)], ids=str)
def test_columns_that_do_not_fit_are_left_out_and_not_cut(size):
    async def main():
        async with dashboard(size) as d:
            await d.say(rows(d.player, 40), d.player.frame(4711))
            top = 0 if size[0] < 60 else 3
            for key, least in (("2", {"ROUTE", "N", "P95", "5XX"}),
                               ("3", {"PEER", "STATE", "RATE"}),
                               ("6", {"PID", "STATE", "CPU", "REQUESTS"})):
                await d.press(key)
                head = d.screen()[top]
                assert "…" not in head and least <= set(head.split()), head
    asyncio.run(main())


@drive(SMALL)
async def test_a_selected_row_is_not_followed(d):
    await d.say(rows(d.player, 40))
    d.app.traffic.select_index(3)
    await d.say(rows(d.player, 40))
    assert "FOLLOW" not in d.text() and d.app.traffic.selected is not None


@drive(SMALL)
async def test_a_throttle_preset_is_one_key_and_shown_when_confirmed(d):
    await d.press("t", "right")
    assert "▼" not in d.screen()[0]
    (command,) = await d.obey()
    assert command["name"] == "throttle" and command["args"]["scope"] == "*"
    assert command["args"]["throttle"]["name"] == "offline"
    assert "▼ Offline" in d.screen()[0] and "applied in" in d.text()
    await d.press("T")
    (command,) = await d.obey()
    assert command["args"]["rules"] == {} and "▼" not in d.screen()[0]
    await d.press("T")
    (command,) = await d.obey()
    assert command["args"]["rules"]["*"]["offline"] and "▼ Offline" in d.screen()[0]


@drive(SMALL)
async def test_a_throttle_of_ones_own_is_typed_and_wrong_ones_are_explained(d):
    await d.press("7", "enter")
    d.app.asking.entry.value = "down=fast"
    await d.press("enter")
    assert d.commands() == [] and "down" in d.screen()[-2]
    d.app.asking.entry.value = "down=1.5Mbit latency=100ms"
    await d.press("enter")
    (command,) = await d.obey()
    assert command["args"]["throttle"]["download"] == 187_500
    assert "1.5 Mbit/s" in d.text() and "100 ms" in d.text()


@drive(SMALL)
async def test_sliders_move_with_keys_and_the_scope_follows_the_selection(d):
    await d.say(rows(d.player, 2, route="/api/items/{id}", conn=9))
    await d.press("up", "t")
    assert d.app.throttle_pane.scope == "/api/items/{id}"
    await d.press("down", "down", "left")
    (command,) = await d.obey()
    assert command["args"]["scope"] == "/api/items/{id}"
    assert command["args"]["throttle"]["download"] == 125_000_000
    assert "▼ down=1Gbit" in d.screen()[0] and "/{id}" in d.screen()[0]
    await d.press("s", "s")
    assert d.app.throttle_pane.scope == "#4711.9"


@drive(SMALL)
async def test_keys_typed_in_one_go_all_arrive_where_they_belong(d):
    await d.app.asking.make()
    for key, char in (("slash", "/"), ("s", "s"), ("x", "x"), ("q", "q")):
        d.app.post_message(events.Key(key, char))
    await d.until(lambda: d.app.session.traffic.filter_text == "sxq")
    await d.press("escape")
    for key in ("t", "right", "right", "right"):
        d.app.post_message(events.Key(key, None))
    await d.pilot.pause()
    assert [c["args"]["throttle"]["name"] for c in d.commands()] == ["offline", "gprs", "2g"]


@drive(SMALL)
async def test_a_reload_is_asked_for_and_shown(d):
    await d.press("R")
    (command,) = await d.obey()
    assert command["name"] == "reload"
    assert "gen 15 ✔ 74 ms" in d.screen()[0] and "── gen 15" in d.text()


@drive(SMALL)
async def test_a_broken_reload_shows_its_traceback_and_what_still_serves(d):
    await d.say(d.player.reload("started"), d.player.reload("failed"))
    assert "gen 15 ✖ failed" in d.screen()[0] and "gen 14 serves" in d.screen()[0]
    assert "Errors(1)" in d.screen()[2]
    await d.press("5")
    text = d.text()
    assert "SyntaxError" in text and "shop/cart.py:90" in text and "was never closed" in text


@drive(SMALL)
async def test_a_traceback_folds_frames_of_the_framework(d):
    await d.say(d.player.error())
    await d.press("5")
    text = d.text()
    assert "2 framework frames hidden" in text and "starlette" not in text
    source, mark = (next(line for line in d.screen() if words in line)
                    for words in ("total += i", "~^^^"))
    assert source.index("i['total']") == mark.index("~")
    await d.press("f")
    assert "starlette" in d.text()


@drive((120, 36))
async def test_the_detail_of_an_exception_goes_with_the_selection_to_the_newest(d):
    await d.say(d.player.error(type="FirstError", text="one"))
    await d.press("5", "enter")
    assert d.app.detail.error.type == "FirstError"
    await d.say(d.player.error(type="SecondError", text="two", line=99))
    assert d.app.detail.error.type == "SecondError"
    await d.press("down")
    assert d.app.detail.error.type == "FirstError"


@drive(SMALL)
async def test_a_log_that_is_shown_again_is_not_blank_until_it_is_laid_out(d):
    await d.press("4")
    await d.say(*(d.player.log(f"line {number}") for number in range(60)))
    pane = d.app.panes["log"]
    before = pane.top
    await d.press("1")
    pane.redraw()
    assert not pane.body_height and pane.top == before > 0


@drive(SMALL)
async def test_a_connection_is_seen_and_cut(d):
    d.player.stream(4711, 88, "GET /big.iso", 1.1e6, "sending")
    await d.say(rows(d.player, 1))
    await d.press("3", "G")
    assert "sending" in d.text() and "1.1 M/s" in d.text()
    await d.press("x")
    (command,) = d.commands()
    assert command["name"] == "cut" and command["args"] == {"pid": 4711, "conn": 88}


@drive(SMALL)
async def test_each_number_shows_its_pane(d):
    await d.say(rows(d.player, 5), d.player.log("hello from the app", "warning"))
    expected = ("FOLLOW", "P95", "PEER", "hello from the app", "no errors", "REQUESTS",
                "in force")
    for key, words in zip("1234567", expected):
        await d.press(key)
        assert words in d.text(), key


@drive(SMALL)
async def test_pausing_freezes_the_list_but_not_the_totals(d):
    await d.say(rows(d.player, 2, path="/before"))
    await d.press("space")
    await d.say(rows(d.player, 2, path="/after"))
    assert "PAUSED" in d.text() and "/after" not in d.text()
    assert d.app.session.totals.sums().plain["requests"] == 4
    await d.press("space")
    assert "/after" in d.text()


@drive(SMALL)
async def test_help_lists_the_keys(d):
    await d.press("question_mark")
    await d.pilot.pause()
    assert "Everywhere" in d.text()
    await d.press("escape")
    assert "Everywhere" not in d.text()


@drive(SMALL)
async def test_the_palette_offers_throttles(d):
    await d.press("ctrl+p")
    await d.pilot.pause()
    await d.press(*"slow 4g")
    await d.until(lambda: "Slow 4G" in d.text())
    await d.press("escape")


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=str)
def test_nothing_from_a_request_is_markup_or_reaches_the_terminal(size):
    async def main():
        async with dashboard(size) as d:
            frame = d.player.frame(4711, [
                d.player.row(4711, path=bad, method=bad[1:9], route=bad, error=bad, status=500)
                for bad in HOSTILE])
            frame["connections"] = [
                {"id": n, "peer": bad, "state": bad, "current": "GET " + bad, "age": 1.0}
                for n, bad in enumerate(HOSTILE)]
            await d.say(frame)
            for bad in HOSTILE:
                trace = f'Traceback\n  File "{bad}", line 1\n{bad}'
                await d.say(d.player.error(text=bad, path=bad, file=bad, type=bad, method=bad,
                                           traceback=trace),
                            d.player.log(bad), d.player.worker(4711, "blocked", cause=bad))
            await d.say({"v": 1, "kind": "reload", "gen": 15, "serving": 14, "state": "failed",
                         "files": HOSTILE, "t": 0.0},
                        {"v": 1, "kind": "hello", "app": HOSTILE[0], "addresses": HOSTILE})
            seen = ""
            for key in "1234567":
                await d.press(key)
                seen += d.text()
            await d.press("1", "up", "enter")
            for index in range(len(HOSTILE)):
                d.app.traffic.select_index(index)
                await d.pilot.pause()
                seen += d.text()
            await d.press("5", "enter")
            seen += d.text()
            assert "[bold red]x[/]" in seen and "\\u202e" in seen and "␛" in seen
            assert all(char.isprintable() or char == "\n" for char in seen)
    asyncio.run(main())


@drive(LARGE)
async def test_a_large_screen_shows_everything_at_once(d):
    await d.say(rows(d.player, 60), d.player.log("a line of log"))
    text = d.text()
    for words in ("1 Traffic", "2 Routes", "3 Connections", "4 Log", "6 Workers",
                  "7 Throttle", "a line of log", "P95", "PEER", "slows the network", "● 4711"):
        assert words in text, words
    assert all(len(line) == 160 for line in d.screen())
    await d.press("7")
    assert "preset" in d.text() and "slows the network" not in d.text()
    await d.press("4", "4")
    assert "P95" not in d.text() and "a line of log" in d.text()
    await d.press("4")
    assert "P95" in d.text()


@drive(LARGE)
async def test_a_large_screen_opens_details_beside_the_list(d):
    await d.say(rows(d.player, 5, path="/beside"))
    await d.press("up", "enter")
    line = next(line for line in d.screen() if "→ 200" in line)
    assert line.index("→ 200") > 90 and "/beside" in d.text()


@pytest.mark.parametrize(
    "size", [(40, 10), (59, 30), (99, 30), (100, 30), (139, 50), (300, 80)], ids=str)
def test_any_size_is_drawn_to_its_edges(size):
    async def main():
        async with dashboard(size) as d:
            await d.say(rows(d.player, 100), d.player.error(), *d.player.step(1))
            await d.press("up", "enter", "t", "7", "5", "3", "1")
            assert [len(line) for line in d.screen()] == [size[0]] * size[1]
    asyncio.run(main())


@drive(SMALL)
async def test_i_lists_the_notices_and_takes_down_what_stood(d):
    await d.say(d.player.reload("started"), d.player.reload("failed"), d.player.error())
    assert "gen 15 failed" in d.screen()[-2] and "i all" in d.screen()[-2]
    await d.press("i")
    text = d.text()
    assert "Notices" in text and "KeyError: 'total'  shop/cart.py:88" in text
    assert "i all" not in d.screen()[-2]


@drive(SMALL)
async def test_the_log_is_searched_where_it_is_and_keeps_its_selection(d):
    for number in range(40):
        await d.say(d.player.log(f"line {number} of cart", "error" if number == 7 else "info"))
    await d.press("4", "slash", *'"line 7"', "enter")
    assert "1 of 40" in d.text() and "line 8" not in d.text() and d.app.panes["log"].has_focus
    await d.press("up", "escape")
    text = d.text()
    assert "line 6 of cart" in text and "line 8 of cart" in text
    assert d.app.panes["log"].selected_line().text == "line 7 of cart"
    await d.press("slash", *"level:loud")
    assert "level: is one of" in d.text()
    await d.press("escape")
    assert d.app.session.log.search_text == ""


@drive(SMALL)
async def test_long_lines_of_the_log_are_wrapped_on_request(d):
    await d.say(d.player.log("begin " + "word " * 40 + "end-of-line"))
    await d.press("4")
    assert "end-of-line" not in d.text()
    await d.press("z")
    assert "end-of-line" in d.text()


@drive(SMALL)
async def test_sorting_begins_with_what_is_slowest_and_a_click_on_a_head_sorts(d):
    await d.say(rows(d.player, 60, ms=5.0), rows(d.player, 1, ms=900.0, path="/slowest"),
                rows(d.player, 60, ms=5.0))
    await d.press("up", "s")
    assert "/slowest" in d.screen()[5] and "by ms" in d.text()
    await d.press("S")
    assert "/slowest" not in d.text()
    await d.press("s", "s", "s", "s", "s")
    assert d.app.session.traffic.sort == "time" and "G follows" in d.text()
    column = d.screen()[4].index("SIZE")
    await d.pilot.click("#traffic", offset=(column, 1))
    assert d.app.session.traffic.sort == "size"


@drive(SMALL)
async def test_marked_requests_are_shown_alone(d):
    await d.say(rows(d.player, 5, path="/other"), rows(d.player, 1, path="/marked"))
    await d.press("up", "m", "M")
    assert "/marked" in d.text() and "/other" not in d.text() and "◆" in d.text()
    await d.press("M")
    assert "/other" in d.text()


@drive(SMALL)
async def test_a_path_with_letters_beyond_ascii_is_read_decoded(d):
    await d.say(rows(d.player, 1, path="/caf%C3%A9/%E6%BC%A2?q=b%C3%BCro"))
    assert "/café/漢?q=büro" in d.text()
    assert all(len(line) >= 78 for line in d.screen())


@drive(LARGE)
async def test_the_workers_pane_says_what_is_not_preloaded_and_why(d):
    await d.say(d.player.reload("ready", mode="zygote", preloaded=300, not_preloaded=[
        {"module": "grpc", "reason": "it starts a thread"}]))
    await d.press("6")
    assert "300 modules preloaded, 1 not" in d.text()
    await d.press("end")
    row, = [text for text in d.screen() if "not preloaded" in text]
    assert "grpc  it starts a thread" in row


@drive(SMALL)
async def test_the_scale_is_of_what_is_visible_also_after_the_list_became_shorter(d):
    times = [900.0] * 4 + [3.0] * 10
    await d.say(d.player.frame(4711, [d.player.row(4711, ms=ms, status=200) for ms in times]))
    traffic = d.app.traffic
    assert "0      1 s" in d.text()
    traffic.select_index(traffic.count() - 1)
    d.app.arrangement.detail = True  # as Enter does, without a draw that would settle all
    d.app.arrangement.apply()
    await d.pilot.pause()
    assert 900.0 not in [traffic.entry(traffic.top + line).ms
                         for line in range(traffic.body_height)]
    assert "0     5 ms" in d.text()
