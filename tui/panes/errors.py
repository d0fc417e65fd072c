"""Exceptions: a list, and the traceback of the selected one below it."""

import os
from typing import Any, Dict, List, Optional, Sequence, Tuple

from rich.cells import cell_len
from textual.binding import Binding
from textual.strip import Strip

from ..clipboard import copy
from ..draw import Piece, fit, middle_cut, sparkline, spread, strip_of
from ..model import text
from ..model.logs import Error
from .lines import LinePane
from .page import Lines
from .traceback import raised_lines

TREND, TREND_SECONDS = 10, 600.0  # cells of the small plot, and the time that it spans
FOR_HEADS = 10  # lines from which on there is room for heads of columns


class ErrorsPane(LinePane):
    NUMBER = 5
    TITLE = "Errors"

    BINDINGS = [
        Binding("enter", "open", "whole traceback", key_display="⏎", id="errors.open"),
        Binding("e", "app.edit", "editor", id="errors.edit"),
        Binding("Y", "copy", "copy traceback", id="errors.copy"),
        Binding("f", "fold", "framework frames", id="errors.fold"),
    ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._items: List[Error] = []
        self._trace: Lines = []
        self._trace_for: Tuple[Any, ...] = ()
        self._unfold = False
        self._newest: Optional[int] = None
        self._places: Dict[int, str] = {}  # by uid, as they are written
        self._place_cells = 0

    def version(self) -> Any:
        return (self.session.errors.revision, self.selected, self._unfold)

    def _settle(self) -> None:
        self._items = list(reversed(self.session.errors.items))
        newest = self._items[0].uid if self._items else None
        if newest != self._newest:  # what just broke is what one wants to see
            if self.selected in (None, self._newest):
                self.selected, self.top = newest, 0
                self.selection_changed()
            self._newest = newest
        self._places = {error.uid: self._place_of(error) for error in self._items}
        self._place_cells = max(map(cell_len, self._places.values()), default=0)
        error = self.selected_error()
        wanted = (error and (error.uid, error.count), self._unfold, self.size.width)
        if wanted != self._trace_for:
            self._trace_for = wanted
            self._trace = [] if error is None else raised_lines(
                self, error, self._unfold, self.size.width)
        super()._settle()

    def subject_of_selection(self) -> Any:
        return self.selected_error()

    def selected_error(self) -> Optional[Error]:
        return None if self.selected is None else self.session.errors.find(self.selected)

    # The list takes a third of the pane at most; below it is the traceback.

    def _list_height(self) -> int:
        room = self.size.height - self.titled
        return min(len(self._items), max(2, room // 3))

    @property
    def heads(self) -> int:
        return int(bool(self._items) and self.size.height - self.titled >= FOR_HEADS)

    @property
    def body_height(self) -> int:
        return max(1, self._list_height())

    def used_lines(self) -> int:
        return self.size.height

    def count(self) -> int:
        return len(self._items)

    def key_at(self, index: int) -> Any:
        return self._items[index].uid

    def empty_text(self) -> str:
        return "no errors: exceptions come here with their source, by the place they are from"

    def title_end(self) -> str:
        errors = self.session.errors
        if not errors.total:
            return ""
        return f"{errors.total:,} from {len(errors.items)} place" + (
            "" if len(errors.items) == 1 else "s")

    def render_line(self, y: int) -> Strip:
        line = y - self.titled - self.heads - self._list_height()
        if not self._items or line < 0:
            return super().render_line(y)
        width = self.size.width
        if line == 0:
            return strip_of(self._place_pieces(width), width, self.base_style)
        room = self.size.height - self.titled - self.heads - self._list_height() - 1
        if line == room and len(self._trace) > room:
            note = f" … {len(self._trace) - room + 1} more lines, ⏎ shows all"
            return strip_of([(note, self.style("dim"))], width, self.base_style)
        pieces = self._trace[line - 1] if line <= len(self._trace) else []
        return strip_of(pieces, width, self.base_style)

    def _place_pieces(self, width: int) -> Sequence[Piece]:
        """The rule above the traceback: of which request, since when, and the key."""
        error, line, dim = self.selected_error(), self.style("rule"), self.style("dim")
        if error is None:
            return [("─" * width, line)]
        end: List[Piece] = []
        if error.file:
            end = [(" e", self.style("key")), (" opens the editor ", dim)]
        where = f"{error.method} {error.path}" if error.path else error.where
        since = f" · first {text.clock(error.first_t)}" if error.count > 1 else ""
        left: List[Piece] = [("── ", line), (middle_cut(where, width // 2), self.style("strong")),
                             (f"{since} ", dim), ("─" * width, line)]
        return spread(left, end, width)

    def _place_of(self, error: Error) -> str:
        width = max(1, self.size.width // 3)
        where = error.place_in(self.session.folder) or (
            f"{error.method} {error.path}" if error.path else error.where)
        if error.file and len(where) > width:
            where = os.path.basename(where)  # the name of the file tells more than its folder
        return middle_cut(where, width)

    def _line(self, width: int, start: Sequence[Piece], trend: Piece, since: Piece,
              place: Piece) -> List[Piece]:
        """A line of the list, or its heads: what there is room for, each column in its place."""
        end: List[Piece] = [("  ", None), trend] if width >= 100 else []
        if width >= 76:
            end += [("  ", None), (fit(since[0], 7), since[1])]
        end += [("  ", None), (fit(place[0], self._place_cells), place[1]), (" ", None)]
        return spread(start, end, width)

    def head_pieces(self, line: int, width: int) -> Sequence[Piece]:
        head = self.style("head")
        when = f"{'LAST':<8} " if width >= 56 else ""
        return self._line(width, [(f" {when}TIMES ERROR", head)], ("10 MINUTES", head),
                          ("SINCE", head), ("WHERE", head))

    def pieces(self, index: int, width: int) -> Sequence[Piece]:
        """Type and text, how often and when, and where from; only the type is coloured."""
        error = self._items[index]
        dim = self.style("dim")
        chosen = error.uid == self.selected
        trend = error.trend(self.host.wall_clock(), TREND, TREND_SECONDS) if width >= 100 else []
        left: List[Piece] = [
            ("▌" if chosen else " ", self.style("key")),
            (f"{text.clock(error.t)} " if width >= 56 else "", dim),
            (fit(f"×{text.number(error.count)}" if error.count > 1 else "", 6),
             self.style("strong")),
            (error.type, self.style("failed")),
            (f": {error.text}" if error.text else "", self.style("text")),
        ]
        return self._line(
            width, left, (sparkline(trend, TREND), self.style("second")),
            (f"gen {error.first_gen}" if error.first_gen else "", dim),
            (self._places[error.uid], self.style("link" if error.file else "dim")))

    def body_index(self, y: int) -> Optional[int]:
        line = y - self.titled - self.heads
        return super().body_index(y) if 0 <= line < self._list_height() else None

    def on_show(self) -> None:
        self.session.errors.seen()

    def refuses(self, action: str) -> bool:
        return action in ("open", "copy", "fold") and self.selected_error() is None

    def action_open(self) -> None:
        if self.selected is not None:
            self.post_message(self.Selected(self))

    def action_fold(self) -> None:
        self._unfold = not self._unfold
        self.redraw()

    def action_copy(self) -> None:
        error = self.selected_error()
        if error is not None:
            copy(self.host, "\n".join(error.traceback), "traceback")
