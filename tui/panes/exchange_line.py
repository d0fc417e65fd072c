"""One exchange as one line of the list: which columns fit, and what stands in them.

Narrow lists lose columns from the least telling on: the bar, the size, the time of day; the
status and the path stay.
"""

import math
from typing import List, NamedTuple, Sequence, Tuple

from rich.cells import cell_len

from ..draw import Piece, fit, middle_cut, right
from ..model import text
from ..model.traffic import IN_PLACE, Row
from .page import STATUS_KINDS, STATUS_MARKS, Styled

_SHORT = {"DELETE": "DEL", "OPTIONS": "OPT", "PATCH": "PAT", "CONNECT": "CON", "TRACE": "TRC"}
LATE = 1000.0  # milliseconds that are many on any scale
FAR = 2.5  # times the 90th percentile of what is visible, from which on the scale leaves it out


class Columns(NamedTuple):
    """Cells for each; 0: there is no such column."""

    time: int
    method: int
    path: int
    size: int
    ms: int
    bar: int

    @property
    def starts(self) -> "List[Tuple[int, str]]":
        """Where each column begins, by the name of what it sorts by."""
        column, found = 1, []
        for name, cells in (("time", self.time), ("method", self.method), ("status", 5),
                            ("path", self.path), ("size", self.size), ("ms", self.ms),
                            ("ms", self.bar)):
            if cells:
                found.append((column, name))
                column += cells + 1
        return found


def columns(width: int) -> Columns:
    wide = width >= 96
    time = 12 if wide else 8 if width >= 60 else 0
    method = 7 if wide else 4
    size = 7 if width >= 60 else 0
    bar = 20 if width >= 124 else 16 if width >= 104 else 10 if width >= 76 else 0
    used = 1 + sum(cells + 1 for cells in (time, method, 5, size, 7, bar) if cells)
    return Columns(time, method, max(8, width - used - 1), size, 7, bar)


def scale_of(rows: Sequence[Row]) -> float:
    """Milliseconds that a full bar stands for: round, and such that what is visible fills
    it. What took far longer than most does not count; its bar is cut, and marked."""
    taken = sorted(row.ms for row in rows if row.state != "live" and not row.stream)
    if not taken:
        return 10.0
    most = taken[min(len(taken) - 1, int(len(taken) * 0.9))]
    longest = taken[-1] if taken[-1] <= most * FAR else most * 1.2
    power = 10.0 ** math.floor(math.log10(max(longest, 0.1)))
    return next(step * power for step in (1.0, 2.0, 5.0, 10.0) if step * power >= longest * 0.999)


#: columns that are sorted with the least first
UPWARDS = ("time", "path", "method")


def head_pieces(pane: Styled, at: Columns, scale: float, sort: str, reverse: bool
                ) -> List[Piece]:
    names = [("time", "TIME", at.time, False), ("method", "METHOD" if at.method > 4 else "METH",
             at.method, False), ("status", "STAT", 5, False), ("path", "PATH", at.path, False),
             ("size", "SIZE", at.size, True), ("ms", "MS", at.ms, True)]
    pieces: List[Piece] = [(" ", None)]
    for name, label, cells, flush_right in names:
        if not cells:
            continue
        chosen = name == sort and (name != "time" or reverse)
        if chosen:
            label = (("▲" if (name in UPWARDS) != reverse else "▼") + label)[:cells]
        words = right(label, cells) if flush_right else fit(label, cells)
        pieces += [(words, pane.style("query" if chosen else "head")), (" ", None)]
    if at.bar:
        end = f"{scale / 1000:g} s" if scale >= 1000 else f"{scale:g} ms"
        pieces.append(("0" + " " * (at.bar - 1 - len(end)) + end, pane.style("dim")))
    return pieces


def row_pieces(pane: Styled, row: Row, at: Columns, scale: float, chosen: bool, pinned: bool,
               held: bool = False) -> List[Piece]:
    dim, plain, gap = pane.style("dim"), pane.style("text"), (" ", None)
    live = row.state == "live"
    line: List[Piece] = [("▌", pane.style("key")) if chosen else gap]
    if at.time:
        line += [(text.clock(row.t, fraction=at.time > 8), dim), gap]
    verb = row.method if at.method > 4 else _SHORT.get(row.method, row.method)
    read_only = row.method in ("GET", "HEAD")
    line += [(fit(verb, at.method), plain if read_only else pane.style("strong")), gap]
    line += [*_status(pane, row), ("◆", pane.style("query")) if row.marked else gap]
    line += [*_path(pane, row, at.path, pinned, held), gap]
    if at.size:
        line += [(right(text.size(row.bytes_out), at.size), dim), gap]
    late = not live and not row.stream and (row.ms >= LATE or row.ms > scale)
    ms = right("live" if live else text.millis(row.ms), at.ms)
    line += [(ms, pane.style("stream" if live or row.stream else "warning" if late else "text")),
             gap]
    if at.bar:
        line += _bar(pane, row, at.bar, scale)
    return line


