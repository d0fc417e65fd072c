"""Request heads: RFC 9112 sections 2, 3, 5 and 9; each row whole, cut everywhere, dripped."""

import random

import pytest

from tests.protocol.http1.http1_transcripts import (
    HOST,
    byte_by_byte,
    pull,
    transcript,
    transcript_however_cut,
)
from tremolo.protocol.http1 import NEED_DATA, HeaderCache, Limits, ProtocolError, RequestParser


def parse(raw, limits=None):
    parser = RequestParser(limits or Limits())
    parser.receive_data(raw)
    return parser.next_event()


def get(target, fields=HOST, method=b"GET", version=b"HTTP/1.1"):
    return b"%b %b %b\r\n%b\r\n" % (method, target, version, fields)


VALID = [
    ("plain", get(b"/"),
     {"path": b"/", "query": b"", "host": b"example.org", "keep_alive": True}),
    ("no body", get(b"/"), {"has_body": False, "content_length": None, "chunked": False}),
    ("query", get(b"/a%20b?x=1?2"), {"path": b"/a%20b", "query": b"x=1?2"}),
    ("empty query", get(b"/a?"), {"path": b"/a", "query": b"", "target": b"/a?"}),
    ("double slash", get(b"//evil/x"), {"path": b"//evil/x"}),
    ("browser characters", get(b'/a|b?q={"x"}^'), {"path": b"/a|b"}),
    ("unknown method", get(b"/", method=b"PURGE"), {"method": b"PURGE"}),
    ("lower-case method is another", get(b"/", method=b"get"), {"method": b"get"}),
    ("1.0", get(b"/", b"", version=b"HTTP/1.0"), {"version": b"1.0", "host": b"",
                                                  "keep_alive": False}),
    ("1.0 keep-alive", get(b"/", b"Connection: Keep-Alive\r\n", version=b"HTTP/1.0"),
     {"keep_alive": True}),
    ("1.0 other option", get(b"/", b"Connection: foo\r\n", version=b"HTTP/1.0"),
     {"keep_alive": False}),
    ("1.0 ignores upgrade", get(b"/", b"Connection: upgrade\r\nUpgrade: websocket\r\n",
                                version=b"HTTP/1.0"), {"upgrade": None}),
    ("1.0 ignores expect", get(b"/", b"Expect: x\r\n", version=b"HTTP/1.0"),
     {"expect_continue": False}),
    ("close", get(b"/", HOST + b"Connection: foo, CLOSE\r\n"), {"keep_alive": False}),
    ("close in a second field",
     get(b"/", HOST + b"Connection: keep-alive\r\nConnection: close\r\n"),
     {"keep_alive": False}),
    ("upgrade", get(b"/", HOST + b"Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"),
     {"upgrade": b"websocket", "keep_alive": True}),
    ("upgrade without the option", get(b"/", HOST + b"Upgrade: websocket\r\n"),
     {"upgrade": None}),
    ("names are lower-cased", get(b"/", HOST + b"X-YZ: Q\r\n"),
     {"headers": [(b"host", b"example.org"), (b"x-yz", b"Q")]}),
    ("values are stripped", get(b"/", b"Host:\t example.org \t\r\nx: \r\ny:\r\n"),
     {"headers": [(b"host", b"example.org"), (b"x", b""), (b"y", b"")]}),
    ("obs-text stays", get(b"/", HOST + b"x: \x85\xa0\xff\r\n"),
     {"headers": [(b"host", b"example.org"), (b"x", b"\x85\xa0\xff")]}),
    ("colon in a value", get(b"/", HOST + b"x: a:b\r\n"),
     {"headers": [(b"host", b"example.org"), (b"x", b"a:b")]}),
    ("repeated field", get(b"/", HOST + b"cookie: a\r\nCookie: b\r\n"),
     {"headers": [(b"host", b"example.org"), (b"cookie", b"a"), (b"cookie", b"b")]}),
    ("underscores never frame", get(b"/", HOST + b"Content_Length: 5\r\n"),
     {"has_body": False}),
    ("host with port", get(b"/", b"Host: a:80\r\n"), {"host": b"a:80"}),
    ("host is IPv6", get(b"/", b"Host: [::1]:8000\r\n"), {"host": b"[::1]:8000"}),
    ("absolute-form", get(b"http://other:81/p?q", HOST),
     {"path": b"/p", "query": b"q", "host": b"other:81", "headers": [(b"host", b"other:81")]}),
    ("absolute-form without path", get(b"HTTPS://other?q", HOST),
     {"path": b"/", "query": b"q", "host": b"other"}),
    ("options *", get(b"*", method=b"OPTIONS"), {"path": b"*", "query": b""}),
    ("options of an origin", get(b"http://o", method=b"OPTIONS"),
     {"path": b"*", "host": b"o"}),
    ("empty lines before", b"\r\n\r\n" + get(b"/"), {"path": b"/"}),
    ("content-length 0", get(b"/", HOST + b"Content-Length: 0\r\n"),
     {"has_body": False, "content_length": 0}),
    ("leading zeros", get(b"/", HOST + b"Content-Length: 0000000000000000\r\n"),
     {"content_length": 0}),
    ("expectation without body", get(b"/", HOST + b"Expect: 100-continue\r\n"),
     {"expect_continue": False}),
]  # fmt: skip


