"""What the test client received: the whole of a response, or its body piece by piece."""

import asyncio
import json as json_module
from typing import Any, AsyncIterator, List, Optional, Tuple

from .memory import HIGH_WATER, Connection, ConnectionEnded


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
