"""Requests that somebody at a dashboard looks at before the application does: held until they go
on, changed or not, or are answered by hand; and routes that are answered in the application's
place (mocked).

An adapter around the server's own, in place only while there is something to do for it. All of
it is bounded: MOST requests are held at once, further ones pass; each goes on by itself after a
time.
"""

import asyncio
import base64
import os
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple
from urllib.parse import unquote

from ..exceptions import CommandError
from ..net.adapter import AroundAdapter
from ..net.request_body import replace_body
from ..scope import Scope
from ..telemetry.builders import held_event
from ..telemetry.filters import FilterError, Predicate, compile_hold
from ..telemetry.rows import BY_HAND, MOCK
from ..telemetry.sanitize import MAX_TEXT, clean

if TYPE_CHECKING:
    from ..net.exchange import Exchange
    from ..net.server import Server

MOST = 50  # requests that are held at once
LONGEST = 45.0  # seconds that one is held; less where a handler's time limit is shorter
RULES = 50
LARGEST = 32 * 1024  # bytes of a body that is typed
LONGEST_FILTER = 2000  # characters

_FRAMING = {"content-length", "transfer-encoding"}

Headers = List[Tuple[bytes, bytes]]


class Match(NamedTuple):
    """Requests of a method ("" is any) to a path pattern, as scopes of the throttle have it."""

    method: bytes
    path: Scope

    def fits(self, exchange: "Exchange") -> bool:
        head = exchange.head
        return self.method in (b"", head.method) and self.path.covers(head.target)

    @classmethod
    def of(cls, given: Any) -> "Match":
        if not isinstance(given, dict):
            raise CommandError("a rule is an object with a method and a path")
        path = Scope(str(given.get("path", "")))
        if not path.is_path:
            raise CommandError(f"{str(path)!r} is no path such as /api/*")
        return cls(str(given.get("method") or "").upper().encode("ascii"), path)


class Asked:
    """A request as filters see it while nobody has answered it; also its one message."""

    __slots__ = ("_fields", "bytes_in", "conn", "http", "method", "path", "peer", "pid", "route",
                 "shown_path", "status")

    response = None

    def __init__(self, exchange: "Exchange") -> None:
        head, peer = exchange.head, exchange.connection.peer
        self.method = head.method.decode("latin-1")
        self.path = head.target.decode("latin-1")
        self.shown_path = unquote(self.path)
        self.route = exchange.route
        self.peer = f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else ""
        self.http = "ws" if head.upgrade == b"websocket" else head.version.decode("ascii")
        self.status = 0
        self.bytes_in = head.content_length or 0
        self.conn, self.pid = exchange.connection.id, os.getpid()
        self._fields = head.headers

    @property
    def request(self) -> "Asked":
        return self

    def field(self, name: str) -> str:
        wanted = name.encode("latin-1")
        return next((value.decode("latin-1") for known, value in self._fields
                     if known == wanted), "")

    def has_line(self, word: str) -> bool:
        return any(word in f"{name.decode('latin-1')}: {value.decode('latin-1')}".lower()
                   for name, value in self._fields)


class Response(NamedTuple):
    """What is answered in the application's place."""

    status: int
    headers: Headers
    body: bytes

    @classmethod
    def of(cls, given: Any) -> "Response":
        if not isinstance(given, dict) or not isinstance(given.get("status"), int):
            raise CommandError("an answer is an object with a status")
        if not 200 <= given["status"] <= 599:
            raise CommandError("the status of an answer is 200 to 599")
        body = _body(given.get("body64") or "")
        headers = [(str(name).encode("latin-1"), str(value).encode("latin-1"))
                   for name, value in given.get("headers") or ()]
        return cls(given["status"], headers, body)

    def send(self, exchange: "Exchange") -> None:
        names = {name.lower() for name, _ in self.headers}
        more = [] if b"content-length" in names or self.status in (204, 304) else [
            (b"content-length", str(len(self.body)).encode())]
        exchange.response.respond(self.status, [*self.headers, *more], self.body)


def _body(encoded: Any) -> bytes:
    try:
        body = base64.b64decode(encoded, validate=True)
    except (TypeError, ValueError):
        raise CommandError("a body is written in base64") from None
    if len(body) > LARGEST:
        raise CommandError(f"a body has at most {LARGEST} bytes")
    return body


