"""What a worker serves: the user's application, a script's, or the page of a broken start.

Turns the description in the start message into an adapter for `net`. The only module of this
package that imports the user's code, through `loader`.
"""

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, NamedTuple, Optional

from ..config import Settings
from ..exceptions import ConfigurationError
from ..net.adapter import Adapter
from ..recording import Recorded, recording
from .loader import classify, load

if TYPE_CHECKING:
    from .imports import ProjectImports


class Loaded(NamedTuple):
    """An application: how it is called, its settings, and what it wants to listen on."""

    kind: str
    application: Any
    settings: Settings
    addresses: List[List[Any]]  # [host or None, port or path, options]


def load_application(start: Mapping[str, Any], settings: Settings,
                     imports: "Optional[ProjectImports]") -> Loaded:
    """Import what `start["app"]` describes. Raises whatever the user's code raises."""
    app: Dict[str, Any] = start["app"]
    if "fallback" in app:
        from .fallback_app import FallbackApp

        page = FallbackApp(app["fallback"], bool(start.get("dev")), bool(start.get("reload")))
        return Loaded("asgi", page, settings, [])
    if "script" in app:
        return _run_script(app, settings, imports)
    kind, application = load(app["target"], settings.app_dir, settings.factory,
                             settings.interface, imports, start.get("home", ""))
    if start.get("dev"):
        from .frameworks import as_in_development

        application = as_in_development(kind, application, start, settings)
    return _loaded(kind, application, settings)


def _loaded(kind: str, application: Any, settings: Settings) -> Loaded:
    addresses = []
    if kind == "native":
        for (host, port), options in dict(getattr(application, "ports", {})).items():
            addresses.append([host, port, {k: v for k, v in dict(options).items()
                                           if isinstance(v, (str, int, float, bool, dict))}])
    return Loaded(kind, application, settings, addresses)


def _run_script(app: Mapping[str, Any], settings: Settings,
                imports: "Optional[ProjectImports]") -> Loaded:
    """Run the user's script as `__mp_main__`, where `run()` only records what it was given."""
    from .imports import ProjectImports

    sys.argv[:] = app.get("argv") or [app["script"]]
    module = ModuleType("__mp_main__")
    module.__file__ = app["script"]
    module.__dict__["__builtins__"] = __builtins__
    if app.get("module"):
        module.__package__ = app["module"].rpartition(".")[0]
    folder = app.get("folder", "")
    if folder not in sys.path[:1]:
        sys.path.insert(0, folder)
    sys.modules["__main__"] = sys.modules["__mp_main__"] = module
    loader = (imports or ProjectImports()).loader("__mp_main__", app["script"])
    code = loader.get_code("__mp_main__")
    # An application that is no global of the script is only to be had where run() is called.
    attribute = app.get("attribute", "")
    module.__name__ = "__mp_main__" if attribute else "__main__"
    with recording() as runs:
        try:
            exec(code, module.__dict__)  # type: ignore[arg-type]
        except Recorded:
            pass  # run() never returns in the process that started it either
    if runs:
        application = runs[0].application
        given = {name: value for name, value in runs[0].options.items() if value is not None}
        given.update((name, getattr(settings, name)) for name in settings.given
                     if hasattr(settings, name))
        settings = Settings(**given)
    elif attribute and hasattr(module, attribute):
        if app.get("left"):
            raise ConfigurationError(
                f"run() was given {', '.join(app['left'])}, which cannot be handed to the "
                "workers: make it at the top of the script, or in on_worker_start")
        application = getattr(module, attribute)
    else:
        raise ConfigurationError(f'"{app["script"]}" has no application to run any more')
    kind = classify(application) if settings.interface == "auto" else settings.interface
    return _loaded(kind, application, settings)


def make_adapter(loaded: Loaded) -> Adapter:
    """The adapter for `tremolo.net` that calls the application."""
    if loaded.kind == "native":
        from ..app.adapter import NativeAdapter

        return NativeAdapter(loaded.application, loaded.settings)
    if loaded.kind == "wsgi":
        from ..wsgi.adapter import WSGIAdapter

        return WSGIAdapter(loaded.application, loaded.settings)
    from ..asgi.adapter import ASGIAdapter

    application = loaded.application
    if loaded.kind == "asgi2":
        double = application

        async def application(scope: Any, receive: Any, send: Any) -> None:
            await double(scope)(receive, send)

    return ASGIAdapter(application, loaded.settings)