@pytest.mark.parametrize(
    "raw, facts", [row[1:] for row in VALID], ids=[row[0] for row in VALID]
)
def test_a_valid_head_says(raw, facts):
    head = parse(raw)
    for name, value in facts.items():
        assert getattr(head, name) == value, name
    result = transcript_however_cut(raw + raw)
    assert len(result) == 2
    assert result[0] == result[1]


def line(text):
    return text + b"\r\n" + HOST + b"\r\n"


INVALID = [
    ("http/0.9", line(b"GET /"), 400),
    ("http/0.9 spelt out", line(b"GET / HTTP/0.9"), 400),
    ("http/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ("http/1.2", line(b"GET / HTTP/1.2"), 505),
    ("lower-case protocol", line(b"GET / http/1.1"), 400),
    ("long version", line(b"GET / HTTP/1.10"), 400),
    ("space after the version", line(b"GET / HTTP/1.1 "), 400),
    ("two spaces", line(b"GET  / HTTP/1.1"), 400),
    ("tab as separator", line(b"GET\t/ HTTP/1.1"), 400),
    ("space in the target", line(b"GET /a b HTTP/1.1"), 400),
    ("no method", line(b" / HTTP/1.1"), 400),
    ("method is no token", line(b"G@T / HTTP/1.1"), 400),
    ("utf-8 target", line(b"GET /\xc3\xa9 HTTP/1.1"), 400),
    ("control character in the target", line(b"GET /\x7f HTTP/1.1"), 400),
    ("fragment", line(b"GET /#a HTTP/1.1"), 400),
    ("relative target", line(b"GET a/b HTTP/1.1"), 400),
    ("* with GET", line(b"GET * HTTP/1.1"), 400),
    ("authority-form with GET", line(b"GET example.org:80 HTTP/1.1"), 400),
    ("other scheme", line(b"GET ftp://example.org/ HTTP/1.1"), 400),
    ("absolute-form without authority", line(b"GET http:///x HTTP/1.1"), 400),
    ("userinfo", line(b"GET http://a@b/ HTTP/1.1"), 400),
    ("connect", line(b"CONNECT example.org:443 HTTP/1.1"), 501),
    ("connect to a path", line(b"CONNECT / HTTP/1.1"), 400),
    ("tls", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ("no host", get(b"/", b""), 400),
    ("two hosts", get(b"/", HOST + HOST), 400),
    ("two hosts, 1.0", get(b"/", HOST + HOST, version=b"HTTP/1.0"), 400),
    ("empty host", get(b"/", b"Host:\r\n"), 400),
    ("host with path", get(b"/", b"Host: a/b\r\n"), 400),
    ("host with userinfo", get(b"/", b"Host: a@b\r\n"), 400),
    ("host with question mark", get(b"/", b"Host: a?b\r\n"), 400),
    ("host with a bad port", get(b"/", b"Host: a:b\r\n"), 400),
    ("host with space", get(b"/", b"Host: a b\r\n"), 400),
    ("host, bad percent", get(b"/", b"Host: a%zz\r\n"), 400),
    ("bad host, 1.0", get(b"/", b"Host: a/b\r\n", version=b"HTTP/1.0"), 400),
    ("space before the colon", get(b"/", HOST + b"x : y\r\n"), 400),
    ("tab before the colon", get(b"/", HOST + b"x\t: y\r\n"), 400),
    ("empty name", get(b"/", HOST + b": y\r\n"), 400),
    ("no colon", get(b"/", HOST + b"xy\r\n"), 400),
    ("known name, no colon", get(b"/", HOST + b"cookie\r\n"), 400),
    ("name is no token", get(b"/", HOST + b"x(y): z\r\n"), 400),
    ("name in obs-text", get(b"/", HOST + b"\xe9: z\r\n"), 400),
    ("folded line", get(b"/", HOST + b"x: y\r\n z\r\n"), 400),
    ("folded line with a colon", get(b"/", HOST + b"x: y\r\n\tz: 1\r\n"), 400),
    ("folded first line", get(b"/", b" " + HOST), 400),
    ("nul in a value", get(b"/", HOST + b"x: a\0b\r\n"), 400),
    ("escape in a value", get(b"/", HOST + b"x: \x1b[0m\r\n"), 400),
    ("delete in a value", get(b"/", HOST + b"x: \x7f\r\n"), 400),
    ("vertical tab around a value", get(b"/", HOST + b"x: \x0by\x0c\r\n"), 400),
    ("bare lf in a value", get(b"/", HOST + b"x: a\nb: c\r\n"), 400),
    ("bare cr in a value", get(b"/", HOST + b"x: a\rb: c\r\n"), 400),
    ("cr and lf apart", get(b"/", HOST + b"x: a\rb\nc\r\n"), 400),
    ("bare cr and nul", get(b"/", HOST + b"x: a\rb\0c\r\n"), 400),
    ("cr cr lf", get(b"/", HOST + b"x: a\r\r\n"), 400),
    ("lf line ends", b"GET / HTTP/1.1\nHost: a\n\n", 400),
    ("lf after the request line", b"GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
    ("lf as the empty line", b"GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
    ("lf before", b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("cr before", b"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("cr before, after an empty line", b"\r\n\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("too many empty lines", b"\r\n" * 5 + get(b"/"), 400),
    ("two lengths", get(b"/", HOST + b"Content-Length: 1\r\ncontent-length: 1\r\n"), 400),
    ("list of lengths", get(b"/", HOST + b"Content-Length: 1, 1\r\n"), 400),
    ("empty length", get(b"/", HOST + b"Content-Length:\r\n"), 400),
    ("signed length", get(b"/", HOST + b"Content-Length: +1\r\n"), 400),
    ("negative length", get(b"/", HOST + b"Content-Length: -1\r\n"), 400),
    ("length with underscore", get(b"/", HOST + b"Content-Length: 1_0\r\n"), 400),
    ("hexadecimal length", get(b"/", HOST + b"Content-Length: 0x1\r\n"), 400),
    ("superscript length", get(b"/", HOST + b"Content-Length: \xb2\r\n"), 400),
    ("17 digits", get(b"/", HOST + b"Content-Length: 00000000000000001\r\n"), 400),
    ("both framings",
     get(b"/", HOST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"), 400),
    ("chunked, 1.0",
     get(b"/", HOST + b"Transfer-Encoding: chunked\r\n", version=b"HTTP/1.0"), 400),
    ("two codings", get(b"/", HOST + b"Transfer-Encoding: gzip, chunked\r\n"), 501),
    ("chunked twice", get(b"/", HOST + b"Transfer-Encoding: chunked, chunked\r\n"), 400),
    ("chunked in two fields", get(b"/", HOST + b"Transfer-Encoding: chunked\r\n" * 2), 400),
    ("chunked not last", get(b"/", HOST + b"Transfer-Encoding: chunked, gzip\r\n"), 400),
    ("codings in two fields",
     get(b"/", HOST + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"), 501),
    ("codings in two fields, chunked not last",
     get(b"/", HOST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n"), 400),
    ("chunked and an empty field",
     get(b"/", HOST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n"), 400),
    ("codings in two fields and a length",
     get(b"/", HOST + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"
         b"Content-Length: 1\r\n"), 400),
    ("two content types",
     get(b"/", HOST + b"Content-Type: a/b\r\nContent-Type: c/d\r\n"), 400),
    ("the same content type twice", get(b"/", HOST + b"Content-Type: a/b\r\n" * 2), 400),
    ("identity", get(b"/", HOST + b"Transfer-Encoding: identity\r\n"), 400),
    ("empty coding", get(b"/", HOST + b"Transfer-Encoding:\r\n"), 400),
    ("chunked with a parameter", get(b"/", HOST + b"Transfer-Encoding: chunked;q=1\r\n"), 400),
    ("chunked after nel", get(b"/", HOST + b"Transfer-Encoding: \x85chunked\r\n"), 400),
    ("list of chunked", get(b"/", HOST + b"Transfer-Encoding: ,chunked\r\n"), 400),
    ("unknown expectation", get(b"/", HOST + b"Expect: 200-ok\r\n"), 417),
]  # fmt: skip


@pytest.mark.parametrize(
    "raw, status", [row[1:] for row in INVALID], ids=[row[0] for row in INVALID]
)
def test_an_invalid_head_is_refused_and_nothing_after_it_is_parsed(raw, status):
    result = transcript_however_cut(raw + get(b"/hidden"))
    assert [event[:2] for event in result] == [("fault", status)]
    after_a_good_one = transcript_however_cut(get(b"/good") + raw)
    assert [event[0] for event in after_a_good_one] == ["head", "fault"]
    assert after_a_good_one[1] == result[0]


@pytest.mark.parametrize("raw", [
    b"GET / HTTP/1.1\nHost: a\n", b"GET / HTTP/1.1\r\nHost: a\rX", b"\x16\x03\x01",
    b"\n", b"\rX",
])
def test_what_can_never_become_a_head_is_refused_before_it_is_complete(raw):  # fmt: skip
    assert transcript([raw])[0][:2] == ("fault", 400)


def test_a_fault_is_raised_by_each_later_call():
    parser = RequestParser(Limits())
    parser.receive_data(get(b"/", b""))
    for _ in range(3):
        with pytest.raises(ProtocolError, match="400: bad request: no Host"):
            parser.next_event()
        parser.receive_data(get(b"/"))
        assert parser.buffered == 0


def test_requests_in_one_read_wait_for_the_next_cycle():
    parser = RequestParser(Limits())
    parser.receive_data(get(b"/1") + get(b"/2"))
    assert parser.next_event().path == b"/1"
    assert parser.next_event() is NEED_DATA
    assert parser.buffered == len(get(b"/2"))
    parser.next_cycle()
    assert parser.next_event().path == b"/2"
    parser.next_cycle()
    assert parser.next_event() is NEED_DATA


def test_a_cycle_cannot_be_skipped():
    parser = RequestParser(Limits())
    with pytest.raises(RuntimeError):
        parser.next_cycle()


def test_in_head_is_true_between_the_first_and_the_last_byte_of_a_head():
    parser = RequestParser(Limits())
    assert not parser.in_head
    parser.receive_data(b"\r\n\r")
    parser.next_event()
    assert not parser.in_head
    parser.receive_data(b"\nG")
    parser.next_event()
    assert parser.in_head
    parser.receive_data(get(b"/")[1:])
    parser.next_event()
    assert not parser.in_head


def test_an_end_between_requests_is_quiet_and_one_within_a_head_is_a_fault():
    assert [event[0] for event in transcript([get(b"/")], eof=True)] == ["head"]
    assert transcript([b"GET /"], eof=True)[0][:2] == ("fault", 400)


def test_take_buffered_gives_all_that_was_not_parsed():
    parser = RequestParser(Limits())
    parser.receive_data(get(b"/") + b"abc")
    parser.next_event()
    parser.receive_data(b"def")
    assert parser.take_buffered() == b"abcdef"
    assert parser.buffered == 0
    assert parser.next_event() is NEED_DATA


def test_repeated_header_sections_give_equal_heads_with_lists_of_their_own():
    cache = HeaderCache()
    parser = RequestParser(Limits(), cache)
    other = get(b"/", HOST + b"x: y\r\n")
    heads = []
    for raw in (get(b"/a"), get(b"/b"), other, get(b"/a")):
        parser.receive_data(raw)
        heads.append(parser.next_event())
        heads[-1].headers.append((b"mine", b""))
        parser.next_cycle()
    assert [head.path for head in heads] == [b"/a", b"/b", b"/", b"/a"]
    assert heads[0].headers == heads[1].headers == heads[3].headers
    assert heads[0].headers == [(b"host", b"example.org"), (b"mine", b"")]
    assert len(cache) == 2


REPEATED = [
    get(b"/"), get(b"/a?b=c"), get(b"/", HOST + b"x: y\r\n"), get(b"/", version=b"HTTP/1.0"),
    b"\r\n" + get(b"/"), get(b"http://other.org/"), get(b"*", method=b"OPTIONS"),
    get(b"/", HOST + b"x: " + b"y" * 5000 + b"\r\n"),
    get(b"/", HOST + b"Content-Length: 3\r\n", b"POST"), b"abc",
    get(b"/", HOST + b"Transfer-Encoding: chunked\r\n", b"POST"), b"3\r\nabc\r\n0\r\n\r\n",
    get(b"/", method=b"G,T"),
]


@pytest.mark.parametrize("seed", range(3))
def test_what_a_head_says_does_not_depend_on_those_before_it(seed):
    chance = random.Random(seed)
    for _ in range(50):
        pieces = []
        for raw in chance.choices(chance.sample(REPEATED, 3), k=chance.randrange(2, 7)):
            at = chance.choice((0, 0, 0, chance.randrange(len(raw))))
            pieces += [piece for piece in (raw[:at], raw[at:]) if piece]
        parser, remembering = RequestParser(Limits()), RequestParser(Limits())
        pull_each(remembering, [get(b"/")] * 3, [])
        known, fresh = [], []
        pull_each(remembering, pieces, known)
        for cut in byte_by_byte(b"".join(pieces)):  # never a head as a whole
            parser.receive_data(cut)
            if not pull(parser, fresh):
                break
        assert known == fresh


def pull_each(parser, pieces, result):
    for piece in pieces:
        parser.receive_data(piece)
        if not pull(parser, result):
            return


def test_a_known_header_section_does_not_excuse_the_request_line():
    limits = Limits(request_line=100)
    for bad, status in (
        (get(b"/" + b"a" * 100), 414), (get(b"/", method=b"G\x00T"), 400), (get(b"/#"), 400),
        (get(b"/\r\nx:"), 400), (get(b"*"), 400), (get(b""), 400),
        (get(b"/", method=b""), 400),
        (b"GET\r\n" + get(b"/"), 400),
    ):  # fmt: skip
        result = transcript_however_cut(get(b"/") + bad, limits)
        assert [event[:2] for event in result[1:]] == [("fault", status)]
        assert transcript([bad], limits) == result[1:]


def test_the_cache_is_bounded_in_entries_and_bytes():
    cache = HeaderCache(max_entries=3, max_bytes=200)
    parser = RequestParser(Limits(), cache)
    for number in range(50):
        parser.receive_data(get(b"/", HOST + b"x: %b\r\n" % (b"y" * (number * 7 % 90))))
        parser.next_event()
        parser.next_cycle()
        assert len(cache) <= 3
        assert cache.bytes_kept <= 200
    assert len(cache) > 0


def test_header_gives_the_first_value():
    head = parse(get(b"/", HOST + b"a: 1\r\na: 2\r\n"))
    assert head.header(b"a") == b"1"
    assert head.header(b"b") is None
