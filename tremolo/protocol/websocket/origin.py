"""Who may open a WebSocket from a browser page (RFC 6455 section 10.2).

Browsers let any page open a WebSocket to any address, cookies included, and only say in Origin
which page it was. Knows the values of two header fields; nothing of requests.
"""

import re
from typing import Iterable, Optional, Tuple

# scheme "://" host [ ":" port ] (RFC 6454 section 7); the host may be an IPv6 literal.
_ORIGIN = re.compile(rb"(https?)://(\[[0-9a-f:.]+\]|[^\x00-\x20/:@\[\]\\?#]+)(?::([0-9]{1,5}))?",
                     re.IGNORECASE)
_AUTHORITY = re.compile(rb"(\[[0-9a-f:.]+\]|[^\x00-\x20/:@\[\]\\?#]+)(?::([0-9]{1,5}))?",
                        re.IGNORECASE)
_DEFAULT_PORTS = {b"http": 80, b"https": 443}


def origin_is_allowed(origin: bytes, host: bytes, allowed: Iterable[str] = ()) -> bool:
    """Whether a page of `origin` may open a WebSocket to `host`, the value of Host.

    The same host and port may. `allowed` names further hosts, as `HOST` (any port) or
    `HOST:PORT`; `*` allows every origin. "null", which sandboxed pages and files send, is like
    no host. Deliberately lax: an https page may open one to what we take for http, since a
    proxy may have done the TLS.
    """
    names = [name.lower() for name in allowed]
    if "*" in names:
        return True
    parts = _ORIGIN.fullmatch(origin)
    if parts is None:
        return False
    default = _DEFAULT_PORTS[parts.group(1).lower()]
    page = _host_and_port(parts.group(2), parts.group(3), default)
    own = _AUTHORITY.fullmatch(host)
    if own is not None and _host_and_port(own.group(1), own.group(2), default) == page:
        return True
    for name in names:
        authority = _AUTHORITY.fullmatch(name.encode("utf-8", "replace"))
        if authority is None:
            continue
        if _host_and_port(authority.group(1), authority.group(2), page[1]) == page:
            return True
    return False


def _host_and_port(host: bytes, port: Optional[bytes], default: int) -> Tuple[bytes, int]:
    return host.lower(), int(port) if port else default
