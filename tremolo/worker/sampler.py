"""Reads the server's counters ten times a second and makes frames of them.

Only this end knows both `net` and the messages. It never waits: what the pipe does not take
is dropped and counted, and counters are cumulative, so the next frame has everything. It
times itself and sends fewer rows when reporting costs too much. Header fields and bodies, and the
secrets in them, are sent only to who asks for that level of detail.
"""

import asyncio
import os
import time
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Tuple,
)

from ..net.exchange import Exchange
from ..net.message_log import MessageLog
from ..net.stream import peer_text
from ..telemetry import histogram
from ..telemetry.builders import frame as frame_of
from ..telemetry.codec import CodecError
from ..telemetry.messages import Frame, RequestRow
from ..telemetry.sanitize import clean
from ..telemetry.templates import grouped, readable
from .connection_rows import ConnectionRows, bounded
from .messages import messages, stream_lines

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..insight.insight import Insight
    from ..net.server import Server
    from ..telemetry.builders import FrameContents

TICK = 0.1
KEEP_ALIVE = 1.0
MAX_ROWS = 1000  # a tick
MIN_ROWS = 50
LINE_SIZE = 60 * 1024  # by estimate; the limit of a line is 64 KiB
COST_LIMIT = 0.01  # of wall time
CROWD = 2000  # connections from which looking at all of them is done once a second only
MESSAGES = 20  # exchanges of which heads and bodies are kept, a tick
MESSAGES_SIZE = 192 * 1024  # bytes of them that are sent, a tick
MAX_REPORTED = 500
LIVE_AFTER = 1.0  # seconds from which an exchange in progress gets rows of its own

Sink = Callable[[Mapping[str, Any]], bool]


def _resident() -> int:
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        import resource
        import sys

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


class SizedRow(NamedTuple):
    """A row, and about how many bytes of JSON its messages are."""

    row: RequestRow
    size: int = 0


