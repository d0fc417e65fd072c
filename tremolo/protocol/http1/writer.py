"""The response writer: events in, bytes out, for one response (RFC 9112 sections 4, 6, 7).

Decides framing from method, version, status, fields and known length; checks all that it
sends; counts the body, so that no response is ever longer or shorter than it promised.
"""

import re
from http import HTTPStatus
from typing import Dict, Iterable, List, Optional, Sequence, Tuple

from .errors import ExcessBody, ProtocolError, ResponseError, ShortBody
from .fields import Field, list_elements
from .grammar import KNOWN_NAMES, NOT_IN_TRAILERS, OWS, TEXT, TOKEN

_STATUS_LINES: Dict[int, bytes] = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode())
    for status in HTTPStatus
}
_NO_BODY = frozenset((101, 204, 205, 304))
# Content-Length of these would be wrong (RFC 9110 section 8.6) or is always 0 (15.3.6).
_NO_LENGTH = frozenset((101, 204, 205))

_WAITING, _BODY, _ENDED = range(3)

# RFC 9112 section 4
_RAW_HEAD = re.compile(rb"HTTP/1\.[01] ([1-9][0-9][0-9])[ \r].*?\r\n\r\n", re.DOTALL)


class _Block:
    """A response's fields, checked and encoded, without those that the writer decides."""

    __slots__ = ("chunked", "close", "lines", "names", "options", "preface", "preface_left")

    def __init__(self, headers: Iterable[Field]) -> None:
        lines: List[bytes] = []
        names: List[bytes] = []
        options: List[bytes] = []
        codings: List[bytes] = []
        for name, value in headers:
            lower = _checked_name(name, value)
            names.append(lower)
            if lower == b"transfer-encoding":
                codings.append(value)
            elif lower == b"connection":
                options.append(value)
            elif lower != b"content-length":
                lines.append(b"%b: %b\r\n" % (name, value))
        self.lines = b"".join(lines)
        self.names = frozenset(names)
        self.chunked = list_elements(codings) == [b"chunked"]
        elements = list_elements(options)
        self.close = b"close" in elements
        self.options = b", ".join(
            element for element in elements if element not in (b"close", b"keep-alive")
        )
        self.preface = self.preface_left = b""

    def without_own(self, preface: bytes) -> bytes:
        """`preface` without the fields that this block has itself; remembers the last one."""
        if preface != self.preface:
            self.preface_left = b"".join(
                line
                for line in preface.splitlines(keepends=True)
                if line.partition(b":")[0].lower() not in self.names
            )
            self.preface = preface
        return self.preface_left


# Memories of pure functions, bounded in entries and bytes: applications send the same fields
# again and again, often with another Content-Length. Emptied when full, which is one
# atomic step for programs with a loop in more than one thread.
_MAX_KNOWN = 256
_MAX_KNOWN_SIZE = 2048
_known: Dict[Tuple[Field, ...], Tuple[_Block, Optional[int]]] = {}
_known_blocks: Dict[Tuple[Field, ...], _Block] = {}


def _encode(headers: Iterable[Field]) -> Tuple[_Block, Optional[int]]:
    """The fields' block and their Content-Length. Pairs may be lists, as in ASGI examples."""
    others: List[Field] = []
    lengths: List[bytes] = []
    for field in headers:
        try:
            name, value = field
        except (TypeError, ValueError):
            raise ValueError(f"a header is a pair of name and value, not {field!r}") from None
        if not isinstance(name, bytes) or not isinstance(value, bytes):
            raise ValueError(f"a header's name and value must be bytes, not {field!r}")
        if name.lower() == b"content-length":
            lengths.append(value)
        else:
            others.append((name, value))
    length = _checked_length(lengths) if lengths else None
    key = tuple(others)
    block = _known_blocks.get(key)
    if block is None:
        block = _Block(others)
        if len(block.lines) <= _MAX_KNOWN_SIZE:
            if len(_known_blocks) >= _MAX_KNOWN:
                _known_blocks.clear()
            _known_blocks[key] = block
    return block, length


def _encode_known(headers: Tuple[Field, ...]) -> Tuple[_Block, Optional[int]]:
    """As `_encode()`, from memory if these very fields have been sent before."""
    try:
        known = _known.get(headers)
    except TypeError:  # a pair is a list, or holds something that is not bytes
        return _encode(headers)
    if known is None:
        known = _encode(headers)
        if len(known[0].lines) <= _MAX_KNOWN_SIZE:
            if len(_known) >= _MAX_KNOWN:
                _known.clear()
            _known[headers] = known
    return known


