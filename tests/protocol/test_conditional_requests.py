"""HTTP dates, entity tags and preconditions: RFC 9110 sections 5.6.7, 8.8.3 and 13."""

import random
from email.utils import formatdate, mktime_tz, parsedate_tz

import pytest

from tests.support.growth import assert_linear
from tremolo.protocol.conditional import (
    entity_tags,
    evaluate,
    if_range_holds,
    parse_http_date,
    strong_match,
    weak_match,
)
from tremolo.protocol.dates import format_http_date

NOV_6 = 784111777  # Sun, 06 Nov 1994 08:49:37 GMT, the date of the RFC's examples
YEAR_2026 = 1767225600


@pytest.mark.parametrize(
    "timestamp, text",
    [
        (NOV_6, b"Sun, 06 Nov 1994 08:49:37 GMT"),
        (NOV_6 + 0.999, b"Sun, 06 Nov 1994 08:49:37 GMT"),
        (0, b"Thu, 01 Jan 1970 00:00:00 GMT"),
        (-0.5, b"Wed, 31 Dec 1969 23:59:59 GMT"),
        (951782400, b"Tue, 29 Feb 2000 00:00:00 GMT"),
        (253402300799, b"Fri, 31 Dec 9999 23:59:59 GMT"),
    ],
)
def test_a_date_is_formatted(timestamp, text):
    assert format_http_date(timestamp) == text


@pytest.mark.parametrize(
    "text, timestamp",
    [
        pytest.param(b"Sun, 06 Nov 1994 08:49:37 GMT", NOV_6, id="IMF-fixdate"),
        pytest.param(b"Sunday, 06-Nov-94 08:49:37 GMT", NOV_6, id="RFC 850"),
        pytest.param(b"Sun Nov  6 08:49:37 1994", NOV_6, id="asctime"),
        pytest.param(b"Wed Nov 16 08:49:37 1994", NOV_6 + 864000, id="asctime, two digits"),
        pytest.param(b"Mon, 06 Nov 1994 08:49:37 GMT", NOV_6, id="another day's name"),
        pytest.param(b"Sat, 31 Dec 2016 23:59:60 GMT", 1483228800, id="leap second"),
        pytest.param(b"Tue, 29 Feb 2000 00:00:00 GMT", 951782400, id="leap day"),
        pytest.param(b"Fri, 31 Dec 9999 23:59:59 GMT", 253402300799, id="the last one"),
        pytest.param(b"Wed, 31 Dec 1969 23:59:59 GMT", -1, id="before the epoch"),
        pytest.param(b"", None, id="empty"),
        pytest.param(b"0", None, id="zero"),
        pytest.param(b"Sun, 6 Nov 1994 08:49:37 GMT", None, id="one digit"),
        pytest.param(b"Sun, 06 Nov 1994 08:49:37 +0000", None, id="zone"),
        pytest.param(b"Sun, 06 Nov 1994 08:49:37 UTC", None, id="UTC"),
        pytest.param(b"sun, 06 nov 1994 08:49:37 gmt", None, id="lower case"),
        pytest.param(b"Sun, 06 Nov 1994  08:49:37 GMT", None, id="two spaces"),
        pytest.param(b"Sun, 06 Nov 1994 08:49:37 GMT\n", None, id="line end"),
        pytest.param(b"Sun, 29 Feb 1900 08:49:37 GMT", None, id="no such day"),
        pytest.param(b"Sun, 00 Nov 1994 08:49:37 GMT", None, id="day 0"),
        pytest.param(b"Sun, 06 Nov 0000 08:49:37 GMT", None, id="year 0"),
        pytest.param(b"Sun, 06 Nov 1994 24:00:00 GMT", None, id="hour 24"),
        pytest.param(b"Sun, 06 Nov 1994 08:60:00 GMT", None, id="minute 60"),
        pytest.param(b"Sun, 06 Nov 1994 08:49:61 GMT", None, id="second 61"),
        pytest.param(b"Sun, 06 Nov 1994 08:49:37 GMT, " * 2, None, id="two dates"),
        pytest.param("Sun, ٠٦ Nov 1994 08:49:37 GMT".encode(), None, id="other digits"),
    ],
)
def test_a_date_is_parsed_in_all_three_formats_and_no_other(text, timestamp):
    assert parse_http_date(text) == timestamp


