"""Cumulative counters of all worker processes, rolled up, and the rates that follow.

Frames are lossy but their counters are cumulative, so the newest frame of each process says
everything. The exact sums that the supervisor sends once a second can only be ahead of the
frames seen here (the last frame of a process may have been dropped), so the larger of the
two is shown: exact again right after lost frames, however long the view was stopped.
"""

from collections import deque
from typing import Any, Collection, Deque, Dict, List, Mapping, Optional, Tuple

from tremolo.telemetry.histogram import dense, quantiles, subtract

COUNTERS = ("requests", "bytes_in", "bytes_out", "connections", "aborted", "protocol_errors",
            "errors", "rows_dropped", "telemetry_us", "cpu_us")
GAUGES = ("open", "active", "websockets")
HISTORY = 240  # seconds of requests/s kept for the sparkline
WINDOW = 10.0  # seconds that percentiles and shares look back
KEPT = 64  # ended processes kept apart before they are summed up

Key = Tuple[int, int]


class Counters:
    """The counters of one process, or the sum of several."""

    __slots__ = ("gauges", "latency", "plain", "status")

    def __init__(self, totals: Mapping[str, Any]) -> None:
        self.plain = {name: int(totals.get(name, 0)) for name in COUNTERS}
        self.gauges = {name: int(totals.get(name, 0)) for name in GAUGES}
        status = [int(count) for count in totals.get("status") or ()][:5]
        self.status: List[int] = status + [0] * (5 - len(status))
        self.latency: Dict[int, int] = dense(totals.get("latency") or {})

    def add(self, other: "Counters", gauges: bool) -> None:
        for name, count in other.plain.items():
            self.plain[name] += count
        for index, count in enumerate(other.status):
            self.status[index] += count
        for bucket, count in other.latency.items():
            self.latency[bucket] = self.latency.get(bucket, 0) + count
        if gauges:
            for name, count in other.gauges.items():
                self.gauges[name] += count

    def raise_to(self, other: "Counters") -> None:
        """Each counter as the larger of the two."""
        for name, count in other.plain.items():
            if count > self.plain[name]:
                self.plain[name] = count
        self.status = [max(pair) for pair in zip(self.status, other.status)]
        for bucket, count in other.latency.items():
            if count > self.latency.get(bucket, 0):
                self.latency[bucket] = count


class Sample:
    """The sums at one instant, from which rates are differences."""

    __slots__ = ("bytes_in", "bytes_out", "latency", "requests", "status", "t")

    def __init__(self, t: float, sums: Counters) -> None:
        self.t = t
        self.requests = sums.plain["requests"]
        self.bytes_in = sums.plain["bytes_in"]
        self.bytes_out = sums.plain["bytes_out"]
        self.status = sums.status
        self.latency = sums.latency


