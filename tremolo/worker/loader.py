"""From what the user wrote as APP to an application object and how to call it.

Errors of our own (no such module, no such attribute, nothing callable) are one line each,
as ConfigurationError; whatever the application's code raises propagates as it is.
"""

import importlib
import importlib.util
import inspect
import os
import sys
from typing import TYPE_CHECKING, Any, NamedTuple, Optional, Tuple

from ..exceptions import ConfigurationError

if TYPE_CHECKING:
    from .imports import ProjectImports

DEFAULT_NAMES = ("app", "application")


class Target(NamedTuple):
    """APP, taken apart: the folder for `sys.path`, a module name or a file, an attribute."""

    folder: str
    module: str
    file: Optional[str]
    attribute: str  # "": one of DEFAULT_NAMES


def parse_target(text: str, app_dir: str = "") -> Target:
    """Understand `module:attr`, `module`, `path.py` and `path.py:attr`.

    Raises ConfigurationError when it is none of these or the file does not exist.
    """
    location, colon, attribute = text, "", ""
    if not text.endswith(".py"):
        location, colon, attribute = text.rpartition(":") if ":" in text else (text, "", "")
    if colon and not all(part.isidentifier() for part in attribute.split(".")):
        raise ConfigurationError(f'Invalid APP "{text}". After the colon stands the name of '
                                 "the application, as in shop:app")
    if location.endswith(".py") or os.sep in location:
        path = os.path.abspath(location)
        if not os.path.isfile(path):
            raise ConfigurationError(f'No such file: "{location}"')
        folder = os.path.abspath(app_dir) if app_dir else os.path.dirname(path)
        name = os.path.splitext(os.path.basename(path))[0]
        return Target(folder, name, path, attribute)
    if not location or not all(part.isidentifier() for part in location.split(".")):
        raise ConfigurationError(f'Invalid APP "{text}". It must be MODULE, MODULE:NAME, '
                                 "FILE.py or FILE.py:NAME")
    return Target(os.path.abspath(app_dir or os.curdir), location, None, attribute)


def load(text: str, app_dir: str = "", factory: bool = False, interface: str = "auto",
         imports: "Optional[ProjectImports]" = None) -> Tuple[str, Any]:
    """Import the application; its kind ("native", "asgi", "asgi2", "wsgi") and the object."""
    target = parse_target(text, app_dir)
    _put_first(target.folder)
    if target.file is not None:
        module = _import_file(target.module, target.file, imports)
    else:
        module = _import_module(target.module)
    application = _attribute(module, target, text)
    if factory:
        if not callable(application):
            raise ConfigurationError(f'"{text}" is not a function that --factory could call')
        application = application()
    return (classify(application, text) if interface == "auto" else interface), application


def _put_first(folder: str) -> None:
    if folder in sys.path:
        sys.path.remove(folder)
    sys.path.insert(0, folder)
    _forget_shadowed(folder)


def _forget_shadowed(folder: str) -> None:
    """Unload what was imported ahead of the fork and has the name of a project's file."""
    from .imports import is_installed

    try:
        names = {entry.name.partition(".")[0] for entry in os.scandir(folder)}
    except OSError:
        return
    for name in names & {name.partition(".")[0] for name in sys.modules}:
        origin = getattr(getattr(sys.modules.get(name), "__spec__", None), "origin", None)
        if (name == "tremolo" or not isinstance(origin, str) or not is_installed(origin)
                or not any(part in origin for part in ("site-packages", "dist-packages"))):
            continue  # the standard library wins in a fresh interpreter too
        spec = importlib.machinery.PathFinder.find_spec(name, [folder])
        if spec is None or spec.origin is None:
            continue
        for loaded in list(sys.modules):
            if loaded == name or loaded.startswith(name + "."):
                del sys.modules[loaded]


def _import_module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as exc:
        if exc.name and (exc.name == name or name.startswith(exc.name + ".")):
            hint = f' There is a file {name}.py here: did you mean "{name}.py"?' if (
                os.path.isfile(name + ".py")) else ""
            raise ConfigurationError(
                f'Could not import module "{exc.name}".{hint}') from None
        raise


def _import_file(name: str, path: str, imports: "Optional[ProjectImports]") -> Any:
    if name in sys.modules or not name.isidentifier():
        name = "__app__"  # a file named as a module that is loaded already, or as none can be
    loader = imports.loader(name, path) if imports is not None else None
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    if spec is None or spec.loader is None:
        raise ConfigurationError(f'"{path}" is not a Python file')
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _attribute(module: Any, target: Target, text: str) -> Any:
    shown = os.path.basename(target.file) if target.file else target.module
    if not target.attribute:
        for name in DEFAULT_NAMES:
            if hasattr(module, name):
                return getattr(module, name)
        raise ConfigurationError(f'"{shown}" has no attribute "app". Name the application, as '
                                 f'in "{text}:NAME"')
    found = module
    for name in target.attribute.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise ConfigurationError(
                f'"{shown}" has no attribute "{target.attribute}"') from None
    return found


def classify(application: Any, text: str = "APP") -> str:
    """Find out by looking: "native", "asgi", "asgi2" or "wsgi". Raises ConfigurationError."""
    native = sys.modules.get("tremolo.app.application")
    if native is not None and isinstance(application, native.Application):
        return "native"
    if not callable(application):
        raise ConfigurationError(
            f'"{text}" is no application: a {type(application).__name__} cannot be called')
    if inspect.isclass(application):
        return "asgi2" if _positional(application.__init__) == 2 else "asgi"
    call = application if inspect.isroutine(application) else application.__call__
    inner = inspect.unwrap(call)
    while hasattr(inner, "func"):  # functools.partial
        inner = inner.func
    if inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(inner):
        return "asgi"
    count = _positional(call)
    if count == 0:
        raise ConfigurationError(
            f'"{text}" takes no arguments. If it makes the application, add --factory')
    return {1: "asgi2", 2: "wsgi"}.get(count, "asgi")


def _positional(function: Any) -> int:
    """How many positional arguments a call must be able to give; 3 when that is unknown."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 3
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return 3
    return sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
               and p.default is p.empty for p in parameters)
