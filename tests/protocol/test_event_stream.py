"""Server-sent events, as the WHATWG HTML standard's own parsing algorithm reads them."""

import random
import re

import pytest

from tremolo.protocol.sse import encode_comment, encode_event

EVENTS = {
    "one line": ((b"Hello",), b"data: Hello\n\n"),
    "str": (("größe",), "data: größe\n\n".encode()),
    "bytearray": ((bytearray(b"x"),), b"data: x\n\n"),
    "no data": ((b"",), b"data: \n\n"),
    "LF": ((b"a\nb",), b"data: a\ndata: b\n\n"),
    "CR": ((b"a\rb",), b"data: a\ndata: b\n\n"),
    "CRLF": ((b"a\r\nb",), b"data: a\ndata: b\n\n"),
    "LF CR": ((b"a\n\rb",), b"data: a\ndata: \ndata: b\n\n"),
    "a line end at the end": ((b"a\n",), b"data: a\ndata: \n\n"),
    "no other character ends a line": (
        ("a\x0b\x0c\x1c\x85\u2028b",),
        "data: a\x0b\x0c\x1c\x85\u2028b\n\n".encode(),
    ),
    "all fields": (
        ("x", "update", "7", 3000),
        b"data: x\nevent: update\nid: 7\nretry: 3000\n\n",
    ),
    "an empty id resets the last one": ((b"x", None, b""), b"data: x\nid: \n\n"),
}


@pytest.mark.parametrize("arguments, expected", EVENTS.values(), ids=EVENTS)
def test_an_event_is_encoded(arguments, expected):
    assert encode_event(*arguments) == expected


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\0b", b"\n", "a\r\n"])
@pytest.mark.parametrize("field", ["event", "event_id"])
def test_a_field_that_would_end_is_refused(field, text):
    with pytest.raises(ValueError, match=f"{field} must not contain"):
        encode_event(b"x", **{field: text})


def test_a_negative_retry_is_refused():
    with pytest.raises(ValueError, match="milliseconds"):
        encode_event(b"x", retry=-1)


@pytest.mark.parametrize(
    "text, expected",
    [(b"", b": \n\n"), ("ping", b": ping\n\n"), (b"a\r\nb\rc\nd", b": a\n: b\n: c\n: d\n\n")],
)
def test_a_comment_is_encoded(text, expected):
    assert encode_comment(text) == expected


def dispatch(stream):
    """The events that a browser dispatches: (type, data, last event ID)."""
    events, data, kind, last_id = [], [], "", ""
    for line in re.split("\r\n|\r|\n", stream.decode("utf-8")):
        name, _, value = line.partition(":")
        value = value[1:] if value.startswith(" ") else value
        if not line:
            if data:
                events.append((kind or "message", "\n".join(data), last_id))
            data, kind = [], ""
        elif name == "data":
            data.append(value)
        elif name == "event":
            kind = value
        elif name == "id" and "\0" not in value:
            last_id = value
    return events


def test_a_browser_gets_what_was_sent_and_nothing_more():
    rng = random.Random(3)
    stream, sent, last_id = [], [], ""
    for number in range(500):
        text = "".join(rng.choice((" ", ":", "\r", "\n", "data", "€", "\0")) for _ in range(9))
        event = rng.choice((None, "update", " x:"))
        event_id = rng.choice((None, str(number)))
        stream += [encode_comment(text), encode_event(text, event, event_id, number)]
        last_id = last_id if event_id is None else event_id
        sent.append((event or "message", re.sub("\r\n|\r", "\n", text), last_id))
    assert dispatch(b"".join(stream)) == sent
