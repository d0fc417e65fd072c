"""Where the code is that answers a request: its name, its file and its line."""

import functools
import inspect
import sys
from typing import TYPE_CHECKING, Any, Optional

from ..telemetry.sanitize import clean

if TYPE_CHECKING:
    from ..telemetry.rows import Endpoint


def endpoint_of(target: Any, method: str) -> "Optional[Endpoint]":
    """Where `target` is defined: a function, a partial or decorated one, a view class (then its
    method for `method`), or an object that is called. None for what has no Python code."""
    target = _innermost(target)
    for name in ("view_class", "cls"):  # Django's and Django REST's, on what as_view() made
        target = getattr(target, name, target)
    if not inspect.isclass(target) and not inspect.isfunction(target):
        wrapped = _innermost(getattr(target, "func", None))  # as Litestar makes them asynchronous
        if not inspect.isfunction(wrapped):
            kind: Any = type(target)
            return _located(kind, "__call__")  # what it calls `get` is no view's
        target = wrapped
    return _located(target, method)


def _innermost(target: Any) -> Any:
    """The function of a partial, and of a bound method."""
    while isinstance(target, functools.partial):
        target = target.func
    return getattr(target, "__func__", target)


@functools.lru_cache(1024)
def _located(target: Any, method: str) -> "Optional[Endpoint]":
    module = getattr(target, "__module__", None) or ""
    name = getattr(target, "__qualname__", "") or getattr(target, "__name__", "")
    function: Any = target
    if inspect.isclass(target):
        found = [getattr(target, attribute, None)
                 for attribute in (method.lower(), "dispatch", "__call__")]
        function = next((each for each in found if inspect.isfunction(each)
                         and each.__module__ == module), None)
        if function is None:
            return _class(target, f"{module}.{name}")
        name = function.__qualname__
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        return None
    return {"name": clean(f"{module}.{name}"), "file": clean(code.co_filename, 1024),
            "line": code.co_firstlineno}


def _class(target: Any, name: str) -> "Optional[Endpoint]":
    file = getattr(sys.modules.get(target.__module__), "__file__", None)
    if not file:
        return None
    try:
        line = inspect.getsourcelines(target)[1]
    except (OSError, TypeError):
        line = 1
    return {"name": clean(name), "file": clean(file, 1024), "line": line}
