"""Middlewares and hooks: which functions run, and in which order.

Knows priorities and prefixes; runs nothing itself. A lower priority number is more urgent.
Lists are kept in an order that the caller need not sort again.
"""

from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from .handlers import FUNCTION, GENERATOR, HOOK_NAMES, SERVER_NAMES, STREAM, Handler

Prefix = Tuple[bytes, ...]
MIDDLEWARES = ("request", "response")
HOOKS = ("worker_start", "worker_stop", "connect", "close")
#: hooks that undo: the last registered runs first
_UNDOING = ("worker_stop", "close")


class Registered(NamedTuple):
    """A function in a list of middlewares or hooks."""

    priority: int
    func: Callable[..., Any]
    handler: Handler


def new_middlewares() -> Dict[str, List[Registered]]:
    return {name: [] for name in MIDDLEWARES}


def register_middleware(
    stacks: Dict[Prefix, Dict[str, List[Registered]]],
    func: Callable[..., Any],
    name: str,
    priority: int,
    options: Optional[Mapping[str, Any]],
    prefix: Prefix,
) -> None:
    """Add a middleware where it will run.

    `request` runs by ascending priority in order of registration, `response` by ascending
    priority in reverse order. Raises ValueError for another name.
    """
    if name not in MIDDLEWARES:
        raise ValueError(f"a middleware is one of {', '.join(MIDDLEWARES)}, not {name!r}")
    handler = Handler(func, options)
    if handler.kind in (STREAM, GENERATOR):
        raise TypeError(f"{handler!r}: a middleware returns its response, it cannot yield it")
    entry = Registered(priority, func, handler)
    listed = stacks.setdefault(prefix, new_middlewares())[name]
    if name == "request":
        _insert(listed, entry, lambda other: other.priority > priority)
    else:
        _insert(listed, entry, lambda other: other.priority >= priority)


def register_hook(
    hooks: Dict[str, List[Registered]], func: Callable[..., Any], name: str, priority: int
) -> None:
    """Add a hook. Raises ValueError for an unknown name.

    The first of `worker_start` and `connect`, the last of `worker_stop` and `close` is the
    most urgent.
    """
    if name not in HOOKS:
        raise ValueError(f"a hook is one of {', '.join(HOOKS)}, not {name!r}")
    offered = HOOK_NAMES if name.startswith("worker") else SERVER_NAMES
    handler = Handler(func, offered=offered)
    if handler.kind in (STREAM, GENERATOR):
        raise TypeError(f"{handler!r}: a hook cannot yield")
    entry = Registered(priority, func, handler)
    if name in _UNDOING:
        _insert(hooks[name], entry, lambda other: other.priority < priority)
    else:
        _insert(hooks[name], entry, lambda other: other.priority > priority)


def in_order(hooks: Mapping[str, Sequence[Registered]], name: str) -> Sequence[Registered]:
    """The hooks of that name in the order in which they run."""
    listed = hooks[name]
    return tuple(reversed(listed)) if name in _UNDOING else tuple(listed)


def _insert(listed: List[Registered], entry: Registered,
            goes_before: Callable[[Registered], bool]) -> None:
    for index, other in enumerate(listed):
        if goes_before(other):
            listed.insert(index, entry)
            return
    listed.append(entry)


def on_thread(handler: Handler) -> bool:
    """Whether the function blocks, so that it has to run on a thread."""
    return handler.kind in (FUNCTION, GENERATOR)


def segments(path: bytes) -> Prefix:
    """The non-empty segments of a path."""
    return tuple(part for part in path.split(b"/") if part)
