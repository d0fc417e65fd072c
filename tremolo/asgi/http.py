"""One HTTP request as ASGI messages (specification: HTTP & WebSocket, section HTTP)."""

import os
import stat
from typing import Any, Dict, Iterable, Optional, Tuple

from ..exceptions import ASGIConnectionError, ClientDisconnected
from ..net.exchange import Exchange
from ..net.files import send_file
from ..net.states import CLOSED, EXCHANGE
from ..protocol.http1 import ProtocolError

Message = Dict[str, Any]
_FILES = ("http.response.pathsend", "http.response.zerocopysend")


class HTTPCycle:
    """`receive` and `send` of one request.

    An application that breaks the order of messages gets a RuntimeError that names what was
    expected and what came; the client gets a clean 500 or a closed connection.
    """

    __slots__ = ("_body_due", "_exchange", "_headers", "_request_done", "_response", "_started",
                 "_trailers", "_wants_trailers", "request_broken")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._response = exchange.response
        #: until the first piece of a body that has more
        self._headers: Optional[Iterable[Any]] = ()
        self._request_done = False
        #: the client left in the middle of its request, or broke its framing
        self.request_broken = False
        #: the head was given; and then, the body is not complete
        self._started = False
        self._body_due = False
        self._wants_trailers = False
        self._trailers: Tuple[Tuple[bytes, bytes], ...] = ()

    async def receive(self) -> Message:
        """The next `http.request`, or `http.disconnect` once the request is read and the
        client left or the response is complete."""
        exchange = self._exchange
        if self._request_done:
            await exchange.disconnect_waiter()
            return {"type": "http.disconnect"}
        try:
            body = await exchange.read()
            if not body:
                self._request_done = True
                return {"type": "http.request", "body": b"", "more_body": False}
            # The end is often there already: then it needs no message of its own.
            following = exchange.read_nowait() if exchange.connection.parser.at_end else None
        except ClientDisconnected:
            self._request_done = True
            self.request_broken = not exchange.response.finished
            return {"type": "http.disconnect"}
        except ProtocolError as exc:
            # The body broke its framing: the client hears it from us, the application just
            # learns that there is nobody to answer.
            self._request_done = self.request_broken = True
            exchange.response.refuse(exc.status, exc.reason.encode("latin-1", "replace"))
            return {"type": "http.disconnect"}
        self._request_done = following == b""
        return {"type": "http.request", "body": body, "more_body": not self._request_done}

    async def send(self, message: Message) -> None:
        """Take one message of the response. Raises RuntimeError for one out of order,
        ASGIConnectionError (an OSError) when the client is gone."""
        kind = message["type"]
        response = self._response
        if kind == "http.response.body":
            if not self._body_due or response.connection.state is not EXCHANGE \
                    or response.progress.finished:
                self._check_body()
                if self._left_whole(message):
                    return
            # Asked for with `in` rather than get(): a call less for each key.
            body = message["body"] if "body" in message else b""  # noqa: SIM401
            if "more_body" in message and message["more_body"]:  # noqa: RUF019
                if self._headers is not None:
                    self._prepare_to_drain()
                if body:
                    wait = response.write(body)
                    if wait is not None:
                        await wait
                else:
                    response.flush()
                return
            self._body_due = False
            if self._wants_trailers:
                if body:
                    wait = response.write(body)
                    if wait is not None:
                        await wait
                return
            response.write_last(body)
            if response.connection.outbox.size:
                await response.drained()
        elif kind == "http.response.start":
            if self._started:
                raise RuntimeError("'http.response.start' came twice")
            if response.connection.state is CLOSED:
                raise ASGIConnectionError("the client is gone")
            if response.progress.finished:
                raise ASGIConnectionError("the request was broken and has been refused")
            self._wants_trailers = "trailers" in message and bool(message["trailers"])
            status = message["status"] if "status" in message else None  # noqa: SIM401
            if type(status) is not int or not 200 <= status <= 999:
                status = _status(message)
            headers = message["headers"] if "headers" in message else ()  # noqa: SIM401
            response.start(status, headers)
            self._headers = headers
            self._started = self._body_due = True
        else:
            await self._send_other(kind, message)

    def _check_body(self) -> None:
        """Raise for a body message out of order."""
        if not self._started:
            raise RuntimeError("expected 'http.response.start' before 'http.response.body'")
        if not self._body_due:
            raise RuntimeError("'http.response.body' came after the response was complete "
                               "(a message with more_body=False)")

    def _left_whole(self, message: Message) -> bool:
        """Whether `message` is the end of a body that has left with all that was promised,
        before its client did. Raises ASGIConnectionError when nothing more can be sent."""
        response = self._response
        if response.connection.state is CLOSED:
            writer = response.writer
            if writer.length == writer.body_bytes and not (
                    message.get("body") or message.get("more_body")):
                self._body_due = False
                return True
            raise ASGIConnectionError("the client is gone")
        if response.progress.finished:
            raise ASGIConnectionError("the stream was ended: the server restarts")
        return False

    def _prepare_to_drain(self) -> None:
        """An event stream has no end of its own: when other code takes over it is ended
        properly, so that the client connects to that. Other streams have the drain limit."""
        headers, self._headers = self._headers, None
        if self._exchange.on_drain is not None or self._wants_trailers:
            return
        events = any(bytes(name).lower() == b"content-type"
                     and bytes(value).lower().startswith(b"text/event-stream")
                     for name, value in headers or ())
        self._exchange.on_drain = self._end_stream if events else _go_on
        if events and self._exchange.connection.server.draining:
            self._exchange.connection.server.loop.call_soon(self._end_stream)

    def _end_stream(self) -> None:
        response = self._response
        if not response.finished and not response.connection.lost and self._body_due:
            response.finish()  # send() raises in the application, receive() gives http.disconnect

    async def _send_other(self, kind: str, message: Message) -> None:
        """The messages of extensions."""
        response = self._response
        if kind in _FILES:
            await self._send_file(kind, message)
            return
        if response.connection.lost:
            raise ASGIConnectionError("the client is gone")
        if kind == "http.response.trailers":
            if not self._wants_trailers or not self._started or self._body_due:
                raise RuntimeError(
                    "'http.response.trailers' must follow the last body of a response that was "
                    "started with trailers=True")
            if response.finished:
                raise RuntimeError("'http.response.trailers' came after more_trailers=False")
            self._trailers += tuple(_pairs(message.get("headers", ())))
            if not message.get("more_trailers", False):
                response.finish(self._trailers)
                if response.connection.outbox.size:
                    await response.drained()
        elif kind == "http.response.early_hint":
            if self._started:
                raise RuntimeError("'http.response.early_hint' came after the response's start")
            response.inform(103, [(b"link", link) for link in message.get("links", ())])
        else:
            raise RuntimeError(
                f"expected 'http.response.{'body' if self._started else 'start'}', "
                f"got {kind!r}")

    async def _send_file(self, kind: str, message: Message) -> None:
        """`http.response.pathsend`, which is a whole body, and `http.response.zerocopysend`,
        which is a piece of one. Raises OSError for a file that cannot be read."""
        exchange = self._exchange
        if not self._started:
            raise RuntimeError(f"expected 'http.response.start' before {kind!r}")
        whole = kind == "http.response.pathsend"
        if not self._body_due or (whole and self._response.bytes_out):
            raise RuntimeError(f"{kind!r} came after the response's body")
        if exchange.connection.lost:
            raise ASGIConnectionError("the client is gone")
        opened = -1
        loop = exchange.connection.server.loop
        try:
            if whole:
                opened = await loop.run_in_executor(None, _open, message["path"])
                offset, count = 0, os.fstat(opened).st_size
                sent = await self._send_part(opened, offset, count, more=False)
            else:
                file = message["file"]
                offset, count = _part(file, message)
                sent = await self._send_part(file, offset, count,
                                             more=bool(message.get("more_body", False)))
                if message.get("offset") is None and not exchange.connection.lost:
                    os.lseek(file.fileno(), offset + sent, os.SEEK_SET)
        finally:
            if opened >= 0:
                await loop.run_in_executor(None, os.close, opened)

    async def _send_part(self, file: Any, offset: int, count: int, *, more: bool) -> int:
        response = self._response
        self._body_due = more
        if not more and not self._wants_trailers:
            response.promise(count)
        sent = await send_file(self._exchange, file, offset, count)
        if response.connection.lost:
            raise ASGIConnectionError("the client is gone")
        if not more and not self._wants_trailers:
            response.finish()
            if response.connection.outbox.size:
                await response.drained()
        return sent

    def ended(self) -> Optional[str]:
        """What was missing when the application returned, or None."""
        response = self._response
        if response.finished or response.connection.lost or self.request_broken:
            return None
        if not self._started:
            return "the ASGI application returned without starting a response"
        return "the ASGI application returned without completing its response"


