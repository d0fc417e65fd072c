"""What stands before an application in development: the Host check, and paths of our own.

An adapter around an adapter. Knows heads and settings; nothing of what the application does.
"""

from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Coroutine, Mapping, Optional, Set

from ..config import Settings
from ..net.adapter import Adapter, AroundAdapter
from ..net.exchange import Exchange
from ..net.response import PLAIN
from ..protocol.http1 import ProtocolError

if TYPE_CHECKING:
    from .browser import Browser

MAX_TRUSTED = 64


class Guard(AroundAdapter):
    """Lets through to `adapter` what names this machine, or arrived from elsewhere.

    Browsers let pages of any site reach this machine under a name of that site (DNS
    rebinding); such requests come over a loopback address with a foreign Host. With a
    `browser` its paths are answered before the application sees them.
    """

    def __init__(self, adapter: Adapter, settings: Settings,
                 browser: "Optional[Browser]" = None) -> None:
        self._adapter = adapter
        self._allowed = settings.allowed_hosts
        self._browser = browser
        #: Host values that were judged before; clients send one of few
        self._trusted: Set[bytes] = set()
        super().__init__(adapter)

    def handle(self, exchange: Exchange) -> Coroutine[Any, Any, None]:
        """See Adapter.handle. Not a coroutine itself: that would be one more for each
        request."""
        head = exchange.head
        if head.host not in self._trusted and not self._is_trusted(head.host) \
                and self._may_be_rebound(exchange):
            return self._refuse(exchange)
        if self._browser is not None and head.path.startswith(self._browser.prefix):
            return self._browser.answer(exchange)
        return self._adapter.handle(exchange)

    def _is_trusted(self, host: bytes) -> bool:
        from ..protocol.hosts import host_is_trusted  # deferred: in development alone

        trusted = host_is_trusted(host, self._allowed)
        if trusted and len(self._trusted) < MAX_TRUSTED:
            self._trusted.add(host)
        return trusted

    @staticmethod
    def _may_be_rebound(exchange: Exchange) -> bool:
        """Browsers always name a Host: what has none (HTTP/1.0) comes from none of them."""
        from ..protocol.hosts import is_loopback

        address = exchange.connection.sockname
        return bool(exchange.head.host) and isinstance(address, tuple) and is_loopback(address)

    async def _refuse(self, exchange: Exchange) -> None:
        name = ascii(exchange.head.host.decode("latin-1"))[1:-1][:256]
        reason = (f'the Host "{name}" is not this machine\'s; to serve it in development, allow '
                  f"it with --allowed-hosts {name}")
        server = exchange.connection.server
        server.refused(exchange.connection, ProtocolError(403, reason))
        exchange.response.end_connection()
        exchange.response.respond(403, [*PLAIN, (b"x-content-type-options", b"nosniff")],
                         f"Forbidden: {reason}\n".encode())


def guarded(adapter: Adapter, settings: Settings,
            browser: "Optional[Browser]" = None) -> Adapter:
    """`adapter`, behind a Guard in debug and reload mode."""
    if settings.debug or settings.reload or browser is not None:
        return Guard(adapter, settings, browser)
    return adapter


def exchange_kind(settings: Settings,
                  browser: "Optional[Browser]" = None) -> Callable[..., Exchange]:
    """What the server shall make exchanges by."""
    if browser is None and not settings.debug:
        if not settings.proxy:
            return Exchange
        from .declining import DeclinableExchange

        return DeclinableExchange
    from .pages import DebugExchange, dev_exchange

    if browser is not None:
        return partial(dev_exchange, browser)
    return DebugExchange


def make_browser(start: Mapping[str, Any], settings: Settings) -> "Optional[Browser]":
    """The channel to browser pages that a start message asks for; only `dev` ever does."""
    token = start.get("token")
    if not (start.get("dev") and settings.reload and settings.browser_reload and token):
        return None
    from .browser import Browser

    error = start["app"].get("fallback")
    return Browser(token, start.get("gen", 0), good=error is None, broken=error)
