"""Modules that were imported ahead of the fork, until the program asks for them.

A fresh process has not imported them, so they are taken out of `sys.modules`, together with
what their import did to the process; an importer gets it, and what it did, if the
process is in the state in which it was imported ahead. If it is not, `Stale` is why: only a
process without it would behave as if it had been started afresh.
"""

import atexit
import logging
import os
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence, Set, Tuple

from .module_state import State
from .world import World, WorldView, describe, difference

MISSING: Any = "nothing"  # of a name that a module did not have


class Effect:
    """Something that the import of a module did, beside making the module.

    `kind` is "world" (before, after), "atexit" (function, arguments, keywords), "loggers"
    ([(name, logger, what was there)]), "output" (descriptor, text) or "rebound" (module, name,
    old, new).
    """

    __slots__ = ("kind", "order", "values")

    def __init__(self, order: int, kind: str, *values: Any) -> None:
        self.order = order
        self.kind = kind
        self.values = values


class Entry:
    """One module that was imported ahead: in which world, asking for which others."""

    def __init__(self, name: str, order: int, before: World) -> None:
        self.name = name
        self.order = order
        self.before = before
        self.module: Any = None
        self.effects: List[Effect] = []
        self.asked: Set[str] = set()
        self.digest = ""  # of the source, if it is the project's
        self.path = ""
        self.on_parent = False
        self.place = 0  # in `sys.modules`, where a module stands when it is complete
        self.foreign = False  # it belongs to an installed package, not to Python
        self.late = False  # imported while the application starts up, not with it


class Step:
    """An import that the program makes, with all that it brings about: `entries` in order.
    `outside` are the modules that they ask for and that had been imported before."""

    def __init__(self, entries: List[Entry], before: World, after: World) -> None:
        self.entries = entries
        self.before = before
        self.after = after
        own = {entry.name for entry in entries}
        asked = {name for entry in entries for name in entry.asked}
        asked.update(entry.name.rpartition(".")[0] for entry in entries)
        self.outside = asked - own - {""}


class Stale(Exception):
    """What was imported ahead does not hold in this process.

    `module` was asked for, `reason` is for people; `lasting` are the modules for which it would
    be the same after importing the same ahead again.
    """

    def __init__(self, module: str, reason: str, lasting: Sequence[str] = ()) -> None:
        super().__init__(f"{module}: {reason}")
        self.module = module
        self.reason = reason
        self.lasting = list(lasting)