def _go_on() -> None:
    """A response that has an end finishes by itself."""


def _open(path: Any) -> int:
    """The descriptor of a regular file. Blocks.

    The specification wants an absolute path; Starlette sends what the application gave it, so a
    relative one is taken as `open` would take it.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise ValueError(f"'http.response.pathsend' needs a path, got {path!r}")
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValueError(f"'http.response.pathsend' needs a regular file, got {path!r}")
    return descriptor


def _part(file: Any, message: Message) -> Tuple[int, int]:
    """Offset and length of what `http.response.zerocopysend` means: by default from where the
    file stands to its end."""
    descriptor = file.fileno()
    offset = message.get("offset")
    if offset is None:
        offset = os.lseek(descriptor, 0, os.SEEK_CUR)
    rest = max(0, os.fstat(descriptor).st_size - offset)
    count = message.get("count")
    return offset, rest if count is None else min(count, rest)


def _status(message: Message) -> int:
    status = message.get("status")
    if isinstance(status, int) and 200 <= status <= 999:
        return int(status)
    raise RuntimeError(f"'http.response.start' needs a status from 200 to 999, got {status!r}")


def _pairs(headers: Iterable[Any]) -> Iterable[Tuple[bytes, bytes]]:
    return ((bytes(name), bytes(value)) for name, value in headers)
