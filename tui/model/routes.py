"""A table of routes from the rows seen: how many, how slow, and against the last generation.

Rows are a sample under load, so counts here are of rows; the shape of the latencies holds.
"""

from typing import Callable, Dict, List, Optional, Set

from tremolo.telemetry.histogram import bucket

from .changes import BEFORE, Timings, news_of
from .traffic import Row

MAX_ROUTES = 500
SORTS = ("count", "p50", "p95", "p99", "change", "5xx", "name")
OTHERS = "(others)"
COMPARED_AGAIN = 16  # after a sixteenth more rows
BINS = 12  # of the small histogram, an octave each: half a millisecond to two seconds


class Route:
    __slots__ = ("before", "compared_at", "gen", "name", "now", "told")

    def __init__(self, name: str, gen: int) -> None:
        self.name = name
        self.gen = gen
        self.now = Timings()
        #: of the last generation that had requests enough to compare with
        self.before: Optional[Timings] = None
        self.told: Set[str] = set()  # kinds of changes that were said of this generation
        self.compared_at = 0  # rows of this generation from which on to compare again

    def amount(self, column: str) -> float:
        """What a column of the table shows."""
        if column == "count":
            return self.now.count
        if column == "5xx":
            return self.now.failures
        if column == "change":
            return self.now.quantiles()[1] - (self.before.quantiles()[1] if self.before else 0.0)
        return self.now.quantiles()[("p50", "p95", "p99").index(column)]

    def bins(self) -> List[int]:
        """Counts by octave of milliseconds, for the small histogram."""
        bins = [0] * BINS
        for index, count in self.now.buckets.items():
            octave = (index >> 4) - 6  # bucket 16*6 begins at 2**9 us, half a millisecond
            bins[min(BINS - 1, max(0, octave))] += count
        return bins


class Routes:
    def __init__(self) -> None:
        self.revision = 0
        self.sort, self.reverse = "count", False
        self._routes: Dict[str, Route] = {}
        #: called with a line on what is different since the save, and whether it is worse
        self.on_change: Callable[[str, bool], None] = lambda text, worse: None

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
            route.told.clear()
            route.compared_at = 0
        timings = route.now
        timings.fewest = row.queries if not timings.count else min(timings.fewest, row.queries)
        timings.most = max(timings.most, row.queries)
        timings.count += 1
        if row.status >= 500 or row.state == "aborted":
            timings.failures += 1
            if timings.failures == 1:
                route.compared_at = 0
        index = bucket(row.ms / 1000)
        timings.buckets[index] = timings.buckets.get(index, 0) + 1
        self.revision += 1
        if route.before is not None and timings.count >= route.compared_at and not row.stream:
            self._compare(route)

    def _compare(self, route: Route) -> None:
        """Each row may change what there is to say while there are few; once there are many,
        quantiles are not computed again for each of thousands a second."""
        route.compared_at = route.now.count + 1 + route.now.count // COMPARED_AGAIN
        text, worse = news_of(route.name, route.before, route.now, route.told)
        if text:
            self.on_change(text, worse)

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
