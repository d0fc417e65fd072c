"""The one-line entry for a filter or a throttle of one's own; made after the first paint."""

from typing import Any, Callable, List

from textual import events
from textual.binding import Binding
from textual.widgets import Input

History = List[str]


class Entry(Input):
    """`changed(text)` on each key, `finished(text, accepted)` once; up and down recall."""

    BINDINGS = [
        Binding("escape", "cancel", "cancel", key_display="Esc", priority=True),
        Binding("up", "recall(-1)", "earlier", show=False),
        Binding("down", "recall(1)", "later", show=False),
    ]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(select_on_focus=False, **kwargs)
        self.cursor_blink = False
        self.display = False
        self._history: History = []
        self._place = 0
        self._changed: Callable[[str], None] = lambda value: None
        self._finished: Callable[[str, bool], Any] = lambda value, accepted: None

    def ask(self, value: str, placeholder: str, history: History,
            changed: Callable[[str], None], finished: Callable[[str, bool], Any]) -> None:
        """Show the entry and give it the keys, from the very next one on."""
        self._history, self._place = history, len(history)
        self._changed, self._finished = changed, finished
        self.placeholder = placeholder
        self.value = value
        self.cursor_position = len(value)
        self.display = True
        self.screen.set_focus(self)

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
