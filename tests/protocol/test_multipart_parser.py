"""multipart/form-data by RFC 7578 and RFC 2046: whole, cut anywhere, mutated, limited."""

import random
import sys

import pytest

from tremolo.protocol.multipart import (
    END,
    NEED_DATA,
    PART_END,
    MultipartError,
    MultipartLimits,
    MultipartParser,
    PartBegin,
    parse_boundary,
)

BOUNDARY = b"XyZ"
FILE = b'Content-Disposition: form-data; name="f"; filename="a.bin"\r\n'


def field(name=b"a", data=b"1", extra=b""):
    head = b'--XyZ\r\nContent-Disposition: form-data; name="' + name + b'"\r\n'
    return head + extra + b"\r\n" + data + b"\r\n"


CLOSE = b"--XyZ--\r\n"


def feed(segments, limits=None, boundary=BOUNDARY):
    """All events of a body given in segments; the data of a part is joined."""
    parser = MultipartParser(boundary, limits)
    events = []
    for segment in [*segments, None]:
        if segment is None:
            parser.receive_eof()
        else:
            parser.receive_data(segment)
        while True:
            event = parser.next_event()
            if event is NEED_DATA or event is END:
                break
            if isinstance(event, bytes):
                assert event, "a piece of data is never empty"
                if isinstance(events[-1], bytes):
                    event = events.pop() + event
            events.append(event)
    assert event is END
    return events


def parse(segments, limits=None, boundary=BOUNDARY):
    """(name, file name, content type, data) of each part, or the (status, reason) raised."""
    try:
        events = feed(segments, limits, boundary)
    except MultipartError as error:
        return error.status, error.reason
    parts = []
    for event in events:
        if isinstance(event, PartBegin):
            begin, data = event, b""
        elif event is PART_END:
            parts.append((begin.name, begin.filename, begin.content_type, data))
        else:
            data = event
    return parts


def two_segments(body):
    return [[body[:cut], body[cut:]] for cut in range(len(body) + 1)]


def bytewise(body):
    return [body[i : i + 1] for i in range(len(body))]


#: boundaries at the beginnings of lines that go on otherwise than a delimiter
BEGUN = b"\r\n--XyZW\r\n--XyZ-\r\n--XyZ -\r\n--XyZ\n\r\n--XyZ\r\r\n--XyZ" + b" " * 129 + b"\r\n!"

