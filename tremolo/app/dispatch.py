"""Running handlers and sending what they give: middlewares, threads, streams, errors.

Everything here works on the server objects of one request and its exchange; the plain case is
written out in `adapter.py`.
"""

import asyncio
import inspect
import logging
from typing import TYPE_CHECKING, Any, Dict, List, Match, Optional, Protocol, Tuple

from ..config import Settings
from ..exceptions import (
    ClientDisconnected,
    HTTPException,
    InternalServerError,
    NotFound,
    RequestTimeout,
    WebSocketException,
    WebSocketServerClosed,
)
from ..net.trust import is_trusted
from ..protocol.http1 import ProtocolError
from .errors import DEBUG_POLICY, debug_page, exception_for, not_found_page
from .handlers import COROUTINE, GENERATOR, SERVER_NAMES, STREAM, Handler
from .link import Application
from .registry import Registered
from .response import Response
from .routing import Routes
from .threads import Executor, call_on_thread, generate_on_thread
from .values import body_bytes, field_bytes

if TYPE_CHECKING:
    from ..net.exchange import Exchange
    from .request import Request

Server = Dict[str, Any]
#: what a returned value may be to become the body
BODIES = (str, bytes, bytearray, memoryview, tuple, dict, list)
EXPECTED = ("a handler returns str, bytes, (str, charset), a dict or list for JSON, None to "
            "close the connection, or True when it goes on by itself")
#: fields that describe the body that an error takes the place of
_OF_THE_BODY = (b"content-length", b"content-encoding", b"content-range",
                b"content-disposition", b"transfer-encoding", b"etag", b"last-modified",
                b"accept-ranges", b"cache-control", b"expires")


class Caller(Protocol):
    """What is needed of the adapter that calls handlers."""

    settings: Settings
    executor: Executor
    loop: asyncio.AbstractEventLoop

    @property
    def app(self) -> Application: ...
    @property
    def routes(self) -> Routes: ...


async def call_handler(handler: Handler, server: Server, adapter: Caller) -> Any:
    """What a handler returns; an async generator for one that yields."""
    kind = handler.kind
    if kind == COROUTINE:
        return await handler.call(server)
    if kind == STREAM:
        return handler.call(server)
    if kind == GENERATOR:
        return generate_on_thread(adapter.executor, handler, server, adapter.loop)
    result = await call_on_thread(adapter.executor, handler, server, adapter.loop)
    return await result if inspect.isawaitable(result) else result


def give_groups(match: "Match[bytes]", request: "Request", server: Server) -> None:
    """Hand the groups of a route's pattern to the handler; server objects keep their names."""
    groups = match.groupdict()
    request.context.path = groups or match.groups()
    for name, value in groups.items():
        if name not in SERVER_NAMES:
            server[name] = value


async def before(adapter: Caller, stack: List[Registered], server: Server,
                 exchange: "Exchange") -> bool:
    """Run the `request` middlewares. True: one of them has answered, or took the request
    over."""
    request, response = server["request"], server["response"]
    for index, entry in enumerate(tuple(stack)):
        handler = entry.handler
        if handler.options:
            request.adopt_options(handler.options)
        server["next"] = index
        result = await call_handler(handler, server, adapter)
        if exchange.response.finished:
            return True
        if isinstance(result, BODIES):
            response.adopt(handler.status, handler.content_type)
            await response.end(response.rendered(result))
            return True
        if result is True:
            await _left_to_handler(exchange)
            return True
        if result:
            raise undocumented(handler, result)
    server["next"] = len(stack)
    return False


class Review:
    """Runs the `response` middlewares of one request, once, before its head is given."""

    __slots__ = ("_adapter", "_server", "_stack")

    def __init__(self, adapter: Caller, stack: List[Registered],
                 server: Server) -> None:
        self._adapter = adapter
        self._stack = stack
        self._server = server

    async def __call__(self, response: Response) -> Optional[bytes]:
        """The body that a middleware wants sent in place of the handler's."""
        request = self._server["request"]
        left = len(self._stack)
        for entry in tuple(self._stack):
            handler = entry.handler
            left = self._server["next"] = left - 1
            if handler.options:
                request.adopt_options(handler.options)
            result = await call_handler(handler, self._server, self._adapter)
            if isinstance(result, BODIES):
                response.adopt(handler.status, handler.content_type)
                return response.rendered(result)
            if result:
                break
        return None


