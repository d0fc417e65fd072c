"""Adding up what several workers report, so that no sum ever goes backwards.

Counters of frames are cumulative by process. `Rollup` keeps the last state of each process,
adds those that have ended to `past`, and derives rates and latencies from the differences over
a window of time. It reads no clock: instants are handed in.
"""

from collections import deque
from typing import TYPE_CHECKING, Any, Deque, Dict, List, Mapping, Tuple, cast

from . import histogram

if TYPE_CHECKING:
    from .messages import Totals

COUNTERS = ("requests", "bytes_in", "bytes_out", "connections", "aborted", "protocol_errors",
            "errors", "rows_dropped", "telemetry_us", "cpu_us")
GAUGES = ("open", "active", "websockets", "rss")


def _count(value: Any) -> int:
    return value if type(value) is int and value >= 0 else 0


def add(into: Dict[str, Any], totals: Mapping[str, Any]) -> None:
    """Add the cumulative counters of `totals` to those of `into`; gauges are not counters."""
    for name in COUNTERS:
        into[name] = into.get(name, 0) + _count(totals.get(name))
    status = totals.get("status")
    mine: List[int] = into.setdefault("status", [0] * 5)
    if isinstance(status, (list, tuple)):
        for index, count in enumerate(status[:5]):
            mine[index] += _count(count)
    latency = totals.get("latency")
    merged: Dict[str, int] = into.setdefault("latency", {})
    if isinstance(latency, (dict, list)):
        for bucket, count in histogram.dense(latency).items():
            merged[str(bucket)] = merged.get(str(bucket), 0) + _count(count)


class Rollup:
    """The sums over all worker processes, those included that have ended."""

    def __init__(self, window: float = 10.0) -> None:
        self.past: Totals = {}
        self._current: Dict[int, Mapping[str, Any]] = {}
        self._ended: Deque[int] = deque(maxlen=256)
        self._window = window
        self._history: Deque[Tuple[float, Dict[str, Any]]] = deque()

    def update(self, frame: Mapping[str, Any]) -> None:
        """Take in the counters of a frame. A late frame of an ended process is ignored."""
        pid, totals = frame.get("pid"), frame.get("totals")
        if isinstance(pid, int) and isinstance(totals, dict) and pid not in self._ended:
            self._current[pid] = totals

    def ended(self, pid: int) -> None:
        """The process is gone: its counters count from now on as past."""
        totals = self._current.pop(pid, None)
        if totals is not None:
            add(cast(Dict[str, Any], self.past), totals)
        self._ended.append(pid)

    def started(self, pid: int) -> None:
        """A process began; the system may have given it a number that was used before."""
        if pid in self._ended:
            self._ended.remove(pid)

    def totals(self) -> "Totals":
        """Counters of all processes and the gauges of those alive."""
        sums: Dict[str, Any] = {}
        add(sums, self.past)
        for totals in self._current.values():
            add(sums, totals)
        for name in GAUGES:
            sums[name] = sum(_count(totals.get(name)) for totals in self._current.values())
        sums["lag_us"] = max(
            (_count(totals.get("lag_us")) for totals in self._current.values()), default=0)
        return cast("Totals", sums)

    def sample(self, now: float) -> None:
        """Remember the sums at the instant `now` (seconds), for rates and latencies."""
        self._history.append((now, cast(Dict[str, Any], self.totals())))
        while len(self._history) > 2 and self._history[1][0] <= now - self._window:
            self._history.popleft()

    def rates(self, seconds: float = 1.0) -> Dict[str, float]:
        """Requests and bytes per second over about the last `seconds` that were sampled."""
        names = ("requests", "bytes_in", "bytes_out")
        if len(self._history) < 2:
            return dict.fromkeys(names, 0.0)
        now, latest = self._history[-1]
        then, earlier = next(
            (entry for entry in reversed(self._history) if now - entry[0] >= seconds * 0.95),
            self._history[0])
        passed = max(now - then, 1e-6)
        return {name: max(0, latest[name] - earlier[name]) / passed for name in names}

    def latency(self) -> Dict[str, float]:
        """p50, p95, p99 and max in milliseconds of the requests within the window."""
        if not self._history:
            return dict.fromkeys(("p50", "p95", "p99", "max"), 0.0)
        latest = histogram.dense(self._history[-1][1]["latency"])
        if len(self._history) > 1:
            latest = histogram.subtract(
                latest, histogram.dense(self._history[0][1]["latency"]))
        values = histogram.quantiles(latest, 0.50, 0.95, 0.99, 1.0)
        return {name: round(value * 1000, 3)
                for name, value in zip(("p50", "p95", "p99", "max"), values)}
