"""Frames: what is in them, how big they get, what happens when nobody reads."""

import asyncio
import json
import os

from tests.support.fake_server import FakeServer
from tremolo.net.capture import CAPTURED, Capture
from tremolo.net.recent import RECENT
from tremolo.telemetry.codec import MAX_LINE
from tremolo.worker.pacing import MOST_CAPTURES, SAVED_TURNS
from tremolo.worker.sampler import Sampler
from tremolo.worker.stats_pipe import StatsPipe


def sampler(sink, detail=1):
    server = FakeServer()
    loop = asyncio.new_event_loop()
    made = Sampler(server, sink, loop)
    made.set_detail(detail)
    loop.close()
    return server, made


def collect():
    frames = []

    def sink(frame):
        line = json.dumps(frame, separators=(",", ":"))
        assert len(line) < MAX_LINE
        frames.append(json.loads(line))
        return True

    return frames, sink


def test_nothing_is_sent_while_nothing_happens_but_a_sign_of_life():
    frames, sink = collect()
    server, made = sampler(sink)
    for tick in range(21):
        made.sample(100 + tick / 10)
    assert len(frames) == 3
    server.finish()
    made.sample(102.1)
    assert frames[-1]["totals"]["requests"] == 1
    assert frames[-1]["totals"]["status"] == [0, 1, 0, 0, 0]
    assert len(frames[-1]["rows"]) == 1


def test_counters_alone_when_nobody_wants_rows():
    frames, sink = collect()
    server, made = sampler(sink, detail=0)
    server.finish(10)
    made.sample(1.0)
    assert "rows" not in frames[0]
    assert "connections" not in frames[0]


def test_frames_stay_within_a_line_whatever_the_requests_look_like():
    for target in (b"/" + b"\x1b" * 8000, "/ä€".encode() * 3000, b"\xff" * 8000):
        frames, sink = collect()
        server, made = sampler(sink)
        server.connect(3000)
        server.finish(150, target, ValueError("\u202e" * 500))
        while server.recent:  # some wait for the next turn
            made.sample(1.0)
        rows = [row for frame in frames for row in frame.get("rows", ())]
        assert [row["id"] for row in rows] == list(range(1, 151))
        assert all(len(row["path"]) <= 256 for row in rows)


def test_connections_are_the_busiest_and_the_others_are_counted():
    frames, sink = collect()
    server, made = sampler(sink)
    server.connect(1500)
    server.finish()
    made.sample(1.0)
    shown = frames[0]["connections"]
    assert shown[0]["id"] == 1500
    assert len(shown) <= 500
    assert len(shown) + frames[0]["connections_left_out"] == 1500
    assert frames[0]["totals"]["open"] == 1500


def test_what_is_left_out_is_counted():
    frames, sink = collect()
    server, made = sampler(sink)
    server.finish(5000)
    made.sample(1.0)
    server.finish()
    while server.recent:
        made.sample(2.0)
    shown = sum(len(frame.get("rows", ())) for frame in frames)
    totals = [frame["totals"] for frame in frames if "totals" in frame][-1]
    assert shown + totals["rows_dropped"] == totals["requests"] == 5001


def test_what_is_shown_stands_for_what_is_not():
    frames, sink = collect()
    server, made = sampler(sink)
    server.finish(RECENT + 500)
    server.finish(3, error=ValueError("no"), status=500)
    while server.recent:
        made.sample(1.0)
    rows = [row for frame in frames for row in frame["rows"]]
    failed = [row for row in rows if row["status"] == 500]
    assert len(failed) == 3 and not any("weight" in row for row in failed)
    assert abs(sum(row.get("weight", 1) for row in rows) - (RECENT + 503)) < 10
    assert frames[0]["totals"]["rows_dropped"] == RECENT + 503 - len(rows)


def test_slow_is_what_takes_longer_than_nearly_all_in_the_last_second():
    _, sink = collect()
    server, made = sampler(sink)
    made._each_second(1.0)
    assert server.recent.slow == float("inf")
    server.finish(200, seconds=0.001)
    made._each_second(2.0)
    assert server.recent.slow == 0.025
    server.finish(200, seconds=0.3)
    made._each_second(3.0)
    assert 0.25 < server.recent.slow < 0.4
    server.finish(5, seconds=0.001)
    made._each_second(4.0)
    assert server.recent.slow > 0.25  # five say nothing


def test_rows_of_many_connections_come_as_often_as_their_cost_allows():
    frames, sink = collect()
    server, made = sampler(sink)
    server.connect(100)
    spent = [0.0]
    made._thread_cpu = lambda: spent.append(spent[-1] + 0.002) or spent[-1]
    for turn in range(40):
        server.finish()
        made.sample(100 + turn / 10)
    with_connections = sum("connections" in frame for frame in frames)
    assert len(frames) == 40 and 16 <= with_connections <= 20  # 2 ms in 0.2 s are 1 %


