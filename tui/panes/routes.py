"""Routes: how often, how slow, and how that changed with the last reload."""

from typing import Any, List, Sequence

from textual import events
from textual.binding import Binding

from ..draw import Piece, fit, histogram, middle_cut, right
from ..model import text
from ..model.routes import BINS, SORTS, Route
from .lines import LinePane


class RoutesPane(LinePane):
    NUMBER = 2
    TITLE = "Routes"
    HEADS = 1
    PERIOD = 0.5  # a table that sorts itself is unreadable at ten changes a second

    BINDINGS = [
        Binding("enter", "only", "only this route", key_display="⏎", id="routes.only"),
        Binding("s", "sort", "sort", id="routes.sort"),
        Binding("S", "reverse", "reverse the order", show=False, id="routes.reverse"),
    ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._routes: List[Route] = []

    def version(self) -> Any:
        return (self.session.routes.revision, self.selected)

    def _settle(self) -> None:
        self._routes = self.session.routes.list()
        super()._settle()

    def count(self) -> int:
        return len(self._routes)

    def key_at(self, index: int) -> Any:
        return self._routes[index].name

    def empty_text(self) -> str:
        return "no requests yet"

    def title_end(self) -> str:
        gen, routes = self.session.reload.gen, self.session.routes
        order = "" if (routes.sort, routes.reverse) == ("count", False) else (
            f"by {routes.sort}{' reversed' if routes.reverse else ''}")
        against = f"gen {gen} against {gen - 1}" if gen > 1 and self.size.width > 60 else ""
        return " · ".join(words for words in (order, against) if words)

    def _name_width(self, width: int) -> int:
        return max(10, width - 1 - 8 - 22 - 8 - 6 - (BINS + 1 if width >= 72 else 0) - 2)

    def head_pieces(self, line: int, width: int) -> Sequence[Piece]:
        names = (" " + fit("ROUTE", self._name_width(width)) + right("N", 8) + right("P50", 7)
                 + right("P95", 7) + right("P99", 8) + right("ΔP95", 8) + right("5XX", 6))
        if width >= 72:
            names += "  " + fit(".5ms─16ms─2s", BINS)
        return [(fit(names, width), self.style("head"))]

    def pieces(self, index: int, width: int) -> Sequence[Piece]:
        route = self._routes[index]
        now = route.now.quantiles()
        dim, plain = self.style("dim"), self.style("text")
        change, kind = _change(route, now[1])
        name = self._name_width(width)
        line: List[Piece] = [
            ("▌" if route.name == self.selected else " ", self.style("key")),
            (fit(middle_cut(route.name, name), name), plain),
            (right(_counted(route.now.estimated, route.now.count), 8), plain),
            (right(text.percentile(now[0]), 7), dim), (right(text.percentile(now[1]), 7), plain),
            (right(text.percentile(now[2]), 8), dim), (right(change, 8), self.style(kind)),
            (right(_counted(route.now.failures, route.now.failed_rows), 6),
             self.style("error" if route.now.failures else "dim")),
        ]
        if width >= 72:
            line += [("  ", None), (histogram(route.bins()), self.style("second"))]
        return line

    def action_sort(self) -> None:
        routes = self.session.routes
        routes.sort_by(SORTS[(SORTS.index(routes.sort) + 1) % len(SORTS)])
        self._sorted()

    def action_reverse(self) -> None:
        self.session.routes.sort_by(self.session.routes.sort)
        self._sorted()

    def _sorted(self) -> None:
        """In another order: its first line is what one wants to see."""
        self.top, self.selected = 0, None
        self.redraw()

    def on_click(self, event: events.Click) -> None:
        """A click on the head of a column sorts by it."""
        if event.y != self.titled:
            super().on_click(event)
            return
        end = 1 + self._name_width(self.size.width - 1)
        for column, width in (("name", 0), ("count", 8), ("p50", 7), ("p95", 7), ("p99", 8),
                              ("change", 8), ("5xx", 6)):
            end += width
            if event.x < end:
                self.session.routes.sort_by(column)
                self._sorted()
                return

    def action_only(self) -> None:
        if self.selected is not None:
            self.host.filter_by(f'route:"{self.selected}"')


def _counted(amount: float, rows: int) -> str:
    """A number of requests: marked where it is an estimate, for they are more than have rows."""
    return ("~" if amount > rows else "") + text.number(round(amount))


def _change(route: Route, p95: float) -> Sequence[str]:
    """The 95th percentile against the generation before; small changes are none."""
    if route.before is None or route.before.count < 5 or route.now.count < 5:
        return "–", "dim"
    difference = p95 - route.before.quantiles()[1]
    if abs(difference) < max(1.0, p95 * 0.15):
        return "=", "dim"
    return (f"▲+{text.percentile(difference)}", "warning") if difference > 0 else (
        f"▼-{text.percentile(-difference)}", "good")
