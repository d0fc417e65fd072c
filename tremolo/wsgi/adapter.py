"""Runs a WSGI application for each request on a thread of the pool (PEP 3333)."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Iterable, List, Optional, Tuple

from ..config import Settings
from ..exceptions import ClientDisconnected
from ..net.connection import HTTPConnection
from ..net.exchange import Exchange
from .body import FileWrapper, Input
from .environ import environ

Headers = List[Tuple[bytes, bytes]]

#: PEP 3333: an application must not set these; the server's own business
HOP_BY_HOP = frozenset((
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailers",
    "transfer-encoding", "upgrade"))


class WSGIAdapter:
    """Runs `app`, a WSGI callable, under `settings`."""

    def __init__(self, app: Callable[..., Iterable[bytes]], settings: Settings) -> None:
        self.app = app
        self.body_limit = settings.client_max_body_size
        self.handler_timeout = (
            settings.app_handler_timeout if "app_handler_timeout" in settings.given else 0.0)
        self.close_timeout = 0.0
        self._script_name = settings.root_path.rstrip("/")
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
        variables = environ(exchange, Input(exchange, loop), FileWrapper, self._script_name,
                            self._multiprocess)
        await loop.run_in_executor(self._pool, call.run, self.app, variables)
        call.complete()


class Call:
    """One call of the application, in its thread.

    The head goes out with the first non-empty piece of the body, as PEP 3333 wants it; a body
    that is one piece is answered whole, from the event loop, with its Content-Length.
    """

    def __init__(self, exchange: Exchange, loop: asyncio.AbstractEventLoop) -> None:
        self._exchange = exchange
        self._loop = loop
        self._head: Optional[Tuple[int, bytes, Headers]] = None
        self._sent = False
        self._whole: Optional[bytes] = None

    def run(self, app: Callable[..., Any], variables: Any) -> None:
        """Call the application and send what it gives. Runs in a thread."""
        result = app(variables, self.start_response)
        try:
            if type(result) in (list, tuple) and len(result) == 1 and not self._sent:
                self._need_head()
                self._whole = self._checked(result[0])
                return
            for piece in result:
                if self._checked(piece):
                    self.write(piece)
            self._need_head()
            if not self._sent:
                self._whole = b""
        except ClientDisconnected:
            pass  # nobody is left to answer; close() below still runs
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()

    def complete(self) -> None:
        """End the response. Runs in the event loop."""
        exchange = self._exchange
        if self._whole is not None and self._head is not None:
            status, reason, headers = self._head
            exchange.respond(status, headers, self._whole, reason)
        elif self._sent and not exchange.finished:
            exchange.finish()

    def start_response(self, status: str, headers: List[Tuple[str, str]],
                       exc_info: Any = None) -> Callable[[bytes], None]:
        """PEP 3333's start_response. Raises what `exc_info` holds once the head is sent."""
        try:
            if exc_info is not None and self._sent:
                raise exc_info[1].with_traceback(exc_info[2])
            if exc_info is None and self._head is not None:
                raise RuntimeError("start_response was called twice without exc_info")
        finally:
            exc_info = None  # a cycle through the traceback would keep frames alive
        self._head = (*_status(status), _headers(headers))
        return self.write

    def write(self, data: bytes) -> None:
        """Send a piece of the body and wait until there is room for more. Raises
        ClientDisconnected when the client left."""
        self._need_head()
        self._checked(data)
        asyncio.run_coroutine_threadsafe(self._send(data), self._loop).result()

    async def _send(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange.disconnected:
            raise ClientDisconnected("the client is gone")
        if not self._sent and self._head is not None:
            status, reason, headers = self._head
            exchange.start(status, headers, reason=reason)
            self._sent = True
        wait = exchange.write(data)
        if wait is not None:
            await wait
        else:
            exchange.flush()

    def _need_head(self) -> None:
        if self._head is None:
            raise RuntimeError("the WSGI application sent a body before it called start_response")

    @staticmethod
    def _checked(data: Any) -> bytes:
        if not isinstance(data, bytes):
            raise TypeError(f"a WSGI body consists of bytes, not {type(data).__name__}")
        return data


def _status(status: str) -> Tuple[int, bytes]:
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

