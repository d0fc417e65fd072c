"""One HTTP request as ASGI messages (specification: HTTP & WebSocket, section HTTP)."""

from typing import Any, Dict, Iterable, Optional, Tuple

from ..exceptions import ASGIConnectionError, ClientDisconnected
from ..net.exchange import Exchange
from ..protocol.http1 import ProtocolError

Message = Dict[str, Any]


class HTTPCycle:
    """`receive` and `send` of one request.

    An application that breaks the order of messages gets a RuntimeError that names what was
    expected and what came; the client gets a clean 500 or a closed connection.
    """

    __slots__ = ("_body_sent", "_exchange", "_request_done", "_started", "_trailers", "_wants_trailers")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._request_done = False
        self._started = False
        self._body_sent = False
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
            return {"type": "http.disconnect"}
        except ProtocolError as exc:
            # The body broke its framing: the client hears it from us, the application just
            # learns that there is nobody to answer.
            self._request_done = True
            exchange.refuse(exc.status, exc.reason.encode("latin-1", "replace"))
            return {"type": "http.disconnect"}
        self._request_done = following == b""
        return {"type": "http.request", "body": body, "more_body": not self._request_done}

    async def send(self, message: Message) -> None:
        """Take one message of the response. Raises RuntimeError for one out of order,
        ASGIConnectionError (an OSError) when the client is gone."""
        kind = message["type"]
        exchange = self._exchange
        if kind == "http.response.body":
            if not self._started:
                raise RuntimeError("expected 'http.response.start' before 'http.response.body'")
            if self._body_sent:
                raise RuntimeError(
                    "'http.response.body' came after the response was complete "
                    "(a message with more_body=False)")
            if exchange.connection.lost:
                raise ASGIConnectionError("the client is gone")
            body = message.get("body", b"")
            if message.get("more_body", False):
                if body:
                    wait = exchange.write(body)
                    if wait is not None:
                        await wait
                else:
                    exchange.flush()
                return
            self._body_sent = True
            if self._wants_trailers:
                if body:
                    exchange.write(body)
                return
            exchange.write_last(body)
            if exchange.connection.outbox.size:
                await exchange.drained()
        elif kind == "http.response.start":
            if self._started:
                raise RuntimeError("'http.response.start' came twice")
            if exchange.finished and not exchange.connection.lost:
                raise RuntimeError("the request was already answered with an error")
            if exchange.connection.lost:
                raise ASGIConnectionError("the client is gone")
            self._wants_trailers = bool(message.get("trailers", False))
            exchange.start(_status(message), message.get("headers", ()))
            self._started = True
        else:
            self._send_other(kind, message)

    def _send_other(self, kind: str, message: Message) -> None:
        exchange = self._exchange
        if kind == "http.response.trailers":
            if not self._wants_trailers or not self._body_sent:
                raise RuntimeError(
                    "'http.response.trailers' must follow the last body of a response that was "
                    "started with trailers=True")
            if exchange.finished:
                raise RuntimeError("'http.response.trailers' came after more_trailers=False")
            self._trailers += tuple(_pairs(message.get("headers", ())))
            if not message.get("more_trailers", False):
                exchange.finish(self._trailers)
        elif kind == "http.response.early_hint":
            if self._started:
                raise RuntimeError("'http.response.early_hint' came after the response's start")
            exchange.inform(103, [(b"link", link) for link in message.get("links", ())])
        else:
            raise RuntimeError(
                f"expected 'http.response.{'body' if self._started else 'start'}', "
                f"got {kind!r}")

    def ended(self) -> Optional[str]:
        """What was missing when the application returned, or None."""
        if self._exchange.finished or self._exchange.connection.lost:
            return None
        if not self._started:
            return "the ASGI application returned without starting a response"
        return "the ASGI application returned without completing its response"


def _status(message: Message) -> int:
    status = message.get("status")
    if type(status) is int or isinstance(status, int):
        if 200 <= status <= 999:
            return int(status)
    raise RuntimeError(f"'http.response.start' needs a status from 200 to 999, got {status!r}")


def _pairs(headers: Iterable[Any]) -> Iterable[Tuple[bytes, bytes]]:
    return ((bytes(name), bytes(value)) for name, value in headers)
