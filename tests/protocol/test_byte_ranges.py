"""Range requests: RFC 9110 section 14, checked against the bytes they stand for."""

import random

import pytest

from tests.support.growth import assert_linear, calls_of
from tremolo.protocol.ranges import (
    ByteRange,
    MultipartByteranges,
    parse_range,
    select,
    unsatisfied_range,
)

WHOLE = (200, ())
UNSATISFIABLE = (416, ())


def partial(*ranges):
    return 206, ranges


RANGES = {
    "the first byte": (b"bytes=0-0", partial((0, 1))),
    "the first half": (b"bytes=0-4", partial((0, 5))),
    "from the middle on": (b"bytes=5-", partial((5, 10))),
    "from the first on": (b"bytes=0-", partial((0, 10))),
    "the last byte": (b"bytes=9-9", partial((9, 10))),
    "an end beyond the file is clipped": (b"bytes=5-99", partial((5, 10))),
    "an end far beyond is clipped": (b"bytes=5-" + b"9" * 5000, partial((5, 10))),
    "leading zeros": (b"bytes=" + b"0" * 5000 + b"1-02", partial((1, 3))),
    "a suffix": (b"bytes=-3", partial((7, 10))),
    "a suffix of the whole file": (b"bytes=-10", partial((0, 10))),
    "a suffix longer than the file": (b"bytes=-11", partial((0, 10))),
    "an endless suffix": (b"bytes=-" + b"9" * 5000, partial((0, 10))),
    "another case": (b"Bytes=1-2", partial((1, 3))),
    "several": (b"bytes=0-0,2-2,-1", partial((0, 1), (2, 3), (9, 10))),
    "several in another order": (b"bytes=8-8,0-0", partial((8, 9), (0, 1))),
    "white space": (b"bytes= 0-0 ,\t2-2 ", partial((0, 1), (2, 3))),
    "empty elements": (b"bytes=,0-0,,2-2,", partial((0, 1), (2, 3))),
    "overlapping": (b"bytes=0-4,3-6", partial((0, 7))),
    "adjacent": (b"bytes=0-4,5-6", partial((0, 7))),
    "one in another": (b"bytes=0-8,3-4", partial((0, 9))),
    "the same twice": (b"bytes=1-1,1-1", partial((1, 2))),
    "the order of the first ones": (b"bytes=8-8,1-2,0-0,9-9", partial((8, 10), (0, 3))),
    "one that cannot be satisfied is left out": (b"bytes=0-0,99-", partial((0, 1))),
    "an empty suffix is left out": (b"bytes=0-0,-0", partial((0, 1))),
    "ten": (b"bytes=" + b",".join(b"%d-%d" % (i, i) for i in range(10)), partial((0, 10))),
    "eleven": (b"bytes=" + b",".join([b"0-0"] * 11), WHOLE),
    "beyond the file": (b"bytes=10-", UNSATISFIABLE),
    "beyond the file with an end": (b"bytes=10-11", UNSATISFIABLE),
    "far beyond the file": (b"bytes=" + b"9" * 5000 + b"-", UNSATISFIABLE),
    "all beyond the file": (b"bytes=10-,20-30", UNSATISFIABLE),
    "an empty suffix": (b"bytes=-0", UNSATISFIABLE),
    "another unit": (b"items=0-1", WHOLE),
    "no unit": (b"0-1", WHOLE),
    "empty": (b"", WHOLE),
    "no range": (b"bytes=", WHOLE),
    "nothing but commas": (b"bytes=, ,", WHOLE),
    "only a hyphen": (b"bytes=-", WHOLE),
    "end before start": (b"bytes=2-1", WHOLE),
    "end before start, among others": (b"bytes=0-0,2-1", WHOLE),
    "no hyphen": (b"bytes=1", WHOLE),
    "two hyphens": (b"bytes=1--2", WHOLE),
    "a sign": (b"bytes=+1-2", WHOLE),
    "a negative start": (b"bytes=-1-2", WHOLE),
    "an underscore": (b"bytes=1_0-", WHOLE),
    "hexadecimal": (b"bytes=0x1-", WHOLE),
    "other digits": ("bytes=١-".encode(), WHOLE),
    "a space inside": (b"bytes=1 -2", WHOLE),
    "a space before the equals sign": (b"bytes =1-2", WHOLE),
    "two fields": (b"bytes=0-1, bytes=2-3", WHOLE),
    "a line end": (b"bytes=0-1\n", WHOLE),
}


@pytest.mark.parametrize("value, expected", RANGES.values(), ids=RANGES)
def test_ranges_of_ten_bytes(value, expected):
    assert parse_range(value, 10) == expected


@pytest.mark.parametrize(
    "value, expected",
    [(b"bytes=0-", UNSATISFIABLE), (b"bytes=-5", WHOLE), (b"bytes=-0", UNSATISFIABLE)],
)
def test_ranges_of_an_empty_file(value, expected):
    assert parse_range(value, 0) == expected


def test_content_range_names_the_last_byte_and_the_size():
    assert ByteRange(0, 5).content_range(10) == b"bytes 0-4/10"
    assert ByteRange(0, 5).length == 5
    assert unsatisfied_range(10) == b"bytes */10"


HEADERS = [(b"host", b"a"), (b"range", b"bytes=0-0")]
DATE = b"Sun, 06 Nov 1994 08:49:37 GMT"


