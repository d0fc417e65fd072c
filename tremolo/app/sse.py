"""The SSE object that handlers ask for with `sse=None`: events as they happen.

Knows the event encoding and one response. A stream ends with its client, and when the server
stops or reloads: the browser connects again, to the new code.
"""

import asyncio
from typing import TYPE_CHECKING, Any, Optional, Union

from ..exceptions import ClientDisconnected, InternalServerError
from ..protocol.sse import encode_comment, encode_event

if TYPE_CHECKING:
    from .request import Request
    from .response import Response

Text = Union[str, bytes]
#: seconds after which a stream without an event yet is opened
LOOK = 0.5
#: seconds of silence after which a comment keeps proxies from closing the connection
SILENCE = 15.0


class EventStream:
    """One stream of server-sent events. `request` and `response` are the handler's own."""

    def __init__(self, request: "Request", response: "Response") -> None:
        self.request = request
        self.response = response
        self._exchange = request._exchange
        loop = request.link.loop
        self._loop = loop
        self._last = loop.time()
        self._closed = False
        self._leaving: Optional[asyncio.Task[Any]] = None
        response.set_header(b"Content-Type", b"text/event-stream")
        response.set_header(b"Cache-Control", b"no-cache, must-revalidate")
        response.set_header(b"Expires", b"Thu, 01 Jan 1970 00:00:00 GMT")
        response.set_header(b"X-Accel-Buffering", b"no")
        self._keeper = request.link.create_task(self._keep())
        self._handler = asyncio.current_task()
        self._exchange.disconnect_waiter().add_done_callback(self._ended)
        self._exchange.on_drain = self._drain
        if self._exchange.connection.server.draining:
            loop.call_soon(self._drain)

    def _ended(self, _: Any) -> None:
        """The client left, or the stream is whole: nothing of it runs on."""
        self._keeper.cancel()
        if not self._exchange.response.finished:
            self._closed = True
            if self._handler is not None:
                self._handler.cancel()

    def _drain(self) -> None:
        """The server stops, or other code takes over: end the stream properly, now."""
        if not self._closed and not self._exchange.response.finished:
            self._closed = True
            self._keeper.cancel()
            self._keeper = self._leaving = self.request.link.create_task(self._leave())

    async def _leave(self) -> None:
        await self._open()
        self.response.close(keepalive=False)
        if self._handler is not None:
            self._handler.cancel()

    async def _keep(self) -> None:
        """Open a stream without an event yet, and keep it alive."""
        while not self._exchange.response.finished:
            silent = self._loop.time() - self._last
            if not self._exchange.response.started:
                await asyncio.sleep(LOOK)
            elif silent < SILENCE:
                await asyncio.sleep(SILENCE - silent)
            if not self._exchange.response.started or self._loop.time() - self._last >= SILENCE:
                await self.comment()

    async def _open(self) -> None:
        if not self._exchange.response.started:
            await self.response.start()
            self._exchange.response.flush()

    async def _write(self, data: bytes) -> None:
        if self._leaving is not None:
            # A handler that ended before the stream is whole would break it off.
            await asyncio.shield(self._leaving)
        if self._closed or self._exchange.disconnected:
            raise ClientDisconnected("the event stream has ended")
        self._last = self._loop.time()
        await self._open()
        await self.response.write(data)

    async def send(self, data: Text, event: Optional[Text] = None,
                   event_id: Optional[Text] = None, retry: int = 0) -> None:
        """Send one event: `data` of any number of lines, its type and id, and the milliseconds
        after which the client shall connect again. str is UTF-8.

        Raises InternalServerError when `event` or `event_id` have a line break, and
        ClientDisconnected once the stream has ended.
        """
        try:
            encoded = encode_event(data, event, event_id, retry)
        except ValueError as exc:
            raise InternalServerError(cause=exc) from None
        await self._write(encoded)

    async def comment(self, text: Text = b"") -> None:
        """Send a comment, which clients ignore."""
        await self._write(encode_comment(text))

    ping = comment

    async def close(self) -> None:
        """End the stream; the client will connect again unless it was asked not to."""
        if not self._closed:
            self._closed = True
            self._keeper.cancel()
            if not self._exchange.response.finished and not self._exchange.disconnected:
                await self._open()
                self.response.close(keepalive=True)
