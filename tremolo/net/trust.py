"""Who may see what is for the developer alone: tracebacks, and paths of our own.

Knows addresses and two kinds of header fields; nothing of what is shown. A module of its own:
error pages of the framework and those of development ask the same, and neither may import the
other.
"""

from typing import TYPE_CHECKING

from ..protocol.hosts import host_is_trusted, is_loopback

if TYPE_CHECKING:
    from .exchange import Exchange


def is_trusted(exchange: "Exchange") -> bool:
    """Whether the client is on this machine, and meant it when it came here.

    Deliberately stricter than the Host check: an allowed `*` does not count, and neither does a
    proxy on this machine (a tunnel) that says that it speaks for somebody elsewhere.
    """
    connection = exchange.connection
    head = exchange.head
    allowed = [name for name in connection.server.settings.allowed_hosts if name != "*"]
    if not is_loopback(connection.peer) or not host_is_trusted(head.host, allowed):
        return False
    for name, value in head.headers:
        if name == b"forwarded" or (name == b"x-forwarded-for" and not all(
                is_loopback(item.strip()) for item in value.decode("latin-1").split(","))):
            return False
    return True