VALID = {
    "one field": (field() + CLOSE, [("a", None, None, b"1")]),
    "no part at all": (CLOSE, []),
    "no line end after the final boundary": (field() + b"--XyZ--", [("a", None, None, b"1")]),
    "an empty field": (field(data=b"") + CLOSE, [("a", None, None, b"")]),
    "two fields of one name": (
        field() + field(data=b"2") + CLOSE,
        [("a", None, None, b"1"), ("a", None, None, b"2")],
    ),
    "a file": (
        b"--XyZ\r\n" + FILE + b"Content-Type: image/png\r\n\r\n\x89PNG\r\n\x1a\n\r\n" + CLOSE,
        [("f", "a.bin", "image/png", b"\x89PNG\r\n\x1a\n")],
    ),
    "no file chosen": (
        b'--XyZ\r\nContent-Disposition: form-data; name="f"; filename=""\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n\r\n" + CLOSE,
        [("f", "", "application/octet-stream", b"")],
    ),
    "data that almost is a delimiter": (
        field(data=b"\r\r\n\r\n-\r\n--\r\n--X\r\n--Xy\n--XyZ\r--XyZ --XyZ-- \r\n--XyY")
        + CLOSE,
        [
            (
                "a",
                None,
                None,
                b"\r\r\n\r\n-\r\n--\r\n--X\r\n--Xy\n--XyZ\r--XyZ --XyZ-- \r\n--XyY",
            )
        ],
    ),
    "data that begins as a delimiter": (
        field(data=BEGUN) + CLOSE, [("a", None, None, BEGUN)]),
    "data that begins as a delimiter in the place of the headers' end": (
        field(data=b"--XyZW\r\n1") + CLOSE, [("a", None, None, b"--XyZW\r\n1")]),
    "a preamble with a line that begins as a delimiter": (
        b"hi\r\n--XyZW\r\n" + field() + CLOSE, [("a", None, None, b"1")]),
    "data that ends in CR": (field(data=b"x\r") + CLOSE, [("a", None, None, b"x\r")]),
    "data that ends in CRLF": (field(data=b"\r\n") + CLOSE, [("a", None, None, b"\r\n")]),
    "data of all octets": (
        field(data=bytes(range(256))) + CLOSE,
        [("a", None, None, bytes(range(256)))],
    ),
    "a preamble": (b"This is\r\n--X\r\n" + field() + CLOSE, [("a", None, None, b"1")]),
    "a leading line end": (b"\r\n" + field() + CLOSE, [("a", None, None, b"1")]),
    "an epilogue": (
        field() + CLOSE + b"bye\r\n--XyZ\r\nnot a part",
        [("a", None, None, b"1")],
    ),
    "transport padding": (
        b'--XyZ \t \r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--XyZ-- \r\n',
        [("a", None, None, b"1")],
    ),
    "a part without a body": (
        b'--XyZ\r\nContent-Disposition: form-data; name="a"\r\n\r\n--XyZ--\r\n',
        [("a", None, None, b"")],
    ),
    "names in any case": (
        b"--XyZ\r\nCONTENT-DISPOSITION:FORM-DATA;NAME=a\r\ncontent-TYPE:\ttext/x \r\n\r\n1\r\n"
        + CLOSE,
        [("a", None, "text/x", b"1")],
    ),
    "other fields": (
        field(extra=b"Content-Transfer-Encoding: binary\r\nX-Empty:\r\n") + CLOSE,
        [("a", None, None, b"1")],
    ),
    "a name in UTF-8": (field("größe".encode()) + CLOSE, [("größe", None, None, b"1")]),
    "a name that is not UTF-8": (field(b"gr\xf6") + CLOSE, [("gr\ufffd", None, None, b"1")]),
    "a name as browsers escape it": (
        field(b"a%22b%0D%0Ac%41") + CLOSE,
        [('a"b\r\nc%41', None, None, b"1")],
    ),
    "a name with escaped quotation marks": (
        field(rb"a\"b\\c\d") + CLOSE,
        [('a"b\\c\\d', None, None, b"1")],
    ),
    "an empty name": (field(b"") + CLOSE, [("", None, None, b"1")]),
    "a path of Windows": (
        b'--XyZ\r\nContent-Disposition: form-data; name="f"; filename="C:\\new\\a.txt"\r\n\r\n'
        b"1\r\n" + CLOSE,
        [("f", "C:\\new\\a.txt", None, b"1")],
    ),
    "a file name that ends in a backslash": (
        b'--XyZ\r\nContent-Disposition: form-data; name="f"; filename="a\\"\r\n\r\n1\r\n'
        + CLOSE,
        [("f", "a\\", None, b"1")],
    ),
    "an extended file name": (
        b'--XyZ\r\nContent-Disposition: form-data; name="f"; filename="E.txt"; '
        b"filename*=UTF-8'en'%e2%82%ac.txt\r\n\r\n1\r\n" + CLOSE,
        [("f", "€.txt", None, b"1")],
    ),
    "a file name in Latin-1": (
        b"--XyZ\r\nContent-Disposition: form-data; name=f; filename*=iso-8859-1''%a3\r\n\r\n"
        b"1\r\n" + CLOSE,
        [("f", "£", None, b"1")],
    ),
}

