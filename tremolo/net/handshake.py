"""From a request to a WebSocket: whether it may become one, and the answer 101.

Knows the handshake's rules of `protocol.websocket` and the settings in force.
"""

from typing import TYPE_CHECKING, Iterable, List, Optional, Tuple

from ..protocol.forwarded import read_forwarded
from ..protocol.http1 import ProtocolError
from ..protocol.websocket import (
    DeflateConfig,
    HandshakeError,
    Upgrade,
    WebSocketEngine,
    origin_is_allowed,
    parse_upgrade,
)
from ..proxies import TrustedProxies
from .keepalive import PING_INTERVAL
from .websocket import WebSocketLink

if TYPE_CHECKING:
    from .exchange import Exchange


def judge(exchange: "Exchange") -> Upgrade:
    """What the client asks for with its upgrade. Raises HandshakeError, whose status and headers
    are the answer, for a request that cannot become a WebSocket; while the server is in debug or
    reload mode also for one from a page of another site."""
    head = exchange.head
    upgrade = parse_upgrade(head)
    if head.has_body:
        raise HandshakeError(400, "A WebSocket handshake has no body.")
    server = exchange.connection.server
    settings = server.settings
    if settings.debug or settings.reload:
        origins: List[bytes] = [value for name, value in head.headers if name == b"origin"]
        host = _host_in_force(exchange) if origins else b""
        for origin in origins:
            if not origin_is_allowed(origin, host, settings.allowed_hosts):
                shown = ascii(origin.decode("latin-1"))[1:-1][:256]
                reason = (f"WebSockets from {shown} are refused in development; allow its host "
                          "with --allowed-hosts.")
                server.refused(exchange.connection, ProtocolError(403, reason))
                raise HandshakeError(403, reason)
    return upgrade


def _host_in_force(exchange: "Exchange") -> bytes:
    """What the page named, also behind a trusted proxy that asks by another name."""
    head = exchange.head
    connection = exchange.connection
    proxies = TrustedProxies(connection.server.settings.trusted_proxies)
    if not proxies.trusts_peer(connection.peer):
        return head.host
    scheme = "https" if connection.is_tls else "http"
    return read_forwarded(head.headers, head.host, scheme, proxies).host or head.host


def accept(exchange: "Exchange", upgrade: Upgrade, subprotocol: Optional[str] = None,
           headers: Iterable[Tuple[bytes, bytes]] = (), *, fragments: bool = False,
           max_message_size: Optional[int] = None,
           ping_interval: float = PING_INTERVAL) -> WebSocketLink:
    """Answer 101 and let a WebSocket take over the connection of `exchange`.

    With `fragments` it gives frames in place of whole messages. `max_message_size` is in bytes
    (None: what the settings say), `ping_interval` in seconds.

    Raises ValueError for a subprotocol that was not offered, and for headers that may not be
    sent or belong to the handshake.
    """
    connection = exchange.connection
    server = connection.server
    settings = connection.settings
    deflate = DeflateConfig() if settings.websocket_deflate else None
    fields, agreed = upgrade.response_headers(subprotocol, deflate)
    own = list(headers)
    for name, _ in own:
        lower = name.lower()
        if lower == b"upgrade" or (lower.startswith(b"sec-websocket-") and (
                lower != b"sec-websocket-protocol" or subprotocol is not None)):
            raise ValueError(f"the header {name!r} belongs to the handshake")
    head = exchange.response.switch(own + fields)
    exchange.switched()
    link = WebSocketLink(exchange, WebSocketEngine(
        settings.ws_max_payload_size if max_message_size is None else max_message_size,
        deflate=agreed, fragments=fragments), agreed is not None)
    link.keepalive.interval = ping_interval
    early = connection.upgrade(link, server.loop.time() + ping_interval)
    server.throttler.arm(connection, exchange.response, len(head))
    connection.outbox.push_now(head)
    connection.stream.resume_reading()
    if early:
        link.data_received(early)
    if connection.eof:
        link.eof_received()
    if server.draining:
        link.drain()
    return link
