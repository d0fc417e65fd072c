"""A table of routes from the rows seen: how many, how slow, and against the last generation.

Under load rows are a sample, in which each says how many requests it stands for: what is counted
is then an estimate, of times as well.
"""

from typing import Dict, List, Optional

from tremolo.telemetry.changes import BEFORE
from tremolo.telemetry.histogram import bucket, quantiles

from .traffic import Row

MAX_ROUTES = 500
SORTS = ("count", "p50", "p95", "p99", "change", "5xx", "name")
OTHERS = "(others)"
BINS = 12  # of the small histogram, an octave each: half a millisecond to two seconds


class Timings:
    """The rows of one route in one generation, how many there are and how many of them failed; of
    the requests that they stand for, how many those are, how many failed, and their times."""

    __slots__ = ("buckets", "count", "estimated", "failed_rows", "failures")

    def __init__(self) -> None:
        self.count = self.failed_rows = 0
        self.estimated = self.failures = 0.0
        self.buckets: Dict[int, float] = {}

    def quantiles(self) -> List[float]:
        return [value * 1000 for value in quantiles(self.buckets, 0.50, 0.95, 0.99)]


class Route:
    __slots__ = ("before", "gen", "name", "now")

    def __init__(self, name: str, gen: int) -> None:
        self.name = name
        self.gen = gen
        self.now = Timings()
        #: of the last generation that had requests enough to compare with
        self.before: Optional[Timings] = None

    def amount(self, column: str) -> float:
        """What a column of the table shows."""
        if column == "count":
            return self.now.estimated
        if column == "5xx":
            return self.now.failures
        if column == "change":
            return self.now.quantiles()[1] - (self.before.quantiles()[1] if self.before else 0.0)
        return self.now.quantiles()[("p50", "p95", "p99").index(column)]

    def bins(self) -> List[int]:
        """Counts by octave of milliseconds, for the small histogram."""
        bins = [0.0] * BINS
        for index, count in self.now.buckets.items():
            octave = (index >> 4) - 6  # bucket 16*6 begins at 2**9 us, half a millisecond
            bins[min(BINS - 1, max(0, octave))] += count
        return [round(count) for count in bins]


class Routes:
    def __init__(self) -> None:
        self.revision = 0
        self.sort, self.reverse = "count", False
        self._routes: Dict[str, Route] = {}

    def add(self, row: Row) -> None:
        name = row.route or row.path.split("?", 1)[0]
        route = self._routes.get(name)
        if route is None:
            if len(self._routes) >= MAX_ROUTES:
                name = OTHERS
                route = self._routes.get(name)
            if route is None:
                route = self._routes[name] = Route(name, row.gen)
        if row.gen != route.gen:
            if row.gen < route.gen:
                return  # a late row of a generation that drains
            if route.before is None or route.now.count >= BEFORE:
                route.before = route.now
            route.now, route.gen = Timings(), row.gen
        timings = route.now
        timings.count += 1
        timings.estimated += row.weight
        if row.status >= 500 or row.state == "aborted":
            timings.failed_rows += 1
            timings.failures += row.weight
        index = bucket(row.ms / 1000)
        timings.buckets[index] = timings.buckets.get(index, 0) + row.weight
        self.revision += 1

    def sort_by(self, column: str) -> None:
        """Order by one of SORTS; by the same one again: the other way round."""
        self.reverse = column == self.sort and not self.reverse
        self.sort = column
        self.revision += 1

    def list(self) -> List[Route]:
        """What is most first, names from A to Z; equal ones by name, so that the order stays
        put."""
        found = sorted(self._routes.values(), key=lambda route: route.name)
        if self.sort != "name":
            found.sort(key=lambda route: -route.amount(self.sort))
        return found[::-1] if self.reverse else found
