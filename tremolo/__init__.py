"""Tremolo: a development server for Python web apps, and the HTTP server below it.

Public names are loaded when they are first used, so that `import tremolo` costs nothing and
needs only the standard library.
"""

TYPE_CHECKING = False  # typing's own would cost more than all of this
if TYPE_CHECKING:
    from typing import Any

    from .app.application import Application, Tremolo
    from .launch import run

__version__ = "1.0.0.dev0"
__all__ = ["Application", "Tremolo", "run", "__version__"]

_HOMES = {"Application": ".app.application", "Tremolo": ".app.application", "run": ".launch"}


def __getattr__(name: str) -> "Any":
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(home, __name__), name)
    globals()[name] = value
    return value