async def run(adapter: Caller, handler: Handler, server: Server,
              exchange: "Exchange") -> None:
    """Run any handler of a route and send its response."""
    request, response = server["request"], server["response"]
    response.adopt(handler.status, handler.content_type)
    if handler.asks_sse:
        from .sse import EventStream  # deferred: few applications need it

        server["sse"] = EventStream(request, response)
    if handler.asks_websocket and exchange.head.upgrade == b"websocket" \
            and adapter.settings.ws:
        await _run_websocket(adapter, handler, server, exchange)
        return
    result = await call_handler(handler, server, adapter)
    options = request.options
    if options.get("rate") is not None:
        exchange.set_rate(int(options["rate"]))
    if handler.kind in (STREAM, GENERATOR):
        await stream(result, server, exchange, handler)
    elif options.get("chunked") and not exchange.response.started and isinstance(result, BODIES):
        body = response.rendered(result)
        if await response.start(chunked=True):
            exchange.response.write_last(body)
    else:
        await answer(result, server, exchange, handler)


async def _run_websocket(adapter: Caller, handler: Handler, server: Server,
                         exchange: "Exchange") -> None:
    from .websocket import WebSocket  # deferred: few applications need it

    websocket = server["websocket"] = WebSocket(server["request"], server["response"])
    try:
        result = await call_handler(handler, server, adapter)
        if exchange.connection.upgraded is not None and result not in (None, False, True):
            raise undocumented(handler, result, "the handler of a WebSocket returns nothing, or "
                               "True when it goes on by itself")
    except WebSocketException as exc:
        websocket.ended(exc.code if isinstance(exc, WebSocketServerClosed) else 1000)
        if exchange.connection.upgraded is not None:
            return
        raise
    except Exception as exc:
        if exchange.connection.upgraded is None:
            raise
        exchange.connection.server.report(exchange, exc)
        websocket.ended(1011)
        return
    if exchange.connection.upgraded is None:
        await answer(result, server, exchange, handler)  # not accepted: a plain response
    elif result is not True:
        websocket.ended()


async def answer(result: Any, server: Server, exchange: "Exchange", handler: Handler) -> None:
    """Send what a handler returned. Raises TypeError for what nobody defined a meaning of."""
    response = server["response"]
    if isinstance(result, BODIES):
        await response.end(response.rendered(result))
    elif result is None:
        if not exchange.response.started:
            _explain_none(handler, server, exchange)
            exchange.response.abort()  # the connection is closed with nothing sent: Tremolo's API
        elif not exchange.response.finished:
            exchange.response.finish()
    elif result is True:
        await _left_to_handler(exchange)
    elif hasattr(result, "__aiter__"):
        await stream(result, server, exchange, handler)
    else:
        raise undocumented(handler, result)


def undocumented(handler: Handler, result: Any, expected: str = EXPECTED) -> TypeError:
    """The error of a handler that gave something that has no meaning."""
    return TypeError(f"{handler.label} returned {type(result).__name__}: {expected}")


def _explain_none(handler: Handler, server: Server, exchange: "Exchange") -> None:
    settings = exchange.connection.server.settings
    if (settings.debug or settings.reload) and not exchange.disconnected:
        server["app"].logger.warning(
            "%s returned None, so that the connection was closed without an answer: return "
            "\"\" for an empty body, or True when the handler goes on by itself", handler.label)


async def _left_to_handler(exchange: "Exchange") -> None:
    """The handler goes on by itself, in a task of its own: wait until it is done."""
    await exchange.over()


async def stream(source: Any, server: Server, exchange: "Exchange",
                 handler: Handler) -> None:
    """Send what a handler yields.

    The head waits for the first piece, so that the handler may change it until then, and an
    error before it gets a page.
    """
    request, response = server["request"], server["response"]
    options = request.options
    pieces = source.__aiter__()
    try:
        piece, more = await _next_piece(pieces, handler)
        if not exchange.response.started \
                and not await response.start(chunked=options.get("chunked")):
            return
        if exchange.response.finished:
            return
        if request.method == b"HEAD":
            exchange.response.flush()  # the head as for GET, which does not know its length
            exchange.response.finish()
            return
        least = 0
        if options.get("stream") is False:
            least = int(options.get("buffer_size") or request.link.options["buffer_size"]) // 2
        while more and not exchange.disconnected:
            if least:
                piece, more = await _gather(piece, least, pieces, handler)
            wait = exchange.response.write(piece)
            if wait is not None:
                await wait
            if more:
                piece, more = await _next_piece(pieces, handler)
        if not exchange.response.finished:
            exchange.response.finish()
    finally:
        close = getattr(pieces, "aclose", None)
        if close is not None:
            await close()