@pytest.mark.parametrize(
    "method, headers, status",
    [
        pytest.param(b"GET", HEADERS, 206, id="GET"),
        pytest.param(b"HEAD", HEADERS, 200, id="HEAD has no ranges"),
        pytest.param(b"POST", HEADERS, 200, id="POST has no ranges"),
        pytest.param(b"GET", [], 200, id="no Range"),
        pytest.param(b"GET", HEADERS + [(b"range", b"bytes=2-2")], 200, id="two Ranges"),
        pytest.param(b"GET", HEADERS + [(b"if-range", b'"1"')], 206, id="same tag"),
        pytest.param(b"GET", HEADERS + [(b"if-range", b'"2"')], 200, id="another tag"),
        pytest.param(b"GET", HEADERS + [(b"if-range", b'W/"1"')], 200, id="weak tag"),
        pytest.param(b"GET", HEADERS + [(b"if-range", DATE)], 206, id="same date"),
        pytest.param(b"GET", HEADERS + [(b"if-range", b"x")], 200, id="malformed If-Range"),
        pytest.param(b"GET", [(b"if-range", b'"1"')], 200, id="If-Range alone"),
    ],
)
def test_a_range_counts_for_get_and_while_if_range_holds(method, headers, status):
    assert select(method, headers, 10, b'"1"', 784111777).status == status


def test_the_ranges_cover_exactly_the_bytes_that_were_asked_for():
    rng = random.Random(1)
    for _ in range(3000):
        size = rng.randrange(1, 30)
        wanted, specs = set(), []
        for _ in range(rng.randint(1, 5)):
            start, stop = rng.randrange(40), rng.randrange(40)
            kind = rng.randrange(3)
            if kind == 0:
                specs.append(b"-%d" % stop)
                wanted.update(range(max(0, size - stop), size))
            elif kind == 1:
                specs.append(b"%d-" % start)
                wanted.update(range(start, size))
            else:
                specs.append(b"%d-%d" % (start, start + stop))
                wanted.update(range(start, min(size, start + stop + 1)))
        status, ranges = parse_range(b"bytes=" + b",".join(specs), size)
        covered = [position for part in ranges for position in range(*part)]
        assert len(covered) == len(set(covered)), "no byte is sent twice"
        assert set(covered) == wanted
        assert status == (206 if wanted else 416)


def test_werkzeug_reads_well_formed_ranges_the_same():
    http = pytest.importorskip("werkzeug.http")
    # No suffix of 0 and none longer than the file: there werkzeug departs from RFC 9110.
    values = [f"bytes={first}-{last}" for first in range(12) for last in ("", 0, 5, 9, 11)]
    values += [f"bytes=-{length}" for length in range(1, 11)]
    for value in values:
        theirs = http.parse_range_header(value)
        expected = None if theirs is None else theirs.range_for_length(10)
        status, ranges = parse_range(value.encode(), 10)
        assert ranges == (() if expected is None else (expected,)), value
        assert (status == 200) == (theirs is None), value


@pytest.mark.parametrize("content_type", [None, b"text/plain", "text/html; charset=utf-8"])
def test_the_framing_of_several_ranges_has_the_length_it_says(content_type):
    data = bytes(range(100))
    ranges = parse_range(b"bytes=0-0,10-19,-5", len(data)).ranges
    framing = MultipartByteranges(b"abc123", ranges, len(data), content_type)
    body = b"".join(head + data[part.start : part.stop] for head, part in framing)
    body += framing.tail
    assert len(body) == framing.length
    assert framing.content_type == b"multipart/byteranges; boundary=abc123"


def test_the_standard_library_reads_the_framing():
    import email

    data = b"0123456789" * 5
    ranges = parse_range(b"bytes=0-3,20-29,48-", len(data)).ranges
    framing = MultipartByteranges(b"b", ranges, len(data), b"text/plain")
    body = b"".join(head + data[part.start : part.stop] for head, part in framing)
    message = email.message_from_bytes(
        b"Content-Type: " + framing.content_type + b"\r\n\r\n" + body + framing.tail
    )
    assert [(part["content-range"], part.get_payload()) for part in message.get_payload()] == [
        ("bytes 0-3/50", "0123"),
        ("bytes 20-29/50", "0123456789"),
        ("bytes 48-49/50", "89"),
    ]


@pytest.mark.parametrize(
    "boundary, content_type",
    [
        (b"", b"a/b"),
        (b"a" * 71, b"a/b"),
        (b"a b", b"a/b"),
        (b"a\r\n", b"a/b"),
        (b"a", b"a/b\r\nX: 1"),
        (b"a", "a/b; x=\xe9"),
    ],
)
def test_a_framing_that_would_not_hold_is_refused(boundary, content_type):
    with pytest.raises(ValueError):
        MultipartByteranges(boundary, (ByteRange(0, 1),), 1, content_type)


@pytest.mark.parametrize(
    "hostile",
    [
        pytest.param(lambda n: b"bytes=" + b" " * n + b"x", id="spaces"),
        pytest.param(lambda n: b"bytes=0-0" + b" " * n + b"x", id="spaces after a range"),
        pytest.param(lambda n: b"bytes=" + b"1" * n + b"x", id="digits"),
        pytest.param(lambda n: b"bytes=-" + b"0" * n + b"x", id="zeros"),
    ],
)
def test_a_hostile_field_takes_linear_time(hostile):
    def work(size):
        value = hostile(size)
        return lambda: parse_range(value, 10)

    assert work(200_000)() == WHOLE
    assert_linear(work)


def test_a_field_of_any_length_costs_little():
    value = b"bytes=" + b",".join(b"%d-" % i for i in range(100_000))
    assert parse_range(value, 10**6) == WHOLE
    assert calls_of(lambda: parse_range(value, 10**6)) < 20
