"""permessage-deflate: RFC 7692, and the bounds on what comes out."""

import random
import zlib

import pytest

from tests.protocol.websocket.websocket_wire import (
    LIMIT,
    agreed,
    cuts,
    deflated,
    frame,
    run,
    sent,
)
from tremolo.protocol.websocket import WebSocketEngine, serialize_frame

TEXT, BINARY, CONT = 1, 2, 0
KEEP = {"server_no_context_takeover": False, "client_no_context_takeover": False}
DROP = {"server_no_context_takeover": True, "client_no_context_takeover": True}


def engine(limit=LIMIT, **changes):
    return WebSocketEngine(limit, deflate=agreed(**changes))


# RFC 7692 section 7.2.3
EXAMPLES = {
    "one block": ("f248cdc9c90700", ["Hello"]),
    "no compression": ("000500faff48656c6c6f00", ["Hello"]),
    "final block": ("f348cdc9c9070000", ["Hello"]),
    "two blocks": ("f248050000 00ffffcac9c90700", ["Hello"]),
}


@pytest.mark.parametrize("data, texts", list(EXAMPLES.values()), ids=list(EXAMPLES))
def test_the_examples_of_the_rfc(data, texts):
    wire = frame(TEXT, bytes.fromhex(data), rsv1=True)
    for segments in cuts(wire):
        assert run(engine(), segments) == [("Message", text) for text in texts]


def test_the_window_is_shared_between_messages_if_so_agreed():
    wire = frame(TEXT, bytes.fromhex("f248cdc9c90700"), rsv1=True)
    wire += frame(TEXT, bytes.fromhex("f200110000"), rsv1=True)
    assert run(engine(**KEEP), [wire]) == [("Message", "Hello")] * 2
    assert run(engine(**DROP), [wire])[1][:2] == ("Failed", 1007)


def test_fragments_share_one_compressed_stream():
    text = "\u20ac and more " * 20
    data = deflated(text.encode())
    for position in range(len(data)):
        wire = frame(TEXT, data[:position], fin=False, rsv1=True)
        wire += frame(9) + frame(CONT, data[position:])
        assert run(engine(), [wire]) == [("Ping", b""), ("Message", text)]


def test_compressed_and_other_messages_may_alternate():
    wire = frame(TEXT, b"plain") + frame(TEXT, deflated(b"packed"), rsv1=True)
    wire += frame(TEXT, b"p")
    for segments in cuts(wire):
        events = run(engine(), segments)
        assert [event[1] for event in events] == ["plain", "packed", "p"]


def test_an_empty_message_may_be_compressed():
    assert run(engine(), [frame(TEXT, b"\x00", rsv1=True)]) == [("Message", "")]
    assert run(engine(), [frame(TEXT, deflated(b""), rsv1=True)]) == [("Message", "")]


@pytest.mark.parametrize(
    "wire, code",
    [
        (frame(9, b"", rsv1=True), 1002),
        (frame(8, b"", rsv1=True), 1002),
        (frame(TEXT, b"", fin=False, rsv1=True) + frame(CONT, b"", rsv1=True), 1002),
        (frame(CONT, b"", rsv1=True), 1002),
        (frame(TEXT, b"\xff\xff\xff", rsv1=True), 1007),
        (frame(TEXT, deflated(b"\xff"), rsv1=True), 1007),
        (frame(TEXT, deflated(b"a\xe2\x82"), rsv1=True), 1007),
        (frame(BINARY, b"\x03\x00" * 50, rsv1=True), 1007),
    ],
    ids=["ping", "close", "second frame", "continuation", "no deflate", "no utf-8",
         "cut utf-8", "many streams"],
)
def test_violations(wire, code):
    for segments in cuts(wire):
        events = run(engine(), segments)
        assert [event[:2] for event in events] == [("Failed", code)]


