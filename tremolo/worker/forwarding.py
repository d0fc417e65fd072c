"""Passing requests and WebSockets on to another server, and its answers back (RFC 9110 section
7.6), with the client of aiohttp.

Everything streams: of a body no more is held than the buffers of two connections, and whoever is
slower, the client, the throttle or the other server, is waited for. The package is loaded beside
the event loop, once the application has started.
"""

import asyncio
import contextlib
import importlib
import logging
import os
from typing import (
    Any,
    AsyncIterator,
    Mapping,
    Optional,
    Sequence,
    Set,
    Tuple,
)

from ..config import Settings
from ..exceptions import ClientDisconnected, TremoloException
from ..net.exchange import Exchange
from ..net.handshake import accept, judge
from ..net.response import PLAIN
from ..net.trust import is_trusted
from ..net.websocket import WebSocketLink
from ..protocol.http1 import ProtocolError
from ..protocol.websocket import Close, HandshakeError, StateError
from ..telemetry.sanitize import clean
from ..upstreams import Upstream
from .error_page import proxy_page
from .forwarded_fields import request_fields, response_fields, went_round

CONNECT_TIMEOUT = 5.0  # seconds
#: seconds that a client which closed its own side waits for the next piece
HALF_CLOSED = 10.0
BUFFER = 64 * 1024
MAX_MESSAGE = 16 * 1024 * 1024
_NO_DEFAULTS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


class Unreachable(TremoloException):
    """The other server cannot be asked, or gave no answer; the text gives the reason."""