@pytest.mark.parametrize(
    "year, now, expected",
    [
        pytest.param(b"94", None, 1994, id="nineties"),
        pytest.param(b"69", None, 2069, id="the last without a clock"),
        pytest.param(b"70", None, 1970, id="the first without a clock"),
        pytest.param(b"76", YEAR_2026, 2076, id="in 50 years"),
        pytest.param(b"77", YEAR_2026, 1977, id="in 51 years is in the past"),
        pytest.param(b"26", YEAR_2026, 2026, id="this year"),
        pytest.param(b"94", YEAR_2026, 1994, id="nineties with a clock"),
    ],
)
def test_a_two_digit_year_is_at_most_50_years_in_the_future(year, now, expected):
    timestamp = parse_http_date(b"Sunday, 06-Nov-" + year + b" 08:49:37 GMT", now)
    assert format_http_date(timestamp)[12:16] == b"%d" % expected


def test_the_standard_library_agrees_on_random_dates():
    rng = random.Random(1)
    for _ in range(3000):
        timestamp = rng.randrange(0, 4_000_000_000)
        text = format_http_date(timestamp)
        assert text.decode() == formatdate(timestamp, usegmt=True)
        assert parse_http_date(text) == timestamp == mktime_tz(parsedate_tz(text.decode()))


@pytest.mark.parametrize(
    "one, other, strong, weak",
    [
        (b'W/"1"', b'W/"1"', False, True),
        (b'W/"1"', b'W/"2"', False, False),
        (b'W/"1"', b'"1"', False, True),
        (b'"1"', b'"1"', True, True),
        (b'"1"', b'"2"', False, False),
    ],
)
def test_entity_tags_compare_as_in_the_table_of_section_8_8_3_2(one, other, strong, weak):
    assert strong_match(one, other) is strong_match(other, one) is strong
    assert weak_match(one, other) is weak_match(other, one) is weak


@pytest.mark.parametrize(
    "value, tags",
    [
        (b'"a"', [b'"a"']),
        (b'"a", W/"b" ,"c"', [b'"a"', b'W/"b"', b'"c"']),
        (b', ,"a",, "b",', [b'"a"', b'"b"']),
        (b'"a,b", ""', [b'"a,b"', b'""']),
        (b'"\xe9"', [b'"\xe9"']),
        (b'"a" "b"', [b'"a"']),
        (b'"a"x, "b"', [b'"a"']),
        (b"", []),
        (b"a, b", []),
        (b'w/"a"', []),
        (b'"a', []),
        (b'"a b"', []),
    ],
)
def test_a_list_of_entity_tags_is_read_up_to_what_is_none(value, tags):
    assert list(entity_tags(value)) == tags


