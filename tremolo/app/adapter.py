"""From an exchange of the connection core to a call of a handler, and back.

Knows the application's routes, middlewares, hooks and error pages. One `handle` for each
request; what a request needs beyond a plain handler (middlewares, threads, streams, errors)
is in `dispatch.py`.
"""

import asyncio
import logging
import multiprocessing
import time
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, NamedTuple, Optional, Set

from ..config import Settings
from ..exceptions import ClientDisconnected, ConfigurationError, MethodNotAllowed, NotFound
from ..protocol.dates import format_http_date
from ..proxies import TrustedProxies
from .context import WorkerContext
from .dispatch import Review, answer, before, call_handler, fail, give_groups, run
from .handlers import Handler
from .link import Link
from .locks import Lock, LockFile
from .registry import Prefix, Registered, in_order, segments
from .request import Request
from .response import Response
from .routing import Route
from .threads import Executor
from .views import pick

if TYPE_CHECKING:
    from ..net.connection import HTTPConnection
    from ..net.contracts import ExchangeConnection
    from ..net.exchange import Exchange
    from .application import Application

BODY_LIMIT = 2 * 1024 * 1024


class Place(NamedTuple):
    """What is in force at one address: all options, those that somebody gave, and settings
    where they are not the server's."""

    options: Dict[str, Any]
    given: Mapping[str, Any]
    settings: Optional[Settings]
    body_limit: Optional[int]


class ServerInfo(Dict[str, Any]):
    """`server['globals'].info`; `server_date` is always now."""

    def __getitem__(self, name: str) -> Any:
        if name == "server_date":
            return format_http_date(time.time())
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        found = super().get(name, default)
        return self[name] if name == "server_date" else found


