"""Field lines: from bytes to name-value pairs, and what the pairs mean for the connection.

Knows field syntax and the fields that decide framing, routing and persistence. Shared by the
head and the trailer section. Names come out lower-case, values without SP and HTAB around.
"""

from typing import Dict, List, Optional, Tuple

from .errors import ProtocolError
from .grammar import AUTHORITY, BARE_LINE_END, CRLF, HEAD_END, KNOWN_NAMES, OWS, TEXT, TOKEN

Field = Tuple[bytes, bytes]

_ONCE = {
    b"host": "bad request: more than one Host",
    b"content-length": "bad Content-Length",
    b"content-type": "bad request: more than one Content-Type",
    b"expect": "bad request: more than one Expect",
}
_TOKEN_BYTES = frozenset(TOKEN)


class _Names(Dict[bytes, bytes]):
    """Known names, found without a call. Others are checked and never stored: the client
    chooses them."""

    def __missing__(self, name: bytes) -> bytes:
        if not name or name.translate(None, TOKEN):
            raise ProtocolError(400, "bad request: a field name is not a token")
        return name.lower()


_NAMES = _Names(KNOWN_NAMES)


class Limits:
    """What a request may cost, in bytes unless said otherwise.

    `request_line` without its CRLF; `header_section` field lines with their CRLFs, also those
    of trailers; `fields` their number; `chunk_line` a chunk's size and extensions; `body` the
    body, None for no limit. A request past one of them is refused before it is stored.
    """

    __slots__ = ("body", "chunk_line", "fields", "header_section", "request_line")

    def __init__(
        self,
        request_line: int = 8192,
        header_section: int = 32768,
        fields: int = 100,
        chunk_line: int = 256,
        body: Optional[int] = None,
    ) -> None:
        self.request_line = request_line
        self.header_section = header_section
        self.fields = fields
        self.chunk_line = chunk_line
        self.body = body


def first_fault(
    prefix: bytes, line_limit: int, section_limit: int
) -> Optional[ProtocolError]:
    """The fault that a reader of single bytes would meet first in `prefix`, the beginning of
    a head or (beginning with CRLF) of a trailer section; None if it may still become one.

    One function decides for heads that came whole and for those that came in pieces, so
    that the answer never depends on how the network cut them.
    """
    if prefix[0] != 0x0D and prefix[0] not in _TOKEN_BYTES:
        return ProtocolError(400, "bad request: not a request")
    bare = BARE_LINE_END.search(prefix)
    bare_at = len(prefix)
    if bare is not None:  # a CR shows itself as bare with the byte after it
        bare_at = bare.start() + (prefix[bare.start()] == 0x0D)
    line_end = prefix.find(CRLF, 0, line_limit + 2)
    if line_end < 0:
        if line_limit + 1 < bare_at:
            if not prefix[: line_limit + 1].translate(None, TOKEN):
                # RFC 9112 section 3: longer than any method that there is
                return ProtocolError(501, "Not Implemented: the method is too long")
            return ProtocolError(414, "request line too long")
    else:
        stop = line_end + 2 + section_limit + 2
        if stop - 1 < bare_at and prefix.find(HEAD_END, line_end, stop) < 0:
            return ProtocolError(431, "request header too large")
    if bare is not None:
        return ProtocolError(400, "bad request: a line does not end with CRLF")
    return None


def split_lines(section: bytes, line_limit: int, section_limit: int) -> List[bytes]:
    """The lines of a whole head or trailer section (without its last CRLFs).

    Refuses control characters, and line ends other than CRLF.
    """
    lines = section.splitlines()
    # What is not TEXT must be one CRLF a line and nothing else. Were a line end bare CR or LF,
    # or another control character among them, the two sides would differ.
    if section.translate(None, TEXT) != CRLF * (len(lines) - 1):
        fault = first_fault(section + HEAD_END, line_limit, section_limit)
        raise fault or ProtocolError(400, "bad request: a control character in the header")
    return lines


def parse_fields(lines: List[bytes], limit: int) -> List[Field]:
    """Field lines (RFC 9112 section 5) that came from `split_lines()`.

    A folded line is refused (deliberately strict): it begins with a space, which no name does.
    """
    if len(lines) > limit:
        raise ProtocolError(431, "request header too large: too many fields")
    names = _NAMES
    try:
        # strip() takes more than SP and HTAB, but nothing else of it has passed split_lines().
        return [
            (names[name], value.strip())
            for name, value in [line.split(b":", 1) for line in lines]
        ]
    except ValueError:
        raise ProtocolError(400, "bad request: a field line without a colon") from None


