"""The request parser: data in, events out, pulled (RFC 9112).

Knows the order of a connection's messages and where its unparsed bytes are. Each byte is
looked at a bounded number of times, however the network cuts the input, and body is handed
out without a copy when a read holds nothing else. After a fault nothing more is parsed.
"""

from collections import deque
from enum import Enum
from typing import Deque, Final, List, Optional, Tuple, Union

from .body import BodyReader, ChunkedReader, LengthReader, SectionReader
from .errors import ProtocolError, Truncated
from .fields import Field, FieldBlock, Limits
from .grammar import HEAD_END, METHODS, TARGET
from .head import HeaderCache, RequestHead, parse_head


class Signal(Enum):
    NEED_DATA = "need data"
    END = "end"


# No event before more data comes, or (after a complete message) before next_cycle().
NEED_DATA: Final = Signal.NEED_DATA
# The body is complete, `trailers` are known.
END: Final = Signal.END

Event = Union[RequestHead, bytes, Signal]

_HEAD, _BODY, _COMPLETE, _FAILED, _TAKEN = range(5)

# RFC 9112 section 2.2 wants an empty line before a request accepted; a few are a broken
# client's, more are an attempt to keep us busy.
_MAX_EMPTY_LINES = 4
# Reads that wait are merged up to this size, so that dripped bytes do not cost an object each.
_SMALL_READ = 4096
# Bytes of a head that is kept to know it again, for each connection.
_REPEATED_HEAD = 4096