def _checked_name(name: bytes, value: bytes) -> bytes:
    """The lower-case name of a field that may be sent (RFC 9110 section 5)."""
    lower = KNOWN_NAMES.get(name)
    if lower is None:
        if not name or name.translate(None, TOKEN):
            raise ValueError(f"invalid header name {name!r}: not a token")
        lower = name.lower()
    if value.translate(None, TEXT):
        raise ValueError(f"invalid value of the header {name!r}: a control character in it")
    return lower


def _checked_length(values: List[bytes]) -> int:
    value = values[0].strip(OWS)
    if len(values) > 1:
        raise ValueError("more than one Content-Length")
    if not value.isdigit() or len(value) > 16:
        raise ValueError(f"invalid Content-Length {value!r}: not a number of bytes")
    return int(value)


def _status_line(status: int, reason: bytes) -> bytes:
    if (status < 200 and status != 101) or status > 999:
        raise ValueError(f"{status} is not the status of a final response")
    if reason:
        if not isinstance(reason, bytes) or reason.translate(None, TEXT):
            raise ValueError(f"invalid reason phrase {reason!r}")
        return b"HTTP/1.1 %d %b\r\n" % (status, reason)
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


def check_head(status: int, headers: Iterable[Field], reason: bytes = b"") -> None:
    """Raise ValueError for what `ResponseWriter.head` would refuse to send, for callers that are
    given a head some time before it leaves."""
    _encode_known(tuple(headers))
    _status_line(status, reason)


