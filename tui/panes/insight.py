"""What is known from within a request, as tabs of its detail or parts of them."""

import os
from typing import List, Sequence

from ..draw import Piece, wrapped_pieces
from ..model import text
from ..model.logs import Error
from ..model.traffic import Row
from .lines import LinePane


def variable_lines(pane: LinePane, error: Error) -> List[Sequence[Piece]]:
    """The variables of the project's frames, from the place of the exception outwards."""
    dim, plain, strong = pane.style("dim"), pane.style("text"), pane.style("second")
    lines: List[Sequence[Piece]] = []
    for raised in error.chain[:1]:
        lines.append([])
        for frame in reversed(raised.frames):
            if not frame.project or not frame.variables:
                continue
            place = f"{os.path.basename(frame.file)}:{frame.line} in {frame.name}"
            lines.append([(" " + place, strong)])
            lines += [[(f"   {name} = ", dim), (value, plain)]
                      for name, value in frame.variables.items()]
    return lines


def log_lines(pane: LinePane, row: Row, width: int) -> List[Sequence[Piece]]:
    """What the request wrote."""
    written = pane.session.log.of_request(row.pid, row.id)
    lines: List[Sequence[Piece]] = []
    for line in written:
        kind = "error" if line.rank >= 40 else "warning" if line.rank >= 30 else "text"
        pieces = [(" " + text.clock(line.t, True) + " ", pane.style("dim")),
                  (line.text, pane.style(kind))]
        lines += wrapped_pieces(pieces, width - 1, 14)
    return lines