class TestBounds:
    @pytest.mark.parametrize("source", ["zeros", "noise"])
    @pytest.mark.parametrize("limit", [0, 1, 1000, 4096, 32768, 65536, 100000])
    def test_the_limit_is_exact(self, limit, source):
        noise = random.Random(limit)
        for over in (0, 1):
            data = bytes(limit + over)
            if source == "noise":
                data = bytes(noise.randrange(256) for _ in data)
            wire = frame(BINARY, deflated(data), rsv1=True)
            for segments in ([wire], [wire[i : i + 100] for i in range(0, len(wire), 100)]):
                events = run(engine(limit), segments)
                if over:
                    assert events[0][:2] == ("Failed", 1009)
                else:
                    assert events == [("Message", data)]

    def test_a_bomb_is_refused_without_being_inflated(self):
        bomb = frame(BINARY, deflated(bytes(50_000_000)), rsv1=True)
        assert run(engine(1 << 20), [bomb])[0][:2] == ("Failed", 1009)

    def test_fragments_are_summed_after_inflation(self):
        data = deflated(bytes(LIMIT + 1))
        wire = b"".join(
            frame(CONT if i else BINARY, data[i : i + 1], fin=i == len(data) - 1, rsv1=not i)
            for i in range(len(data))
        )
        assert run(engine(), [wire])[-1][:2] == ("Failed", 1009)

    def test_a_stream_that_never_yields_anything_is_refused_at_the_head(self):
        head = frame(BINARY, bytes(1 << 20), rsv1=True)[:14]
        assert run(engine(1000), [head])[0][:2] == ("Failed", 1009)

    def test_output_held_back_by_zlib_counts(self):
        # Each length is one at which zlib might stop with output pending and input used up.
        for length in range(250, 270):
            wire = frame(BINARY, deflated(bytes(length)), rsv1=True)
            got = run(engine(length), [wire[i : i + 1] for i in range(len(wire))])
            assert got == [("Message", bytes(length))]
            got = run(engine(length - 1), [wire[i : i + 1] for i in range(len(wire))])
            assert [event[:2] for event in got] == [("Failed", 1009)]


class TestSending:
    TEXT = "the quick brown fox " * 50

    def test_long_messages_are_compressed(self):
        sender = engine()
        sender.send_text(self.TEXT)
        wire = sent(sender)
        assert wire[0] == 0xC1
        assert len(wire) < 100
        data = wire[2:] + b"\x00\x00\xff\xff\x03\x00"
        assert zlib.decompress(data, -12).decode() == self.TEXT

    def test_short_messages_are_not(self):
        sender = engine(threshold=64)
        sender.send_bytes(bytes(63))
        assert sent(sender) == serialize_frame(BINARY, bytes(63))
        sender.send_bytes(bytes(64))
        assert sent(sender)[0] == 0xC2

    def test_what_does_not_shrink_is_sent_as_it_is(self):
        noise = random.Random(1)
        data = bytes(noise.randrange(256) for _ in range(1000))
        sender = engine()
        sender.send_bytes(data)
        assert sent(sender) == serialize_frame(BINARY, data)

    @pytest.mark.parametrize("keep", [True, False], ids=["context", "no context"])
    @pytest.mark.parametrize("bits", range(8, 16))
    def test_any_window_is_understood_by_the_peer(self, keep, bits):
        parameters = agreed(
            server_no_context_takeover=not keep,
            client_no_context_takeover=not keep,
            server_max_window_bits=bits,
            client_max_window_bits=bits,
            threshold=0,
        )
        server = WebSocketEngine(1 << 20, deflate=parameters)
        client = WebSocketEngine(1 << 20, deflate=parameters, client=True)
        source = random.Random(bits)
        words = [bytes(source.randrange(256) for _ in range(20)) for _ in range(40)]
        for length in (0, 1, 10, 100, 1000, 3000):
            data = b"".join(source.choice(words) for _ in range(length))
            for sender, receiver in ((server, client), (client, server)):
                sender.send_bytes(data)
                assert run(receiver, [sent(sender)]) == [("Message", data)]
                sender.send_fragment(data, BINARY, False)
                sender.send_fragment(data, CONT, False)
                sender.send_fragment(b"", CONT, True)
                assert run(receiver, [sent(sender)]) == [("Message", data * 2)]

    def test_context_makes_repeated_messages_shorter(self):
        sender = engine(**KEEP)
        sender.send_text(self.TEXT)
        first = sent(sender)
        sender.send_text(self.TEXT)
        assert len(sent(sender)) < len(first)

    def test_without_context_nothing_of_another_message_is_referred_to(self):
        source = random.Random(7692)
        words = [bytes(source.randrange(256) for _ in range(30)) for _ in range(10)]
        senders = [engine(**DROP) for _ in range(3)]
        for number in range(30):
            sender = senders[number % 3]
            pieces = [b"".join(source.choice(words) for _ in range(number + 6)) for _ in range(2)]
            if number % 5:
                sender.send_bytes(pieces[0] + pieces[1])
            else:  # the messages of others are compressed between its fragments
                sender.send_fragment(pieces[0], BINARY, False)
                senders[(number + 1) % 3].send_bytes(pieces[1] * 2)
                sent(senders[(number + 1) % 3])
                sender.send_fragment(pieces[1], CONT, True)
            receiver = WebSocketEngine(1 << 20, deflate=agreed(**DROP), client=True)
            got = run(receiver, [sent(sender)])
            assert got == [("Message", pieces[0] + pieces[1])]

    def test_no_context_makes_repeated_messages_equal(self):
        sender = engine()
        sender.send_text(self.TEXT)
        first = sent(sender)
        sender.send_text(self.TEXT)
        assert sent(sender) == first