@pytest.mark.parametrize(
    "hostile",
    [
        pytest.param(lambda n: b"," * n + b"x", id="commas"),
        pytest.param(lambda n: b'"a"' + b" " * n + b"x", id="spaces"),
        pytest.param(lambda n: b'"' + b"a" * n, id="open quotation"),
        pytest.param(lambda n: b'"",' * (n // 3), id="many tags"),
        pytest.param(lambda n: b'W/"' * (n // 3), id="many beginnings"),
    ],
)
def test_a_hostile_list_takes_linear_time(hostile):
    def work(size):
        fields = [(b"if-none-match", hostile(size))]
        return lambda: evaluate(b"GET", fields, b'"1"', None)

    assert work(200_000)() == 200
    assert_linear(work)


TAG = b'"1"'
NOW = b"Sun, 06 Nov 1994 08:49:37 GMT"
BEFORE = b"Sun, 06 Nov 1994 08:49:36 GMT"
AFTER = b"Sun, 06 Nov 1994 08:49:38 GMT"
BAD_DATE = b"yesterday"

# id: (request's fields, answer to GET, answer to PUT); the resource has TAG and NOW.
PRECONDITIONS = {
    "none": ({}, 200, 200),
    "If-Match holds": ({b"if-match": TAG}, 200, 200),
    "If-Match holds in a list": ({b"if-match": b'"0", "1"'}, 200, 200),
    "If-Match holds for anything": ({b"if-match": b"*"}, 200, 200),
    "If-Match fails": ({b"if-match": b'"0"'}, 412, 412),
    "If-Match fails on a weak tag": ({b"if-match": b'W/"1"'}, 412, 412),
    "If-Match malformed": ({b"if-match": b"1"}, 412, 412),
    "If-Unmodified-Since holds": ({b"if-unmodified-since": NOW}, 200, 200),
    "If-Unmodified-Since fails": ({b"if-unmodified-since": BEFORE}, 412, 412),
    "If-Unmodified-Since malformed": ({b"if-unmodified-since": BAD_DATE}, 200, 200),
    "If-Match goes before If-Unmodified-Since": (
        {b"if-match": TAG, b"if-unmodified-since": BEFORE}, 200, 200,
    ),
    "If-None-Match holds": ({b"if-none-match": b'"0"'}, 200, 200),
    "If-None-Match fails": ({b"if-none-match": TAG}, 304, 412),
    "If-None-Match fails on a weak tag": ({b"if-none-match": b'"0", W/"1"'}, 304, 412),
    "If-None-Match fails on anything": ({b"if-none-match": b"*"}, 304, 412),
    "If-None-Match malformed": ({b"if-none-match": b"1"}, 200, 200),
    "If-Modified-Since fails, same date": ({b"if-modified-since": NOW}, 304, 200),
    "If-Modified-Since fails, later date": ({b"if-modified-since": AFTER}, 304, 200),
    "If-Modified-Since holds": ({b"if-modified-since": BEFORE}, 200, 200),
    "If-Modified-Since malformed": ({b"if-modified-since": BAD_DATE}, 200, 200),
    "If-None-Match goes before If-Modified-Since": (
        {b"if-none-match": b'"0"', b"if-modified-since": NOW}, 200, 200,
    ),
    "If-None-Match fails, If-Modified-Since holds": (
        {b"if-none-match": TAG, b"if-modified-since": BEFORE}, 304, 412,
    ),
    "If-Match fails before If-None-Match": (
        {b"if-match": b'"0"', b"if-none-match": TAG}, 412, 412,
    ),
    "If-Match holds, If-None-Match fails": (
        {b"if-match": TAG, b"if-none-match": TAG}, 304, 412,
    ),
    "If-Unmodified-Since holds, If-Modified-Since fails": (
        {b"if-unmodified-since": NOW, b"if-modified-since": NOW}, 304, 200,
    ),
}  # fmt: skip


@pytest.mark.parametrize("fields, reading, writing", PRECONDITIONS.values(), ids=PRECONDITIONS)
def test_preconditions_in_the_order_of_section_13_2_2(fields, reading, writing):
    headers = [(b"host", b"a"), *fields.items()]
    assert evaluate(b"GET", headers, TAG, NOV_6) == reading
    assert evaluate(b"HEAD", headers, TAG, NOV_6 + 0.9) == reading
    assert evaluate(b"PUT", headers, TAG, NOV_6) == writing
    assert evaluate(b"OPTIONS", headers, TAG, NOV_6) == 200


def test_the_lines_of_a_field_are_one_list():
    headers = [(b"if-none-match", b'"0"'), (b"if-none-match", b'W/"1"')]
    assert evaluate(b"GET", headers, TAG, None) == 304
    headers = [(b"if-modified-since", NOW)] * 2
    assert evaluate(b"GET", headers, None, NOV_6) == 200


@pytest.mark.parametrize(
    "fields, status",
    [
        pytest.param({b"if-match": TAG}, 412, id="no tag to match"),
        pytest.param({b"if-match": b"*"}, 200, id="anything matches"),
        pytest.param({b"if-none-match": TAG, b"if-modified-since": NOW}, 200, id="no tag"),
        pytest.param({b"if-modified-since": NOW}, 200, id="no date"),
        pytest.param({b"if-unmodified-since": BEFORE}, 200, id="no date to compare"),
    ],
)
def test_what_has_no_validator_cannot_fail_by_it(fields, status):
    assert evaluate(b"GET", list(fields.items()), None, None) == status


@pytest.mark.parametrize("fields, status", [((b"if-match", b"*"), 412),
                                            ((b"if-none-match", b"*"), 200)])  # fmt: skip
def test_what_does_not_exist_matches_nothing(fields, status):
    assert evaluate(b"PUT", [fields], None, None, exists=False) == status


@pytest.mark.parametrize(
    "value, holds",
    [
        (TAG, True),
        (b'"0"', False),
        (b'W/"1"', False),
        (NOW, True),
        (BEFORE, False),
        (AFTER, False),
        (BAD_DATE, False),
        (b"", False),
        (b"*", False),
    ],
)
def test_if_range_wants_a_strong_match_or_the_exact_date(value, holds):
    assert if_range_holds(value, TAG, NOV_6 + 0.5) is holds


def test_if_range_never_holds_for_a_weak_tag_or_without_validators():
    assert not if_range_holds(b'W/"1"', b'W/"1"', None)
    assert not if_range_holds(b'"1"', None, None)
    assert not if_range_holds(NOW, None, None)


def test_if_range_does_not_rely_on_a_date_of_the_last_second():
    assert if_range_holds(NOW, None, NOV_6, now=NOV_6 + 1)
    assert not if_range_holds(NOW, None, NOV_6, now=NOV_6 + 0.9)
