"""Reads the server's counters ten times a second and makes frames of them.

Only this end knows both `net` and the messages. It never waits: what the pipe does not take
is dropped and counted, and counters are cumulative, so the next frame has everything. It
times itself, and shows fewer exchanges when telling costs too much (`pacing`). Header fields and
bodies, and the secrets in them, are sent only to who asks for that level of detail.
"""

import asyncio
import os
import time
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from ..net.message_log import MessageLog
from ..net.recent import RECENT
from ..telemetry import histogram
from ..telemetry.builders import frame as frame_of
from ..telemetry.codec import CodecError
from .connection_rows import ConnectionRows, bounded
from .messages import stream_lines
from .pacing import SAVED_TURNS, Pacing
from .rows import ExchangeRows
from .usage import Crowding, Scheduled, occupied, resident, scheduled

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..insight.insight import Insight
    from ..net.server import Server
    from ..net.sought import Sought
    from ..telemetry.facts import FrameContents
    from ..telemetry.messages import Frame
    from ..telemetry.rows import RequestRow

TICK = 0.1
KEEP_ALIVE = 1.0
LINE_SIZE = 60 * 1024  # by estimate; the limit of a line is 64 KiB
#: slow is what takes longer than 99 of 100 did in the last second, if those say anything
LEAST_SLOW, ENOUGH = 0.025, 100

Sink = Callable[[Mapping[str, Any]], bool]


