"""What became of a route since the last save, where enough requests say it.

A number is only said to have changed where the requests before and after do not overlap: two or
three tell about queries, which are mostly the same each time, more are needed for durations.
"""

from typing import Dict, List, Optional, Set, Tuple

from tremolo.telemetry.histogram import quantiles

from .text import millis

BEFORE, AFTER = 3, 2  # requests that tell about queries
TIMED = 12  # requests, on both sides, that tell about durations
WITHOUT_ERROR = 10  # requests without one, for the first to be new
FACTOR, LEAST_MS = 1.5, 5.0


class Timings:
    """The rows of one route in one generation."""

    __slots__ = ("buckets", "count", "failures", "fewest", "most")

    def __init__(self) -> None:
        self.count = 0
        self.failures = 0
        self.fewest = self.most = 0  # queries of a request
        self.buckets: Dict[int, int] = {}

    def quantiles(self) -> List[float]:
        return [value * 1000 for value in quantiles(self.buckets, 0.50, 0.95, 0.99)]


def changes_of(before: Optional[Timings], now: Timings) -> Dict[str, Tuple[str, bool]]:
    """What is different from `before`, by kind: "queries", "time", "error"; a
    short text, and whether it is worse."""
    found: Dict[str, Tuple[str, bool]] = {}
    if before is None:
        return found
    if before.count >= BEFORE and now.count >= AFTER:
        worse = now.fewest > before.most
        if worse or now.most < before.fewest:
            found["queries"] = (f"queries {_usual(before)} → {_usual(now)}", worse)
    if before.count >= TIMED and now.count >= TIMED:
        old_low, old, old_high = _quartiles(before)
        new_low, new, new_high = _quartiles(now)
        worse = new_low > old_high * FACTOR and new - old >= LEAST_MS
        if worse or (new_high * FACTOR < old_low and old - new >= LEAST_MS):
            found["time"] = (f"{millis(old)} → {millis(new)} ms", worse)
    if now.failures and not before.failures and before.count >= WITHOUT_ERROR:
        found["error"] = (f"new error: {now.failures} of {now.count} requests, none of "
                          f"{before.count} before", True)
    return found


def news_of(name: str, before: Optional[Timings], now: Timings, told: Set[str]
            ) -> Tuple[str, bool]:
    """One line on what became of a route, but for the kinds of changes that were `told`, to which
    these are added; "" for nothing; and whether any of it is worse."""
    fresh: List[Tuple[str, bool]] = []
    for kind, change in changes_of(before, now).items():
        if kind not in told:
            told.add(kind)
            fresh.append(change)
    if not fresh:
        return "", False
    return (f"since the save, {name}: " + " · ".join(text for text, _ in fresh),
            any(worse for _, worse in fresh))


def _usual(timings: Timings) -> str:
    if timings.fewest == timings.most:
        return str(timings.most)
    return f"{timings.fewest}–{timings.most}"


def _quartiles(timings: Timings) -> Tuple[float, float, float]:
    low, middle, high = (value * 1000 for value in quantiles(timings.buckets, 0.25, 0.5, 0.75))
    return low, middle, high