INVALID = {
    "nothing": (b"", 400, "ended before"),
    "no boundary": (b"hello", 400, "ended before"),
    "no final boundary": (field(), 400, "ended before"),
    "a final boundary with one hyphen": (field() + b"--XyZ-", 400, "ended before"),
    "an end in the headers": (b"--XyZ\r\n" + FILE, 400, "ended before"),
    "an end in the data": (b"--XyZ\r\n" + FILE + b"\r\n123\r\n--Xy", 400, "ended before"),
    "a boundary that goes on": (field() + b"--XyZW\r\n", 400, "ended before"),
    "a boundary with one hyphen": (field() + b"--XyZ-x", 400, "ended before"),
    "another boundary": (
        (field() + CLOSE).replace(b"XyZ", b"Xyz") + CLOSE, 400, "another boundary"),
    "another boundary behind an empty line": (
        b"\r\n--Xy\r\n" + field() + CLOSE, 400, "another boundary"),
    "a first boundary that goes on": (b"--XyZW\r\n" + field() + CLOSE, 400, "another boundary"),
    "a boundary line without CR": (
        b"--XyZ\n" + FILE + b"\r\n1\r\n" + CLOSE,
        400,
        "another boundary",
    ),
    "a header line without CR": (
        b"--XyZ\r\n" + FILE.replace(b"\r", b"") + b"\r\n1\r\n" + CLOSE,
        400,
        "without CR",
    ),
    "an empty line without CR": (b"--XyZ\r\n" + FILE + b"\n1\r\n" + CLOSE, 400, "without CR"),
    "much padding": (b"--XyZ" + b" " * 200 + b"\r\n", 400, "another boundary"),
    "a folded header": (
        b'--XyZ\r\nContent-Disposition: form-data;\r\n name="a"\r\n\r\n1\r\n' + CLOSE,
        400,
        "invalid header line",
    ),
    "a header without a colon": (b"--XyZ\r\nhello\r\n\r\n1\r\n", 400, "invalid header line"),
    "a space before the colon": (field(extra=b"X : 1\r\n"), 400, "invalid header line"),
    "an empty field name": (field(extra=b": 1\r\n"), 400, "invalid header line"),
    "NUL in a header": (field(extra=b"X: \0\r\n"), 400, "invalid header line"),
    "CR in a header": (field(extra=b"X: a\rb\r\n"), 400, "invalid header line"),
    "no headers": (b"--XyZ\r\n\r\n1\r\n" + CLOSE, 400, "no Content-Disposition"),
    "two dispositions": (
        field(extra=b'Content-Disposition: form-data; name="b"\r\n') + CLOSE,
        400,
        "more than one Content-Disposition",
    ),
    "two content types": (
        field(extra=b"Content-Type: a/b\r\ncontent-type: c/d\r\n") + CLOSE,
        400,
        "more than one Content-Type",
    ),
    "another disposition": (
        b'--XyZ\r\nContent-Disposition: attachment; name="a"\r\n\r\n1\r\n' + CLOSE,
        400,
        "not form-data",
    ),
    "no name": (b"--XyZ\r\nContent-Disposition: form-data\r\n\r\n1\r\n", 400, "no name"),
    "two names": (
        b"--XyZ\r\nContent-Disposition: form-data; name=a; name=b\r\n\r\n1\r\n",
        400,
        "stands twice",
    ),
    "an open quotation": (field(b'a"b'), 400, "malformed"),
    "an unknown charset": (
        b"--XyZ\r\nContent-Disposition: form-data; name=a; filename*=utf-7''x\r\n\r\n1\r\n",
        400,
        "extended parameter",
    ),
    "a file name that is not of its charset": (
        b"--XyZ\r\nContent-Disposition: form-data; name=a; filename*=utf-8''%ff\r\n\r\n1\r\n",
        400,
        "Content-Disposition",
    ),
}


@pytest.mark.parametrize("body, expected", VALID.values(), ids=VALID)
def test_a_valid_body_is_parsed(body, expected):
    assert parse([body]) == expected


@pytest.mark.parametrize("body, status, reason", INVALID.values(), ids=INVALID)
def test_an_invalid_body_is_refused(body, status, reason):
    result = parse([body])
    assert isinstance(result, tuple), result
    assert result[0] == status
    assert reason in result[1]


@pytest.mark.parametrize(
    "body", [row[0] for row in [*VALID.values(), *INVALID.values()]], ids=[*VALID, *INVALID]
)
def test_cutting_a_body_anywhere_changes_nothing(body):
    whole = parse([body])
    for segments in two_segments(body):
        assert parse(segments) == whole
    assert parse(bytewise(body)) == whole


