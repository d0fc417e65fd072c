"""What the engine sends: RFC 6455 sections 5.2, 5.3, 5.5 and 7."""

import pytest

from tests.protocol.websocket.websocket_wire import agreed, run, sent
from tremolo.protocol.websocket import (
    BINARY,
    CLOSED,
    CLOSING,
    CONTINUATION,
    TEXT,
    StateError,
    WebSocketEngine,
    serialize_frame,
)

LENGTHS = [0, 1, 125, 126, 65535, 65536, 100000]


@pytest.mark.parametrize("length", LENGTHS)
def test_a_message_is_one_frame_with_the_shortest_length(length):
    engine = WebSocketEngine(1 << 20)
    engine.send_text("a" * length)
    engine.send_bytes(b"b" * length)
    wire = serialize_frame(TEXT, b"a" * length) + serialize_frame(BINARY, b"b" * length)
    assert sent(engine) == wire
    assert engine.data_to_send() == []


def test_a_long_payload_is_handed_out_without_a_copy():
    engine = WebSocketEngine(1 << 20)
    data = bytes(100000)
    engine.send_bytes(data)
    assert engine.data_to_send()[1] is data


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("deflate", [None, agreed()], ids=["plain", "deflate"])
def test_a_client_masks_what_a_server_understands(length, deflate):
    client = WebSocketEngine(1 << 20, client=True, deflate=deflate)
    server = WebSocketEngine(1 << 20, deflate=deflate)
    client.send_text("\u00e9" * length)
    client.send_bytes(bytearray(length))
    client.ping(b"?")
    client.close(4000, "done")
    assert run(server, [sent(client)]) == [
        ("Message", "\u00e9" * length),
        ("Message", bytes(length)),
        ("Ping", b"?"),
        ("Close", 4000, "done"),
    ]
    assert run(client, [sent(server)]) == [("Pong", b"?"), ("Close", 4000, "")]
    assert client.state == server.state == CLOSED


def test_fragments_are_sent_as_they_are_given():
    engine = WebSocketEngine(100)
    engine.send_fragment("a", TEXT, False)
    engine.ping()
    engine.send_fragment(b"b", CONTINUATION, False)
    engine.send_fragment(b"", CONTINUATION, True)
    engine.send_text("next")
    assert sent(engine) == (
        serialize_frame(TEXT, b"a", fin=False)
        + serialize_frame(9, b"")
        + serialize_frame(0, b"b", fin=False)
        + serialize_frame(0, b"")
        + serialize_frame(TEXT, b"next")
    )


class TestMisuse:
    def test_a_message_within_a_message_is_refused(self):
        engine = WebSocketEngine(100)
        engine.send_fragment(b"a", BINARY, False)
        with pytest.raises(StateError):
            engine.send_text("b")
        with pytest.raises(StateError):
            engine.send_fragment(b"b", BINARY, True)
        engine.send_fragment(b"b", CONTINUATION, True)
        with pytest.raises(StateError):
            engine.send_fragment(b"c", CONTINUATION, True)
        engine.send_bytes(b"d")

    def test_an_opcode_of_no_data_frame_is_refused(self):
        with pytest.raises(ValueError, match="opcode"):
            WebSocketEngine(100).send_fragment(b"", 9, True)

    @pytest.mark.parametrize("how", ["closing", "closed"])
    def test_nothing_is_sent_after_close(self, how):
        engine = WebSocketEngine(100)
        if how == "closing":
            engine.close()
        else:
            engine.fail(1011, "no answer to a ping")
        sent(engine)
        for send in (
            lambda: engine.send_text("a"),
            lambda: engine.send_bytes(b"a"),
            lambda: engine.send_fragment(b"a", TEXT, True),
            engine.ping,
            engine.pong,
        ):
            with pytest.raises(StateError):
                send()
        engine.close()
        assert sent(engine) == b""

    def test_a_control_frame_of_126_bytes_is_refused(self):
        with pytest.raises(ValueError, match="125"):
            WebSocketEngine(100).ping(bytes(126))

    def test_a_lone_surrogate_is_refused_and_nothing_sent(self):
        engine = WebSocketEngine(100)
        with pytest.raises(UnicodeEncodeError):
            engine.send_text("\ud800")
        assert sent(engine) == b""


class TestClose:
    def test_code_and_reason_are_sent(self):
        engine = WebSocketEngine(100)
        engine.close(1012, "r\u00e9load")
        assert sent(engine) == serialize_frame(8, b"\x03\xf4r\xc3\xa9load")
        assert engine.state == CLOSING

    def test_no_code_is_an_empty_frame(self):
        engine = WebSocketEngine(100)
        engine.close(1005)
        assert sent(engine) == serialize_frame(8, b"")

    @pytest.mark.parametrize("code", [0, 999, 1004, 1006, 1015, 2000, 5000])
    def test_codes_that_must_not_be_sent_are_refused(self, code):
        with pytest.raises(ValueError, match=str(code)):
            WebSocketEngine(100).close(code)

    def test_a_long_reason_is_cut_between_characters(self):
        engine = WebSocketEngine(100)
        engine.close(1000, "\u20ac" * 100)
        assert sent(engine) == serialize_frame(8, b"\x03\xe8" + "\u20ac".encode() * 41)

    def test_a_second_close_has_no_effect(self):
        engine = WebSocketEngine(100)
        engine.close(1000)
        engine.close(1001)
        assert sent(engine) == serialize_frame(8, b"\x03\xe8")

    def test_failing_sends_a_close_frame_and_reads_no_more(self):
        engine = WebSocketEngine(100)
        engine.fail(1008, "too many pings")
        assert sent(engine) == serialize_frame(8, b"\x03\xf0too many pings")
        assert engine.state == CLOSED
        assert run(engine, [b"\xff" * 100]) == []

    def test_failing_with_a_code_that_must_not_be_sent_is_refused(self):
        with pytest.raises(ValueError, match="1006"):
            WebSocketEngine(100).fail(1006)

    def test_what_was_received_is_let_go_of_when_closed(self):
        engine = WebSocketEngine(1 << 20)
        engine.receive_data(serialize_frame(BINARY, bytes(50000), mask=b"abcd")[:40000])
        engine.next_event()
        engine.receive_data(bytes(5000))
        engine.fail(1011)
        assert engine.buffered == 0
        engine.receive_data(bytes(5000))
        assert engine.buffered == 0
