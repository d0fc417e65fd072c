"""Routes of requests: how long those of each take, and thereby which is slow; and which one those
have that nobody looked into."""

from collections import deque
from typing import Deque, Dict

from ..telemetry.templates import grouped, readable
from .record import Record

LEAST = 0.025  # seconds below which nothing is slow
#: seconds beyond which everything is: who waits notices, also where a route always takes as long
NOTICED = 0.1
ENOUGH = 20  # requests of a route before "slow" means anything
JUDGED_AFTER = 10  # requests more it means another time
KEPT = 200
MAX_ROUTES = 500


class Times:
    """How long the last requests of a route took, and the `limit` beyond which one is slow."""

    __slots__ = ("_seconds", "_until_judged", "limit")

    def __init__(self) -> None:
        self._seconds: Deque[float] = deque(maxlen=KEPT)
        self._until_judged = ENOUGH
        self.limit = NOTICED

    def add(self, seconds: float) -> None:
        self._seconds.append(seconds)
        self._until_judged -= 1
        if not self._until_judged:
            self._until_judged = JUDGED_AFTER
            ordered = sorted(self._seconds)
            self.limit = min(NOTICED, max(LEAST, ordered[int(len(ordered) * 0.95)]))


class Pace:
    """How long the last requests of each route took, in seconds."""

    def __init__(self) -> None:
        self._routes: Dict[str, Times] = {}

    def add(self, route: str, seconds: float) -> None:
        times = self._routes.get(route)
        if times is None:
            if len(self._routes) >= MAX_ROUTES:
                del self._routes[next(iter(self._routes))]
            times = self._routes[route] = Times()
        times.add(seconds)

    def limit(self, route: str) -> float:
        """The time beyond which a request of this route is slow."""
        times = self._routes.get(route)
        return NOTICED if times is None else times.limit


def route_of(record: Record) -> str:
    """What requests are compared by."""
    return record.method + " " + (
        grouped(record.path) if record.route is None else readable(record.route))


class KnownRoutes:
    """The routes that requests had, by method and path with its identifiers grouped."""

    def __init__(self) -> None:
        self._routes: Dict[str, str] = {}

    def add(self, method: str, path: str, route: str) -> None:
        """A request had this route."""
        like = f"{method} {grouped(path)}"
        if self._routes.setdefault(like, route) != route:
            self._routes[like] = grouped(path)  # two look the same: neither is said
        while len(self._routes) > MAX_ROUTES:
            del self._routes[next(iter(self._routes))]

    def like(self, method: str, path: str) -> str:
        """The route of an exchange that was not looked into: that of those that look the same,
        else the path with its identifiers grouped."""
        path = grouped(path)
        return self._routes.get(f"{method} {path}", path)
