"""The lines of plain mode."""

import io
import json

import pytest

from tremolo.supervisor.plain import JSONConsumer, PlainConsumer, reload_line
from tremolo.telemetry import builders


def shop(gen, queries, count):
    """A frame with requests of one route."""
    return builders.frame(4711, gen, 0, gen, 1.0, rows=[
        {"method": "GET", "path": "/items/7", "route": "/items/{id}", "status": 200, "ms": 1.0,
         "state": "done", "queries": queries}] * count)


def told(consumer, reload=True):
    consumer.handle(builders.hello(app="shop:app", gen=1, addresses=[], reload=reload))
    for gen, queries in ((1, 3), (2, 41)):
        for _ in range(2):
            consumer.handle(shop(gen, queries, 2))


def test_what_is_different_since_the_save_is_a_line():
    out, err = io.StringIO(), io.StringIO()
    told(PlainConsumer(out, err))
    [line] = [line for line in err.getvalue().splitlines() if "since" in line]
    assert line.partition(" ")[2] == (
        "since the save: GET /items/{id} 3 → 41 queries (2 requests, 4 before)")
    assert len(out.getvalue().splitlines()) == 8


def test_what_is_different_since_the_save_is_a_record_after_its_requests():
    out = io.StringIO()
    told(JSONConsumer(out))
    records = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [record["kind"] for record in records] == [
        "hello", *["request"] * 6, "change", *["request"] * 2]
    change = records[7]
    assert isinstance(change.pop("t"), float)
    assert change == {"v": 1, "kind": "change", "gen": 2, "method": "GET",
                      "route": "/items/{id}", "requests": [4, 2], "worse": True,
                      "queries": [[3, 3], [41, 41]]}


@pytest.mark.parametrize("make", [
    pytest.param(lambda out: PlainConsumer(out, out), id="plain"),
    pytest.param(JSONConsumer, id="json")])
def test_nothing_is_said_of_saves_where_code_is_not_reloaded(make):
    out = io.StringIO()
    told(make(out), reload=False)
    assert "since" not in out.getvalue() and "change" not in out.getvalue()


def test_who_wants_no_requests_is_told_nothing_of_them():
    err = io.StringIO()
    told(PlainConsumer(io.StringIO(), err, level="warning"))
    assert err.getvalue() == ""


@pytest.mark.parametrize(("text", "then", "line"), [
    pytest.param("no module", "ends", "gen 2 failed: no module; the server ends", id="bare"),
    pytest.param("no module.", "ends", "gen 2 failed: no module; the server ends", id="stop"),
    pytest.param('Did you mean "a"?', "serves",
                 'gen 2 failed: Did you mean "a"? Gen 1 serves on', id="question"),
])
def test_what_follows_a_failure_follows_its_text_as_in_prose(text, then, line):
    assert reload_line({"gen": 2, "serving": 1, "state": "failed", "then": then, "error": {
        "type": "ConfigurationError", "text": text}}) == line
