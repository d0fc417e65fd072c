"""A WebSocket on a connection: the engine's bytes, time and flow control.

Messages wait here, at most `QUEUED` bytes of them, until somebody receives; beyond that the
connection is not read. Pings are answered meanwhile. Knows the engine and the connection, not
what the messages mean.
"""

import asyncio
import collections
from typing import TYPE_CHECKING, Deque, Iterable, Optional, Tuple, Union

from ..protocol.websocket import (
    CLOSED, NEED_DATA, OPEN, Close, DeflateConfig, Failed, Message, StateError, Upgrade,
    WebSocketEngine,
)
from .ticker import NEVER

if TYPE_CHECKING:
    from .exchange import Exchange

#: bytes (and messages) received ahead of the application
QUEUED = 64 * 1024
QUEUED_MESSAGES = 256
#: seconds between pings, and for a pong to come
PING_INTERVAL = 20.0
PING_TIMEOUT = 20.0
#: seconds that the closing handshake, and the end of the TCP connection after it, may take
CLOSE_TIMEOUT = 5.0
#: pings and pongs a second that a client may send (R34)
CONTROL_RATE = 100
#: RFC 6455 section 7.4.1, and IANA's registry
GOING_AWAY, RESTARTING, ABNORMAL = 1001, 1012, 1006


