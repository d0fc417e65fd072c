"""All pinned requests on a page of its own: what each answered last, and what that changed.

Imported on first use.
"""

from typing import List

from rich.text import Text
from textual.binding import Binding
from textual.widgets import OptionList

from .draw import middle_cut
from .host import Host
from .modal_list import ModalList
from .model.pins import Pin
from .model.text import clean


class PinList(ModalList[Pin]):
    HEADING = "Pinned: sent again after each reload"
    KEYS = "⏎ difference   r send all   p unpin   Esc closes"
    BINDINGS = [
        Binding("escape,P,q", "dismiss", "close"),
        Binding("r", "send", "send all"),
        Binding("p,x,delete", "unpin", "unpin"),
    ]

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._drawn = -1

    def items(self) -> List[Pin]:
        return list(self._host.session.pins)

    def refresh_items(self) -> None:
        pins = self._host.session.pins
        if self._drawn == pins.revision:
            return
        self._drawn = pins.revision
        if not len(pins):
            self.dismiss()
            return
        width = max(20, min(110, self.app.size.width - 10))
        self.fill([_line(pin, width) for pin in pins])

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        pin = self.chosen()
        self.dismiss()
        if pin is not None:
            self._host.show_in_detail(pin)

    def action_send(self) -> None:
        self._host.send_pins()

    def action_unpin(self) -> None:
        pin = self.chosen()
        if pin is not None:
            self._host.unpin(pin.request.key)
            self.refresh_items()


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