class Shelf:
    """What was imported ahead. `states` hold what modules were like after their import."""

    def __init__(self) -> None:
        self.entries: Dict[str, Entry] = {}
        self.states: Dict[str, List[Tuple[int, State]]] = {}  # from which order on
        #: names that were looked for and not found: had they been, much might be different
        self.missed: Set[str] = set()
        self.rebound: Dict[str, Set[str]] = {}  # module -> those that changed it
        self.steps: Dict[str, Step] = {}
        self.base: Optional[World] = None
        self.view: Optional[WorldView] = None  # of the zygote
        self._lying = False

    def lay(self, view: WorldView, now: World) -> None:
        """Take everything away, as if nothing had been imported."""
        if self._lying or self.base is None:
            return
        self._lying = True
        modules = sys.modules
        for name, entry in self.entries.items():
            found = modules.pop(name, None)
            entry.module = found if found is not None else entry.module
        for name, entry in self.entries.items():
            parent, _, child = name.rpartition(".")
            owner = self._module(parent)
            entry.on_parent = (owner is not None and entry.module is not None
                               and owner.__dict__.get(child) is entry.module)
            if entry.on_parent:
                del owner.__dict__[child]
        for effect in reversed(self._effects(self.entries.values())):
            if effect.kind == "rebound":
                _set(effect.values[0], effect.values[1], effect.values[2])
            elif effect.kind == "loggers":
                loggers = logging.root.manager.loggerDict
                for name, _, before in effect.values[0]:
                    loggers.pop(name, None)
                    if before is not None:
                        loggers[name] = before
        view.restore(now, self.base)

    def _module(self, name: str) -> Any:
        module = sys.modules.get(name)
        if module is None and name in self.entries:
            module = self.entries[name].module
        return module if isinstance(module, ModuleType) else None

    def touch(self) -> None:
        """Look at everything that giving compares: a process that was forked gets its own
        copies of those pages, and this one can have them before it is in a hurry."""
        if self.view is not None:
            self.view.capture()
        for name, states in self.states.items():
            module = self._module(name)
            if module is not None:
                states[-1][1].changed(module)

    def raise_all(self, view: WorldView, wanted: World) -> None:
        """Put everything back, to import more."""
        if not self._lying:
            return
        self._lying = False
        for name, entry in self.entries.items():
            sys.modules[name] = entry.module
        for entry in self.entries.values():
            self._set_on_parent(entry)
        for effect in self._effects(self.entries.values()):
            if effect.kind == "rebound":
                _set(effect.values[0], effect.values[1], effect.values[3])
            elif effect.kind == "loggers":
                for name, logger, _ in effect.values[0]:
                    _add_logger(name, logger)
        view.restore(view.capture(), wanted)

    @staticmethod
    def _effects(entries: Iterable[Entry]) -> List[Effect]:
        found = [effect for entry in entries for effect in entry.effects]
        found.sort(key=lambda effect: effect.order)
        return found

    def _set_on_parent(self, entry: Entry) -> None:
        parent, _, child = entry.name.rpartition(".")
        owner = self._module(parent) if entry.on_parent else None
        if owner is not None:
            owner.__dict__[child] = entry.module

    # -- giving ----------------------------------------------------------------------

    def needed(self, name: str) -> List[Entry]:
        """The entry of a module and of all that its import brings about, in order."""
        found: Dict[str, Entry] = {}
        pending = [name]
        while pending:
            asked = pending.pop()
            if asked in found or asked in sys.modules:
                continue
            entry = self.entries.get(asked)
            parent = asked.rpartition(".")[0]
            if parent:
                pending.append(parent)
            if entry is not None:
                found[asked] = entry
                pending.extend(entry.asked)
        return sorted(found.values(), key=lambda entry: entry.order)

    def find(self, asked: str, view: WorldView) -> "tuple[List[Entry], World, World]":
        """What the import of a module brings about, the world before and after. Raises Stale
        when it would not be as if imported now."""
        now = view.capture()
        step = self.steps.get(asked)
        modules, entries = sys.modules, self.entries
        if step is None or difference(now, step.before) or any(
                entry.name in modules for entry in step.entries) or any(
                name not in modules and name in entries for name in step.outside):
            found = self.needed(asked)
            after = self._check_worlds(asked, found, now)
            asking = {name for entry in found for name in entry.asked}
            self._check_neighbours(asked, found, asking)
        else:  # as it was imported ahead, which is nearly always
            found, after = step.entries, step.after
            self._check_neighbours(asked, found, step.outside)
        self._check_surroundings(asked, found)
        return found, now, after

    def _check_worlds(self, asked: str, entries: List[Entry], world: World) -> World:
        """The world after `entries` have been imported."""
        for _, _, step in sorted(
                [(entry.order, 0, entry) for entry in entries]
                + [(effect.order, 1, effect) for entry in entries for effect in entry.effects
                   if effect.kind == "world"], key=lambda step: step[:2]):
            before = step.before if isinstance(step, Entry) else step.values[0]
            if world is not before:
                differing = difference(before, world)
                if differing:
                    raise Stale(asked, "it would find another state than when it was imported "
                                "ahead: " + describe(differing[0], before, world))
                world = before
            if isinstance(step, Effect):
                world = step.values[1]
        return world

    @staticmethod
    def _check_surroundings(asked: str, entries: List[Entry]) -> None:
        for entry in entries:
            for effect in entry.effects:
                for name, logger, _ in effect.values[0] if effect.kind == "loggers" else ():
                    # What only holds the place of a logger is nowhere else.
                    if isinstance(logger, logging.Logger) and isinstance(
                            logging.root.manager.loggerDict.get(name), logging.Logger):
                        raise Stale(asked, f"the logger {name!r} was set up before", [asked])
            if entry.digest and _digest(entry.path) != entry.digest:
                raise Stale(asked, f"{os.path.relpath(entry.path)} has changed")

    def _check_neighbours(self, asked: str, entries: List[Entry], outside: Set[str]) -> None:
        own = {entry.name for entry in entries}
        for name in self.states.keys() & outside - own:
            changed = self._changed(name, entries[0].order)
            if changed:
                raise Stale(asked, f"{name}.{changed} was changed before",
                            [asked, *self._differing()])
        for name, authors in self.rebound.items():
            for entry in entries:
                if name not in entry.asked:
                    continue
                for author in authors - own:
                    before = self.entries[author].order < entry.order
                    if before != (author in sys.modules):
                        raise Stale(asked, f"{author}, which changes {name} when it is "
                                    "imported, comes in another order")

    def _differing(self) -> List[str]:
        """What was not asked for yet, and would find a module changed as things are now."""
        return [name for name, step in self.steps.items() if name not in sys.modules
                and any(self._changed(other, step.entries[0].order) for other in step.outside
                        if step.entries and other in self.states)]

    def _changed(self, name: str, order: int) -> str:
        """What of a module has another value than it had when `order` was reached ahead."""
        module = sys.modules.get(name)
        state = [state for since, state in self.states[name] if since < order]
        return state[-1].changed(module) if state and isinstance(module, ModuleType) else ""

    def give(self, entries: List[Entry], view: WorldView, now: World, after: World) -> None:
        """Have modules imported, with all that their import did."""
        for entry in sorted(entries, key=lambda entry: entry.place):
            sys.modules[entry.name] = entry.module
        for entry in entries:
            self._set_on_parent(entry)
        view.restore(now, after)
        for effect in self._effects(entries):
            if effect.kind == "atexit":
                atexit.register(effect.values[0], *effect.values[1], **effect.values[2])
            elif effect.kind == "loggers":
                for name, logger, _ in effect.values[0]:
                    _add_logger(name, logger)
            elif effect.kind == "output":
                stream = sys.stdout if effect.values[0] == 1 else sys.stderr
                if stream is not None:
                    stream.write(effect.values[1])
                    stream.flush()
            elif effect.kind == "rebound":
                _set(effect.values[0], effect.values[1], effect.values[3])

    def left(self) -> List[str]:
        """Modules of installed packages that the program does not import any more."""
        return [name for name, entry in self.entries.items() if name not in sys.modules
                and not entry.late and (entry.foreign or entry.digest)]