class Forwarder:
    """Passes exchanges on. `companions` are the programs that `[tool.tremolo.run]` starts, for
    the advice where nobody answers."""

    def __init__(self, settings: Settings, logger: logging.Logger,
                 companions: Mapping[str, Any]) -> None:
        self._settings = settings
        self._logger = logger
        self._companions = companions
        self._library: Optional[asyncio.Future[Any]] = None
        self._session: Any = None
        self._reported: Set[str] = set()

    def prepare(self) -> None:
        """Load the package, without holding anybody up."""
        if self._library is None:
            self._library = asyncio.get_running_loop().run_in_executor(
                None, importlib.import_module, "aiohttp")

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _client(self) -> Any:
        """The session, and in it the connections that are kept."""
        self.prepare()
        assert self._library is not None
        library = await self._library
        if self._session is None:
            self._session = library.ClientSession(
                auto_decompress=False, cookie_jar=library.DummyCookieJar(),
                connector=library.TCPConnector(limit=0, ssl=False),
                timeout=library.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT),
                skip_auto_headers=_NO_DEFAULTS, read_bufsize=BUFFER, trust_env=False,
                max_line_size=64 * 1024, max_field_size=64 * 1024)
        return self._session

    async def is_there(self, rule: Upstream) -> bool:
        """Whether somebody listens at the other server's address."""
        host, port = _address(rule)
        try:
            _, writer = await asyncio.wait_for(
                asyncio.open_connection(host, port), CONNECT_TIMEOUT)
        except (OSError, asyncio.TimeoutError):
            return False
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return True

    async def forward(self, exchange: Exchange, rule: Upstream, pieces: Sequence[bytes]) -> None:
        """Have `rule`'s server answer. `pieces` were read of the request's body already.

        Raises Unreachable while nothing was answered yet; ClientDisconnected, or ProtocolError
        for a request's body that is not as it should be.
        """
        if went_round(exchange):
            exchange.response.respond(
                508, PLAIN, f"Loop Detected: {rule.url} leads back here\n".encode())
            return
        if exchange.head.upgrade == b"websocket" and self._settings.ws:
            await self._forward_websocket(exchange, rule)
        else:
            await self._forward_request(exchange, rule, pieces)

    # -- requests ----------------------------------------------------------------------------

    async def _forward_request(self, exchange: Exchange, rule: Upstream,
                               pieces: Sequence[bytes]) -> None:
        session = await self._client()
        passing = asyncio.get_running_loop().create_task(
            self._pass(session, exchange, rule, pieces))
        leaving = exchange.over()
        try:
            await asyncio.wait([passing, leaving], return_when=asyncio.FIRST_COMPLETED)
        finally:
            # The client is gone, or somebody ended us.
            leaving.cancel()
            if not passing.done():
                passing.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await passing
        if not passing.cancelled():
            passing.result()

    async def _pass(self, session: Any, exchange: Exchange, rule: Upstream,
                    pieces: Sequence[bytes]) -> None:
        head = exchange.head
        upload = _Upload(exchange, pieces) if head.has_body else None
        library = await self._library if self._library is not None else None
        assert library is not None
        try:
            response = await session.request(
                head.method.decode("ascii"), self._url(rule, exchange),
                headers=request_fields(exchange), data=upload.pieces() if upload else None,
                allow_redirects=False)
        except (library.ClientError, OSError, asyncio.TimeoutError, ValueError) as exc:
            if upload is not None and upload.failure is not None:
                raise upload.failure from None
            raise Unreachable(_reason(exc)) from None
        self._reported.discard(rule.url)
        async with response:
            exchange.response.start(response.status, response_fields(response.raw_headers, rule),
                           reason=(response.reason or "").encode("latin-1", "replace"))
            try:
                await self._answer(exchange, response.content)
            except (library.ClientError, OSError, asyncio.TimeoutError):
                exchange.response.abort()  # it must not look whole

    async def _answer(self, exchange: Exchange, content: Any) -> None:
        while True:
            reading = content.readany()
            if exchange.connection.eof:  # it may still read, but who knows for how long
                reading = asyncio.wait_for(reading, HALF_CLOSED)
            piece = await reading
            if not piece:
                break
            wait = exchange.response.write(piece)
            if wait is not None:
                await wait
            else:
                exchange.response.flush()
        if not exchange.response.finished:
            exchange.response.finish()

    def _url(self, rule: Upstream, exchange: Exchange, scheme: str = "") -> Any:
        head = exchange.head
        path = head.path + (b"?" + head.query if head.query or head.target.endswith(b"?")
                            else b"")
        url = rule.url + path.decode("latin-1")
        if scheme:
            url = scheme + url[len("http"):]
        return importlib.import_module("yarl").URL(url, encoded=True)

    # -- WebSockets --------------------------------------------------------------------------

    async def _forward_websocket(self, exchange: Exchange, rule: Upstream) -> None:
        try:
            upgrade = judge(exchange)
        except HandshakeError as exc:
            exchange.response.respond(exc.status, [*exc.headers, *PLAIN],
                                      exc.reason.encode() + b"\n")
            return
        session = await self._client()
        library = await self._library if self._library is not None else None
        assert library is not None
        try:
            theirs = await session.ws_connect(
                self._url(rule, exchange, "ws"), protocols=upgrade.subprotocols,
                headers=request_fields(exchange), max_msg_size=MAX_MESSAGE)
        except library.WSServerHandshakeError as exc:
            exchange.response.respond(exc.status if exc.status >= 400 else 502, PLAIN,
                             f"{rule.url} refused the WebSocket: {exc.status}\n".encode())
            return
        except (library.ClientError, OSError, asyncio.TimeoutError, ValueError) as exc:
            raise Unreachable(_reason(exc)) from None
        self._reported.discard(rule.url)
        try:
            link = accept(exchange, upgrade, theirs.protocol)
            await _join(link, theirs, library.WSMsgType)
        finally:
            await theirs.close()

    # -- when nobody answers -----------------------------------------------------------------

    def answer_unreachable(self, exchange: Exchange, rule: Upstream, exc: Unreachable) -> None:
        """502, with what to do about it for clients that may know."""
        what = f"{rule.url} does not answer: {exc}"
        advice = self._advice()
        if rule.url not in self._reported:
            self._reported.add(rule.url)
            self._logger.warning("proxy: %s. %s", what, advice)
        if exchange.response.started:
            exchange.response.abort()
            return
        if not is_trusted(exchange):
            exchange.response.respond(502, PLAIN, b"Bad Gateway\n")
            return
        path = ascii(exchange.head.path.decode("latin-1"))[1:-1][:256]
        why = (f"[tool.tremolo.proxy] in pyproject.toml has {rule.url} answer what is below "
               f"{rule.prefix}" if not rule.asks_application else
               f"The application has no route for {path}, and [tool.tremolo.proxy] in "
               f"pyproject.toml has {rule.url} answer what it does not know")
        headers, body = proxy_page(what, f"{why}.\n\n{advice}", exchange.head)
        exchange.response.respond(502, headers, body)

    def _advice(self) -> str:
        if not self._companions:
            return ('Start it, for example with "npm run dev"; or have that done by '
                    '[tool.tremolo.run] in pyproject.toml:  web = "npm run dev"')
        names = ", ".join(f"{name} ({_command(value)})"
                          for name, value in self._companions.items())
        return f"[tool.tremolo.run] starts {names}: see the log whether it runs, and where"


