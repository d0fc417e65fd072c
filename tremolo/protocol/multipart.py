"""multipart/form-data, incrementally: RFC 7578 on top of RFC 2046 section 5.1.

Knows the body's bytes and nothing of files, forms or the connection. Invariants: every byte
is searched once and copied at most twice, what is kept between two calls is less than one
delimiter or one header section, and each limit acts before the bytes it governs are stored.

Strict where parsers disagree, since a disagreement is how an upload slips past a filter: CRLF
alone ends a line, header lines are not folded, a parameter stands once, the final boundary
must come.
"""

import re
from enum import Enum
from typing import Callable, List, NamedTuple, Optional, Tuple, Union

from tremolo.protocol.options import decode_extended, parse_options_header


class Signal(Enum):
    """What `next_event` gives beside a part's head and its data."""

    PART_END = "part end"
    END = "end"
    NEED_DATA = "need data"

    def __repr__(self) -> str:
        return self.name


PART_END = Signal.PART_END
END = Signal.END
NEED_DATA = Signal.NEED_DATA

# bchars of RFC 2046 section 5.1.1: at most 70 characters, the last of them no space.
_BOUNDARY = re.compile(rb"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\x00-\x08\x0a-\x1f\x7f]*)")
# What makes a boundary at the beginning of a line a delimiter; with anything else behind it, it
# is data. The transport padding of RFC 2046 is a relic of mail: nobody sends any.
_AFTER_BOUNDARY = re.compile(rb"--|[ \t]{0,128}\r\n")
_AFTER_BOUNDARY_BEGUN = re.compile(rb"(?:-|[ \t]{0,128}\r?)\Z")


