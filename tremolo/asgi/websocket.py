"""One WebSocket as ASGI messages (specification: HTTP & WebSocket, section WebSocket)."""

from typing import Any, Dict, List, Optional, Tuple

from ..exceptions import ASGIConnectionError
from ..net.exchange import Exchange
from ..net.websocket import WebSocketLink, accept
from ..protocol.websocket import Close, StateError, Upgrade

Message = Dict[str, Any]

_CONNECTING, _OPEN, _DENYING, _ENDED = range(4)
FORBIDDEN = [(b"content-type", b"text/plain; charset=utf-8")]


class WebSocketCycle:
    """`receive` and `send` of one WebSocket. Messages out of order raise RuntimeError."""

    __slots__ = ("_connect_sent", "_exchange", "_link", "_state", "_upgrade")

    def __init__(self, exchange: Exchange, upgrade: Upgrade) -> None:
        self._exchange = exchange
        self._upgrade = upgrade
        self._link: Optional[WebSocketLink] = None
        self._state = _CONNECTING
        self._connect_sent = False

    async def receive(self) -> Message:
        """`websocket.connect`, then messages, then `websocket.disconnect` for ever."""
        if not self._connect_sent:
            self._connect_sent = True
            return {"type": "websocket.connect"}
        link = self._link
        if link is None:
            await self._exchange.disconnect_waiter()
            link = self._link
            if link is None:
                return {"type": "websocket.disconnect", "code": 1006, "reason": ""}
        event = await link.receive()
        if type(event) is Close:
            self._state = _ENDED
            return {"type": "websocket.disconnect", "code": event.code, "reason": event.reason}
        data = event.data
        if type(data) is str:
            return {"type": "websocket.receive", "text": data}
        return {"type": "websocket.receive", "bytes": data}

    async def send(self, message: Message) -> None:
        """Take one message. Raises RuntimeError for one out of order, ASGIConnectionError (an
        OSError) once the WebSocket is closed."""
        kind = message["type"]
        if self._state == _OPEN:
            if kind == "websocket.send":
                await self._send_data(message)
            elif kind == "websocket.close":
                self._state = _ENDED
                self._opened().close(message.get("code", 1000) or 1000,
                                     message.get("reason") or "")
            else:
                raise RuntimeError(
                    f"expected 'websocket.send' or 'websocket.close', got {kind!r}")
        elif self._state == _CONNECTING:
            self._answer(kind, message)
        elif self._state == _DENYING:
            self._deny_body(kind, message)
        elif self._exchange.connection.lost or (self._link is not None and self._link.closed):
            raise ASGIConnectionError("the WebSocket is closed")
        else:
            raise RuntimeError(f"{kind!r} came after the WebSocket was closed")

    def _opened(self) -> WebSocketLink:
        link = self._link
        if link is None:
            raise RuntimeError("the WebSocket is not open")
        return link

    async def _send_data(self, message: Message) -> None:
        data = message.get("bytes")
        if data is None:
            data = message.get("text")
            if data is None:
                raise RuntimeError("'websocket.send' needs 'bytes' or 'text'")
        try:
            wait = self._opened().send(data)
        except StateError:
            raise ASGIConnectionError("the WebSocket is closed") from None
        if wait is not None:
            await wait

    def _answer(self, kind: str, message: Message) -> None:
        exchange = self._exchange
        if exchange.connection.lost:
            self._state = _ENDED
            raise ASGIConnectionError("the client is gone")
        if kind == "websocket.accept":
            self._link = accept(exchange, self._upgrade, message.get("subprotocol"),
                                _pairs(message))
            self._state = _OPEN
            exchange.wake_waiter()
        elif kind == "websocket.close":
            self._state = _ENDED
            exchange.respond(403, FORBIDDEN, b"Forbidden\n")
        elif kind == "websocket.http.response.start":
            status = message.get("status")
            if not isinstance(status, int) or not 200 <= status <= 999:
                raise RuntimeError(f"{kind!r} needs a status from 200 to 999, got {status!r}")
            exchange.start(status, _pairs(message))
            self._state = _DENYING
        else:
            raise RuntimeError(
                "expected 'websocket.accept', 'websocket.close' or "
                f"'websocket.http.response.start', got {kind!r}")

    def _deny_body(self, kind: str, message: Message) -> None:
        if kind != "websocket.http.response.body":
            raise RuntimeError(f"expected 'websocket.http.response.body', got {kind!r}")
        if message.get("more_body", False):
            self._exchange.write(message.get("body", b""))
        else:
            self._exchange.write_last(message.get("body", b""))
            self._state = _ENDED

    def returned(self) -> Optional[str]:
        """The application returned: close what it left open. What was missing, or None."""
        if self._link is not None:
            self._link.close(1000)
            return None
        if self._exchange.finished or self._exchange.connection.lost:
            return None
        return "the ASGI application returned without answering the WebSocket handshake"

    def failed(self) -> None:
        """The application raised an exception."""
        if self._link is not None:
            self._link.close(1011)


def _pairs(message: Message) -> List[Tuple[bytes, bytes]]:
    return [(bytes(name), bytes(value)) for name, value in message.get("headers") or ()]
