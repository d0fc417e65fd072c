"""Conditional requests: HTTP dates, entity tags and the precedence of their fields.

RFC 9110 sections 5.6.7, 8.8 and 13. Knows a representation by its two validators alone; reads
no file and no clock: where the RFC needs the time, it is passed in.
"""

import re
from datetime import date
from typing import Callable, Iterable, Iterator, Optional, Tuple

from .dates import MONTHS

Headers = Iterable[Tuple[bytes, bytes]]

_EPOCH = date(1970, 1, 1).toordinal()
_MONTH_NUMBER = {name: number for number, name in enumerate(MONTHS, 1)}

# The day's name is not compared with the date: every recipient ignores it.
_DAY = rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_LONG_DAY = rb"(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)"
_MONTH = rb"(?P<month>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_TIME = rb"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_IMF_FIXDATE = re.compile(
    _DAY + rb", (?P<day>[0-9]{2}) " + _MONTH + rb" (?P<year>[0-9]{4}) " + _TIME + rb" GMT"
)
_RFC850_DATE = re.compile(
    _LONG_DAY + rb", (?P<day>[0-9]{2})-" + _MONTH + rb"-(?P<year>[0-9]{2}) " + _TIME + rb" GMT"
)
_ASCTIME_DATE = re.compile(
    _DAY + rb" " + _MONTH + rb" (?P<day>[0-9]{2}| [0-9]) " + _TIME + rb" (?P<year>[0-9]{4})"
)

_ENTITY_TAG = re.compile(rb'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
_COMMAS = re.compile(rb"[ \t,]*")


def parse_http_date(value: bytes, now: Optional[float] = None) -> Optional[int]:
    """The Unix time of an HTTP-date in any of its three formats, None when it is none.

    The two-digit year of an RFC 850 date is, with `now`, at most 50 years in the future, as
    the RFC has it; without, it is in 1970 to 2069.
    """
    match = (
        _IMF_FIXDATE.fullmatch(value)
        or _RFC850_DATE.fullmatch(value)
        or _ASCTIME_DATE.fullmatch(value)
    )
    if match is None:
        return None
    year, hour, minute = int(match["year"]), int(match["hour"]), int(match["minute"])
    # 60 is a leap second, and the second after it in Unix time.
    second = int(match["second"])
    if hour > 23 or minute > 59 or second > 60:
        return None
    if match.re is _RFC850_DATE:
        year += 2000 if year < 70 else 1900
        if now is not None:
            latest = date.fromordinal(_EPOCH + int(now // 86400)).year + 50
            year = latest - (latest - year) % 100
    try:
        day = date(year, _MONTH_NUMBER[match["month"]], int(match["day"]))
    except ValueError:
        return None
    return (day.toordinal() - _EPOCH) * 86400 + hour * 3600 + minute * 60 + second


def strong_match(one: bytes, other: bytes) -> bool:
    """Whether two entity tags are the same and neither is weak (section 8.8.3.2)."""
    return one == other and one[:1] == b'"'


def weak_match(one: bytes, other: bytes) -> bool:
    """Whether two entity tags are the same, weak or not (section 8.8.3.2)."""
    return _opaque(one) == _opaque(other)


def _opaque(tag: bytes) -> bytes:
    return tag[2:] if tag[:2] == b"W/" else tag


def entity_tags(value: bytes) -> Iterator[bytes]:
    """The entity tags of a list, up to the first thing that is none."""
    position = _COMMAS.match(value).end()  # type: ignore[union-attr]
    while position < len(value):
        tag = _ENTITY_TAG.match(value, position)
        if tag is None:
            return
        yield tag[0]
        gap = _COMMAS.match(value, tag.end())
        # Two tags without a comma between them are no list.
        if gap is None or (b"," not in gap[0] and gap.end() < len(value)):
            return
        position = gap.end()


def evaluate(
    method: bytes,
    headers: Headers,
    etag: Optional[bytes],
    last_modified: Optional[float],
    *,
    exists: bool = True,
    now: Optional[float] = None,
) -> int:
    """What the preconditions of a request say: 200 go on, 304 or 412 (section 13.2.2).

    `headers` have lower-case names; `etag` is the whole entity tag, with quotation marks;
    `last_modified` is a Unix time of which whole seconds count; None where there is no such
    validator. `exists` tells whether there is a representation at all, for `*`. To be asked
    only when the answer would be 2xx without the preconditions (section 13.2.1).
    """
    if method in (b"CONNECT", b"OPTIONS", b"TRACE"):
        return 200
    headers = list(headers)
    if_match = field_value(headers, b"if-match")
    if_none_match = field_value(headers, b"if-none-match")
    if_modified_since = field_value(headers, b"if-modified-since")
    if_unmodified_since = field_value(headers, b"if-unmodified-since")
    modified = None if last_modified is None else int(last_modified // 1)

    if if_match is not None:
        if not _any_match(if_match, etag, exists, strong_match):
            return 412
    elif if_unmodified_since is not None and modified is not None:
        since = parse_http_date(if_unmodified_since, now)
        if since is not None and modified > since:
            return 412

    reading = method in (b"GET", b"HEAD")
    if if_none_match is not None:
        if _any_match(if_none_match, etag, exists, weak_match):
            return 304 if reading else 412
    elif if_modified_since is not None and modified is not None and reading:
        since = parse_http_date(if_modified_since, now)
        if since is not None and modified <= since:
            return 304
    return 200


def if_range_holds(
    value: bytes,
    etag: Optional[bytes],
    last_modified: Optional[float],
    now: Optional[float] = None,
) -> bool:
    """Whether an If-Range lets the Range count (section 13.1.5).

    An entity tag must match strongly, a date exactly. With `now`, a representation that was
    modified within the last second has no date to rely on (section 8.8.2.2).
    """
    if value[:1] == b'"' or value[:2] == b"W/":
        return etag is not None and strong_match(value, etag)
    if last_modified is None or (now is not None and last_modified > now - 1):
        return False
    return parse_http_date(value, now) == int(last_modified // 1)


def field_value(headers: Headers, name: bytes) -> Optional[bytes]:
    """All values of a field, joined by commas; None when it was not sent."""
    values = [value for field, value in headers if field == name]
    return b", ".join(values) if values else None


def _any_match(
    value: bytes, etag: Optional[bytes], exists: bool, match: Callable[[bytes, bytes], bool]
) -> bool:
    if value == b"*":
        return exists
    return etag is not None and any(match(tag, etag) for tag in entity_tags(value))
