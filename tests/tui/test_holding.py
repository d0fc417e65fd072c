"""Requests held and routes mocked from the dashboard; messages sent; JSON folded."""

import base64

import pytest

pytest.importorskip("textual")

from tests.support.dashboard_driver import LARGE, SMALL, drive, rows
from tests.support.feed_player import message
from tui.model import bodies
from tui.model.holding import Malformed, change_of, mock_of
from tui.model.messages import parse


def held(state="held", number=7):
    return {"v": 1, "kind": "held", "state": state, "pid": 4711, "gen": 14, "id": number,
            "conn": 9, "t": 0.0, "seconds": 45.0, "method": "POST", "path": "/api/cart"}


def test_a_mock_is_typed_with_a_body_or_takes_the_recorded_one():
    mock = mock_of('GET /a/* 503 {"error": "no lamps"}')
    assert (mock.status, mock.body) == (503, b'{"error": "no lamps"}')
    assert mock.headers == (("content-type", "application/json"),)
    assert mock_of("GET /b 503", mock).body == mock.body
    assert mock_of("GET /b 404", mock).body == b""
    for wrong in ("GET /a", "GET a 200", "GET /a 99", "/a 200"):
        with pytest.raises(Malformed):
            mock_of(wrong)


def test_a_change_sets_and_takes_away_headers():
    assert change_of("PUT /b?c X-Role: admin | Cookie:") == {
        "method": "PUT", "target": "/b?c", "headers": {"X-Role": "admin", "Cookie": None}}
    assert change_of('PUT /b || {"a": 1 || 2}') == {
        "method": "PUT", "target": "/b", "headers": {},
        "body64": base64.b64encode(b'{"a": 1 || 2}').decode()}
    assert change_of("PUT /b ||")["body64"] == ""
    for wrong in ("PUT", "PUT b", "PUT /b nonsense"):
        with pytest.raises(Malformed):
            change_of(wrong)


@drive(SMALL)
async def test_what_is_held_is_said_listed_and_let_go(d):
    await d.press("I", *"POST /api/*", "enter")
    (command,) = await d.obey()
    assert command["args"] == {"hold": "POST /api/*", "mocks": []}
    await d.say(held(), held(number=8))
    assert "2 requests are held" in d.screen()[-2]
    await d.say(d.player.frame(4711, [d.player.row(
        4711, id=7, conn=9, method="POST", path="/api/cart", status=0, state="live", ms=900.0)]))
    assert "held: H" in next(line for line in d.screen() if "/api/cart" in line)
    await d.press("H")
    assert "POST /api/cart" in d.text()
    await d.press("enter")
    (command,) = await d.obey()
    assert command["name"] == "release" and command["args"] == {"pid": 4711, "id": 7}
    await d.say(held("released"), held("timeout", 8))
    await d.until(lambda: len(d.app.screen_stack) == 1)
    assert any("went on by itself" in one.text for one in d.app.session.notices.items)
    assert "held" not in d.app.session.notices.standing


@drive(LARGE)
async def test_the_head_says_what_is_held_and_mocked_until_it_is_not(d):
    await d.press("I", *"POST /api/*", "enter")
    await d.obey()
    assert "■ holds POST /api/*" in d.screen()[0]
    assert d.screen()[-2].split(maxsplit=2)[2].startswith("from now on held: POST /api/*")
    await d.press("A", *"GET /a 503 no", "enter")
    await d.obey()
    assert "■ holds POST /api/*, mocks GET /a" in d.screen()[0]
    assert "GET /a is answered with 503" in d.screen()[-2]
    await d.press("I", "ctrl+u", "enter", "A", "ctrl+u", "enter")
    await d.obey()
    assert "■" not in d.screen()[0] and "no route is mocked any more" in d.screen()[-2]


@drive(LARGE)
async def test_a_row_says_that_it_was_mocked_or_answered_by_hand(d):
    await d.say(rows(d.player, 1, path="/a", status=503, proxied="mock"),
                rows(d.player, 1, path="/b", status=404, proxied="hand"))
    for path, words in (("/a ", "mocked"), ("/b ", "by hand")):
        assert words in next(line for line in d.screen() if path in line)
    await d.press("up", "enter", "enter", *["right"] * 2)
    assert "answered  by hand, not by the application" in d.text()


