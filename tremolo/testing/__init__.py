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

from .client import Client
from .memory import Connection, ConnectionEnded, MemoryTransport
from .response import Response
from .websocket import HandshakeRefused, WebSocketClient

__all__ = ["Client", "Connection", "ConnectionEnded", "HandshakeRefused", "MemoryTransport",
           "Response", "WebSocketClient"]
