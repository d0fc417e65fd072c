"""What the peer may send and what it may not: RFC 6455 sections 5, 7 and 8, limits.

Each row is a stream of frames, its events and what is sent in answer; each is fed whole, cut
at every byte, and byte by byte.
"""

import pytest

from tests.protocol.websocket.websocket_wire import (
    LIMIT,
    MASK,
    agreed,
    cuts,
    deflated,
    frame,
    plain,
    run,
    sent,
)
from tremolo.protocol.websocket import (
    CLOSED,
    CLOSING,
    NEED_DATA,
    OPEN,
    WebSocketEngine,
    serialize_frame,
)

TEXT, BINARY, CONT, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10


def closing(code, reason=b""):
    return serialize_frame(CLOSE, code.to_bytes(2, "big") + reason)


def head(first, second, *rest):
    return bytes((first, second, *rest)) + MASK


GOOD = {
    "text": (frame(TEXT, b"hello"), [("Message", "hello")], b""),
    "binary": (frame(BINARY, b"\x00\xff"), [("Message", b"\x00\xff")], b""),
    "empty text": (frame(TEXT), [("Message", "")], b""),
    "empty binary": (frame(BINARY), [("Message", b"")], b""),
    "length 125": (frame(BINARY, b"a" * 125), [("Message", b"a" * 125)], b""),
    "length 126": (frame(BINARY, b"a" * 126), [("Message", b"a" * 126)], b""),
    "length 126 of text": (frame(TEXT, b"a" * 126), [("Message", "a" * 126)], b""),
    "two messages": (
        frame(TEXT, b"one") + frame(BINARY, b"two"),
        [("Message", "one"), ("Message", b"two")],
        b"",
    ),
    "fragments": (
        frame(TEXT, b"a", fin=False) + frame(CONT, b"b", fin=False) + frame(CONT, b"c"),
        [("Message", "abc")],
        b"",
    ),
    "empty fragments": (
        frame(BINARY, fin=False) + frame(CONT, fin=False) + frame(CONT),
        [("Message", b"")],
        b"",
    ),
    "character over three fragments": (
        frame(TEXT, b"\xe2", fin=False)
        + frame(CONT, b"\x82", fin=False)
        + frame(CONT, b"\xac"),
        [("Message", "\u20ac")],
        b"",
    ),
    "four bytes over fragments": (
        frame(TEXT, b"x\xf0\x9f", fin=False) + frame(CONT, b"\x98\x80y"),
        [("Message", "x\U0001f600y")],
        b"",
    ),
    "ping between fragments": (
        frame(TEXT, b"a", fin=False) + frame(PING, b"?") + frame(CONT, b"b"),
        [("Ping", b"?"), ("Message", "ab")],
        serialize_frame(PONG, b"?"),
    ),
    "message after fragments": (
        frame(TEXT, b"a", fin=False) + frame(CONT, b"b") + frame(TEXT, b"c"),
        [("Message", "ab"), ("Message", "c")],
        b"",
    ),
    "ping of 125 bytes": (
        frame(PING, b"p" * 125),
        [("Ping", b"p" * 125)],
        serialize_frame(PONG, b"p" * 125),
    ),
    "empty ping": (frame(PING), [("Ping", b"")], serialize_frame(PONG, b"")),
    "pong": (frame(PONG, b"!"), [("Pong", b"!")], b""),
    "message of the limit": (frame(TEXT, b"a" * LIMIT), [("Message", "a" * LIMIT)], b""),
    "fragments of the limit": (
        frame(BINARY, b"a" * 400, fin=False) + frame(CONT, b"b" * 600),
        [("Message", b"a" * 400 + b"b" * 600)],
        b"",
    ),
    "close": (
        frame(CLOSE, b"\x03\xe8bye"),
        [("Close", 1000, "bye")],
        closing(1000),
    ),
    "close without code": (frame(CLOSE), [("Close", 1005, "")], serialize_frame(CLOSE, b"")),
    "nothing after close": (
        frame(CLOSE, b"\x03\xe9") + frame(TEXT, b"x") + frame(PING),
        [("Close", 1001, "")],
        closing(1001),
    ),
    "ping then close": (
        frame(PING, b"1") + frame(CLOSE, b"\x0b\xb8"),
        [("Ping", b"1"), ("Close", 3000, "")],
        serialize_frame(PONG, b"1") + closing(3000),
    ),
    "close in a fragmented message": (
        frame(TEXT, b"a", fin=False) + frame(CLOSE, b"\x03\xe8"),
        [("Close", 1000, "")],
        closing(1000),
    ),
}

