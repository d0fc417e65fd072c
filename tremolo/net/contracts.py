"""What each part of `net` asks of the one above it, as types: an exchange of its connection, a
connection of its server.

For type checkers alone: nothing loads it. So none of the parts imports the one above, and each
can be used below another.
"""

import asyncio
from typing import Any, Callable, Dict, Optional, Protocol, Set

from ..config import Settings
from ..protocol.http1 import HeaderCache, Limits, ProtocolError, RequestParser
from .counters import Counters
from .message_log import MessageLog
from .outbox import Outbox
from .recent import Recent
from .states import State
from .stream import Stream
from .throttling.pacer import Pacer
from .throttling.table import ThrottleTable


class Answering(Protocol):
    """The adapter, as far as connections go; see `tremolo.net.adapter.Adapter`."""

    handler_timeout: float
    close_timeout: float

    def connection_lost(self, connection: Any) -> None: ...


class ConnectionServer(Protocol):
    """The server that a connection belongs to; see `tremolo.net.server.Server`."""

    loop: asyncio.AbstractEventLoop
    clock: Callable[[], float]
    copies_writes: bool
    settings: Settings
    logger: Any
    counters: Counters
    limits: Limits
    header_cache: HeaderCache
    read_view: memoryview
    wide_view: memoryview
    write_timeout: float
    throttle: ThrottleTable
    throttler: Any
    keep_alive: bool
    full: bool
    draining: bool
    drain_grace: float
    date_line: bytes
    preface: bytes
    new_exchange: Callable[..., Any]
    create_task: Callable[..., "asyncio.Task[None]"]
    tasks: "Set[asyncio.Task[None]]"
    paused: Dict[int, Any]
    recent: Optional[Recent]
    message_log: Optional[MessageLog]

    @property
    def adapter(self) -> Answering: ...
    @property
    def websocket_close_code(self) -> int: ...
    def next_id(self) -> int: ...
    def add(self, connection: Any) -> None: ...
    def remove(self, connection: Any) -> None: ...
    def release(self, connection: Any) -> None: ...
    def accept_again(self) -> None: ...
    def call_soon(self, callback: Callable[[], None]) -> None: ...
    def outside(self, callback: Callable[[], None]) -> None: ...
    def report(self, exchange: Any, exc: BaseException) -> None: ...
    def refused(self, connection: Any, exc: ProtocolError) -> None: ...


class Upgraded(Protocol):
    """What owns a connection after an upgrade. While it is `holding` nothing shall be read."""

    holding: bool

    def data_received(self, data: bytes) -> None: ...
    def eof_received(self) -> None: ...
    def connection_lost(self) -> None: ...
    def on_deadline(self, now: float) -> None: ...
    def drain(self) -> None: ...


class Exchanges(Protocol):
    """The exchanges of a connection; see `tremolo.net.cycle.Cycle`."""

    @property
    def current(self) -> Any: ...
    def completed(self, now: float) -> None: ...
    def give_up(self, response: Any) -> None: ...


class ExchangeConnection(Protocol):
    """The connection that carries an exchange; see `tremolo.net.connection.HTTPConnection`."""

    id: int
    server: ConnectionServer
    settings: Settings
    state: State
    stream: Stream
    outbox: Outbox
    transport: Any
    socket: Any
    peer: Any
    sockname: Any
    is_tls: bool
    eof: bool
    bytes_in: int
    deadline: float
    handler_timeout: float
    context: Any
    upgraded: Optional[Upgraded]
    server_line: Optional[bytes]

    @property
    def lost(self) -> bool: ...
    @property
    def preface(self) -> bytes: ...
    @property
    def cycle(self) -> Exchanges: ...
    @property
    def parser(self) -> RequestParser: ...
    def upgrade(self, upgraded: Upgraded, deadline: float) -> bytes: ...
    def watch_writes(self) -> None: ...
    def leave(self) -> None: ...
    def cut(self) -> None: ...
    def close(self) -> None: ...
    def abort(self) -> None: ...
    def reset(self) -> None: ...


class CycleConnection(ExchangeConnection, Protocol):
    """The connection whose exchanges follow each other."""

    pacer: Optional[Pacer]

    def enter(self, state: State, deadline: float) -> None: ...
    def end(self) -> None: ...
