"""One WebSocket as ASGI messages (specification: HTTP & WebSocket, section WebSocket)."""

from typing import Any, Awaitable, Callable, Dict, List, Optional, Tuple

from ..exceptions import ASGIConnectionError, ASGIException
from ..net.exchange import Exchange
from ..net.handshake import accept, judge
from ..net.response import PLAIN
from ..net.websocket import WebSocketLink
from ..protocol.websocket import Close, HandshakeError, StateError, Upgrade
from .scope import websocket_scope

Message = Dict[str, Any]

_CONNECTING, _OPEN, _DENYING, _CLOSED, _STOPPED = range(5)


async def handle(app: Callable[..., Any], exchange: Exchange, root_path: str,
                 state: Optional[Dict[str, Any]]) -> None:
    """Answer the request for a WebSocket with `app`. Raises ASGIException for an application
    that returned without an answer, and what it raised."""
    try:
        upgrade = judge(exchange)
    except HandshakeError as exc:
        exchange.response.respond(exc.status, [*exc.headers, *PLAIN], exc.reason.encode() + b"\n")
        return
    scope = websocket_scope(exchange.head, upgrade, exchange.connection.context, root_path, state)
    if exchange.insight is not None:
        exchange.insight.scope = scope
    cycle = WebSocketCycle(exchange, upgrade)
    try:
        await app(scope, cycle.receive, cycle.send)
    except ASGIConnectionError:
        return
    except BaseException:
        cycle.failed()
        raise
    missing = cycle.returned()
    if missing is not None:
        raise ASGIException(missing)


