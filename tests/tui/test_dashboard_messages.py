"""Headers and bodies on the screen, and what the keys do with them."""

import asyncio
import json
import os

import pytest

pytest.importorskip("textual")

from tests.support.dashboard_driver import LARGE, SMALL, dashboard, drive, rows, server
from tests.support.feed_player import message
from tests.tui.test_dashboard import HOSTILE
from tui import saved_state

JSON = ("Content-Type", "application/json")
POST = {"method": "POST", "path": "/cart", "route": "/cart", "status": 200, "error": None,
        "request": message([("Host", "x"), ("Authorization", "Bearer abcdef"), JSON],
                           b'{"qty":2,"password":"hunter2"}'),
        "response": message([JSON, ("Set-Cookie", "id=sesame")], b'{"total":[25]}')}
BOTH = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "160x48"])


@pytest.fixture(autouse=True)
def state_home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("TERM", "xterm-256color")


def at(size, function):
    async def main():
        async with dashboard(size) as d:
            await function(d)
    asyncio.run(main())


async def whole_detail(d):
    """All that the detail shows, page by page; the list has the keys again afterwards."""
    detail, seen = d.app.detail, []
    if "All" in detail._names:
        detail.action_tab(detail._names.index("All") - detail._names.index(detail.tab))
    for top in range(0, max(1, detail.count()), max(1, detail.body_height)):
        detail.top = top
        detail.redraw()
        await d.pilot.pause()
        seen.append(d.text())
    detail.top = 0
    return "\n".join(seen)


def copied():
    with open(os.path.join(saved_state.state_folder(), "copied.txt"), encoding="utf-8") as file:
        return file.read()[:-1]


# -- the sections

@BOTH
def test_both_messages_have_their_sections_between_the_facts_and_curl(size):
    async def run(d):
        await d.say(rows(d.player, 1, **POST))
        await d.press("up", "enter")
        text = await whole_detail(d)
        places = [text.index(words) for words in (
            "Response body", '  "total": [', "Request body", '  "qty": 2,', "Request headers",
            "Host: x", "Response headers", "served by", "── Curl")]
        assert places == sorted(places)
        assert all(len(line) == size[0] for line in d.screen())
    at(size, run)


@BOTH
def test_v_reveals_secrets_until_another_request_is_opened(size):
    async def run(d):
        await d.say(rows(d.player, 2, **POST))
        await d.press("up", "enter")
        text = await whole_detail(d)
        assert "Authorization: •••• 13 characters" in text and "v shows secrets" in text
        assert '"password": "•••• 7 characters"' in text
        assert not any(word in text for word in ("abcdef", "hunter2", "sesame"))
        await d.press("v")
        text = await whole_detail(d)
        assert all(word in text for word in ("abcdef", "hunter2", "sesame", "v masks secrets"))
        await d.press("v")
        assert "abcdef" not in await whole_detail(d)
        await d.press("v", "up")
        assert "abcdef" not in await whole_detail(d) and "hunter2" not in await whole_detail(d)
        await d.press("enter", "v")  # on a small screen the detail has the keys now
        assert "abcdef" in await whole_detail(d)
    at(size, run)


@drive(LARGE)
async def test_rows_without_messages_have_no_sections(d):
    await d.say(rows(d.player, 1, status=200))
    await d.press("up", "enter", "v")
    text = await whole_detail(d)
    assert "headers" not in text and "body" not in text and "── Curl" in text


@drive(LARGE)
async def test_sections_come_after_the_traceback_and_before_the_log(d):
    await d.say(rows(d.player, 1, **{**POST, "status": 500}),
                d.player.error(),
                {**d.player.log("meanwhile"), "request": d.player.row_ids[4711]})
    await d.press("up", "enter")
    text = await whole_detail(d)
    places = [text.index(words) for words in (
        "Traceback", "Response body", "Request headers", "── Log", "── Curl")]
    assert places == sorted(places)
    d.app.detail.focus()
    await d.press("Y")
    assert copied().startswith("Traceback")


@BOTH
def test_a_long_body_is_bounded_and_a_cut_one_says_so(size):
    async def run(d):
        body = ("word " * 30 + "\n").encode() * 100
        await d.say(rows(d.player, 1, **{**POST, "response": message(
            [("Content-Type", "text/plain")], body + b"x" * (16384 - len(body)), 1_200_000)}))
        await d.press("up", "enter")
        text = await whole_detail(d)
        assert "the first 16 KiB of 1.2 M" in text and " more line" in text
        assert d.app.detail.count() < 300
    at(size, run)


