"""Rows of exchanges for frames: of those that ended, and of those that run long.

An exchange that stands for others like it, which were left out, says so in its row. Knows the
server and what is known from within requests; nothing of frames and of pipes.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, NamedTuple, Optional

from ..net.exchange import Exchange
from ..net.recent import FOUND, LATE, LEFT_OUT
from ..telemetry.sanitize import clean
from ..telemetry.templates import grouped, readable
from .connection_rows import shown_peer
from .messages import messages
from .usage import Crowding

if TYPE_CHECKING:
    from ..insight.insight import Insight
    from ..net.server import Server
    from ..telemetry.rows import RequestRow

MESSAGES_SIZE = 192 * 1024  # bytes of heads and bodies that are sent, a turn
MOST_MESSAGES = 2 * MESSAGES_SIZE  # with what turns before did not use
MAX_REPORTED = 500
LIVE_AFTER = 1.0  # seconds from which an exchange in progress gets rows of its own
MAX_LIVE = 50


class SizedRow(NamedTuple):
    """A row, and about how many bytes of JSON its messages are."""

    row: "RequestRow"
    size: int = 0


class ExchangeRows:
    """Makes the rows of `server`; `insight` knows more about its requests, if there is one, and
    `crowding` when others were in the way."""

    def __init__(self, server: "Server", insight: "Optional[Insight]",
                 crowding: Crowding) -> None:
        self._server = server
        self._insight = insight
        self._crowding = crowding
        #: exchanges that ended and have no row
        self.left_out = 0
        #: of those that were told last, how many viewers look for
        self.sought = 0
        self._wall = 0.0
        self._with_messages = False
        self._messages_left = 0
        self._reported: Dict[int, None] = {}  # exchanges in progress whose heads were sent

    def take(self, now: float, wall: float, with_messages: bool, most: int,
             wait: bool) -> List[SizedRow]:
        """What runs long, and of what ended since the last time as much as `Recent.take` gives.
        `wall` is what to add to an instant for the wall clock; `with_messages` asks for what was
        in requests and responses, too."""
        self._wall = wall
        self._with_messages = with_messages
        self._messages_left = min(MOST_MESSAGES, self._messages_left + MESSAGES_SIZE)
        self.sought = 0
        rows: List[SizedRow] = []
        recent = self._server.recent
        if recent is None:
            return rows
        for exchange in self._unfinished():
            if now - exchange.begun >= LIVE_AFTER and not exchange.hidden:
                if exchange.choice == LEFT_OUT:
                    exchange.choice = LATE  # whoever saw it begin shall see its end
                rows.append(self._live(exchange, now))
                if len(rows) >= MAX_LIVE:
                    break
        taken = recent.take(most, wait)
        for exchange, weight in taken.exchanges:
            made = self._ended(exchange)
            if exchange.sought is not None:
                self.sought += 1
            if weight > 1:
                made.row["weight"] = round(weight, 2)
            rows.append(made)
        self.left_out += taken.left_out
        if self._insight is not None:
            for exchange in taken.given_up:
                self._insight.give_up(exchange.id)
            if self._insight.needed and taken.left_out:
                self._insight.keep({exchange.id for exchange in (*self._unfinished(), *recent)})
        return rows

    def _unfinished(self) -> Iterator[Exchange]:
        for connection in self._server.connections.values():
            exchange = connection.current
            if exchange is None and connection.upgraded is not None:
                exchange = getattr(connection.upgraded, "exchange", None)
            if exchange is not None:
                yield exchange

    def _ended(self, exchange: Exchange) -> SizedRow:
        first, begun, ended = exchange.response.first_byte, exchange.begun, exchange.ended
        held = exchange.held
        row = self._row(exchange, ended - begun - held, (first or ended) - begun - held,
                        exchange.throttled, exchange.outcome)
        if held:
            row["held_ms"] = round(held * 1000, 3)
        if self._crowding.during(begun, ended):
            row["crowded"] = True
        capture = exchange.capture
        if capture is not None and self._with_messages:
            request, response, size = messages(
                capture, exchange.head.method, exchange.response.status, exchange.bytes_in,
                exchange.response.bytes_out)
            if size <= self._messages_left:
                self._messages_left -= size
                row["request"], row["response"] = request, response
                return SizedRow(row, size)
        return SizedRow(row)

    def _live(self, exchange: Exchange, now: float) -> SizedRow:
        first, begun = exchange.response.first_byte, exchange.begun
        outbox = exchange.connection.outbox
        row = self._row(exchange, now - begun, first - begun if first else 0.0,
                        outbox.throttle_seconds - exchange.throttle_mark, "live")
        link = exchange.connection.upgraded
        if link is not None:
            row["http"], row["bytes_out"] = "ws", outbox.bytes_out
            row["bytes_in"] = exchange.connection.bytes_in
        capture = exchange.capture
        if capture is not None and self._with_messages and capture.response_head:
            # Once, with its heads: what is to come is sent as messages, or when it has ended.
            request, response, size = messages(
                capture, exchange.head.method, 101, 0, 0)
            if size <= self._messages_left and exchange.id not in self._reported:
                self._messages_left -= size
                self._reported[exchange.id] = None
                while len(self._reported) > MAX_REPORTED:
                    del self._reported[next(iter(self._reported))]
                row["request"], row["response"] = request, response
                return SizedRow(row, size)
        return SizedRow(row)

    def _row(self, exchange: Exchange, seconds: float, ttfb: float, throttled: float,
             state: str) -> "RequestRow":
        head, connection, route, error = (
            exchange.head, exchange.connection, exchange.route, exchange.error)
        response = exchange.response
        path = clean(head.target)
        row: RequestRow = {
            "id": exchange.id, "conn": connection.id, "t": round(exchange.begun + self._wall, 4),
            "method": _word(head.method, 16), "path": path,
            "route": grouped(path) if route is None else clean(readable(route)),
            "status": response.status,
            "bytes_in": exchange.bytes_in, "bytes_out": response.bytes_out,
            "ms": round(seconds * 1000, 3), "ttfb_ms": round(ttfb * 1000, 3),
            "throttle_ms": round(throttled * 1000, 3), "state": state,
            "error": None if error is None else _one_line(error),
            "http": _word(head.version, 8), "secure": connection.is_tls,
            "peer": shown_peer(connection.peer),
        }
        if response.event_stream:
            row["sse"] = True
        if exchange.proxied is not None:
            row["proxied"] = exchange.proxied
        if self._insight is not None:
            lasting = response.event_stream or response.status == 101
            more = self._insight.row(
                exchange.id, response.status, state != "live", self._server.loop.time(),
                None if lasting else seconds)
            if exchange.proxied is None:
                if error is not None:  # which reached us
                    more.pop("error", None)
                row.update(more)
                if exchange.choice in (LATE, FOUND) and not self._insight.needed:
                    row["unobserved"] = True
                    if route is None:
                        row["route"] = self._insight.route_like(row["method"], row["path"])
        return row


#: a method or a version, of which there are few
_word = lru_cache(64)(clean)


def _one_line(error: Any) -> str:
    if isinstance(error, BaseException):
        try:
            return clean(f"{type(error).__name__}: {error}")
        except Exception:  # a __str__ of the application's that raises itself
            return clean(type(error).__name__)
    return clean(str(error))
