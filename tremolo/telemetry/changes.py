"""What became of a route since the last save, where enough requests say so.

From the rows of requests alone, so that each reader of the feed finds the same. Only answers are
compared with each other: what failed is counted, what was refused (4xx) says nothing of the code.
A number is said to have changed only where the requests before and after do not overlap.

Times differ for many reasons, of which the code is one; a false alarm is worse than none. The
first requests of new code find nothing imported, connected or cached: as long as there are but
few, the first ones of the code before must be apart from them, too, and those that began before
its first answer count only against a change. What took long while other processes were in the way
says nothing, and what happened within a moment says it once.
"""

from collections import deque
from typing import TYPE_CHECKING, Any, Deque, Dict, List, Mapping, Optional, Set, Tuple

from ..units import counted
from .builders import change_event
from .sanitize import clean

if TYPE_CHECKING:
    from .insight_messages import ChangeEvent

BEFORE, AFTER = 3, 2  # requests that tell about queries, which are mostly the same each time
FEW, TIMED = 4, 12  # requests, on both sides, that tell about durations: by all, by most of them
WITHOUT_ERROR = 10  # requests without one, for the first to be new
FACTOR, LEAST_MS = 1.5, 5.0
EARLY = 24  # requests of a generation, within which what it needs first may still be missing
MOMENT = 1.0  # seconds for which anything can be slow for once
KEPT = 100  # durations, the newest
MAX_ROUTES = 500
COMPARED_AGAIN = 16  # after a sixteenth more rows

KINDS = ("queries", "ms", "failed")


class Answers:
    """The requests of one method and route in one generation, or in some that were like it."""

    __slots__ = ("asked", "begun", "count", "early", "failed", "fewest", "most", "ms", "warm")

    def __init__(self) -> None:
        self.count = 0  # rows, without those that failed
        #: requests that the rows stand for: those that did not fail, and those that did
        self.asked = self.failed = 0.0
        self.fewest = self.most = 0  # queries of a request
        self.ms: Deque[float] = deque(maxlen=KEPT)
        #: of `ms`, those of requests that began after an answer of the same code
        self.warm: Deque[float] = deque(maxlen=KEPT)
        #: of `warm`, the first ones of each generation, as far as those count together
        self.early: Deque[float] = deque(maxlen=KEPT)
        #: when those of `warm` began
        self.begun: Deque[float] = deque(maxlen=KEPT)

    def add(self, queries: int) -> None:
        if queries < self.fewest or not self.count:
            self.fewest = queries
        if queries > self.most:
            self.most = queries
        self.count += 1

    def add_time(self, ms: float, begun: float, warm: bool) -> None:
        self.ms.append(ms)
        if warm:
            self.warm.append(ms)
            self.begun.append(begun)
            if len(self.warm) <= EARLY:
                self.early.append(ms)

    @property
    def lasted(self) -> float:
        """For how many seconds requests began."""
        return max(self.begun) - min(self.begun) if self.begun else 0.0

    def followed_by(self, now: "Answers") -> "Answers":
        """What to compare the next generation with, after `now`: who asks once after each save
        has few requests in each, which count together for as long as they are alike."""
        if now.count >= BEFORE or (now.count and now.is_apart(self)):
            return now
        now.fewest = min(self.fewest, now.fewest) if now.count else self.fewest
        now.most = max(self.most, now.most)
        now.count += self.count
        now.asked += self.asked
        now.failed += self.failed
        now.ms = deque([*self.ms, *now.ms], maxlen=KEPT)
        now.warm = deque([*self.warm, *now.warm], maxlen=KEPT)
        now.early = deque([*self.early, *now.early], maxlen=KEPT)
        now.begun = deque([*self.begun, *now.begun], maxlen=KEPT)
        return now

    def is_apart(self, before: "Answers") -> bool:
        """Whether all of these had more queries, or fewer, than any before."""
        return self.fewest > before.most or self.most < before.fewest


class Route:
    """One method and route: `before` and `now` this generation."""

    __slots__ = ("before", "compared_at", "gen", "now", "told", "warm_from")

    def __init__(self, gen: int) -> None:
        self.gen = gen
        self.now = Answers()
        self.before = Answers()
        self.told: Set[str] = set()  # the KINDS that were said of this generation
        self.compared_at = 0  # requests of this generation from which on to compare again
        self.warm_from = float("inf")  # the instant of the first answer of this generation

    def begin(self, gen: int) -> None:
        self.before, self.now, self.gen = self.before.followed_by(self.now), Answers(), gen
        self.told.clear()
        self.compared_at = 0
        self.warm_from = float("inf")