class WebSocketCycle:
    """`receive` and `send` of one WebSocket. Messages out of order raise RuntimeError that
    names what was expected and what came."""

    __slots__ = ("_connect_sent", "_exchange", "_link", "_state", "_upgrade")

    def __init__(self, exchange: Exchange, upgrade: Upgrade) -> None:
        self._exchange = exchange
        self._upgrade = upgrade
        self._link: Optional[WebSocketLink] = None
        self._state = _CONNECTING
        self._connect_sent = False
        exchange.on_drain = self._drain
        if exchange.connection.server.draining:
            self._drain()

    def _drain(self) -> None:
        """The server stops: a handshake has a moment to be answered by the application."""
        server = self._exchange.connection.server
        server.loop.call_later(server.drain_grace, self._stop)

    def _stop(self) -> None:
        exchange = self._exchange
        if self._state == _CONNECTING \
                and not (exchange.response.finished or exchange.connection.lost):
            self._state = _STOPPED
            exchange.response.refuse(503, b"Service Unavailable: the server stops")

    async def receive(self) -> Message:
        """`websocket.connect`, then messages, then `websocket.disconnect` for ever."""
        link = self._link
        if link is None or not self._connect_sent:
            if not self._connect_sent:
                self._connect_sent = True
                return {"type": "websocket.connect"}
            await self._exchange.disconnect_waiter()
            link = self._link
            if link is None:
                stopped = self._state == _STOPPED
                code = self._exchange.connection.server.websocket_close_code if stopped else 1006
                return {"type": "websocket.disconnect", "code": code, "reason": ""}
        event = link.take()
        while event is None:
            await link.arrival()
            event = link.take()
        if type(event) is Close:
            return {"type": "websocket.disconnect", "code": event.code, "reason": event.reason}
        data = event.data  # type: ignore[union-attr]
        if type(data) is str:
            return {"type": "websocket.receive", "text": data}
        return {"type": "websocket.receive", "bytes": data}

    async def send(self, message: Message) -> None:
        """Take one message. Raises RuntimeError for one out of order, ASGIConnectionError (an
        OSError) once the client has closed or is gone, ValueError for what cannot be sent."""
        kind = message["type"]
        wait: Optional[Awaitable[None]]
        if self._state == _OPEN:
            link = self._link
            if kind == "websocket.send":
                data = message.get("bytes")
                if data is None:
                    data = message.get("text")
                    if type(data) is not str:
                        raise _wrong_data(message)
                elif message.get("text") is not None \
                        or not isinstance(data, (bytes, bytearray, memoryview)):
                    raise _wrong_data(message)
                try:
                    wait = link.send(data)  # type: ignore[union-attr, arg-type]
                except StateError:
                    raise ASGIConnectionError("the WebSocket is closed") from None
                if wait is not None:
                    await wait
            elif kind == "websocket.close":
                self._close(message)
            else:
                raise RuntimeError(
                    f"expected 'websocket.send' or 'websocket.close', got {kind!r}")
        elif self._state == _CONNECTING:
            self._answer(kind, message)
        elif self._state == _DENYING:
            wait = self._deny_body(kind, message)
            if wait is not None:
                await wait
        elif self._state == _STOPPED:
            raise ASGIConnectionError("the server stops")
        else:
            raise RuntimeError(f"{kind!r} came after the WebSocket was closed or refused")

    def _close(self, message: Message) -> None:
        # Without effect once the client has closed: what is wanted is the case already.
        code = message.get("code")
        self._opened().close(1000 if code is None else code, message.get("reason") or "")
        self._state = _CLOSED

    def _opened(self) -> WebSocketLink:
        if self._link is None:
            raise RuntimeError("the WebSocket is not open")
        return self._link

    def _answer(self, kind: str, message: Message) -> None:
        """The answer to the opening handshake."""
        exchange = self._exchange
        if exchange.connection.lost:
            raise ASGIConnectionError("the client is gone")
        if kind == "websocket.accept":
            headers = _pairs(message)
            for name, _ in headers:
                if name.lower() == b"sec-websocket-protocol":
                    raise ValueError("'websocket.accept' has the key 'subprotocol' in place of "
                                     "the header Sec-WebSocket-Protocol")
            self._link = accept(exchange, self._upgrade, message.get("subprotocol"), headers)
            self._state = _OPEN
        elif kind == "websocket.close":
            self._state = _CLOSED
            exchange.response.end_connection()
            exchange.response.respond(403, PLAIN, b"Forbidden\n")
        elif kind == "websocket.http.response.start":
            status = message.get("status")
            if not isinstance(status, int) or not 200 <= status <= 999:
                raise ValueError(f"{kind!r} needs a status from 200 to 999, got {status!r}")
            # The extension: "send a HTTP response and then close the connection"
            exchange.response.end_connection()
            exchange.response.start(status, _pairs(message))
            self._state = _DENYING
        else:
            raise RuntimeError(
                "expected 'websocket.accept', 'websocket.close' or "
                f"'websocket.http.response.start', got {kind!r}")

    def _deny_body(self, kind: str, message: Message) -> Optional[Awaitable[None]]:
        exchange = self._exchange
        if kind != "websocket.http.response.body":
            raise RuntimeError(f"expected 'websocket.http.response.body', got {kind!r}")
        if exchange.connection.lost:
            raise ASGIConnectionError("the client is gone")
        body = message.get("body", b"")
        if message.get("more_body", False):
            if body:
                return exchange.response.write(body)
            exchange.response.flush()
            return None
        self._state = _CLOSED
        exchange.response.write_last(body)
        return exchange.response.drained() if exchange.connection.outbox.size else None

    def returned(self) -> Optional[str]:
        """The application returned: close what it left open. What was missing, or None."""
        if self._link is not None:
            self._link.close(1000)
            return None
        if self._exchange.response.finished or self._exchange.connection.lost:
            return None
        if self._state == _DENYING:
            return "the ASGI application returned without completing its response"
        return "the ASGI application returned without answering the WebSocket handshake"

    def failed(self) -> None:
        """The application raised an exception."""
        if self._link is not None:
            self._link.close(1011)


def _pairs(message: Message) -> List[Tuple[bytes, bytes]]:
    return [(bytes(name), bytes(value)) for name, value in message.get("headers") or ()]


def _wrong_data(message: Message) -> Exception:
    kinds = {key: type(message[key]).__name__ for key in ("bytes", "text") if key in message}
    return ValueError("'websocket.send' needs one of 'bytes' (bytes) and 'text' (str), "
                      f"got {kinds or 'neither'}")
