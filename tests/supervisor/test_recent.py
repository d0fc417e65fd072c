"""What a viewer that comes later is told of before: the newest, bounded, with what is missing."""

from tremolo.supervisor.recent import LOGS, ROWS, Recent
from tremolo.telemetry.builders import error_event, log_event, reload_event
from tremolo.telemetry.codec import encode


def frame(*rows, pid=7, **more):
    return {"v": 1, "kind": "frame", "pid": pid, "gen": 1, "slot": 0, "seq": 1, "t": 1.0,
            "totals": {"requests": 5}, "rows": list(rows), **more}


def row(number, **more):
    return {"id": number, "method": "GET", "path": f"/{number}", "state": "done", **more}


def noted(*messages):
    recent = Recent()
    for message in messages:
        recent.note(message, encode(message) if message["kind"] == "frame" else None)
    return recent


def paths(told):
    return [message["rows"][0]["path"] for message in told if message["kind"] == "frame"]


def test_it_is_told_in_the_order_of_then_and_marked_as_past():
    recent = noted(frame(row(1)), log_event("one"), frame(row(2)),
                   reload_event(2, 2, "ready", "files", ["shop.py"], ms=9.0),
                   error_event("request", "KeyError", "'total'"), frame(row(3)))
    first, *told = recent.told(3, False)
    assert [message["kind"] for message in told] == ["frame", "log", "frame", "reload", "error",
                                                     "frame"]
    assert all(message["earlier"] for message in told)
    assert first["kind"] == "past" and first["requests"] == first["lines"] == 0


def test_only_the_newest_are_kept_and_what_is_missing_is_counted():
    recent = noted(*(frame(row(2 * number), row(2 * number + 1)) for number in range(ROWS)),
                   *(log_event(str(number)) for number in range(LOGS + 30)))
    first, *told = recent.told(2 * ROWS + 5, False)
    assert paths(told) == [f"/{number}" for number in range(ROWS, 2 * ROWS)]
    assert (first["requests"], first["lines"]) == (ROWS + 5, 30)


def test_of_one_large_frame_the_newest_are_told():
    told = noted(frame(*map(row, range(ROWS + 50)))).told(ROWS + 50, False)
    assert len(paths(told)) == ROWS and paths(told)[-1] == f"/{ROWS + 49}"
    assert told[0]["requests"] == 50


def test_large_ones_make_room_for_what_is_newer():
    body = {"headers": [], "body": "x" * 40_000}
    recent = noted(*(frame(row(number, response=body)) for number in range(100)))
    told = paths(recent.told(100, True))
    assert 20 < len(told) < 30 and told[-1] == "/99"


def test_rows_that_stand_for_others_are_not_missing_those():
    assert noted(frame(row(1, weight=40.0))).told(50, False)[0]["requests"] == 10


def test_what_runs_still_is_not_told_as_past():
    told = noted(frame(row(1, state="live")), frame(row(2), row(3, state="live"))).told(1, False)
    assert paths(told) == ["/2"]


def test_secrets_are_told_only_to_whom_asked_for_messages():
    secret = {"headers": [["cookie", "session=1"]]}
    recent = noted(frame(row(1, request=secret, response=secret)))
    assert "request" not in recent.told(1, False)[1]["rows"][0]
    assert recent.told(1, True)[1]["rows"][0]["request"] == secret


def test_frames_of_counters_alone_and_starts_of_reloads_are_not_kept():
    recent = noted(frame(), reload_event(2, 1, "started", "files"),
                   {"v": 1, "kind": "stats", "totals": {}})
    assert recent.told(0, False)[1:] == []