class Totals:
    """Fed with frames and stats, sampled by `tick` about twice a second."""

    def __init__(self) -> None:
        self._processes: Dict[Key, Counters] = {}
        self._seqs: Dict[Key, int] = {}
        self._ended: List[Key] = []
        self._past = Counters({})
        self._exact: Optional[Counters] = None
        self._sums: Optional[Counters] = None
        self._samples: Deque[Sample] = deque(maxlen=64)
        self.history: Deque[float] = deque(maxlen=HISTORY)
        self.in_history: Deque[float] = deque(maxlen=HISTORY)
        self.out_history: Deque[float] = deque(maxlen=HISTORY)
        self._history_sample: Optional[Sample] = None
        self.requests_rate = 0.0
        self.in_rate = 0.0
        self.out_rate = 0.0
        self.shares: Dict[int, float] = {}  # 4 and 5: share of responses, of the last 10 s
        self.latency: Dict[str, float] = {}  # p50, p95, p99 in ms; empty when all was quiet

    # -- filling

    def start(self, past: Mapping[str, Any], alive: Collection[Key]) -> None:
        """The sums of processes that have ended; `alive` are those that have not.

        Told at the beginning, and again after messages were lost.
        """
        self._past = Counters(past)
        self._processes = {key: counters for key, counters in self._processes.items()
                           if key in alive}
        self._ended.clear()
        self._sums = None

    def frame(self, pid: int, gen: int, seq: int, totals: Mapping[str, Any]) -> bool:
        """Take the counters of one process; False for a frame older than one seen."""
        key = (pid, gen)
        if seq < self._seqs.get(key, -1):
            return False
        self._seqs[key] = seq
        self._processes[key] = Counters(totals)
        self._sums = None
        return True

    def ended(self, pid: int, gen: int) -> None:
        """The process is gone: its counters stay, its gauges do not."""
        key = (pid, gen)
        if key not in self._ended:
            self._ended.append(key)
            self._sums = None
        while len(self._ended) > KEPT:
            oldest = self._ended.pop(0)
            counters = self._processes.pop(oldest, None)
            self._seqs.pop(oldest, None)
            if counters is not None:
                self._past.add(counters, gauges=False)

    def exact(self, totals: Mapping[str, Any]) -> None:
        """The supervisor's own sums, past processes included."""
        self._exact = Counters(totals)
        self._sums = None

    # -- looking

    def sums(self) -> Counters:
        if self._sums is None:
            sums = Counters({})
            sums.add(self._past, gauges=False)
            gone = set(self._ended)
            for key, counters in self._processes.items():
                sums.add(counters, gauges=key not in gone)
            if self._exact is not None:
                sums.raise_to(self._exact)
            self._sums = sums
        return self._sums

    def in_progress(self) -> str:
        """What would be cut off by an end now: "2 WebSockets and 1 request"; "" if nothing."""
        gauges = self.sums().gauges
        sockets, requests = gauges["websockets"], gauges["active"]
        parts = [f"{count} {name}{'' if count == 1 else 's'}" for count, name in (
            (sockets, "WebSocket"), (requests, "request")) if count]
        if not parts:
            return ""
        return " and ".join(parts) + (" is" if sockets + requests == 1 else " are")

    def tick(self, now: float) -> None:
        """Sample the sums and derive the rates; after a gap the mean of the gap counts."""
        sample = Sample(now, self.sums())
        samples = self._samples
        if samples and now - samples[-1].t < 0.2:
            return
        samples.append(sample)
        while len(samples) > 2 and now - samples[1].t >= WINDOW:
            samples.popleft()
        base = samples[0]
        for candidate in reversed(samples):
            if now - candidate.t >= 0.9:
                base = candidate
                break
        span = now - base.t
        if span > 0:
            self.requests_rate = max(0, sample.requests - base.requests) / span
            self.in_rate = max(0, sample.bytes_in - base.bytes_in) / span
            self.out_rate = max(0, sample.bytes_out - base.bytes_out) / span
        self._derive(samples[0], sample)
        self._extend_history(sample)

    def _derive(self, old: Sample, new: Sample) -> None:
        answered = [max(0, b - a) for a, b in zip(old.status, new.status)]
        whole = sum(answered[1:]) or 1
        self.shares = {4: answered[3] / whole, 5: answered[4] / whole}
        recent = subtract(new.latency, old.latency)
        values = quantiles(recent, 0.50, 0.95, 0.99) if recent else ()
        self.latency = {name: value * 1000
                        for name, value in zip(("p50", "p95", "p99"), values)}

    def _extend_history(self, sample: Sample) -> None:
        """One value a second; a stopped view fills the seconds it missed with their mean."""
        last = self._history_sample
        if last is None:
            self._history_sample = sample
            return
        span = sample.t - last.t
        if span < 0.98:
            return
        seconds = min(HISTORY, max(1, round(span)))
        for history, more in ((self.history, sample.requests - last.requests),
                              (self.in_history, sample.bytes_in - last.bytes_in),
                              (self.out_history, sample.bytes_out - last.bytes_out)):
            history.extend([max(0, more) / span] * seconds)
        self._history_sample = sample