class RequestParser:
    """Parses the requests of one connection.

    Call `receive_data()` with what was read and `next_event()` until it gives `NEED_DATA`. A
    head whose `has_body` is False is the whole request; otherwise pieces of body and `END`
    follow. Then you must call `next_cycle()` to get the next request; until then its bytes
    wait. `cache` may be shared by parsers with the same limits.
    """

    __slots__ = (
        "_begun", "_block", "_body_limit", "_cache", "_data", "_empty_lines", "_eof", "_fault",
        "_last_block", "_last_head", "_last_line", "_last_section", "_last_size", "_last_target",
        "_limits", "_pos", "_reader", "_section", "_size", "_state", "_target_room",
        "_waiting", "_waiting_bytes", "trailers",
    )  # fmt: skip

    def __init__(self, limits: Limits, cache: Optional[HeaderCache] = None) -> None:
        self._limits = limits
        self._cache = HeaderCache() if cache is None else cache
        self._target_room = limits.request_line - len(b" HTTP/1.1")
        self._state = _HEAD
        self._data = b""
        self._pos = 0
        self._size = 0
        self._waiting: Deque[bytes] = deque()
        self._waiting_bytes = 0
        self._eof = False
        self._fault: Optional[ProtocolError] = None
        self._section = SectionReader(limits.request_line, limits.header_section)
        self._empty_lines = 0  # in halves: CR and LF count one each
        self._begun = False  # a head, or an empty line before it, came in part
        self._last_section = b""  # from the version to the empty line
        self._last_size = 0  # of it, with the space before it
        self._block: Optional[FieldBlock] = None
        # A read that was one head and nothing else, and what it said: who polls repeats it. Kept
        # from the second request in a row for one target on, for many never have a second.
        self._last_head: Optional[bytes] = None
        self._last_line: Tuple[bytes, bytes, bytes, bytes]
        self._last_target = b""
        self._last_block: FieldBlock
        self._reader: Optional[BodyReader] = None
        self._body_limit = limits.body
        self.trailers: List[Field] = []

    # -- what comes in

    def receive_data(self, data: bytes) -> None:
        """Take what was read from the peer; `data` is kept, not copied."""
        if not data:
            return
        waiting = self._waiting
        if self._pos == self._size and not waiting:
            if self._state != _FAILED:
                self._data = data
                self._pos = 0
                self._size = len(data)
            return
        self._waiting_bytes += len(data)
        if waiting and len(waiting[-1]) + len(data) <= _SMALL_READ:
            waiting[-1] += data
        else:
            waiting.append(data)

    def receive_eof(self) -> None:
        """The peer will send no more. In the middle of a message that is a fault."""
        self._eof = True

    # -- what comes out

    def next_event(self) -> Event:
        """The next event, `NEED_DATA` if there is none yet. Raises ProtocolError, for ever."""
        if self._state != _HEAD:
            return self._next_after_head()
        # A head that is the last one once more, or has its header section, written out: a tenth
        # and a seventh of the time. Everything else is left to parse_head(), which decides alone.
        data = self._data
        pos = self._pos
        if data == self._last_head and not pos and not self._begun:
            method, target, path, query = self._last_line
            block = self._last_block
            self._pos = self._size
        else:
            space = data.find(b" ", pos)
            second = data.find(b" ", space + 1)
            known = self._block
            if (
                known is None
                or self._begun
                or not pos < space < second <= pos + self._target_room
                or not data.startswith(self._last_section, second + 1)
            ):
                return self._next_odd_head()
            method = data[pos:space]
            target = data[space + 1 : second]
            if method not in METHODS or target[:1] != b"/" or target.translate(None, TARGET):
                return self._next_odd_head()
            self._pos = second + self._last_size
            path, _, query = target.partition(b"?")
            block = known
            if target != self._last_target:
                self._last_target = target
            elif self._pos == self._size <= _REPEATED_HEAD and not pos:
                self._last_head = data
                self._last_line = method, target, path, query
                self._last_block = block
        head = RequestHead(method, target, path, query, block)
        if block.has_body:
            self._begin_body(head)
        else:
            self._state = _COMPLETE
        return head

    def next_cycle(self) -> bool:
        """Go on to the next request, after `END` or after a head without a body. True if
        something of it has come."""
        if self._state != _COMPLETE:
            if self._state in (_FAILED, _TAKEN):
                return False
            raise RuntimeError("next_cycle() before the end of the message")
        self._state = _HEAD
        self._reader = None
        if self.trailers:
            self.trailers = []
        self._body_limit = self._limits.body
        self._empty_lines = 0
        return self._pos < self._size or self._waiting_bytes > 0

    def set_body_limit(self, limit: Optional[int]) -> None:
        """Another body limit, in bytes, for this message before its body is read; None: none.

        A Content-Length past it makes the next `next_event()` raise 413.
        """
        self._body_limit = limit
        reader = self._reader
        if isinstance(reader, ChunkedReader):
            reader.body_limit = limit
        elif reader is not None and limit is not None and reader.length > limit:
            self._fail(ProtocolError(413, "Payload Too Large"))

    def take_buffered(self) -> bytes:
        """Everything unparsed, for the protocol that follows; this parser is finished then."""
        parts = [bytes(self._section.buffer), self._data[self._pos :], *self._waiting]
        self._drop_input()
        if self._state != _FAILED:
            self._state = _TAKEN
        return b"".join(parts)

    @property
    def buffered(self) -> int:
        """Bytes received and not yet parsed."""
        return self._size - self._pos + self._waiting_bytes + len(self._section.buffer)

    @property
    def at_end(self) -> bool:
        """All of the body was handed out: the next event is `END`."""
        return self._state == _BODY and self._reader is not None and self._reader.done

    @property
    def in_head(self) -> bool:
        """A head has begun to arrive but is incomplete. Empty lines before it do not count."""
        return self._state == _HEAD and bool(self._section.buffer)

    # -- the uncommon

    def _next_after_head(self) -> Event:
        if self._fault is not None:
            # A new one each time: a raised exception grows a traceback.
            raise type(self._fault)(self._fault.status, self._fault.reason)
        reader = self._reader
        if self._state != _BODY or reader is None:
            return NEED_DATA
        try:
            while not reader.done:
                if self._pos == self._size and not self._refill():
                    return self._starved()
                piece, self._pos = reader.read(self._data, self._pos)
                if piece:
                    return piece
        except ProtocolError as fault:
            self._fail(fault)
            raise
        self.trailers = reader.trailers
        self._state = _COMPLETE
        return END

    def _next_odd_head(self) -> Event:
        """Any head: in pieces, not seen before, behind empty lines, faulty."""
        try:
            while True:
                if self._pos == self._size and not self._refill():
                    return self._starved()
                buffer = self._section.buffer
                data = self._data
                if (
                    not buffer
                    and (self._empty_lines % 2 or data[self._pos] <= 0x20)
                    and not self._skip_empty_lines()
                ):
                    continue
                end = -1 if buffer else data.find(HEAD_END, self._pos)
                head: Optional[bytes]
                if end >= 0:
                    head, self._pos = data[self._pos : end], end + 4
                else:
                    head, self._pos = self._section.read(data, self._pos)
                if head is not None:
                    break
            self._begun = False
            request, self._block, section = parse_head(head, self._limits, self._cache)
            self._last_section = section + HEAD_END
            self._last_size = len(section) + 5
            if request.has_body:
                self._begin_body(request)
            else:
                self._state = _COMPLETE
            return request
        except ProtocolError as fault:
            self._fail(fault)
            raise

    def _skip_empty_lines(self) -> bool:
        """Pass CRLFs before a request line. False when the data ends with them."""
        data = self._data
        while self._pos < self._size:
            expected = 0x0A if self._empty_lines % 2 else 0x0D
            if data[self._pos] != expected:
                if expected == 0x0A or data[self._pos] == 0x0A:
                    raise ProtocolError(400, "bad request: a line does not end with CRLF")
                return True
            self._empty_lines += 1
            if self._empty_lines > 2 * _MAX_EMPTY_LINES:
                raise ProtocolError(400, "bad request: too many empty lines before it")
            self._pos += 1
        return False

    def _begin_body(self, head: RequestHead) -> None:
        length = head.content_length
        limit = self._body_limit
        if length is None:
            self._reader = ChunkedReader(self._limits, limit)
        elif limit is None or length <= limit:
            self._reader = LengthReader(length)
        else:
            if head.expect_continue:
                fault = ProtocolError(417, "Expectation Failed")
            else:
                fault = ProtocolError(413, "Payload Too Large")
            self._fail(fault)
            raise fault
        self._state = _BODY

    def _refill(self) -> bool:
        """Take the next read that waits, if there is one."""
        if not self._waiting:
            return False
        self._data = self._waiting.popleft()
        self._pos = 0
        self._size = len(self._data)
        self._waiting_bytes -= self._size
        return True

    def _starved(self) -> Event:
        self._data = b""  # let go of what was parsed
        self._pos = self._size = 0
        self._begun = bool(self._section.buffer) or self._empty_lines % 2 == 1
        if self._eof and (self._state == _BODY or self._section.buffer):
            raise Truncated(400, "bad request: the connection ended in the middle of it")
        return NEED_DATA

    def _fail(self, fault: ProtocolError) -> None:
        # A copy: the one that is raised holds frames, and they hold the input.
        self._fault = type(fault)(fault.status, fault.reason)
        self._state = _FAILED
        self._reader = None
        self._drop_input()

    def _drop_input(self) -> None:
        self._data = b""
        self._pos = self._size = 0
        self._waiting.clear()
        self._waiting_bytes = 0
        self._section.clear()
