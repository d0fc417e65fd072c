"""What a quiet server at rest does with the frames of its worker."""

import pytest

from tremolo.supervisor.resting import Frames
from tremolo.telemetry.builders import frame
from tremolo.telemetry.codec import encode

PID = 4711
ROW = {"t": 0.0, "method": "GET", "path": "/a", "status": 200, "ms": 1.0, "state": "done"}


def line(pid=PID, dropped=0, rows=(ROW,)):
    return encode(frame(pid, 1, 0, 1, 0.0, totals={"rows_dropped": dropped}, rows=list(rows)))


def test_requests_are_printed_once_their_frame_is_whole(capsys):
    frames, data = Frames(PID, "", 0), line() + line()
    for index in range(len(data)):
        assert frames.take(data[index:index + 1])
        assert capsys.readouterr().out.count("GET /a 200") == int(data[index:index + 1] == b"\n")
    assert frames.rest == b""


def test_the_beginning_of_a_frame_is_left_to_who_goes_on(capsys):
    frames = Frames(PID, "", 0)
    assert frames.take(line() + b'{"v":1,')
    assert frames.rest == b'{"v":1,'
    assert not frames.take(b"")


def test_requests_that_were_left_out_are_told_once(capsys):
    frames = Frames(PID, "", 3)
    frames.take(line(dropped=3))
    assert "not shown" not in capsys.readouterr().out
    frames.take(line(dropped=5) + line(dropped=5))
    assert capsys.readouterr().out.count("2 requests are not shown") == 1
    assert frames.dropped == 5


@pytest.mark.parametrize("data", [b"no frame\n", encode({"v": 1, "kind": "log"}), line(PID + 1)])
def test_anything_else_is_left_as_it_is(capsys, data):
    frames = Frames(PID, "", 0)
    frames.take(b"")
    assert not frames.take(line() + data)
    assert frames.rest == line() + data
    assert capsys.readouterr().out == ""


def test_what_is_not_printed_is_not_looked_into(capsys):
    frames = Frames(PID, None, 0)
    assert frames.take(line() + b"no frame\n" + line()[:9])
    assert frames.rest == line()[:9]
    assert capsys.readouterr().out == ""
