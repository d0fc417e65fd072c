"""What stands around the lines of a pane: its title above, and at the right the scroll bar, or
the rule where another pane stands beside it.
"""

from typing import Dict, List

from rich.segment import Segment

from ..draw import Piece, spread
from .surface import Surface

BAR_FROM = 4  # lines that a body must have for a scroll bar


class Edge:
    """The last column of a pane, made once for each kind of mark."""

    def __init__(self, pane: Surface) -> None:
        self.pane = pane
        self.ruled = False  # another pane stands to the right
        self._marks: Dict[str, Segment] = {}

    def clear(self) -> None:
        """The colours are others now."""
        self._marks.clear()

    def end(self, thumb: bool = False) -> Segment:
        """The last column of a line."""
        if thumb:
            return self._mark("┃", "dim")
        return self._mark("│", "faint") if self.ruled else self._mark(" ", "text")

    def _mark(self, mark: str, name: str) -> Segment:
        found = self._marks.get(mark)
        if found is None:
            found = self._marks[mark] = Segment(mark,
                                                self.pane.base_style + self.pane.style(name))
        return found


def thumb_lines(top: int, count: int, height: int) -> range:
    """The lines of the body beside which the scroll bar lies: where the visible part of `count`
    lines is within the whole."""
    if count <= height or height < BAR_FROM:
        return range(0)
    size = max(1, height * height // count)
    start = round(top / max(1, count - height) * (height - size))
    return range(start, start + size)


def title_pieces(pane: Surface, number: int, title: str, end: str, width: int, ruled: bool
                 ) -> List[Piece]:
    """The rule above a pane, with number, title, and `end` at its right end."""
    line, dim = pane.style("rule"), pane.style("dim")
    name = "title-focus" if pane.has_focus else "title"
    left: List[Piece] = [("─", line), (f" {number} " if number else " ", dim),
                         (title + " ", pane.style(name))]
    end_pieces: List[Piece] = [(f" {end} ", dim), ("─", line)] if end else []
    room = width - sum(len(text) for text, _ in [*left, *end_pieces])
    left.append(("─" * max(0, room), line))
    if ruled:
        return [*spread(left, end_pieces, width - 1), ("┬", line)]
    return spread(left, end_pieces, width)
