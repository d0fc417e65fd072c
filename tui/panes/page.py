"""What the sections of the detail may ask of the pane that they are drawn in, and the two
kinds of lines that all of them use."""

from typing import List, Protocol, Sequence

from rich.cells import cell_len
from rich.style import Style

from ..draw import Piece, wrapped_pieces
from ..model.session import Session

Lines = List[Sequence[Piece]]

STATUS_KINDS = {1: "stream", 2: "good", 3: "moved", 4: "refused"}  # by class; else failed
STATUS_MARKS = {4: "▲", 5: "✖"}  # what is wrong is seen without colours, too


class Styled(Protocol):
    def style(self, name: str) -> Style: ...


class Page(Styled, Protocol):
    session: Session

    @property
    def body_height(self) -> int: ...


class Wrapped(List[Piece]):
    """A line that goes on below, `indent` cells from the left, where it is too long."""

    def __init__(self, pieces: Sequence[Piece], indent: int = 1) -> None:
        super().__init__(pieces)
        self.indent = indent


def fact(pane: Styled, name: str, value: str, *more: Piece) -> Wrapped:
    """A name and what it is."""
    return Wrapped([(f" {name:<10}", pane.style("dim")), (value, pane.style("text")), *more], 11)


def unfolded(lines: Lines, width: int) -> Lines:
    """Lines as they are drawn: those that are `Wrapped` in as many as they need."""
    return [part for line in lines for part in (
        wrapped_pieces(line, width - 1, line.indent) if isinstance(line, Wrapped) else (line,))]


def heading(pane: Styled, name: str, note: str, width: int) -> Lines:
    """A rule with a name in it, and a note at its end."""
    line = pane.style("rule")
    words = f" {name} "
    rest = max(0, width - len(words) - 2 - cell_len(note) - 2)
    return [[("──", line), (words, pane.style("strong")), ("─" * rest, line),
             (f" {note}", pane.style("dim"))]]
