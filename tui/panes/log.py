"""What the application wrote, line by line, in its own colours."""

from typing import Any, Dict, List, Sequence, Tuple

from rich.style import Style
from textual.binding import Binding
from textual.geometry import Region

from tremolo.telemetry.filters import words_of

from ..draw import Piece, fit, found_in, spread, wrapped_pieces
from ..model import text
from ..model.logs import LogLine
from .lines import LinePane

_LEVELS = {"debug": "dim", "info": "dim", "warning": "warning", "error": "error",
           "critical": "error"}
_SHORT = {"debug": "debug", "warning": "warn", "critical": "fatal"}
_EFFECTS = {1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "reverse"}
_COLOURS = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")


class LogPane(LinePane):
    NUMBER = 4
    COLOURED = True
    TITLE = "Log"
    FOLLOWS = True
    SUBJECT = LogLine

    BINDINGS = [
        Binding("slash", "app.filter", "search", key_display="/", id="log.search"),
        Binding("v", "level", "level", id="log.level"),
        Binding("z", "wrap", "wrap", id="log.wrap"),
        Binding("enter", "open", "whole line", key_display="⏎", id="log.open"),
        Binding("p", "only_worker", "only this worker; and back", show=False, id="log.worker"),
        Binding("c", "clear", "clear", id="log.clear"),
    ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._view: List[LogLine] = []
        self._sgr: Dict[str, Style] = {}
        self._words: List[str] = []
        self.wrap = False
        self._parts: List[Tuple[int, int]] = []  # of a wrapped view: line and which part of it
        self._wrapped: Dict[Tuple[int, int], List[List[Piece]]] = {}

    @property
    def heads(self) -> int:
        return 0 if self.titled else 1

    def version(self) -> Any:
        return (self.session.log.revision, self.follow, self.selected, self.wrap)

    def _settle(self) -> None:
        log = self.session.log
        self._view = log.view()
        self._words = words_of(log.search_text)
        if self.wrap:
            width = max(10, self.size.width - 1)
            self._parts = [(index, part) for index, line in enumerate(self._view)
                           for part in range(len(self._lines_of(line, width)))]
        super()._settle()

    def count(self) -> int:
        return len(self._parts) if self.wrap else len(self._view)

    def line_at(self, index: int) -> LogLine:
        return self._view[self._parts[index][0] if self.wrap else index]

    def key_at(self, index: int) -> Any:
        return self.line_at(index).uid

    def index_of(self, key: Any) -> Any:
        low, high = 0, self.count()
        while low < high:
            middle = (low + high) // 2
            if self.line_at(middle).uid < key:
                low = middle + 1
            else:
                high = middle
        return low if low < self.count() and self.line_at(low).uid == key else None

    def cache_key(self, index: int) -> Any:
        part = self._parts[index][1] if self.wrap else -1
        return (self.line_at(index).uid, part, tuple(self._words))

    def subject_of_selection(self) -> Any:
        return self.selected_line()

    def selected_line(self) -> Any:
        index = self.selected_index()
        return None if index is None else self.line_at(index)

    def empty_lines(self, width: int) -> Sequence[Sequence[Piece]]:
        dim, key = self.style("dim"), self.style("key")
        log = self.session.log
        if log.search_text or log.threshold:
            return [[(f" none of {len(log.lines):,} lines; ", dim), ("Esc", key),
                     (" ends the search, ", dim), ("v", key), (" changes the level", dim)]]
        return [[(" nothing written yet: what print() and logging say comes here", dim)]]

    # -- drawing

    def title_end(self) -> str:
        return " · ".join(words for words, _ in self._state())

    def _state(self) -> List[Tuple[str, str]]:
        log = self.session.log
        state = []
        if log.search_text or self.typing:
            if not self.typing:
                state.append((f"/{log.search_text}", "query"))
            state.append((f"{len(self._view):,} of {len(log.lines):,}", "dim"))
        missing = log.left_out + log.forgotten
        if missing and not log.search_text:
            state.append((f"{missing:,} older lines left out", "dim"))
        if log.threshold:
            state.append((log.threshold_name, "query"))
        if self.wrap:
            state.append(("wrapped", "dim"))
        state.append(("FOLLOW", "good") if self.follow else ("G follows", "dim"))
        return state

    def head_pieces(self, line: int, width: int) -> Sequence[Piece]:
        end: List[Piece] = []
        for words, kind in self._state():
            end += [(words, self.style(kind)), ("  ", None)]
        left = "search " if self.typing else "all lines" if not (
            self.session.log.search_text or self.session.log.threshold) else "lines"
        return spread([(" " + left, self.style("dim"))], end, width)

    def entry_region(self) -> Region:
        region, start = self.region, 13 if self.titled else 8
        return Region(region.x + start, region.y,
                      max(10, min(region.width - start - 26, 48)), 1)

    def pieces(self, index: int, width: int) -> Sequence[Piece]:
        line = self.line_at(index)
        if self.wrap:
            parts, part = self._lines_of(line, width), self._parts[index][1]
            pieces: Sequence[Piece] = parts[part] if part < len(parts) else ()
        else:
            pieces = self._whole(line, width)
        if line.uid == self.selected and pieces:
            return [("▌", self.style("key")), *pieces[1:]]
        return pieces

    def _lines_of(self, line: LogLine, width: int) -> List[List[Piece]]:
        found = self._wrapped.get((line.uid, width))
        if found is None:
            if len(self._wrapped) > 8_000:
                self._wrapped.clear()
            start = 35 if width >= 90 else 16
            found = wrapped_pieces(self._whole(line, width), width, start)
            self._wrapped[line.uid, width] = found
        return found

    def _whole(self, line: LogLine, width: int) -> List[Piece]:
        dim = self.style("dim")
        pieces: List[Piece] = [(" ", None)]
        if line.first:
            pieces += [(text.clock(line.t, fraction=width >= 90), dim), (" ", None)]
            kind = self.style(_LEVELS.get(line.level, "dim"))
            pieces += [(fit(_SHORT.get(line.level, line.level), 5), kind), (" ", None)]
            if width >= 90:
                pieces += [(fit(line.name or line.stream, 14), dim), (" ", None)]
            elif line.stream in ("companion", "browser"):  # nothing else says whose it is
                pieces += [(f"{line.name} | ", dim)]
        else:
            pieces.append((" " * (35 if width >= 90 else 15), None))
        loud = "error" if line.rank >= 40 else "warning"
        base = self.style(loud if line.rank >= 30 else "text")
        words: List[Piece] = [(run, base + self._colour(codes) if codes else base)
                              for codes, run in text.colour_runs(line.raw)]
        if self._words:
            words = found_in(words, self._words, self.style("found"))
        return pieces + words

    def _colour(self, codes: str) -> Style:
        found = self._sgr.get(codes)
        if found is None:
            if len(self._sgr) > 256:
                self._sgr.clear()
            found = self._sgr[codes] = sgr_style(codes)
        return found

    def refuses(self, action: str) -> bool:
        return action in ("open", "clear") and not self.count()

    def action_level(self) -> None:
        self.session.log.cycle_threshold()
        self.selected = None
        self.redraw()

    def action_wrap(self) -> None:
        self.wrap = not self.wrap
        self._cache.clear()
        self.redraw()

    def action_only_worker(self) -> None:
        """Only what the worker of the selected line wrote; again: all of them."""
        line, log = self.selected_line(), self.session.log
        if log.search_text.startswith("pid:"):
            log.search("")
        elif line is None:
            self.session.notify("select a line first, then p shows its worker's only", "warning")
        else:
            log.search(f"pid:{line.pid}")
        self.redraw()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._wrapped.clear()

    def action_clear(self) -> None:
        self.session.log.clear()
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
