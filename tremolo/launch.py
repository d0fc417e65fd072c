"""Serving from Python: `tremolo.run(app, ...)` and `app.run(...)`.

A composition root. With one worker, no reload and no limit of its memory the server runs in
this very process, so that debuggers work. Otherwise this process becomes the supervisor, and
workers run the script again as `__mp_main__`: behind the usual guard `run()` is not reached
there, and the application is found by its name; where it is reached, it only records what it
was given.
"""

import os
import sys
from typing import Any, Dict, Mapping, Optional, Sequence

from .config import Settings, is_plain
from .exceptions import ConfigurationError
from .recording import is_recording, record


def run(app: Any, **options: Any) -> None:
    """Serve an ASGI (or Tremolo) application: an object, or a text as on the command line.

    `options` are those of `tremolo.config.OPTIONS`; host is 127.0.0.1 and port 8000 if they
    are not given. Returns when the server has been stopped. Raises ConfigurationError.
    """
    if isinstance(app, str):
        if is_recording():
            raise ConfigurationError("run() with a text cannot be run by workers")
        from .commands.serving import Start, launch_of, serve_plainly

        settings = Settings(**_complete(options))
        _end(serve_plainly(launch_of(Start(app, settings), dev=False)))
        return
    if app is None or (not callable(app) and not hasattr(app, "routes")):
        raise ConfigurationError(f"{app!r} is no application")
    _serve(app, options)


def adapter_for(application: Any, settings: Settings) -> Any:
    """The adapter that calls an application of any kind. Raises ConfigurationError when it is
    none."""
    from .worker.application import Loaded, make_adapter
    from .worker.loader import classify

    if not callable(application) and not hasattr(application, "routes"):
        raise ConfigurationError(f"{application!r} is no application")
    kind = classify(application) if settings.interface == "auto" else settings.interface
    return make_adapter(Loaded(kind, application, settings, []))


def run_application(application: Any, settings: Settings,
                    addresses: Optional[Sequence[Any]] = None) -> None:
    """What `Application.run()` calls: serve on `addresses`, pairs ((host, port), options); on
    the settings' host and port if there are none."""
    options = {name: getattr(settings, name) for name in settings.given
               if hasattr(settings, name)}
    options.update(settings.extra)
    _serve(application, options, addresses)


def _serve(application: Any, options: Mapping[str, Any],
           addresses: Optional[Sequence[Any]] = None) -> None:
    given = _complete(options)
    if is_recording():
        record(application, given)
    settings = Settings(**given)
    restarts = settings.reload or (
        (settings.limit_memory or settings.max_requests) and settings.worker_num)
    if settings.worker_num in (0, 1) and not restarts:
        from .inprocess import serve_in_process

        _end(serve_in_process(application, settings, addresses or ()))
        return
    _become_supervisor(application, settings, addresses or ())


def _complete(options: Mapping[str, Any]) -> Dict[str, Any]:
    """The options that are given, with what some of them stand for."""
    given = {name: value for name, value in options.items() if value is not None}
    if given.get("lan") or given.get("https"):
        from .commands.network import complete

        complete(given)
    return given


def _end(code: int) -> None:
    if code:
        sys.exit(code)


def _become_supervisor(application: Any, settings: Settings,
                       addresses: Sequence[Any]) -> None:
    """Replace this process by a supervisor whose workers run the script. Never returns."""
    from .supervisor.bootstrap import command
    from .supervisor.wanted import by_that_name

    main = sys.modules["__main__"]
    _refuse_shared(settings, application)
    path = getattr(main, "__file__", None)
    if not path:
        raise RuntimeError("run() with several workers or reload needs a script: there is no "
                           "__main__.__file__")
    script: Dict[str, Any] = {
        "script": by_that_name(os.path.abspath(path)), "argv": list(sys.argv),
        "folder": by_that_name(sys.path[0] or os.getcwd()),
        "module": main.__spec__.name if main.__spec__ is not None else "",
        "left": [name for name, value in settings.extra.items() if not is_plain(value)],
        "addresses": [[host, port, _plain_values(options)]
                      for (host, port), options in addresses],
        "attribute": next((name for name, value in vars(main).items()
                           if value is application and not name.startswith("__")), "")}
    sys.stdout.flush()
    sys.stderr.flush()
    arguments = command("tremolo.launch", "supervise_script", script, settings.as_dict())
    os.execv(arguments[0], arguments)


def _refuse_shared(settings: Settings, application: Any) -> None:
    """Raises ConfigurationError for what processes share by being born of one another: workers
    are fresh processes, which would have it not at all, or each its own."""
    context = getattr(application, "context", None)
    kept = context if isinstance(context, Mapping) else dict(getattr(context, "_values", {}))
    for where, values in (("run()", settings.extra), ("app.context", kept)):
        for name, value in values.items():
            if any(base.__module__.partition(".")[0] == "multiprocessing"
                   for base in type(value).__mro__):
                raise ConfigurationError(
                    f"{where} has {name}={type(value).__name__}, which the workers cannot get: "
                    "they are fresh processes that run this script again. Let them connect to a "
                    "manager by its address (multiprocessing.managers.BaseManager) in "
                    "on_worker_start, or use worker_num=1 without reload")


def _plain_values(options: Mapping[str, Any]) -> Dict[str, Any]:
    """What of an address's options can be sent to another process."""
    return {name: value for name, value in options.items()
            if isinstance(value, (str, int, float, bool, dict))}


def supervise_script(script: Dict[str, Any], values: Dict[str, Any]) -> None:
    """Entry of the supervisor that a script became."""
    from .commands.serving import serve_plainly
    from .supervisor.wanted import Launch, working_directory

    try:
        settings = Settings(**values)
        sys.exit(serve_plainly(Launch(
            script, os.path.basename(script["script"]), settings, settings.reload,
            script["folder"], working_directory())))
    except ConfigurationError as exc:
        sys.exit(str(exc))