class ShelfFinder:
    """First of the finders of a worker: gives what lies on the shelf.

    `stale(exc)` is called when it does not hold; it does not return, or, once the process
    serves, has the module imported for itself. `gave(entries)` hears of each import.
    """

    def __init__(self, shelf: Shelf, stale: Callable[[Stale], None],
                 gave: Callable[[str, List[Entry], World, World], None]) -> None:
        self._shelf = shelf
        self._stale = stale
        self._gave = gave
        self.view: Optional[WorldView] = None

    def find_spec(self, fullname: str, path: Optional[Sequence[str]] = None,
                  target: Optional[ModuleType] = None) -> Optional[ModuleSpec]:
        shelf, view = self._shelf, self.view
        if fullname not in shelf.entries or view is None:
            return None
        try:
            given = shelf.find(fullname, view)
        except Stale as exc:
            self._stale(exc)
            for entry in shelf.needed(fullname):
                shelf.entries.pop(entry.name, None)
            return None
        loader: Any = _Giver(self, fullname, *given)
        return ModuleSpec(fullname, loader)

    def give(self, name: str, entries: List[Entry], now: World, after: World) -> None:
        """Called by the loader of a module."""
        assert self.view is not None
        self._shelf.give(entries, self.view, now, after)
        self._gave(name, entries, now, after)


class _Giver:
    """The loader of a module that was imported ahead."""

    def __init__(self, finder: ShelfFinder, name: str, entries: List[Entry], now: World,
                 after: World) -> None:
        self._finder = finder
        self._name = name
        self._entries = entries
        self._now = now
        self._after = after

    def create_module(self, spec: ModuleSpec) -> Optional[ModuleType]:
        return None

    def exec_module(self, module: ModuleType) -> None:
        self._finder.give(self._name, self._entries, self._now, self._after)


def _set(module: ModuleType, name: str, value: Any) -> None:
    if value is MISSING:
        module.__dict__.pop(name, None)
    else:
        module.__dict__[name] = value


def _add_logger(name: str, logger: Any) -> None:
    """Enter a logger as `logging.getLogger` would, had it made it just now."""
    manager: Any = logging.root.manager
    found = manager.loggerDict.get(name)
    if isinstance(logger, logging.PlaceHolder):
        if found is None:
            manager.loggerDict[name] = logger
        return
    if isinstance(found, logging.Logger):
        return
    manager.loggerDict[name] = logger
    if isinstance(found, logging.PlaceHolder):
        manager._fixupChildren(found, logger)
    manager._fixupParents(logger)


def _digest(path: str) -> str:
    from .imports import digest

    try:
        with open(path, "rb") as file:
            return str(digest(file.read()))
    except OSError:
        return ""

