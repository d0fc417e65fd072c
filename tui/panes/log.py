"""What the application wrote, line by line, in its own colours."""

from typing import Any, Dict, List, Sequence

from rich.style import Style
from textual.binding import Binding

from ..draw import Piece, fit
from ..model import text
from ..model.logs import LogLine
from .lines import LinePane

_LEVELS = {"debug": "faint", "info": "dim", "warning": "warning", "error": "error",
           "critical": "error"}
_SHORT = {"debug": "debug", "warning": "warn", "critical": "fatal"}
_EFFECTS = {1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "reverse"}
_COLOURS = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")


class LogPane(LinePane):
    NUMBER = 4
    TITLE = "Log"
    FOLLOWS = True

    BINDINGS = [
        Binding("v", "level", "level", id="log.level"),
        Binding("enter", "open", "whole line", key_display="⏎", id="log.open"),
        Binding("c", "clear", "clear", id="log.clear"),
    ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._view: List[LogLine] = []
        self._sgr: Dict[str, Style] = {}

    def version(self) -> Any:
        return (self.session.log.revision, self.follow, self.selected)

    def _settle(self) -> None:
        self._view = self.session.log.view()
        super()._settle()

    def count(self) -> int:
        return len(self._view)

    def key_at(self, index: int) -> Any:
        return self._view[index].uid

    def index_of(self, key: Any) -> Any:
        low, high = 0, len(self._view)
        while low < high:
            middle = (low + high) // 2
            if self._view[middle].uid < key:
                low = middle + 1
            else:
                high = middle
        return low if low < len(self._view) and self._view[low].uid == key else None

    def cache_key(self, index: int) -> Any:
        return self._view[index].uid

    def selected_line(self) -> Any:
        index = self.selected_index()
        return None if index is None else self._view[index]

    def empty_text(self) -> str:
        return "nothing written yet"

    def title_end(self) -> str:
        return self.session.log.threshold_name + (" · FOLLOW" if self.follow else "")

    def pieces(self, index: int, width: int) -> Sequence[Piece]:
        line = self._view[index]
        dim = self.style("dim")
        chosen = line.uid == self.selected
        pieces: List[Piece] = [("▌" if chosen else " ", self.style("accent"))]
        if line.first:
            pieces += [(text.clock(line.t, fraction=width >= 90), dim), (" ", None)]
            kind = self.style(_LEVELS.get(line.level, "dim"))
            pieces += [(fit(_SHORT.get(line.level, line.level), 5), kind), (" ", None)]
            if width >= 90:
                pieces += [(fit(line.name or line.stream, 14), dim), (" ", None)]
        else:
            pieces.append((" " * (35 if width >= 90 else 16), None))
        loud = "error" if line.rank >= 40 else "warning"
        base = self.style(loud if line.rank >= 30 else "text")
        for codes, run in text.colour_runs(line.raw):
            pieces.append((run, base + self._colour(codes) if codes else base))
        return pieces

    def _colour(self, codes: str) -> Style:
        found = self._sgr.get(codes)
        if found is None:
            if len(self._sgr) > 256:
                self._sgr.clear()
            found = self._sgr[codes] = sgr_style(codes)
        return found

    def action_level(self) -> None:
        self.session.log.cycle_threshold()
        self.selected = None
        self.redraw()

    def action_clear(self) -> None:
        self.session.log.lines.clear()
        self.session.log.revision += 1
        self.selected = None
        self.follow = True
        self.redraw()

    def action_open(self) -> None:
        if self.selected is None and self.count():
            self.action_move(-1)
        if self.selected is not None:
            self.post_message(self.Selected(self))


def sgr_style(codes: str) -> Style:
    """A style for SGR parameters: the 16 colours, bold, dim, italic, underline, reverse."""
    values: Dict[str, Any] = {}
    numbers = [int(code) for code in codes.replace(":", ";").split(";") if code.isdigit()]
    position = 0
    while position < len(numbers):
        code = numbers[position]
        position += 1
        if code == 0:
            values.clear()
        elif code in _EFFECTS:
            values[_EFFECTS[code]] = True
        elif 30 <= code <= 37:
            values["color"] = _COLOURS[code - 30]
        elif 90 <= code <= 97:
            values["color"] = "bright_" + _COLOURS[code - 90]
        elif code == 39:
            values.pop("color", None)
        elif code in (38, 48) and numbers[position:position + 1] == [5]:
            if code == 38 and position + 1 < len(numbers) and numbers[position + 1] < 256:
                values["color"] = f"color({numbers[position + 1]})"
            position += 2
        elif code in (38, 48) and numbers[position:position + 1] == [2]:
            rgb = numbers[position + 1:position + 4]
            if code == 38 and len(rgb) == 3 and max(rgb) < 256:
                values["color"] = "#{:02x}{:02x}{:02x}".format(*rgb)
            position += 4
    return Style(**values)
