"""Who looks, while it is imported, at what a program sets up when it starts.

The handlers of the root logger; Django's settings and its registry of applications: nearly every
module of Django names them, hardly any looks at them while it is imported. One that looked ahead
of the fork saw what was not set up yet, so that is noticed there; that they were set up meanwhile
is no difference for the others. Who asks for a setting has the project's module imported anyway.
"""

import logging
import sys
from typing import Any, Callable, Dict, FrozenSet, List, Tuple

#: the attributes that say whether an object is set up, by the module and the name of its class
ATTRIBUTES: Dict[Tuple[str, str], FrozenSet[str]] = {
    ("django.conf", "LazySettings"): frozenset({"_wrapped", "configured"}),
    ("django.apps.registry", "Apps"): frozenset({
        "apps_ready", "loading", "models_ready", "ready"}),
}
_MODULES = {module for module, _ in ATTRIBUTES}


def attributes_of(kind: type) -> FrozenSet[str]:
    """Those attributes of objects of a class."""
    return ATTRIBUTES.get((kind.__module__, kind.__name__), frozenset())


class Looks:
    """Calls `looked(what)` when anybody reads one of these. Django itself may: it works with them
    from its first line on."""

    def __init__(self, looked: Callable[[str], None]) -> None:
        self._looked = looked
        self._watched: List[Tuple[type, Any]] = []

    def imported(self, name: str) -> None:
        """A module is there: if it has such objects, watch them, too."""
        if name in _MODULES:
            self.watch()

    def watch(self) -> None:
        """Watch what there is of them."""
        logging.root.__class__ = self._root()
        watched = [kind for kind, _ in self._watched]
        for (module, name), attributes in ATTRIBUTES.items():
            kind = getattr(sys.modules.get(module), name, None)
            if isinstance(kind, type) and kind not in watched:
                self._watched.append((kind, vars(kind).get("__getattribute__")))
                setattr(kind, "__getattribute__", self._reading(  # noqa: B010 - mypy's
                    kind.__getattribute__, attributes, module.partition(".")[0]))

    def _reading(self, read: Any, attributes: FrozenSet[str], package: str) -> Any:
        def read_watched(owner: Any, name: str) -> Any:
            if name in attributes:
                reader = str(sys._getframe(1).f_globals.get("__name__"))
                if reader.partition(".")[0] != package:
                    self._looked(f"{package}.{name}")
            return read(owner, name)

        return read_watched

    def rest(self) -> None:
        """Leave everything as it was."""
        for kind, own in self._watched:
            if own is None:
                del kind.__getattribute__
            else:
                setattr(kind, "__getattribute__", own)  # noqa: B010 - as above
        self._watched.clear()
        logging.root.__class__ = logging.RootLogger

    def _root(self) -> Any:
        looked = self._looked

        class WatchedRoot(logging.RootLogger):
            @property
            def handlers(self) -> Any:
                looked("the handlers of the root logger, or logs,")
                return self.__dict__["handlers"]

            @handlers.setter
            def handlers(self, value: Any) -> None:
                self.__dict__["handlers"] = value

        WatchedRoot.__name__ = WatchedRoot.__qualname__ = "RootLogger"
        return WatchedRoot
