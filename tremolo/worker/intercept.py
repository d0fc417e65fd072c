"""Requests that somebody at a dashboard looks at before the application does: held until they go
on, changed or not, or are answered by hand; and routes that are answered in the application's
place (mocked).

An adapter around the server's own, in place only while there is something to do for it. All of
it is bounded: MOST requests are held at once, further ones pass; each goes on by itself after a
time.
"""

import asyncio
import base64
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple

from ..exceptions import CommandError
from ..net.adapter import AroundAdapter
from ..scope import Scope
from ..telemetry.builders import held_event
from ..telemetry.messages import MAX_TEXT
from ..telemetry.sanitize import clean

if TYPE_CHECKING:
    from ..net.exchange import Exchange
    from ..net.server import Server

MOST = 50  # requests that are held at once
LONGEST = 45.0  # seconds that one is held; less where a handler's time limit is shorter
RULES = 50
LARGEST = 32 * 1024  # bytes of a mocked body

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
        body = base64.b64decode(given.get("body64") or "", validate=True)
        if len(body) > LARGEST:
            raise CommandError(f"the body of an answer has at most {LARGEST} bytes")
        headers = [(str(name).encode("latin-1"), str(value).encode("latin-1"))
                   for name, value in given.get("headers") or ()]
        return cls(given["status"], headers, body)

    def send(self, exchange: "Exchange") -> None:
        names = {name.lower() for name, _ in self.headers}
        more = [] if b"content-length" in names or self.status in (204, 304) else [
            (b"content-length", str(len(self.body)).encode())]
        exchange.respond(self.status, [*self.headers, *more], self.body)


class Interceptor(AroundAdapter):
    """Around the adapter of `server`; `notify(event)` sends HeldEvents to viewers."""

    def __init__(self, server: "Server", notify: Callable[[Mapping[str, Any]], None]) -> None:
        super().__init__(server.adapter)
        self._inner = server.adapter
        self._server = server
        self._notify = notify
        self._hold: List[Match] = []
        self._mocks: List[Tuple[Match, Response]] = []
        self._held: Dict[int, asyncio.Future[Mapping[str, Any]]] = {}

    def change(self, args: Mapping[str, Any]) -> Dict[str, int]:
        """Hold and mock what `args` describe; what is held goes on if nothing is to be held any
        more. Raises CommandError."""
        hold, mocks = args.get("hold") or [], args.get("mocks") or []
        if not (isinstance(hold, list) and isinstance(mocks, list)) or max(
                len(hold), len(mocks)) > RULES:
            raise CommandError(f"hold and mocks are lists of at most {RULES} rules")
        self._hold, self._mocks = ([Match.of(given) for given in hold],
                                   [(Match.of(given), Response.of(given)) for given in mocks])
        if not self._hold:
            self.release_all()
        self._server.adapter = self if self._hold or self._mocks else self._inner
        return {"hold": len(self._hold), "mocks": len(self._mocks), "held": len(self._held)}

    def release(self, args: Mapping[str, Any]) -> bool:
        """Let one that is held go on: as it is, with another method or target, with header fields
        set (None takes one away), or with `answer`, without the application."""
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
            raise CommandError(f"{', '.join(framing)} cannot be changed: the body has come so")
        waiter.set_result(args)
        return True

    def release_all(self) -> None:
        for waiter in self._held.values():
            if not waiter.done():
                waiter.set_result({})

    async def handle(self, exchange: "Exchange") -> None:
        for match, answer in self._mocks:
            if match.fits(exchange):
                answer.send(exchange)
                return
        if len(self._held) < MOST and any(match.fits(exchange) for match in self._hold):
            decision = await self._decided(exchange)
            if exchange.disconnected:
                return
            if decision.get("answer") is not None:
                Response.of(decision["answer"]).send(exchange)
                return
            _apply(exchange, decision)
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
            exchange.shift(self._server.loop.time() - began)
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