def test_a_full_pipe_loses_rows_but_never_a_count_or_a_line():
    read_end, write_end = os.pipe()
    pipe = StatsPipe(write_end)
    server, made = sampler(pipe.send)
    for tick in range(400):
        server.finish(50, b"/" + b"y" * 200)
        made.sample(float(tick))
    os.set_blocking(read_end, False)
    data = b""
    for tick in range(400, 402):
        while True:
            try:
                data += os.read(read_end, 1 << 20)
            except BlockingIOError:
                break
        server.finish(50)
        made.sample(float(tick))
    data += os.read(read_end, 1 << 20)
    frames = [json.loads(line) for line in data.splitlines()]
    assert frames[-1]["totals"]["requests"] == 402 * 50
    shown = sum(len(frame.get("rows", ())) for frame in frames)
    assert shown + frames[-1]["totals"]["rows_dropped"] == 402 * 50
    os.close(read_end)
    server.finish()
    made.sample(500.0)
    assert pipe.broken
    pipe.close()


def kept(size):
    made = Capture([(b"cookie", b"secret")])
    made.add(made.request_body, bytes(size))
    return made


def test_messages_are_told_only_to_who_asks_and_so_many_a_turn():
    frames, sink = collect()
    for level, told in ((1, 0), (2, 30)):
        server, made = sampler(sink, detail=level)
        assert server.recent.captures_left == (MOST_CAPTURES if level > 1 else 0)
        for _ in range(30):
            server.finish(capture=kept(100))
        frames.clear()
        made.sample(1.0)
        rows = [row for frame in frames for row in frame["rows"]]
        assert len(rows) == 30
        assert sum("request" in row for row in rows) == told
        assert not any(name.startswith("_") for row in rows for name in row)


def test_long_messages_go_with_the_first_rows_only_and_no_row_is_lost():
    frames, sink = collect()
    server, made = sampler(sink, detail=2)
    for _ in range(40):
        server.finish(capture=kept(CAPTURED))
    made.sample(1.0)
    rows = [row for frame in frames for row in frame["rows"]]
    told = [row["id"] for row in rows if "request" in row]
    assert len(rows) == 40 and frames[-1].get("totals", frames[0]["totals"])["rows_dropped"] == 0
    assert told == list(range(1, len(told) + 1)) and 2 <= len(told) < 40
    server.recent.captures_left = 0
    made._renew()
    server.finish(capture=kept(CAPTURED))
    frames.clear()
    made.sample(2.0)
    assert "request" in frames[0]["rows"][0] and server.recent.captures_left == \
        MOST_CAPTURES - 1


def test_what_a_page_loads_at_once_is_captured_after_a_rest_and_no_more_than_that():
    _, sink = collect()
    server, made = sampler(sink, detail=2)
    for _ in range(10):
        made._renew()
    assert server.recent.captures_left == SAVED_TURNS * MOST_CAPTURES
    for _ in range(3):
        server.recent.captures_left = 0
        made._renew()
        assert server.recent.captures_left == MOST_CAPTURES
    made.set_detail(1)
    assert server.recent.captures_left == 0


def test_after_a_rest_there_is_room_for_twice_the_messages_and_no_more_than_that():
    frames, sink = collect()
    server, made = sampler(sink, detail=2)
    sent = []
    for rests in (0, 0, 1, 5):
        for turn in range(rests):
            server.connect(turn + 1)  # something to tell, without a message
            made.sample(1.0)
        frames.clear()
        made._renew()
        for _ in range(100):
            server.finish(capture=kept(CAPTURED))
        made.sample(2.0)
        sent.append(sum("request" in row for frame in frames for row in frame["rows"]))
    once = sent[0]  # and what is left of a turn may do for one more
    assert once <= sent[1] <= once + 1
    assert all(2 * once <= count <= 2 * once + 1 for count in sent[2:])


def test_demand_is_told_only_under_a_cap_of_the_whole_server():
    _, sink = collect()
    server, made = sampler(sink)
    assert "waiting" not in made.frame(1.0)
    server.throttle.set_total(1000, None, 1.0)
    assert made.frame(2.0)["waiting"] == [0, 0]


def test_messages_of_streams_are_told_at_the_level_that_asks_for_them():
    frames, sink = collect()
    server, made = sampler(sink)
    assert server.message_log is None
    made.set_detail(2)
    for number in range(40):
        server.message_log.add(5.0, 1, 7, number % 2 == 0, "text", b"x" * 4000)
    server.message_log.add(5.0, 1, 7, True, "binary", b"\xff\xfe", waited=True)
    made.sample(1.0)
    told = [message for frame in frames for message in frame.get("messages", ())]
    assert len(told) == 41 and sum("messages" in frame for frame in frames) > 1
    assert (told[0]["conn"], told[0]["id"], told[0]["in"], told[0]["size"]) == (1, 7, True, 4000)
    assert told[-1]["data64"] == "//4=" and told[-1]["waited"] and "waited" not in told[0]
    made.set_detail(1)
    assert server.message_log is None


def test_too_many_messages_of_streams_leave_the_oldest_out_and_count_them():
    frames, sink = collect()
    server, made = sampler(sink, detail=2)
    for number in range(700):
        server.message_log.add(5.0, 1, 7, True, "text", b"%d" % number)
    made.sample(1.0)
    told = [message["text"] for frame in frames for message in frame.get("messages", ())]
    assert told[0] == "200" and told[-1] == "699"
    assert sum(frame.get("messages_left_out", 0) for frame in frames) == 200
