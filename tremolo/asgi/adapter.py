"""The adapter between the connection core and an ASGI application."""

from typing import Any, Callable

from ..config import Settings
from ..exceptions import ASGIConnectionError, ASGIException
from ..net.connection import HTTPConnection
from ..net.exchange import Exchange
from ..protocol.websocket import HandshakeError, parse_upgrade
from .http import HTTPCycle
from .lifespan import Lifespan
from .scope import ASGI, ScopeTemplate, http_scope, websocket_scope
from .websocket import WebSocketCycle

PLAIN = (b"content-type", b"text/plain; charset=utf-8")


class ASGIAdapter:
    """Runs `app`, an ASGI 3.0 callable, under `settings`."""

    def __init__(self, app: Callable[..., Any], settings: Settings) -> None:
        self.app = app
        self.body_limit = settings.client_max_body_size
        self.handler_timeout = (
            settings.app_handler_timeout if "app_handler_timeout" in settings.given else 0.0)
        self.close_timeout = 0.0
        self._root_path = settings.root_path
        self._websockets = settings.ws
        self._lifespan = Lifespan(app, settings.lifespan, ASGI)

    async def startup(self) -> None:
        await self._lifespan.startup()

    async def shutdown(self) -> None:
        await self._lifespan.shutdown()

    def connection_made(self, connection: HTTPConnection) -> None:
        connection.context = ScopeTemplate(connection)

    def connection_lost(self, connection: HTTPConnection) -> None:
        pass

    async def handle(self, exchange: Exchange) -> None:
        lifespan = self._lifespan
        if exchange.head.upgrade == b"websocket" and self._websockets:
            await self._handle_websocket(exchange)
            return
        scope = http_scope(exchange.head, exchange.connection.context, self._root_path,
                           lifespan.state if lifespan.supported else None)
        cycle = HTTPCycle(exchange)
        try:
            await self.app(scope, cycle.receive, cycle.send)
        except ASGIConnectionError:
            return  # the application let our own "client is gone" pass
        if not exchange.finished:
            missing = cycle.ended()
            if missing is not None:
                raise ASGIException(missing)

    async def _handle_websocket(self, exchange: Exchange) -> None:
        try:
            upgrade = parse_upgrade(exchange.head)
        except HandshakeError as exc:
            exchange.respond(exc.status, [*exc.headers, PLAIN], exc.reason.encode() + b"\n")
            return
        lifespan = self._lifespan
        scope = websocket_scope(exchange.head, upgrade, exchange.connection.context,
                                self._root_path, lifespan.state if lifespan.supported else None)
        cycle = WebSocketCycle(exchange, upgrade)
        try:
            await self.app(scope, cycle.receive, cycle.send)
        except ASGIConnectionError:
            return
        except BaseException:
            cycle.failed()
            raise
        missing = cycle.returned()
        if missing is not None:
            raise ASGIException(missing)