class NativeAdapter:
    """Serves an application; see `tremolo.net.adapter.Adapter`.

    Raises ConfigurationError when a setting cannot be used or the application was mounted
    elsewhere.
    """

    def __init__(self, application: "Application", settings: Settings) -> None:
        if not application.routes:
            raise ConfigurationError("this app was mounted into another one: serve that")
        self.app = application
        self.settings = settings
        self.body_limit = _body_limit(settings)
        self.handler_timeout = settings.app_handler_timeout
        self.close_timeout = settings.app_close_timeout
        self.options: Dict[str, Any] = dict(settings)
        self.options["client_max_body_size"] = self.body_limit
        self._places: Dict[Any, Place] = {}
        self.proxies = TrustedProxies(settings.trusted_proxies)
        self.executor = Executor(settings.thread_pool_size)
        self._lock_file = LockFile()
        self.lock = Lock(settings.thread_pool_size, self._lock_file)
        self.shared: WorkerContext = application.context
        self.shared._values["options"] = self.options
        self.loop: asyncio.AbstractEventLoop = None  # type: ignore[assignment]  # at startup
        #: `close` hooks that are still running
        self._closing: Set[asyncio.Task[None]] = set()
        self.routes = application.routes
        self._stacks = application.middlewares
        self._main = application.middlewares[()]

    # -- life cycle ---------------------------------------------------------------------------

    async def startup(self) -> None:
        """Run the `worker_start` hooks."""
        app = self.app
        self.loop = asyncio.get_running_loop()
        process = multiprocessing.current_process().name
        if app.name is None and process != "MainProcess":
            app.logger = logging.getLogger(process)
        shared = self.shared
        shared.update(executor=self.executor, connections={}, info=ServerInfo(
            server=(self.settings.host, self.settings.port), server_date=b"",
            server_name=self.settings.server_name.encode("latin-1")))
        if "lifespan" not in shared:
            shared.lifespan = None
        await self._run_hooks("worker_start", self._worker_server())

    async def shutdown(self) -> None:
        """Run the `worker_stop` hooks, then end the worker's tasks and threads."""
        if self._closing:
            await asyncio.wait(tuple(self._closing), timeout=1.0)
        try:
            await self._run_hooks("worker_stop", self._worker_server())
        finally:
            tasks = [task for task in self.app.tasks if not task.done()]
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks, timeout=1.0)
            self.executor.shutdown()
            self._lock_file.close()

    def _worker_server(self) -> Dict[str, Any]:
        return {"app": self.app, "globals": self.shared, "context": self.shared,
                "loop": self.loop, "logger": self.app.logger}

    async def _run_hooks(self, name: str, server: Dict[str, Any]) -> None:
        for entry in in_order(self.app.hooks, name):
            if await call_handler(entry.handler, server, self):
                break  # a truthy result stops those that come later

    # -- connections --------------------------------------------------------------------------

    def connection_made(self, connection: "HTTPConnection") -> None:
        if self.app.ports:
            place = self._place(connection.sockname)
            if place.settings is not None:
                connection.adopt_settings(place.settings, place.body_limit)
        if self.app.hooks["connect"]:
            link = self._link(connection)
            link.connecting = self.loop.create_task(self._connected(link))

    async def _connected(self, link: Link) -> bool:
        try:
            await self._run_hooks("connect", {**link.base, "request": None, "response": None})
            return True
        except Exception as exc:
            self.app.logger.error("on_connect failed: %r", exc, exc_info=exc)
            link.close(exc)
            return False

    def connection_lost(self, connection: "HTTPConnection") -> None:
        link: Optional[Link] = connection.context
        if link is None:
            return
        self.shared.connections.pop(connection.id, None)
        link.closed()
        if self.app.hooks["close"]:
            task = self.loop.create_task(self._closed(link))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def _closed(self, link: Link) -> None:
        try:
            await self._run_hooks("close", {**link.base, "request": None, "response": None})
        except Exception as exc:
            self.app.logger.error("on_close failed: %r", exc, exc_info=exc)

    def _link(self, connection: "ExchangeConnection") -> Link:
        link: Optional[Link] = connection.context
        if link is None:
            place = self._place(connection.sockname)
            proxies = self.proxies
            if place.settings is not None:
                proxies = TrustedProxies(place.settings.trusted_proxies)
            link = connection.context = Link(
                connection, self.app, self.loop, self.shared, self.lock, place.options,
                place.given, proxies)
            self.shared.connections[connection.id] = link
        return link

    def _place(self, sockname: Any) -> Place:
        """What is in force at an address: options of `listen()` over those of `run()`."""
        address = sockname[:2] if isinstance(sockname, tuple) else sockname
        place = self._places.get(address)
        if place is None:
            place = self._places[address] = self._new_place(self._listen_options(address))
        return place

    def _new_place(self, own: Mapping[str, Any]) -> Place:
        settings = self.settings
        given = {name: self.options[name] for name in settings.given if name in self.options}
        if not own:
            return Place(self.options, given, None, self.body_limit)
        settings = settings.replace(**own)
        limit = self.body_limit
        if "client_max_body_size" in own:
            limit = _body_limit(settings)
        options = {**self.options, **own, "client_max_body_size": limit}
        return Place(options, {**given, **own}, settings, limit)

    def _listen_options(self, address: Any) -> Mapping[str, Any]:
        ports = self.app.ports
        if not isinstance(address, tuple):
            return ports.get((None, address), {})
        exact = ports.get(address)
        if exact is not None:
            return exact
        for (_, port), options in ports.items():
            if port == address[1]:
                return options
        return {}

    # -- requests -----------------------------------------------------------------------------

    async def handle(self, exchange: "Exchange") -> None:
        """Answer one request. Written out: this is the hot path."""
        connection = exchange.connection
        link = connection.context
        if link is None:
            link = self._link(connection)
        elif link.connecting is not None:
            if not await link.connecting:
                raise ClientDisconnected("an on_connect hook failed")
            link.connecting = None
        request = Request(exchange, link)
        response = Response(request, exchange)
        server = {**link.base, "request": request, "response": response}
        head = exchange.head
        try:
            stack = self._main
            if len(self._stacks) > 1:
                stack = self._stack_for(head.path, server)
            if stack["response"]:
                response.review = Review(self, stack["response"], server)
            if stack["request"] and await before(self, stack["request"], server, exchange):
                return
            route, match = self.routes.find(head.path, head.target)
            if route is None:
                raise NotFound
            exchange.route = route.name
            handler = route.handler or self._method(route, head.method)
            if match is not None:
                give_groups(match, request, server)
            if request._context is None and not request._options:
                request._options = handler.options
            else:
                request.adopt_options(handler.options)
            if not handler.simple:
                await run(self, handler, server, exchange)
                return
            if handler.content_type is not None:
                response.adopt(None, handler.content_type)
            body = await handler.call(server)
            if type(body) is str:
                body = body.encode("utf-8")
            if (type(body) is bytes and response._fields is None and response._status == 200
                    and response._content_type is handler.wire_type and response.review is None
                    and not exchange.response.started):
                exchange.response.respond(200, handler.head, body, response._reason)
                return
            await answer(body, server, exchange, handler)
        except (ClientDisconnected, asyncio.CancelledError):
            raise
        except Exception as exc:
            await fail(self, exc, server, exchange)

    def _method(self, route: Route, method: bytes) -> Handler:
        """The handler of a view for a method. Raises MethodNotAllowed, with Allow."""
        allowed, handler = pick(route.methods or {}, method)
        if not allowed:
            raise MethodNotAllowed(allow=route.allow)
        return handler

    def _stack_for(self, path: bytes, server: Dict[str, Any]) -> Dict[str, List[Registered]]:
        """The middlewares of the longest prefix of `path` that has any."""
        parts: Prefix = segments(path)
        for length in range(min(len(parts), self.app.deepest_prefix), 0, -1):
            stack = self._stacks.get(parts[:length])
            if stack is not None and (stack["request"] or stack["response"]):
                server["prefix"] = parts[:length]
                return stack
        return self._main


def _body_limit(settings: Settings) -> Optional[int]:
    limit = settings.client_max_body_size
    return BODY_LIMIT if limit is None else int(limit)
