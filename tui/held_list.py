"""The requests that are held, on a page of its own: each goes on, changed or not, or is answered.

Imported on first use.
"""

from typing import List

from rich.text import Text
from textual.binding import Binding
from textual.widgets import OptionList

from .draw import middle_cut
from .modal_list import ModalList
from .model.holding import Held


class HeldList(ModalList[Held]):
    HEADING = "Held: the application does not see them yet"
    KEYS = "⏎ goes on   e changes it   a answers it   A all go on   Esc closes"
    BINDINGS = [
        Binding("escape,H,q", "dismiss", "close"),
        Binding("e", "decide(False)", "change"),
        Binding("a", "decide(True)", "answer"),
        Binding("A", "all", "all go on"),
    ]

    def items(self) -> List[Held]:
        return list(self._host.session.holding.held.values())

    def refresh_items(self) -> None:
        held, now = self.items(), self._host.session.clock()
        if not held:
            if self.is_current:
                self.dismiss()
            return
        width = max(20, min(84, self.app.size.width - 40))
        self.fill([Text.assemble((middle_cut(f"{one.method} {one.path}", width), "bold"),
                                 (f"  goes on by itself in {max(0.0, one.until - now):.0f} s",
                                  "dim"))
                   for one in held])

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        held = self.chosen()
        if held is not None:
            self._go_on(held)

    def _go_on(self, held: Held) -> None:
        self._host.session.commands.give("release", {"pid": held.pid, "id": held.id},
                                         f"{held.method} {held.path}",
                                         said=f"{held.method} {held.path} goes on")

    def action_all(self) -> None:
        for held in self.items():
            self._go_on(held)

    async def action_decide(self, answer: bool) -> None:
        held = self.chosen()
        self.dismiss()
        if held is not None:
            self.app.call_later(self._host.ask_decision, held, answer)