def _status(pane: Styled, row: Row) -> List[Piece]:
    if row.state == "live" and not row.status:
        return [(" ··· ", pane.style("dim"))]
    kind = STATUS_KINDS.get(row.status // 100, "failed")
    mark = STATUS_MARKS.get(row.status // 100, " ")
    code = str(row.status) if row.status else " – "
    if row.state == "aborted":
        return [(mark + code + "✗", pane.style("failed"))]
    return [(mark + code + " ", pane.style(kind))]


def _tail(pane: Styled, row: Row, width: int, pinned: bool) -> List[Piece]:
    """At the end of the path: what is going on, or what went wrong."""
    answered = IN_PLACE.get(row.proxied) if row.state == "done" and width > 30 else None
    if answered:
        return [(f" {answered}", pane.style("warning"))]
    pin: List[Piece] = [(" ⟲ pinned" if width > 30 else " ⟲", pane.style("query"))]
    if not pinned:
        pin = []
    if row.state == "live":
        arrow = "⇅" if row.http == "ws" else "↑" if row.bytes_in > row.bytes_out else "↓"
        return [(f" {arrow} {text.rate(row.rate)}", pane.style("stream"))]
    if row.state == "aborted" and width > 30:
        return [(" cut off", pane.style("error")), *pin]
    if row.error and width > 36:
        kind, colon, words = row.error.partition(":")
        room = width // 2 - 2 - len(kind)
        shown = middle_cut(words, room) if room > 6 else ""
        return [("  " + middle_cut(kind, width // 2), pane.style("error")),
                (colon + shown if shown else "", pane.style("dim")), *pin]
    return pin


def _path(pane: Styled, row: Row, width: int, pinned: bool, held: bool) -> List[Piece]:
    """The path, decoded, its query dim; exactly `width` cells."""
    tail = [(" held: H", pane.style("warning"))] if held else _tail(pane, row, width, pinned)
    used = sum(cell_len(words) for words, _ in tail)
    room = max(4, width - used)
    path, mark, query = row.shown_path.partition("?")
    pieces: List[Piece] = []
    if cell_len(path) > room:
        shown = middle_cut(path, room) if path.isascii() else path
        pieces.append((fit(shown, room), pane.style("text")))
    else:
        pieces.append((path, pane.style("text")))
        left = room - cell_len(path)
        if mark and left > 3:
            pieces.append((fit(mark + query, left), pane.style("dim")))
        elif left:
            pieces.append((" " * left, None))
    return [*pieces, *tail]


def _bar(pane: Styled, row: Row, width: int, scale: float) -> List[Piece]:
    """How long, on the scale of what is visible, and what the time went into."""
    if row.state == "live":
        return [("╌" * min(width, 1 + int(row.ms / 1000)), pane.style("stream"))]
    if row.stream:
        return [("╌" * width, pane.style("stream"))]
    beyond = row.ms > scale
    halves = max(1, min(width * 2, round(width * 2 * row.ms / scale)))
    cells = (halves + 1) // 2
    app_ms, throttle_ms, _ = row.phases
    whole = max(row.ms, 0.001)
    held = round(cells * throttle_ms / whole)
    if throttle_ms > whole * 0.05:
        held = max(1, held)
    app = min(cells - held, max(0 if held else 1, round(cells * app_ms / whole)))
    send = cells - held - app
    tone = pane.style("warning" if beyond else "moved")
    bar = "━" * app
    if halves % 2 and bar and not send and not held:
        bar = bar[:-1] + "╸"
    pieces: List[Piece] = [(bar, tone), ("─" * send, tone if beyond else pane.style("dim")),
                           ("┄" * held, pane.style("warning"))]
    if beyond:
        pieces = [(bar + "─" * send + "┄" * held, tone)]
        pieces = [(pieces[0][0][:width - 1] + "▸", tone)]
    return pieces
