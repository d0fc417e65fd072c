"""Builds the connection scopes of the ASGI specification (HTTP and WebSocket, 2.5)."""

from typing import TYPE_CHECKING, Any, Dict, Optional, Tuple
from urllib.parse import unquote

from ..net.connection import HTTPConnection
from ..protocol.http1 import RequestHead
from ..protocol.paths import is_mounted
from ..proxies import TrustedProxies
from .tls import tls_extension

if TYPE_CHECKING:
    from ..protocol.websocket import Upgrade

ASGI = {"version": "3.0", "spec_version": "2.5"}


class ScopeTemplate:
    """What is the same for every request of one connection."""

    __slots__ = ("client", "proxies", "read_forwarded", "scheme", "server", "tls")

    def __init__(self, connection: HTTPConnection, proxies: TrustedProxies,
                 server_cert: Optional[str] = None) -> None:
        self.client = _address(connection.peer)
        #: None unless the peer is one of them
        self.proxies = proxies if proxies.trusts_peer(connection.peer) else None
        if self.proxies is not None:
            from ..protocol.forwarded import read_forwarded  # deferred: most have no proxy

            self.read_forwarded = read_forwarded
        self.server = _address(connection.sockname) or (
            (connection.sockname, None) if isinstance(connection.sockname, str) else None)
        self.scheme = "https" if connection.is_tls else "http"
        #: None over plain TCP
        self.tls: Optional[Dict[str, Any]] = None
        if connection.is_tls:
            self.tls = tls_extension(connection.transport.get_extra_info("ssl_object"),
                                     server_cert)


def _address(name: Any) -> Optional[Tuple[str, int]]:
    return (name[0], name[1]) if isinstance(name, tuple) and len(name) >= 2 else None


def http_scope(head: RequestHead, template: ScopeTemplate, root_path: str,
               state: Optional[Dict[str, Any]]) -> Dict[str, Any]:
    """The scope of an `http` connection. `path` is percent-decoded UTF-8 and, as the
    specification wants it, includes `root_path`, once, whether or not the proxy took it off;
    `raw_path` is what was sent, without query. What a trusted proxy forwards of client, scheme,
    server, Host and prefix takes the place of what this connection has."""
    raw = head.path
    # The parser lets only 0x21-0x7e through, so ASCII cannot fail.
    path = raw.decode("ascii") if b"%" not in raw else unquote(raw.decode("ascii"))
    scheme, client, server, headers = (
        template.scheme, template.client, template.server, head.headers)
    if template.proxies is not None:
        forwarded = template.read_forwarded(headers, head.host, scheme, template.proxies)
        scheme, client = forwarded.scheme or scheme, forwarded.client or client
        server = forwarded.server or server
        root_path = root_path if forwarded.prefix is None else forwarded.prefix
        if forwarded.host is not None:
            headers = [(b"host", forwarded.host), *(
                field for field in headers if field[0] != b"host")]
    if root_path and raw != b"*" and not is_mounted(path, root_path):
        path = root_path + path
    scope: Dict[str, Any] = {
        "type": "http",
        "asgi": ASGI.copy(),
        "http_version": "1.1" if head.version == b"1.1" else "1.0",
        "method": head.method.decode("ascii"),
        "scheme": scheme,
        "path": path,
        "raw_path": raw,
        "query_string": head.query,
        "root_path": root_path,
        "headers": headers,
        "client": client,
        "server": server,
        "extensions": {"http.response.trailers": {}, "http.response.early_hint": {},
                       "http.response.pathsend": {}, "http.response.zerocopysend": {}},
    }
    if template.tls is not None:
        scope["extensions"]["tls"] = template.tls.copy()
    if state is not None:
        scope["state"] = state.copy()
    return scope


def websocket_scope(head: RequestHead, upgrade: "Upgrade", template: ScopeTemplate,
                    root_path: str, state: Optional[Dict[str, Any]]) -> Dict[str, Any]:
    """The scope of a `websocket` connection: as of `http`, with `subprotocols`."""
    scope = http_scope(head, template, root_path, state)
    del scope["method"]
    scope["type"] = "websocket"
    scope["scheme"] = "wss" if scope["scheme"] == "https" else "ws"
    scope["subprotocols"] = upgrade.subprotocols
    scope["extensions"] = {"websocket.http.response": {}}
    if template.tls is not None:
        scope["extensions"]["tls"] = template.tls.copy()
    return scope