class Interceptor(AroundAdapter):
    """Around the adapter of `server`; `notify(event)` sends HeldEvents to viewers."""

    def __init__(self, server: "Server", notify: Callable[[Mapping[str, Any]], None]) -> None:
        super().__init__(server.adapter)
        self._inner = server.adapter
        self._server = server
        self._notify = notify
        self._hold: Optional[Predicate] = None
        self._mocks: List[Tuple[Match, Response]] = []
        self._held: Dict[int, asyncio.Future[Mapping[str, Any]]] = {}

    def change(self, args: Mapping[str, Any]) -> Dict[str, int]:
        """Hold and mock what `args` describe; what is held goes on if nothing is to be held any
        more. Raises CommandError."""
        hold, mocks = args.get("hold") or "", args.get("mocks") or []
        if not isinstance(hold, str) or len(hold) > LONGEST_FILTER:
            raise CommandError("what to hold is a filter such as POST /api/*")
        if not isinstance(mocks, list) or len(mocks) > RULES:
            raise CommandError(f"mocks are a list of at most {RULES} rules")
        try:
            matches = compile_hold(hold) if hold.strip() else None
        except FilterError as exc:
            raise CommandError(f"{exc} (at {exc.place + 1} of {hold!r})") from None
        self._mocks = [(Match.of(given), Response.of(given)) for given in mocks]
        self._hold = matches
        if matches is None:
            self.release_all()
        self._server.adapter = self if matches is not None or self._mocks else self._inner
        return {"hold": int(matches is not None), "mocks": len(self._mocks),
                "held": len(self._held)}

    def release(self, args: Mapping[str, Any]) -> bool:
        """Let one that is held go on: as it is, with another method, target or body, with header
        fields set (None takes one away), or with `answer`, without the application."""
        waiter = self._held.get(args.get("id", -1))
        if waiter is None or waiter.done():
            raise CommandError("that request is not held any more")
        if args.get("answer") is not None:
            Response.of(args["answer"])  # a wrong one leaves it held
        target = args.get("target")
        if target is not None and not (isinstance(target, str) and target.startswith("/")
                                       and target.isascii() and " " not in target):
            raise CommandError("a target begins with / and is ASCII")
        framing = {str(name).lower() for name in args.get("headers") or {}} & _FRAMING
        if framing:
            raise CommandError(f"{', '.join(framing)} cannot be changed: the body decides")
        if args.get("body64") is not None:
            _body(args["body64"])
        waiter.set_result(args)
        return True

    def release_all(self) -> None:
        for waiter in self._held.values():
            if not waiter.done():
                waiter.set_result({})

    async def handle(self, exchange: "Exchange") -> None:
        for match, answer in self._mocks:
            if match.fits(exchange):
                exchange.proxied = MOCK
                answer.send(exchange)
                return
        hold = self._hold
        if hold is not None and len(self._held) < MOST and hold(Asked(exchange)):
            decision = await self._decided(exchange)
            if exchange.disconnected:
                return
            if decision.get("answer") is not None:
                exchange.proxied = BY_HAND
                Response.of(decision["answer"]).send(exchange)
                return
            _apply(exchange, decision)
            if decision.get("body64") is not None:
                await replace_body(exchange, _body(decision["body64"]))
        await self._inner.handle(exchange)

    async def _decided(self, exchange: "Exchange") -> Mapping[str, Any]:
        """What somebody wants to become of a request; {} if nobody decided in time."""
        began = self._server.loop.time()
        limit = exchange.connection.handler_timeout
        seconds = min(LONGEST, limit * 0.75) if limit else LONGEST
        waiter = self._held[exchange.id] = self._server.loop.create_future()
        self._publish(exchange, "held", seconds)
        reason, left = "released", exchange.disconnect_waiter()
        try:
            await asyncio.wait({waiter, left}, timeout=seconds,
                               return_when=asyncio.FIRST_COMPLETED)
            if not waiter.done():
                reason = "left" if left.done() else "timeout"
        finally:
            del self._held[exchange.id]
            exchange.held = self._server.loop.time() - began
            exchange.shift(exchange.held)
            self._publish(exchange, reason, 0.0)
        return waiter.result() if waiter.done() else {}

    def _publish(self, exchange: "Exchange", state: str, seconds: float) -> None:
        head = exchange.head
        self._notify(held_event(
            state, exchange.id, exchange.connection.id, seconds,
            clean(head.method.decode("latin-1"), 16),
            clean(head.target.decode("latin-1"), MAX_TEXT)))


def _apply(exchange: "Exchange", decision: Mapping[str, Any]) -> None:
    """Change the head of a request as somebody wants it."""
    head = exchange.head
    if isinstance(decision.get("method"), str):
        head.method = decision["method"].encode("ascii", "ignore")
    target: Optional[str] = decision.get("target")
    if target is not None:
        head.target = target.encode("ascii")
        head.path, _, head.query = head.target.partition(b"?")
    for name, value in (decision.get("headers") or {}).items():
        field = str(name).lower().encode("latin-1", "ignore")
        head.headers = [known for known in head.headers if known[0] != field]
        if value is not None:
            head.headers.append((field, str(value).encode("latin-1", "ignore")))
