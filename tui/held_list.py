"""The requests that are held, on a page of its own: each goes on, changed or not, or is answered.

Imported on first use.
"""

from typing import Optional

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from .draw import middle_cut
from .host import Host
from .model.holding import Held

KEYS = "⏎ goes on   e changes it   a answers it   A all go on   Esc closes"


class HeldList(ModalScreen[None]):
    BINDINGS = [
        Binding("escape,H,q", "dismiss", "close"),
        Binding("e", "decide(False)", "change"),
        Binding("a", "decide(True)", "answer"),
        Binding("A", "all", "all go on"),
    ]

    def __init__(self, host: Host) -> None:
        super().__init__()
        self._host = host

    def compose(self) -> ComposeResult:
        with Vertical(id="held"):
            yield Static(Text("Held: the application does not see them yet", style="bold"))
            yield OptionList(id="held-list")
            yield Static(Text(KEYS, style="dim"))

    def on_mount(self) -> None:
        self._draw()
        self.set_interval(0.25, self._draw)
        self._list.focus()

    @property
    def _list(self) -> OptionList:
        return self.query_one(OptionList)

    def _draw(self) -> None:
        session = self._host.session
        held = list(session.holding.held.values())
        if not held:
            if self.is_current:
                self.dismiss()
            return
        chosen = self._list.highlighted or 0
        width = max(20, min(100, self.app.size.width - 20))
        self._list.clear_options()
        self._list.add_options([Option(Text.assemble(
            (middle_cut(f"{one.method} {one.path}", width), "bold"),
            (f"  {max(0.0, one.until - session.clock()):.0f} s", "dim"))) for one in held])
        self._list.highlighted = min(chosen, len(held) - 1)

    def _chosen(self) -> Optional[Held]:
        held = list(self._host.session.holding.held.values())
        index = self._list.highlighted
        return held[index] if index is not None and index < len(held) else None

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        held = self._chosen()
        if held is not None:
            self._go_on(held)

    def _go_on(self, held: Held) -> None:
        self._host.session.commands.give("release", {"pid": held.pid, "id": held.id},
                                         f"{held.method} {held.path} goes on")

    def action_all(self) -> None:
        for held in list(self._host.session.holding.held.values()):
            self._go_on(held)

    async def action_decide(self, answer: bool) -> None:
        held = self._chosen()
        self.dismiss()
        if held is not None:
            self.app.call_later(self._host.ask_decision, held, answer)
