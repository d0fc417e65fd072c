"""What a worker has to do with modules that were imported ahead of the fork: it takes them
from the shelf, notes its own imports for the next shelf, and gives up where the shelf fails.
"""

import sys
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Mapping, Optional

from .imports import ProjectImports
from .installed import installed_modules
from .shelf import Entry, Shelf, ShelfFinder, Stale
from .steps import Steps
from .world import World, WorldView

if TYPE_CHECKING:
    from ..telemetry.facts import LifeFacts

MESSAGE_SIZE = 24 * 1024  # characters of steps in one message


class Ahead:
    """Installed before the project is imported. `give_up(stale)` does not return; `note(text)`
    logs. `start` is the message that started the worker."""

    def __init__(self, start: Mapping[str, Any], imports: ProjectImports,
                 shelf: Optional[Shelf], give_up: Callable[[Stale], None],
                 note: Callable[[str], None]) -> None:
        self._imports = imports
        self._shelf = shelf
        self._give_up = give_up
        self._note = note
        self._serving = False
        self._base = set(sys.modules)
        finder = None
        if shelf is not None:
            finder = ShelfFinder(shelf, self._stale, self._gave)
            sys.meta_path.insert(0, finder)
        view = WorldView(shelf.view if shelf is not None else None)
        if finder is not None:
            finder.view = view
        self._steps = imports.steps = Steps(
            view, start.get("excluded", {}), tuple(start.get("settings", {}).get("keep", ())))

    def _stale(self, stale: Stale) -> None:
        if self._serving:
            self._note(f"{stale}; it is imported anew")
        else:
            self._give_up(stale)

    def _gave(self, name: str, entries: List[Entry], before: World, after: World) -> None:
        keep = False
        for entry in entries:
            if entry.digest:
                keep = keep or entry.name == name
                self._imports.saw(entry.path, entry.digest)
        self._steps.given(name, before, after, keep)

    def imported(self) -> None:
        """The application has been imported, with all modules that its code names."""
        self._steps.late = True
        left = self._shelf.left() if self._shelf is not None else []
        if left:
            self._give_up(Stale(left[0], "it is not imported any more"))

    def messages(self) -> "Iterator[LifeFacts]":
        """What the supervisor must know to have the same imported ahead, in parts."""
        self._serving = True
        names = installed_modules()[0]
        yield {"base": [name for name in names if name in self._base], "last": False}
        batch: List[Dict[str, Any]] = []
        size = 0
        for step in self._steps.made:
            length = len(str(step))
            if batch and size + length > MESSAGE_SIZE:
                yield {"steps": batch, "last": False}
                batch, size = [], 0
            if length > 2 * MESSAGE_SIZE:
                step = dict(step, loaded=[])
            batch.append(step)
            size += length
        yield {"steps": batch, "last": True}
