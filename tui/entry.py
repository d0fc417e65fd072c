"""The one-line entry, which lies over the line that shows what is typed; made after the first
paint."""

from typing import Any, Callable, List, Optional

from rich.highlighter import Highlighter
from rich.text import Text
from textual import events
from textual.binding import Binding
from textual.geometry import Region
from textual.widgets import Input

History = List[str]


class Mistake(Highlighter):
    """Underlines the text from the place on where it is wrong."""

    place: Optional[int] = None

    def highlight(self, text: Text) -> None:
        if self.place is not None:
            text.stylize("underline", min(self.place, max(0, len(text) - 1)))


class Entry(Input):
    """`changed(text)` on each key, `finished(text, accepted)` once; up and down recall."""

    BINDINGS = [
        Binding("enter", "submit", "accept", key_display="⏎"),
        Binding("escape", "cancel", "cancel", key_display="Esc", priority=True),
        Binding("up", "recall(-1)", "earlier ones", key_display="↑"),
        Binding("down", "recall(1)", "later", show=False),
    ]

    def __init__(self, **kwargs: Any) -> None:
        self.mistake = Mistake()
        super().__init__(select_on_focus=False, highlighter=self.mistake, **kwargs)
        self.cursor_blink = False
        self.display = False
        self._history: History = []
        self._place = 0
        self._where: Callable[[], Region] = Region
        self._changed: Callable[[str], None] = lambda value: None
        self._finished: Callable[[str, bool], Any] = lambda value, accepted: None

    def ask(self, value: str, placeholder: str, history: History, where: Callable[[], Region],
            changed: Callable[[str], None], finished: Callable[[str, bool], Any]) -> None:
        """Show the entry over the region `where()` of the screen, and give it the keys, from
        the very next one on."""
        self._history, self._place = history, len(history)
        self._changed, self._finished = changed, finished
        self._where = where
        self.mistake.place = None
        self.placeholder = placeholder
        self.value = value
        self.cursor_position = len(value)
        self.settle()
        self.call_after_refresh(self.settle)  # keys may come before all else has its place
        self.display = True
        self.screen.set_focus(self)

    def settle(self) -> None:
        """Lie where it belongs, also after the screen has changed its size."""
        region = self._where()
        self.styles.offset = (region.x, region.y)
        self.styles.width = max(8, region.width)

    def mark(self, place: Optional[int]) -> None:
        """Show where the text is wrong; None: it is not."""
        if place != self.mistake.place:
            self.mistake.place = place
            self.refresh()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.display:
            self._changed(self.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        kept = self._finished(self.value, True) is not False
        if kept and self.value.strip() and self.value not in self._history[-1:]:
            self._history.append(self.value)

    def action_cancel(self) -> None:
        self._finished(self.value, False)

    def action_recall(self, step: int) -> None:
        self._place = max(0, min(len(self._history), self._place + step))
        recalled = self._history[self._place:self._place + 1]
        self.value = recalled[0] if recalled else ""
        self.cursor_position = len(self.value)

    def on_blur(self, event: events.Blur) -> None:
        """Clicking elsewhere keeps what was typed."""
