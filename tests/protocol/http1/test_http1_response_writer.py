"""Responses: RFC 9112 sections 4, 6, 7 and 9; RFC 9110 sections 6.4, 8.6 and 15."""

import sys

import pytest

from tremolo.protocol.http1 import ExcessBody, ResponseError, ResponseWriter, ShortBody

DATE = b"date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
PREFACE = DATE + b"server: tremolo\r\n"


def write(headers=(), body=(b"hello",), *, method=b"GET", version=b"1.1", keep_alive=True,
          status=200, trailers=(), **options):  # fmt: skip
    """The writer after one whole response, its head's lines, and what followed the head."""
    writer = ResponseWriter(method, version, keep_alive)
    head = writer.head(status, headers, **options)
    rest = b"".join([writer.body(piece) for piece in body]) + writer.end(trailers)
    lines = head.split(b"\r\n")
    assert lines[-2:] == [b"", b""]
    return writer, lines[:-2], rest


LENGTH_5 = [(b"Content-Length", b"5")]
CHUNKED_HELLO = b"5\r\nhello\r\n0\r\n\r\n"

FRAMING = [
    # id, arguments, framing lines, rest, keep_alive
    ("promised by a field", {"headers": LENGTH_5}, [b"content-length: 5"], b"hello", True),
    ("known length", {"length": 5}, [b"content-length: 5"], b"hello", True),
    ("known to be empty", {"length": 0, "body": ()}, [b"content-length: 0"], b"", True),
    ("unknown", {}, [b"transfer-encoding: chunked"], CHUNKED_HELLO, True),
    ("unknown, empty", {"body": (b"",)}, [b"transfer-encoding: chunked"], b"0\r\n\r\n", True),
    ("unknown, 1.0", {"version": b"1.0"}, [b"connection: close"], b"hello", False),
    ("known, 1.0", {"version": b"1.0", "length": 5},
     [b"content-length: 5", b"connection: keep-alive"], b"hello", True),
    ("known, 1.0, close", {"version": b"1.0", "length": 5, "keep_alive": False},
     [b"content-length: 5", b"connection: close"], b"hello", False),
    ("chunked by a field", {"headers": [(b"Transfer-Encoding", b"Chunked")], "length": 5},
     [b"transfer-encoding: chunked"], CHUNKED_HELLO, True),
    ("chunked by a field, 1.0", {"headers": [(b"transfer-encoding", b"chunked")],
                                 "version": b"1.0"}, [b"connection: close"], b"hello", False),
    ("chunked and a length", {"headers": [(b"transfer-encoding", b"chunked"), *LENGTH_5]},
     [b"content-length: 5"], b"hello", True),
    ("other coding is dropped", {"headers": [(b"transfer-encoding", b"gzip, chunked")]},
     [b"transfer-encoding: chunked"], CHUNKED_HELLO, True),
    ("close by a field", {"headers": [(b"Connection", b"Close")], "length": 5},
     [b"content-length: 5", b"connection: close"], b"hello", False),
    ("keep-alive by a field cannot be kept", {"headers": [(b"connection", b"keep-alive")],
     "length": 5, "keep_alive": False}, [b"content-length: 5", b"connection: close"],
     b"hello", False),
    ("keep-alive by a field goes without saying", {"headers": [(b"connection", b"keep-alive")],
     "length": 5}, [b"content-length: 5"], b"hello", True),
    ("other options stay", {"headers": [(b"connection", b"x, close")], "length": 5},
     [b"content-length: 5", b"connection: x, close"], b"hello", False),
    ("204", {"status": 204, "headers": LENGTH_5}, [], b"", True),
    ("204, known length", {"status": 204, "length": 0, "body": ()}, [], b"", True),
    ("205", {"status": 205}, [b"content-length: 0"], b"", True),
    ("304", {"status": 304}, [], b"", True),
    ("304 may say what 200 would", {"status": 304, "headers": LENGTH_5},
     [b"content-length: 5"], b"", True),
    ("304, empty", {"status": 304, "length": 0, "body": ()}, [], b"", True),
    ("head", {"method": b"HEAD"}, [], b"", True),
    ("head, promised", {"method": b"HEAD", "headers": LENGTH_5, "body": ()},
     [b"content-length: 5"], b"", True),
    ("head, known", {"method": b"HEAD", "length": 5}, [b"content-length: 5"], b"", True),
    ("head, known to be empty", {"method": b"HEAD", "length": 0, "body": ()}, [], b"", True),
    ("head, 1.0", {"method": b"HEAD", "version": b"1.0"},
     [b"connection: keep-alive"], b"", True),
    ("101", {"status": 101, "headers": [(b"Connection", b"Upgrade")]},
     [b"connection: upgrade"], b"", True),
]  # fmt: skip