@drive(LARGE)
async def test_messages_that_are_forgotten_leave_the_screen(d):
    await d.say(rows(d.player, 1, **POST))
    await d.press("up", "enter")
    assert "Request headers" in await whole_detail(d)
    d.app.session.traffic.kept.forget_before(1 << 60)
    d.app.draw_changes(hurry=True)
    assert "Request headers" not in await whole_detail(d)


@BOTH
def test_nothing_in_a_message_is_markup_or_reaches_the_terminal(size):
    async def run(d):
        hostile = [*HOSTILE, "\u202e" * 50, "a\r\x1b[2Jb", "é" * 500]
        fields = [field for bad in hostile for field in ((bad, bad), ("X-Token", bad))]
        seen = ""
        for kind in ("text/plain", "application/json", "application/x-www-form-urlencoded",
                     "text/plain; charset=latin1", HOSTILE[3]):
            body = "&\n".join(hostile).encode("utf-8", "replace")
            if "json" in kind:
                body = json.dumps({bad: [bad] for bad in hostile}, ensure_ascii=False).encode(
                    "utf-8", "replace")
            told = message([("Content-Type", kind), *fields], body)
            await d.say(rows(d.player, 1, **{**POST, "request": told, "response": told}))
            await d.press("G", "up", "enter", "v")
            seen += await whole_detail(d)
            for key in "Er":
                await d.press(key)
                seen += d.text()
            await d.press("escape", "escape")
        assert "[bold red]x[/]" in seen and "\\u202e" in seen and "␛" in seen
        assert all(char.isprintable() or char == "\n" for char in seen)
    at(size, run)


@drive(LARGE)
async def test_a_quiet_detail_is_not_made_anew_for_each_log_line(d):
    await d.say(rows(d.player, 1, **POST))
    await d.press("up", "enter")
    detail = d.app.detail
    row = detail.subject
    made = detail.contents.messages.headers(detail, row, detail.size.width - 1, False)
    await d.say(d.player.log("a line"))
    assert detail.contents.messages.headers(detail, row, detail.size.width - 1, False) is made


@drive(LARGE)
async def test_the_first_drawing_has_the_width_of_the_pane(d):
    await d.say(rows(d.player, 1, **POST))
    drawn, detail = [], d.app.detail
    original = detail.pieces
    detail.pieces = lambda index, width: drawn.append(detail._settled_for) or original(
        index, width)
    await d.press("up", "enter")
    assert set(drawn) == {detail.size}


# -- keys

@drive(SMALL)
async def test_the_filter_finds_words_in_headers_and_bodies(d):
    await d.say(rows(d.player, 2, path="/other"), rows(d.player, 1, **POST))
    for words in ("h:bearer", "b:total", 'h:"set-cookie: id"'):
        d.app.filter_by(words)
        d.app.draw_changes(hurry=True)
        await d.pilot.pause()
        assert "/cart" in d.text() and "/other" not in d.text(), words
    await d.press("slash", *"x h:")
    assert "h: needs a word" in d.text()


@BOTH
def test_b_copies_the_body_and_capital_y_too_without_a_traceback(size):
    async def run(d):
        await d.say(rows(d.player, 1, **POST))
        await d.press("up", "b")
        assert copied() == '{"total":[25]}' and "response body copied" in d.text()
        await d.press("enter", "enter", "b", "y")
        assert copied().startswith("curl ")
        d.app.detail.focus()
        await d.press("Y")
        assert copied() == '{"total":[25]}'
    at(size, run)


@pytest.mark.parametrize("response, words", [
    (None, "not known here"), (message([], b""), "has no body"),
    (message([], b"", 9), "not known here"), (message([], b"\xff\0"), "is not text")],
    ids=["unknown", "none", "from a file", "binary"])
def test_a_body_that_cannot_be_copied_is_told(response, words):
    async def run(d):
        await d.say(rows(d.player, 1, **{**POST, "response": response}))
        await d.press("up", "b")
        assert words in d.text()
    at(SMALL, run)


@drive(LARGE)
async def test_the_copied_command_has_the_real_values_and_says_what_it_needs(d):
    await d.say(rows(d.player, 1, **POST))
    await d.press("up", "y")
    assert "Bearer abcdef" in copied() and "hunter2" in copied()
    await d.say(rows(d.player, 1, **{**POST, "request": message([], b"x", 5)}))
    await d.press("G", "up", "y")
    assert "@body.bin" in copied() and "put its body into body.bin" in d.text()


@pytest.mark.parametrize("size, opened", [(SMALL, ["up"]), (LARGE, ["up"]),
                                          (SMALL, ["up", "enter", "enter"])], ids=str)
