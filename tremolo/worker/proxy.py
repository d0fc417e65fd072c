"""Which requests other servers answer: by their path, or because the application knows no route
for them.

An adapter around the application's. Decides, and leaves the passing on to `Forwarder`.
"""

import logging
import os
from typing import Any, Optional, Sequence, Set

from ..config import Settings
from ..insight.record import Record, running
from ..net.adapter import Adapter, AroundAdapter
from ..net.exchange import Exchange
from ..upstreams import Upstream, find, upstreams
from .declining import DeclinableExchange
from .forwarding import Forwarder, Unreachable
from .frameworks import takes_websockets

#: how applications refuse a WebSocket for which they have no route
_REFUSED = (403, 404)
MOST_PASSED = 10_000


class ProxyAdapter(AroundAdapter):
    """Sends what belongs to one of `rules` on with `forwarder`, the rest to `adapter`.

    What is below a rule's prefix goes on at once. The rule for "/" is for what the application
    does not know: it is asked first, and its answer is declined when that is one of `refusals`
    (for a WebSocket also a 403) and no route of its was chosen, as far as `insight` can see.
    Only applications that take WebSockets are asked for those.
    """

    def __init__(self, adapter: Adapter, rules: Sequence[Upstream], forwarder: Forwarder,
                 refusals: Sequence[int] = (404,), takes_websockets: bool = True) -> None:
        super().__init__(adapter)
        self._adapter = adapter
        self._prefixes = [rule for rule in rules if not rule.asks_application]
        self._rest = next((rule for rule in rules if rule.asks_application), None)
        self._forwarder = forwarder
        self._refusals = refusals
        self._takes_websockets = takes_websockets
        #: paths that went on, of which there are few while somebody develops
        self._passed: Set[str] = set()
        self._startup, self._shutdown = self.startup, self.shutdown
        self.startup, self.shutdown = self._start, self._stop

    async def _start(self) -> None:
        await self._startup()
        self._forwarder.prepare()

    async def _stop(self) -> None:
        try:
            await self._shutdown()
        finally:
            await self._forwarder.close()

    def serves(self, file: str) -> bool:
        """Whether a file of the project, by its relative path, seems to be one that another
        server has given: pages then hear of its changes from there."""
        parts = file.replace(os.sep, "/").split("/")
        return any("/" + "/".join(parts[index:]) in self._passed for index in range(len(parts)))

    async def handle(self, exchange: Exchange) -> None:
        head = exchange.head
        websocket = head.upgrade == b"websocket"
        rule = find(self._prefixes, head.path.decode("latin-1"))
        if rule is not None:
            await self._forward(exchange, rule)
        elif self._rest is None or not isinstance(exchange, DeclinableExchange) \
                or not head.path.startswith(b"/"):
            await self._adapter.handle(exchange)
        elif websocket and not self._takes_websockets:
            await self._forward(exchange, self._rest)
        else:
            await self._ask_application(exchange, self._rest, websocket)

    async def _ask_application(self, exchange: DeclinableExchange, rule: Upstream,
                               websocket: bool) -> None:
        record: Optional[Record] = running.get()

        def declines(status: int) -> bool:
            if status not in self._refusals and not (websocket and status in _REFUSED):
                return False
            replay = exchange.replay
            return not (replay is not None and replay.overflowed) and (
                record is None or not record.is_routed)

        exchange.may_decline(declines)
        failure: Optional[Exception] = None
        try:
            await self._adapter.handle(exchange)
        except Exception as exc:
            # Some applications raise for each WebSocket, as the ASGI specification says; and
            # whatever one does after a declined answer is about an answer that nobody gets.
            response = exchange.response
            if response.started or not (response.declined or (websocket and declines(404))):
                raise
            failure = exc
        if failure is None and not exchange.response.declined:
            return
        exchange.take_over()
        pieces = exchange.replay.pieces if exchange.replay is not None else []
        if failure is not None and websocket and not await self._forwarder.is_there(rule):
            raise failure
        await self._forward(exchange, rule, pieces)

    async def _forward(self, exchange: Exchange, rule: Upstream,
                       pieces: Sequence[bytes] = ()) -> None:
        exchange.route = rule.route
        exchange.proxied = rule.origin
        if len(self._passed) < MOST_PASSED:
            self._passed.add(exchange.head.path.decode("latin-1"))
        # The limits of bodies are those of applications, unless somebody wants them.
        exchange.set_body_limit(exchange.connection.server.settings.client_max_body_size)
        try:
            await self._forwarder.forward(exchange, rule, pieces)
        except Unreachable as exc:
            self._forwarder.answer_unreachable(exchange, rule, exc)


def proxied(adapter: Adapter, settings: Settings, kind: str, application: Any,
            logger: logging.Logger) -> Adapter:
    """`adapter`, which calls `application`, behind the rules of `settings.proxy` if there are
    any."""
    rules = upstreams(settings.proxy or {})
    if not rules:
        return adapter
    companions = settings.companions if settings.run_companions else None
    return ProxyAdapter(adapter, rules, Forwarder(settings, logger, companions or {}),
                        # Of ours, 503 is the index that nobody has set.
                        (404, 503) if kind == "native" else (404,),
                        takes_websockets(kind, application))
