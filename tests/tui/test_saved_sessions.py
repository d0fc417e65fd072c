"""Sessions and HAR: written, read again, and shown with every pane."""

import asyncio
import json
import os
import pathlib
import stat

import pytest

pytest.importorskip("textual")

from tests.support.dashboard_driver import SMALL, dashboard, drive, rows, server
from tests.support.feed_player import FeedPlayer, message
from tui import files
from tui.model.har import har_of, records_of_har
from tui.model.records import NoSession, fill, read_records, records_of
from tui.model.session import Session
from tui.model.traffic import Row

RECORDED = pathlib.Path(__file__).parent / "recorded" / "shop.jsonl"
ADDRESSES = ["http://127.0.0.1:8000"]

#: HAR 1.2 as http://www.softwareishard.com/blog/har-12-spec/ has it: type, or what an object has
TEXT, NUMBER, WHOLE, LIST = str, (int, float), int, list
NAMED = [{"name": TEXT, "value": TEXT}]
HEAD = {"httpVersion": TEXT, "cookies": NAMED, "headers": NAMED, "headersSize": WHOLE,
        "bodySize": WHOLE}
SCHEMA = {"log": {
    "version": TEXT, "creator": {"name": TEXT, "version": TEXT},
    "entries": [{
        "startedDateTime": TEXT, "time": NUMBER, "cache": {},
        "request": {**HEAD, "method": TEXT, "url": TEXT, "queryString": NAMED,
                    "postData?": {"mimeType": TEXT, "text": TEXT}},
        "response": {**HEAD, "status": WHOLE, "statusText": TEXT, "redirectURL": TEXT,
                     "content": {"size": WHOLE, "mimeType": TEXT, "text?": TEXT,
                                 "encoding?": TEXT}},
        "timings": {"send": NUMBER, "wait": NUMBER, "receive": NUMBER, "blocked?": NUMBER},
        "connection?": TEXT}]}}
#: that may stand beside
FREE = {"comment", "encoding"}


def check(value, schema, where="har"):
    if isinstance(schema, dict):
        assert isinstance(value, dict), where
        names = {name.rstrip("?") for name in schema}
        assert set(value) <= names | FREE, f"{where}: {set(value) - names}"
        for name, inner in schema.items():
            if name.rstrip("?") in value or not name.endswith("?"):
                check(value[name.rstrip("?")], inner, f"{where}.{name}")
    elif isinstance(schema, list):
        assert isinstance(value, list), where
        for number, item in enumerate(value):
            check(item, schema[0], f"{where}[{number}]")
    else:
        assert isinstance(value, schema) and not isinstance(value, bool), f"{where}: {value!r}"


@pytest.fixture(scope="module")
def recorded():
    """A session that was recorded from a real server."""
    session = Session(clock=lambda: 0.0)
    with RECORDED.open() as lines:
        fill(session, read_records(lines))
    return session


def requests(session):
    return [entry for entry in session.traffic.entries if isinstance(entry, Row)]


def test_a_session_is_read_as_it_was_written(recorded):
    again = Session(clock=lambda: 0.0)
    lines = [json.dumps(record) for record in records_of(recorded)]
    live = len(recorded.live.rows(0.0, 10))
    assert fill(again, read_records(lines)) == len(requests(recorded)) + live > 20
    assert again.app == recorded.app and again.addresses == recorded.addresses
    for one, other in zip(requests(recorded), requests(again)):
        assert [getattr(one, name) for name in (
            "pid", "gen", "method", "path", "status", "ms", "peer", "error", "endpoint")] == [
            getattr(other, name) for name in (
                "pid", "gen", "method", "path", "status", "ms", "peer", "error", "endpoint")]
        assert (one.request is None) == (other.request is None)
        assert one.request is None or (one.request.headers, one.request.body) == (
            other.request.headers, other.request.body)
    assert [line.text for line in again.log.lines] == [line.text for line in recorded.log.lines]
    assert [(error.title, error.count) for error in again.errors.items] == [
        (error.title, error.count) for error in recorded.errors.items]
    talk = next(row for row in recorded.live.rows(0.0, 10) if row.websocket)
    before = recorded.conversations.of(talk.pid, talk.id)
    after = again.conversations.of(talk.pid, talk.id)
    assert [m.text for m in before.messages] == [m.text for m in after.messages]


