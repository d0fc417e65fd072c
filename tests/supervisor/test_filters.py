"""What viewers filter by, as workers know it: of a viewer that is there, and of no other."""

import types

import pytest

from tests.supervisor.test_intercept import Viewer
from tests.support.processes import Server, wait_until
from tremolo.supervisor.feed import MOST_FILTERS, Feed

TELLS = '''
import gc
from tremolo.net.recent import Recent

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    known = [len(each._sought) for each in gc.get_objects() if isinstance(each, Recent)]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"MARK %d" % sum(known)})
'''


@pytest.fixture
def server(tmp_path):
    (tmp_path / "shop.py").write_text(TELLS.replace("MARK", "old"))
    with Server(tmp_path, "dev", "shop:app", "--port", "0") as server:
        assert server.get("/")[0] == 200
        yield server


def until_known(server, answer):
    wait_until(lambda: answer in str(server.get("/")[1]), f"the answer {answer!r}")


def test_workers_know_what_viewers_filter_by_as_long_as_these_are_there(server, tmp_path):
    one, other = Viewer(server), Viewer(server)
    for viewer in (one, other):
        assert viewer.ask("detail", level=1)["ok"]
    assert one.ask("filter", filter=" /rare ")["result"] == "/rare"
    until_known(server, "old 1")
    assert other.ask("filter", filter="s:404")["ok"]
    until_known(server, "old 2")
    (tmp_path / "shop.py").write_text(TELLS.replace("MARK", "new"))
    until_known(server, "new 2")  # a worker that has started since
    one.sock.close()  # as of a viewer that was killed
    until_known(server, "new 1")
    assert other.ask("filter", filter="")["ok"]
    until_known(server, "new 0")
    other.sock.close()


@pytest.mark.parametrize("args, words", [
    ({"filter": "ms:5"}, "ms is compared: ms>50 (at 3 of 'ms:5')"), ({"filter": 7}, "a text"),
    ({}, "a text"), ({"filter": "/" * 2001}, "at most 2000 characters")])
def test_what_is_no_filter_is_refused(server, args, words):
    viewer = Viewer(server)
    answer = viewer.ask("filter", **args)
    viewer.sock.close()
    assert not answer["ok"] and words in answer["error"]


def test_of_too_many_filters_the_newest_viewers_are_known_and_each_once():
    feed = Feed(None, dict)
    feed._viewers = [types.SimpleNamespace(filter=text, detail=detail) for text, detail in [
        ("/old", 1), ("/a", 1), ("/b", 2), ("/a", 1), ("", 2), ("/unseen", 0), ("/c", 1),
        ("/d", 2)]]
    assert feed.filters == ["/d", "/c", "/a", "/b"] and len(feed.filters) == MOST_FILTERS
