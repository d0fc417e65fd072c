"""Notices that the application has imported a library, without ever importing one.

A finder at the head of `sys.meta_path` that knows a few names, finds nothing itself, and calls
back once a module of one of those names has been executed.
"""

import importlib.abc
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Callable, Iterable, List, Optional, Sequence, Set


def is_loaded(name: str) -> bool:
    """Whether a module has been imported, and not just begun to be."""
    module = sys.modules.get(name)
    spec = getattr(module, "__spec__", None)
    return module is not None and not getattr(spec, "_initializing", False)


class Arrivals(importlib.abc.MetaPathFinder):
    """Calls `arrived(name)` for each of `names` as soon as it is there; see `start`."""

    def __init__(self, names: Iterable[str], arrived: Callable[[str], None]) -> None:
        self._awaited = set(names)
        #: with a package there may come any of its modules, where they were imported ahead
        self._tops = {name.partition(".")[0] for name in self._awaited}
        self._arrived = arrived
        self._finding: Set[str] = set()
        #: loaders that have been given another `exec_module` and were not called yet; some never
        #: are, as those of modules that come whole from where they were imported ahead
        self._loaders: List[Any] = []

    def start(self) -> None:
        """Look what is there already, and wait for the rest."""
        sys.meta_path.insert(0, self)
        self.look()

    def stop(self) -> None:
        """Call back no more, also for what is being imported just now."""
        self._awaited.clear()
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        while self._loaders:
            vars(self._loaders.pop()).pop("exec_module", None)

    def look(self) -> None:
        """Take up what was imported in a way that calls no finder's loader."""
        for name in [name for name in tuple(self._awaited) if is_loaded(name)]:
            self._take(name)

    def _take(self, name: str) -> None:
        if name in self._awaited:
            self._awaited.discard(name)
            self._arrived(name)

    def find_spec(self, fullname: str, path: Optional[Sequence[str]] = None,
                  target: Optional[ModuleType] = None) -> Optional[ModuleSpec]:
        if fullname in self._finding or not (
                fullname in self._awaited or fullname in self._tops):
            return None
        self._finding.add(fullname)
        try:
            for finder in tuple(sys.meta_path):
                find = getattr(finder, "find_spec", None)
                if finder is self or find is None:
                    continue
                spec: Optional[ModuleSpec] = find(fullname, path, target)
                if spec is not None:
                    self._watch(fullname, spec.loader)
                    return spec
            return None
        finally:
            self._finding.discard(fullname)

    def _watch(self, name: str, loader: Any) -> None:
        execute = getattr(loader, "exec_module", None)
        if execute is None or "exec_module" in getattr(loader, "__dict__", ("exec_module",)):
            return  # `look` will see it

        def exec_module(module: ModuleType) -> None:
            if vars(loader).pop("exec_module", None) is not None:
                # By identity: two loaders of one file are equal.
                self._loaders[:] = [each for each in self._loaders if each is not loader]
            execute(module)
            if name in self._awaited:
                self._take(name)
            if name in self._tops:
                self.look()

        self._loaders.append(loader)
        loader.exec_module = exec_module
