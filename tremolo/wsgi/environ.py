"""The environ of a WSGI request (PEP 3333, section "environ Variables")."""

import sys
from typing import Any, Dict, Iterable, Tuple
from urllib.parse import unquote_to_bytes

from ..net.exchange import Exchange
from ..protocol.forwarded import NOTHING, Forwarded, read_forwarded
from ..protocol.paths import is_mounted
from ..proxies import TrustedProxies

_OWN = {b"content-type": "CONTENT_TYPE", b"content-length": "CONTENT_LENGTH"}


def environ(exchange: Exchange, stdin: Any, file_wrapper: Any, root_path: str,
            multiprocess: bool, proxies: TrustedProxies) -> Dict[str, Any]:
    """Everything a WSGI application gets to know of a request. Strings carry bytes as Latin-1.

    Fields whose names have an underscore are left out: `X_Y` and `X-Y` would be one variable,
    which lets a client pretend to be a proxy. What one of `proxies` forwards of client, scheme,
    server, Host and prefix takes the place of what this connection has.
    """
    head = exchange.head
    connection = exchange.connection
    path = unquote_to_bytes(head.path) if b"%" in head.path else head.path
    path_info = path.decode("latin-1")
    if path_info == "*":  # OPTIONS *: no path
        path_info = ""
    scheme = "https" if connection.is_tls else "http"
    forwarded: Forwarded = NOTHING
    if proxies.trusts_peer(connection.peer):
        forwarded = read_forwarded(head.headers, head.host, scheme, proxies)
    # Characters to bytes to characters: a root path is text.
    script_name = (root_path if forwarded.prefix is None else forwarded.prefix) \
        .encode("utf-8", "surrogateescape").decode("latin-1")
    if script_name and is_mounted(path_info, script_name):
        path_info = path_info[len(script_name):]  # a proxy that does not take it off
    peer = forwarded.client or (
        connection.peer if isinstance(connection.peer, tuple) else ("", 0))
    name = forwarded.server or (
        connection.sockname if isinstance(connection.sockname, tuple) else ("localhost", 0))
    variables: Dict[str, Any] = {
        "REQUEST_METHOD": head.method.decode("latin-1"),
        "SCRIPT_NAME": script_name,
        "PATH_INFO": path_info,
        "QUERY_STRING": head.query.decode("latin-1"),
        "REQUEST_URI": head.target.decode("latin-1"),
        "SERVER_NAME": str(name[0]),
        "SERVER_PORT": str(name[1]),
        "SERVER_PROTOCOL": "HTTP/" + head.version.decode("latin-1"),
        "SERVER_SOFTWARE": "Tremolo",
        "REMOTE_ADDR": str(peer[0]),
        "REMOTE_PORT": str(peer[1]),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": forwarded.scheme or scheme,
        "wsgi.input": stdin,
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": multiprocess,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": file_wrapper,
    }
    _add_fields(variables, head.headers)
    if forwarded.host is not None:
        variables["HTTP_HOST"] = forwarded.host.decode("latin-1")
    if head.chunked:
        # That framing ends here: an application that sees it would look for it in the input.
        del variables["HTTP_TRANSFER_ENCODING"]
    return variables


def _add_fields(variables: Dict[str, Any], headers: Iterable[Tuple[bytes, bytes]]) -> None:
    """Add header fields; those of one name become one variable."""
    for field, value in headers:
        if b"_" in field:
            continue
        key = _OWN.get(field) or "HTTP_" + field.decode("latin-1").upper().replace("-", "_")
        text = value.decode("latin-1")
        if key in variables and key.startswith("HTTP_"):
            separator = "; " if field == b"cookie" else ", "
            variables[key] = variables[key] + separator + text
        else:
            variables[key] = text
