"""Exceptions belong to the request that failed over them, whatever answers for them."""

import json
import logging
import sys

import pytest

from tremolo.insight.frames import MAX_FRAMES, MAX_RAISED, chain_of
from tremolo.insight.insight import Insight
from tremolo.insight.record import Record, running
from tremolo.insight.values import text_of, texts_of
from tremolo.telemetry.codec import MAX_LINE
from tremolo.telemetry.secrets import MASK, masked_text


def test_each_request_that_failed_has_its_own_exception_once(driven):
    for n, row in driven.rows_of("raise"):
        assert row["status"] == 500
        events = driven.find("error", request=row["id"])
        assert [event["type"] for event in events] == ["Broken"], events
        assert events[0]["text"] == f"('broken {n}', 7)"
        assert events[0]["path"] == f"/raise/{n}"
        assert row["error"] == f"Broken: ('broken {n}', 7)", "whoever answers for it"


def test_no_other_request_has_one(driven):
    failed = {row["id"] for _, row in driven.rows_of("raise")}
    assert {event.get("request") for event in driven.find("error")} == failed


def test_exceptions_have_source_variables_and_their_cause(driven):
    # Each is described whole while there is time for that, the first in any case.
    told = [(n, driven.find("error", request=row["id"])[0]) for n, row in driven.rows_of("raise")]
    described = [(n, event["chain"]) for n, event in told if "chain" in event]
    assert described
    for n, chain in described:
        assert [(raised["type"], raised["relation"]) for raised in chain] == [
            ("Broken", ""), ("KeyError", "cause")]
        frame = chain[0]["frames"][-1]
        assert frame["name"].endswith("fail") and frame["file"].endswith("work.py")
        assert frame["project"]
        assert frame["source"][frame["line"] - frame["first"]].strip().startswith("raise Broken")
        assert frame["variables"]["n"] == str(n)
        assert frame["variables"]["password"] == MASK
        assert "hunter2" not in json.dumps(frame["variables"])


def project(path):
    return path == __file__


def failing(depth, function):
    if depth:
        failing(depth - 1, function)
    else:
        function()


def caught(function, depth=0):
    try:
        failing(depth, function)
    except Exception as exc:
        return exc
    raise AssertionError("nothing was raised")


def test_frames_of_packages_have_one_line_and_no_variables():
    chain = chain_of(caught(lambda: json.loads("{")), project)
    inner = chain[0]["frames"][-1]
    assert not inner["project"]
    assert len(inner["source"]) == 1 and "variables" not in inner


def marked(frame):
    """What is marked of the line that a frame was at."""
    line = frame["source"][frame["line"] - frame["first"]]
    return line[slice(*frame["marked"])]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python knows columns since 3.11")
@pytest.mark.parametrize(("source", "meant"), [
    ("x = 1 + len('äöü') + 1 / 0 + 1", "1 / 0"),
    ("x = {'a': 1}; y = x['ü'] + x['a']", "x['ü']"),
    ("if True:\n\tx = len('\t') + len(1)", "len(1)"),
    ("x = 1 + len([\n    1, 2], 3)", "len(["),
])
def test_the_part_of_a_line_that_is_meant_is_marked(tmp_path, source, meant):
    path = tmp_path / "shop.py"
    path.write_text(source, encoding="utf-8")

    def run():
        exec(compile(source, str(path), "exec"), {})

    chain = chain_of(caught(run), lambda file: file == str(path))
    assert marked(chain[0]["frames"][-1]) == meant


def test_a_line_that_is_meant_as_a_whole_has_no_mark():
    def fail():
        raise ValueError

    assert "marked" not in chain_of(caught(fail), project)[0]["frames"][-1]


def test_what_cannot_be_compiled_has_its_place_as_the_innermost_frame(tmp_path):
    path = tmp_path / "shop.py"
    path.write_text("import json\n\n\ndef broken(:\n    pass\n")

    chain = chain_of(caught(lambda: compile(path.read_text(), str(path), "exec")),
                     lambda file: file == str(path))
    place = chain[0]["frames"][-1]
    assert (place["file"], place["line"], place["name"]) == (str(path), 4, "")
    assert place["project"] and marked(place) == ":"


def test_of_the_names_of_a_module_only_its_values_are_shown(tmp_path):
    source = "import json\nfrom math import pi, sin\ndef f(): pass\nclass C: pass\nn = 5\n1 / 0"
    chain = chain_of(caught(lambda: exec(compile(source, "shop.py", "exec"), {})),
                     lambda file: file == "shop.py")
    assert set(chain[0]["frames"][-1]["variables"]) == {"pi", "n"}


