"""One reader a body framing, and the reader for sections that arrive in pieces.

`read(data, pos)` takes body from `data` beginning at `pos` and returns a piece (b"" if there
was only framing) with the new position. `done` says that the message is complete. Pieces are
`data` itself where a read holds nothing but body.
"""

from typing import List, Optional, Tuple, Union

from .errors import ProtocolError
from .fields import Field, Limits, first_fault, parse_fields, split_lines
from .grammar import (
    BARE_LINE_END,
    CHUNK_EXTENSION,
    CHUNK_SIZE,
    CRLF,
    FRAMING,
    HEAD_END,
    NOT_IN_TRAILERS,
)

# Pieces below this are joined, so that tiny chunks do not cost an event each; bigger ones are
# handed out as they are, so that they are not copied twice.
_LARGE_PIECE = 4096

_SIZE, _DATA, _CR, _LF, _TRAILERS = range(5)


class SectionReader:
    """Collects a head or a trailer section that comes in pieces, in time linear in its size.

    Stores no more than the limits allow; bytes behind the section are not touched. For
    a trailer section `line_limit` is 0 and `buffer` begins with the CRLF before it.
    """

    __slots__ = ("_line_limit", "_room", "_section_limit", "_threshold", "buffer")

    def __init__(self, line_limit: int, section_limit: int, begun: bytes = b"") -> None:
        self.buffer = bytearray(begun)
        self._line_limit = line_limit
        self._section_limit = section_limit
        self._room = line_limit + section_limit + 4
        self._threshold = line_limit + 2

    def read(self, data: bytes, pos: int) -> Tuple[Optional[bytes], int]:
        """The section without its last CRLFs, once it is complete; and the new position."""
        buffer = self.buffer
        before = len(buffer)
        buffer += data[pos : pos + self._room - before]
        end = buffer.find(HEAD_END, max(0, before - 3))
        if end >= 0:
            section = bytes(buffer[:end])
            self.clear()
            return section, pos + end + 4 - before
        # Said at once instead of after a timeout, above all to those who end lines with LF.
        if (
            before == 0
            or len(buffer) >= self._threshold
            or BARE_LINE_END.search(buffer, max(0, before - 1)) is not None
        ):
            fault = first_fault(bytes(buffer), self._line_limit, self._section_limit)
            if fault is not None:
                raise fault
            if len(buffer) >= self._threshold:
                self._threshold = buffer.find(CRLF) + self._section_limit + 4
        return None, pos + len(buffer) - before

    def clear(self) -> None:
        self.buffer.clear()
        self._threshold = self._line_limit + 2


class LengthReader:
    """A body of Content-Length bytes."""

    __slots__ = ("_remaining", "done", "length", "trailers")

    def __init__(self, length: int) -> None:
        self.length = length
        self._remaining = length
        self.done = False
        self.trailers: List[Field] = []

    def read(self, data: bytes, pos: int) -> Tuple[bytes, int]:
        size = len(data)
        end = pos + self._remaining
        if end > size:
            end = size
        self._remaining -= end - pos
        self.done = self._remaining == 0
        if pos == 0 and end == size:
            return data, end
        return data[pos:end], end


