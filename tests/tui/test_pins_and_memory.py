"""Replay, pins, the clipboard's file, what is remembered, blocked workers, the reload line."""

import asyncio
import hashlib
import os
import stat

import pytest

pytest.importorskip("textual")

from tests.support.dashboard_driver import LARGE, SMALL, dashboard, drive, rows
from tests.support.feed_player import FeedPlayer
from tui import clipboard, saved_state
from tui.model.differences import lines_of
from tui.model.pins import Answer, Pins, compare, refusal
from tui.model.requests import Request
from tui.model.session import Session
from tui.replay import as_reported, send
from tui.replays import Replays


async def serve(answer, use):
    """Run `use(address, heads)` against a server that answers each request with `answer`."""
    heads = []

    async def client(reader, writer):
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(client, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        return await use(address, heads)
    finally:
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize("answer, status, size, error", [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, 5, ""),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n",
     200, 5, ""),
    (b"HTTP/1.0 404 No\r\n\r\nup to the end", 404, 13, ""),
    (b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 204 None\r\n\r\n", 204, 0, ""),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", 0, 0, "cut off"),
    (b"SSH-2.0-x\r\n\r\n", 0, 0, "not HTTP"),
    (b"HTTP/1.1 200", 0, 0, "not HTTP"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 0, 0, "not HTTP"),
], ids=["length", "chunked", "close", "informational", "short", "other", "no head", "bad chunk"])
def test_a_request_is_sent_again_whatever_the_framing(answer, status, size, error):
    async def use(address, heads):
        found = await send(("GET", "/x?y=1"), [address], gen=3)
        assert heads[0].startswith(b"GET /x?y=1 HTTP/1.1\r\nHost: 127.0.0.1:")
        return found

    found = asyncio.run(serve(answer, use))
    assert (found.status, found.bytes, found.gen) == (status, size, 3)
    assert error in found.error and bool(error) == bool(found.error)


def test_nobody_listening_is_an_answer_too():
    found = asyncio.run(send(("GET", "/"), ["unix:/nowhere/at/all"]))
    assert "No such file" in found.error


def test_only_what_is_known_whole_is_sent_again():
    assert refusal("GET", "/a?b=c") == "" == refusal("HEAD", "/")
    assert "headers and body" in refusal("POST", "/")
    for bad in ("*", "/a b", "/ä", "/" + "x" * 255, "http://x/"):
        assert "not known whole" in refusal("GET", bad)


def test_answers_are_compared_by_status_size_content_and_time():
    good = Answer(200, 10, "a", 5.0)
    assert compare(good, good._replace(ms=9.0)) == []
    assert compare(good, good._replace(status=500, bytes=21)) == ["200 → 500", "10 b → 21 b"]
    assert compare(good, good._replace(digest="b")) == ["same size, other content"]
    assert compare(good, good._replace(ms=60.0)) == ["5.0 → 60.0 ms"]
    assert compare(good, Answer(0, 0, "", 1.0, error="refused")) == ["refused"]
    assert compare(Answer(0, 0, "", 1.0, error="refused"), good) == ["answers again: 200"]
    counted = good._replace(queries=3, headers=(("x", "1"), ("Date", "now")))
    assert compare(counted, counted._replace(queries=1, headers=(("x", "2"),))) == [
        "3 → 1 query", "x"]
    assert compare(good, counted) == []


def answer_with(body, **given):
    digest = hashlib.sha256(body).hexdigest()
    headers = given.pop("headers", (("content-type", "application/json"),))
    return Answer(200, len(body), digest, 5.0, 3, headers=headers, body=body)._replace(**given)


def test_a_difference_is_read_line_by_line_with_secrets_masked():
    before = answer_with(b'{"a":1,"b":[1,2],"token":"abc"}', queries=3)
    after = answer_with(b'{"a":1,"b":[1,3],"token":"xyz"}', queries=9, status=201, headers=(
        ("content-type", "application/json"), ("set-cookie", "s=swordfish")))
    lines = lines_of(before, after)
    assert lines[:4] == [("-", "200"), ("+", "201"), ("-", "3 queries"), ("+", "9 queries")]
    assert lines[4:6] == [("@", "Headers"), ("+", "set-cookie: •••• 11 characters")]
    assert ("-", "    2") in lines and ("+", "    3") in lines and (" ", '  "a": 1,') in lines
    assert "xyz" not in str(lines)