def test_a_deep_stack_keeps_its_beginning_and_its_end():
    chain = chain_of(caught(lambda: 1 / 0, 200), project)
    assert len(chain[0]["frames"]) == MAX_FRAMES
    assert chain[0]["left_out"] == 200 + 3 - MAX_FRAMES
    assert chain[0]["frames"][-1]["name"].endswith("<lambda>")


def test_a_chain_without_end_is_cut():
    first = exc = ValueError("0")
    for number in range(1, 30):
        exc.__cause__ = ValueError(str(number))
        exc = exc.__cause__
    exc.__cause__ = first
    chain = chain_of(first, project)
    assert len(chain) == MAX_RAISED and chain[-1]["left_out"] == 1


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python has groups since 3.11")
def test_members_of_a_group_are_shown():
    group = ExceptionGroup("both", [ValueError("a"), TypeError("b")])  # noqa: F821
    assert [(raised["type"], raised["relation"]) for raised in chain_of(group, project)] == [
        ("ExceptionGroup", ""), ("ValueError", "member"), ("TypeError", "member")]


def test_a_chain_fits_a_line_whatever_its_variables():
    def fail():
        values = {f"name{n}": "é" * 1000 for n in range(100)}
        raise ValueError(len(values))

    chain = chain_of(caught(fail, 100), project)
    assert len(json.dumps(chain)) < MAX_LINE


class Lazy:
    def __repr__(self):
        raise AssertionError("it was asked for its text")


class QuerySet(Lazy):
    pass


class Angry:
    def __repr__(self):
        raise KeyError("no")


def test_values_whose_text_would_start_work_are_shown_by_their_type():
    assert "QuerySet" in text_of(QuerySet())
    assert "whose text fails" in text_of(Angry())
    assert text_of(object()) == "<builtins.object>"


@pytest.mark.parametrize(("value", "hidden"), [
    ({"password": "hunter2", "user": "me"}, "hunter2"),
    ([{"api_key": "hunter2"}], "hunter2"),
    ("postgres://me:hunter2@db/shop", "hunter2"),
    ("token='hunter2' and more", "hunter2"),
    ({"Authorization": "Bearer hunter2"}, "hunter2"),
])
def test_secrets_in_values_are_masked(value, hidden):
    text = text_of(value)
    assert hidden not in text and MASK in text


def test_variables_with_the_names_of_secrets_are_masked():
    assert texts_of({"secret_key": "x", "n": 1, "__name__": "y"}) == {
        "secret_key": MASK, "n": "1"}


def test_texts_without_secrets_are_left_alone():
    for text in ("http://host/path?page=2", "a tokenizer: none", "select * from tokens"):
        assert masked_text(text) == text


def test_one_exception_that_is_signalled_logged_and_raised_is_one():
    record = Record(1, "GET")
    exc = ValueError("x")
    assert [record.first_sight(exc) for _ in range(3)] == [True, False, False]
    assert record.first_sight(ValueError("y"))


def test_a_row_has_the_exception_that_a_framework_answered_a_500_for(caplog):
    insight = Insight(logging.getLogger("tests"))
    rows = []
    for status in (200, 500):
        record = insight._records[status] = Record(status, "GET")
        insight.raised(record, KeyError("first"))
        record.suspect(ValueError("no\nsuch thing"))
        rows.append(insight.row(status, status, True, 0.0))
    assert "error" not in rows[0], "it was handled, and logged"
    assert rows[1]["error"].startswith("ValueError: no") and rows[1]["error"].isprintable()


def test_a_handled_exception_counts_only_if_it_is_no_answer_to_the_client():
    class NotFound(Exception):
        status_code, detail = 404, "of a framework"

    class OfWerkzeug(Exception):
        code = 404

        def get_response(self):
            pass

    record = Record(1, "GET")
    record.suspect(NotFound())
    record.suspect(OfWerkzeug())
    assert record.suspects == []
    record.suspect(ValueError())
    assert len(record.suspects) == 1


def test_a_warning_is_an_error_only_if_the_request_is_answered_with_one():
    insight = Insight(logging.getLogger("tests"))
    told = []
    insight.on_raised = lambda record, exc, where, status: told.append((record.id, status))
    exc = PermissionError("no")
    for number, (level, status) in enumerate([
            (logging.WARNING, 403), (logging.WARNING, 503), (logging.ERROR, 200)], 1):
        record = insight._records[number] = Record(number, "GET")
        token = running.set(record)
        try:
            insight.logged(logging.LogRecord(
                "app", level, __file__, 1, "no", (), (type(exc), exc, None)))
        finally:
            running.reset(token)
        insight.row(number, status, True, 0.0)
    # As Django logs each answer of 403; who logs an error means one.
    assert told == [(2, 503), (3, None)]
