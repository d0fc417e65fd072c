"""Worker processes, generations and the state of the last reload."""

from collections import deque
from typing import Any, Collection, Deque, Dict, List, Mapping, Optional, Tuple

from tremolo.telemetry.builders import error_line

from .text import clean

STATES = ("starting", "ready", "serving", "draining", "blocked", "exited")
KEEP_EXITED = 5.0  # seconds that an expected exit stays listed
KEEP_CRASHED = 60.0


class Worker:
    def __init__(self, pid: int, gen: int, slot: int, now: float) -> None:
        self.pid = pid
        self.gen = gen
        self.slot = slot
        self.state = "starting"
        self.cause = ""
        self.expected = True
        self.blocked_at: Optional[float] = None  # model clock
        self.blocked_for = 0.0  # seconds that the last block took, when it is over
        self.blocked_by = ""
        self.stack: List[str] = []  # of the main thread, when it was found blocked
        self.retry_at: Optional[float] = None
        self.ended_at: Optional[float] = None
        self.requests = 0
        self.open = 0
        self.active = 0
        self.rss = 0
        self.lag_ms = 0.0
        self.cpu = 0.0  # share of one core
        self.telemetry = 0.0  # share of one core
        self._cpu_samples: Deque[Tuple[float, int, int]] = deque(maxlen=16)

    def frame(self, totals: Mapping[str, Any], t: float) -> None:
        get = totals.get
        self.requests = int(get("requests", self.requests))
        self.open = int(get("open", self.open))
        self.active = int(get("active", self.active))
        self.rss = int(get("rss", self.rss))
        self.lag_ms = int(get("lag_us", 0)) / 1000
        samples = self._cpu_samples
        samples.append((t, int(get("cpu_us", 0)), int(get("telemetry_us", 0))))
        while len(samples) > 2 and t - samples[1][0] >= 1.0:
            samples.popleft()
        span = t - samples[0][0]
        if span > 0.05:
            cpu = max(0.0, (samples[-1][1] - samples[0][1]) / 1e6 / span)
            if abs(cpu - self.cpu) > 0.012:  # less is noise, and noise costs a drawing
                self.cpu = cpu
            self.telemetry = max(0.0, (samples[-1][2] - samples[0][2]) / 1e6 / span)

    def shown(self) -> Tuple[Any, ...]:
        return (self.state, self.requests, self.open, self.active, self.rss >> 20,
                round(self.lag_ms), round(self.cpu, 2))


class Reload:
    """The newest attempt to bring up a generation."""

    def __init__(self) -> None:
        self.gen = 0  # the generation that serves
        self.trying = 0  # the generation of the newest attempt
        self.state = ""  # "", "started", "ready", "failed"
        self.ms: Optional[float] = None
        self.files: List[str] = []
        self.parts: Dict[str, float] = {}
        self.modules: List[Tuple[str, float]] = []  # slowest first
        self.cause = ""
        self.mode = ""
        self.preloaded = 0
        self.not_preloaded: List[Tuple[str, str]] = []  # module, reason
        self.history: Deque[float] = deque(maxlen=20)
        self.error = ""
        self.then = ""  # what happens after that failure, see ReloadEvent
        self.at = -1e9  # model clock, of the last change of state
        self.enabled = False

    @property
    def mean_ms(self) -> Optional[float]:
        return sum(self.history) / len(self.history) if self.history else None

    @property
    def first(self) -> bool:
        """It is the start of the server, no reload."""
        return self.cause == "start" or (not self.cause and self.trying <= 1)

    @property
    def named(self) -> str:
        """The files that were changed, as many as are read at a glance."""
        return ", ".join(self.files[:3]) + ("…" if len(self.files) > 3 else "")

    def outlook(self) -> str:
        """What happens after it failed."""
        return {"ends": "the server ends", "waits": "waiting for a change",
                "asked": "waiting for a reload"}.get(self.then, f"gen {self.gen} serves")

    def spent(self) -> str:
        """What the time went into: "74 ms: seen 12 · fork 3 · import 41"."""
        whole = f"{self.ms or 0.0:.0f} ms"
        parts = " · ".join(f"{name} {ms:.0f}" for name, ms in self.parts.items())
        return f"{whole}: {parts}" if parts else whole

    def event(self, message: Mapping[str, Any], now: float) -> None:
        self.state = clean(message.get("state", ""), 16)
        self.trying = int(message.get("gen", self.trying))
        self.gen = int(message.get("serving", self.gen))
        self.files = [clean(name, 80) for name in message.get("files") or self.files][:20]
        self.cause = clean(message.get("cause") or self.cause, 16)
        self.at = now
        if message.get("ms") is not None:
            self.ms = float(message["ms"])
        self.parts = {clean(k, 24): float(v) for k, v in (message.get("parts") or {}).items()}
        self.modules = [(clean(m[0], 60), float(m[1]))
                        for m in message.get("modules") or [] if len(m) > 1][:5]
        self.mode = clean(message.get("mode", self.mode), 12)
        self.preloaded = int(message.get("preloaded", self.preloaded) or 0)
        self.not_preloaded = [
            (clean(entry.get("module", ""), 60), clean(entry.get("reason", ""), 120))
            for entry in message.get("not_preloaded") or [] if isinstance(entry, dict)][:50]
        self.error = ""
        self.then = clean(message.get("then") or ("serves" if self.gen else "waits"), 12)
        if self.state == "ready":
            self.gen = max(self.gen, self.trying)
            if self.ms is not None and not self.first:
                self.history.append(self.ms)
        elif self.state == "failed":
            self.error = clean(error_line(message.get("error") or {}))