class Sampler:
    """Samples one `tremolo.net` server into frames for `sink`.

    `detail` 0 sends counters only, 1 also rows of requests and connections, 2 also what was in
    the requests and responses, at a human's pace.
    `insight` knows more about requests, if there is one.
    `on_tick` is called at each turn (the watchdog's sign of life), `on_memory` with the
    resident bytes once a second.
    """

    def __init__(self, server: "Server", sink: Sink, loop: asyncio.AbstractEventLoop, *,
                 gen: int = 0, slot: int = 0, on_tick: Optional[Callable[[], None]] = None,
                 on_memory: Optional[Callable[[int], None]] = None,
                 insight: "Optional[Insight]" = None) -> None:
        self._insight = insight
        self._server = server
        self._sink = sink
        self._loop = loop
        self._identity = os.getpid(), gen, slot
        self._on_tick = on_tick
        self._on_memory = on_memory
        self.detail = 0
        self._seq = 0
        self._handle: Optional[asyncio.TimerHandle] = None
        self._due = 0.0
        self._lag = 0.0
        self._cost = 0.0
        self._dropped = 0
        self._budget = MAX_ROWS
        self._last_sent = float("-inf")
        self._last_mark: Tuple[int, ...] = ()
        self._last_second = float("-inf")
        self._rss = 0
        self._cpu_start = time.process_time()
        self._connections = ConnectionRows()
        self._last_id = 0
        self._messages_left = 0
        self._reported: Dict[int, None] = {}  # exchanges in progress whose heads were sent
        # Rows carry wall-clock times; they follow from one reading of both clocks a second.
        self._wall = time.time() - loop.time()

    def start(self) -> None:
        self._due = self._loop.time() + TICK
        self._handle = self._loop.call_at(self._due, self._turn)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def set_detail(self, level: int) -> None:
        self.detail = level
        self._server.remember(level > 0, self._budget)
        if self._insight is not None:
            self._insight.watch(level)
        self._renew()

    def _renew(self) -> None:
        """So much may be sent until the next turn."""
        self._server.captures_left = MESSAGES if self.detail > 1 else 0
        if (self._server.message_log is None) == (self.detail > 1):
            self._server.message_log = MessageLog() if self.detail > 1 else None
        self._messages_left = MESSAGES_SIZE

    # -- one turn --------------------------------------------------------------------

    def _turn(self) -> None:
        now = self._loop.time()
        late = now - self._due
        if late < 60.0:  # more is a machine that slept
            self._lag = max(self._lag, late)
        started = time.perf_counter()
        if self._on_tick is not None:
            self._on_tick()
        if self._insight is not None:
            self._insight.tick(now)
        if now - self._last_second >= 1.0:
            self._each_second(now)
        self.sample(now)
        self._renew()
        cost = time.perf_counter() - started
        self._cost += cost
        if cost > COST_LIMIT * TICK:
            self._budget = max(MIN_ROWS, self._budget // 2)
        elif self._budget < MAX_ROWS:
            self._budget = min(MAX_ROWS, self._budget + max(1, self._budget // 50))
        if self.detail:
            self._server.remember(True, self._budget)
        self._due = max(self._due + TICK, now + TICK / 2)
        self._handle = self._loop.call_at(self._due, self._turn)

    def _each_second(self, now: float) -> None:
        self._last_second = now
        self._wall = time.time() - now
        self._rss = _resident()
        if self._on_memory is not None:
            self._on_memory(self._rss)

    def sample(self, now: float) -> None:
        """Send what changed; without a change, a sign of life once in a while."""
        counters = self._server.counters
        connections = self._server.connections
        mark = (counters.requests, counters.bytes_in, counters.bytes_out, counters.connections,
                counters.aborted, counters.errors, counters.protocol_errors, len(connections),
                sum(counters.status))
        if mark == self._last_mark and now - self._last_sent < KEEP_ALIVE:
            return
        frame = self.frame(now)
        rest = self._put_rows(frame, now)
        if not self._send(frame):
            self._dropped += len(frame.get("rows", ())) + sum(len(rows) for rows in rest)
            return
        self._last_mark, self._last_sent, self._lag = mark, now, 0.0
        for rows in rest:
            if not self._send(self._headed(now, rows=rows)):
                self._dropped += len(rows)
        self._send_messages(now)

    def _send_messages(self, now: float) -> None:
        """What went over WebSockets and event streams, in lines of its own."""
        log = self._server.message_log
        if log is None:
            return
        left_out, taken = log.take()
        for line in stream_lines(taken, self._wall, LINE_SIZE):
            if not self._send(self._headed(now, messages=line, messages_left_out=left_out)):
                left_out += len(line)
                continue
            left_out = 0

    def final(self) -> Frame:
        """The last frame: exact counters, and the rows that still wait."""
        now = self._loop.time()
        frame = self.frame(now)
        rest = self._put_rows(frame, now)
        for rows in rest:
            self._send(self._headed(now, rows=rows))
        frame["final"] = True
        frame.pop("connections", None)
        return frame

    def _send(self, frame: Frame) -> bool:
        try:
            return self._sink(frame)
        except CodecError:
            self._dropped += len(frame.pop("rows", ()))
            frame.pop("connections", None)
            return self._sink(frame)

    def _headed(self, now: float, **contents: "Unpack[FrameContents]") -> Frame:
        self._seq += 1
        return frame_of(*self._identity, self._seq, now + self._wall, **contents)

    # -- what frames consist of ------------------------------------------------------

    def frame(self, now: float) -> Frame:
        """The counters of this process since it started, and its gauges."""
        server = self._server
        counters = server.counters
        connections = server.connections
        active = websockets = 0
        for connection in connections.values():
            if connection.upgraded is not None:
                websockets += 1
            elif connection.current is not None:
                active += 1
        frame = self._headed(now, totals={
            "requests": counters.requests,
            "status": list(counters.status[1:6]),
            "bytes_in": counters.bytes_in,
            "bytes_out": counters.bytes_out,
            "connections": counters.connections,
            "aborted": counters.aborted,
            "protocol_errors": counters.protocol_errors,
            "errors": counters.errors,
            "rows_dropped": self._dropped,
            "telemetry_us": int(self._cost * 1e6),
            "cpu_us": int((time.process_time() - self._cpu_start) * 1e6),
            "latency": histogram.sparse(counters.latency),
            "open": len(connections),
            "active": active,
            "websockets": websockets,
            "rss": self._rss or _resident(),
            "lag_us": int(self._lag * 1e6),
        })
        table = server.throttle
        if table.total_value is not None:
            frame["waiting"] = [table.total_download.waiting, table.total_upload.waiting]
        return frame

    def _put_rows(self, frame: Frame, now: float) -> List[List[RequestRow]]:
        """Put rows into `frame`; those that need lines of their own are returned."""
        if not self.detail:
            return []
        size = 2048
        crowd = len(self._server.connections) > CROWD
        if not crowd or self._last_second == now:
            frame["connections"], frame["connections_left_out"], taken = self._connections.rows(
                self._server.connections, now)
            size += taken
        lines: List[List[RequestRow]] = [[]]
        for row, messages_size in self._rows(now):
            need = 480 + bounded(row["path"]) + bounded(row["error"] or "") + len(
                row["route"] or "") * 6 + messages_size + len(row.get("proxied", ""))
            if "endpoint" in row:
                need += 60 + bounded(row["endpoint"]["name"] + row["endpoint"]["file"])
            if size + need > LINE_SIZE:
                lines.append([])
                size = 256
            size += need
            lines[-1].append(row)
        frame["rows"] = lines[0]
        return lines[1:]

    def _rows(self, now: float) -> List[SizedRow]:
        """What ended since the last turn, the newest if it is too much, and what runs long."""
        recent = self._server.recent
        rows: List[SizedRow] = []
        if recent is None:
            return rows
        count = len(recent)
        for exchange in self._unfinished():
            if now - exchange.begun >= LIVE_AFTER and not exchange.hidden:
                rows.append(self._live(exchange, now))
                if len(rows) >= MIN_ROWS:
                    break
        if not count:
            return rows
        # The deque forgets the oldest by itself: ids that are missing were dropped.
        newest = recent[-1].id
        surplus = max(0, count - self._budget)
        for _ in range(surplus):
            recent.popleft()
        self._dropped += surplus
        if count == recent.maxlen:
            self._dropped += max(0, newest - self._last_id - count)
        self._last_id = max(self._last_id, newest)
        while recent:
            rows.append(self._ended(recent.popleft()))
        if self._insight is not None and (surplus or count == recent.maxlen):
            self._insight.keep({exchange.id for exchange in self._unfinished()})
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
        capture = exchange.capture
        if capture is not None and self.detail > 1:
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
        if capture is not None and self.detail > 1 and capture.response_head:
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
             state: str) -> RequestRow:
        head, connection, route, error = (
            exchange.head, exchange.connection, exchange.route, exchange.error)
        path = clean(head.target)
        row: RequestRow = {
            "id": exchange.id, "conn": connection.id, "t": round(exchange.begun + self._wall, 4),
            "method": clean(head.method, 16), "path": path,
            "route": clean(grouped(path) if route is None else readable(route)),
            "status": exchange.response.status,
            "bytes_in": exchange.bytes_in, "bytes_out": exchange.response.bytes_out,
            "ms": round(seconds * 1000, 3), "ttfb_ms": round(ttfb * 1000, 3),
            "throttle_ms": round(throttled * 1000, 3), "state": state,
            "error": None if error is None else _one_line(error),
            "http": clean(head.version, 8), "secure": connection.is_tls,
            "peer": clean(peer_text(connection.peer), 64),
        }
        if exchange.response.event_stream:
            row["sse"] = True
        if exchange.proxied is not None:
            row["proxied"] = exchange.proxied
        if self._insight is not None:
            more = self._insight.row(exchange.id, exchange.response.status, state != "live",
                                     self._loop.time(), None if exchange.response.event_stream
                                     or exchange.response.status == 101 else seconds)
            if exchange.proxied is None:
                row.update(more)
        return row


def _one_line(error: Any) -> str:
    if isinstance(error, BaseException):
        try:
            return clean(f"{type(error).__name__}: {error}")
        except Exception:  # a __str__ of the application's that raises itself
            return clean(type(error).__name__)
    return clean(str(error))
