"""Damaged streams: nothing is raised, and where the input is cut changes nothing."""

import random

import pytest

from tests.protocol.websocket.websocket_wire import agreed, deflated, frame, run, sent
from tremolo.protocol.websocket import WebSocketEngine

LIMIT = 300
SEEDS = [
    frame(1, b"hello") + frame(2, b"\x00" * 200) + frame(9, b"ping"),
    frame(1, "\u20ac\u00e9\U0001f600".encode() * 20) + frame(8, b"\x03\xe8bye"),
    frame(1, b"\xe2", fin=False) + frame(9) + frame(0, b"\x82", fin=False) + frame(0, b"\xad"),
    frame(1, deflated(b"hello " * 30), rsv1=True) + frame(2, b"plain"),
    frame(2, deflated(b"x" * 299)[:4], fin=False, rsv1=True)
    + frame(0, deflated(b"x" * 299)[4:]),
]


def mutated(source, wire):
    data = bytearray(wire)
    for _ in range(source.randrange(1, 4)):
        kind = source.randrange(4)
        position = source.randrange(len(data) or 1)
        if kind == 0 and data:
            data[position] = source.randrange(256)
        elif kind == 1 and data:
            data[position] ^= 1 << source.randrange(8)
        elif kind == 2:
            del data[position : position + source.randrange(1, 9)]
        else:
            start = source.randrange(len(data) or 1)
            data[position:position] = data[start : start + source.randrange(1, 30)]
    return bytes(data)


def outcome(wire, sizes, options):
    """Events, answers and the state at the end.

    Two faults of one damaged deflate stream count as the same: zlib does not tell what came
    out ahead of its own error, so that may hide bad UTF-8 or an excess in the same segment.
    """
    engine = WebSocketEngine(LIMIT, max_fragments=5, **options)
    segments, position = [], 0
    while position < len(wire):
        step = sizes()
        segments.append(wire[position : position + step])
        position += step
    events = run(engine, segments)
    answer = sent(engine)
    if options.get("client"):
        answer = b"%d" % len(answer)  # its masks are random
    if options.get("deflate") and events and events[-1][1:2] in ((1007,), (1009,)):
        events[-1] = ("Failed", "data")
        answer = b""
    engine.receive_eof()
    engine.next_event()
    return events, answer, engine.state


@pytest.mark.parametrize("options", [{}, {"deflate": True}, {"fragments": True}], ids=str)
@pytest.mark.parametrize("number", range(len(SEEDS)))
def test_a_damaged_stream_has_one_outcome_however_it_is_cut(number, options):
    source = random.Random(number)
    if options.get("deflate"):
        options = {"deflate": agreed()}
    for _ in range(300):
        wire = mutated(source, SEEDS[number])
        whole = outcome(wire, lambda: 1 << 20, options)
        assert outcome(wire, lambda: 1, options) == whole
        assert outcome(wire, lambda: source.randrange(1, 12), options) == whole
        events = whole[0]
        assert all(event[0] not in ("Failed", "Close") for event in events[:-1])
        for event in events:
            if event[0] == "Message":
                data = event[1].encode() if isinstance(event[1], str) else event[1]
                assert len(data) <= LIMIT


@pytest.mark.parametrize("options", [{}, {"deflate": True}, {"client": True}], ids=str)
def test_noise_raises_nothing(options):
    source = random.Random(1)
    if options.get("deflate"):
        options = {"deflate": agreed()}
    starts = [0x81, 0x82, 0x01, 0x00, 0x80, 0xC1, 0x88, 0x89]
    for _ in range(3000):
        noise = bytes(source.randrange(256) for _ in range(source.randrange(1, 60)))
        wire = bytes((source.choice(starts), source.choice([0x80, 0x85, 0xFE, 0]))) + noise
        assert outcome(wire, lambda: 1, options) == outcome(wire, lambda: 100, options)
