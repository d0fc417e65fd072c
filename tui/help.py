"""All keys on one page, made from the bindings themselves, and the filter language."""

from typing import Any, Dict, List, Sequence, Tuple, Type

from rich.table import Table
from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from .model import filters
from .panes.lines import LinePane

Group = Tuple[str, Sequence[Any]]


class HelpScreen(ModalScreen[None]):
    BINDINGS = [Binding("escape,question_mark,q", "dismiss", "close")]

    def __init__(self, groups: Sequence[Group]) -> None:
        super().__init__()
        self._groups = groups

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help"):
            yield Static(self._page())

    def _page(self) -> Table:
        page = Table.grid(padding=(0, 2))
        page.add_column(no_wrap=True, justify="right")
        page.add_column()
        for title, bindings in self._groups:
            page.add_row("", Text(title, style="bold"))
            for keys, words in _rows(self.app, bindings):
                page.add_row(Text(keys), Text(words, style="dim"))
            page.add_row("", "")
        page.add_row("", Text("Filter", style="bold"))
        page.add_row("", Text(filters.HELP, style="dim"))
        page.add_row("", "")
        page.add_row("", Text("Esc closes", style="dim"))
        return page


def _rows(app: App[Any], bindings: Sequence[Any]) -> List[Tuple[str, str]]:
    """Keys that do the same together, in the order of their definition."""
    rows: Dict[str, List[str]] = {}
    for binding in bindings:
        if isinstance(binding, tuple):
            binding = Binding(*binding)
        for key in binding.key.split(","):
            shown = binding.key_display or app.get_key_display(
                Binding(key.strip(), binding.action))
            keys = rows.setdefault(binding.description, [])
            if shown not in keys:
                keys.append(shown)
    return [("  ".join(keys), words) for words, keys in rows.items() if words]


def groups_of(app: App[Any], panes: Sequence[Type[LinePane]]) -> List[Group]:
    groups: List[Group] = [("Everywhere", app.BINDINGS), ("Lists", LinePane.BINDINGS)]
    for pane in panes:
        groups.append((pane.TITLE, pane.__dict__.get("BINDINGS", ())))
    return groups
