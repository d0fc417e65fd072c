"""From what the user wrote as APP to an application object and how to call it.

Errors of our own (no such module, no such attribute, nothing callable) are one line each,
as ConfigurationError; whatever the application's code raises propagates as it is.
"""

import importlib
import importlib.util
import inspect
import os
import sys
from typing import TYPE_CHECKING, Any, Optional, Tuple

from ..discovery.targets import Call, Target, parse_target, split_call
from ..exceptions import ConfigurationError

if TYPE_CHECKING:
    from .imports import ProjectImports

DEFAULT_NAMES = ("app", "application")


def load(text: str, app_dir: str = "", factory: bool = False, interface: str = "auto",
         imports: "Optional[ProjectImports]" = None, home: str = "") -> Tuple[str, Any]:
    """Import the application; its kind ("native", "asgi", "asgi2", "wsgi") and the object."""
    target = parse_target(text, app_dir, home)
    if target.root != target.folder:
        _put_first(target.root)
    _put_first(target.folder)
    if target.file is None:
        module = _import_module(target)
    elif target.top == target.root:
        module = _import_file(target.module, target.file, imports)
    else:
        module = _import_member(target, target.file, imports)
    application = _attribute(module, target, split_call(text)[0])
    if target.call is not None:
        application = _called(application, target.call, text)
    elif factory:
        if not callable(application):
            raise ConfigurationError(f'"{text}" is not a function that --factory could call')
        application = application()
    return (classify(application, text) if interface == "auto" else interface), application


def _called(factory: Any, call: Call, text: str) -> Any:
    if not callable(factory):
        raise ConfigurationError(f'"{text}" cannot be called: it is of the type '
                                 f"{type(factory).__name__}")
    try:
        inspect.signature(factory).bind(*call.arguments, **call.named)
    except TypeError as exc:
        raise ConfigurationError(f'"{text}" cannot be called so: {exc}') from None
    except ValueError:
        pass  # a function without a signature decides itself
    return factory(*call.arguments, **call.named)


def _put_first(folder: str) -> None:
    if folder in sys.path:
        sys.path.remove(folder)
    sys.path.insert(0, folder)
    _forget_shadowed(folder)


def _forget_shadowed(folder: str) -> None:
    """Unload what was imported ahead of the fork and has the name of a project's file."""
    from .installed import is_installed

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


def _import_module(target: Target) -> Any:
    name = target.module
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as exc:
        if exc.name and (exc.name == name or name.startswith(exc.name + ".")):
            from .absent import absent_module  # deferred, as below: hardly ever wanted

            raise ConfigurationError(absent_module(name, exc.name, target.folder)) from None
        raise


def _import_member(target: Target, path: str, imports: "Optional[ProjectImports]") -> Any:
    """Import a file as the module of a package that it is."""
    folder = os.path.dirname(path)
    package = target.module
    if os.path.basename(path) != "__init__.py":
        package = target.module.rpartition(".")[0]
        if folder not in sys.path:
            # Last, so that it shadows nothing: `import models` of a file beside this one goes
            # on to work, as it does for `python3 shop/main.py`.
            sys.path.append(folder)
    found = importlib.import_module(package)
    if not any(_same(folder, place) for place in getattr(found, "__path__", ())):
        if not os.path.isfile(os.path.join(folder, "__init__.py")):
            return _import_file(target.module.rpartition(".")[2], path, imports)
        from .absent import origin_of

        raise ConfigurationError(
            f'"{path}" belongs to the package "{package}", but that name means '
            f"{origin_of(found)}. Give its folder another name")
    if package == target.module:
        return found
    loaded = sys.modules.get(target.module)
    if loaded is not None and _same(getattr(loaded, "__file__", None), path):
        return loaded  # by __init__.py
    spec = importlib.util.find_spec(target.module)
    if spec is not None and _same(spec.origin, path):
        return importlib.import_module(target.module)
    return _import_file(target.module, path, imports)


def _same(one: Optional[str], other: str) -> bool:
    try:
        return one is not None and os.path.samefile(one, other)
    except OSError:
        return False


def _import_file(name: str, path: str, imports: "Optional[ProjectImports]") -> Any:
    package, _, own = name.rpartition(".")
    if name in sys.modules or not own.isidentifier():
        # It is named as a module that is loaded already, or as none can be.
        name = f"{package}.__app__" if package else "__app__"
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
    if package:
        setattr(sys.modules[package], name.rpartition(".")[2], module)
    return module


def _attribute(module: Any, target: Target, text: str) -> Any:
    for name in [target.attribute] if target.attribute else DEFAULT_NAMES:
        found = module
        for part in name.split("."):
            try:
                found = getattr(found, part)
            except AttributeError:
                break
        else:
            return found
    from .absent import absent_attribute

    raise ConfigurationError(absent_attribute(module, target.attribute, text, target.folder,
                                              target.file))


def classify(application: Any, text: str = "APP") -> str:
    """Find out by looking: "native", "asgi", "asgi2" or "wsgi". Raises ConfigurationError."""
    native = sys.modules.get("tremolo.app.application")
    if native is not None and isinstance(application, native.Application):
        return "native"
    if not callable(application):
        raise ConfigurationError(
            f'"{text}" is no application: it is of the type {type(application).__name__}, '
            "which cannot be called")
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
