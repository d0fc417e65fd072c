"""In which context something runs that an event loop has: a task, or a callback's handle.

Python says that of tasks from 3.12 on, uvloop of nothing. All of them let the garbage collector
know what they refer to, and that is one context each.
"""

import gc
from contextvars import Context
from typing import Any, Mapping, Optional

#: what the context of an exception handler calls that which failed
_NAMES = ("task", "future", "handle")


def context_of(told: Mapping[str, Any]) -> Optional[Context]:
    """The context in which ran what the exception handler of a loop is `told` of; None where
    that is nothing that runs, as a future that somebody else was to fulfil."""
    for name in _NAMES:
        found = None if told.get(name) is None else context_in(told[name])
        if found is not None:
            return found
    return None


def context_in(thing: Any) -> Optional[Context]:
    """The context of a task or a handle."""
    found = getattr(thing, "_context", None)  # of handles, and of tasks made in Python
    if isinstance(found, Context):
        return found
    return next((each for each in gc.get_referents(thing) if isinstance(each, Context)), None)