@drive(LARGE)
async def test_how_a_text_is_written_is_said_also_where_there_is_one_already(d):
    await d.say(held())
    await d.press("H", "e")
    await d.until(lambda: d.app.asking.entry.display)
    await d.press()
    assert "PUT /other X-Role: admin | Cookie: || {}" in d.screen()[-1]
    await d.press("escape")
    assert "X-Role" not in d.screen()[-1]


@drive(SMALL)
async def test_what_is_not_known_yet_is_refused_at_its_place(d):
    await d.press("I", *"POST s:500")
    row = next(row for row in d.screen() if "cannot be held by" in row)
    assert row.index("╰") == len(" hold POST ")
    assert "s: cannot be held by: that is known only once it was answered" in row
    await d.press("enter")
    assert d.app.asking.entry.display and d.commands() == []
    await d.press("escape")
    assert "cannot be held by" not in d.text()


@drive(SMALL)
async def test_one_that_is_held_is_changed_or_answered(d):
    await d.say(held())
    for key, typed, name in (("e", "PUT /other", "target"), ("a", "404 not here", "answer")):
        await d.press("H", key)
        await d.until(lambda: d.app.asking.entry.display)
        d.app.asking.entry.value = typed
        await d.press("enter")
        (command,) = d.commands()
        assert command["name"] == "release" and name in command["args"]
    assert base64.b64decode(command["args"]["answer"]["body64"]) == b"not here"


@drive(SMALL)
async def test_a_route_is_mocked_from_what_was_recorded(d):
    about = {"response": message([("Content-Type", "text/plain"), ("Date", "x")], b"hello")}
    await d.say(rows(d.player, 1, method="GET", path="/a?b", status=200, **about))
    await d.press("up", "A", "enter")
    (command,) = d.commands()
    (mock,) = command["args"]["mocks"]
    assert (mock["method"], mock["path"], mock["status"]) == ("GET", "/a", 200)
    assert base64.b64decode(mock["body64"]) == b"hello"
    assert mock["headers"] == [["Content-Type", "text/plain"]]
    await d.press("A")
    d.app.asking.entry.value = ""
    await d.press("enter")
    assert d.commands()[-1]["args"]["mocks"] == []


@drive(LARGE)
async def test_json_is_folded_level_by_level(d):
    body = b'{"a": {"b": [1, 2, {"c": 3}]}, "d": 4}'
    await d.say(rows(d.player, 1, method="GET", path="/x", response=message(
        [("Content-Type", "application/json")], body)))
    await d.press("up", "enter", "enter")
    d.app.detail.focus()
    await d.press()
    assert '"c": 3' in d.text()
    await d.press("minus")
    assert '"c": 3' not in d.text() and "… 1 line …" in d.text()
    await d.press("plus")
    assert '"c": 3' in d.text()


def test_folded_json_keeps_its_brackets():
    told = parse(message([("Content-Type", "application/json")], b'{"a":{"b":[1,2]},"d":4}'))
    lines, _ = bodies.shown(told, False)
    assert bodies.depth_of(told) == 3
    assert bodies.folded(lines, 1) == ["{", '  "a": { … 4 lines … },', '  "d": 4', "}"]


@drive(LARGE)
async def test_a_message_is_typed_for_an_open_websocket(d):
    row = {"id": 1, "conn": 9, "t": 0.0, "method": "GET", "path": "/ws", "status": 101,
           "http": "ws", "state": "live", "ms": 9000.0, "bytes_in": 0, "bytes_out": 0}
    await d.say(d.player.frame(4711, [row]))
    await d.press("up", "enter")
    d.app.detail.focus()
    await d.press()
    assert "a send a message  C close with a code" in d.screen()[-1]
    await d.press("a", *"hello", "enter", "C")
    d.app.asking.entry.value = "4001 out of lamps"
    await d.press("enter")
    first, second = d.commands()
    assert first["args"] == {"pid": 4711, "conn": 9, "text": "hello"}
    assert second["args"]["close"] == 4001 and second["args"]["reason"] == "out of lamps"
    await d.say(d.player.frame(4711, [{**row, "state": "done"}]))
    assert "send" not in d.screen()[-1] and "with a code" not in d.screen()[-1]
