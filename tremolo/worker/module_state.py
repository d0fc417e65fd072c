"""What the values of a module were, to see whether somebody has changed one since."""

from operator import is_not, itemgetter
from types import ModuleType
from typing import Any, Dict, Optional

from .looks import attributes_of

MAX_WATCHED = 2_000  # entries of a module's dictionary that are looked at


class State:
    """What a module was like: its values, and those of objects that hold its options.

    What begins as None, or as a number of the module's own, is a cache, a counter or a note
    that something was done, and does not count. Values are never asked what they are: a proxy
    (`django.conf.settings`) would set itself up.
    """

    def __init__(self, module: ModuleType) -> None:
        values = module.__dict__
        top = module.__name__.partition(".")[0]
        self.values = {} if len(values) > MAX_WATCHED else {
            name: value for name, value in values.items()
            if value is not None and name[:2] != "__"
            and not issubclass(type(value), ModuleType)
            and not (name[0] == "_" and issubclass(type(value), (int, float)))}
        names = [*self.values, "__name__", "__doc__"]
        self._get = itemgetter(*names)
        self._got = self._get(values)
        self._inner = []
        for name, value in self.values.items():
            kind = type(value)
            if kind.__module__.partition(".")[0] == top and not issubclass(kind, type):
                inner = _inner(value)
                if inner is not None and 0 < len(inner) <= MAX_WATCHED:
                    before = dict.copy(inner)
                    for later in attributes_of(kind):
                        before.pop(later, None)
                    self._inner.append((name, inner, before, list(dict.values(inner))))

    def changed(self, module: ModuleType) -> str:
        """The name of a value that is another now, "" if none is."""
        values = module.__dict__
        try:
            got = self._get(values)
            same = not any(map(is_not, got, self._got))
        except KeyError:
            same = False
        if not same:
            for name, value in self.values.items():
                if values.get(name) is not value:
                    return name
        for name, inner, before, listed in self._inner:
            if len(inner) == len(listed) and not any(map(is_not, dict.values(inner), listed)):
                continue
            for key, old in before.items():
                if old is not None and dict.get(inner, key) is not old:
                    return f"{name}.{key}"
        return ""


def _inner(value: Any) -> Optional[Dict[Any, Any]]:
    """The dictionary in which an object keeps its values."""
    if issubclass(type(value), dict):
        return value  # type: ignore[no-any-return]
    if callable(value):
        return None
    try:
        found = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return None
    return found if type(found) is dict else None
