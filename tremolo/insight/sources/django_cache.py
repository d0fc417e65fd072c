"""Django's caches, whatever keeps them: what is asked, and whether it was there; no values.

What a cache does in its turn, as a backend that sends commands to redis, is part of it.
"""

import sys
from time import perf_counter
from typing import Any, Callable, Dict, List, Set, Tuple

from ...telemetry.secrets import MASK
from ..calls import Calling
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
    calling = Calling(source, "cache")
    base = sys.modules["django.core.cache.backends.base"].BaseCache
    if not hasattr(base, "_missing_key"):
        return  # Django before 3.2: what is missing cannot be told from a default
    seen: Set[type] = set()

    def observe(kind: type) -> None:
        if kind in seen or not issubclass(kind, base):
            return
        seen.add(kind)
        for name in METHODS:
            for each in (name, "a" + name):  # and its coroutine function
                if each in vars(kind):
                    calling.observe(kind, each, _named(name), METHODS[name])
        if "get" in vars(kind) and kind is not base:  # whose own raises
            source.replace(kind, "get", _got(calling))
        if "aget" in vars(kind):
            source.replace(kind, "aget", _awaited(calling))

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


def _asking(cache: Any, arguments: Tuple[Any, ...],
            keywords: Dict[str, Any]) -> Tuple[Any, Tuple[Any, ...], Dict[str, Any]]:
    """The default of a `get`, and its arguments with Django's own mark of what is missing in its
    place, as Django asks itself: a value may well equal the default."""
    missing = cache._missing_key
    if "default" in keywords:
        return keywords["default"], arguments, {**keywords, "default": missing}
    default = arguments[1] if len(arguments) > 1 else None
    return default, (*arguments[:1], missing, *arguments[2:]), keywords


def _got(calling: Calling) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def make(get: Callable[..., Any]) -> Callable[..., Any]:
        def observed(self: Any, *arguments: Any, **keywords: Any) -> Any:
            __traceback_hide__ = True
            record = calling.begin() if arguments else None
            if record is None:
                return get(self, *arguments, **keywords)
            default, asked, named = _asking(self, arguments, keywords)
            began, status = perf_counter(), "interrupted"
            try:
                result = get(self, *asked, **named)
                status = "miss" if result is self._missing_key else "hit"
                return default if status == "miss" else result
            except Exception as exc:
                status = type(exc).__name__
                raise
            finally:
                calling.end(record, began, _named("get"), lambda: status, self, arguments,
                            keywords)
        return observed
    return make


def _awaited(calling: Calling) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def make(get: Callable[..., Any]) -> Callable[..., Any]:
        async def observed(self: Any, *arguments: Any, **keywords: Any) -> Any:
            __traceback_hide__ = True
            record = calling.begin() if arguments else None
            if record is None:
                return await get(self, *arguments, **keywords)
            default, asked, named = _asking(self, arguments, keywords)
            began, status = perf_counter(), "interrupted"
            try:
                result = await get(self, *asked, **named)
                status = "miss" if result is self._missing_key else "hit"
                return default if status == "miss" else result
            except Exception as exc:
                status = type(exc).__name__
                raise
            finally:
                calling.end(record, began, _named("get"), lambda: status, self, arguments,
                            keywords)
        return observed
    return make


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