def test_the_har_of_a_session_is_one(recorded):
    document = har_of(requests(recorded), ADDRESSES, "1.0")
    check(json.loads(json.dumps(document)), SCHEMA)
    entry = next(entry for entry in document["log"]["entries"]
                 if entry["request"]["method"] == "POST")
    assert entry["request"]["url"] == "http://127.0.0.1:8000/api/checkout"
    assert "token" in entry["request"]["postData"]["text"]
    assert entry["startedDateTime"].startswith("2023-11-14T22:13:2")


def test_a_har_is_read_back_and_its_requests_can_be_sent_again(recorded):
    records, origins = records_of_har(json.loads(json.dumps(
        har_of(requests(recorded), ADDRESSES, "1.0"))))
    assert origins == ADDRESSES
    for row, record in zip(requests(recorded), records):
        assert (row.method, row.path, row.status) == (
            record["method"], record["path"], record["status"])
        assert abs(row.t - record["t"]) < 0.01


BROWSER = {"log": {"version": "1.2", "creator": {"name": "Firefox", "version": "1"}, "entries": [
    {"startedDateTime": "2026-01-02T03:04:05.123456+01:00", "time": 12.5, "cache": {},
     "request": {"method": "POST", "url": "http://127.0.0.1:1/cart?a=b", "headers": [
         {"name": ":method", "value": "POST"}, {"name": "Cookie", "value": "a=b"},
         {"name": "Content-Length", "value": "2"}], "postData": {"mimeType": "x", "text": "{}"}},
     "response": {"status": 200, "headers": [{"name": "Content-Encoding", "value": "br"}],
                  "content": {"size": 5, "text": "aGVsbG8=", "encoding": "base64"}},
     "timings": {"wait": 10, "receive": 2.5}},
    {"startedDateTime": "2026-01-02T03:04:06Z", "time": 1, "cache": {}, "timings": {},
     "request": {"method": "GET", "url": "https://cdn.example/x.js", "headers": []},
     "response": {"status": 0, "headers": [], "content": {}}}]}}


def test_a_har_of_a_browser_is_shown_and_replayed(tmp_path):
    async def main():
        async with server() as (address, sent):
            document = json.loads(json.dumps(BROWSER).replace("http://127.0.0.1:1", address))
            path = tmp_path / "x.har"
            path.write_text(json.dumps(document), encoding="utf-8")
            async with recording(path) as d:
                text = d.text()
                assert "/cart?a=b" in text and "https://cdn.example/x.js" in text
                await d.press("g", "enter")
                assert "hello" in d.text()
                await d.press("r")
                await d.until(lambda: sent and not d.app.replays.running)
                assert sent[0][0].startswith(b"POST /cart?a=b HTTP/1.1\r\n")
                assert b"Cookie: a=b\r\n" in sent[0][0] and sent[0][1] == b"{}"
                await d.press("G", "r")
                assert "is not replayed" in d.text() or "not known whole" in d.text()
    asyncio.run(main())


def test_requests_without_a_template_are_grouped_as_live_ones(tmp_path):
    entry = BROWSER["log"]["entries"][0]
    urls = ["https://shop.test/items/17?full=1", "https://shop.test/items/18",
            "https://cdn.test/a/6f9619ff-8b86-4011-b42d-00cf4fc964ff"]
    document = {"log": {"entries": [
        {**entry, "request": {**entry["request"], "url": url}} for url in urls]}}
    session = Session()
    fill(session, records_of_har(document)[0])
    fill(session, [{"v": 1, "kind": "request", "id": 9, "path": "/items/19", "route": None},
                   {"v": 1, "kind": "request", "id": 10, "path": "/x/1", "route": "/x/{n}"}])
    assert {route.name: route.now.count for route in session.routes.list()} == {
        "/items/{int}": 3, "https://cdn.test/a/{uuid}": 1, "/x/{n}": 1}


