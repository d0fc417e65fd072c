"""The names and addresses of this machine, for URLs that one can open. A leaf.

Nothing is resolved and nothing is sent: the system is asked which address it would send from,
and on Linux which addresses its interfaces have.
"""

import contextlib
import os
import re
import socket
from typing import List

#: addresses that nobody has (RFC 5737, RFC 3849): the way to them is the way out
_FAR = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
_SIOCGIFADDR = 0x8915
WIDE = ("0.0.0.0", "::")


def lan_addresses() -> List[str]:
    """The addresses at which other machines may reach this one, the likeliest first."""
    found: List[str] = []
    for family, far in _FAR:
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((far, 9))
            found.append(probe.getsockname()[0])
    found += _of_interfaces()
    return [address for address in dict.fromkeys(found)
            if not address.startswith(("127.", "fe80:", "169.254.")) and address != "::1"]


def _of_interfaces() -> List[str]:
    if os.uname().sysname != "Linux":
        return []
    import fcntl
    import struct

    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            with contextlib.suppress(OSError):
                answer = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR,
                                     struct.pack("256s", name.encode()[:15]))
                found.append(socket.inet_ntoa(answer[20:24]))
    return found


def host_names() -> List[str]:
    """The name of this machine, plain and as multicast DNS has it (RFC 6762)."""
    name = socket.gethostname().rstrip(".").lower()
    if not name or name == "localhost":
        return []
    first = name.partition(".")[0]
    return list(dict.fromkeys((name, f"{first}.local")))


def project_host(folder: str) -> str:
    """The name below `.localhost` (RFC 6761 section 6.3) of the project in a folder: pages of
    several projects then share no cookies."""
    name = os.path.basename(folder.rstrip(os.sep)).lower()
    label = re.sub(r"[^a-z0-9-]+", "-", name)[:40].strip("-") or "app"
    return f"{label}.localhost"


def open_at(host: str) -> List[str]:
    """What to write in place of `host`, to which a server is bound, to reach it: for the wide
    addresses this machine's own, as seen from it and from others."""
    if host not in WIDE:
        return [host]
    own = ["127.0.0.1"] if host == "0.0.0.0" else ["::1", "127.0.0.1"]
    others = [address for address in lan_addresses() if host == "::" or ":" not in address]
    return own + others