BAD = {
    "unmasked text": (serialize_frame(TEXT, b"hello"), 1002),
    "unmasked empty close": (serialize_frame(CLOSE, b""), 1002),
    **{f"rsv {bit:#x}": (head(0x81 | bit, 0x80), 1002) for bit in (0x10, 0x20, 0x40, 0x70)},
    **{f"opcode {op}": (head(0x80 | op, 0x80), 1002) for op in (*range(3, 8), *range(11, 16))},
    "fragmented ping": (frame(PING, b"a", fin=False), 1002),
    "fragmented close": (frame(CLOSE, b"\x03\xe8", fin=False), 1002),
    "ping of 126 bytes": (frame(PING, b"a" * 126), 1002),
    "close of 126 bytes": (frame(CLOSE, b"\x03\xe8" + b"a" * 124), 1002),
    "continuation of nothing": (frame(CONT, b"a"), 1002),
    "open continuation of nothing": (frame(CONT, b"a", fin=False), 1002),
    "message in a message": (frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), 1002),
    "binary in a text message": (frame(TEXT, b"a", fin=False) + frame(BINARY, b"b"), 1002),
    "16-bit length of 125": (head(0x82, 0xFE, 0, 125) + bytes(125), 1002),
    "16-bit length of 0": (head(0x82, 0xFE, 0, 0), 1002),
    "64-bit length of 65535": (head(0x82, 0xFF, 0, 0, 0, 0, 0, 0, 255, 255), 1002),
    "64-bit length of 1": (head(0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0, 1), 1002),
    "length of 2**63": (head(0x82, 0xFF, 128, 0, 0, 0, 0, 0, 0, 0), 1002),
    "length of 2**64 - 1": (head(0x82, 0xFF, *[255] * 8), 1002),
    "length of 2**63 - 1": (head(0x82, 0xFF, 127, *[255] * 7), 1009),
    "one byte too long": (head(0x82, 0xFE, (LIMIT + 1) >> 8, (LIMIT + 1) & 255), 1009),
    "fragments one byte too long": (
        frame(BINARY, b"a" * LIMIT, fin=False) + head(0x80, 0x81),
        1009,
    ),
    "invalid utf-8": (frame(TEXT, b"\xff"), 1007),
    "truncated utf-8": (frame(TEXT, b"a\xe2\x82"), 1007),
    "truncated utf-8 in fragments": (frame(TEXT, fin=False) + frame(CONT, b"\xe2"), 1007),
    "surrogate": (frame(TEXT, b"\xed\xa0\x80"), 1007),
    "overlong": (frame(TEXT, b"\xc0\xaf"), 1007),
    "beyond unicode": (frame(TEXT, b"\xf4\x90\x80\x80"), 1007),
    "invalid utf-8 of 200 bytes": (frame(TEXT, b"a" * 199 + b"\xfe"), 1007),
    "invalid utf-8 in a fragment": (frame(TEXT, b"\xe2", fin=False) + frame(CONT, b"a"), 1007),
    "close of one byte": (frame(CLOSE, b"\x03"), 1002),
    **{
        f"close code {code}": (frame(CLOSE, code.to_bytes(2, "big")), 1002)
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    },
    "close reason not utf-8": (frame(CLOSE, b"\x03\xe8\xff"), 1007),
    "too many fragments": (
        frame(TEXT, b"", fin=False) + frame(CONT, b"", fin=False) * 8,
        1008,
    ),
}


@pytest.mark.parametrize("wire, events, answer", list(GOOD.values()), ids=list(GOOD))
def test_valid_frames_become_events_however_they_are_cut(wire, events, answer):
    for segments in cuts(wire):
        engine = WebSocketEngine(LIMIT)
        assert run(engine, segments) == events
        assert sent(engine) == answer
        assert engine.state == (CLOSED if events[-1][0] == "Close" else OPEN)
        assert engine.buffered == 0


@pytest.mark.parametrize("wire, code", list(BAD.values()), ids=list(BAD))
def test_a_violation_is_one_last_event_and_a_close_frame(wire, code):
    for segments in cuts(wire):
        engine = WebSocketEngine(LIMIT, max_fragments=8)
        *before, failed = run(engine, [*segments, frame(TEXT, b"later")])
        assert failed[:2] == ("Failed", code)
        assert before == []
        assert sent(engine) == closing(code, failed[2].encode())
        assert engine.state == CLOSED


