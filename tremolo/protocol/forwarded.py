"""What trusted proxies say of a request: `X-Forwarded-*`, and `Forwarded` of RFC 7239.

Each proxy adds what it saw at the right end of a list. So the list is read from there, as far
as those who wrote it are trusted: the first address that is not of a trusted proxy is the
client's, and what stands before it may have been made up by the client. Schemes, hosts and
ports are taken from the same place of their own lists; prefixes are those that the trusted
proxies took off, one after the other.

`X-Forwarded-*` win where both are there: nearly all proxies write those and let a `Forwarded`
of the client pass. Reading is linear in the size of the fields.
"""

import ipaddress
import re
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from ..proxies import TrustedProxies
from .http1.grammar import AUTHORITY
from .paths import decode_path

Fields = Sequence[Tuple[bytes, bytes]]
Address = Tuple[str, int]

UNKNOWN: Address = ("unknown", 0)
_PORTS = {"http": 80, "https": 443}
# A proxy of WebSockets may name the scheme that the client used.
_SCHEMES = {b"http": "http", b"https": "https", b"ws": "http", b"wss": "https"}
_FIRST = b"x-forwarded-for"
_NAMES = frozenset((
    b"forwarded", _FIRST, b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-port",
    b"x-forwarded-prefix"))

# RFC 7239 section 4, one pair at a time, with what ends it. The value without quotes is wider:
# many write an IPv6 address or a port without them.
_PAIR = re.compile(
    rb"[ \t]*(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+)="
    rb'(?:"((?:[^"\\]|\\.)*)"|([^ \t",;]*)))?[ \t]*([,;]|\Z)', re.DOTALL)
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)
# RFC 7239 section 6.3
_OBFUSCATED = re.compile(r"_[0-9A-Za-z._-]{1,255}")
# Segments of RFC 3986: begins with one slash, so that it can never name another host.
_PREFIX = re.compile(rb"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+)+/?")


class Forwarded(NamedTuple):
    """What is said of the request as its client sent it; None where nothing is.

    `client` is an IP address and port (0 if unknown), or ("unknown", 0) or an identifier of RFC
    7239 section 6.3 in place of the address when that is hidden. `scheme` is "http" or
    "https"; `host` a value of Host; `server` the name and port that the client connected to;
    `prefix` decoded and without a slash at its end.
    """

    client: Optional[Address] = None
    scheme: Optional[str] = None
    host: Optional[bytes] = None
    server: Optional[Address] = None
    prefix: Optional[str] = None


NOTHING = Forwarded()


def read_forwarded(fields: Fields, own_host: bytes, own_scheme: str,
                   proxies: TrustedProxies) -> Forwarded:
    """What the fields of a request from a trusted peer say, that has `own_host` as its Host and
    came by `own_scheme`. What breaks the grammar is not believed."""
    lists: Dict[bytes, List[bytes]] = {}
    for name, value in fields:
        if name in _NAMES:
            lists.setdefault(name, []).append(value)
    if not lists:
        return NOTHING
    if len(lists) == 1 and b"forwarded" in lists:
        return _of_elements(parse_forwarded(b",".join(lists[b"forwarded"])), own_scheme, proxies)
    lists.pop(b"forwarded", None)
    items = {name: [item.strip(b" \t") for value in values for item in value.split(b",")]
             for name, values in lists.items()}
    hops = [item for item in items.pop(_FIRST, ()) if item]
    client, depth = _client([parse_node(hop) for hop in hops], proxies)
    said = {name: values[-min(depth, len(values))] for name, values in items.items()}
    scheme = _SCHEMES.get(said.get(b"x-forwarded-proto", b"").lower())
    host, server = _authority(said.get(b"x-forwarded-host"), said.get(b"x-forwarded-port"),
                              own_host, scheme or own_scheme)
    return Forwarded(client, scheme, host, server,
                     _prefix(items.get(b"x-forwarded-prefix", ())[-depth:]))


def _of_elements(elements: Optional[List[Dict[bytes, bytes]]], own_scheme: str,
                 proxies: TrustedProxies) -> Forwarded:
    if elements is None:
        return Forwarded(UNKNOWN)  # whoever broke it must not pass for the proxy
    nodes = [parse_node(element.get(b"for", b"unknown")) for element in elements]
    client, depth = _client(nodes, proxies)
    if client is None:
        return NOTHING
    element = elements[-depth]
    scheme = _SCHEMES.get(element.get(b"proto", b"").lower())
    host, server = _authority(element.get(b"host"), None, b"", scheme or own_scheme)
    return Forwarded(client if b"for" in element else None, scheme, host, server)


def _client(nodes: List[Address], proxies: TrustedProxies) -> Tuple[Optional[Address], int]:
    """The furthest client that is vouched for, and its place from the right."""
    depth = 0
    for node in reversed(nodes):
        depth += 1
        if node[0] == "unknown" or not proxies.trusts(node[0]):
            break
    return (nodes[-depth], depth) if depth else (None, 1)


def parse_node(item: bytes) -> Address:
    """An address with or without a port and brackets, or an identifier of RFC 7239 section 6;
    `UNKNOWN` for everything else."""
    text = item.decode("latin-1").strip()
    port = ""
    if text.startswith("["):
        text, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            return UNKNOWN
        port = rest[1:]
    elif text.count(":") == 1:
        text, _, port = text.partition(":")
    number = int(port) if port.isascii() and port.isdigit() and len(port) < 6 else 0
    if _OBFUSCATED.fullmatch(text):
        return text, number
    try:
        ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return UNKNOWN
    return text, number if number < 65536 else 0


def parse_forwarded(value: bytes) -> Optional[List[Dict[bytes, bytes]]]:
    """The elements of `Forwarded` with their parameters by lower-case name; None for a value
    that breaks the grammar of RFC 7239 section 4."""
    elements: List[Dict[bytes, bytes]] = []
    element: Dict[bytes, bytes] = {}
    position = 0
    while True:
        pair = _PAIR.match(value, position)
        if pair is None:
            return None
        name, quoted, plain, end = pair.groups()
        if name is not None:
            name = name.lower()
            if name in element:
                return None  # "Each parameter MUST NOT occur more than once per field-value."
            element[name] = plain if quoted is None else _QUOTED_PAIR.sub(rb"\1", quoted)
        if end != b";":
            if element:
                elements.append(element)
            element = {}
        if not end:
            return elements
        position = pair.end()


def _authority(host: Optional[bytes], port: Optional[bytes], own_host: bytes,
               scheme: str) -> Tuple[Optional[bytes], Optional[Address]]:
    """The Host in force and what it names, where a proxy said something about it."""
    if host is not None and AUTHORITY.fullmatch(host) is None:
        host = None
    if port is not None and not (port.isdigit() and len(port) < 6 and 0 < int(port) < 65536):
        port = None
    if host is None and port is None:
        return None, None
    authority = host or own_host
    name, colon, number = authority.rpartition(b":")
    if not colon or number.endswith(b"]"):
        name, number = authority, b""
        if port is not None and int(port) != _PORTS[scheme] and authority:
            authority += b":" + port
    if not name:
        return None, None
    return authority, (name.strip(b"[]").decode("latin-1"),
                       int(number or port or _PORTS[scheme]))


def _prefix(items: Sequence[bytes]) -> Optional[str]:
    if not items or not all(not item.strip(b"/") or _PREFIX.fullmatch(item) for item in items):
        return None
    path = decode_path(b"".join(item.rstrip(b"/") for item in items))
    segments = path.split("/")[1:]
    odd = any(segment in ("", ".", "..") or "\\" in segment for segment in segments)
    return None if odd or not path.isprintable() else path
