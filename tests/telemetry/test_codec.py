"""JSON lines between processes: whatever arrives is a message or a CodecError."""

import json
import math

import pytest

from tremolo.telemetry.codec import MAX_LINE, CodecError, LineDecoder, decode, encode, encode_cut
from tremolo.telemetry.sanitize import clean, clean_lines

FRAME = {"v": 1, "kind": "frame", "pid": 7, "rows": [{"path": "/ä\n\ud800"}]}


def test_a_message_survives_any_cut_of_the_stream():
    line = encode(FRAME)
    assert line.count(b"\n") == 1
    for cut in range(len(line) + 1):
        decoder = LineDecoder()
        found = [*decoder.feed(line[:cut]), *decoder.feed(line[cut:] + line)]
        assert [message for _, message in found] == [FRAME, FRAME]
        assert [raw for raw, _ in found] == [line, line]
        assert decoder.partial == 0


@pytest.mark.parametrize("line", [
    b"\n", b"{}\n", b"[]\n", b"7\n", b'{"kind": 1}\n', b'{"kind": "x", "v": 2}\n', b"\xff\n",
    b'{"kind": "x", "n": NaN}\n', b'{"kind": "x", "n": -Infinity}\n', b"[" * 60_000 + b"\n",
    b'{"kind": "x"', b"\0" * 60_000 + b"\n",
], ids=["empty", "object", "list", "number", "kind", "version", "utf-8", "nan", "infinity",
        "deep", "truncated", "zeros"])
def test_what_is_no_message_is_refused(line):
    with pytest.raises(CodecError):
        decode(line)


@pytest.mark.parametrize("size", [1, 4096, 1 << 20])
def test_an_endless_line_is_refused_before_it_is_kept(size):
    decoder = LineDecoder()
    fed = 0
    with pytest.raises(CodecError):
        while True:
            list(decoder.feed(b"x" * size))
            fed += size
            assert fed <= MAX_LINE + size
            assert decoder.partial <= MAX_LINE


def test_a_message_too_long_for_a_line_is_refused_or_cut():
    message = {"v": 1, "kind": "error", "pid": 7, "type": "E", "traceback": "x" * 100_000}
    with pytest.raises(CodecError):
        encode(message)
    line = encode_cut(message)
    assert len(line) <= MAX_LINE
    assert decode(line)["type"] == "E"
    stub = decode(encode_cut({"v": 1, "kind": "ack", "seq": 3, "result": ["y"] * 50_000}))
    assert (stub["kind"], stub["seq"], stub["error"]) == ("ack", 3, "too long to be sent")


def test_numbers_that_json_has_not_are_never_written():
    with pytest.raises(CodecError):
        encode({"kind": "x", "n": math.nan})


@pytest.mark.parametrize(("text", "shown"), [
    ("/plain", "/plain"), ("/ä€", "/ä€"), ("a\x1b[31m", "a\u241b[31m"), ("\x7f", "\u2421"),
    ("\x9b1m", "\\x9b1m"), ("a\u202eb", "a\\u202eb"), ("a\u200bb", "a\\u200bb"),
    ("\ud800", "\\ud800"), ("a\nb\tc", "a\u240ab\u2409c"), (b"/\xff\xc2\x80", "/\\xff\\x80"),
    ("\u2028", "\\u2028"), ("\U000e0041", "\\U000e0041"),
])
def test_hidden_characters_are_shown(text, shown):
    assert clean(text) == shown
    json.dumps(clean(text)).encode()


def test_texts_are_cut():
    assert len(clean("x" * 1000)) == 256
    assert len(clean("\x1b" * 1000)) == 256
    assert len(clean("\u202e" * 1000)) == 256
    assert len(clean(b"\xff" * 10_000)) == 256
    cut = clean_lines("begin\n" + "x" * 100_000 + "\nend\x1b", 1000)
    assert cut.startswith("begin\n")
    assert cut.endswith("\nend\u241b")
    assert len(cut) < 1100
