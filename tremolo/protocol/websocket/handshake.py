"""The opening handshake, server side (RFC 6455 section 4.2).

Judges the head of an upgrade request and gives the fields of the answer. Knows header fields
only: whether the application wants the connection is decided elsewhere.
"""

import re
from base64 import b64encode
from hashlib import sha1
from typing import List, Optional, Protocol, Sequence, Tuple

from .deflate import DeflateConfig, DeflateParameters, Parameters, negotiate

Headers = List[Tuple[bytes, bytes]]

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_QUOTED = re.compile(
    rb'"((?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*)"'
)
_SPACE = re.compile(rb"[ \t]*")
# 16 bytes are 22 characters and two of padding. Deliberately lax: the four bits that are left
# over in the last character may be anything, since nothing depends on them.
_KEY = re.compile(rb"[A-Za-z0-9+/]{22}==")


class RequestHead(Protocol):
    """What is needed of a request's head: names in lower case, values stripped."""

    @property
    def method(self) -> bytes: ...

    @property
    def version(self) -> bytes: ...

    @property
    def headers(self) -> Sequence[Tuple[bytes, bytes]]: ...


class HandshakeError(Exception):
    """The request cannot become a WebSocket: answer with `status` and `headers`.

    `reason` is one sentence that may be shown to the client.
    """

    def __init__(self, status: int, reason: str, headers: Optional[Headers] = None) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason
        self.headers: Headers = headers or []


class Upgrade:
    """A valid request for a WebSocket.

    `key` is the client's nonce, `subprotocols` are the names it offers (most wanted first;
    what is not a token is left out), `extensions` its offers as (name, parameters) in wire
    order.
    """

    __slots__ = ("extensions", "key", "subprotocols")

    def __init__(
        self,
        key: bytes,
        subprotocols: List[str],
        extensions: List[Tuple[bytes, Parameters]],
    ) -> None:
        self.key = key
        self.subprotocols = subprotocols
        self.extensions = extensions

    def response_headers(
        self, subprotocol: Optional[str] = None, deflate: Optional[DeflateConfig] = None
    ) -> Tuple[Headers, Optional[DeflateParameters]]:
        """The header fields of the 101 response, and what was agreed about compression.

        The first acceptable offer of permessage-deflate is taken, none if `deflate` is None.
        Raises ValueError for a subprotocol that the client did not offer: it would have to
        fail the connection (section 4.1).
        """
        headers = [
            (b"upgrade", b"websocket"),
            (b"connection", b"Upgrade"),
            (b"sec-websocket-accept", accept_token(self.key)),
        ]
        if subprotocol is not None:
            if subprotocol not in self.subprotocols:
                raise ValueError(f"the client did not offer the subprotocol {subprotocol!r}")
            headers.append((b"sec-websocket-protocol", subprotocol.encode("ascii")))
        agreed = None
        if deflate is not None:
            for name, parameters in self.extensions:
                if name == b"permessage-deflate":
                    agreed = negotiate(deflate, parameters)
                    if agreed is not None:
                        headers.append((b"sec-websocket-extensions", agreed.field_value()))
                        break
        return headers, agreed


def accept_token(key: bytes) -> bytes:
    """The value of Sec-WebSocket-Accept that answers `key` (section 4.2.2)."""
    return b64encode(sha1(key + _GUID).digest())


def parse_upgrade(head: RequestHead) -> Upgrade:
    """Judge the head of a request for a WebSocket (section 4.2.1).

    Raises HandshakeError, and nothing else whatever the fields contain.
    """
    if head.method != b"GET":
        raise HandshakeError(
            405, "A WebSocket handshake must be a GET request.", [(b"allow", b"GET")]
        )
    if head.version != b"1.1":
        raise HandshakeError(400, "A WebSocket handshake must be HTTP/1.1.")
    upgrade = _tokens(_values(head, b"upgrade"))
    connection = _tokens(_values(head, b"connection"))
    if b"websocket" not in upgrade or b"upgrade" not in connection:
        raise _upgrade_required("This address speaks WebSocket: an upgrade is required.")
    versions = _values(head, b"sec-websocket-version")
    if versions != [b"13"]:
        raise _upgrade_required("Sec-WebSocket-Version must be 13.")
    keys = _values(head, b"sec-websocket-key")
    if len(keys) != 1 or not _KEY.fullmatch(keys[0]):
        raise HandshakeError(
            400, "Sec-WebSocket-Key must be one field with the base64 form of 16 bytes."
        )
    return Upgrade(
        keys[0],
        _subprotocols(_values(head, b"sec-websocket-protocol")),
        _extensions(_values(head, b"sec-websocket-extensions")),
    )


def _upgrade_required(reason: str) -> HandshakeError:
    # RFC 9110 section 15.5.22: a 426 names the protocol in Upgrade, which needs Connection.
    headers = [
        (b"upgrade", b"websocket"),
        (b"connection", b"Upgrade"),
        (b"sec-websocket-version", b"13"),
    ]
    return HandshakeError(426, reason, headers)


def _values(head: RequestHead, name: bytes) -> List[bytes]:
    return [value for field, value in head.headers if field == name]


def _tokens(values: List[bytes]) -> List[bytes]:
    """The lower-cased elements of comma-separated lists."""
    return [item.strip(b" \t").lower() for value in values for item in value.split(b",")]


def _subprotocols(values: List[bytes]) -> List[str]:
    """The names offered, those that are not tokens or come again left out."""
    offered = (item.strip(b" \t") for value in values for item in value.split(b","))
    names = (item.decode("ascii") for item in offered if _TOKEN.fullmatch(item))
    return list(dict.fromkeys(names))


def _extensions(values: List[bytes]) -> List[Tuple[bytes, Parameters]]:
    """Parse Sec-WebSocket-Extensions; malformed data fail the handshake (section 9.1)."""
    found = []
    for value in values:
        position = 0
        while True:
            position = _skip(_SPACE, value, position)
            if position < len(value) and value[position] != 0x2C:
                extension, position = _extension(value, position)
                found.append(extension)
            if position == len(value):
                break
            if value[position] != 0x2C:
                raise _malformed()
            position += 1
    return found


def _extension(value: bytes, position: int) -> Tuple[Tuple[bytes, Parameters], int]:
    """One `token *( ";" parameter )`, and where it ends."""
    name, position = _token(value, position)
    parameters: Parameters = []
    while value[position : position + 1] == b";":
        position = _skip(_SPACE, value, position + 1)
        parameter, position = _token(value, position)
        argument: Optional[bytes] = None
        if value[position : position + 1] == b"=":
            position = _skip(_SPACE, value, position + 1)
            quoted = _QUOTED.match(value, position)
            if quoted:
                # What is quoted must be a token once unquoted (section 9.1).
                argument = re.sub(rb"\\(.)", rb"\1", quoted.group(1), flags=re.DOTALL)
                if not _TOKEN.fullmatch(argument):
                    raise _malformed()
                position = _skip(_SPACE, value, quoted.end())
            else:
                argument, position = _token(value, position)
        parameters.append((parameter, argument))
    return (name, parameters), position


def _token(value: bytes, position: int) -> Tuple[bytes, int]:
    """The token at `position`, and where the next thing after it and white space begins."""
    token = _TOKEN.match(value, position)
    if token is None:
        raise _malformed()
    return token.group(), _skip(_SPACE, value, token.end())


def _skip(pattern: "re.Pattern[bytes]", value: bytes, position: int) -> int:
    match = pattern.match(value, position)
    return match.end() if match else position


def _malformed() -> HandshakeError:
    return HandshakeError(400, "Sec-WebSocket-Extensions is malformed.")
