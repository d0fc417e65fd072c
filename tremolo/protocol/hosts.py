"""Whether a Host value names this machine: what keeps pages of other sites out (DNS rebinding).

Knows the grammar of an authority and which names can never mean another machine; nothing of
requests or sockets.
"""

import ipaddress
import re
from typing import Any, Iterable, Optional, Tuple

# uri-host [ ":" port ] (RFC 9110 section 7.2) without what no name has in practice: userinfo,
# percent-encoding, a trailing dot.
_AUTHORITY = re.compile(
    r"(\[[0-9a-f:.]+\]|[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*)"
    r"(?::([0-9]{1,5}))?")


def split_authority(text: str) -> Optional[Tuple[str, str]]:
    """Host in lower case (IPv6 with brackets) and port ("" if none); None for anything else."""
    match = _AUTHORITY.fullmatch(text.lower())
    return None if match is None else (match[1], match[2] or "")


def host_is_trusted(host: bytes, allowed: Iterable[str] = ()) -> bool:
    """Whether `host`, the value of Host, is a loopback name or address, or one of `allowed`.

    `allowed` are `HOST` (with any port) or `HOST:PORT`, compared whole, never by their ends;
    `*` allows everything. Loopback are `localhost`, names below `.localhost` (RFC 6761 section
    6.3), 127.0.0.0/8 and `[::1]`. 0.0.0.0 is not: pages elsewhere use it to get here.
    """
    names = [name.lower() for name in allowed]
    if "*" in names:
        return True
    parts = split_authority(host.decode("latin-1"))
    if parts is None:
        return False
    name, port = parts
    return _is_loopback_name(name) or name in names or f"{name}:{port}" in names


def _is_loopback_name(name: str) -> bool:
    labels = name.split(".")
    if labels[-1] == "localhost":
        return not any(label.startswith("xn--") for label in labels)
    if name.startswith("["):
        return name == "[::1]"
    try:
        return ipaddress.IPv4Address(name).is_loopback
    except ValueError:
        return False


def is_loopback(address: Any) -> bool:
    """Whether a socket address (or the text of an IP address) is on this machine. Those of Unix
    sockets, which have no address or a path, are."""
    if isinstance(address, tuple):
        address = address[0] if address else None
    elif not isinstance(address, str) or "/" in address or "\0" in address:
        return True
    if not address:
        return True
    try:
        parsed = ipaddress.ip_address(str(address).partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return bool((mapped or parsed).is_loopback)
