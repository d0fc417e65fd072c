"""Values of the application as short texts, without asking it to do anything surprising.

Objects whose text would start work (a query set that asks its database, an object that is made
when it is looked at) are shown by their type. Secrets are masked by their names.
"""

import reprlib
from typing import Any, Dict, List, Mapping

from ..telemetry.sanitize import clean
from ..telemetry.secrets import MASK, is_secret, masked_text

MAX_TEXT = 200
MAX_LOCALS = 24
#: classes whose `repr` reads from elsewhere: Django's, SQLAlchemy's, Werkzeug's, peewee's
_LAZY = frozenset(("QuerySet", "BaseManager", "Manager", "RawQuerySet", "LazyObject", "Query",
                   "ModelSelect", "BaseQuery", "LocalProxy", "Promise", "Result", "CursorResult",
                   "ScalarResult", "FieldFile"))


class _Short(reprlib.Repr):
    """`repr` to a limited depth and length. What a mapping or an object names as a secret is
    masked before it becomes text."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = 8
        self.maxstring = self.maxother = MAX_TEXT
        self.maxlong = 60

    def repr_dict(self, x: Any, level: int) -> str:
        if not x:
            return "{}"
        if level <= 0:
            return "{…}"
        pairs: List[str] = []
        for key, value in list(x.items())[:self.maxdict]:
            text = MASK if isinstance(key, (str, bytes)) and is_secret(
                key if isinstance(key, str) else key.decode("latin-1")) else self.repr1(
                    value, level - 1)
            pairs.append(f"{self.repr1(key, level - 1)}: {text}")
        if len(x) > self.maxdict:
            pairs.append("…")
        return "{" + ", ".join(pairs) + "}"

    def repr_instance(self, x: Any, level: int) -> str:
        kind = type(x)
        if getattr(kind, "__repr__", None) is object.__repr__ or any(
                base.__name__ in _LAZY for base in kind.__mro__):
            return f"<{kind.__module__}.{kind.__qualname__}>"
        try:
            text = repr(x)
        except Exception as exc:
            return f"<{kind.__qualname__}, whose text fails: {type(exc).__name__}>"
        if len(text) > self.maxother:
            text = text[:self.maxother - 1] + "…"
        return text


_short = _Short()


def text_of(value: Any, limit: int = MAX_TEXT) -> str:
    """One line that shows `value`."""
    try:
        return clean(masked_text(_short.repr(value)), limit)
    except Exception as exc:  # a subclass of a built-in that breaks what it inherits
        return f"<{type(value).__name__}, whose text fails: {type(exc).__name__}>"


def texts_of(names: Mapping[str, Any]) -> Dict[str, str]:
    """The variables of a frame, without those that Python itself makes."""
    found: Dict[str, str] = {}
    for name, value in list(names.items()):
        if name.startswith(("__", "@py_")) or name.startswith("."):
            continue
        if len(found) >= MAX_LOCALS:
            break
        found[clean(name, 80)] = MASK if is_secret(name) else text_of(value)
    return found