class Sampler:
    """Samples one `tremolo.net` server into frames for `sink`.

    `detail` 0 sends counters only, 1 also rows of requests and connections, 2 also what was in
    the requests and responses, at a human's pace.
    `insight` knows more about requests, if there is one.
    `on_tick` is called at each turn (the watchdog's sign of life), `on_memory` with the
    resident bytes once a second. `thread_cpu` and `process_cpu` are clocks of processor seconds,
    `scheduled` says for how many the process ran and waited for one.
    """

    def __init__(self, server: "Server", sink: Sink, loop: asyncio.AbstractEventLoop, *,
                 gen: int = 0, slot: int = 0, on_tick: Optional[Callable[[], None]] = None,
                 on_memory: Optional[Callable[[int], None]] = None,
                 insight: "Optional[Insight]" = None,
                 thread_cpu: Callable[[], float] = time.thread_time,
                 process_cpu: Callable[[], float] = time.process_time,
                 scheduled: Callable[[], Scheduled] = scheduled) -> None:
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
        self._thread_cpu = thread_cpu
        self._scheduled = scheduled
        found = scheduled()
        self._pacing = Pacing()
        self._crowding = Crowding(loop.time(), found)
        self._rows = ExchangeRows(server, insight, self._crowding)
        self._told = 0  # rows of exchanges, at this turn
        self._sought: Sequence[Sought] = ()
        self._unsent = 0  # that the pipe did not take, at all turns
        self._begun = server.counters.requests
        self._latency: Dict[int, int] = {}
        self._last_sent = float("-inf")
        self._last_mark: Tuple[int, ...] = ()
        self._last_second = float("-inf")
        self._rss = 0
        self._process_cpu = process_cpu
        self._cpu_start = self._cpu_last = process_cpu()
        self._occupied_last = occupied(found, self._cpu_last)
        self._last_turn = loop.time()
        self._connections = ConnectionRows()
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
        self._server.remember(level > 0)
        if self._server.recent is not None:
            self._server.recent.seek(self._sought)
        if self._insight is not None:
            self._insight.watch(level)
        if (self._server.message_log is None) == (level > 1):
            self._server.message_log = MessageLog() if level > 1 else None
        self._renew()

    def seek(self, sought: "Sequence[Sought]") -> None:
        """Show what is `sought` before others, where not all can be shown."""
        self._sought = sought
        if self._server.recent is not None:
            self._server.recent.seek(sought)

    def _renew(self) -> None:
        """So much may be looked into until the next turn."""
        recent, requests = self._server.recent, self._server.counters.requests
        if recent is not None:
            pacing = self._pacing
            recent.renew(pacing.room, requests - self._begun, pacing.sought)
            more = pacing.captures if self.detail > 1 else 0
            if more and self._sought:
                more += pacing.sought // 2
            recent.captures_left = min(SAVED_TURNS * more, recent.captures_left + more)
        if self._insight is not None:
            self._insight.expect(requests - self._begun)
        self._begun = requests

    # -- one turn --------------------------------------------------------------------

    def _turn(self) -> None:
        now = self._loop.time()
        late = now - self._due
        if late < 60.0:  # more is a machine that slept
            self._lag = max(self._lag, late)
        started = self._thread_cpu()
        found, used = self._scheduled(), self._process_cpu()
        busy = occupied(found, used)
        self._pacing.passed(max(now - self._last_turn, TICK / 2), used - self._cpu_last,
                            busy - self._occupied_last,
                            self._server.counters.requests - self._begun)
        self._cpu_last, self._occupied_last, self._last_turn = used, busy, now
        if self._on_tick is not None:
            self._on_tick()
        if self._insight is not None:
            self._insight.tick(now)
        if now - self._last_second >= 1.0:
            self._each_second(now)
        self._crowding.turn(now, found)
        self.sample(now)
        self._pacing.told(self._told, self._thread_cpu() - started, self._rows.sought)
        self._told = 0
        self._renew()
        self._due = max(self._due + TICK, now + TICK / 2)
        self._handle = self._loop.call_at(self._due, self._turn)

    def _each_second(self, now: float) -> None:
        self._last_second = now
        self._wall = time.time() - now
        self._rss = resident()
        if self._on_memory is not None:
            self._on_memory(self._rss)
        if self._server.recent is not None:
            latency = histogram.dense(self._server.counters.latency)
            fresh = histogram.subtract(latency, self._latency)
            self._latency = latency
            if sum(fresh.values()) >= ENOUGH:
                self._server.recent.slow = max(LEAST_SLOW, histogram.quantiles(fresh, 0.99)[0])

    def sample(self, now: float) -> None:
        """Send what changed; without a change, a sign of life once in a while."""
        counters = self._server.counters
        connections = self._server.connections
        mark = (counters.requests, counters.bytes_in, counters.bytes_out, counters.connections,
                counters.aborted, counters.errors, counters.protocol_errors, len(connections),
                sum(counters.status))
        if mark == self._last_mark and now - self._last_sent < KEEP_ALIVE \
                and not self._server.recent:
            return
        # Those who stay busy have no time for more: the rest waits for one turn alone.
        pacing = self._pacing
        frame, rest = self._whole_frame(now, pacing.rows, wait=not pacing.stays_busy)
        if not self._send(frame):
            self._unsent += len(frame.get("rows", ())) + sum(len(rows) for rows in rest)
            return
        self._last_mark, self._last_sent, self._lag = mark, now, 0.0
        for rows in rest:
            if not self._send(self._headed(now, rows=rows)):
                self._unsent += len(rows)
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

    def final(self) -> "Frame":
        """The last frame: exact counters, and the rows that still wait."""
        now = self._loop.time()
        frame, rest = self._whole_frame(now, RECENT)
        for rows in rest:
            self._send(self._headed(now, rows=rows))
        frame["final"] = True
        frame.pop("connections", None)
        return frame

    def _send(self, frame: "Frame") -> bool:
        try:
            return self._sink(frame)
        except CodecError:
            self._unsent += len(frame.pop("rows", ()))
            frame.pop("connections", None)
            return self._sink(frame)

    def _headed(self, now: float, **contents: "Unpack[FrameContents]") -> "Frame":
        self._seq += 1
        return frame_of(*self._identity, self._seq, now + self._wall, **contents)

    # -- what frames consist of ------------------------------------------------------

    def frame(self, now: float) -> "Frame":
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
            "rows_dropped": self._rows.left_out + self._unsent,
            "telemetry_us": int(self._pacing.spent * 1e6),
            "cpu_us": int((self._process_cpu() - self._cpu_start) * 1e6),
            "latency": histogram.sparse(counters.latency),
            "open": len(connections),
            "active": active,
            "websockets": websockets,
            "rss": self._rss or resident(),
            "lag_us": int(self._lag * 1e6),
        })
        table = server.throttle
        if table.total_value is not None:
            frame["waiting"] = [table.total_download.waiting, table.total_upload.waiting]
        return frame

    def _whole_frame(self, now: float, most: int, wait: bool = False
                     ) -> "Tuple[Frame, List[List[RequestRow]]]":
        """A frame with what the level of detail asks for, of `most` exchanges if they are not
        remarkable, and the rows that need lines of their own."""
        if not self.detail:
            return self.frame(now), []
        rows = self._rows.take(now, self._wall, self.detail > 1, most, wait)
        self._told += len(rows)
        frame = self.frame(now)
        size = 2048
        if self._pacing.wants_connections(now):
            started = self._thread_cpu()
            frame["connections"], frame["connections_left_out"], taken = self._connections.rows(
                self._server.connections, now)
            self._pacing.told_connections(now, self._thread_cpu() - started)
            size += taken
        lines: List[List[RequestRow]] = [[]]
        for row, messages_size in rows:
            need = 520 + bounded(row["path"]) + bounded(row["error"] or "") + len(
                row["route"] or "") * 6 + messages_size + len(row.get("proxied", ""))
            if "endpoint" in row:
                need += 60 + bounded(row["endpoint"]["name"] + row["endpoint"]["file"])
            if size + need > LINE_SIZE:
                lines.append([])
                size = 256
            size += need
            lines[-1].append(row)
        frame["rows"] = lines[0]
        return frame, lines[1:]
