"""Test an application without sockets: a client that talks to the real server core in memory.

    from tremolo.testing import Client

    async def test_hello():
        async with Client(app) as client:
            response = await client.get("/hello")
            assert response.status == 200 and response.text == "Hello world!"

The bytes of requests and responses go through the same parser, connection and adapter as over
a network; only the transport is replaced. `client.stream()` gives a response whose body is
read piece by piece, with back-pressure: what the test does not read, the server cannot send.
`client.websocket()` opens a WebSocket, `client.connect()` gives a bare connection for tests
that write their own bytes.
"""

import asyncio
import json as json_module
from typing import (
    Any,
    AsyncIterable,
    AsyncIterator,
    Dict,
    Iterable,
    List,
    Mapping,
    Optional,
    Tuple,
    Union,
)
from urllib.parse import urlencode

from .config import Settings
from .memory import HIGH_WATER, Connection, ConnectionEnded, MemoryTransport
from .net.server import Server
from .protocol.websocket import NEED_DATA, Close, Failed, Message, WebSocketEngine

Text = Union[str, bytes]
Headers = Union[Mapping[str, str], Iterable[Tuple[Text, Text]]]
Body = Union[str, bytes, AsyncIterable[bytes], None]
Peer = Union[Tuple[str, int], str]
FORM = b"application/x-www-form-urlencoded"


class Response:
    """A response. `headers` are (name, value) in wire order, names in lower case."""

    def __init__(self, connection: Connection, method: str, head: bytes,
                 informational: List[int]) -> None:
        #: the connection that it came on
        self.connection = connection
        status_line, *lines = head[:-4].split(b"\r\n")
        version, status, reason = (status_line + b" ").split(b" ", 2)
        self.version = version.decode("latin-1")
        self.status = int(status)
        self.reason = reason.strip().decode("latin-1")
        self.headers: List[Tuple[str, str]] = []
        for line in lines:
            name, _, value = line.decode("latin-1").partition(":")
            self.headers.append((name.lower(), value.strip()))
        #: the body, once `read()` has read it
        self.body = b""
        #: the task that sends the request's body, if that takes one
        self.sending: Optional[asyncio.Task[None]] = None
        #: statuses of the interim responses that came before
        self.informational = informational
        self._bodiless = method == "HEAD" or self.status in (204, 304) or self.status < 200
        #: the whole body was read
        self.complete = False

    def header(self, name: str, default: str = "") -> str:
        """All values of a field, joined by commas."""
        values = [value for field, value in self.headers if field == name.lower()]
        return ", ".join(values) if values else default

    @property
    def text(self) -> str:
        """The body as text, in the charset of its type (else UTF-8)."""
        _, found, charset = self.header("content-type").lower().partition("charset=")
        return self.body.decode(charset.split(";")[0].strip() if found else "utf-8")

    def json(self) -> Any:
        """The body as JSON."""
        return json_module.loads(self.body)

    @property
    def keeps_alive(self) -> bool:
        """Whether the connection can be used again after this response."""
        options = self.header("connection").lower()
        if "close" in options:
            return False
        framed = self._bodiless or self.header("content-length") or self._chunked
        return bool(framed) and (self.version == "HTTP/1.1" or "keep-alive" in options)

    @property
    def _chunked(self) -> bool:
        return self.header("transfer-encoding").lower() == "chunked"

    async def pieces(self, size: int = HIGH_WATER) -> AsyncIterator[bytes]:
        """The body as it arrives; a chunk at most at a time. Raises ConnectionEnded."""
        connection = self.connection
        if self._bodiless:
            pass
        elif self._chunked:
            while True:
                line = await connection.receive_until(b"\r\n")
                left = int(line.split(b";")[0], 16)
                if not left:
                    break
                yield await connection.receive_exactly(left)
                await connection.receive_exactly(2)
            while await connection.receive_until(b"\r\n") != b"\r\n":
                pass
        elif self.header("content-length"):
            left = int(self.header("content-length"))
            while left:
                piece = await connection.receive(min(size, left))
                if not piece:
                    raise ConnectionEnded(f"the server closed {left} bytes early")
                left -= len(piece)
                yield piece
        else:
            while True:
                piece = await connection.receive(size)
                if not piece:
                    break
                yield piece
        self.complete = True

    async def read(self) -> bytes:
        """The whole body, also kept as `body`."""
        if not self.complete:
            self.body = b"".join([piece async for piece in self.pieces()])
        return self.body


class Streaming:
    """What `client.stream()` gives: an async context manager of a response."""

    def __init__(self, client: "Client", args: Tuple[Any, ...],
                 options: Dict[str, Any]) -> None:
        self._client = client
        self._args = args
        self._options = options
        self._response: Optional[Response] = None

    async def __aenter__(self) -> Response:
        self._response = await self._client.begin(*self._args, **self._options)
        return self._response

    async def __aexit__(self, *exc_info: Any) -> None:
        if self._response is not None:
            await self._client.finished(self._response)


