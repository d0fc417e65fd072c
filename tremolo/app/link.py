"""What handlers see of their connection, and what is the same for all its requests.

Knows the connection's peer and transport, the worker's shared objects and which proxies are
trusted; does no I/O of its own.
"""

import asyncio
import logging
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Coroutine,
    Dict,
    List,
    Mapping,
    Optional,
    Protocol,
    Set,
    Tuple,
    Union,
)

from ..proxies import TrustedProxies
from .context import ConnectionContext, WorkerContext

if TYPE_CHECKING:
    from ..net.contracts import ExchangeConnection


class Application(Protocol):
    """What a link needs of its application."""

    logger: logging.Logger


class Link:
    """One connection as handlers know it: `server`, `request.protocol`, `request.server`.

    `base` holds the server objects that every handler of the connection gets.
    """

    __slots__ = ("_callbacks", "app", "base", "connecting", "connection", "context", "given",
                 "globals", "loop", "proxies", "trusted")

    def __init__(self, connection: "ExchangeConnection", app: Application,
                 loop: asyncio.AbstractEventLoop, shared: WorkerContext, lock: Any,
                 options: Dict[str, Any], given: Mapping[str, Any],
                 proxies: TrustedProxies) -> None:
        self.connection = connection
        #: those of the options that are no defaults
        self.given = given
        self.app = app
        self.loop = loop
        self.globals = shared
        self._callbacks: List[Callable[..., Any]] = []
        #: runs the `connect` hooks; requests wait for it
        self.connecting: Optional[asyncio.Task[bool]] = None
        transport = connection.transport
        self.context = ConnectionContext(
            options=options, transport=transport, client=client_of(connection.peer),
            tasks=set())
        self.proxies = proxies
        self.trusted = proxies.trusts_peer(connection.peer)
        self.base: Dict[str, Any] = {
            "app": app, "loop": loop, "logger": app.logger, "lock": lock,
            "globals": shared, "context": self.context, "fileno": fileno_of(transport),
            "extras": {}, "next": None,
            "prefix": (), "websocket": None, "sse": None,
        }

    @property
    def options(self) -> Dict[str, Any]:
        """The settings in force for this connection."""
        return self.context.options  # type: ignore[no-any-return]

    @property
    def queue(self) -> None:
        """None: earlier versions had queues here, now nothing is queued between layers."""

    @property
    def transport(self) -> Any:
        return self.connection.transport

    @property
    def client(self) -> Any:
        return self.context.client

    def create_task(self, coro: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Run `coro` beside the connection's handlers; it is cancelled at disconnect."""
        task = self.loop.create_task(coro)
        tasks: Set[Any] = self.context.tasks
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        return task

    def add_close_callback(self, func: Callable[..., Any]) -> None:
        """Call `func` (without arguments, or with this object) when the connection is gone."""
        self._callbacks.append(func)

    def close(self, exc: Optional[BaseException] = None) -> None:
        """Close the connection: at once with an exception, else after what was written."""
        transport = self.connection.transport
        if transport is None:
            return
        if exc is not None:
            transport.abort()
        else:
            transport.close()

    def closed(self) -> None:
        """The connection is gone: cancel its tasks, notify the observers."""
        for task in list(self.context.tasks):
            task.cancel()
        callbacks, self._callbacks = self._callbacks, []
        for func in callbacks:
            try:
                _call_back(func, self)
            except Exception:
                self.app.logger.exception("close callback %r failed", func)


def _call_back(func: Callable[..., Any], link: Link) -> None:
    code = getattr(func, "__code__", None)
    wanted = code.co_argcount - (1 if hasattr(func, "__self__") else 0) if code else 0
    if wanted > len(getattr(func, "__defaults__", None) or ()):
        func(link)
    else:
        func()


def peer_address(peer: Any) -> Optional[str]:
    """The IP address of a peer, None when it came over a Unix socket."""
    if isinstance(peer, tuple) and peer:
        return str(peer[0])
    return None


def client_of(peer: Any) -> Union[Tuple[str, int], str, None]:
    """(ip, port) of a peer, or the path of its Unix socket, or None when it has none."""
    if isinstance(peer, tuple) and len(peer) >= 2:
        return peer[0], peer[1]
    if isinstance(peer, bytes):
        return peer.decode("utf-8", "replace") or None
    return peer or None


def fileno_of(transport: Any) -> int:
    """The descriptor below a transport, -1 when there is none (in-memory transports)."""
    sock = transport.get_extra_info("socket") if transport is not None else None
    return sock.fileno() if sock is not None else -1