class Changes:
    """Of all routes. Under load rows are a sample: those that were looked into are compared, for
    the others are there because they were slow."""

    def __init__(self) -> None:
        self._routes: Dict[Tuple[str, str], Route] = {}

    def add(self, row: Mapping[str, Any], gen: int) -> "Optional[ChangeEvent]":
        """Count a RequestRow of that generation; what there is to say after it, if anything."""
        status, state = row.get("status", 0), row.get("state", "done")
        if state == "live" or row.get("proxied"):
            return None
        # One that the client left has no error, and says nothing.
        failed = status >= 500 or (state == "aborted" and bool(row.get("error")))
        if not failed and (state != "done" or not 200 <= status < 400 or _is_stream(row)):
            return None
        name = (row.get("method", ""), row.get("route") or row.get("path", "").split("?", 1)[0])
        route = self._routes.get(name)
        if route is None:
            if len(self._routes) >= MAX_ROUTES:
                return None
            route = self._routes[name] = Route(gen)
        if gen != route.gen:
            if gen < route.gen:
                return None  # a late row of a generation that drains
            route.begin(gen)
        now, weight = route.now, row.get("weight", 1.0)
        if failed:
            if not now.failed:
                route.compared_at = 0
            now.failed += weight
        else:
            now.asked += weight
            if row.get("unobserved"):
                return None
            begun, ms = row.get("t", 0.0), row.get("ms", 0.0)
            own = ms - row.get("throttle_ms", 0.0) - row.get("queue_ms", 0.0)
            warm = begun >= route.warm_from
            now.add(row.get("queries", 0))
            if not row.get("crowded"):
                now.add_time(own if own > 0.0 else 0.0, begun, warm)
            if not warm:
                route.warm_from = min(
                    route.warm_from, begun + (ms + row.get("held_ms", 0.0)) / 1000)
        seen = now.count + int(now.failed)
        if seen < route.compared_at:
            return None
        # Each row may change what there is to say while there are few; once there are many,
        # they are not compared again for each of thousands a second.
        route.compared_at = seen + 1 + seen // COMPARED_AGAIN
        return self._news(name, route)

    def of_frame(self, frame: Mapping[str, Any]) -> "List[ChangeEvent]":
        """What there is to say after the rows of a Frame."""
        gen = frame.get("gen", 0)
        found = (self.add(row, gen) for row in frame.get("rows") or ())
        return [change for change in found if change is not None]

    @staticmethod
    def line_of(event: "ChangeEvent") -> str:
        """`event` as a line: `since the save: GET /items 3 → 41 queries, 12 → 90 ms (14 requests,
        30 before)`."""
        before, now = event["requests"]
        parts: List[str] = []
        if "queries" in event:
            old, new = ("–".join(str(count) for count in dict.fromkeys(pair))
                        for pair in event["queries"])
            parts.append(f"{old} → {new} {'query' if new == '1' else 'queries'}")
        if "ms" in event:
            parts.append(" → ".join(_short(ms) for ms in event["ms"]) + " ms")
        text = ", ".join(parts)
        if text:
            text += f" ({counted(now, 'request')}, {before:,} before)"
        if "failed" in event:
            failed = event["failed"]
            text += (f"{', ' if text else ''}new error: {failed:,} of "
                     f"{counted(now + failed, 'request')}, none of {before:,} before")
        name = clean(f"{event['method']} {event['route']}", 200)
        return f"since the save: {name} {text}"

    def _news(self, name: Tuple[str, str], route: Route) -> "Optional[ChangeEvent]":
        found = compared(route.before, route.now)
        fresh = found.keys() - route.told
        if not fresh:
            return None
        route.told |= fresh
        event = change_event(route.gen, *name, (
            round(route.before.asked), round(route.now.asked)), any(
            found[kind][1] for kind in fresh))
        if "queries" in fresh:
            event["queries"] = found["queries"][0]
        if "ms" in fresh:
            event["ms"] = found["ms"][0]
        if "failed" in fresh:
            event["failed"] = found["failed"][0]
        return event


def _is_stream(row: Mapping[str, Any]) -> bool:
    """Whether it lasts for as long as somebody listens: its time says nothing of speed."""
    return bool(row.get("sse")) or row.get("http") == "ws" or row.get("status") == 101


def compared(before: Answers, now: Answers) -> Dict[str, Tuple[Any, bool]]:
    """What is different, by kind: the ChangeEvent's field, and whether it is worse."""
    found: Dict[str, Tuple[Any, bool]] = {}
    if before.count >= BEFORE and now.count >= AFTER and now.is_apart(before):
        found["queries"] = ([[before.fewest, before.most], [now.fewest, now.most]],
                            now.fewest > before.most)
    for fast, slow in ((before, now), (now, before)):
        medians = _slower(fast, slow)
        if medians:
            worse = slow is now
            found["ms"] = ([round(ms, 1) for ms in medians[::1 if worse else -1]], worse)
    if now.failed and not before.failed and before.count >= WITHOUT_ERROR:
        found["failed"] = (round(now.failed), True)
    return found


def _slower(fast: Answers, slow: Answers) -> List[float]:
    """The medians of both, if `slow` is slower, and not for a moment, or because its code was
    new."""
    medians = _apart(fast.ms, slow.ms) and _apart(fast.ms, slow.warm)
    if not medians or slow.lasted < MOMENT:
        return []
    if len(slow.warm) < EARLY and len(fast.early) >= FEW and not _apart(fast.early, slow.warm):
        return []
    return medians


def _apart(low: Deque[float], high: Deque[float]) -> List[float]:
    """The medians of both, if `low` is all below `high`."""
    least = min(len(low), len(high))
    if least < FEW:
        return []
    parts = _quartiles if least >= TIMED else _extremes
    (_, lower, end), (begin, higher, _) = parts(low), parts(high)
    return [lower, higher] if begin > end * FACTOR and higher - lower >= LEAST_MS else []


def _quartiles(ms: Deque[float]) -> Tuple[float, float, float]:
    ordered = sorted(ms)
    quarter = len(ordered) // 4
    return ordered[quarter], _median(ordered), ordered[-1 - quarter]


def _extremes(ms: Deque[float]) -> Tuple[float, float, float]:
    return min(ms), _median(sorted(ms)), max(ms)


def _median(ordered: List[float]) -> float:
    middle = len(ordered) // 2
    return (ordered[middle] + ordered[-1 - middle]) / 2


def _short(ms: float) -> str:
    return f"{ms:.0f}" if ms >= 9.95 or ms == int(ms) else f"{ms:.1f}"
