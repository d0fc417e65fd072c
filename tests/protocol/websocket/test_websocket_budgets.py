"""What the engine may cost, counted in function calls and in how work grows with the input."""

import gc
import sys

import pytest

from tests.protocol.websocket.websocket_wire import MASK, agreed, deflated, frame
from tremolo.protocol.websocket import NEED_DATA, WebSocketEngine, apply_mask
from tremolo.protocol.websocket.masking import mask_in_python

counted = pytest.mark.skipif(
    sys.implementation.name != "cpython", reason="counts CPython's profile events"
)


def calls(action):
    """How many functions `action` calls, Python's and C's, itself left out."""
    count = 0

    def profile(frame, event, argument):
        nonlocal count
        if event in ("call", "c_call"):
            count += 1

    gc.disable()
    sys.setprofile(profile)
    try:
        action()
    finally:
        sys.setprofile(None)
        gc.enable()
    return count - 2  # the action, and setprofile


@counted
@pytest.mark.parametrize("function", [apply_mask, mask_in_python])
def test_masking_64_kib_takes_at_most_12_calls(function):
    payload = bytes(65536)
    assert calls(lambda: function(payload, MASK)) <= 12


@counted
@pytest.mark.parametrize("length, budget", [(16, 15), (1024, 18), (65535, 24)])
@pytest.mark.parametrize("opcode", [1, 2])
def test_an_echo_takes_few_calls(opcode, length, budget):
    engine = WebSocketEngine(1 << 20)
    wire = frame(opcode, b"a" * length)

    def echo():
        engine.receive_data(wire)
        event = engine.next_event()
        if opcode == 1:
            engine.send_text(event.data)
        else:
            engine.send_bytes(event.data)
        engine.data_to_send()
        engine.next_event()

    echo()
    assert calls(echo) <= budget


@counted
@pytest.mark.parametrize("kind", ["bytes", "fragments", "compressed", "pings"])
def test_work_grows_with_the_input_and_no_faster(kind):
    def cost(size):
        if kind == "bytes":
            wire = frame(1, b"a" * size)
        elif kind == "fragments":
            wire = frame(1, b"", fin=False) + frame(0, b"a", fin=False) * size + frame(0)
        elif kind == "compressed":
            wire = frame(1, deflated(b"ab" * size), rsv1=True)
        else:
            wire = frame(9, b"?") * size
        segments = [wire[i : i + 1] for i in range(len(wire))]
        engine = WebSocketEngine(1 << 20, max_fragments=1 << 20, deflate=agreed())

        def receive():
            for segment in segments:
                engine.receive_data(segment)
                while engine.next_event() is not NEED_DATA:
                    pass

        return calls(receive) / len(wire)

    assert cost(4000) < 1.2 * cost(1000) + 1


def test_a_long_message_is_put_together_from_its_segments():
    wire = frame(2, b"a" * (1 << 24))
    engine = WebSocketEngine(1 << 24)
    for position in range(0, len(wire), 65536):
        engine.receive_data(wire[position : position + 65536])
        event = engine.next_event()
    assert event.data == b"a" * (1 << 24)
