"""A connection that has no sockets: the server's transport and the client's end of it.

For `tremolo.testing`. Knows asyncio's transport contract, flow control included, and nothing
of HTTP: what the client does not read, the server cannot go on writing.
"""

import asyncio
from typing import Any, List, Optional

#: bytes that a connection takes from the server ahead of the client
HIGH_WATER = 64 * 1024
#: seconds that the client waits for the server
TIMEOUT = 10.0


class ConnectionEnded(ConnectionError):
    """The server closed the connection; `data` is what had come and belongs to no response."""

    def __init__(self, message: str, data: bytes = b"") -> None:
        super().__init__(message)
        self.data = data


class MemoryTransport(asyncio.Transport):
    """The server's end of a connection that has no socket."""

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: Any, peer: Any,
                 address: Any) -> None:
        super().__init__({"peername": peer, "sockname": address})
        self._loop = loop
        self._protocol = protocol
        self._paused = False
        self._writing_paused = False
        self._high, self._low = HIGH_WATER, HIGH_WATER // 4
        self._incoming: List[bytes] = []
        self._eof_in = False
        self._closed = False
        #: bytes that the client has not read yet
        self.outgoing = bytearray()
        self.eof_out = False
        self.was_reset = False
        #: done when there is something new for the client
        self.news: Optional[asyncio.Future[None]] = None

    # the client's side

    def feed(self, data: bytes) -> None:
        """The client sends bytes."""
        self._incoming.append(data)
        self._loop.call_soon(self._deliver)

    def feed_eof(self) -> None:
        """The client closes its sending side."""
        self._eof_in = True
        self._loop.call_soon(self._deliver)

    def take(self, count: int) -> bytes:
        """The client reads up to `count` bytes of what the server wrote."""
        data = bytes(self.outgoing[:count])
        del self.outgoing[:count]
        if self._writing_paused and len(self.outgoing) <= self._low:
            self._writing_paused = False
            self._loop.call_soon(self._protocol.resume_writing)
        return data

    def hang_up(self) -> None:
        """The client resets the connection."""
        self._end(None)

    def _deliver(self) -> None:
        while self._incoming and not self._paused and not self._closed:
            data = self._incoming.pop(0)
            view = self._protocol.get_buffer(len(data))
            if not len(view):
                self._incoming.insert(0, data)
                return
            count = min(len(view), len(data))
            view[:count] = data[:count]
            if count < len(data):
                self._incoming.insert(0, data[count:])
            self._protocol.buffer_updated(count)
        if self._eof_in and not self._incoming and not self._paused and not self._closed:
            self._eof_in = False
            if not self._protocol.eof_received():
                self.close()

    # the server's side

    def write(self, data: Any) -> None:
        if self._closed:
            return
        self.outgoing += data
        self._notify()
        if len(self.outgoing) > self._high and not self._writing_paused:
            self._writing_paused = True
            self._protocol.pause_writing()

    def set_write_buffer_limits(self, high: Optional[int] = None,
                                low: Optional[int] = None) -> None:
        self._high = HIGH_WATER if high is None else high
        self._low = self._high // 4 if low is None else low

    def get_write_buffer_size(self) -> int:
        return len(self.outgoing) if self._writing_paused else 0

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        self._loop.call_soon(self._deliver)

    def is_reading(self) -> bool:
        return not self._paused and not self._closed

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.eof_out = True
        self._notify()

    def is_closing(self) -> bool:
        return self._closed

    def close(self) -> None:
        self._end(None)

    def abort(self) -> None:
        if not self._closed:
            self.was_reset = True
        self._end(None)

    def _end(self, exc: Optional[Exception]) -> None:
        if not self._closed:
            self._closed = True
            self.eof_out = True
            self._notify()
            self._loop.call_soon(self._protocol.connection_lost, exc)

    def _notify(self) -> None:
        if self.news is not None and not self.news.done():
            self.news.set_result(None)


class Connection:
    """The client's end of one connection; bytes are the test's own."""

    def __init__(self, transport: MemoryTransport) -> None:
        self._transport = transport
        self._buffer = bytearray()

    def send(self, data: bytes) -> None:
        """Send bytes to the server."""
        self._transport.feed(data)

    def send_eof(self) -> None:
        """Close the sending side, as `shutdown(SHUT_WR)` does."""
        self._transport.feed_eof()

    def close(self) -> None:
        """Leave without a word, whatever is under way."""
        self._transport.hang_up()

    @property
    def closed(self) -> bool:
        """Whether the server has closed, or reset, the connection."""
        return self._transport.eof_out

    @property
    def was_reset(self) -> bool:
        """Whether the server gave up the connection in the middle of something."""
        return self._transport.was_reset

    async def receive(self, count: int = HIGH_WATER) -> bytes:
        """Some bytes from the server, `count` at most; b"" once it has closed."""
        if self._buffer:
            data = bytes(self._buffer[:count])
            del self._buffer[:count]
            return data
        transport = self._transport
        while not transport.outgoing:
            if transport.eof_out:
                return b""
            transport.news = asyncio.get_running_loop().create_future()
            await asyncio.wait_for(transport.news, TIMEOUT)
        return transport.take(count)

    async def receive_all(self) -> bytes:
        """Everything until the server closes."""
        pieces: List[bytes] = []
        while True:
            piece = await self.receive()
            if not piece:
                return b"".join(pieces)
            pieces.append(piece)

    async def receive_until(self, end: bytes) -> bytes:
        """Everything up to and with `end`. Raises ConnectionEnded."""
        data = bytearray()
        while True:
            position = data.find(end)
            if position >= 0:
                position += len(end)
                self._buffer[:0] = data[position:]
                return bytes(data[:position])
            piece = await self.receive()
            if not piece:
                raise ConnectionEnded(f"the server closed before {end!r}", bytes(data))
            data += piece

    async def receive_exactly(self, count: int) -> bytes:
        """`count` bytes. Raises ConnectionEnded."""
        data = bytearray()
        while len(data) < count:
            piece = await self.receive(count - len(data))
            if not piece:
                raise ConnectionEnded(f"the server closed {count - len(data)} bytes early",
                                      bytes(data))
            data += piece
        return bytes(data)