class WebSocketLink:
    """One WebSocket whose handshake was accepted.

    `receive()` messages until it gives a `Close`; `send()`; `close()`. After the end
    `close_code` and `close_reason` tell what the peer said (1006: nothing).
    """

    __slots__ = ("_connection", "_control_mark", "_control_second", "_deflated", "_engine",
                 "_exchange",
                 "_pinged", "_queue", "_queued", "_waiter", "close_code", "close_reason",
                 "closed", "messages_in", "messages_out", "restarting")

    def __init__(self, exchange: "Exchange", engine: WebSocketEngine, deflated: bool) -> None:
        self._exchange = exchange
        self._connection = exchange.connection
        self._engine = engine
        self._deflated = deflated
        self._queue: Deque[Message] = collections.deque()
        self._queued = 0
        self._waiter: Optional["asyncio.Future[None]"] = None
        self._pinged = False
        self._control_mark = 0
        self._control_second = 0
        #: nothing more will be received
        self.closed = False
        self.close_code = ABNORMAL
        self.close_reason = ""
        #: why `drain` closes: 1012 when other code takes over, else 1001
        self.restarting = False
        self.messages_in = 0
        self.messages_out = 0

    # -- for the adapters ----------------------------------------------------------------------

    async def receive(self) -> Union[Message, Close]:
        """The next message, or Close for ever once the WebSocket ended."""
        queue = self._queue
        while not queue:
            if self.closed:
                return Close(self.close_code, self.close_reason)
            if self._waiter is not None:
                raise RuntimeError("the WebSocket is already being received from")
            waiter = self._waiter = self._connection.server.loop.create_future()
            try:
                await waiter
            finally:
                self._waiter = None
        message = queue.popleft()
        self._queued -= len(message.data)
        if self._connection.reading_paused and self._queued <= QUEUED // 2:
            self._connection.resume_reading()
            self._pump()
        return message

    def send(self, data: Union[str, bytes]) -> "Optional[asyncio.Future[None]]":
        """Send one message: text for a str, else binary. None: go on; else await the result
        before the next. Raises StateError once closing began."""
        engine = self._engine
        if self._connection.lost:
            raise StateError("the client is gone")
        if type(data) is str:
            engine.send_text(data)
        else:
            engine.send_bytes(data)  # type: ignore[arg-type]
        self.messages_out += 1
        return self._flush()

    def send_fragment(self, data: bytes, opcode: int,
                      fin: bool) -> "Optional[asyncio.Future[None]]":
        """Send one frame of a message; as `WebSocketEngine.send_fragment`."""
        self._engine.send_fragment(data, opcode, fin)
        return self._flush()

    def ping(self, data: bytes = b"") -> None:
        self._engine.ping(data)
        self._flush()

    def pong(self, data: bytes = b"") -> None:
        self._engine.pong(data)
        self._flush()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Begin the closing handshake; without effect once it has begun."""
        if self._connection.lost or self._engine.state != OPEN:
            return
        self._engine.close(code, reason)
        self._flush()
        self._connection.deadline = self._connection.server.loop.time() + CLOSE_TIMEOUT

    @property
    def open(self) -> bool:
        """Messages can be sent."""
        return self._engine.state == OPEN and not self._connection.lost

    @property
    def compressed(self) -> bool:
        """permessage-deflate was agreed on."""
        return self._deflated

    # -- for the connection --------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._engine.receive_data(data)
        self._pump()

    def _pump(self) -> None:
        """Take what the engine has, as far as there is room for it."""
        engine = self._engine
        queue = self._queue
        while True:
            if self._queued >= QUEUED or len(queue) >= QUEUED_MESSAGES:
                self._connection.pause_reading()
                break
            event = engine.next_event()
            if type(event) is Message:
                queue.append(event)
                self._queued += len(event.data)
                self.messages_in += 1
            elif event is NEED_DATA:
                break
            elif type(event) is Close or type(event) is Failed:
                self._ended(event.code, event.reason)
                return
            else:
                self._control_frame()
        self._flush_pending()
        if queue:
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _control_frame(self) -> None:
        """A ping or pong came: the connection lives; see that it is no flood."""
        if self._pinged:
            self._pinged = False
            self._connection.deadline = \
                self._connection.server.loop.time() + PING_INTERVAL
        second = int(self._connection.server.loop.time())
        if second != self._control_second:
            self._control_second = second
            self._control_mark = self._engine.control_frames
        elif self._engine.control_frames - self._control_mark > CONTROL_RATE:
            self._engine.fail(1008, "too many control frames")
            self._ended(1008, "")

    def _ended(self, code: int, reason: str) -> None:
        """Both sides are done, or the engine gave up: end the TCP connection."""
        self.closed = True
        self.close_code = code
        self.close_reason = reason
        self._flush_pending()
        self._wake()
        if not self._connection.lost:
            self._connection.leave()

    def _flush(self) -> "Optional[asyncio.Future[None]]":
        pieces = self._engine.data_to_send()
        outbox = self._connection.outbox
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if not data:
            return None
        if self._queue:
            # More answers will follow in this turn: let them leave in one write.
            return outbox.push(data)
        outbox.push_now(data)
        if outbox.congested:
            self._connection.watch_writes()
            return outbox.wait()
        return None

    def _flush_pending(self) -> None:
        pieces = self._engine.data_to_send()
        if pieces and not self._connection.lost:
            self._connection.outbox.push_now(b"".join(pieces))

    def eof_received(self) -> None:
        self._engine.receive_eof()
        self._pump()

    def connection_lost(self) -> None:
        if not self.closed:
            self._engine.receive_eof()
            self._pump()
        self.closed = True
        self._wake()
        self._exchange.bytes_in = self._connection.bytes_in
        self._exchange.bytes_out = self._connection.outbox.bytes_out
        self._exchange.record("done")
        self._exchange.peer_left()

    def on_deadline(self, now: float) -> None:
        connection = self._connection
        engine = self._engine
        connection.deadline = NEVER
        if engine.state == CLOSED or self.closed:
            connection.abort()
        elif engine.state != OPEN:  # the peer does not answer our close
            self._ended(ABNORMAL, "")
        elif connection.outbox.full and connection.write_stalled():
            connection.abort()
        elif connection.reading_paused or connection.outbox.full:
            connection.deadline = now + PING_INTERVAL  # the silence is ours
        elif self._pinged:
            engine.fail(1011, "no pong came")
            self._ended(ABNORMAL, "")
        else:
            self._pinged = True
            engine.ping()
            self._flush_pending()
            connection.deadline = now + PING_TIMEOUT

    def drain(self) -> None:
        """The server ends: ask the client to come back."""
        self.close(RESTARTING if self._connection.server.restarting else GOING_AWAY)


def accept(exchange: "Exchange", upgrade: Upgrade, subprotocol: Optional[str] = None,
           headers: Iterable[Tuple[bytes, bytes]] = ()) -> WebSocketLink:
    """Answer 101 and let a WebSocket take over the connection of `exchange`.

    Raises ValueError for a subprotocol that was not offered, and for headers that may not be
    sent or belong to the handshake.
    """
    connection = exchange.connection
    server = connection.server
    settings = server.settings
    deflate = DeflateConfig() if settings.websocket_deflate else None
    fields, agreed = upgrade.response_headers(subprotocol, deflate)
    own = list(headers)
    for name, _ in own:
        if name.lower().startswith(b"sec-websocket-") and \
                name.lower() != b"sec-websocket-protocol":
            raise ValueError(f"the header {name!r} belongs to the handshake")
    head = exchange.writer.head(101, own + fields, preface=server.preface)
    exchange.started = exchange.finished = True
    exchange.status = 101
    exchange.body_done = True
    exchange.first_byte = server.loop.time()
    server.counters.status[1] += 1
    link = WebSocketLink(exchange, WebSocketEngine(
        settings.ws_max_payload_size, deflate=agreed), agreed is not None)
    connection.taken = link
    connection.deadline = server.loop.time() + PING_INTERVAL
    connection.outbox.push_now(head)
    early = connection.parser.take_buffered()
    connection.resume_reading()
    if early:
        link.data_received(early)
    if server.draining:
        link.drain()
    return link
