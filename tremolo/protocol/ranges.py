"""Range requests: which bytes are asked for, and how several ranges are framed.

RFC 9110 section 14, bytes being the only unit. Knows the size of a representation, not its
bytes. Ranges are an option of the server's: what is malformed, unknown or excessive gets the
whole representation, never an error (section 14.2).
"""

import re
from typing import Iterator, List, NamedTuple, Optional, Tuple, Union

from tremolo.protocol.conditional import Headers, field_value, if_range_holds

_RANGE_SPEC = re.compile(rb"([0-9]+)-([0-9]*)|-([0-9]+)")
_BOUNDARY = re.compile(rb"[0-9A-Za-z'+_.-]{1,70}")
# Larger than any file: stands for every number with more digits, none of which is converted.
_BEYOND = 10**18


class ByteRange(NamedTuple):
    """The bytes from `start` up to, not including, `stop`."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        return self.stop - self.start

    def content_range(self, size: int) -> bytes:
        """The value of Content-Range, of a representation of `size` bytes."""
        return b"bytes %d-%d/%d" % (self.start, self.stop - 1, size)


class Selection(NamedTuple):
    """The answer to a Range: 200 with the whole representation, 206 with `ranges` (one, or
    several to be sent as multipart/byteranges), or 416."""

    status: int
    ranges: Tuple[ByteRange, ...]


_WHOLE = Selection(200, ())
_UNSATISFIABLE = Selection(416, ())


def unsatisfied_range(size: int) -> bytes:
    """The value of Content-Range that a 416 carries."""
    return b"bytes */%d" % size


def select(
    method: bytes,
    headers: Headers,
    size: int,
    etag: Optional[bytes] = None,
    last_modified: Optional[float] = None,
    *,
    max_ranges: int = 10,
    now: Optional[float] = None,
) -> Selection:
    """What a request asks for of a representation of `size` bytes, its If-Range considered.

    Only GET has ranges. To be asked after `conditional.evaluate` said 200; the validators are
    the same as there.
    """
    if method != b"GET":
        return _WHOLE
    headers = list(headers)
    value = field_value(headers, b"range")
    if value is None:
        return _WHOLE
    if_range = field_value(headers, b"if-range")
    if if_range is not None and not if_range_holds(if_range, etag, last_modified, now):
        return _WHOLE
    return parse_range(value, size, max_ranges)


def parse_range(value: bytes, size: int, max_ranges: int = 10) -> Selection:
    """The ranges of a Range field, within a representation of `size` bytes.

    Ranges that overlap or touch become one; the others stay in the order of the field. More
    than `max_ranges`, another unit, or a malformed field: the whole representation.
    """
    unit, equals, range_set = value.partition(b"=")
    if not equals or unit.lower() != b"bytes" or range_set.count(b",") >= max_ranges:
        return _WHOLE
    ranges: List[ByteRange] = []
    asked = 0
    for range_spec in range_set.split(b","):
        range_spec = range_spec.strip(b" \t")
        if not range_spec:
            continue  # an empty element of the list (RFC 9110 section 5.6.1.2)
        match = _RANGE_SPEC.fullmatch(range_spec)
        if match is None:
            return _WHOLE
        asked += 1
        if match[3] is not None:
            length = _number(match[3])
            if length and not size:
                # Satisfiable by the RFC's definition, and without a Content-Range to say so.
                return _WHOLE
            start, stop = max(0, size - length), size
        else:
            start = _number(match[1])
            last = _number(match[2]) if match[2] else _BEYOND
            if last < start:
                return _WHOLE
            stop = min(last + 1, size)
        if start < stop:
            ranges.append(ByteRange(start, stop))
    if not asked:
        return _WHOLE
    return Selection(206, _coalesce(ranges)) if ranges else _UNSATISFIABLE


def _number(digits: bytes) -> int:
    # int() on attacker's digits takes quadratic time, and raises above 4300 of them.
    digits = digits.lstrip(b"0")
    return int(digits or b"0") if len(digits) <= 18 else _BEYOND


def _coalesce(ranges: List[ByteRange]) -> Tuple[ByteRange, ...]:
    merged: List[ByteRange] = []
    for candidate in sorted(ranges):
        if merged and candidate.start <= merged[-1].stop:
            merged[-1] = ByteRange(merged[-1].start, max(merged[-1].stop, candidate.stop))
        else:
            merged.append(candidate)
    # The order of the request again, each range at the place of the first that went into it.
    in_order = [
        whole for part in ranges for whole in merged if whole.start <= part.start < whole.stop
    ]
    return tuple(dict.fromkeys(in_order))


class MultipartByteranges:
    """The framing of a 206 with several ranges (section 14.6).

    Send `head(range)` and then the range's bytes for each range, then `tail`; together they
    are exactly `length` bytes. The boundary is the caller's, who must make sure that it is not
    in the data: 16 random bytes in hexadecimal are enough.
    """

    __slots__ = ("_fields", "boundary", "length", "ranges", "size", "tail")

    def __init__(
        self,
        boundary: bytes,
        ranges: Tuple[ByteRange, ...],
        size: int,
        content_type: Optional[Union[str, bytes]] = None,
    ) -> None:
        """`content_type` is the representation's own, for each part. Raises ValueError for an
        invalid boundary or content type."""
        if not _BOUNDARY.fullmatch(boundary):
            raise ValueError(f"a boundary has 1 to 70 characters, got {boundary!r}")
        if isinstance(content_type, str):
            content_type = content_type.encode("latin-1")
        if content_type and not content_type.isascii():
            raise ValueError(f"a content type is ASCII, got {content_type!r}")
        if content_type and (b"\r" in content_type or b"\n" in content_type):
            raise ValueError(f"a content type has no line end, got {content_type!r}")
        self.boundary = boundary
        self.ranges = ranges
        self.size = size
        self._fields = b"Content-Type: " + content_type + b"\r\n" if content_type else b""
        self.tail = b"\r\n--" + boundary + b"--\r\n"
        self.length = len(self.tail) + sum(
            len(self.head(byte_range)) + byte_range.length for byte_range in ranges
        )

    @property
    def content_type(self) -> bytes:
        """The value of the response's Content-Type."""
        return b"multipart/byteranges; boundary=" + self.boundary

    def head(self, byte_range: ByteRange) -> bytes:
        """What stands before the bytes of a range; the first one's line end is a preamble."""
        return b"\r\n--%s\r\n%sContent-Range: %s\r\n\r\n" % (
            self.boundary,
            self._fields,
            byte_range.content_range(self.size),
        )

    def __iter__(self) -> Iterator[Tuple[bytes, ByteRange]]:
        return ((self.head(byte_range), byte_range) for byte_range in self.ranges)