def test_r_sends_a_post_again_with_its_bytes(size, opened):
    async def run(d):
        async with server() as (address, requests):
            d.app.session.addresses = [address]
            await d.say(rows(d.player, 1, **POST))
            await d.press(*opened, "r")
            await d.until(lambda: "→ 200" in d.app.session.notices.newest.text)
        ((head, body),) = requests
        assert head == (f"POST /cart HTTP/1.1\r\nHost: {address[7:]}\r\n"
                        "Authorization: Bearer abcdef\r\nContent-Type: application/json\r\n"
                        "Content-Length: 30\r\nConnection: close\r\n\r\n").encode()
        assert body == b'{"qty":2,"password":"hunter2"}'
    at(size, run)


@BOTH
def test_a_websocket_and_a_cut_body_are_refused_with_a_word(size):
    async def run(d):
        await d.say(rows(d.player, 1, **{**POST, "http": "ws", "status": 101, "method": "GET"}))
        for key in "rpE":
            await d.press("G", "up", key)
            assert "WebSocket is not replayed" in d.text()
            d.app.session.notify("")
        await d.say(rows(d.player, 1, **{**POST, "request": message([], b"x", 5)}))
        await d.press("G", "up", "r")
        assert "its body is not known whole" in d.text()
    at(size, run)


# -- pins

@BOTH
def test_a_pinned_post_is_sent_after_each_reload_and_not_before(size):
    async def run(d):
        async with server() as (address, requests):
            d.app.session.addresses = [address]
            other = {**POST, "request": message([], b"other")}
            await d.say(rows(d.player, 1, **other), rows(d.player, 1, **POST))
            await d.press("up", "p")
            assert "it will be sent after each reload" in d.text() and "⟲" in d.text()
            assert d.text().count("⟲") == 1 and not d.app.replays.running and requests == []
            seen = d.app.session.pins.answers(d.app.session.pins.keys()[0])
            assert [(answer.status, answer.bytes) for answer in seen] == [(200, 14)]
            for count, words in ((1, "14 b → 2 b"), (2, "1 pinned answer as before")):
                await d.say(d.player.reload("started"), d.player.reload("ready"))
                await d.until(lambda n=count: len(requests) == n and not d.app.replays.running)
                assert words in d.app.session.notices.newest.text
            assert requests[0] == requests[1] and requests[0][1].startswith(b'{"qty"')
            await d.press("up", "p")
            assert len(d.app.session.pins) == 2
            await d.press("p")
            assert len(d.app.session.pins) == 1
    at(size, run)


@drive(LARGE)
async def test_a_pinned_get_keeps_its_cookies_and_the_disk_sees_none(d):
    d.app.project = "/some/shop"
    async with server() as (address, requests):
        d.app.session.addresses = [address]
        await d.say(rows(d.player, 1, **POST), rows(d.player, 1, **{
            **POST, "method": "GET", "request": message([("Cookie", "id=sesame")])}))
        await d.press("up", "p", "up", "p")
        await d.until(lambda: requests and not d.app.replays.running)
        assert b"Cookie: id=sesame\r\n" in requests[0][0]
    d.app.on_unmount()
    with open(saved_state.path_for("/some/shop")) as file:
        text = file.read()
    (kept,) = json.loads(text)["pins"]
    assert kept["target"] == "/cart" and kept["lacks"] == ["cookie"]
    assert "sesame" not in text and "hunter2" not in text
    assert not any(word in text for word in ("sesame", "hunter2", "abcdef", "POST"))


@drive((80, 100))
async def test_a_statement_sent_again_and_again_is_one_line_and_says_where(d):
    frame = rows(d.player, 1, path="/list")
    each = [1, 0, 0, 500, 1]
    told = {"v": 1, "kind": "insight", "pid": 4711, "request": frame["rows"][0]["id"],
            "statements": ["select id from orders where open",
                           "select name from items where id=?"],
            "places": ["/shop/views.py:31"],
            "queries": [[0, 0, 0, 4000, 9], *[[*each, False, f"({n},)"] for n in range(9)],
                        [*each, True], each],
            "query_count": 12, "sql_ms": 9.5,
            "repeated": [{"count": 7, "sql": 1, "place": 0, "ms": 3.5}]}
    await d.say(frame, told)
    await d.press("up", "enter")
    text = " ".join((await whole_detail(d)).replace("│", " ").replace("┃", " ").split())
    again = "select name from items where id=?"
    assert f"1+N: 7× {again} at views.py:31 · 3.5 ms" in text
    assert "4.0 select id from orders where open 9 rows views.py:31" in text
    assert (f"4.5 9× {again} (0,) (1,) (2,) (3,) (4,) (5,) (6,) (7,) and 1 other 9 rows "
            f"views.py:31 0.5 {again} 1 row views.py:31 0.5 {again}") in text