class ResponseWriter:
    """Frames one response: `head()`, any number of `body()`, then `end()`.

    `method` and `version` are the request's, `keep_alive` says whether the connection may
    persist. After `head()`: `keep_alive` is what was decided, and when it is False you must
    close the connection after the response; `length` is the promised number of body bytes.
    """

    __slots__ = (
        "_method", "_state", "_version", "body_allowed", "body_bytes", "chunked", "keep_alive",
        "length",
    )  # fmt: skip

    def __init__(self, method: bytes, version: bytes, keep_alive: bool) -> None:
        self._method = method
        self._version = version
        self._state = _WAITING
        self.keep_alive = keep_alive
        self.body_allowed = True
        self.chunked = False
        self.length: Optional[int] = None
        self.body_bytes = 0

    def head(
        self,
        status: int,
        headers: Iterable[Field],
        reason: bytes = b"",
        length: Optional[int] = None,
        preface: bytes = b"",
    ) -> bytes:
        """The response head.

        `headers` are sent as given, but for Connection, Content-Length and Transfer-Encoding,
        which are decided here. `length` is the number of body bytes if the caller knows
        it and `headers` have no Content-Length. `preface` are ready-made field lines; those
        that `headers` have too are left out. Raises ValueError, and has then done nothing, for
        what may not be sent; ResponseError when a head was made before.
        """
        if self._state != _WAITING:
            raise ResponseError("the response has already started")
        block, own_length = _encode_known(tuple(headers))
        if length is not None and length < 0:
            raise ValueError(f"a body cannot have {length} bytes")
        line = None if reason or status < 200 else _STATUS_LINES.get(status)
        if line is None:
            line = _status_line(status, reason)
        before = block.without_own(preface) if preface else b""
        modern = self._version == b"1.1"
        if block.close:
            self.keep_alive = False
        framing = b""
        if status in _NO_BODY or self._method == b"HEAD":
            self.body_allowed = False
            framing = self._length_without_body(status, own_length, length)
        elif own_length is not None:
            self.length = own_length
            framing = b"content-length: %d\r\n" % own_length
        elif length is not None and not (block.chunked and modern):
            self.length = length
            framing = b"content-length: %d\r\n" % length
        elif modern:
            self.chunked = True
            framing = b"transfer-encoding: chunked\r\n"
        else:  # the end of the connection is the end of the body
            self.keep_alive = False
        if not (self.keep_alive and modern) or block.options:
            framing += self._connection(status, block.options)
        self._state = _BODY
        return b"".join((line, before, block.lines, framing, b"\r\n"))

    def _length_without_body(
        self, status: int, own: Optional[int], length: Optional[int]
    ) -> bytes:
        """Content-Length for HEAD and statuses without body: of what GET would have sent.

        A `length` of 0 says nothing then: the application may just have sent no body.
        """
        if status in _NO_LENGTH:
            return b"content-length: 0\r\n" if status == 205 else b""
        if own is None and length and status != 304:
            own = length
        return b"" if own is None else b"content-length: %d\r\n" % own

    def _connection(self, status: int, options: bytes) -> bytes:
        if status == 101:
            return b"connection: %b\r\n" % (options or b"upgrade")
        if not self.keep_alive:
            option = b"close"
        elif self._version != b"1.1":
            option = b"keep-alive"
        else:
            return b"connection: %b\r\n" % options
        return b"connection: %b\r\n" % (options + b", " + option if options else option)

    def body(self, data: bytes) -> bytes:
        """`data` as it goes on the wire; b"" where the response has no body.

        Raises ExcessBody, with what still fits, when Content-Length promised less.
        """
        if self._state != _BODY:
            raise ResponseError("body before the response started or after it ended")
        size = len(data)
        if not self.body_allowed or not size:
            self.body_bytes += size
            return b""
        if self.chunked:
            self.body_bytes += size
            return b"%x\r\n%b\r\n" % (size, data)
        total = self.body_bytes + size
        if self.length is not None and total > self.length:
            allowed = data[: self.length - self.body_bytes]
            self.body_bytes = self.length
            raise ExcessBody(self.length, bytes(allowed))
        self.body_bytes = total
        return data

    def last(self, data: bytes, trailers: Sequence[Field] = ()) -> Tuple[bytes, bytes]:
        """`body(data)` and `end(trailers)` in one; raises as they do."""
        if self.length == len(data) and not self.body_bytes and self.body_allowed \
                and self._state == _BODY and not trailers:
            self.body_bytes = self.length
            self._state = _ENDED
            return data, b""
        return self.body(data), self.end(trailers)

    def unframe(self) -> None:
        """From here on the application frames the response: `body()` gives back what it gets,
        `end()` nothing, and a head that was not made is the application's too.

        Nobody else knows then where the body ends, so that `keep_alive` becomes False. Nothing
        changes where the head has promised a length or there is no body: what is written are
        the bytes of the body anyway. Raises ResponseError after `end()`.
        """
        if self._state == _ENDED:
            raise ResponseError("raw bytes after the response ended")
        if self._state == _WAITING or self.chunked:
            self.chunked = self.keep_alive = False
        self._state = _BODY

    def end(self, trailers: Sequence[Field] = ()) -> bytes:
        """What completes the response.

        Trailers are sent with chunked framing and checked but left out otherwise. Raises
        ValueError for a trailer that may not be one, ShortBody when less than Content-Length
        was written: the connection must then be closed.
        """
        if self._state != _BODY:
            raise ResponseError("end of a response that has not started or has ended")
        lines = self._trailers(trailers) if trailers else b""
        self._state = _ENDED
        if self.chunked:
            return b"0\r\n%b\r\n" % lines
        if self.length is not None and self.body_bytes != self.length:
            self.keep_alive = False
            raise ShortBody(self.length, self.body_bytes)
        return b""

    def _trailers(self, trailers: Sequence[Field]) -> bytes:
        lines = []
        for name, value in trailers:
            if not isinstance(name, bytes) or not isinstance(value, bytes):
                raise ValueError(f"a trailer is a pair of bytes, not {name!r} and {value!r}")
            if _checked_name(name, value) in NOT_IN_TRAILERS:
                raise ValueError(f"{name!r} may not be a trailer field")
            lines.append(b"%b: %b\r\n" % (name, value))
        return b"".join(lines)

    @staticmethod
    def informational(status: int, headers: Iterable[Field] = ()) -> bytes:
        """An interim response such as 100 or 103, to be sent before the head.

        Must not be sent to an HTTP/1.0 client (RFC 9110 section 15.2).
        """
        if not 100 <= status <= 199 or status == 101:
            raise ValueError(f"{status} is not the status of an interim response")
        block, _ = _encode(headers)
        line = _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
        return b"%b%b\r\n" % (line, block.lines)


def refusal(fault: ProtocolError, preface: bytes) -> bytes:
    """The whole response to what is no request, after which the connection is closed. `preface`
    as for `ResponseWriter.head`."""
    writer = ResponseWriter(b"GET", b"1.1", False)
    body = fault.reason.encode("latin-1", "replace") + b"\n"
    head = writer.head(fault.status, [(b"content-type", b"text/plain; charset=utf-8")],
                       length=len(body), preface=preface)
    return head + writer.body(body) + writer.end()


def raw_head(data: bytes) -> Tuple[int, bytes]:
    """Status and bytes of the whole head of a response that `data`, which is written as it is,
    begins with; 0 and b"" if it begins with none."""
    match = _RAW_HEAD.match(data)
    return (0, b"") if match is None else (int(match.group(1)), match.group())
