"""A page of its own that lists things: how it is built, kept up to date, and chosen from."""

from typing import Generic, List, Optional, TypeVar

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from .host import Host

REFRESH = 0.25  # seconds between looks at what is listed

Item = TypeVar("Item")


class ModalList(ModalScreen[None], Generic[Item]):
    """A heading, the list, and its keys. A subclass says what its `items` are, and draws them
    with `fill` when `refresh_items`, which is called four times a second, finds a change."""

    HEADING = ""
    KEYS = ""

    def __init__(self, host: Host) -> None:
        super().__init__()
        self._host = host

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(Text(self.HEADING, style="bold"))
            yield OptionList()
            yield Static(Text(self.KEYS, style="dim"))

    def on_mount(self) -> None:
        self.refresh_items()
        self.set_interval(REFRESH, self.refresh_items)
        self._list.focus()

    @property
    def _list(self) -> OptionList:
        return self.query_one(OptionList)

    def items(self) -> List[Item]:
        raise NotImplementedError

    def refresh_items(self) -> None:
        raise NotImplementedError

    def fill(self, lines: List[Text]) -> None:
        """Show these lines, one of each item; the choice stays where it was."""
        chosen = self._list.highlighted or 0
        self._list.clear_options()
        self._list.add_options(list(map(Option, lines)))
        self._list.highlighted = min(chosen, len(lines) - 1)

    def chosen(self) -> Optional[Item]:
        items, index = self.items(), self._list.highlighted
        return items[index] if index is not None and index < len(items) else None