class Client:
    """Serves `app` (a Tremolo application or an ASGI callable) and sends requests to it.

    Use as an async context manager, which starts and stops the application. `settings` are
    those of `tremolo.config`; `peer` is the address that requests come from. Connections are
    kept alive and used again. An exception in the application is the server's to answer, as in
    life; with `raises=True` the client raises it.
    """

    def __init__(self, app: Any, *, peer: Peer = ("127.0.0.1", 50000),
                 address: Peer = ("127.0.0.1", 8000), raises: bool = False,
                 **settings: Any) -> None:
        self.settings = Settings(**settings)
        self.adapter = _adapter(app, self.settings)
        self.peer = peer
        self.address = address
        self.raises = raises
        self.errors: List[BaseException] = []
        self.server: Server = None  # type: ignore[assignment]  # once entered
        self._idle: List[Connection] = []
        self._websockets: List[WebSocketClient] = []

    async def __aenter__(self) -> "Client":
        await self.adapter.startup()
        self.server = Server(self.adapter, self.settings, loop=asyncio.get_running_loop())
        if self.raises:
            self.server.on_error = lambda exchange, exc: self.errors.append(exc)
        return self

    async def __aexit__(self, *exc_info: Any) -> None:
        for connection in self._idle:
            connection.close()
        leaving = [asyncio.ensure_future(websocket.leave()) for websocket in self._websockets]
        await self.server.drain(1.0)
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)
        await self.adapter.shutdown()

    def connect(self, *, peer: Optional[Peer] = None) -> Connection:
        """A new connection, for bytes of the test's own."""
        protocol = self.server._new_connection()
        transport = MemoryTransport(self.server.loop, protocol, peer or self.peer,
                                    self.address)
        protocol.connection_made(transport)
        return Connection(transport)

    async def raw(self, data: bytes) -> bytes:
        """Send bytes on a connection of their own, close the sending side, and give all that
        comes back."""
        connection = self.connect()
        connection.send(data)
        connection.send_eof()
        return await connection.receive_all()

    # -- requests -----------------------------------------------------------------------------

    async def request(self, method: str, target: str, *, headers: Headers = (),
                      body: Body = None, form: Optional[Mapping[str, Any]] = None,
                      json: Any = None) -> Response:
        """Send a request and read the whole response.

        `body` is str, bytes or an async iterable (sent chunked); `form` is sent URL-encoded,
        `json` as JSON.
        """
        async with self.stream(method, target, headers=headers, body=body, form=form,
                               json=json) as response:
            await response.read()
        return response

    async def get(self, target: str, **options: Any) -> Response:
        return await self.request("GET", target, **options)

    async def post(self, target: str, **options: Any) -> Response:
        return await self.request("POST", target, **options)

    def stream(self, method: str, target: str, **options: Any) -> Streaming:
        """Send a request; `async with` gives the response once its head is there. Read its
        body with `response.pieces()`."""
        return Streaming(self, (method, target), options)

    async def begin(self, method: str, target: str, *, headers: Headers = (),
                    body: Body = None, form: Optional[Mapping[str, Any]] = None,
                    json: Any = None) -> Response:
        """Send a request and read the head of its response; then `finished` must be called."""
        if form is not None:
            body = urlencode(form, doseq=True)
            headers = [*_fields(headers), (b"content-type", FORM)]
        elif json is not None:
            body = json_module.dumps(json)
            headers = [*_fields(headers), (b"content-type", b"application/json")]
        connection = self._idle.pop() if self._idle else self.connect()
        while connection.closed:
            connection = self._idle.pop() if self._idle else self.connect()
        connection.send(_head(method, target, _fields(headers), body))
        sending = None
        if isinstance(body, (str, bytes)):
            connection.send(body.encode("utf-8") if isinstance(body, str) else body)
        elif body is not None:
            sending = asyncio.ensure_future(_send_chunked(connection, body))
        try:
            informational: List[int] = []
            while True:
                head = await connection.receive_until(b"\r\n\r\n")
                response = Response(connection, method, head, informational)
                if response.status >= 200 or response.status == 101:
                    break
                informational.append(response.status)
        except BaseException:
            if sending is not None:
                sending.cancel()
            if self.errors:
                raise self.errors.pop(0) from None
            raise
        response.sending = sending
        return response

    async def websocket(self, target: str, *, headers: Headers = (),
                        subprotocols: Iterable[str] = ()) -> "WebSocketClient":
        """Open a WebSocket. Raises HandshakeRefused, with the response, when it is not
        accepted."""
        fields = _fields(headers)
        fields += [(b"Upgrade", b"websocket"), (b"Connection", b"Upgrade"),
                   (b"Sec-WebSocket-Version", b"13"),
                   (b"Sec-WebSocket-Key", b"AAAAAAAAAAAAAAAAAAAAAA==")]
        offered = ", ".join(subprotocols)
        if offered:
            fields.append((b"Sec-WebSocket-Protocol", offered.encode("ascii")))
        response = await self.begin("GET", target, headers=fields)
        if response.status != 101:
            await response.read()
            raise HandshakeRefused(response)
        websocket = WebSocketClient(response)
        self._websockets.append(websocket)
        return websocket

    async def finished(self, response: Response) -> None:
        """Keep the connection of a response that was read, close another's."""
        if response.sending is not None and not response.sending.done():
            response.sending.cancel()
            response.connection.close()
        elif response.complete and response.keeps_alive:
            self._idle.append(response.connection)
        else:
            response.connection.close()
        if self.errors:
            raise self.errors.pop(0)


