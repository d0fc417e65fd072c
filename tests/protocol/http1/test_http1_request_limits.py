"""Limits of the request head, and that work and memory grow with the input and no faster."""

import sys

import pytest

from tests.protocol.http1.http1_transcripts import (
    byte_by_byte,
    pull,
    transcript,
    transcript_however_cut,
)
from tremolo.protocol.http1 import Limits, RequestParser

LIMITS = Limits(request_line=60, header_section=120, fields=4)


def request(target=b"/", fields=b""):
    return b"GET %b HTTP/1.1\r\nHost:a\r\n%b\r\n" % (target, fields)


LINE_ROOM = 60 - len(b"GET / HTTP/1.1")
SECTION_ROOM = 120 - len(b"Host:a\r\n")

ROWS = [
    ("line at the limit", request(b"/" + b"a" * LINE_ROOM), None),
    ("line over the limit", request(b"/" + b"a" * (LINE_ROOM + 1)), 414),
    ("endless line", b"GET /" + b"a" * 500, 414),
    ("line over the limit, bare lf later", b"GET /" + b"a" * 60 + b"\n" + request(), 414),
    ("bare lf, then over the limit", b"GET /\n" + b"a" * 500, 400),
    ("bare cr as the line passes the limit", b"G" * 60 + b"\rX" + request(), 400),
    ("bare lf as the line passes the limit", b"G" * 61 + b"\n" + request(), 400),
    ("bare lf after the line passed the limit", b"G" * 62 + b"\n" + request(), 501),
    ("endless method", b"G" * 500, 501),
    ("method over the limit", b"G" * 100 + b" / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    ("method over the limit, not a token", b"G" * 30 + b"/" * 500, 414),
    ("line over the limit and nul", request(b"/\0" + b"a" * LINE_ROOM), 414),
    ("section at the limit",
     request(fields=b"x:" + b"y" * (SECTION_ROOM - 4) + b"\r\n"), None),
    ("section over the limit",
     request(fields=b"x:" + b"y" * (SECTION_ROOM - 3) + b"\r\n"), 431),
    ("endless section", request(fields=b"x:" + b"y" * 500), 431),
    ("endless section, bare lf in it", request(fields=b"x:\n" + b"y" * 500), 400),
    ("endless section, nul in it", request(fields=b"x:\0" + b"y" * 500), 431),
    ("both over", request(b"/" + b"a" * 500, b"x:" + b"y" * 500), 414),
    ("both at the limit", request(b"/" + b"a" * LINE_ROOM,
                                  b"x:" + b"y" * (SECTION_ROOM - 4) + b"\r\n"), None),
    ("fields at the limit", request(fields=b"a:b\r\n" * 3), None),
    ("fields over the limit", request(fields=b"a:b\r\n" * 4), 431),
]  # fmt: skip


@pytest.mark.parametrize(
    "raw, status", [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_a_head_is_bounded(raw, status):
    first = transcript_however_cut(raw, LIMITS)[0]
    if status is None:
        assert first[0] == "head"
    else:
        assert first[:2] == ("fault", status)


def test_the_defaults_are_those_of_the_documentation():
    def outcome(*arguments, **fields):
        event = transcript([request(*arguments, **fields)])[0]
        return event[1] if event[0] == "fault" else event[0]

    assert outcome(b"/" + b"a" * (8192 - len(b"GET / HTTP/1.1"))) == "head"
    assert outcome(b"/" + b"a" * (8193 - len(b"GET / HTTP/1.1"))) == 414
    room = 32768 - len(b"Host:a\r\na:\r\n")
    assert outcome(fields=b"a:" + b"b" * room + b"\r\n") == "head"
    assert outcome(fields=b"a:" + b"b" * (room + 1) + b"\r\n") == 431
    assert outcome(fields=b"a:b\r\n" * 99) == "head"
    assert outcome(fields=b"a:b\r\n" * 100) == 431


def test_no_more_of_a_head_is_stored_than_the_limits_allow():
    parser = RequestParser(LIMITS)
    most = 0
    result = []
    for piece in byte_by_byte(request(fields=b"x:" + b"y" * 5000)):
        parser.receive_data(piece)
        if not pull(parser, result):
            break
        most = max(most, parser.buffered)
    assert result[0][:2] == ("fault", 431)
    assert most <= 60 + 120 + 4


def test_reads_that_wait_are_merged():
    parser = RequestParser(Limits())
    parser.receive_data(request())
    parser.next_event()
    for piece in byte_by_byte(b"x" * 20000):
        parser.receive_data(piece)
    assert parser.buffered == 20000
    assert len(parser._waiting) <= 6


def calls(action):
    """Function calls, Python's and C's, that `action` costs."""
    count = 0

    def profile(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        action()
    finally:
        sys.setprofile(None)
    return count


def post(size, chunk=0):
    if not chunk:
        return b"POST / HTTP/1.1\r\nHost:a\r\nContent-Length:%d\r\n\r\n" % size + b"x" * size
    head = b"POST / HTTP/1.1\r\nHost:a\r\nTransfer-Encoding:chunked\r\n\r\n"
    return head + (b"%x\r\n%b\r\n" % (chunk, b"x" * chunk)) * (size // chunk) + b"0\r\n\r\n"


GROWING = [
    ("head", lambda n: request(fields=b"x:" + b"y" * n + b"\r\n")),
    ("many fields", lambda n: request(fields=b"a:b\r\n" * (n // 5))),
    ("sized body", post),
    ("tiny chunks", lambda n: post(n, 1)),
    ("one chunk", lambda n: post(n, n)),
    ("chunks with extensions", lambda n: post(n, 16).replace(b"\r\n" + b"x" * 16,
                                                             b";a=b;c\r\n" + b"x" * 16)),
    ("trailers", lambda n: post(1, 1)[:-2] + b"x:" + b"y" * n + b"\r\n\r\n"),
    ("pipelined", lambda n: request() * (n // 10)),
]


@pytest.mark.parametrize("cut", [byte_by_byte, lambda raw: [raw]], ids=["dripped", "whole"])
@pytest.mark.parametrize("make", [row[1] for row in GROWING], ids=[row[0] for row in GROWING])
def test_twice_the_input_costs_at_most_twice_the_calls(make, cut):
    limits = Limits(header_section=100000, fields=100000)
    costs = []
    for size in (2000, 4000):
        pieces = cut(make(size))
        costs.append(calls(lambda pieces=pieces: transcript(pieces, limits)))
    assert costs[1] <= 2.1 * costs[0] + 50


def test_a_dripped_head_is_looked_at_a_bounded_number_of_times():
    """The bytes that searches may pass over, counted: each only again by what overlaps."""
    looked_at = 0

    class Counting(bytearray):
        def find(self, what, start=0, *end):
            nonlocal looked_at
            looked_at += len(self) - start
            return super().find(what, start, *end)

    parser = RequestParser(Limits())
    parser._section.buffer = Counting()
    pieces = byte_by_byte(request(fields=b"x:" + b"y" * 30000 + b"\r\n"))
    result = []
    for piece in pieces:
        parser.receive_data(piece)
        pull(parser, result)
    assert result[0][0] == "head"
    assert looked_at < 8 * len(pieces)


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="counts CPython's calls")
def test_a_repeated_request_costs_at_most_25_calls():
    parser = RequestParser(Limits())
    raw = request(b"/a?b", b"".join(b"x-%d: y\r\n" % number for number in range(15)))

    def once():
        parser.receive_data(raw)
        parser.next_event()
        parser.next_cycle()

    once()
    assert calls(once) <= 25
