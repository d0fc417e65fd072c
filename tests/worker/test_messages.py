"""Requests and responses as rows tell of them."""

import base64
import json

import pytest

from tremolo.net.capture import CAPTURED, Capture
from tremolo.worker.messages import FIELDS, MOST, messages

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nx-a: b: c\r\n\r\n"


def kept(request=b"", response=b"", fields=((b"host", b"a"), (b"cookie", b"id=\xe9"))):
    made = Capture(list(fields))
    made.response_head = HEAD
    for body, data in ((made.request_body, request), (made.response_body, response)):
        for begin in range(0, len(data), 5000):
            made.add(body, data[begin:begin + 5000])
    return made


def of(request=b"", response=b"", method=b"POST", status=200, **more):
    return messages(kept(request, response, **more), method, status, len(request),
                    len(response))[:2]


def body_of(message):
    if "body64" in message:
        return base64.b64decode(message["body64"], validate=True)
    return message.get("body", "").encode()


def test_fields_and_bodies_are_as_they_were_sent():
    request, response = of(b"\x00a=\xc3\xa9\r\n", b'{"a": 1}')
    assert request == {"headers": [["host", "a"], ["cookie", "id=\xe9"]], "size": 7,
                       "cut": False, "body": "\x00a=é\r\n"}
    assert response == {"headers": [["content-type", "text/plain"], ["x-a", "b: c"]], "size": 8,
                        "cut": False, "body": '{"a": 1}'}


@pytest.mark.parametrize("data", [b"\xff\xfe", bytes(range(256)), b"\xc3", b"ok\xc3"])
def test_what_is_no_text_is_base64(data):
    request, _ = of(data)
    assert "body" not in request and body_of(request) == data and not request["cut"]


@pytest.mark.parametrize("text", ["a" * 100_000, "é" * 20_000, "a" + "é" * 20_000, "€" * 9000,
                                  "\U0001f600" * 9000, "aa\U0001f600" * 9000])
def test_of_a_long_body_the_beginning_is_told_without_half_characters(text):
    _, response = of(response=text.encode())
    told = response["body"]
    assert text.startswith(told) and response["cut"] and response["size"] == len(text.encode())
    assert len(json.dumps(response)) <= MOST
    if text.isascii():
        assert len(told) == CAPTURED


@pytest.mark.parametrize("request_body, response_body", [
    ("é" * 8000, "é" * 8000), ('"' * CAPTURED, '"' * CAPTURED), ("\x01" * CAPTURED, "x"),
    ("x", "\x01" * CAPTURED)])
@pytest.mark.parametrize("value", [b'"', b"\xff", b"\x01"])
def test_a_row_always_fits_a_line(request_body, response_body, value):
    made = kept(request_body.encode(), response_body.encode(),
                fields=[(b"x", value * 1000)] * 70)
    made.response_head = b"HTTP/1.1 200 OK\r\n" + (b"x: " + value * 1000 + b"\r\n") * 70 + b"\r\n"
    request, response, size = messages(made, b"POST", 200, len(request_body.encode()),
                                       len(response_body.encode()))
    assert len(json.dumps(request)) + len(json.dumps(response)) <= size <= MOST
    assert request_body.startswith(request["body"])
    assert response_body.startswith(response["body"])


def test_binary_bodies_are_shortened_to_whole_bytes():
    data = bytes(range(128, 256)) * 200
    request, response, size = messages(kept(data, data), b"POST", 200, len(data), len(data))
    assert size <= MOST and request["cut"] and response["cut"]
    assert data.startswith(body_of(request)) and data.startswith(body_of(response))


def test_of_many_fields_the_first_are_told():
    request, _ = of(fields=[(b"n%d" % n, b"v" * 100) for n in range(500)])
    assert 0 < len(request["headers"]) < FIELDS / 100 and request["cut"]


def test_what_was_not_sent_has_no_size():
    made = kept()
    assert messages(made, b"HEAD", 200, 0, 500)[1]["size"] == 0
    request, response, _ = messages(made, b"GET", 101, 3000, 5000)
    assert (request["size"], response["size"]) == (0, 0)
    file = messages(made, b"GET", 200, 0, 10_000)[1]
    assert file["cut"] and "body" not in file and file["size"] == 10_000
