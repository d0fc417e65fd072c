"""What is known from within a request, as sections of its detail."""

import os
from typing import List, Sequence

from ..draw import Piece
from ..model import text
from ..model.logs import Error
from ..model.traffic import Row
from .lines import LinePane
from .page import heading


def variable_lines(pane: LinePane, error: Error) -> List[Sequence[Piece]]:
    """The variables of the project's frames, from the place of the exception outwards."""
    dim, plain, strong = pane.style("dim"), pane.style("text"), pane.style("second")
    lines: List[Sequence[Piece]] = []
    for raised in error.chain[:1]:
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
    if not written:
        return []
    lines: List[Sequence[Piece]] = [[], *heading(pane, "Log", f"{len(written)} lines", width)]
    for line in written:
        clean = "".join(run for _, run in text.colour_runs(line.raw))
        kind = "error" if line.rank >= 40 else "warning" if line.rank >= 30 else "text"
        lines.append([(" " + text.clock(line.t, True) + " ", pane.style("dim")),
                      (clean, pane.style(kind))])
    return lines