@pytest.mark.parametrize("code", [*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4999])
def test_a_valid_close_code_is_echoed(code):
    engine = WebSocketEngine(LIMIT)
    wire = frame(CLOSE, code.to_bytes(2, "big") + b"r")
    assert run(engine, [wire]) == [("Close", code, "r")]
    assert sent(engine) == closing(code)


INVALID_STARTS = [
    b"\xc0", b"\xc1", b"\xf5", b"\xff", b"\x80", b"\xe0\x80", b"\xe0\x9f", b"\xed\xa0",
    b"\xf0\x8f", b"\xf4\x90", b"\xe1\x80\x41", b"\xf1\x80\x80\x41",
    b"\xc3\x28", b"\xce\xba\xed\xbf",
]


@pytest.mark.parametrize("bad", INVALID_STARTS, ids=lambda bad: bad.hex())
@pytest.mark.parametrize("where", ["frame", "fragment", "bytes"])
def test_text_fails_at_the_first_byte_that_cannot_be_utf8(bad, where):
    engine = WebSocketEngine(LIMIT)
    if where == "fragment":
        segments = [frame(TEXT, b"ok", fin=False), frame(CONT, bad, fin=False)]
    else:
        segments = [frame(TEXT, b"ok" + bad + b"rest" * 10)[: 6 + 2 + len(bad)]]
        if where == "bytes":
            segments = [segments[0][i : i + 1] for i in range(len(segments[0]))]
    assert [event[:2] for event in run(engine, segments)] == [("Failed", 1007)]


def test_a_declared_length_is_refused_before_the_payload_comes():
    engine = WebSocketEngine(1 << 20)
    wire = frame(BINARY, bytes((1 << 20) + 1))
    assert run(engine, [wire[:14]])[0][:2] == ("Failed", 1009)


def test_a_continuation_after_the_end_of_a_message_is_a_violation():
    wire = frame(TEXT, b"", fin=False) + frame(CONT) + frame(CONT)
    message, failed = run(WebSocketEngine(LIMIT), [wire])
    assert message == ("Message", "")
    assert failed[:2] == ("Failed", 1002)


def test_fragments_up_to_the_limit_are_a_message():
    engine = WebSocketEngine(LIMIT, max_fragments=1000)
    middle = frame(CONT, b"a", fin=False)
    wire = frame(TEXT, b"a", fin=False) + middle * 998 + frame(CONT, b"a")
    assert run(engine, [wire]) == [("Message", "a" * 1000)]
    wire = frame(TEXT, b"", fin=False) + frame(CONT, b"", fin=False) * 999 + frame(CONT, b"")
    assert run(engine, [wire])[0][:2] == ("Failed", 1008)


def test_segments_may_be_received_before_events_are_taken():
    wire = b"".join(frame(TEXT, b"%d" % i * 40) for i in range(50))
    engine = WebSocketEngine(LIMIT)
    for position in range(0, len(wire), 7):
        engine.receive_data(wire[position : position + 7])
    assert engine.buffered == len(wire)
    assert [event[1] for event in run(engine, [b""])] == [str(i) * 40 for i in range(50)]
    assert engine.buffered == 0


def test_ten_pings_at_once_are_all_answered():
    engine = WebSocketEngine(LIMIT)
    run(engine, [b"".join(frame(PING, b"%d" % i) for i in range(10))])
    assert sent(engine) == b"".join(serialize_frame(PONG, b"%d" % i) for i in range(10))


def test_a_flood_of_pings_gets_a_bounded_answer_that_ends_with_the_latest():
    engine = WebSocketEngine(LIMIT)
    run(engine, [b"".join(frame(PING, b"%d" % i) for i in range(10000))])
    answer = sent(engine)
    assert len(answer) < 16 * 127
    assert answer.endswith(serialize_frame(PONG, b"9999"))
    assert engine.control_frames == 10000


def test_the_end_of_input_without_close_frame_is_1006():
    engine = WebSocketEngine(LIMIT)
    engine.receive_data(frame(TEXT, b"last") + frame(TEXT, b"cut")[:4])
    engine.receive_eof()
    events = [plain(engine.next_event()) for _ in range(2)]
    assert events == [("Message", "last"), ("Close", 1006, "")]
    assert engine.next_event() is NEED_DATA
    assert engine.state == CLOSED


