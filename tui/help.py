"""All keys on one page, made from the bindings themselves, and the filter language."""

from typing import Any, Dict, List, Sequence, Tuple, Type

from rich.console import Group
from rich.table import Table
from rich.text import Text
from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from tremolo.telemetry import filters

from .key_words import words_of
from .panes.lines import LinePane

Bindings = Tuple[str, Sequence[Any]]
COLUMN = 50  # cells
KEYS, FEW = 16, 10  # of those for keys, on a wide screen and on a small one
SMALL = 70


class HelpScreen(ModalScreen[None]):
    BINDINGS = [Binding("escape,question_mark,q", "dismiss", "close"),
                *(Binding(key, f"scroll('{how}')", show=False) for key, how in (
                    ("j", "down"), ("k", "up"), ("space", "page_down"), ("g", "home"),
                    ("G", "end")))]

    def __init__(self, groups: Sequence[Bindings]) -> None:
        super().__init__()
        self._groups = groups

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help"):
            yield Static(id="help-page")

    def on_mount(self) -> None:
        self._fill()

    def action_scroll(self, how: str) -> None:
        getattr(self.query_one("#help"), f"scroll_{how}")(animate=False)

    def on_resize(self, event: events.Resize) -> None:
        self._fill()

    def _fill(self) -> None:
        """In as many columns as there is room for, about equally long."""
        across = max(1, min(3, (self.app.size.width - 8) // COLUMN))
        box = self.query_one("#help")
        box.styles.width = min(self.app.size.width - 2, across * COLUMN + 6)
        keys = FEW if self.app.size.width < SMALL else KEYS
        tables = [(_table(title, _rows(self.app, bindings), keys), len(bindings) + 2)
                  for title, bindings in self._groups]
        columns: List[List[Table]] = [[] for _ in range(across)]
        most, used, at = sum(length for _, length in tables) / across, 0.0, 0
        for table, length in tables:
            if used + length / 2 > most * (at + 1) and at < across - 1:
                at += 1
            columns[at].append(table)
            used += length
        page = Table.grid(padding=(0, 2))
        for _ in columns:
            page.add_column(width=min(COLUMN, self.app.size.width - 12))
        page.add_row(*(Group(*column) for column in columns))
        self.query_one("#help-page", Static).update(Group(
            page, Text("Filter", style="bold"), Text(filters.HELP, style="dim"), "",
            Text("Esc closes", style="dim")))


def _table(title: str, rows: Sequence[Tuple[str, str]], cells: int) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, justify="right", width=cells)
    table.add_column()
    table.add_row("", Text(title, style="bold"))
    for keys, words in rows:
        table.add_row(Text(keys), Text(words, style="dim"))
    table.add_row("", "")
    return table


def _rows(app: App[Any], bindings: Sequence[Any]) -> List[Tuple[str, str]]:
    """Keys that do the same together, in the order of their definition."""
    rows: Dict[str, List[str]] = {}
    for binding in bindings:
        if isinstance(binding, tuple):
            binding = Binding(*binding)
        for key in binding.key.split(","):
            shown = binding.key_display or app.get_key_display(
                Binding(key.strip(), binding.action))
            keys = rows.setdefault(words_of(binding), [])
            if shown not in keys:
                keys.append(shown)
    return [("  ".join(keys), words) for words, keys in rows.items() if words]


def groups_of(app: App[Any], panes: Sequence[Type[LinePane]]) -> List[Bindings]:
    groups: List[Bindings] = [("Everywhere", app.BINDINGS), ("Lists", LinePane.BINDINGS)]
    for pane in panes:
        groups.append((pane.TITLE, pane.__dict__.get("BINDINGS", ())))
    return groups