def test_pieces_that_pile_up_before_they_are_pulled_change_nothing():
    body = field(data=b"x\r\ny") + CLOSE
    parser = MultipartParser(BOUNDARY)
    for octet in bytewise(body):
        parser.receive_data(octet)
    assert parser.next_event().name == "a"
    assert parser.next_event() == b"x\r\ny"
    assert parser.next_event() is PART_END
    assert parser.next_event() is END


def test_headers_are_given_in_wire_order_with_lower_case_names():
    body = field(extra=b"X-B: 2\r\nX-A: \t1 \r\nX-B: 3\r\n") + CLOSE
    headers = feed([body])[0].headers
    assert headers == [
        (b"content-disposition", b'form-data; name="a"'),
        (b"x-b", b"2"),
        (b"x-a", b"1"),
        (b"x-b", b"3"),
    ]


def test_data_is_handed_out_without_waiting_for_the_part_to_end():
    parser = MultipartParser(BOUNDARY)
    parser.receive_data(b"--XyZ\r\n" + FILE + b"\r\nabc\r\n--Xy")
    assert isinstance(parser.next_event(), PartBegin)
    assert parser.next_event() == b"abc"
    assert parser.next_event() is NEED_DATA
    parser.receive_data(b"x\r")
    assert parser.next_event() == b"\r\n--Xyx"
    assert parser.next_event() is NEED_DATA
    assert parser.next_event() is NEED_DATA


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="identity of slices")
def test_a_segment_that_is_all_data_is_handed_out_uncopied():
    parser = MultipartParser(BOUNDARY)
    parser.receive_data(b"--XyZ\r\n" + FILE + b"\r\nabc")
    while parser.next_event() is not NEED_DATA:
        pass
    segment = b"x" * 65536
    parser.receive_data(segment)
    assert parser.next_event() is segment


def test_the_end_is_known_at_the_final_boundary_and_stays():
    parser = MultipartParser(BOUNDARY)
    parser.receive_data(CLOSE[:-2])
    assert parser.next_event() is END
    parser.receive_data(b"epilogue" * 1000)
    assert parser.next_event() is END
    parser.receive_eof()
    assert parser.next_event() is END


def test_after_an_error_every_call_raises_it_again():
    parser = MultipartParser(BOUNDARY)
    parser.receive_data(b"--XyZoops\r\n")
    for _ in range(2):
        with pytest.raises(MultipartError):
            parser.next_event()
        parser.receive_data(field() + CLOSE)


LIMITS = {
    "parts": (MultipartLimits(parts=2), field() * 2, field() * 3, "more than 2 parts"),
    "headers of a part": (
        MultipartLimits(headers=2),
        field(extra=b"X: 1\r\n") * 2,
        field(extra=b"X: 1\r\nY: 2\r\n"),
        "more than 2 headers",
    ),
    "header bytes of a part": (
        MultipartLimits(
            header_bytes=len(b'Content-Disposition: form-data; name="abc"\r\n\r\n')
        ),
        field(b"abc") * 2,
        field(b"abcd"),
        "header section",
    ),
    "field bytes in total": (
        MultipartLimits(field_bytes=10),
        field(data=b"12345") * 2,
        field(data=b"12345") + field(data=b"123456"),
        "fields are too large",
    ),
    "preamble": (
        MultipartLimits(preamble_bytes=10),
        b"x" * 10 + b"\r\n" + field(),
        b"x" * 11 + b"\r\n" + field(),
        "before the first boundary",
    ),
}


@pytest.mark.parametrize("limits, within, beyond, reason", LIMITS.values(), ids=LIMITS)
def test_a_limit_allows_exactly_what_it_says(limits, within, beyond, reason):
    assert isinstance(parse([within + CLOSE], limits), list)
    for segments in [*two_segments(beyond + CLOSE), bytewise(beyond + CLOSE)]:
        status, text = parse(segments, limits)
        assert status == 413
        assert reason in text


