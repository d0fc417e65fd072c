"""The measured part of the throttle control: what passes under a scope, beside what may."""

from typing import Any, List, Optional, Protocol, Sequence, Tuple

from rich.cells import cell_len

from tremolo.scope import Scope

from ..draw import Piece, fit, right, sparkline
from ..model import throttling as model
from ..model.meters import SECONDS
from ..model.session import Session
from ..plot import OVER, area, rule_row, scale, time_axis
from .page import Styled

GUTTER = 6
MOST_CELLS = 60  # two dots a cell: one for each of the meter's buckets

class Scoped(Styled, Protocol):
    """A pane that is about a scope of the throttle."""

    session: Session
    scope: Scope
    connection: Optional[Tuple[int, int]]
    client: Optional[Scope]


Limits = List[Optional[float]]


def cells(pieces: Sequence[Piece]) -> int:
    return sum(cell_len(text) for text, _ in pieces)


class Measured:
    """Draws for a throttle pane, whose scope and session it looks at."""

    def __init__(self, pane: Scoped) -> None:
        self._pane = pane

    def mark(self) -> Any:
        """Changes when the plots do."""
        session = self._pane.session
        now = session.clock()
        recent = now - session.throttling.changes[-1].since < SECONDS  # the rule moves on
        return (session.measured(self._pane.scope).mark(now), int(now) if recent else 0)

    def _path(self) -> str:
        """The path of what the scope is about, if that is known."""
        scope = self._pane.scope
        if scope.is_path:
            return str(scope)
        connection = self._pane.connection
        if scope.connection is not None and connection is not None:
            found = self._pane.session.connections.find(connection)
            return found.current.partition(" ")[2] if found is not None else ""
        return ""

    def _limits(self, count: int) -> Tuple[Limits, Limits]:
        session = self._pane.session
        steps = session.throttling.limits(
            self._pane.scope, self._path(), session.clock(), SECONDS, count,
            self._pane.client if self._pane.scope.connection is not None else None)
        return [down for down, _ in steps], [up for _, up in steps]

    # -- in one line

    def short(self, width: int) -> Sequence[Piece]:
        """Both directions, without a plot of their own."""
        pieces: List[Piece] = []
        half = width // 2
        meters, now = self._pane.session.measured(self._pane.scope), self._pane.session.clock()
        for mark, meter, limits in zip("↓↑", meters, self._limits(1)):
            words = self._words(mark, meter.rate(now), limits[-1], short=width < 100)
            if cells(words) >= half:  # the sliders above say the limit, too
                words = self._words(mark, meter.rate(now), None, short=True)
            room = half - cells(words) - 2
            if room >= 6:
                values = meter.columns(now, min(room, 30))
                words += [(" ", None), (sparkline(values, len(values), limits[-1] or 0.0),
                                        self._pane.style("second"))]
            pieces += words + [(" " * max(1, half - cells(words)), None)]
        return pieces

    def _words(self, mark: str, rate: float, limit: Optional[float], short: bool = False
               ) -> List[Piece]:
        """The rate now, and of how much: coloured by how near it is."""
        style = self._pane.style
        actual = model.bits(rate) if rate >= 1 else "–"
        kind = "text"
        if limit:
            share = rate / limit
            kind = "error" if share > OVER else "good" if share > 0.93 else "text"
        of = model.bits(limit) if limit else "nothing"
        if limit and actual.partition(" ")[2] == of.partition(" ")[2]:
            actual = actual.partition(" ")[0]  # the unit is said once
        pieces: List[Piece] = [(f" {mark} ", style("dim")), (actual, style(kind))]
        if limit is not None:
            pieces += [(" of ", style("dim")),
                       (of, style("warning"))]
            if limit and rate >= 1 and not short:
                pieces.append((f"  {rate / limit * 100:.0f}%", style(kind)))
        elif rate >= 1 and not short:
            pieces.append((", no limit", style("dim")))
        return pieces

    # -- as plots

    def plots(self, width: int, rows: int) -> List[List[Piece]]:
        """`rows` lines: both directions beside each other."""
        half = width // 2
        count = min(MOST_CELLS, half - GUTTER - 2)
        if rows < 4 or count < 10:
            return [list(self.short(width))] + [[]] * max(0, rows - 1)
        session = self._pane.session
        meters, now = session.measured(self._pane.scope), session.clock()
        sides = []
        for mark, meter, limits in zip("↓↑", meters, self._limits(count * 2)):
            sides.append(self._plot(mark, meter.columns(now, count * 2), limits,
                                    meter.rate(now), count, rows))
        return [[*left, (" " * max(0, half - cells(left)), None), *other]
                for left, other in zip(*sides)]

    def _plot(self, mark: str, values: List[float], limits: Limits, rate: float, count: int,
              rows: int) -> List[List[Piece]]:
        style = self._pane.style
        axis = rows >= 6
        height = rows - 1 - axis
        top = scale(values, limits)
        rule = rule_row(limits[-1], height, top)
        lines = [self._words("↓ down" if mark == "↓" else "↑ up", rate, limits[-1],
                             short=count < 24)]
        for row, runs in enumerate(area(values, limits, height, top)):
            label, kind = "", "dim"
            if row == rule:
                label, kind = _short_bits(limits[-1] or 0.0), "warning"
            elif row == 0 and any(values):
                label = _short_bits(top)
            elif row == height - 1:
                label = "0"
            lines.append([(right(fit(label, min(len(label), GUTTER)), GUTTER), style(kind)),
                          ("┤" if label else "│", style("faint")),
                          *((text, style(name) if name else None) for text, name in runs)])
        if axis:
            lines.append([(" " * GUTTER + "└", style("faint")),
                          (time_axis(count, int(SECONDS)), style("dim"))])
        return lines


def _short_bits(rate: float) -> str:
    """A rate in bit/s in at most five cells: "1.44M"."""
    value = rate * 8
    for unit in ("", "k", "M", "G"):
        if value < 999.5:
            return f"{value:.3g}{unit}"
        value /= 1000
    return f"{value:.0f}T"