def recording(path):
    return dashboard(SMALL, addresses=[], recording=str(path))


@pytest.mark.parametrize("text, words", [
    ("{}", "line 1 is no record"), ("nonsense", "line 1 is not JSON"),
    ('{"v":1,"kind":"hello"}\n{"v":99,"kind":"x"}', "line 2 is of version 99")])
def test_what_is_no_session_is_named_with_its_line(text, words):
    with pytest.raises(NoSession, match=words):
        list(read_records(text.split("\n")))


@pytest.mark.parametrize("document, words", [
    ([], "log.entries"), ({"log": {"entries": [{}]}}, "entry 1"), ({"log": 1}, "log.entries"),
    ({"log": {"entries": [{**BROWSER["log"]["entries"][0], "startedDateTime": "soon"}]}},
     "'soon' is no instant")])
def test_what_is_no_har_is_named_with_its_entry(document, words):
    with pytest.raises(NoSession, match=words):
        records_of_har(document)


@drive(SMALL)
async def test_w_writes_what_the_filter_lets_through_for_this_user_alone(d):
    await d.say(rows(d.player, 3, path="/keep"), rows(d.player, 2, path="/drop"))
    d.app.session.traffic.set_filter("keep")
    for name in ("one.jsonl", "two.har"):
        path = os.path.join(os.environ["XDG_STATE_HOME"], name)
        await d.press("w")
        d.app.asking.entry.value = path
        await d.press("enter")
        assert "3 requests" in d.screen()[-2] and not d.app.asking.entry.display
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        session = Session()
        assert files.read(session, path)[0] == 3
    await d.press("w")
    d.app.asking.entry.value = path
    await d.press("enter")
    assert "File exists" in d.screen()[-2] and d.app.asking.entry.display


@pytest.mark.parametrize("allowed", [True, False], ids=["written", "refused"])
def test_a_picture_of_the_screen_is_written_where_one_works_or_it_is_said_why_not(
        tmp_path, monkeypatch, allowed):
    folder = tmp_path / "shop"
    folder.mkdir()
    monkeypatch.chdir(folder)
    if not allowed:
        folder.rmdir()

    async def main():
        async with dashboard(SMALL) as d:
            d.app.action_picture()
            await d.press("1")
            if not allowed:
                assert "no picture in this folder: No such file" in d.screen()[-2]
                return
            (path,) = folder.iterdir()
            assert path.name in d.screen()[-2] and path.suffix == ".svg"
            assert "<svg" in path.read_text() and stat.S_IMODE(path.stat().st_mode) == 0o600
    asyncio.run(main())


@pytest.fixture(autouse=True)
def state_home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def test_an_opened_session_has_every_pane_and_no_server(tmp_path):
    path = tmp_path / "shop.jsonl"
    source, player = Session(), FeedPlayer()
    source.apply(player.hello())
    source.apply(player.frame(4711, [player.row(4711, path="/seen", request=message(
        [("X", "y")], b"sent"))]))
    for told in (player.error(), player.log("a line of log")):
        source.apply(told)
    files.write(source, str(path))

    async def main():
        async with recording(path) as d:
            for key, words in (("1", "/seen"), ("2", "ROUTE"), ("3", "PEER"),
                               ("4", "a line of log"), ("5", "KeyError"), ("6", "4711"),
                               ("7", "preset")):
                await d.press(key)
                assert words in d.text(), key
            head = "\n".join(d.screen()[:2])
            assert "a saved session" in head and "1 request  the first at 20" in head
            assert "worker" not in head and "gen" not in head
            await d.press("R")
            assert "a recorded session, without a server" in d.text()
            assert d.commands() == []
            await d.press("q")
            assert d.app._exit and d.commands() == []
    asyncio.run(main())
