"""Runs a WSGI application for each request on a thread of the pool (PEP 3333)."""

import asyncio
import contextvars
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Iterable, List, Optional, Tuple

from ..config import Settings
from ..exceptions import ClientDisconnected
from ..net.connection import HTTPConnection
from ..net.exchange import Exchange
from ..net.files import send_file
from ..protocol.http1 import check_head
from ..proxies import TrustedProxies
from .body import FileWrapper, Input, Spool
from .environ import environ

Headers = List[Tuple[bytes, bytes]]

#: PEP 3333: an application must not set these; the server's own business
HOP_BY_HOP = frozenset((
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailers",
    "transfer-encoding", "upgrade"))
#: seconds for which an application may give nothing to a client that closed its own side
HALF_CLOSED = 1.0
#: seconds for which the first piece of a body waits whether it is the only one
HOLD = 0.01


class WSGIAdapter:
    """Runs `app`, a WSGI callable, under `settings`."""

    def __init__(self, app: Callable[..., Iterable[bytes]], settings: Settings) -> None:
        self.app = app
        self.body_limit = settings.client_max_body_size
        self.handler_timeout = (
            settings.app_handler_timeout if "app_handler_timeout" in settings.given else 0.0)
        self.close_timeout = 0.0
        self._root_path = settings.root_path
        self._proxies = TrustedProxies(settings.trusted_proxies)
        self._multiprocess = settings.worker_num != 1
        self._pool = ThreadPoolExecutor(settings.thread_pool_size, "tremolo-wsgi")

    async def startup(self) -> None:
        pass

    async def shutdown(self) -> None:
        self._pool.shutdown(wait=False)

    def connection_made(self, connection: HTTPConnection) -> None:
        pass

    def connection_lost(self, connection: HTTPConnection) -> None:
        pass

    async def handle(self, exchange: Exchange) -> None:
        loop = asyncio.get_running_loop()
        call = Call(exchange, loop)
        kept = Spool(exchange) if exchange.head.chunked else None
        try:
            if kept is not None:
                await kept.fill()
            variables = environ(exchange, Input(exchange, loop, kept), FileWrapper,
                                self._root_path, self._multiprocess, self._proxies)
            if kept is not None:
                variables["CONTENT_LENGTH"] = str(kept.size)
            # As `to_thread` does: what names this request names it in its thread too.
            context = contextvars.copy_context()
            file = await loop.run_in_executor(self._pool, context.run, call.run, self.app,
                                              variables)
            if file is not None:
                try:
                    await call.send_file(file)
                finally:
                    await loop.run_in_executor(self._pool, file.close)
            call.complete()
        finally:
            call.cancel()
            if kept is not None:
                kept.close()


