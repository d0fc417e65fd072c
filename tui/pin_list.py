"""All pinned requests on a page of its own: what each answered last, and what that changed.

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
from .model.pins import Pin
from .model.text import clean

KEYS = "⏎ difference   r send all   p unpin   Esc closes"


class PinList(ModalScreen[None]):
    BINDINGS = [
        Binding("escape,P,q", "dismiss", "close"),
        Binding("r", "send", "send all"),
        Binding("p,x,delete", "unpin", "unpin"),
    ]

    def __init__(self, host: Host) -> None:
        super().__init__()
        self._host = host
        self._drawn = -1

    def compose(self) -> ComposeResult:
        with Vertical(id="pins"):
            yield Static(Text("Pinned: sent again after each reload", style="bold"))
            yield OptionList(id="pin-list")
            yield Static(Text(KEYS, style="dim"))

    def on_mount(self) -> None:
        self._draw()
        self.set_interval(0.25, self._draw)
        self._list.focus()

    @property
    def _list(self) -> OptionList:
        return self.query_one(OptionList)

    def _draw(self) -> None:
        pins = self._host.session.pins
        if self._drawn == pins.revision:
            return
        self._drawn = pins.revision
        chosen = self._list.highlighted or 0
        width = max(20, min(110, self.app.size.width - 10))
        self._list.clear_options()
        self._list.add_options([Option(_line(pin, width)) for pin in pins])
        if not len(pins):
            self.dismiss()
            return
        self._list.highlighted = min(chosen, len(pins) - 1)

    def _chosen(self) -> Optional[Pin]:
        pins = list(self._host.session.pins)
        index = self._list.highlighted
        return pins[index] if index is not None and index < len(pins) else None

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        pin = self._chosen()
        self.dismiss()
        if pin is not None:
            self._host.show_in_detail(pin)

    def action_send(self) -> None:
        self._host.send_pins()

    def action_unpin(self) -> None:
        pin = self._chosen()
        if pin is not None:
            self._host.unpin(pin.request.key)
            self._draw()


def _line(pin: Pin, width: int) -> Text:
    """Name, last answer, and what it changed: two lines."""
    changes = pin.changes()
    last = pin.answers[-1].words() if pin.answers else "no answer yet"
    if pin.lacks:
        changes, last = None, f"saved without its {', '.join(pin.lacks)}: waits for a client's"
    state = ", ".join(changes) if changes else "as before" if changes is not None else (
        "of an earlier run" if pin.answers and not pin.answers[-1].gen else "")
    return Text.assemble((middle_cut(clean(pin.request.name, 200), width), "bold"), "\n  ",
                         (last, ""), ("  " + state if state else "",
                                      "bold" if changes else "dim"))