class FieldBlock:
    """A header section and what it says; shared between requests, so never handed out."""

    __slots__ = (
        "chunked", "content_length", "expect_continue", "has_body", "headers", "host",
        "keep_alive", "size", "upgrade", "version",
    )  # fmt: skip

    version: bytes
    headers: List[Field]
    host: bytes
    content_length: Optional[int]
    chunked: bool
    has_body: bool
    keep_alive: bool
    expect_continue: bool
    upgrade: Optional[bytes]
    size: int

    def __init__(self, version: bytes, headers: List[Field], size: int) -> None:
        self.version = version
        self.headers = headers
        self.size = size
        modern = version == b"1.1"
        fields = dict(headers)
        if len(fields) != len(headers):
            _refuse_repetition(headers)
            if b"transfer-encoding" in fields:  # its lines are one list (RFC 9110 section 5.3)
                fields[b"transfer-encoding"] = b", ".join(
                    [value for name, value in headers if name == b"transfer-encoding"])
        host = fields.get(b"host")
        if host is None:
            if modern:
                raise ProtocolError(400, "bad request: no Host")
            host = b""
        elif AUTHORITY.fullmatch(host) is None:
            raise ProtocolError(400, "bad request: invalid Host")
        self.host = host
        self.content_length = None
        self.chunked = self.has_body = self.expect_continue = False
        if b"transfer-encoding" in fields or b"content-length" in fields:
            self._set_framing(fields, modern)
        self.keep_alive = modern
        self.upgrade = None
        connection = fields.get(b"connection")
        if connection is not None:
            if len(fields) == len(headers) and connection.lower() == b"keep-alive":
                self.keep_alive = True
            else:
                self._set_connection(headers, modern)
        # An HTTP/1.0 client's expectation is ignored: RFC 9110 section 10.1.1.
        if b"expect" in fields and modern:
            if fields[b"expect"].lower() != b"100-continue":
                raise ProtocolError(417, "Expectation Failed: only 100-continue is known")
            self.expect_continue = self.has_body

    def _set_framing(self, fields: Dict[bytes, bytes], modern: bool) -> None:
        """RFC 9112 section 6, without its leniencies: each of them has hidden a request."""
        length = fields.get(b"content-length")
        coding = fields.get(b"transfer-encoding")
        if coding is None:
            # bytes.isdigit() knows ASCII digits only; at most 16 of them before int().
            if length is None or len(length) > 16 or not length.isdigit():
                raise ProtocolError(400, "bad Content-Length")
            self.content_length = int(length)
            self.has_body = self.content_length > 0
            return
        if not modern:
            raise ProtocolError(400, "unexpected Transfer-Encoding")
        if length is not None:
            raise ProtocolError(400, "ambiguous Content-Length")
        if coding.lower() != b"chunked":
            codings = list_elements([coding])
            if codings[-1:] == [b"chunked"] and codings.count(b"chunked") == 1 < len(codings):
                raise ProtocolError(501, "unexpected Transfer-Encoding: only chunked is known")
            raise ProtocolError(400, "unexpected Transfer-Encoding")
        self.chunked = self.has_body = True

    def _set_connection(self, headers: List[Field], modern: bool) -> None:
        options = list_elements([value for name, value in headers if name == b"connection"])
        if b"close" in options:
            self.keep_alive = False
        elif b"keep-alive" in options:
            self.keep_alive = True
        if modern and b"upgrade" in options:
            offers = [value for name, value in headers if name == b"upgrade"]
            if offers:
                self.upgrade = b", ".join(offers).lower()


def _refuse_repetition(headers: List[Field]) -> None:
    """Some field occurs twice: fine for most, a way to hide a request for these."""
    seen = set()
    for name, _ in headers:
        if name in _ONCE and name in seen:
            raise ProtocolError(400, _ONCE[name])
        seen.add(name)


def list_elements(values: List[bytes]) -> List[bytes]:
    """The lower-case, non-empty elements of comma-separated lists (RFC 9110, 5.6.1)."""
    elements = [part.strip(OWS).lower() for value in values for part in value.split(b",")]
    return [element for element in elements if element]