class MultipartError(Exception):
    """A body that cannot be parsed, or that is over a limit.

    `status` is the response's: 400 for the grammar, 413 for a limit; `reason` is one sentence.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class MultipartLimits:
    """How much one body may hold: all of them totals over the body but the two for a part.

    `parts`: number of parts. `headers` and `header_bytes`: fields of one part, and their bytes
    with line ends. `field_bytes`: data of all parts without a file name together (files are
    limited by the body's own limit, and stored by the caller). `preamble_bytes`: bytes before
    the first boundary.
    """

    __slots__ = ("field_bytes", "header_bytes", "headers", "parts", "preamble_bytes")

    def __init__(
        self,
        parts: int = 100,
        headers: int = 20,
        header_bytes: int = 16384,
        field_bytes: int = 262144,
        preamble_bytes: int = 65536,
    ) -> None:
        self.parts = parts
        self.headers = headers
        self.header_bytes = header_bytes
        self.field_bytes = field_bytes
        self.preamble_bytes = preamble_bytes


class PartBegin(NamedTuple):
    """The head of a part.

    `filename` is None for a form field and is a label for a file, never a path to open;
    `content_type` is the field as sent, None without one (RFC 7578: text/plain then);
    `headers` have lower-case names and stand in wire order.
    """

    name: str
    filename: Optional[str]
    content_type: Optional[str]
    headers: List[Tuple[bytes, bytes]]


Event = Union[PartBegin, bytes, Signal]


def parse_boundary(content_type: Union[str, bytes]) -> bytes:
    """The boundary that a request's Content-Type names.

    Raises MultipartError 400 when the field is not `multipart/...` or has no valid boundary.
    """
    try:
        kind, parameters = parse_options_header(content_type)
    except ValueError as exc:
        raise MultipartError(400, f"invalid Content-Type: {exc}") from None
    if not kind.startswith("multipart/"):
        raise MultipartError(400, "invalid Content-Type: not a multipart type")
    if "boundary" not in parameters:
        raise MultipartError(400, "invalid Content-Type: missing boundary")
    boundary = parameters["boundary"].encode("utf-8")
    if not _BOUNDARY.fullmatch(boundary):
        raise MultipartError(400, "invalid Content-Type: invalid boundary")
    return boundary


class MultipartParser:
    """One multipart/form-data body, pulled.

    Call `receive_data` with what came, then `next_event` until it gives NEED_DATA; at the end
    of the body call `receive_eof` once. Events of a part: PartBegin, any number of `bytes`
    (never empty, as large as the data received allows), PART_END. After the last part: END,
    for good; whatever follows the final boundary is dropped unread. `next_event` raises
    MultipartError, and raises it again whenever it is called after that.
    """

    __slots__ = (
        "_buffer", "_delimiter", "_eof", "_error", "_field_bytes", "_header_bytes", "_headers",
        "_in_field", "_limits", "_line", "_parts", "_pending", "_position", "_preamble_bytes",
        "_state",
    )  # fmt: skip

    def __init__(self, boundary: bytes, limits: Optional[MultipartLimits] = None) -> None:
        """Raises MultipartError 400 for a boundary that RFC 2046 does not allow."""
        if not _BOUNDARY.fullmatch(boundary):
            raise MultipartError(400, "invalid Content-Type: invalid boundary")
        # Holds a single CR, its first byte: no two candidates for a match overlap, so that
        # searching it is linear with any algorithm, whatever boundary and data are.
        self._delimiter = b"\r\n--" + boundary
        self._limits = limits or MultipartLimits()
        # The first boundary may open the body: with this CRLF it is a delimiter as any other.
        self._buffer = b"\r\n"
        self._position = 0
        self._pending: List[bytes] = []
        self._eof = False
        self._error: Optional[MultipartError] = None
        self._line = bytearray()
        self._headers: List[Tuple[bytes, bytes]] = []
        self._header_bytes = 0
        self._preamble_bytes = -2
        self._field_bytes = 0
        self._parts = 0
        self._in_field = False
        self._state: _State = MultipartParser._read_opening

    def receive_data(self, data: bytes) -> None:
        """Take the next bytes of the body. Never raises; `data` may be kept, not copied."""
        if data and self._state is not MultipartParser._read_end:
            self._pending.append(data)

    def receive_eof(self) -> None:
        """The body has ended: `next_event` raises from here on where it would need data."""
        self._eof = True

    def next_event(self) -> Event:
        """The next event; NEED_DATA when there is none until more is received."""
        if self._error is not None:
            raise self._error
        try:
            while True:
                event = self._state(self)
                if event is None:
                    continue
                if event is not NEED_DATA:
                    return event
                if not self._pending:
                    if self._eof:
                        raise MultipartError(400, "the body ended before its final boundary")
                    # Less than a delimiter is left; the segment it came in can go.
                    self._buffer = self._buffer[self._position :]
                    self._position = 0
                    return NEED_DATA
                self._refill()
        except MultipartError as error:
            self._error = error
            self._state = MultipartParser._read_end
            self._read_end()
            raise

    def _refill(self) -> None:
        # What is left is a possible beginning of a delimiter, seldom more than nothing; what
        # is pending is joined at once, so that many small pieces cost no more than one.
        if self._position < len(self._buffer):
            self._pending.insert(0, self._buffer[self._position :])
        self._buffer = self._pending[0] if len(self._pending) == 1 else b"".join(self._pending)
        self._position = 0
        self._pending = []

    # The states: each takes what it can from the buffer and gives an event, NEED_DATA when the
    # buffer does not suffice, or None when the next state is to look at it.

    def _read_opening(self) -> Optional[Event]:
        """The first line that is not empty: a boundary, but for those who send a preamble."""
        start = self._position
        opening = self._buffer[start : start + 4]
        if opening == b"\r\n\r\n":
            self._position += 2
            self._count_preamble(2)
            return None
        if opening in (b"\r\n", b"\r\n\r", b"\r\n-"):
            return NEED_DATA
        if opening == b"\r\n--":
            is_delimiter = self._is_delimiter(start, self._delimiter)
            if is_delimiter is None:
                return NEED_DATA
            if not is_delimiter:
                raise MultipartError(400, "the body begins with another boundary")
        self._state = MultipartParser._read_preamble
        return None

    def _count_preamble(self, size: int) -> None:
        self._preamble_bytes += size
        if self._preamble_bytes > self._limits.preamble_bytes:
            raise MultipartError(413, "too many bytes before the first boundary")

    def _read_preamble(self) -> Optional[Event]:
        start = self._position
        self._position, found = self._find_delimiter()
        self._count_preamble(self._position - start)
        if not found:
            return NEED_DATA
        self._position += len(self._delimiter)
        self._state = MultipartParser._read_delimiter_end
        return None

    def _read_delimiter_end(self) -> Optional[Event]:
        if self._buffer.startswith(b"--", self._position):
            self._state = MultipartParser._read_end
            return None
        self._position = self._buffer.index(b"\n", self._position) + 1
        self._parts += 1
        if self._parts > self._limits.parts:
            raise MultipartError(413, f"more than {self._limits.parts} parts")
        self._headers = []
        self._header_bytes = 0
        self._state = MultipartParser._read_headers
        return None

    def _read_headers(self) -> Optional[Event]:
        limits = self._limits
        while True:
            room = limits.header_bytes - self._header_bytes
            line = self._read_line(room)
            if line is None:
                return NEED_DATA
            self._header_bytes += len(line) + 2
            if not line:
                break
            if len(self._headers) >= limits.headers:
                raise MultipartError(413, f"a part has more than {limits.headers} headers")
            field = _FIELD.fullmatch(line)
            if field is None:
                raise MultipartError(400, "a part has an invalid header line")
            self._headers.append((field[1].lower(), field[2].strip(b" \t")))
        self._state = MultipartParser._read_data_start
        head = _part_begin(self._headers)
        self._in_field = head.filename is None
        return head

    def _read_data_start(self) -> Optional[Event]:
        # RFC 2046: the delimiter's own CRLF may be the one that ended the headers, for a part
        # without any data. Everybody sends both; those who would not are understood.
        boundary = self._delimiter[2:]
        is_delimiter = self._is_delimiter(self._position, boundary)
        if is_delimiter is None:
            return NEED_DATA
        if is_delimiter:
            self._position += len(boundary)
            self._state = MultipartParser._read_delimiter_end
            return PART_END
        self._state = MultipartParser._read_data
        return None

    def _read_data(self) -> Optional[Event]:
        start = self._position
        end, found = self._find_delimiter()
        if end > start:
            if self._in_field:
                self._field_bytes += end - start
                if self._field_bytes > self._limits.field_bytes:
                    raise MultipartError(413, "the form's fields are too large together")
            self._position = end
            return self._buffer[start:end]
        if not found:
            return NEED_DATA
        self._position += len(self._delimiter)
        self._state = MultipartParser._read_delimiter_end
        return PART_END

    def _read_end(self) -> Optional[Event]:
        # Nothing more is wanted, and what comes is dropped.
        self._buffer = b""
        self._position = 0
        self._pending = []
        return END

    def _is_delimiter(self, start: int, delimiter: bytes) -> Optional[bool]:
        """Whether a whole delimiter line begins at `start`; None until enough of it is here."""
        end = start + len(delimiter)
        begun = self._buffer[start:end]
        if begun != delimiter:
            return None if delimiter.startswith(begun) else False
        whole = _AFTER_BOUNDARY.match(self._buffer, end) is not None
        return whole if whole or not _AFTER_BOUNDARY_BEGUN.match(self._buffer, end) else None

    def _find_delimiter(self) -> Tuple[int, bool]:
        """Where the data ends that is no part of a delimiter, and whether one follows."""
        buffer, delimiter = self._buffer, self._delimiter
        start = self._position
        while True:
            found = buffer.find(delimiter, start)
            if found < 0:
                break
            is_delimiter = self._is_delimiter(found, delimiter)
            if is_delimiter is not False:
                return found, bool(is_delimiter)
            start = found + len(delimiter)  # it goes on otherwise: data
        size = len(buffer)  # a delimiter cut off there can begin at the last CR alone
        last = buffer.rfind(b"\r", max(start, size - len(delimiter) + 1))
        if last >= 0 and delimiter.startswith(buffer[last:]):
            return last, False
        return size, False

    def _read_line(self, limit: int) -> Optional[bytes]:
        """The next line of a header, without its CRLF; None until it is complete."""
        start = self._position
        room = limit - len(self._line)
        end = self._buffer.find(b"\n", start, start + room) + 1
        piece = self._buffer[start : end or start + room + 1]
        if len(piece) > room:
            raise MultipartError(413, "the header section of a part is too large")
        self._position = start + len(piece)
        self._line += piece
        if not end:
            return None
        line = bytes(self._line)
        self._line.clear()
        if line[-2:] != b"\r\n":
            raise MultipartError(400, "a line of a part's header ends without CR")
        return line[:-2]


_State = Callable[[MultipartParser], Optional[Event]]


def _part_begin(headers: List[Tuple[bytes, bytes]]) -> PartBegin:
    """What a part's fields say of it (RFC 7578 sections 4.2 and 4.4)."""
    disposition = _only(headers, b"content-disposition")
    content_type = _only(headers, b"content-type")
    if disposition is None:
        raise MultipartError(400, "a part has no Content-Disposition")
    try:
        kind, parameters = parse_options_header(disposition)
        filename = parameters.get("filename")
        if filename is not None:
            filename = _unescape(filename)
        if "filename*" in parameters:
            # RFC 7578 asks senders not to use it; RFC 6266 says that it wins where it stands.
            filename = decode_extended(parameters["filename*"])
    except ValueError as exc:
        reason = f"a part has an invalid Content-Disposition: {exc}"
        raise MultipartError(400, reason) from None
    if kind != "form-data":
        raise MultipartError(400, "the Content-Disposition of a part is not form-data")
    if "name" not in parameters:
        raise MultipartError(400, "a part has no name")
    return PartBegin(
        _unescape(parameters["name"]),
        filename,
        None if content_type is None else content_type.decode("utf-8", "replace"),
        headers,
    )


def _only(headers: List[Tuple[bytes, bytes]], name: bytes) -> Optional[bytes]:
    values = [value for field, value in headers if field == name]
    if len(values) > 1:
        raise MultipartError(400, f"a part has more than one {name.decode('ascii').title()}")
    return values[0] if values else None


def _unescape(text: str) -> str:
    """The name as the user gave it: browsers escape these three characters and no other
    (WHATWG HTML standard, multipart form data)."""
    if "%" not in text:
        return text
    return text.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")
