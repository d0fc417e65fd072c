"""Django's caches, whatever keeps them: what is asked, and whether it was there; no values.

What a cache does in its turn, as a backend that sends commands to redis, is part of it.
"""

import sys
from typing import Any, Callable, Dict, List, Set, Tuple

from ...telemetry.secrets import MASK
from ..calls import Calling, Running
from ..source import Source

#: methods beside `get`, and what their result means
METHODS: Dict[str, Callable[[Any], str]] = {
    "set": lambda result: "", "add": lambda added: "added" if added else "is there already",
    "touch": lambda found: "" if found else "miss", "incr": lambda value: "",
    "delete": lambda found: "miss" if found is False else "",
    "get_many": lambda found: f"{len(found)} found", "set_many": lambda failed: "",
    "delete_many": lambda result: "", "has_key": lambda found: "hit" if found else "miss",
    "clear": lambda result: ""}

_SESSIONS = "django.contrib.sessions."


def attach(source: Source) -> None:
    base = sys.modules["django.core.cache.backends.base"].BaseCache
    if not hasattr(base, "_missing_key"):
        return  # Django before 3.2: what is missing cannot be told from a default
    callings = {name: Calling(source, "cache", _named(name), METHODS[name]) for name in METHODS}
    getting = Calling(source, "cache", _named("get"), running=_Getting)
    seen: Set[type] = set()

    def observe(kind: type) -> None:
        if kind in seen or not issubclass(kind, base):
            return
        seen.add(kind)
        for name in METHODS:
            for each in (name, "a" + name):  # and its coroutine function
                if each in vars(kind):
                    callings[name].observe(kind, each)
        for each in ("get", "aget"):
            if each in vars(kind) and (kind, each) != (base, "get"):  # whose own raises
                getting.observe(kind, each)

    def creating(create: Callable[..., Any]) -> Callable[..., Any]:
        def observed(self: Any, alias: Any) -> Any:
            cache = create(self, alias)
            try:
                for kind in type(cache).__mro__:
                    observe(kind)
            except Exception as exc:
                source.fail(exc)
            return cache
        return observed

    waiting: List[type] = [base]
    while waiting:  # caches that were made before live on, in threads of their own
        kind = waiting.pop()
        observe(kind)
        waiting += kind.__subclasses__()
    source.replace(sys.modules["django.core.cache"].CacheHandler, "create_connection", creating)


class _Getting(Running):
    """A `get`, asked with Django's own mark of what is missing in the place of the default, as
    Django asks itself: a value may well equal the default."""

    __slots__ = ("_default",)

    def __enter__(self) -> "_Getting":
        missing = self.owner._missing_key
        if "default" in self.keywords:
            self._default = self.keywords["default"]
            self.keywords = {**self.keywords, "default": missing}
        else:
            self._default = self.arguments[1] if len(self.arguments) > 1 else None
            if self.arguments:
                self.arguments = (self.arguments[0], missing, *self.arguments[2:])
            else:
                self.keywords = {**self.keywords, "default": missing}
        super().__enter__()
        return self

    def ended(self, result: Any) -> Any:
        missed = result is self.owner._missing_key
        self.status = "miss" if missed else "hit"
        return self._default if missed else result


def _named(name: str) -> Callable[[Any, Tuple[Any, ...], Any], Tuple[str, str]]:
    def named(cache: Any, arguments: Tuple[Any, ...], keywords: Any) -> Tuple[str, str]:
        first = arguments[0] if arguments else next(
            (keywords[word] for word in ("key", "keys", "data") if word in keywords), ())
        if not name.endswith("_many"):
            return name.upper(), _key(first) if first != () else ""
        # What is iterated only once is the cache's to iterate.
        keys = list(first) if isinstance(first, (list, tuple, set, frozenset, dict)) else []
        more = f", and {len(keys) - 5} more" if len(keys) > 5 else ""
        return name.upper(), ", ".join(map(_key, keys[:5])) + more
    return named


def _key(key: Any) -> str:
    """A key as it can be shown: those of sessions would let anybody in."""
    text = str(key)
    if text.startswith(_SESSIONS):
        return _SESSIONS + MASK
    return text