@pytest.mark.parametrize("file", [FILE, FILE.replace(b"a.bin", b"")], ids=["named", "unnamed"])
def test_files_do_not_count_as_fields(file):
    body = b"--XyZ\r\n" + file + b"\r\n" + b"x" * 1000 + b"\r\n" + CLOSE
    assert parse([body], MultipartLimits(field_bytes=10))[0][3] == b"x" * 1000


def test_a_header_line_without_an_end_is_refused_before_it_is_stored():
    parser = MultipartParser(BOUNDARY)
    parser.receive_data(b"--XyZ\r\n" + b"x" * 16384)
    assert parser.next_event() is NEED_DATA
    parser.receive_data(b"x")
    with pytest.raises(MultipartError, match="header section"):
        parser.next_event()


@pytest.mark.parametrize(
    "content_type, boundary",
    [
        pytest.param(b"multipart/form-data; boundary=XyZ", b"XyZ", id="token"),
        pytest.param('Multipart/Form-Data; Boundary="a b:c"', b"a b:c", id="quoted"),
        pytest.param(b"multipart/form-data; boundary==_a/b?c=", b"=_a/b?c=", id="unquoted"),
        pytest.param(b"multipart/form-data;charset=utf-8;boundary=x;", b"x", id="others"),
        pytest.param(b"multipart/mixed; boundary=" + b"b" * 70, b"b" * 70, id="70 characters"),
    ],
)
def test_the_boundary_is_taken_from_the_content_type(content_type, boundary):
    assert parse_boundary(content_type) == boundary


@pytest.mark.parametrize(
    "content_type",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"text/plain; boundary=x", id="another type"),
        pytest.param(b"multipart/form-data", id="missing"),
        pytest.param(b"multipart/form-data; boundary=", id="empty boundary"),
        pytest.param(b"multipart/form-data; boundary=" + b"b" * 71, id="71 characters"),
        pytest.param(b'multipart/form-data; boundary="a "', id="space at the end"),
        pytest.param(b'multipart/form-data; boundary="a\r\nb"', id="line end"),
        pytest.param(b'multipart/form-data; boundary="a;b"', id="semicolon"),
        pytest.param("multipart/form-data; boundary=é", id="not ASCII"),
        pytest.param(b"multipart/form-data; boundary=a; boundary=b", id="twice"),
    ],
)
def test_a_content_type_without_a_valid_boundary_is_refused(content_type):
    with pytest.raises(MultipartError, match="invalid Content-Type") as caught:
        parse_boundary(content_type)
    assert caught.value.status == 400


@pytest.mark.parametrize("boundary", [b"", b"a" * 71, b"a ", b"a\n", b"a*", b"\xe9"])
def test_a_parser_refuses_an_invalid_boundary(boundary):
    with pytest.raises(MultipartError):
        MultipartParser(boundary)


def random_cuts(rng, body):
    cuts = sorted(rng.randrange(len(body) + 1) for _ in range(rng.randrange(8)))
    return [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)])]


def mutate(rng, body):
    for _ in range(rng.randint(1, 3)):
        start = rng.randrange(len(body) + 1)
        stop = min(len(body), start + rng.choice((0, 1, 1, 2, 8)))
        replacement = rng.choice(
            (b"", b"\r", b"\n", b"\r\n", b"-", b"--", b'"', b"\\", b";", b"\0", b":", b"=",
             b"\r\n--XyZ", b"--XyZ--", body[start : start + 9], bytes([rng.randrange(256)]))
        )  # fmt: skip
        body = body[:start] + replacement + body[stop:]
    return body


@pytest.mark.parametrize("seed", range(20))
def test_a_mutated_body_is_parsed_or_refused_and_the_same_however_it_is_cut(seed):
    rng = random.Random(seed)
    bodies = [body for body, _ in VALID.values()]
    for _ in range(100):
        body = mutate(rng, rng.choice(bodies))
        whole = parse([body])
        assert parse(random_cuts(rng, body)) == whole, body
