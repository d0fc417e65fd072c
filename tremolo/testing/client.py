"""The client itself: its requests, and the server that answers them in memory."""

import asyncio
import json as json_module
from typing import (
    Any,
    AsyncIterable,
    Dict,
    Iterable,
    List,
    Mapping,
    Optional,
    Tuple,
    Union,
)
from urllib.parse import urlencode

from ..config import Settings
from ..net.server import Server
from .memory import Connection, MemoryTransport
from .response import Response
from .websocket import HandshakeRefused, WebSocketClient

Text = Union[str, bytes]
Headers = Union[Mapping[str, str], Iterable[Tuple[Text, Text]]]
Body = Union[str, bytes, AsyncIterable[bytes], None]
Peer = Union[Tuple[str, int], str]
FORM = b"application/x-www-form-urlencoded"


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


def _adapter(app: Any, settings: Settings) -> Any:
    from ..app.application import Application

    if isinstance(app, Application):
        from ..app.adapter import NativeAdapter

        return NativeAdapter(app, settings)
    from ..asgi.adapter import ASGIAdapter

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
