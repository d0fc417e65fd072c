"""How long requests of each route take, and thereby which of them is slow."""

from collections import deque
from typing import Deque, Dict

from ..telemetry.templates import grouped, readable
from .record import Record

LEAST = 0.025  # seconds below which nothing is slow
ENOUGH = 20  # requests of a route before "slow" means anything
KEPT = 200
MAX_ROUTES = 500


class Pace:
    """How long the last requests of each route took, in seconds."""

    def __init__(self) -> None:
        self._routes: Dict[str, Deque[float]] = {}
        self._limits: Dict[str, float] = {}

    def add(self, route: str, seconds: float) -> None:
        times = self._routes.get(route)
        if times is None:
            if len(self._routes) >= MAX_ROUTES:
                oldest = next(iter(self._routes))
                del self._routes[oldest]
                self._limits.pop(oldest, None)
            times = self._routes[route] = deque(maxlen=KEPT)
        times.append(seconds)
        count = len(times)
        if count >= ENOUGH and (count % 10 == 0 or route not in self._limits):
            self._limits[route] = max(LEAST, sorted(times)[int(count * 0.95)])

    def limit(self, route: str) -> float:
        """The time beyond which a request of this route is slow."""
        return self._limits.get(route, float("inf"))


def route_of(record: Record) -> str:
    """What requests are compared by."""
    return record.method + " " + (
        grouped(record.path) if record.route is None else readable(record.route))