async def _next_piece(pieces: Any, handler: Handler) -> Tuple[bytes, bool]:
    """The next piece that is not empty, and True; or b"" and False at the end."""
    async for value in pieces:
        if type(value) is bytes:
            piece = value
        elif isinstance(value, BODIES) and not isinstance(value, (dict, list)):
            piece = body_bytes(value)
        else:
            raise TypeError(f"{handler.label} yielded {type(value).__name__}: a handler yields "
                            "bytes or str")
        if piece:
            return piece, True
    return b"", False


async def _gather(piece: bytes, least: int, pieces: Any,
                  handler: Handler) -> Tuple[bytes, bool]:
    """`piece` and what follows it up to `least` bytes; False when the source ended."""
    gathered = [piece]
    size = len(piece)
    while size < least:
        piece, more = await _next_piece(pieces, handler)
        if not more:
            return b"".join(gathered), False
        gathered.append(piece)
        size += len(piece)
    return b"".join(gathered), True


# -- errors -----------------------------------------------------------------------------------


async def fail(adapter: Caller, exc: Exception, server: Server,
               exchange: "Exchange") -> None:
    """Answer with an error page, or reset the connection when the response is under way."""
    error = _as_http(exc)
    _report(adapter, exc, error, exchange)
    if exchange.response.finished:
        return
    if exchange.response.started:
        exchange.response.abort()
        return
    try:
        await _error_page(adapter, error, server, exchange)
    except (ClientDisconnected, asyncio.CancelledError):
        raise
    except Exception as second:
        # The page or a middleware failed in its turn: a plain answer, and no further code.
        exchange.connection.server.report(exchange, second)
        exchange.response.refuse(500, b"Internal Server Error")


def _as_http(exc: Exception) -> HTTPException:
    if isinstance(exc, ProtocolError):
        return exception_for(exc.status, exc.reason)
    return HTTPException(cause=exc)


def _report(adapter: Caller, exc: Exception, error: HTTPException,
            exchange: "Exchange") -> None:
    """Log by whose fault it is: the client's is nobody's news, the application's has a
    trace."""
    if isinstance(error, RequestTimeout) and exc is not error:
        adapter.app.logger.warning("%s: %s", _named(exchange), exc)
    elif error.code >= 500 and (exc is not error or isinstance(exc, InternalServerError)):
        exchange.connection.server.report(exchange, error.__cause__ or exc)
    elif error.code >= 500:
        level = logging.INFO if error.code == 503 else logging.ERROR
        adapter.app.logger.log(level, "%s: %d %s", _named(exchange), error.code, error)


def _named(exchange: "Exchange") -> str:
    head = exchange.head
    return (head.method + b" " + head.target).decode("ascii", "backslashreplace")


async def _error_page(adapter: Caller, error: HTTPException, server: Server,
                      exchange: "Exchange") -> None:
    response = server["response"]
    head = exchange.head
    handler: Optional[Handler] = None
    if error.code >= 400:
        errors = adapter.routes.errors
        handler = errors.get(error.code)
        if handler is None and error.code != 404:
            handler = errors.get(500)
    _dress(response, error)
    result = None
    if handler is not None:
        response.adopt(handler.status, handler.content_type)
        result = await call_handler(handler, {**server, "exc": error}, adapter)
        if exchange.response.finished:
            return
        if result is None:
            _dress(response, error)  # it may have changed the exception
    if result is not None:
        if handler is not None and not isinstance(result, BODIES):
            raise undocumented(handler, result)
        body = response.rendered(result)
    elif handler is None and isinstance(error, NotFound) and not error.args:
        body = not_found_page(head.path, adapter.settings.server_name)
    elif error.code == 500 and adapter.settings.debug and is_trusted(exchange):
        response.set_header(b"Content-Security-Policy", DEBUG_POLICY)
        body = debug_page(error)
    else:
        body = str(error).encode(error.encoding, "replace")
    await response.end(body)


def _dress(response: Response, error: HTTPException) -> None:
    """Give a response the status and fields of an error."""
    fields = response.headers
    for name in _OF_THE_BODY:
        fields.pop(name, None)
    message = error.message
    if error.code != type(error).code and message == type(error).message:
        message = ""  # another status than the class's: its own phrase
    response.set_status(error.code, message.encode("latin-1", "replace"))
    response.set_header(b"Content-Type", error.content_type)
    for name, value in getattr(error, "options", {}).items():
        text = value if isinstance(value, (str, bytes)) else str(value)
        response.set_header(field_bytes(name.replace("_", "-")), text)