def test_how_an_answer_was_sent_is_no_difference():
    kept = answer_with(b"{}")
    closed = answer_with(b"{}", headers=(("content-type", "application/json"),
                                         ("connection", "close"), ("date", "x")))
    assert lines_of(kept, closed) == []


@pytest.mark.parametrize("before, after, words", [
    (b"\0a", b"\0bc", "application/json, 3 b"), (b"\0a", b"\0b", "other bytes"),
    (b'{"token":"a"}', b'{"token":"b"}', "in what is masked")])
def test_what_cannot_be_compared_line_by_line_is_named(before, after, words):
    assert words in str(lines_of(answer_with(before), answer_with(after)))


def test_pins_come_back_only_when_they_make_sense():
    again = Pins()
    good = {"method": "GET", "target": "/a", "headers": None, "body": ""}
    again.restore([good, {**good, "method": "POST", "target": "/"}, "x", {"method": "GET"}, None,
                   {**good, "target": "/b", "headers": [["a"]]}, {**good, "target": "b"},
                   {**good, "target": "/c", "answer": {"status": 200}}])
    assert again.keys() == [("GET", "/a")]


def test_a_pinned_request_is_sent_after_each_reload_and_compared():
    answers = iter([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"] * 2
                   + [b"HTTP/1.1 500 No\r\nContent-Length: 3\r\n\r\nbad"])

    @drive(LARGE)
    async def run(d):
        async def client(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(next(answers))
            writer.close()

        server = await asyncio.start_server(client, "127.0.0.1", 0)
        d.app.session.addresses = [
            f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"]
        await d.say(rows(d.player, 1, method="GET", path="/pin/me"))
        await d.press("up", "p", "enter")
        pins, key = d.app.session.pins, ("GET", "/pin/me")
        for count in (1, 2, 3):
            await d.until(lambda n=count: len(pins.answers(key)) == n)
            await d.until(lambda: not d.app.replays.running)
            if count < 3:
                await d.say(d.player.reload("started"), d.player.reload("ready"))
        server.close()
        d.app.draw_changes(hurry=True)
        await d.pilot.pause()
        text = d.text()
        assert "pinned GET /pin/me: 200 → 500, 2 b → 3 b" in text
        assert "1 pinned" in text and "⟲ pinned" in text
        d.app.detail.tab = "Pin"
        d.app.detail.redraw()
        await d.pilot.pause()
        text = d.text()
        assert "p unpins" in text and "Difference" in text
        assert "- ok" in text and "+ bad" in text

    run()


@drive(LARGE)
async def test_pins_are_listed_looked_at_and_taken_down(d):
    await d.press("P")
    assert "nothing is pinned" in d.screen()[-2]
    pins = d.app.session.pins
    for name in ("one", "two"):
        pins.toggle(Request("GET", f"/pin/{name}"))
        pins.answered(("GET", f"/pin/{name}"), answer_with(b'["old"]'))
    pins.answered(("GET", "/pin/two"), answer_with(b'["newer"]'))
    await d.press("P")
    text = d.text()
    assert "/pin/one" in text and "/pin/two" in text and "7 b → 9 b" in text
    await d.press("down", "enter")
    await d.until(lambda: len(d.app.screen_stack) == 1 and d.app.arrangement.detail)
    await d.press()
    text = d.text()
    assert "Difference" in text and '+   "newer"' in text and '-   "old"' in text
    await d.press("escape", "P", "p")
    assert pins.keys() == [("GET", "/pin/two")]
    await d.press("p")
    assert len(pins) == 0
    await d.until(lambda: len(d.app.screen_stack) == 1)


def test_pins_survive_the_dashboard_in_a_file_of_the_users_own(tmp_path):
    request = Request("POST", "/cart", (("X", "1"),), b"{}")

    async def main():
        async with dashboard(SMALL, folder=str(tmp_path)) as d:
            d.app.session.pins.toggle(request)
            d.app.session.pins.answered(request.key, answer_with(b"[1]"))
        async with dashboard(SMALL, folder=str(tmp_path)) as d:
            assert d.app.session.pins.requests() == [request]
            assert d.app.session.pins.answers(request.key)[0].body == b"[1]"
    asyncio.run(main())
    path = saved_state.path_for(str(tmp_path))
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_the_time_and_the_queries_of_an_answer_are_those_of_its_row():
    async def main():
        session, player = Session(), FeedPlayer()
        answer = answer_with(b"", peer="127.0.0.1:5001")
        assert await as_reported(answer._replace(error="cut off"), session) == answer._replace(
            error="cut off")
        row = player.row(4711, peer="127.0.0.1:5002", ms=7.25)
        session.apply(player.frame(4711, [row]))
        other = answer._replace(peer="127.0.0.1:5002")
        assert await as_reported(other, session) == other._replace(ms=7.25, queries=-1)
        row = player.row(4711, peer="127.0.0.1:5001", ms=12.5)
        facts = {"v": 1, "kind": "insight", "pid": 4711, "request": row["id"], "query_count": 7}
        session.apply(facts)
        waiting = asyncio.ensure_future(as_reported(answer, session))
        await asyncio.sleep(0)
        session.apply(player.frame(4711, [row]))
        assert (await waiting)[3:5] + ((await waiting).queries,) == (12.5, answer.gen, 7)
    asyncio.run(main())


@pytest.mark.parametrize("method, times, said", [
    ("GET", [10.0, 300.0, 11.0], "as before"), ("GET", [10.0, 300.0, 280.0], "10.0 → 280.0 ms"),
    ("POST", [10.0, 300.0], "10.0 → 300.0 ms"), ("GET", [10.0, 30.0], "as before")])
def test_the_first_request_of_new_code_is_not_blamed_for_its_time(method, times, said):
    request, sent = Request(method, "/", (), b""), list(times)

    class Scripted(Replays):
        async def _answer(self, request):
            return Answer(200, 1, "a", sent.pop(0))

    async def main():
        session = Session()
        session.pins.toggle(request)
        replays = Scripted(session)
        for _ in range(2):
            replays.send([request], by_hand=False)
            while replays.running:
                await asyncio.sleep(0)
        assert not sent
        assert said in session.notices.newest.text
    asyncio.run(main())


@drive(SMALL)
async def test_a_request_with_a_body_is_not_replayed_and_the_reason_is_said(d):
    await d.say(rows(d.player, 1, method="POST", path="/cart"))
    await d.press("up", "r")
    assert "POST is not replayed" in d.text()


# -- the clipboard

@pytest.mark.parametrize("environ, known", [
    ({"TERM": "xterm-256color"}, False), ({"TERM": "xterm-kitty"}, True),
    ({"TERM": "xterm-kitty", "TMUX": "/tmp/x,1,0"}, False), ({"WT_SESSION": "1"}, True),
    ({"TERM_PROGRAM": "Apple_Terminal"}, False), ({"TERM_PROGRAM": "WezTerm"}, True)])
def test_terminals_that_copy_are_told_apart(environ, known):
    assert clipboard.obeys(environ) is known


@drive(LARGE)
async def test_what_is_copied_is_in_a_file_where_the_terminal_may_not_obey(d):
    await d.say(rows(d.player, 1, method="GET", path="/copy/me"))
    await d.press("up", "y")
    path = os.path.join(saved_state.state_folder(), "copied.txt")
    assert path in d.text() and "curl command copied" in d.text()
    with open(path) as file:
        assert file.read() == "curl -i http://127.0.0.1:8000/copy/me\n"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


# -- remembered

def test_a_project_is_remembered_and_rubbish_is_not(tmp_path):
    saved_state.save("/some/shop", {"layout": {"active": 3}})
    assert saved_state.load("/some/shop")["layout"] == {"active": 3}
    assert saved_state.load("/other/shop") == {}
    for rubbish in ("", "[]", '{"v": 99}', "\x00"):
        with open(saved_state.path_for("/some/shop"), "w") as file:
            file.write(rubbish)
        assert saved_state.load("/some/shop") == {}


@drive(SMALL)
async def test_the_layout_comes_back_and_nonsense_in_it_does_no_harm(d):
    layout = d.app.arrangement
    layout.choose(4)
    d.app.session.connections.cycle_sort()
    kept = layout.kept()
    layout.choose(1)
    layout.restore(kept)
    assert layout.active == 4 and kept["connections"] == "rate"
    for nonsense in (None, [], {"active": "x", "side": 3, "alone": "yes", "log": {}.keys}):
        layout.restore(nonsense)
    assert layout.active == 4


@pytest.fixture(autouse=True)
def state_home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("TERM_PROGRAM", "WT_SESSION", "KITTY_WINDOW_ID"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("other", [{}, {"bytes": 53, "digest": "x"}, {"status": 404}], ids=str)
def test_the_first_request_of_new_code_is_not_what_its_speed_is_told_by(other):
    class Answers(Replays):
        async def _answer(self, request):
            return given.pop(0)

    async def main():
        session = Session()
        request = Request("GET", "/items/1")
        session.pins.toggle(request)
        before = Answer(200, 36, "a", 2.0)
        session.pins.answered(request.key, before)
        given[:] = [before._replace(ms=180.0, **other), before._replace(ms=3.0, **other)]
        replays = Answers(session)
        replays.send([request], by_hand=False)
        while replays.running:
            await asyncio.sleep(0)
        assert not given and session.pins.answers(request.key)[-1].ms == 3.0
    given = []
    asyncio.run(main())


# -- workers and reloads

@drive(LARGE)
async def test_a_blocked_worker_is_named_with_the_place_and_its_stack(d):
    place = "the event loop is blocked by cart.py:88 in total"
    stack = '  File "shop/cart.py", line 88, in total\n    time.sleep(3)'
    blocked = d.player.worker(4711, "blocked", cause=place)
    await d.say(d.player.frame(4711), blocked,
                d.player.log(f"{place}, for 400 ms so far\n{stack}", "warning",
                             "tremolo.watchdog", "tremolo"))
    await d.until(lambda: len(d.app._notifications) == 1)
    assert "1 blocked" in d.screen()[0] and "cart.py:88" in d.screen()[-2]
    await d.press("6", "6")
    text = d.text()
    assert "■ 4711" in text and "time.sleep(3)" in text
    await d.say(d.player.worker(4711, "serving"), blocked)
    assert len(d.app._notifications) == 1
    await d.say(d.player.worker(4711, "serving"))
    assert "4711 was blocked for" in d.text() and "blocked" not in d.screen()[0]
    await d.press("g", "enter")
    assert "Blocked" in d.text() and "loop lag" in d.text()


@drive((120, 36), toasts=True)
async def test_what_pops_up_leaves_the_head_of_a_detail_and_without_one_the_newest_rows(d):
    await d.say(rows(d.player, 40, path="/slow"),
                d.player.worker(4711, "blocked", cause="blocked by cart.py:88 in total"))
    await d.until(lambda: d.app.screen.query("Toast"))
    await d.pilot.pause()

    def popped():
        return next(y for y, line in enumerate(d.screen())
                    if line.rstrip().endswith(" worker 4711 is blocked"))

    assert popped() < 10
    await d.press("up", "enter")
    assert popped() > 26
    assert "GET → 200 /slow" in d.screen()[4]
    await d.press("escape")
    assert popped() < 10


@drive(SMALL)
async def test_the_reload_line_says_where_the_time_went(d):
    await d.say(d.player.reload("started"), d.player.reload("ready"))
    assert "74 ms: seen 12 · fork 3 · import 48 · lifespan 6" in d.screen()[-2]
    await d.press("6", "i")
    text = d.text()
    assert "slowest" in text and "shop.views" in text and "reloaded" in text


@drive(SMALL)
async def test_the_first_start_is_no_reload(d):
    await d.say({**d.player.reload("started"), "gen": 1},
                {**d.player.reload("ready"), "gen": 1, "cause": "start", "files": []})
    assert "started in 74 ms: seen 12" in d.screen()[-2]
    assert "── gen" not in d.text()


@drive(SMALL)
async def test_changed_assets_are_told_without_a_reload(d):
    await d.say({"v": 1, "kind": "assets", "t": 0.0, "gen": 14, "files": ["static/app.css"]})
    assert "static/app.css changed: no new code" in d.screen()[-2]