@pytest.mark.parametrize(
    "arguments, framing, rest, keep_alive", [row[1:] for row in FRAMING],
    ids=[row[0] for row in FRAMING],
)  # fmt: skip
def test_framing(arguments, framing, rest, keep_alive):
    for _ in range(2):  # the second time from memory
        writer, lines, written = write(**arguments)
        assert lines[1:] == framing
        assert written == rest
        assert writer.keep_alive is keep_alive
        assert writer.body_allowed == (arguments.get("method") != b"HEAD"
                                       and arguments.get("status", 200) == 200)  # fmt: skip
        assert writer.chunked == (b"transfer-encoding: chunked" in framing)


def test_fields_follow_the_preface_as_given():
    headers = [(b"X-One", b"1"), [b"x-two", b" caf\xe9"], (b"set-cookie", b"a"),
               (b"set-cookie", b"b")]  # fmt: skip
    _, lines, _ = write(headers, preface=PREFACE, length=5)
    assert lines == [
        b"HTTP/1.1 200 OK", DATE[:-2], b"server: tremolo", b"X-One: 1", b"x-two:  caf\xe9",
        b"set-cookie: a", b"set-cookie: b", b"content-length: 5",
    ]  # fmt: skip


def test_fields_may_come_from_an_iterator():
    for pair in ((b"a", b"b"), [b"a", b"b"]):
        assert write(iter([pair]))[1][1] == b"a: b"


def test_a_field_takes_the_place_of_the_prefaces():
    date = [DATE[:-2]]
    for preface, left in ((PREFACE, date), (b"server: x\r\n", []), (PREFACE, date)):
        _, lines, _ = write([(b"Server", b"mine")], preface=preface, length=5)
        assert lines[1:-1] == [*left, b"Server: mine"]


def test_status_lines():
    assert write(status=404)[1][0] == b"HTTP/1.1 404 Not Found"
    assert write(status=299)[1][0] == b"HTTP/1.1 299 "
    assert write(status=200, reason=b"Fine caf\xe9")[1][0] == b"HTTP/1.1 200 Fine caf\xe9"


UNSENDABLE = [
    ("lf in a value", {"headers": [(b"a", b"b\nc: d")]}),
    ("cr in a value", {"headers": [(b"a", b"b\rc")]}),
    ("nul in a value", {"headers": [(b"a", b"\0")]}),
    ("delete in a value", {"headers": [(b"a", b"\x7f")]}),
    ("crlf in a name", {"headers": [(b"a\r\nb", b"c")]}),
    ("colon in a name", {"headers": [(b"a:", b"c")]}),
    ("space in a name", {"headers": [(b"a ", b"c")]}),
    ("empty name", {"headers": [(b"", b"c")]}),
    ("text", {"headers": [("a", "b")]}),
    ("text value", {"headers": [(b"a", "b")]}),
    ("bytearray", {"headers": [(b"a", bytearray(b"b"))]}),
    ("number", {"headers": [(b"content-length", 5)]}),
    ("no pair", {"headers": [(b"a",)]}),
    ("three", {"headers": [(b"a", b"b", b"c")]}),
    ("two lengths", {"headers": LENGTH_5 * 2}),
    ("two lengths, differently spelt", {"headers": [(b"content-length", b"5"), *LENGTH_5]}),
    ("bad length", {"headers": [(b"content-length", b"+5")]}),
    ("empty length", {"headers": [(b"content-length", b"")]}),
    ("connection with lf", {"headers": [(b"connection", b"close\n")]}),
    ("length with lf", {"headers": [(b"content-length", b"5\n")]}),
    ("coding with lf", {"headers": [(b"transfer-encoding", b"chunked\n")]}),
    ("negative length", {"length": -1}),
    ("lf in the reason", {"reason": b"a\nb"}),
    ("cr in the reason", {"reason": b"a\rb"}),
    ("text as reason", {"reason": "fine"}),
    ("status 0", {"status": 0}),
    ("interim status", {"status": 100}),
    ("early hints", {"status": 103}),
    ("status 1000", {"status": 1000}),
]


@pytest.mark.parametrize(
    "arguments", [row[1] for row in UNSENDABLE], ids=[row[0] for row in UNSENDABLE]
)
def test_what_may_not_be_sent_is_refused_and_another_head_can_be_made(arguments):
    writer = ResponseWriter(b"GET", b"1.1", True)
    for _ in range(2):
        with pytest.raises(ValueError):
            writer.head(**{"status": 200, "headers": [], **arguments})
    assert writer.head(500, [], length=0).startswith(b"HTTP/1.1 500 ")
    assert writer.keep_alive


