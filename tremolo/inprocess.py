"""Serving in this very process, without a supervisor: what `app.run()` does by default.

A composition root: the worker's server and sampler, the supervisor's listeners and plain lines,
on this process's main thread.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
from typing import Any, List, Mapping, Optional, Sequence

from .config import Settings
from .net.server import Server
from .net.tls import server_context
from .supervisor.listeners import Listeners, address, wanted_addresses
from .supervisor.plain import JSONConsumer, PlainConsumer
from .worker.application import Loaded, make_adapter
from .worker.failures import describe
from .worker.guard import exchange_kind, guarded
from .worker.leaving import Leaving
from .worker.loader import classify
from .worker.loops import new_loop
from .worker.output import set_up_logging
from .worker.sampler import Sampler

STOPPING = (signal.SIGINT, signal.SIGTERM)
#: seconds that the application's shutdown has at least
SHUTDOWN_LEAST = 5.0

logger = logging.getLogger("tremolo")


def serve_in_process(application: Any, settings: Settings,
                     addresses: Sequence[Any] = ()) -> int:
    """Serve `application` until SIGINT or SIGTERM; the exit code.

    `addresses` are pairs ((host, port), options), in place of those of the settings. Raises
    ConfigurationError.
    """
    kind = classify(application) if settings.interface == "auto" else settings.interface
    set_up_logging(settings, logging.StreamHandler(), plain_format=True)
    listeners = Listeners(settings)
    try:
        for wanted in [] if addresses else wanted_addresses(settings):
            listeners.bind(wanted)
        for (host, port), options in addresses:
            listeners.bind(address(host, port, dict(options), settings.host))
        loop = new_loop(settings.loop)
        serving = InProcess(Loaded(kind, application, settings, []), listeners, loop)
        try:
            return loop.run_until_complete(serving.run())
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
    finally:
        listeners.close()


class InProcess:
    """One application, served on a loop of this process. `run()` gives the exit code."""

    def __init__(self, loaded: Loaded, listeners: Listeners,
                 loop: asyncio.AbstractEventLoop) -> None:
        settings = loaded.settings
        self._loaded = loaded
        self._listeners = listeners
        self._loop = loop
        self._stop: asyncio.Future[None] = loop.create_future()
        self._shutdown: Optional[asyncio.Task[None]] = None
        self._plain = PlainConsumer(level=settings.log_level)
        self._consumer: Any = JSONConsumer() if settings.json else self._plain

    async def run(self) -> int:
        settings = self._loaded.settings
        contexts = [None if listener.wanted.path and not listener.wanted.options.get("ssl")
                    else server_context(settings, listener.wanted.options.get("ssl"))
                    for listener in self._listeners]
        adapter = guarded(make_adapter(self._loaded), settings)
        server = self._server = self._make_server(adapter)
        sampler = Sampler(server, self._consume, self._loop)
        requests = settings.log_level.upper() in ("", "DEBUG", "INFO")
        sampler.set_detail(int(requests or settings.json))
        for number in STOPPING:
            self._loop.add_signal_handler(number, self._request_stop)
        await adapter.startup()
        for listener, context in zip(self._listeners, contexts):
            # A duplicate, for the server closes its sockets and the listener its own.
            await server.start([socket.socket(fileno=os.dup(listener.fd(0)))],
                               ssl_context=context)
        if not settings.json:
            self._plain.announce(type(self._loaded.application).__name__,
                                 self._listeners.names, 1)
        sampler.start()
        await self._stop
        leaving = Leaving(server, _log_waits)
        leaving.start()
        await server.drain(settings.shutdown_timeout)
        leaving.phase = "shutdown"
        await self._shut_down(adapter)
        sampler.stop()
        self._consume(sampler.final())
        leaving.phase = "script"
        for number in STOPPING:
            self._loop.remove_signal_handler(number)  # uvloop would keep it beyond its end
        return 0

    def _make_server(self, adapter: Any) -> Server:
        from .throttle import own_presets, parse_rule

        settings = self._loaded.settings
        server = Server(adapter, settings, loop=self._loop, logger=logger)
        server.new_exchange = exchange_kind(settings)
        presets = own_presets(settings.presets or {})
        for rule in settings.throttle:
            server.set_throttle(*parse_rule(rule, presets))
        server.on_error = self._on_error
        return server

    def _consume(self, message: Mapping[str, Any]) -> bool:
        self._consumer.handle(message)
        return True

    def _on_error(self, exchange: Any, exc: BaseException) -> None:
        self._consume(describe(
            exc, "request", 0, request=exchange.id, status=exchange.response.status or 500,
            method=exchange.head.method.decode("latin-1"),
            path=ascii(exchange.head.target.decode("latin-1"))[1:-1]))

    def _request_stop(self) -> None:
        """Drain and stop; at once if this was asked for before."""
        if not self._stop.done():
            self._stop.set_result(None)
            return
        for connection in list(self._server.connections.values()):
            connection.abort()
        if self._shutdown is not None:
            self._shutdown.cancel()

    async def _shut_down(self, adapter: Any) -> None:
        shutdown = self._shutdown = self._loop.create_task(adapter.shutdown())
        await asyncio.wait(
            [shutdown], timeout=max(SHUTDOWN_LEAST, self._loaded.settings.shutdown_timeout))
        if not shutdown.done():
            shutdown.cancel()
            logger.warning("the application's shutdown took too long")
        elif not shutdown.cancelled():
            shutdown.result()


def _log_waits(reasons: List[str]) -> None:
    print(f"tremolo: waiting for {', '.join(reasons)} (Ctrl+C again ends it at once)",
          file=sys.stderr)
