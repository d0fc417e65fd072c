"""Class-based and module-based views: one function for each method of HTTP.

Knows how to find those functions; the route keeps them.
"""

import inspect
from types import ModuleType
from typing import Any, Dict, Iterable, List, Mapping, Tuple, Type

from .handlers import Handler, MethodHandler

METHODS = ("get", "head", "post", "put", "patch", "delete", "options", "trace", "connect")


def class_methods(
    view: Type[Any], settings: Mapping[str, Any], groups: Iterable[str] = ()
) -> Dict[bytes, Handler]:
    """Handlers of the methods that `view` and its bases of the same module define."""
    found: Dict[bytes, Handler] = {}
    for name in METHODS:
        for owner in view.__mro__:
            attribute = owner.__dict__.get(name)
            if attribute is None or owner.__module__ != view.__module__:
                continue
            if isinstance(attribute, (staticmethod, classmethod)):
                found[_wire(name)] = Handler(getattr(view, name), groups=groups)
            elif inspect.isroutine(attribute):
                found[_wire(name)] = MethodHandler(view, attribute, settings, groups)
            break
    if not found:
        raise TypeError(f"{view.__qualname__} defines no method named as one of HTTP "
                        f"(get, post, ...)")
    return found


def module_methods(
    module: ModuleType, settings: Mapping[str, Any], groups: Iterable[str] = ()
) -> Dict[bytes, Handler]:
    """Handlers of the functions of `module`, defined there, that are named as methods."""
    found: Dict[bytes, Handler] = {}
    for name in METHODS:
        func = getattr(module, name, None)
        if inspect.isfunction(func) and func.__module__ == module.__name__:
            found[_wire(name)] = Handler(func, settings, groups=groups)
    if not found:
        raise TypeError(f"module {module.__name__} defines no function named as a method of "
                        f"HTTP (get, post, ...)")
    return found


def _wire(name: str) -> bytes:
    return name.upper().encode("ascii")


def allow_value(methods: Mapping[bytes, Handler]) -> bytes:
    """The value of `Allow` (RFC 9110 section 10.2.1): the methods in alphabetical order.

    HEAD and OPTIONS are not listed, as in earlier versions of Tremolo, unless nothing else is.
    """
    shown: List[bytes] = sorted(m for m in methods if m not in (b"HEAD", b"OPTIONS"))
    return b", ".join(shown or sorted(methods))


def pick(methods: Mapping[bytes, Handler], method: bytes) -> Tuple[bool, Handler]:
    """Whether `method` may be used, and its handler; HEAD is answered by GET's."""
    handler = methods.get(method)
    if handler is None and method == b"HEAD":
        handler = methods.get(b"GET")
    if handler is None:
        return False, next(iter(methods.values()))
    return True, handler
