"""The throttle control: presets at a key press, sliders, numbers of one's own, any scope.

Shows the value that the server says is in force; a key sends a wish at once, and the display
follows when the acknowledgement comes.
"""

from typing import Any, Dict, List, Optional, Sequence, Tuple

from textual import events
from textual.binding import Binding

from ..draw import Piece, fit, right, sparkline, spread
from ..model import text
from ..model import throttling as model
from .lines import LinePane

ROOMY = 12  # lines from which on there is room for one slider a line, and the plots


class ThrottlePane(LinePane):
    NUMBER = 7
    TITLE = "Throttle"
    SELECTABLE = False

    BINDINGS = [
        Binding("left,h", "step(-1)", "slower/less", show=False, id="throttle.less"),
        Binding("right,l", "step(1)", "faster/more", show=False, id="throttle.more"),
        Binding("shift+left,H", "step(-5)", "much less", show=False, id="throttle.much_less"),
        Binding("shift+right,L", "step(5)", "much more", show=False, id="throttle.much_more"),
        Binding("up,k", "row(-1)", "row above", show=False, id="throttle.up"),
        Binding("down,j", "row(1)", "row below", show=False, id="throttle.down"),
        Binding("enter,i", "own", "own numbers", key_display="⏎", id="throttle.own"),
        Binding("s", "scope(1)", "scope", id="throttle.scope"),
        Binding("0", "off", "off", id="throttle.off"),
        Binding("escape", "app.close_throttle", "close", key_display="Esc",
                id="throttle.close"),
    ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.scope = model.ALL
        self.route: Optional[str] = None
        self.connection: Optional[Tuple[int, int]] = None
        self.row = 0  # 0 presets, 1 scope, then the sliders
        self._zones: Dict[int, List[Tuple[int, int, str, Any]]] = {}
        self._body: List[Sequence[Piece]] = []

    # -- what is shown

    def version(self) -> Any:
        session = self.session
        plotted: Tuple[int, ...] = ()
        if self.size.height - self.titled >= ROOMY:
            plotted = (round(session.totals.out_rate), round(session.totals.in_rate))
        return (session.throttling.revision, session.commands.revision, self.scope, self.row,
                plotted, self.size.width, self.size.height)

    def count(self) -> int:
        return len(self._body)

    def pieces(self, index: int, width: int) -> Sequence[Piece]:
        return self._body[index]

    def _settle(self) -> None:
        self._body = self._lines(self.size.width)
        super()._settle()

    def title_end(self) -> str:
        return self._state_words()[0]

    def choices(self) -> List[str]:
        return model.scope_choices(self.route, self.connection, self.session.throttling.force)

    def _state_words(self) -> Tuple[str, str]:
        """What became of the last wish, and its colour."""
        commands = self.session.commands
        if any(command.name == "throttle" for command in commands.pending.values()):
            return "applying…", "warning"
        last = commands.last
        if last is not None and last.name == "throttle":
            if last.ok:
                return f"applied in {last.took * 1000:.0f} ms", "good"
            return f"refused: {last.error}", "error"
        return "", "dim"

    def _lines(self, width: int) -> List[Sequence[Piece]]:
        room = self.size.height - self.titled
        self._zones = {}
        lines: List[Sequence[Piece]] = [self._preset_line(0, width)]
        across = 3 if width >= 132 else 2 if width >= 70 else 1
        lines.append(self._scope_line(1, width))
        if room >= ROOMY:
            lines.append([])
            across = 1
        for start in range(0, len(model.SLIDERS), across):
            lines.append(self._slider_line(len(lines), start, across, width))
        if room >= ROOMY:
            lines += [[], *self._measured(width)]
        return lines

    def _mark(self, row: int) -> Piece:
        on = row == self.row and self.has_focus
        return ("▌" if on else " ", self.style("accent"))

    def _preset_line(self, line: int, width: int) -> Sequence[Piece]:
        """As many presets as fit, around the one in force."""
        current = model.preset_of(self.session.throttling.at(self.scope))
        names = model.preset_names()
        labels = [model.label_of(name) for name in names]
        if current == model.CUSTOM:
            names.append(current)
            labels.append("own")
        at = names.index(current)
        first, last = at, at
        used = len(labels[at]) + 2
        limit = width - 16
        while True:
            grown = False
            for nearer in (last + 1, first - 1):
                if 0 <= nearer < len(names) and used + len(labels[nearer]) + 3 <= limit:
                    used += len(labels[nearer]) + 3
                    first, last = min(first, nearer), max(last, nearer)
                    grown = True
            if not grown:
                break
        pieces: List[Piece] = [self._mark(0), ("preset   ", self.style("dim")),
                               ("‹ " if first > 0 else "  ", self.style("faint"))]
        column = sum(len(part) for part, _ in pieces)
        for index in range(first, last + 1):
            chosen = index == at
            label = f"▸{labels[index]}" if chosen else labels[index]
            kind = "dim" if not chosen else "good" if names[index] == "off" else "warning"
            pieces.append((label, self.style(kind) + self.style("strong") if chosen
                           else self.style(kind)))
            self._zone(line, column, len(label), "preset", names[index])
            column += len(label)
            if index < last:
                pieces.append((" │ ", self.style("faint")))
                column += 3
        pieces.append((" ›" if last < len(names) - 1 else "", self.style("faint")))
        return pieces

    def _scope_line(self, line: int, width: int) -> Sequence[Piece]:
        pieces: List[Piece] = [self._mark(1), ("scope      ", self.style("dim"))]
        column = sum(len(part) for part, _ in pieces)
        for index, scope in enumerate(self.choices()):
            if index:
                pieces.append((" │ ", self.style("faint")))
                column += 3
            label = ("▸" if scope == self.scope else "") + fit(
                model.scope_label(scope), min(24, len(model.scope_label(scope))))
            on = scope in self.session.throttling.force
            kind = "warning" if on else "accent" if scope == self.scope else "dim"
            pieces.append((label, self.style(kind)))
            self._zone(line, column, len(label), "scope", scope)
            column += len(label)
        words, kind = self._state_words()
        force = model.describe(self.session.throttling.at(self.scope))
        end: List[Piece] = [("in force: ", self.style("dim")),
                            (force, self.style("strong")), (" ", None)]
        if words and not self.titled:
            end += [("· " + words + " ", self.style(kind))]
        return spread(pieces, end, width)

    def _slider_line(self, line: int, start: int, across: int, width: int) -> Sequence[Piece]:
        throttle = self.session.throttling.at(self.scope)
        pieces: List[Piece] = []
        column = 0
        cell = width // across
        for offset, slider in enumerate(model.SLIDERS[start:start + across]):
            place = model.position(slider, throttle)
            scale = max(8, min(52, cell - 24))
            knob = min(scale - 1, round(place / slider.steps * (scale - 1)))
            value = _value_words(slider, throttle)
            idle = value in ("no limit", "0", "0%")
            kind = "dim" if idle else "warning"
            left = [self._mark(2 + start + offset), (fit(slider.label, 8), self.style("dim"))]
            used = sum(len(part) for part, _ in left)
            self._zone(line, column + used, scale, "slider", (slider, scale))
            left += [("─" * knob, self.style("faint" if idle else "second")),
                     ("●", self.style(kind if idle else "accent")),
                     ("─" * (scale - knob - 1), self.style("faint")),
                     (" " + fit(value, 13), self.style(kind))]
            used += scale + 14
            pieces += left + [(" " * max(0, cell - used), None)]
            column += max(cell, used)
        return pieces

    def _measured(self, width: int) -> List[Sequence[Piece]]:
        totals, dim = self.session.totals, self.style("dim")
        plot = max(10, min(60, width - 44))
        lines: List[Sequence[Piece]] = []
        for name, rate, history in (("down", totals.out_rate, totals.out_history),
                                    ("up", totals.in_rate, totals.in_history)):
            lines.append([
                (f" {name} now ".ljust(12), dim),
                (sparkline(history, plot), self.style("second")),
                (right(model.bits(rate) if rate >= 1 else "–", 14), self.style("text")),
                (right(text.rate(rate), 12), dim)])
        return lines

    # -- keys

    def action_row(self, step: int) -> None:
        self.row = (self.row + step) % (2 + len(model.SLIDERS))
        self.redraw()

    def action_step(self, step: int) -> None:
        base = self.session.wanted_throttle(self.scope)
        if self.row == 0:
            self.wish(model.stepped(base, 1 if step > 0 else -1))
        elif self.row == 1:
            self.action_scope(1 if step > 0 else -1)
        else:
            self.wish(model.moved(base, model.SLIDERS[self.row - 2], step))

    def action_scope(self, step: int) -> None:
        choices = self.choices()
        index = choices.index(self.scope) if self.scope in choices else 0
        self.scope = choices[(index + step) % len(choices)]
        self.redraw()

    def action_off(self) -> None:
        self.wish(model.OFF)

    async def action_own(self) -> None:
        await self.app.ask_throttle(self.scope)  # type: ignore[attr-defined]

    def wish(self, throttle: model.Throttle) -> None:
        """Send the wish; what is shown changes when the server confirms it."""
        self.session.wish_throttle(self.scope, throttle)
        self.redraw()

    # -- mouse

    def _zone(self, line: int, column: int, width: int, kind: str, value: Any) -> None:
        self._zones.setdefault(line, []).append((column, column + width, kind, value))

    def on_click(self, event: events.Click) -> None:
        for start, end, kind, value in self._zones.get(event.y - self.titled + self.top, ()):
            if not start <= event.x < end:
                continue
            if kind == "preset" and value != model.CUSTOM:
                self.wish(model.PRESETS[value])
            elif kind == "scope":
                self.scope = value
                self.redraw()
            elif kind == "slider":
                slider, scale = value
                place = round((event.x - start) / (scale - 1) * slider.steps)
                self.row = 2 + model.SLIDERS.index(slider)
                base = self.session.wanted_throttle(self.scope)
                self.wish(model.with_value(base, slider, model.value_at(slider, place)))
            return


def _value_words(slider: model.Slider, throttle: model.Throttle) -> str:
    value = getattr(throttle, slider.field)
    if slider.unlimited:
        return model.bits(value)
    if slider.field in ("latency", "jitter"):
        return f"{value * 1000:.0f} ms" if value else "0"
    words = f"{value * 100:.3g}%"
    if value and slider.field == "error_rate":
        return f"{words} → {throttle.error_status}"
    return words