class Workers:
    def __init__(self) -> None:
        self.revision = 0
        self._by_key: Dict[Tuple[int, int], Worker] = {}
        self._shown: Dict[Tuple[int, int], Tuple[Any, ...]] = {}

    def get(self, pid: int, gen: int, slot: int, now: float) -> Worker:
        worker = self._by_key.get((pid, gen))
        if worker is None:
            worker = self._by_key[pid, gen] = Worker(pid, gen, slot, now)
            self.revision += 1
        return worker

    def keep(self, alive: Collection[Tuple[int, int]]) -> List[int]:
        """Forget processes that are not `alive`; their pids."""
        gone = [key for key in self._by_key if key not in alive]
        for key in gone:
            del self._by_key[key]
            self._shown.pop(key, None)
            self.revision += 1
        return [pid for pid, _ in gone]

    def event(self, message: Mapping[str, Any], now: float) -> Worker:
        worker = self.get(int(message["pid"]), int(message.get("gen", 0)),
                          int(message.get("slot", 0)), now)
        worker.state = clean(message.get("state", ""), 16)
        worker.cause = clean(message.get("cause") or "", 120)
        if worker.state == "blocked":
            worker.blocked_at = now
            worker.blocked_by = worker.cause.split(" is blocked by ")[-1]
        elif worker.blocked_at is not None:
            worker.blocked_for, worker.blocked_at = now - worker.blocked_at, None
        worker.expected = bool(message.get("expected", True))
        retry = message.get("retry_in")
        worker.retry_at = now + float(retry) if retry is not None else None
        if worker.state == "exited" and worker.ended_at is None:
            worker.ended_at = now
        self.revision += 1
        return worker

    def frame(self, message: Mapping[str, Any], now: float) -> None:
        pid, gen = int(message["pid"]), int(message.get("gen", 0))
        worker = self.get(pid, gen, int(message.get("slot", 0)), now)
        if worker.state == "starting" and worker.ended_at is None:
            worker.state = "serving"  # frames come only from a worker that serves
        worker.frame(message.get("totals") or {}, float(message.get("t", now)))
        shown = worker.shown()
        if self._shown.get((pid, gen)) != shown:
            self._shown[pid, gen] = shown
            self.revision += 1

    def stack(self, pid: int, lines: List[str]) -> None:
        """Where the main thread of a blocked process stands."""
        for worker in self._by_key.values():
            if worker.pid == pid:
                worker.stack = lines
                self.revision += 1

    def tick(self, now: float) -> None:
        """Forget processes that ended a while ago."""
        for key, worker in list(self._by_key.items()):
            if worker.ended_at is None:
                continue
            keep = KEEP_EXITED if worker.expected else KEEP_CRASHED
            if now - worker.ended_at > keep:
                del self._by_key[key]
                self._shown.pop(key, None)
                self.revision += 1

    def list(self) -> List[Worker]:
        """Newest generation first, then by slot."""
        return sorted(self._by_key.values(), key=lambda w: (-w.gen, w.slot, w.pid))

    def count(self, *states: str) -> int:
        return sum(worker.state in states for worker in self._by_key.values())