class HandshakeRefused(Exception):
    """The server did not accept a WebSocket; `response` is its answer."""

    def __init__(self, response: Response) -> None:
        super().__init__(f"the handshake was answered with {response.status}")
        self.response = response


class WebSocketClient:
    """The client's end of a WebSocket. `response` is the server's handshake."""

    def __init__(self, response: Response) -> None:
        self.response = response
        self.connection = response.connection
        self.subprotocol = response.header("sec-websocket-protocol")
        self._engine = WebSocketEngine(1 << 30, client=True)
        #: code and reason of the server's close, once there was one
        self.close_code: Optional[int] = None
        self.close_reason = ""

    async def send(self, message: Union[str, bytes]) -> None:
        """Send a message: text for str, binary for bytes."""
        if isinstance(message, str):
            self._engine.send_text(message)
        else:
            self._engine.send_bytes(message)
        self._flush()

    async def receive(self) -> Union[str, bytes, None]:
        """The next message; None once the WebSocket is closed (see `close_code`)."""
        while True:
            event = self._engine.next_event()
            self._flush()
            if isinstance(event, Message):
                return event.data
            if isinstance(event, (Close, Failed)):
                self.close_code, self.close_reason = event.code, event.reason
                await self._ended()
                return None
            if event is NEED_DATA:
                data = await self.connection.receive()
                if data:
                    self._engine.receive_data(data)
                else:
                    self._engine.receive_eof()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close, and wait until the server has agreed."""
        self._engine.close(code, reason)
        self._flush()
        while await self.receive() is not None:
            pass

    async def leave(self) -> None:
        """Answer the server's close, as a browser does whatever its page is about."""
        while not self.connection.closed and await self.receive() is not None:
            pass

    async def _ended(self) -> None:
        """The server is the first to close the connection (RFC 6455 section 7.1.1), and waits
        for the client to do so."""
        while not self.connection.closed and await self.connection.receive():
            pass
        self.connection.close()

    def _flush(self) -> None:
        data = b"".join(self._engine.data_to_send())
        if data:
            self.connection.send(data)


def _adapter(app: Any, settings: Settings) -> Any:
    from .app.application import Application

    if isinstance(app, Application):
        from .app.adapter import NativeAdapter

        return NativeAdapter(app, settings)
    from .asgi.adapter import ASGIAdapter

    return ASGIAdapter(app, settings)


def _fields(headers: Headers) -> List[Tuple[bytes, bytes]]:
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return [(_latin(name), _latin(value)) for name, value in pairs]


def _latin(text: Text) -> bytes:
    return text.encode("latin-1") if isinstance(text, str) else text


def _head(method: str, target: str, fields: List[Tuple[bytes, bytes]], body: Body) -> bytes:
    names = {name.lower() for name, _ in fields}
    if b"host" not in names:
        fields = [(b"Host", b"testserver"), *fields]
    if isinstance(body, (str, bytes)) and b"content-length" not in names:
        length = len(body.encode("utf-8") if isinstance(body, str) else body)
        fields = [*fields, (b"Content-Length", b"%d" % length)]
    elif body is not None and not isinstance(body, (str, bytes)):
        fields = [*fields, (b"Transfer-Encoding", b"chunked")]
    lines = [b"%s %s HTTP/1.1" % (_latin(method), _latin(target))]
    lines += [name + b": " + value for name, value in fields]
    return b"\r\n".join(lines) + b"\r\n\r\n"


async def _send_chunked(connection: Connection, body: AsyncIterable[bytes]) -> None:
    async for piece in body:
        if piece:
            connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        await asyncio.sleep(0)
    connection.send(b"0\r\n\r\n")


__all__ = ["Client", "Connection", "ConnectionEnded", "HandshakeRefused", "MemoryTransport",
           "Response", "WebSocketClient"]
