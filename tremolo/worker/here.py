"""Serving in this very process, without a supervisor: what `app.run()` does by default.

The same server, sampler and plain lines as elsewhere, on this process's main thread.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
from typing import Any, List, Mapping, Sequence, Tuple

from ..config import Settings
from .application import Loaded, make_adapter
from .failures import describe
from .guard import exchange_kind, guarded
from .leaving import Leaving
from .loader import classify
from .loops import new_loop
from .output import set_up_logging
from .sampler import Sampler

STOPPING = (signal.SIGINT, signal.SIGTERM)

Bound = List[Tuple[socket.socket, Mapping[str, Any]]]


def serve_here(application: Any, settings: Settings, addresses: Sequence[Any] = ()) -> int:
    """Serve `application` until SIGINT or SIGTERM; the exit code.

    Raises ConfigurationError.
    """
    from ..supervisor.listeners import Listeners, address, wanted_addresses

    kind = classify(application) if settings.interface == "auto" else settings.interface
    set_up_logging(settings, logging.StreamHandler(), plain_format=True)
    listeners = Listeners(settings)
    try:
        for wanted in [] if addresses else wanted_addresses(settings):
            listeners.bind(wanted)
        for (host, port), options in addresses:
            listeners.bind(address(host, port, dict(options), settings.host))
        loop = new_loop(settings.loop)
        loaded = Loaded(kind, application, settings, [])
        try:
            return loop.run_until_complete(_serve(loop, loaded, listeners))
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
    finally:
        listeners.close()


async def _serve(loop: asyncio.AbstractEventLoop, loaded: Loaded, listeners: Any) -> int:
    from ..net.server import Server
    from ..net.tls import server_context
    from ..supervisor.plain import JSONConsumer, PlainConsumer
    from ..throttle import own_presets, parse_rule

    settings = loaded.settings
    contexts = [None if listener.wanted.path and not listener.wanted.options.get("ssl")
                else server_context(settings, listener.wanted.options.get("ssl"))
                for listener in listeners]
    adapter = guarded(make_adapter(loaded), settings)
    server = Server(adapter, settings, loop=loop, logger=logging.getLogger("tremolo"))
    server.new_exchange = exchange_kind(settings)
    presets = own_presets(settings.presets or {})
    for rule in settings.throttle:
        server.set_throttle(*parse_rule(rule, presets))
    requests = settings.log_level.upper() in ("", "DEBUG", "INFO")
    plain = PlainConsumer(level=settings.log_level)
    consumer: Any = JSONConsumer() if settings.json else plain

    def sink(message: Mapping[str, Any]) -> bool:
        consumer.handle(message)
        return True

    def on_error(exchange: Any, exc: BaseException) -> None:
        consumer.handle(describe(
            exc, "request", 0, request=exchange.id, status=exchange.status or 500,
            method=exchange.head.method.decode("latin-1"),
            path=ascii(exchange.head.target.decode("latin-1"))[1:-1]))

    server.on_error = on_error
    sampler = Sampler(server, sink, loop)
    sampler.set_detail(int(requests or settings.json))
    stop: asyncio.Future[None] = loop.create_future()
    shutdowns: List[asyncio.Task[None]] = []

    def request_stop() -> None:
        if not stop.done():
            stop.set_result(None)
            return
        for connection in list(server.connections.values()):
            connection.abort()
        for shutdown in shutdowns:
            shutdown.cancel()

    for number in STOPPING:
        loop.add_signal_handler(number, request_stop)
    await adapter.startup()
    for listener, context in zip(listeners, contexts):
        # A duplicate, for the server closes its sockets and the listener its own.
        await server.start([socket.socket(fileno=os.dup(listener.fd(0)))],
                           ssl_context=context)
    if not settings.json:
        plain.announce(type(loaded.application).__name__, listeners.names, 1)
    sampler.start()
    await stop
    leaving = Leaving(server, _tell_waits)
    leaving.start()
    await server.drain(settings.shutdown_timeout)
    leaving.phase = "shutdown"
    shutdown = loop.create_task(adapter.shutdown())
    shutdowns.append(shutdown)
    await asyncio.wait([shutdown], timeout=max(5.0, settings.shutdown_timeout))
    if not shutdown.done():
        shutdown.cancel()
        logging.getLogger("tremolo").warning("the application's shutdown took too long")
    elif not shutdown.cancelled():
        shutdown.result()
    sampler.stop()
    sink(sampler.final())
    leaving.phase = "script"
    for number in STOPPING:
        loop.remove_signal_handler(number)  # uvloop would keep it beyond its end
    return 0


def _tell_waits(reasons: List[str]) -> None:
    print(f"tremolo: waiting for {', '.join(reasons)} (Ctrl+C again ends it at once)",
          file=sys.stderr)
