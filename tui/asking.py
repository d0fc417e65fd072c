"""The one-line entry as the app has it: made once, asked for one pane at a time, put away."""

from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Protocol, Sequence

from textual.screen import Screen

from tremolo.telemetry.filters import FilterError

from .panes.lines import LinePane

if TYPE_CHECKING:
    from .entry import Entry


class Showing(Protocol):
    """The app, as far as the entry needs it."""

    @property
    def panes(self) -> Mapping[str, LinePane]: ...

    @property
    def screen_stack(self) -> Sequence[Screen[Any]]: ...


class Asking:
    def __init__(self, app: Showing) -> None:
        self.app = app
        self.entry: Optional[Entry] = None
        self._histories: Dict[str, List[str]] = {}

    @property
    def asks(self) -> bool:
        """Something is being typed."""
        return self.entry is not None and bool(self.entry.display)

    @property
    def hint(self) -> str:
        """How what is being typed is written; the entry shows it only while it is empty."""
        return self.entry.placeholder if self.entry is not None and self.asks else ""

    async def make(self) -> None:
        """Once, after the first paint: keys that follow quickly must find it there. Not for an
        app that is being left, which takes nothing more on its screen."""
        if self.entry is None and self.app.screen_stack and self.app.screen_stack[0].is_attached:
            from .entry import Entry

            self.entry = Entry()
            await self.app.screen_stack[0].mount(self.entry, before="#body")

    async def open(self, kind: str, value: str, placeholder: str,
                   changed: Callable[[str], None], finished: Callable[[str, bool], bool],
                   label: str = "") -> None:
        """Type something for the pane `kind`; `label` says what, where it is not its filter."""
        await self.make()
        if self.entry is not None and not self.asks:
            pane = self.app.panes[kind]
            pane.typing, pane.label = True, label
            pane.redraw()
            history = self._histories.setdefault(kind, [])
            self.entry.ask(value, placeholder, history, pane.entry_region, changed, finished)

    def close(self, focus: str) -> None:
        """Put it away; the pane `focus` gets the keys."""
        pane = self.app.panes[focus]
        if self.entry is not None:
            self.entry.display = False
        pane.typing, pane.mistake = False, None
        self.app.screen_stack[0].set_focus(pane)

    def mark(self, error: Optional[FilterError]) -> None:
        """Show where what is typed is wrong; None: it is not."""
        if self.entry is not None:
            self.entry.mark(None if error is None else error.place)
        for pane in self.app.panes.values():
            if pane.typing and pane.mistake != error:
                pane.mistake = error
                pane.redraw()

    def resized(self) -> None:
        if self.entry is not None and self.asks:
            self.entry.call_after_refresh(self.entry.settle)
