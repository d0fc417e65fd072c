"""The header fields of a request on its way to another server, and of the answer (RFC 9110
section 7.6): what belongs to one connection stays there, and who asked is added.
"""

import importlib
from typing import Any, Dict, FrozenSet, List, Mapping, Sequence, Tuple

from ..net.exchange import Exchange
from ..upstreams import Upstream

Field = Tuple[bytes, bytes]

#: fields of one connection (RFC 9110 section 7.6.1), and those of trailers, which are not passed
_HOP_BY_HOP: FrozenSet[bytes] = frozenset((
    b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate",
    b"proxy-authorization", b"te", b"trailer", b"transfer-encoding", b"upgrade"))
#: what the client of aiohttp writes itself
_OURS: FrozenSet[bytes] = _HOP_BY_HOP | {
    b"host", b"expect", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto",
    b"sec-websocket-key", b"sec-websocket-version", b"sec-websocket-extensions",
    b"sec-websocket-protocol"}


def went_round(exchange: Exchange) -> bool:
    """Whether a request has come through this server before."""
    name = _pseudonym(exchange)
    return any(name in value.replace(b",", b" ").split()
               for field, value in exchange.head.headers if field == b"via")


def request_fields(exchange: Exchange) -> Any:
    """The fields for the other server: those of the client but for the connection's own, and who
    that was. Host stays: pages are made for where the browser is."""
    head = exchange.head
    nominated = _nominated(head.headers)
    values: Dict[bytes, List[bytes]] = {}
    fields: List[Tuple[str, str]] = []
    for name, value in head.headers:
        if name in _OURS or name in nominated or (
                name == b"content-length" and not head.has_body):
            values.setdefault(name, []).append(value)
        else:
            fields.append((name.decode("ascii"), _text(value)))
    peer = exchange.connection.peer
    address = str(peer[0]) if isinstance(peer, tuple) and peer else "unknown"
    known = [_text(value) for value in values.get(b"x-forwarded-for", ())]
    scheme = "https" if exchange.connection.is_tls else "http"
    own = [("Host", _text(head.host)), ("X-Forwarded-For", ", ".join([*known, address])),
           ("X-Forwarded-Proto", _first(values, b"x-forwarded-proto", scheme)),
           ("X-Forwarded-Host", _first(values, b"x-forwarded-host", _text(head.host))),
           ("Via", f"{head.version.decode()} {_pseudonym(exchange).decode()}")]
    multidict = importlib.import_module("multidict")
    return multidict.CIMultiDict([*own, *fields] if head.host else [*own[1:], *fields])


def response_fields(fields: Sequence[Field], rule: Upstream) -> List[Field]:
    """The fields of an answer, for the client."""
    nominated = _nominated(fields)
    found = []
    for name, value in fields:
        lower = name.lower()
        if lower in _HOP_BY_HOP or lower in nominated:
            continue
        if lower == b"location" and value.startswith(rule.origin.encode()):
            # As it names itself; the browser shall stay with us.
            rest = value[len(rule.origin):]
            if not rest or rest[:1] in (b"/", b"?"):
                value = rest if rest[:1] == b"/" else b"/" + rest
        found.append((name, value))
    return found


def _pseudonym(exchange: Exchange) -> bytes:
    """What names this server in Via (RFC 9110 section 7.6.3): one on another port is another."""
    address = exchange.connection.sockname
    return b"tremolo-%d" % address[1] if isinstance(address, tuple) else b"tremolo"


def _first(values: Mapping[bytes, List[bytes]], name: bytes, default: str) -> str:
    found = values.get(name)
    return _text(found[0]) if found else default


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _nominated(fields: Sequence[Field]) -> FrozenSet[bytes]:
    """Names that Connection makes hop-by-hop."""
    return frozenset(element.strip().lower() for name, value in fields
                     if name.lower() == b"connection" for element in value.split(b","))
