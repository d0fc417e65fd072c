"""The request head: request line, target forms, and the memory for repeated header sections.

Pure functions from the bytes of one complete head to a `RequestHead`.
"""

from typing import Dict, List, Optional, Tuple

from .errors import ProtocolError
from .fields import Field, FieldBlock, Limits, first_fault, parse_fields, split_lines
from .grammar import (
    ABSOLUTE_FORM,
    AUTHORITY,
    HEAD_END,
    METHODS,
    TARGET,
    TOKEN,
    VERSION,
)

_CACHED_BLOCK = 4096


class RequestHead:
    """A request head, checked and taken apart. See the attributes' comments for the units."""

    __slots__ = (
        "chunked",  # bool: the body has chunked framing
        "content_length",  # Optional[int]: bytes, None when the field is absent
        "expect_continue",  # bool: the client waits for 100 before it sends its body
        "has_body",  # bool: chunked, or content_length > 0
        "headers",  # list of (lower-case name, value), in wire order
        "host",  # bytes: the authority in force, b"" if HTTP/1.0 named none
        "keep_alive",  # bool: the client lets the connection persist
        "method",  # bytes, case-sensitive
        "path",  # bytes: as sent, without query; b"*" for OPTIONS *
        "query",  # bytes: without "?"
        "target",  # bytes: as sent
        "upgrade",  # Optional[bytes]: lower-case protocols that the client offers
        "version",  # bytes: b"1.0" or b"1.1"
    )

    method: bytes
    target: bytes
    version: bytes
    path: bytes
    query: bytes
    headers: List[Field]
    host: bytes
    content_length: Optional[int]
    chunked: bool
    has_body: bool
    keep_alive: bool
    expect_continue: bool
    upgrade: Optional[bytes]

    def __init__(
        self, method: bytes, target: bytes, path: bytes, query: bytes, block: FieldBlock
    ) -> None:
        self.method = method
        self.target = target
        self.path = path
        self.query = query
        self.version = block.version
        self.headers = block.headers[:]
        self.host = block.host
        self.content_length = block.content_length
        self.chunked = block.chunked
        self.has_body = block.has_body
        self.keep_alive = block.keep_alive
        self.expect_continue = block.expect_continue
        self.upgrade = block.upgrade

    def header(self, name: bytes) -> Optional[bytes]:
        """The first value of the field `name` (lower-case), None if there is none."""
        for field, value in self.headers:
            if field == name:
                return value
        return None

    def __repr__(self) -> str:
        return f"<RequestHead {self.method!r} {self.target!r} HTTP/{self.version.decode()}>"


class HeaderCache:
    """What header sections said, by their bytes: clients repeat them on a connection.

    Bounded in entries and bytes; the oldest entry leaves first. The key begins with the HTTP
    version, since the fields mean different things to 1.0 and 1.1. May be shared by parsers
    that have the same limits.
    """

    __slots__ = ("_blocks", "_bytes", "_max_bytes", "_max_entries", "get")

    def __init__(self, max_entries: int = 16, max_bytes: int = 16384) -> None:
        self._blocks: Dict[bytes, FieldBlock] = {}
        self._bytes = 0
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self.get = self._blocks.get

    def put(self, section: bytes, block: FieldBlock) -> None:
        size = block.size
        if size > min(_CACHED_BLOCK, self._max_bytes) or section in self._blocks:
            return
        blocks = self._blocks
        while blocks and (
            len(blocks) >= self._max_entries or self._bytes + size > self._max_bytes
        ):
            self._bytes -= blocks.pop(next(iter(blocks))).size
        blocks[section] = block
        self._bytes += size

    def __len__(self) -> int:
        return len(self._blocks)

    @property
    def bytes_kept(self) -> int:
        """Size of the header sections that are kept."""
        return self._bytes


def parse_head(
    head: bytes, limits: Limits, cache: HeaderCache
) -> Tuple[RequestHead, FieldBlock, bytes]:
    """A complete head without the CRLFs that end it (RFC 9112 section 2.1).

    Returns the request, what its header section said, and that section, which begins
    with the version. The order of the checks is the order in which answers take precedence.
    """
    method, target, section, block = _look_up(head, limits, cache)
    if block is None:
        lines = split_lines(head, limits.request_line, limits.header_section)
        line_length = len(lines[0])
        section_length = len(head) - line_length
        if line_length > limits.request_line or section_length > limits.header_section:
            fault = first_fault(head + HEAD_END, limits.request_line, limits.header_section)
            if fault is not None:
                raise fault
        parts = lines[0].split(b" ")
        if len(parts) != 3:
            raise ProtocolError(400, "bad request: not a request")
        method, target, protocol = parts
        if method not in METHODS and (not method or method.translate(None, TOKEN)):
            raise ProtocolError(400, "bad request: not a request")
        version = _version(protocol)
        section = head[line_length - len(protocol) :]
        fields = parse_fields(lines[1:], limits.fields)
        block = FieldBlock(version, fields, len(section))
        cache.put(section, block)
    path, query, authority = split_target(method, target)
    request = RequestHead(method, target, path, query, block)
    if authority is not None:
        _take_authority(request, authority)
    return request, block, section


def _look_up(
    head: bytes, limits: Limits, cache: HeaderCache
) -> Tuple[bytes, bytes, bytes, Optional[FieldBlock]]:
    """Method, target and known header section of a head without anything unusual in it."""
    parts = head.split(b" ", 2)
    block = cache.get(parts[-1])
    if block is not None and len(parts) == 3:
        method, target, section = parts
        if (
            method in METHODS
            and not target.translate(None, TARGET)
            and len(head) - len(section) + 8 <= limits.request_line
        ):
            return method, target, section, block
    return b"", b"", b"", None


def _version(protocol: bytes) -> bytes:
    if protocol == b"HTTP/1.1":
        return b"1.1"
    if protocol == b"HTTP/1.0":
        return b"1.0"
    match = VERSION.fullmatch(protocol)
    if match is None or match.group(1) == b"0":
        raise ProtocolError(400, "bad request: not a request")
    raise ProtocolError(505, "HTTP Version Not Supported: only 1.0 and 1.1 are")


def split_target(method: bytes, target: bytes) -> Tuple[bytes, bytes, Optional[bytes]]:
    """Path, query and authority (None but in absolute-form) of a target.

    The four forms of RFC 9112 section 3.2; authority-form belongs to CONNECT alone, which
    an origin server has no use for.
    """
    if target.translate(None, TARGET):
        raise ProtocolError(400, "bad request: invalid request target")
    if method == b"CONNECT":
        if AUTHORITY.fullmatch(target) is None:
            raise ProtocolError(400, "bad request: invalid request target")
        raise ProtocolError(501, "CONNECT is not implemented: this is not a proxy")
    if target[:1] == b"/":
        path, _, query = target.partition(b"?")
        return path, query, None
    if target == b"*" and method == b"OPTIONS":
        return b"*", b"", None
    match = ABSOLUTE_FORM.fullmatch(target)
    if match is None or AUTHORITY.fullmatch(match.group(1)) is None:
        raise ProtocolError(400, "bad request: invalid request target")
    authority, path, query = match.groups(b"")
    if not path:
        # RFC 9112 section 3.2.4: OPTIONS of a bare origin asks about the whole server.
        path = b"*" if method == b"OPTIONS" and match.group(3) is None else b"/"
    return path, query, authority


def _take_authority(request: RequestHead, authority: bytes) -> None:
    """The target's authority wins over Host, in the fields too (RFC 9112 section 3.2.2)."""
    request.host = authority
    request.headers = [
        (name, authority if name == b"host" else value) for name, value in request.headers
    ]