def test_the_end_of_input_after_close_is_no_event():
    engine = WebSocketEngine(LIMIT)
    run(engine, [frame(CLOSE)])
    engine.receive_eof()
    assert engine.next_event() is NEED_DATA


class TestAfterOurClose:
    def test_data_are_dropped_until_the_peers_close_frame(self):
        wire = (
            frame(TEXT, b"\xff")
            + frame(BINARY, bytes(LIMIT + 1))
            + frame(TEXT, b"a", fin=False)
            + frame(PING, b"?")
            + frame(CONT, b"b")
            + frame(CLOSE, b"\x03\xe8ok")
        )
        for segments in ([wire], [wire[i : i + 1] for i in range(len(wire))]):
            engine = WebSocketEngine(LIMIT)
            engine.close(1001, "restart")
            assert sent(engine) == closing(1001, b"restart")
            assert engine.state == CLOSING
            assert run(engine, segments) == [("Ping", b"?"), ("Close", 1000, "ok")]
            assert sent(engine) == b""
            assert engine.state == CLOSED

    def test_the_rest_of_a_message_is_dropped(self):
        engine = WebSocketEngine(LIMIT)
        wire = frame(TEXT, b"abc", fin=False)
        assert run(engine, [wire[:-1]]) == []
        engine.close()
        wire = wire[-1:] + frame(CONT, b"d") + frame(CLOSE)
        assert run(engine, [wire]) == [("Close", 1005, "")]

    def test_a_violation_sends_no_second_close_frame(self):
        engine = WebSocketEngine(LIMIT)
        engine.close()
        sent(engine)
        assert run(engine, [serialize_frame(TEXT, b"")])[0][:2] == ("Failed", 1002)
        assert sent(engine) == b""


class TestFragmentEvents:
    def test_each_frame_is_an_event(self):
        wire = (
            frame(TEXT, b"a\xe2\x82", fin=False)
            + frame(PING, b"")
            + frame(CONT, b"", fin=False)
            + frame(CONT, b"\xacb")
            + frame(BINARY, b"\xff")
            + frame(TEXT, b"next")
        )
        for segments in cuts(wire):
            engine = WebSocketEngine(LIMIT, fragments=True)
            assert run(engine, segments) == [
                ("Fragment", b"a\xe2\x82", False, 1),
                ("Ping", b""),
                ("Fragment", b"", False, 0),
                ("Fragment", b"\xacb", True, 0),
                ("Fragment", b"\xff", True, 2),
                ("Fragment", b"next", True, 1),
            ]

    @pytest.mark.parametrize(
        "wire",
        [
            frame(TEXT, b"\xe2", fin=False) + frame(CONT, b"a"),
            frame(TEXT, b"\xe2", fin=False) + frame(CONT, b""),
        ],
        ids=["broken", "truncated"],
    )
    def test_utf8_is_checked_over_fragments(self, wire):
        for segments in cuts(wire):
            events = run(WebSocketEngine(LIMIT, fragments=True), segments)
            assert events[0] == ("Fragment", b"\xe2", False, 1)
            assert events[1][:2] == ("Failed", 1007)

    def test_compressed_frames_are_given_out_inflated(self):
        data = deflated(b"hello hello hello")
        wire = frame(TEXT, data[:5], fin=False, rsv1=True) + frame(CONT, data[5:])
        engine = WebSocketEngine(LIMIT, deflate=agreed(), fragments=True)
        events = run(engine, [wire])
        assert b"".join(event[1] for event in events) == b"hello hello hello"


def test_a_client_refuses_masked_frames_and_takes_others():
    assert run(WebSocketEngine(LIMIT, client=True), [serialize_frame(TEXT, b"a" * 300)]) == [
        ("Message", "a" * 300)
    ]
    masked = [frame(TEXT, b"a")]
    assert run(WebSocketEngine(LIMIT, client=True), masked)[0][:2] == ("Failed", 1002)


def test_a_limit_below_one_byte_head_lengths_holds():
    for limit in (0, 5):
        engine = WebSocketEngine(limit)
        assert run(engine, [frame(TEXT, b"a" * limit)]) == [("Message", "a" * limit)]
        assert run(engine, [frame(TEXT, b"a" * (limit + 1))])[0][:2] == ("Failed", 1009)
