"""A WebSocket on a connection: the engine's bytes, time and flow control.

Messages wait here, at most `QUEUED` bytes and one message of them, until somebody takes them;
beyond that the connection is not read. Pings are answered meanwhile. Knows the engine and the
connection, not what the messages mean.
"""

import asyncio
import collections
from typing import Deque, Optional, Union

from ..protocol.websocket import (
    CLOSED,
    NEED_DATA,
    OPEN,
    Close,
    Failed,
    Fragment,
    Message,
    Ping,
    Pong,
    StateError,
    WebSocketEngine,
)
from . import states
from .exchange import DONE, Exchange
from .keepalive import GIVE_UP, SEND_PING, Keepalive
from .message_log import BINARY, CLOSE, PING, PONG, TEXT, MessageLog
from .ticker import NEVER

#: bytes (and messages) received ahead of the application
QUEUED = 64 * 1024
QUEUED_MESSAGES = 256
#: seconds that the closing handshake, and the end of the TCP connection after it, may take
CLOSE_TIMEOUT = 5.0
#: pings and pongs a second that a client may send
CONTROL_RATE = 100
#: RFC 6455 section 7.4.1, and IANA's registry
ABNORMAL = 1006


class WebSocketLink:
    """One WebSocket whose handshake was accepted.

    `receive()` messages until it gives a `Close`; `send()`; `close()`. After the end
    `close_code` and `close_reason` are those of the peer (1006: none came), or, if it has
    `failed`, how the peer broke the protocol. `keepalive` has the time between pings.
    """

    __slots__ = ("_connection", "_control_mark", "_control_second", "_deflated", "_engine",
                 "_exchange", "_more", "_outbox", "_queue", "_queued", "_waiter",
                 "_waiting_for_room", "close_code", "close_reason", "closed", "failed", "holding",
                 "keepalive", "messages_in", "messages_out")

    def __init__(self, exchange: Exchange, engine: WebSocketEngine, deflated: bool) -> None:
        self._exchange = exchange
        self._connection = exchange.connection
        self._outbox = exchange.connection.outbox
        self._engine = engine
        self._deflated = deflated
        self._queue: Deque[Union[Message, Fragment]] = collections.deque()
        self._queued = 0
        self._waiter: Optional[asyncio.Future[None]] = None
        self.keepalive = Keepalive()
        self._control_mark = 0
        self._control_second = 0
        self._waiting_for_room = False
        #: the engine has more than was taken from it
        self._more = False
        #: as much waits for the application as may; the engine may have more
        self.holding = False
        #: nothing more will come out of the engine
        self.closed = False
        #: the peer broke the protocol or a limit
        self.failed = False
        self.close_code = ABNORMAL
        self.close_reason = ""
        self.messages_in = 0
        self.messages_out = 0

    # -- for the adapters ----------------------------------------------------------------------

    async def receive(self) -> Union[Message, Fragment, Close]:
        """The next message, or Close for ever once the WebSocket ended. One that was accepted
        with `fragments` gives frames (Fragment) in place of messages."""
        while True:
            event = self.take()
            if event is not None:
                return event
            await self.arrival()

    def take(self) -> Union[Message, Fragment, Close, None]:
        """As `receive`, but None when one must wait for `arrival()` first."""
        queue = self._queue
        if not queue:
            if self._more:
                self._pump(True)
            if not queue:
                return Close(self.close_code, self.close_reason) if self.closed else None
        message = queue.popleft()
        self._queued -= len(message.data)
        if self.holding and self._queued <= QUEUED // 2 and len(queue) <= QUEUED_MESSAGES // 2:
            self._go_on()
        return message

    def arrival(self) -> "asyncio.Future[None]":
        """Done when `take()` is worth another try. Raises RuntimeError while another task
        waits."""
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            raise RuntimeError("the WebSocket is already being received from")
        waiter = self._waiter = self._connection.server.loop.create_future()
        return waiter

    def send(self, data: Union[str, bytes]) -> "Optional[asyncio.Future[None]]":
        """Send one message: text for a str, else binary. None: go on; else await the result
        before the next. Raises StateError once closing began."""
        engine = self._engine
        if self._connection.state is states.CLOSED:
            raise StateError("the client is gone")
        deflated = engine.deflated
        if type(data) is str:
            engine.send_text(data)
        else:
            engine.send_bytes(data)  # type: ignore[arg-type]
        self.messages_out += 1
        log = self._connection.server.message_log
        wait = self._flush()
        if log is not None:
            text = type(data) is str
            wire = engine.deflated_size if engine.deflated != deflated else None
            self._log(log, False, TEXT if text else BINARY,
                      data.encode() if text else data, wait is not None, wire)  # type: ignore
        return wait

    def _log(self, log: MessageLog, incoming: bool, kind: str, data: bytes,
             waited: bool = False, wire: Optional[int] = None) -> None:
        connection = self._connection
        log.add(connection.server.loop.time(), connection.id, self._exchange.id, incoming, kind,
                data, waited, wire)

    def _log_event(self, log: MessageLog, event: object, wire: Optional[int]) -> None:
        """What came from the peer; `wire` is what a message took that had come compressed."""
        if isinstance(event, Message):
            text = isinstance(event.data, str)
            self._log(log, True, TEXT if text else BINARY,
                      event.data.encode() if isinstance(event.data, str) else event.data,
                      wire=wire)
        elif isinstance(event, Fragment):
            self._log(log, True, TEXT if event.opcode == 1 else BINARY, event.data)
        elif isinstance(event, (Ping, Pong)):
            self._log(log, True, PING if isinstance(event, Ping) else PONG, event.data)
        elif isinstance(event, Close):
            self._log(log, True, CLOSE, f"{event.code} {event.reason}".strip().encode())

    @property
    def exchange(self) -> Exchange:
        """The exchange that was its handshake."""
        return self._exchange

    def send_fragment(self, data: bytes, opcode: int,
                      fin: bool) -> "Optional[asyncio.Future[None]]":
        """Send one frame of a message; as `WebSocketEngine.send_fragment`."""
        if self._connection.state is states.CLOSED:
            raise StateError("the client is gone")
        self._engine.send_fragment(data, opcode, fin)
        log = self._connection.server.message_log
        if log is not None:
            self._log(log, False, TEXT if opcode == 1 else BINARY, data)
        return self._flush()

    def ping(self, data: bytes = b"") -> None:
        self._engine.ping(data)
        self._flush()

    def pong(self, data: bytes = b"") -> None:
        self._engine.pong(data)
        self._flush()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Begin the closing handshake; without effect once it has begun. Raises ValueError for
        a code that must not be sent."""
        if self._connection.state is states.CLOSED or self._engine.state != OPEN:
            return
        self._engine.close(code, reason)
        log = self._connection.server.message_log
        if log is not None:
            self._log(log, False, CLOSE, f"{code} {reason}".strip().encode())
        self._flush()
        self._connection.deadline = self._connection.server.loop.time() + CLOSE_TIMEOUT
        if self.holding:
            self._go_on()  # the peer's answer is behind what nobody will take any more

    @property
    def open(self) -> bool:
        """Messages can be sent."""
        return self._engine.state == OPEN and self._connection.state is not states.CLOSED

    @property
    def compressed(self) -> bool:
        """permessage-deflate was agreed on."""
        return self._deflated

    # -- receiving -----------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._engine.receive_data(data)
        if self.holding:
            # Some transports deliver what they had read already.
            self._connection.stream.pause_reading()
        elif self._waiter is None:
            self._pump()
        else:
            # One message for whoever waits, who may answer it before we see that the next
            # frame breaks the protocol or closes. If no more is asked for in this turn, all
            # the same.
            self._pump(True)
            if self._more:
                self._connection.server.call_soon(self._pump_rest)

    def _pump_rest(self) -> None:
        if self._more and not self.holding:
            self._pump()

    def _go_on(self) -> None:
        """There is room again."""
        self.holding = False
        self._connection.stream.resume_reading()
        self._pump()

    def _pump(self, one: bool = False) -> None:
        """Take messages from the engine as far as there is room for them; or, for somebody who
        is about to take it, `one`."""
        engine = self._engine
        next_event = engine.next_event
        queue = self._queue
        answers = self._more = False
        log = self._connection.server.message_log
        inflated = 0 if log is None else engine.inflated
        while True:
            event = next_event()
            if log is not None and event is not NEED_DATA:
                came, inflated = inflated, engine.inflated
                self._log_event(log, event, engine.inflated_size if came != inflated else None)
            if type(event) is Message or type(event) is Fragment:
                queue.append(event)
                if type(event) is not Fragment or event.fin:
                    self.messages_in += 1
                self._queued += len(event.data)
                if one:
                    # However long it is, it does not stay: no need to stop reading.
                    self._more = engine.pending
                    break
                if self._queued >= QUEUED or len(queue) >= QUEUED_MESSAGES:
                    self.holding = self._more = True
                    self._connection.stream.pause_reading()
                    break
            elif event is NEED_DATA:
                break
            elif type(event) is Close or type(event) is Failed:
                self.failed = type(event) is Failed
                self._ended(event.code, event.reason)
                return
            elif not self._control_frame():
                return
            else:
                answers = True
        if answers:
            self._answer()
        waiter = self._waiter
        if waiter is not None and queue:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)

    def _control_frame(self) -> bool:
        """A ping or pong came: whether that is no flood."""
        engine = self._engine
        second = int(self._connection.server.loop.time())
        if second != self._control_second:
            self._control_second = second
            self._control_mark = engine.control_frames - 1
        if engine.control_frames - self._control_mark <= CONTROL_RATE:
            return True
        self._fail(1008, "too many control frames")
        return False

    def _fail(self, code: int, reason: str) -> None:
        """End it for a reason that the engine cannot see."""
        self._engine.fail(code, reason)
        self.failed = True
        self._ended(code, reason)

    def _ended(self, code: int, reason: str) -> None:
        """Both sides are done, or the engine gave up: end the TCP connection."""
        connection = self._connection
        self.closed = True
        self.close_code = code
        self.close_reason = reason
        self._flush()
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
        if not connection.lost:
            connection.leave()
            if connection.state is not states.LINGERING:  # what is left to send must get on
                connection.deadline = connection.server.loop.time() + CLOSE_TIMEOUT

    def eof_received(self) -> None:
        self._engine.receive_eof()
        if not self.holding:
            self._pump()

    def connection_lost(self) -> None:
        exchange = self._exchange
        connection = self._connection
        if not self.closed:
            self._engine.receive_eof()
            if not self.holding:  # else the application has messages to take before the end
                self._pump()
        exchange.bytes_in = connection.bytes_in
        exchange.response.bytes_out = self._outbox.bytes_out
        exchange.record(DONE, connection.server.clock())
        exchange.peer_left()

    # -- sending -------------------------------------------------------------------------------

    def _flush(self) -> "Optional[asyncio.Future[None]]":
        """Hand over what the engine has. None: go on."""
        pieces = self._engine.data_to_send()
        outbox = self._outbox
        if not pieces or self._connection.state is states.CLOSED:
            return None
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if self._queue or self._more:
            # More answers will follow in this turn: let them leave in one write.
            wait = outbox.push(data)
        else:
            outbox.push_now(data)
            wait = outbox.room()
        if wait is not None:
            self._connection.watch_writes()
        return wait

    def _answer(self) -> None:
        """Send pongs, but never pile them up: a client that does not read gets fewer."""
        if not self._outbox.congested:
            self._flush()
        elif not self._waiting_for_room:
            self._waiting_for_room = True
            self._outbox.wait().add_done_callback(self._room)

    def _room(self, _: "asyncio.Future[None]") -> None:
        self._waiting_for_room = False
        self._flush()

    # -- time ----------------------------------------------------------------------------------

    def on_deadline(self, now: float) -> None:
        connection = self._connection
        outbox = self._outbox
        engine = self._engine
        stream = connection.stream
        connection.deadline = NEVER
        if outbox.full and now >= stream.stall_deadline and stream.write_stalled():
            connection.abort()
        elif outbox.blocked_since and not outbox.full:
            connection.deadline = now + CLOSE_TIMEOUT  # it is us who hold it back
        elif engine.state == CLOSED or self.closed:
            connection.abort()
        elif engine.state != OPEN:  # the peer does not answer our close
            engine.receive_eof()
            self._ended(ABNORMAL, "")
            connection.abort()
        elif stream.paused or outbox.full:
            connection.deadline = self.keepalive.suspend(now)
        else:
            action, connection.deadline = self.keepalive.look(now, connection.bytes_in)
            if action is SEND_PING:
                self.ping()
            elif action is GIVE_UP:
                engine.fail(1011, "no pong came")
                self._ended(ABNORMAL, "")

    def drain(self) -> None:
        """The server ends: ask the client to come back. The application is notified when the
        client has answered, or after a moment, and has what is left of the time to end."""
        server = self._connection.server
        code = server.websocket_close_code
        self.close(code)
        if not self.closed:
            server.loop.call_later(server.drain_grace, self._unanswered, code)

    def _unanswered(self, code: int) -> None:
        if not self.closed and self._connection.state is not states.CLOSED:
            self._engine.receive_eof()
            self._ended(code, "")
