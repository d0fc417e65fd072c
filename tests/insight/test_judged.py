"""Looking into requests changes nothing of what the application does, and needs no dashboard."""

import shutil
import urllib.error
import urllib.request

import pytest

from tests.insight.conftest import APPS
from tests.support.processes import Server


def test_every_request_was_answered(driven):
    for target, (kind, n) in driven.targets.items():
        head, _, body = driven.answers[target].partition("\r\n\r\n")
        wanted = {"raise": " 500 ", "socket": " 101 "}.get(kind, " 200 ")
        assert wanted in head.split("\r\n")[0]
        assert kind == "raise" or str(n) in body


def test_answers_are_the_same_bytes_whether_somebody_watches_or_not(driven):
    assert driven.answers == driven.before


def test_a_viewer_that_is_killed_leaves_nothing_in_the_process(driven):
    assert "Arrivals" in driven.hooks["watched"] and len(driven.hooks["watched"]) > 2
    assert driven.hooks["unwatched"] == driven.hooks["killed"] == []


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What lines of JSON tell of one request that queries and one that fails."""
    folder = tmp_path_factory.mktemp("json")
    for name in ("native_app.py", "work.py"):
        shutil.copy(APPS / name, folder)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with Server(folder, "dev", "native_app:app", "--port", "0") as server:
        server.wait_for("worker", state="serving")
        base = f"http://127.0.0.1:{server.port}"
        assert opener.open(f"{base}/many/1").read().startswith(b"many 1")
        with pytest.raises(urllib.error.HTTPError):
            opener.open(f"{base}/raise/2")
        many = server.wait_for("request", path="/many/1")
        failed = server.wait_for("request", path="/raise/2")
        return {"many": many, "insight": server.wait_for("insight", request=many["id"]),
                "error": server.wait_for("error", request=failed["id"]),
                "last error": server.control("last", "error")}


def test_lines_of_json_tell_what_a_request_did(told):
    assert told["many"]["queries"] == 6
    [repeated] = told["insight"]["repeated"]
    assert repeated["count"] == 5
    assert "work.py:" in told["insight"]["places"][repeated["place"]]


def test_lines_of_json_tell_why_a_request_failed(told):
    assert told["error"]["type"] == "Broken"
    assert told["error"]["chain"][0]["frames"][-1]["variables"]["n"] == "2"


def test_the_last_error_can_be_asked_for(told):
    assert "Broken: ('broken 2', 7)" in told["last error"]