class Call:
    """One call of the application, in its thread.

    The head goes out with the first non-empty piece of the body, as PEP 3333 wants it. That
    piece waits for a moment in the event loop, `HOLD` seconds at most: when the body ends
    with it, the response is sent whole, with its Content-Length.
    """

    def __init__(self, exchange: Exchange, loop: asyncio.AbstractEventLoop) -> None:
        self._exchange = exchange
        self._loop = loop
        # the thread's
        self._head: Optional[Tuple[int, bytes, Headers]] = None
        self._begun = False
        self._closed_since: Optional[float] = None
        self._left = False
        # set in the thread before, and used in the loop after, a call from one to the other
        self._held: Optional[bytes] = None
        # the loop's
        self._timer: Optional[asyncio.TimerHandle] = None
        self._ended = False
        self._failure: Optional[Exception] = None

    # -- in the thread ---------------------------------------------------------------------

    def run(self, app: Callable[..., Any], variables: Any) -> Optional[FileWrapper]:
        """Call the application and send what it gives. Returns a file that is all of the body,
        to be sent, and closed then."""
        result = app(variables, self.start_response)
        kept = False
        try:
            if type(result) is FileWrapper and not self._begun and result.extent() is not None:
                self._need_head()
                kept = True
                return result
            if type(result) in (list, tuple) and len(result) == 1 and not self._begun:
                self._need_head()
                self._held = _checked(result[0])
                return None
            for piece in result:
                if _checked(piece):
                    self.write(piece)
                else:
                    self._look_for_client()
            self._need_head()
        except ClientDisconnected:
            self._left = True  # nobody is there to answer; close() below still runs
        finally:
            close = getattr(result, "close", None)
            if close is not None and not kept:
                close()
        return None

    def start_response(self, status: str, headers: List[Tuple[str, str]],
                       exc_info: Any = None) -> Callable[[bytes], None]:
        """PEP 3333's start_response. Raises what `exc_info` holds once the body has begun, and
        TypeError or ValueError for a head that cannot be sent, "so that an error can be raised
        while the application is still running"."""
        try:
            if exc_info and self._begun:
                raise exc_info[1].with_traceback(exc_info[2])
            if not exc_info and self._head is not None:
                raise RuntimeError("start_response was called twice without exc_info")
        finally:
            exc_info = None  # a cycle through the traceback would keep frames alive
        code, reason = _status(status)
        fields = _headers(headers)
        check_head(code, fields, reason)
        self._head = code, reason, fields
        return self.write

    def write(self, data: bytes) -> None:
        """Send a piece of the body and wait until there is room for more. Raises
        ClientDisconnected when the client left."""
        self._need_head()
        if not _checked(data):
            self._look_for_client()
            return
        if not self._begun:
            self._begun = True
            self._held = data
            self._loop.call_soon_threadsafe(self._hold)
            return
        self._closed_since = None
        asyncio.run_coroutine_threadsafe(self._send(data), self._loop).result()

    def _look_for_client(self) -> None:
        """With an empty piece nothing is sent, and only sending shows that a client which closed
        its side reads no more: such a one is given up after a while. Raises
        ClientDisconnected."""
        exchange = self._exchange
        if exchange.disconnected:
            raise ClientDisconnected("the client is gone")
        if exchange.connection.eof:
            now = time.monotonic()
            self._closed_since = self._closed_since or now
            if now - self._closed_since >= HALF_CLOSED:
                raise ClientDisconnected("the client closed its side, and nothing is sent to it")

    def _need_head(self) -> None:
        if self._head is None:
            raise RuntimeError(
                "the WSGI application gave a body before it called start_response")

    # -- in the event loop -------------------------------------------------------------------

    def _hold(self) -> None:
        if not self._ended and self._timer is None:
            self._timer = self._loop.call_later(HOLD, self._let_go)

    def _let_go(self) -> None:
        """The first piece is not the only one, or the next takes long."""
        if self._held is None or self._head is None or self._ended:
            return
        held, self._held = self._held, None
        exchange = self._exchange
        try:
            if not exchange.response.started:
                status, reason, headers = self._head
                exchange.response.start(status, headers, reason=reason)
            exchange.response.write(held)
            exchange.response.flush()
        except (RuntimeError, ValueError) as exc:
            self._failure = exc  # raised by the next piece or the end

    async def _send(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange.disconnected:
            raise ClientDisconnected("the client is gone")
        if self._failure is not None:
            raise self._failure
        if self._held is not None and self._head is not None:
            held, self._held = self._held, None
            status, reason, headers = self._head
            exchange.response.start(status, headers, reason=reason)
            exchange.response.write(held)
        wait = exchange.response.write(data)
        if wait is not None:
            await wait
        else:
            exchange.response.flush()

    async def send_file(self, file: FileWrapper) -> None:
        """Send a file as the whole body."""
        extent = file.extent()
        if extent is None or self._head is None:
            return
        status, reason, headers = self._head
        exchange = self._exchange
        if exchange.disconnected:
            return
        offset, count = extent
        for name, value in headers:
            if name.lower() == b"content-length" and value.isdigit():
                count = min(count, int(value))
        exchange.response.start(status, headers, reason=reason, length=count)
        await send_file(exchange, file.filelike, offset, count)

    def complete(self) -> None:
        """End the response."""
        exchange = self._exchange
        self._ended = True
        if self._failure is not None:
            raise self._failure
        if self._left:
            exchange.response.abort()
        elif exchange.response.started:
            if not exchange.response.finished:
                exchange.response.finish()
        elif self._head is not None:
            status, reason, headers = self._head
            exchange.response.respond(status, headers, self._held or b"", reason)

    def cancel(self) -> None:
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()


def _checked(data: Any) -> bytes:
    if not isinstance(data, bytes):
        raise TypeError(f"a WSGI body consists of bytes, not {type(data).__name__}")
    return data


def _status(status: str) -> Tuple[int, bytes]:
    if not isinstance(status, str):
        raise TypeError(f'a WSGI status is a str like "200 OK", not {status!r}')
    code, _, reason = status.partition(" ")
    if not (len(code) == 3 and code.isascii() and code.isdigit()):
        raise ValueError(f'a WSGI status looks like "200 OK", not {status!r}')
    return int(code), reason.encode("latin-1")


def _headers(headers: List[Tuple[str, str]]) -> Headers:
    encoded: Headers = []
    for name, value in headers:
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"a WSGI header is a pair of str, not {name!r}: {value!r}")
        if name.lower() in HOP_BY_HOP:
            raise ValueError(f"{name} is a hop-by-hop header, which is the server's business")
        encoded.append((name.encode("latin-1"), value.encode("latin-1")))
    return encoded
