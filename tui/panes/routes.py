"""Routes: how often, how slow, and how that changed with the last reload."""

from typing import Any, List, Sequence, Tuple

from textual import events
from textual.binding import Binding

from ..draw import Column, Piece, fit, fitting, histogram, middle_cut, right
from ..model import text
from ..model.routes import BINS, SORTS, Route
from .lines import LinePane

COLUMNS = (Column("N", 8, 2), Column("P50", 7, 5), Column("P95", 7, 0), Column("P99", 8, 4),
           Column("ΔP95", 8, 3), Column("5XX", 6, 1))
SORTED_BY = {"ROUTE": "name", "N": "count", "P50": "p50", "P95": "p95", "P99": "p99",
             "ΔP95": "change", "5XX": "5xx"}


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

    def _columns(self, width: int) -> Tuple[Column, ...]:
        least = max(14, min(19, width // 3))  # cells of a name
        return fitting(COLUMNS, width - least - self._bins(width) - 2)

    def _bins(self, width: int) -> int:
        """Cells of the histogram."""
        return BINS + 2 if width >= 72 else 0

    def _name_width(self, width: int) -> int:
        used = sum(column.cells for column in self._columns(width))
        return width - 1 - used - self._bins(width) - 1

    def head_pieces(self, line: int, width: int) -> Sequence[Piece]:
        names = " " + fit("ROUTE", self._name_width(width)) + "".join(
            right(column.head, column.cells) for column in self._columns(width))
        if self._bins(width):
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
        ]
        values = {"N": (_counted(route.now.estimated, route.now.count), plain),
                  "P50": (text.percentile(now[0]), dim), "P95": (text.percentile(now[1]), plain),
                  "P99": (text.percentile(now[2]), dim), "ΔP95": (change, self.style(kind)),
                  "5XX": (_counted(route.now.failures, route.now.failed_rows),
                          self.style("error" if route.now.failures else "dim"))}
        for column in self._columns(width):
            words, style = values[column.head]
            line.append((right(words, column.cells), style))
        if self._bins(width):
            line += [("  ", None), (histogram(route.bins()), self.style("second"))]
        return line

    def refuses(self, action: str) -> bool:
        return action == "only" and self.selected is None

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
        width = self.size.width - 1
        end = 1 + self._name_width(width)
        for head, cells, _ in (Column("ROUTE", 0, 0), *self._columns(width)):
            end += cells
            if event.x < end:
                self.session.routes.sort_by(SORTED_BY[head])
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
