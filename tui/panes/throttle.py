"""The throttle control: presets at a key press, sliders, numbers of one's own, any scope.

Shows the value that the server says is in force; a key sends a wish at once, and the display
follows when the acknowledgement comes. Beside it what really passes.
"""

from typing import Any, Dict, List, Optional, Sequence, Tuple

from textual import events
from textual.binding import Binding

from tremolo.scope import Scope

from ..draw import Piece, fit, spread
from ..model import scopes
from ..model import throttling as model
from ..model.traffic import Row
from .lines import LinePane
from .measured import Measured, cells

ROOMY = 13  # lines from which on the plots stand below the sliders
PLOTS = 62  # columns for the plots where they stand beside them


class ThrottlePane(LinePane):
    NUMBER = 7
    TITLE = "Throttle"
    SELECTABLE = False

    BINDINGS = [
        Binding("left,h", "step(-1)", "less", key_display="←", id="throttle.less"),
        Binding("right,l", "step(1)", "more", key_display="→", id="throttle.more"),
        Binding("shift+left,H", "step(-5)", "much less", show=False, id="throttle.much_less"),
        Binding("shift+right,L", "step(5)", "much more", show=False, id="throttle.much_more"),
        Binding("up,k", "row(-1)", "row above", show=False, id="throttle.up"),
        Binding("down,j", "row(1)", "row below", show=False, id="throttle.down"),
        Binding("enter,i", "own", "own numbers", key_display="⏎", id="throttle.own"),
        Binding("s", "scope(1)", "scope", id="throttle.scope"),
        Binding("S", "type_scope", "type a scope: /api/*, client:10.0.0.7, #88, total",
                show=False, id="throttle.type_scope"),
        Binding("0", "off", "off", id="throttle.off"),
        Binding("escape", "app.close_throttle", "close", key_display="Esc",
                id="throttle.close"),
    ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.scope: Scope = model.EVERYTHING
        self.route: Optional[str] = None
        self.connection: Optional[Tuple[int, int]] = None
        self.client: Optional[Scope] = None
        self.row = 0  # 0 presets, 1 scope, then the sliders
        self._zones: Dict[int, List[Tuple[int, int, str, Any]]] = {}
        self._body: List[Sequence[Piece]] = []
        self._measured = Measured(self)
        self._dragged: Optional[Tuple[int, model.Slider, int, int]] = None

    # -- what is shown

    def version(self) -> Any:
        session = self.session
        return (session.throttling.revision, session.commands.revision, self.scope, self.row,
                self._measured.mark(), self.has_focus, self.size.width, self.size.height)

    def learn(self, row: Row) -> None:
        """Scopes are offered for what was selected last."""
        path = row.route or row.path.split("?", 1)[0]
        self.route = path if path.startswith("/") and "…" not in path else None
        self.connection = (row.pid, row.conn)
        self.client = Scope.of_peer(row.peer)

    def unusual(self) -> bool:
        return self.session.throttling.active

    def condensed_pieces(self, width: int) -> Sequence[Piece]:
        """Nothing is throttled: what passes, and the key."""
        dim = self.style("dim")
        left: List[Piece] = [("─", self.style("rule")), (f" {self.NUMBER} ", dim),
                             (self.TITLE, self.style("title")), ("   off   ", dim)]
        measured = self._measured.short(min(84, width - 34))
        end: List[Piece] = [("t", self.style("key")), (" slows the network ", dim)]
        return spread([*left, *measured], end, width)

    def count(self) -> int:
        return len(self._body)

    def pieces(self, index: int, width: int) -> Sequence[Piece]:
        return self._body[index]

    def _settle(self) -> None:
        self._body = self._lines(max(20, self.size.width - 1))
        super()._settle()

    def title_end(self) -> str:
        return self._state_words()[0]

    def choices(self) -> List[Scope]:
        found = scopes.choices(self.route, self.connection, self.client,
                               self.session.throttling.table)
        return found if self.scope in found else [*found, self.scope]

    def _state_words(self) -> Tuple[str, str]:
        """What became of the last wish, and its colour."""
        commands = self.session.commands
        if any(command.name == "throttle" for command in commands.pending.values()):
            return "applying…", "warning"
        last = commands.last_throttle
        if last is not None:
            if last.ok:
                return f"applied in {last.took * 1000:.0f} ms", "good"
            return f"refused: {last.error}", "error"
        return "", "dim"

    def _lines(self, width: int) -> List[Sequence[Piece]]:
        room = self.size.height - self.titled
        self._zones = {}
        if room >= ROOMY:
            return self._tall(width, room)
        beside = width >= 132 and room >= 5
        across = width - PLOTS - 2 if beside else width
        lines: List[Sequence[Piece]] = [self._preset_line(0, across),
                                        self._scope_line(1, across)]
        lines += self._sliders(2, across, room - 2 - (not beside))
        if not beside:
            return [*lines, self._measured.short(width)]
        plots = self._measured.plots(PLOTS, room)
        rule: Piece = (" │ ", self.style("faint"))
        lines += [[]] * (room - len(lines))
        return [[*_exactly(left, across), rule, *right]
                for left, right in zip(lines, plots)]

    def _tall(self, width: int, room: int) -> List[Sequence[Piece]]:
        lines: List[Sequence[Piece]] = [self._preset_line(0, width),
                                        self._scope_line(1, width), []]
        lines += self._sliders(3, width, 9)
        left = min(18, room - len(lines) - 1)
        return [*lines, [], *self._measured.plots(width, left)]

    def _sliders(self, line: int, width: int, room: int) -> List[Sequence[Piece]]:
        """As many lines of sliders as there is room for, with the chosen one among them."""
        across = 3 if width >= 93 else 2 if width >= 66 else 1
        starts = list(range(0, len(model.SLIDERS), across))
        chosen = max(0, self.row - 2) // across
        first = max(0, min(chosen - room + 1, len(starts) - room)) if room > 0 else 0
        return [self._slider_line(line + index, start, across, width)
                for index, start in enumerate(starts[first:first + max(0, room)])]

    def _mark(self, row: int) -> Piece:
        on = row == self.row and self.has_focus
        return ("▌" if on else " ", self.style("key"))

    def _preset_line(self, line: int, width: int) -> Sequence[Piece]:
        """As many presets as fit, around the one in force."""
        current = model.preset_of(self.session.throttling.at(self.scope))
        names = model.preset_names()
        labels = [model.label_of(name) for name in names]
        if current == model.CUSTOM:
            names.append(current)
            labels.append("own")
        at = names.index(current)
        first, last = _around(labels, at, width - 14)
        pieces: List[Piece] = [self._mark(0), ("preset ", self.style("dim")),
                               ("‹ " if first > 0 else "  ", self.style("faint"))]
        column = cells(pieces)
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
        choices = self.choices()
        labels = [fit(label, min(24, len(label))) for label in (scope.label for scope in choices)]
        end = self._force_pieces(width - 14 - len(labels[choices.index(self.scope)]))
        first, last = _around(labels, choices.index(self.scope), width - cells(end) - 13)
        pieces: List[Piece] = [self._mark(1), ("scope  ", self.style("dim")),
                               ("‹ " if first else "  ", self.style("faint"))]
        column = cells(pieces)
        for index in range(first, last + 1):
            scope = choices[index]
            if index > first:
                pieces.append((" │ ", self.style("faint")))
                column += 3
            label = ("▸" if scope == self.scope else "") + labels[index]
            on = scope in self.session.throttling.table
            kind = "warning" if on else "strong" if scope == self.scope else "dim"
            pieces.append((label, self.style(kind)))
            self._zone(line, column, len(label), "scope", scope)
            column += len(label)
        pieces.append((" ›" if last < len(choices) - 1 else "", self.style("faint")))
        return spread(pieces, end, width)

    def _force_pieces(self, room: int) -> List[Piece]:
        """What the chosen number means; else what the server says is in force for the scope.
        Nothing without room for that."""
        words, kind = self._state_words()
        if self.has_focus and self.row > 1 and kind != "error":
            slider = model.SLIDERS[self.row - 2]
            meaning: List[Piece] = [(f" {slider.label}: ", self.style("strong")),
                                    (f"{slider.meaning} ", self.style("dim"))]
            if cells(meaning) <= room:
                return meaning
        force = self.session.throttling.table.get(self.scope)
        around = self.session.throttling.force.get(model.EVERYTHING)
        if force is None and self.scope != model.EVERYTHING and around is not None:
            named = f"as all: {model.describe(around)}"
        elif force is not None and not force.active:
            named = "off, whatever all has"
        else:
            named = model.describe(force or model.OFF)
        end: List[Piece] = [(" in force: ", self.style("dim")),
                            (named, self.style("strong")), (" ", None)]
        if words and not self.titled and cells(end) + len(words) + 3 <= room:
            end += [("· " + words + " ", self.style(kind))]
        return end if cells(end) <= room else []

    def _slider_line(self, line: int, start: int, across: int, width: int) -> Sequence[Piece]:
        throttle = self.session.throttling.at(self.scope)
        pieces: List[Piece] = []
        cell = width // across
        for offset, slider in enumerate(model.SLIDERS[start:start + across]):
            column = offset * cell
            place = model.position(slider, throttle)
            scale = max(6, min(52, cell - 23))
            knob = min(scale - 1, round(place / slider.steps * (scale - 1)))
            value = model.value_words(slider, throttle)
            idle = value in ("no limit", "0", "0%", "never")
            kind = "dim" if idle else "warning"
            chosen = self.row == 2 + start + offset and self.has_focus
            left = [self._mark(2 + start + offset),
                    (fit(slider.label, 8), self.style("strong" if chosen else "dim"))]
            used = cells(left)
            self._zone(line, column + used, scale, "slider", (slider, scale))
            left += [("━" * knob, self.style("faint" if idle else "second")),
                     ("●", self.style(kind)),
                     ("─" * (scale - knob - 1), self.style("faint")),
                     (" " + fit(value, 13), self.style(kind))]
            pieces += left + [(" " * max(0, cell - used - scale - 14), None)]
        return pieces

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
        if self.row == 1:
            await self.host.ask_scope()
        else:
            await self.host.ask_throttle(self.scope)

    async def action_type_scope(self) -> None:
        await self.host.ask_scope()

    def choose_scope(self, scope: Scope) -> None:
        """What the keys act on from now on."""
        self.scope = scope
        self.redraw()

    def wish(self, throttle: model.Throttle) -> None:
        """Send the wish; what is shown changes when the server confirms it."""
        self.session.wish_throttle(self.scope, throttle)
        self.redraw()

    # -- mouse

    def _zone(self, line: int, column: int, width: int, kind: str, value: Any) -> None:
        self._zones.setdefault(line, []).append((column, column + width, kind, value))

    def _zone_at(self, x: int, y: int) -> Optional[Tuple[int, str, Any]]:
        for start, end, kind, value in self._zones.get(y - self.titled + self.top, ()):
            if start <= x < end:
                return start, kind, value
        return None

    def on_click(self, event: events.Click) -> None:
        zone = self._zone_at(event.x, event.y)
        if zone is None:
            return
        _, kind, value = zone
        if kind == "preset" and value != model.CUSTOM:
            self.row = 0
            self.wish(model.PRESETS[value])
        elif kind == "scope":
            self.row = 1
            self.scope = value
            self.redraw()

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Press on a slider's scale, and drag."""
        zone = self._zone_at(event.x, event.y)
        if zone is not None and zone[1] == "slider":
            slider, scale = zone[2]
            self.row = 2 + model.SLIDERS.index(slider)
            self._dragged = (zone[0], slider, scale, -1)
            self.capture_mouse()
            self._drag(event.x)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self._dragged is not None:
            self._drag(event.x)

    def on_mouse_up(self, event: events.MouseUp) -> None:
        if self._dragged is not None:
            self._dragged = None
            self.release_mouse()

    def _drag(self, x: int) -> None:
        if self._dragged is None:
            return
        start, slider, scale, before = self._dragged
        place = round(max(0, min(scale - 1, x - start)) / (scale - 1) * slider.steps)
        if place == before:
            return
        self._dragged = (start, slider, scale, place)
        base = self.session.wanted_throttle(self.scope)
        self.wish(model.with_value(base, slider, model.value_at(slider, place)))

    def _wheel(self, event: events.MouseEvent, step: int) -> bool:
        zone = self._zone_at(int(event.x), int(event.y))
        if zone is None or zone[1] != "slider":
            return False
        event.stop()
        self.row = 2 + model.SLIDERS.index(zone[2][0])
        self.action_step(step)
        return True

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self._wheel(event, -1)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self._wheel(event, 1)


def _around(labels: Sequence[str], at: int, limit: int) -> Tuple[int, int]:
    """The first and the last of as many labels around the one `at` as fit."""
    first, last = at, at
    used = len(labels[at]) + 2
    while True:
        grown = False
        for nearer in (last + 1, first - 1):
            if 0 <= nearer < len(labels) and used + len(labels[nearer]) + 3 <= limit:
                used += len(labels[nearer]) + 3
                first, last = min(first, nearer), max(last, nearer)
                grown = True
        if not grown:
            return first, last


def _exactly(pieces: Sequence[Piece], width: int) -> List[Piece]:
    """`pieces` filled up to `width` cells."""
    return spread(pieces, (), width)