class _Upload:
    """The body of a request on its way to the other server."""

    def __init__(self, exchange: Exchange, begun: Sequence[bytes]) -> None:
        self._exchange = exchange
        self._begun = begun
        #: what was wrong with it, on the client's side
        self.failure: Optional[Exception] = None

    async def pieces(self) -> AsyncIterator[bytes]:
        for piece in self._begun:
            yield piece
        while True:
            try:
                piece = await self._exchange.read()
            except (ClientDisconnected, ProtocolError) as exc:
                self.failure = exc
                raise
            if not piece:
                return
            yield piece


async def _join(link: WebSocketLink, theirs: Any, kinds: Any) -> None:
    """Carry messages both ways until one side closes, and close the other."""
    async def up() -> None:
        while True:
            event = await link.receive()
            if isinstance(event, Close):
                await theirs.close(code=_code(event.code), message=event.reason.encode())
                return
            data = event.data
            await (theirs.send_str(data) if isinstance(data, str) else theirs.send_bytes(data))

    async def down() -> None:
        while True:
            message = await theirs.receive()
            if message.type not in (kinds.TEXT, kinds.BINARY):
                link.close(_code(theirs.close_code), str(message.extra or "")[:120])
                return
            wait = link.send(message.data)
            if wait is not None:
                await wait

    loop = asyncio.get_running_loop()
    both = [loop.create_task(up()), loop.create_task(down())]
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in both:
            task.cancel()
            # What one side sends after the other is gone has nowhere to go.
            with contextlib.suppress(asyncio.CancelledError, StateError, OSError):
                await task
    link.close(1001)  # without effect where that has begun


def _code(code: Optional[int]) -> int:
    """A close code that may be sent (RFC 6455 section 7.4)."""
    if code is not None and (1000 <= code <= 1014 or 3000 <= code <= 4999) \
            and code not in (1004, 1005, 1006):
        return code
    return 1000 if code in (None, 1005) else 1011


def _address(rule: Upstream) -> Tuple[str, int]:
    from urllib.parse import urlsplit

    parts = urlsplit(rule.url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def _reason(exc: BaseException) -> str:
    if isinstance(exc, asyncio.TimeoutError):
        return f"no connection within {CONNECT_TIMEOUT:g} s"
    cause: Any = getattr(exc, "os_error", None) or exc
    code = getattr(cause, "errno", None)
    if isinstance(code, int) and code > 0:
        return os.strerror(code)
    return clean(str(cause) or type(exc).__name__, 200)


def _command(value: Any) -> str:
    command = value.get("command") if isinstance(value, Mapping) else value
    return command if isinstance(command, str) else " ".join(map(str, command or ()))