class ChunkedReader:
    """A body with chunked framing (RFC 9112 section 7.1), whose extensions are ignored."""

    __slots__ = (
        "_extensions", "_fault", "_limits", "_line", "_remaining", "_section", "_state",
        "body_limit", "done", "total", "trailers",
    )  # fmt: skip

    _section: SectionReader  # from the last chunk on

    def __init__(self, limits: Limits, body_limit: Optional[int]) -> None:
        self._limits = limits
        self._state = _SIZE
        self._line = b""
        self._remaining = 0
        self._extensions = 0
        self._fault: Optional[ProtocolError] = None
        self.body_limit = body_limit
        self.total = 0
        self.done = False
        self.trailers: List[Field] = []

    def read(self, data: bytes, pos: int) -> Tuple[bytes, int]:
        if self._fault is not None:
            raise self._fault
        size = len(data)
        pieces: List[bytes] = []
        while pos < size and not self.done:
            if self._state != _DATA:
                try:
                    pos = self._read_framing(data, pos)
                except ProtocolError as fault:
                    if not pieces:
                        raise
                    self._fault = fault.with_traceback(None)  # first what came before it
                    break
                continue
            end = min(size, pos + self._remaining)
            if end - pos >= _LARGE_PIECE and pieces:
                break
            piece = data if end - pos == size else data[pos:end]
            self._remaining -= end - pos
            if not self._remaining:
                self._state = _CR
            if end - pos >= _LARGE_PIECE:
                return piece, end
            pieces.append(piece)
            pos = end
        if len(pieces) == 1:
            return pieces[0], pos
        return b"".join(pieces), pos

    def _read_framing(self, data: bytes, pos: int) -> int:
        """Take one element of framing, or what is there of it."""
        if self._state == _SIZE:
            return self._read_size(data, pos)
        if self._state == _TRAILERS:
            return self._read_trailers(data, pos)
        # The two bytes after a chunk's data are compared, not skipped.
        if self._state == _CR:
            if data[pos : pos + 2] == CRLF:
                self._state = _SIZE
                return pos + 2
            if data[pos] == 0x0D and pos + 1 == len(data):
                self._state = _LF
                return pos + 1
        elif data[pos] == 0x0A:
            self._state = _SIZE
            return pos + 1
        raise ProtocolError(400, "bad chunked encoding: invalid chunk terminator")

    def _read_size(self, data: bytes, pos: int) -> int:
        limit = self._limits.chunk_line
        before = len(self._line)
        line = data[pos : pos + limit + 2 - before]
        if before:
            line = self._line + line
        end = line.find(CRLF)
        if end < 0:
            if len(line) < limit + 2 and BARE_LINE_END.search(line) is None:
                self._line = line
                return len(data)
            raise _chunk_line_fault(line)
        match = CHUNK_SIZE.match(line)
        if match is None:
            raise _chunk_line_fault(line)
        length = int(match.group(), 16)
        if match.end() != end:
            _check_extensions(line, match.end(), end)
        total = self.total + length
        if self.body_limit is not None and total > self.body_limit:
            raise ProtocolError(413, "payload too large")
        # Extensions carry nothing for us: no more of them than body, but for a start.
        extensions = self._extensions + end - match.end()
        if extensions > total + self._limits.header_section:
            raise ProtocolError(400, "bad chunked encoding: too many chunk extensions")
        self._extensions = extensions
        self._line = b""
        self.total = total
        if length:
            self._remaining = length
            self._state = _DATA
        else:
            self._section = SectionReader(0, self._limits.header_section, CRLF)
            self._state = _TRAILERS
        return pos + end + 2 - before

    def _read_trailers(self, data: bytes, pos: int) -> int:
        section, pos = self._section.read(data, pos)
        if section is not None:
            if section:
                lines = split_lines(section, 0, self._limits.header_section)
                fields = parse_fields(lines[1:], self._limits.fields)
                if not FRAMING.isdisjoint(name for name, _ in fields):
                    raise ProtocolError(400, "bad chunked encoding: framing in the trailers")
                self.trailers = [field for field in fields if field[0] not in NOT_IN_TRAILERS]
            self.done = True
        return pos


def _check_extensions(line: bytes, pos: int, end: int) -> None:
    while pos < end:
        match = CHUNK_EXTENSION.match(line, pos, end)
        if match is None:
            raise ProtocolError(400, "bad chunked encoding")
        pos = match.end()


def _chunk_line_fault(line: bytes) -> ProtocolError:
    """`line` begins with a chunk line that is malformed or too long."""
    if line[:1] not in b"0123456789abcdefABCDEF":
        return ProtocolError(400, "bad chunked encoding: no chunk size")
    return ProtocolError(400, "bad chunked encoding")


BodyReader = Union[LengthReader, ChunkedReader]
