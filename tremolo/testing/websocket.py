"""The test client's end of a WebSocket."""

from typing import Optional, Union

from ..protocol.websocket import NEED_DATA, Close, Failed, Message, WebSocketEngine
from .response import Response


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