def test_more_than_promised_is_cut():
    for version in (b"1.1", b"1.0"):
        writer = ResponseWriter(b"GET", version, True)
        writer.head(200, LENGTH_5)
        assert writer.body(b"hel") == b"hel"
        with pytest.raises(ExcessBody) as raised:
            writer.body(b"lo, world")
        assert raised.value.allowed == b"lo"
        assert writer.body_bytes == 5
        with pytest.raises(ExcessBody) as raised:
            writer.body(b"!")
        assert raised.value.allowed == b""
        assert writer.end() == b""
        assert writer.keep_alive


def test_less_than_promised_ends_the_connection():
    writer = ResponseWriter(b"GET", b"1.1", True)
    writer.head(200, LENGTH_5)
    writer.body(b"hell")
    with pytest.raises(ShortBody, match="after 4 of the 5 bytes"):
        writer.end()
    assert not writer.keep_alive


def test_a_response_without_body_counts_what_is_not_sent():
    writer = ResponseWriter(b"HEAD", b"1.1", True)
    writer.head(200, LENGTH_5)
    assert writer.body(b"longer than promised") == b""
    assert writer.body_bytes == 20
    assert writer.end() == b""
    assert writer.keep_alive


def test_empty_pieces_do_not_end_a_chunked_response():
    assert write(body=(b"", b"a", b"", b"b"))[2] == b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n"


def test_trailers_end_a_chunked_response():
    assert write(trailers=[(b"A", b"1"), (b"b", b"")])[2] == (
        b"5\r\nhello\r\n0\r\nA: 1\r\nb: \r\n\r\n"
    )


def test_trailers_are_left_out_where_nothing_can_carry_them():
    assert write(length=5, trailers=[(b"a", b"1")])[2] == b"hello"
    assert write(method=b"HEAD", trailers=[(b"a", b"1")])[2] == b""


@pytest.mark.parametrize("field", [
    (b"Content-Length", b"1"), (b"transfer-encoding", b"chunked"), (b"host", b"a"),
    (b"connection", b"close"), (b"set-cookie", b"a"), (b"content-type", b"a"),
    (b"a b", b"c"), (b"a", b"b\r\nc: d"), ("a", "b"), (b"a", "b"),
])  # fmt: skip
def test_a_trailer_that_frames_routes_or_splits_is_refused(field):
    for length in (None, 0):
        writer = ResponseWriter(b"GET", b"1.1", True)
        writer.head(200, [], length=length)
        with pytest.raises(ValueError):
            writer.end([field])
        assert writer.end() in (b"", b"0\r\n\r\n")


def test_calls_out_of_order_are_refused():
    writer = ResponseWriter(b"GET", b"1.1", True)
    with pytest.raises(ResponseError):
        writer.body(b"a")
    with pytest.raises(ResponseError):
        writer.end()
    writer.head(200, [])
    with pytest.raises(ResponseError):
        writer.head(200, [])
    writer.end()
    for again in (lambda: writer.body(b"a"), writer.end, lambda: writer.head(200, [])):
        with pytest.raises(ResponseError):
            again()


def test_interim_responses():
    assert ResponseWriter.informational(100, []) == b"HTTP/1.1 100 Continue\r\n\r\n"
    fields = [(b"Link", b"</a.css>"), (b"content-length", b"1")]
    hints = ResponseWriter.informational(103, fields)
    assert hints.startswith(b"HTTP/1.1 103 ")
    assert hints.endswith(b"\r\nLink: </a.css>\r\n\r\n")
    for status in (101, 99, 200):
        with pytest.raises(ValueError):
            ResponseWriter.informational(status, [])
    with pytest.raises(ValueError):
        ResponseWriter.informational(103, [(b"Link", b"a\nb")])


def test_the_memory_for_fields_is_bounded_and_changes_nothing():
    from tremolo.protocol.http1 import writer as module

    for number in range(2000):
        value = b"%d" % number * 20
        headers = [(b"x", value), (b"content-length", b"%d" % number)]
        head = ResponseWriter(b"GET", b"1.1", True).head(200, headers)
        fields = b"x: %b\r\ncontent-length: %d\r\n" % (value, number)
        assert head == b"HTTP/1.1 200 OK\r\n%b\r\n" % fields
        assert len(module._known) <= module._MAX_KNOWN
        assert len(module._known_blocks) <= module._MAX_KNOWN


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="counts CPython's calls")
def test_a_repeated_response_costs_at_most_15_calls():
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"5")]

    def once():
        writer = ResponseWriter(b"GET", b"1.1", True)
        head = writer.head(200, headers, preface=PREFACE)
        return head + writer.body(b"hello") + writer.end()

    once()
    count = 0

    def profile(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    once()
    sys.setprofile(None)
    assert count <= 15
