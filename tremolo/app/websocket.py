"""The WebSocket object that handlers ask for with `websocket=None`.

Knows one upgrade request and, once accepted, the WebSocket of the connection core; the
protocol itself is the engine's.
"""

import asyncio
import os
from typing import TYPE_CHECKING, Awaitable, Callable, List, Optional, TypeVar, Union

from ..exceptions import HTTPException, WebSocketClientClosed, WebSocketServerClosed
from ..net.handshake import accept, judge
from ..net.keepalive import PING_INTERVAL
from ..net.websocket import WebSocketLink
from ..protocol.websocket import (
    BINARY,
    TEXT,
    Close,
    Fragment,
    HandshakeError,
    StateError,
    Upgrade,
    serialize_frame,
)
from .errors import exception_for

if TYPE_CHECKING:
    from .request import Request
    from .response import Response

Data = Union[str, bytes, bytearray]
Received = TypeVar("Received")


class WebSocket:
    """One WebSocket. `accept` it, then `receive` and `send`; or iterate over its messages.

    `subprotocols` are the names that the client offers, `origin` is the page that asks (None
    when no browser does). Raises HTTPException (400, 426) for a request that cannot become
    one.

    `max_payload_size` bounds a message in bytes; it may be changed before `accept`. After
    `receive` and `recv`, `opcode` and `fin` describe what came. `ping_interval`, in seconds, is
    that of the server, or half of `request_timeout` where that was set.
    """

    def __init__(self, request: "Request", response: "Response") -> None:
        self.request = request
        self.response = response
        self.max_payload_size: int = request.link.options["ws_max_payload_size"]
        self._ping_interval = PING_INTERVAL
        given = request.link.given
        if given.get("request_timeout"):
            self._ping_interval = given["request_timeout"] / 2
        #: of the last frame or message received
        self.fin = 1
        self.opcode = TEXT
        #: of the message that the next frame belongs to
        self._kind = TEXT
        self._upgrade = _upgrade_of(request)
        self._link: Optional[WebSocketLink] = None

    @property
    def subprotocols(self) -> List[str]:
        return list(self._upgrade.subprotocols)

    @property
    def ping_interval(self) -> float:
        """Seconds of silence after which the client is pinged."""
        return self._ping_interval

    @ping_interval.setter
    def ping_interval(self, seconds: float) -> None:
        self._ping_interval = seconds
        if self._link is not None:
            self._link.keepalive.interval = seconds

    @property
    def origin(self) -> Optional[str]:
        value = self.request.head.header(b"origin")
        return None if value is None else value.decode("latin-1")

    @property
    def close_reason(self) -> str:
        """What the peer gave as the reason of its close."""
        return self._link.close_reason if self._link is not None else ""

    async def accept(self, subprotocol: Optional[str] = None) -> None:
        """Answer the handshake, with the fields that were set on the response. Without effect
        once accepted. Raises ValueError for a subprotocol that the client did not offer."""
        if self._link is not None:
            return
        response = self.response
        if response.review is not None and not await response.reviewed():
            raise WebSocketServerClosed("a middleware answered the handshake", code=1008)
        self._link = accept(self.request._exchange, self._upgrade, subprotocol,
                            response.own_fields(), fragments=True,
                            max_message_size=self.max_payload_size,
                            ping_interval=self._ping_interval)

    async def receive(self, timeout: Optional[float] = None) -> Union[str, bytearray]:
        """The next message: str for text, bytearray for binary. Raises WebSocketClientClosed
        when the client has closed, WebSocketServerClosed when it broke the protocol, or sent
        nothing for `timeout` seconds."""
        data = await self._within(timeout, self._message)
        self.opcode = self._kind
        return data.decode("utf-8") if self._kind == TEXT else data

    async def recv(self, timeout: Optional[float] = None) -> bytes:
        """The payload of the next frame; `opcode` (0 for all but the first frame of a message)
        and `fin` describe it. Pings and pongs are not given: the server answers them by
        itself. Raises as `receive`."""
        frame = await self._within(timeout, self._frame)
        self.opcode = frame.opcode
        return frame.data

    async def _within(self, timeout: Optional[float],
                      receive: Callable[[WebSocketLink], Awaitable[Received]]) -> Received:
        await self.accept()
        link = self._accepted()
        if timeout is None:
            return await receive(link)
        try:
            return await asyncio.wait_for(receive(link), timeout)
        except asyncio.TimeoutError:
            link.close(1000)
            raise WebSocketServerClosed(f"no message came within {timeout:g} s",
                                        code=1000) from None

    async def _message(self, link: WebSocketLink) -> bytearray:
        data = bytearray()
        while True:
            data += (await self._frame(link)).data
            if self.fin:
                return data

    async def _frame(self, link: WebSocketLink) -> Fragment:
        frame = await link.receive()
        if isinstance(frame, Close):
            ended = WebSocketServerClosed if link.failed else WebSocketClientClosed
            raise ended(frame.reason, code=frame.code)
        assert isinstance(frame, Fragment)  # as was asked for in accept()
        self.fin = int(frame.fin)
        if frame.opcode:
            self._kind = frame.opcode
        return frame

    async def send(self, data: Data, fin: int = 1, opcode: Optional[int] = None) -> None:
        """Send a message: text for str, binary for bytes; or a frame of one, with `fin` 0 for
        all but the last and `opcode` 0 for all but the first. Waits while the client is slow.
        Raises WebSocketClientClosed once the WebSocket has ended."""
        await self.accept()
        link = self._accepted()
        payload = bytes(data) if isinstance(data, bytearray) else data
        try:
            if fin and opcode is None:
                wait = link.send(payload)
            elif opcode in (8, 9, 10):
                return self._control(opcode, payload)
            else:
                if opcode is None:
                    opcode = TEXT if isinstance(payload, str) else BINARY
                frame = payload.encode("utf-8") if isinstance(payload, str) else payload
                wait = link.send_fragment(frame, opcode, bool(fin))
        except StateError:
            if link.open:
                raise
            raise WebSocketClientClosed("the WebSocket is closed",
                                        code=link.close_code) from None
        if wait is not None:
            await wait

    def _control(self, opcode: int, data: Union[str, bytes]) -> None:
        payload = data.encode("utf-8") if isinstance(data, str) else data
        if opcode == 9:
            self._accepted().ping(payload)
        elif opcode == 10:
            self._accepted().pong(payload)
        else:
            self._accepted().close(int.from_bytes(payload[:2], "big") or 1000,
                                   payload[2:].decode("utf-8", "replace"))

    async def ping(self, data: bytes = b"") -> None:
        """Send a ping."""
        self._accepted().ping(data)

    async def pong(self, data: bytes = b"") -> None:
        """Send a pong that nobody asked for; pings are answered by themselves."""
        self._accepted().pong(data)

    async def close(self, code: int = 1000, reason: str = "", *,
                    timeout: Optional[float] = None) -> None:
        """Close with `code`; before the handshake was answered, refuse it with 403. With a
        `timeout`, waits that many seconds for the client to agree."""
        if self._link is None:
            if not self.request._exchange.response.started:
                raise exception_for(403, "Forbidden")
            return
        self._link.close(code, reason)
        if timeout is not None:
            try:
                await asyncio.wait_for(self._closed(self._link), timeout)
            except asyncio.TimeoutError:
                pass  # the core ends the connection by itself

    async def _closed(self, link: WebSocketLink) -> None:
        while not isinstance(await link.receive(), Close):
            pass

    def _accepted(self) -> WebSocketLink:
        link = self._link
        if link is None:
            raise RuntimeError("the WebSocket was not accepted yet")
        return link

    def __aiter__(self) -> "WebSocket":
        return self

    async def __anext__(self) -> Union[str, bytearray]:
        try:
            return await self.receive()
        except WebSocketClientClosed:
            raise StopAsyncIteration from None

    def ended(self, code: int = 1000) -> None:
        """The handler is done."""
        if self._link is not None:
            self._link.close(code)

    @staticmethod
    def create_frame(payload: Data, fin: int = 1, opcode: Optional[int] = None,
                     mask: bool = False) -> bytes:
        """One whole frame; masked, as clients must send them, with `mask`."""
        if opcode is None:
            opcode = TEXT if isinstance(payload, str) else BINARY
        data = payload.encode("utf-8") if isinstance(payload, str) else bytes(payload)
        return serialize_frame(opcode, data, fin=bool(fin),
                               mask=os.urandom(4) if mask else None)


def _upgrade_of(request: "Request") -> Upgrade:
    try:
        return judge(request._exchange)
    except HandshakeError as exc:
        error: HTTPException = exception_for(exc.status, exc.reason)
        error.options.update((_name(name), value) for name, value in exc.headers)
        raise error from None


def _name(name: bytes) -> str:
    return name.decode("latin-1")

