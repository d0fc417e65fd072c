"""The adapter between the connection core and an ASGI application."""

from typing import Any, Callable, Dict, List, Optional

from ..config import Settings
from ..exceptions import ASGIConnectionError, ASGIException
from ..net.connection import HTTPConnection
from ..net.exchange import Exchange
from ..proxies import TrustedProxies
from .http import HTTPCycle
from .lifespan import Lifespan
from .scope import ASGI, ScopeTemplate, http_scope
from .tls import first_certificate


def _comes_of_a_gone_client(exc: Optional[BaseException],
                            known: Optional[Dict[int, bool]] = None) -> bool:
    """Whether our own "client is gone" is what `exc` was raised for. Frameworks raise errors of
    their own while they handle it, or put it into a group.

    Chains lead back to where they began: Starlette raises what was alone in a group from that
    group, and `raise first from second` may follow `raise second from first`. Of `known` is
    what was asked for already, by `id`.
    """
    known = {} if known is None else known
    passed: List[int] = []
    found = False
    while exc is not None:
        if id(exc) in known:
            found = known[id(exc)]
            break
        known[id(exc)] = False  # as long as it is not known to be so
        passed.append(id(exc))
        members = getattr(exc, "exceptions", None)
        if isinstance(exc, ASGIConnectionError):
            found = True
            break
        if isinstance(members, tuple) and members:
            found = all(isinstance(member, BaseException)
                        and _comes_of_a_gone_client(member, known) for member in members)
            break
        exc = exc.__cause__ or exc.__context__
    known.update(dict.fromkeys(passed, found))
    return found


class ASGIAdapter:
    """Runs `app`, an ASGI 3.0 callable, under `settings`; with `double`, an application of
    ASGI 2, which is called twice: `app(scope)`, then the result with receive and send."""

    def __init__(self, app: Callable[..., Any], settings: Settings, *,
                 double: bool = False) -> None:
        self.app = app = single_callable(app) if double else app
        self.body_limit = settings.client_max_body_size
        self.handler_timeout = (
            settings.app_handler_timeout if "app_handler_timeout" in settings.given else 0.0)
        self.close_timeout = 0.0
        self._root_path = settings.root_path
        self._proxies = TrustedProxies(settings.trusted_proxies)
        self._websockets = settings.ws
        certificate = settings.ssl.get("cert") if settings.ssl else None
        self._server_cert = first_certificate(certificate or settings.ssl_cert)
        self._lifespan = Lifespan(app, settings.lifespan, ASGI)

    async def startup(self) -> None:
        await self._lifespan.startup()

    async def shutdown(self) -> None:
        await self._lifespan.shutdown()

    def connection_made(self, connection: HTTPConnection) -> None:
        connection.context = ScopeTemplate(connection, self._proxies, self._server_cert)

    def connection_lost(self, connection: HTTPConnection) -> None:
        pass

    async def handle(self, exchange: Exchange) -> None:
        lifespan = self._lifespan
        if exchange.head.upgrade == b"websocket" and self._websockets:
            from .websocket import handle  # deferred: most applications have no WebSockets

            lifespan = self._lifespan
            await handle(self.app, exchange, self._root_path,
                         lifespan.state if lifespan.supported else None)
            return
        scope = http_scope(exchange.head, exchange.connection.context, self._root_path,
                           lifespan.state if lifespan.supported else None)
        if exchange.insight is not None:
            exchange.insight.scope = scope  # routers write into it what they chose
        cycle = HTTPCycle(exchange)
        try:
            await self.app(scope, cycle.receive, cycle.send)
        except Exception as exc:
            if cycle.request_broken or _comes_of_a_gone_client(exc):
                return  # the client's fault, and what the application made of it
            raise
        response = exchange.response
        if not response.progress.finished and not response.finished:  # it may be declined
            missing = cycle.ended()
            if missing is not None:
                raise ASGIException(missing)


def single_callable(app: Callable[..., Any]) -> Callable[..., Any]:
    """An application of ASGI 2 as one of ASGI 3."""
    async def application(scope: Any, receive: Any, send: Any) -> None:
        scope["asgi"]["version"] = "2.0"
        await app(scope)(receive, send)

    return application
