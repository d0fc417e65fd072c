"""What stands before an application in development: the Host check, and paths of our own.

An adapter around an adapter. Knows heads and settings; nothing of what the application does.
"""

from typing import Any, Awaitable, Optional

from ..config import Settings
from ..net.adapter import Adapter
from ..net.exchange import PLAIN, Exchange
from ..protocol.hosts import host_is_trusted, is_loopback
from ..protocol.http1 import ProtocolError
from .browser import PREFIX, Browser


class Guard:
    """Lets through to `adapter` what names this machine, or arrived from elsewhere.

    Browsers let pages of any site reach this machine under a name of that site (DNS
    rebinding); such requests come over a loopback address with a foreign Host (R61). With a
    `browser` its paths are answered before the application sees them.
    """

    def __init__(self, adapter: Adapter, settings: Settings,
                 browser: Optional[Browser] = None) -> None:
        self._adapter = adapter
        self._allowed = settings.allowed_hosts
        self._browser = browser
        self.body_limit = adapter.body_limit
        self.handler_timeout = adapter.handler_timeout
        self.close_timeout = adapter.close_timeout
        self.connection_made = adapter.connection_made
        self.connection_lost = adapter.connection_lost
        self.startup = adapter.startup
        self.shutdown = adapter.shutdown

    def handle(self, exchange: Exchange) -> Awaitable[None]:
        """See Adapter.handle. Not a coroutine itself: that would be one more for each
        request."""
        head = exchange.head
        if not host_is_trusted(head.host, self._allowed) and (head.host or head.version == b"1.1") \
                and is_loopback(exchange.connection.sockname) \
                and isinstance(exchange.connection.sockname, tuple):
            return self._refuse(exchange)
        if self._browser is not None and head.path.startswith(PREFIX):
            return self._browser.answer(exchange)
        return self._adapter.handle(exchange)

    async def _refuse(self, exchange: Exchange) -> None:
        name = ascii(exchange.head.host.decode("latin-1"))[1:-1][:256]
        reason = (f'the Host "{name}" is not this machine\'s; to serve it in development, allow '
                  f"it with --allowed-hosts {name or 'NAME'}")
        server = exchange.connection.server
        server.refused(exchange.connection, ProtocolError(403, reason))
        exchange.writer.keep_alive = False
        exchange.respond(403, [*PLAIN, (b"x-content-type-options", b"nosniff")],
                         f"Forbidden: {reason}\n".encode())


def guarded(adapter: Any, settings: Settings, browser: Optional[Browser] = None) -> Any:
    """`adapter`, behind a Guard in debug and reload mode."""
    if settings.debug or settings.reload or browser is not None:
        return Guard(adapter, settings, browser)
    return adapter
