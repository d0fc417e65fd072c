"""`tremolo dev` and `tremolo run`: which application, which settings, and off it goes."""

import os
import sys
from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ..config import BY_NAME, Settings
from ..exceptions import ConfigurationError
from ..pyproject import read_pyproject, spelled
from .given import parse
from .options import names_of, options_of

if TYPE_CHECKING:
    from ..discovery.project import Choice
    from ..supervisor.wanted import Launch

#: frameworks show their debug pages when these ask for it, as under their own development servers
DEBUG_VARIABLES = ("FLASK_DEBUG", "QUART_DEBUG", "LITESTAR_DEBUG")

#: what a project wants beside its server while it is developed, and only then
FOR_DEVELOPMENT = ("companions", "hold_mail", "proxy")


class Start(NamedTuple):
    """What to serve: APP for the loader, the settings, what is logged first, and what is put
    into the environment unless it is there."""

    app: str
    settings: Settings
    notes: Tuple[str, ...] = ()
    environ: Tuple[Tuple[str, str], ...] = ()
    found: bool = False
    #: what stood in [tool.tremolo], by folder, and the names that the command line decides
    configured: Tuple[Dict[str, Dict[str, str]], Sequence[str]] = ({}, ())


def serve(arguments: List[str], dev: bool) -> int:
    """Run until the server has ended; the exit code. Raises ConfigurationError."""
    start = prepare(arguments, dev)
    if not start.settings.bind and start.settings.port:
        from .ports import settle_port

        settings = settle_port(start.settings, _can_ask() and dev)
        if settings is None:
            return 0
        start = start._replace(settings=settings)
    settings = start.settings
    if settings.lan:
        from .network import show_code, urls

        for url in urls(settings)[:1]:
            show_code(url)
    if dev and _has_terminal(settings):
        from ..dashboard import run_dashboard

        for note in start.notes:
            print(note)
        return run_dashboard(launch_of(start, dev, capture=True))
    return serve_plainly(launch_of(start, dev), fork=not dev)


def prepare(arguments: Sequence[str], dev: bool) -> Start:
    """Understand a command line, in the folder of its project: may change to it.

    Raises ConfigurationError.
    """
    given = parse(arguments)
    decided = list(given)
    app = given.pop("app", None)
    here = os.getcwd()
    table = read_pyproject(here)
    values = options_of(table, here)
    app = app or values.pop("app", None)
    values.pop("app", None)
    found = None
    if not app or needs_finding(app, given.get("app_dir") or values.get("app_dir", ""), dev):
        found = _find(app, here, {**values, **given}, table, dev)
    notes: Tuple[str, ...] = ()
    environ: Dict[str, str] = {}
    if found is not None:
        choice, folder = found
        app = choice.target
        _follow(choice, folder, here, values, given)
        notes += (choice.why,) if choice.why else ()
        environ.update(choice.environ if dev else ())
    else:
        values.update(given)
    if not dev:
        if given.get("hold_mail"):
            raise ConfigurationError("--hold-mail is an option of `tremolo dev`: without insight "
                                     "into the application, mail is sent")
        for name in FOR_DEVELOPMENT:
            values.pop(name, None)
    if dev:
        values.setdefault("reload", True)
        values.setdefault("debug", True)
        if values["debug"]:
            environ.update((name, "1") for name in DEBUG_VARIABLES)
    assert app is not None
    if values.get("lan") or values.get("https"):
        from .network import complete

        complete(values)
    settings = Settings(**values)
    if settings.lan:
        from .network import WARNING

        notes += (WARNING,)
    _check(app, settings)
    configured: Dict[str, Dict[str, str]] = {}
    if settings.reload:
        for folder in {here, os.getcwd(), *([found[1]] if found else ())}:
            configured[folder] = spelled(table if folder == here else read_pyproject(folder))
    return Start(app, settings, notes, tuple(environ.items()), found is not None,
                 (configured, names_of(decided)))


def _follow(choice: "Choice", folder: str, here: str, values: Dict[str, Any],
            given: Dict[str, Any]) -> None:
    """Go to the home of an application that was found in `folder`, and complete the `values` of
    options by what stands there; those that were `given` win."""
    from ..supervisor.wanted import by_that_name

    if choice.home != here:
        _make_absolute(given, here)
        _make_absolute(values, here)
        named = by_that_name(choice.home)
        os.chdir(choice.home)
        os.environ["PWD"] = named
        for place in dict.fromkeys((folder, choice.home)):
            if place != here:
                values.update(options_of(read_pyproject(place), place))
        values.pop("app", None)
    values.update(given)
    if choice.folder and choice.folder != os.getcwd():
        values["app_dir"] = by_that_name(choice.folder)
    if choice.factory:
        values["factory"] = True


def needs_finding(app: str, app_dir: str, dev: bool) -> bool:
    """Whether APP has to be looked up: it is no MODULE:NAME of a module that is right here."""
    from ..discovery.targets import split_call

    module, colon, _ = split_call(app)[0].rpartition(":")
    if not colon or dev:
        return True
    path = os.path.join(app_dir, *module.split("."))
    return not os.path.isfile(path + ".py") and not os.path.isdir(path)


def _find(app: Optional[str], here: str, values: Dict[str, Any], table: Dict[str, Any],
          dev: bool) -> "Optional[Tuple[Choice, str]]":
    """The application and the folder whose files name it; None if APP is right as it is."""
    from ..discovery.choosing import choose_one
    from ..discovery.project import resolve

    command = "tremolo dev" if dev else "tremolo run"
    if app:
        found = resolve(app, here, values.get("app_dir", ""))
        return (choose_one(found, command, _can_ask()), here) if found else None
    found, folder = _discover(here, table, values)
    return choose_one(found, command, _can_ask()), folder


def _discover(here: str, table: Dict[str, Any],
              values: Dict[str, Any]) -> "Tuple[List[Choice], str]":
    """Look here, then in the projects around. Raises ConfigurationError when nothing is there."""
    from ..discovery.project import discover, resolve
    from ..discovery.roots import project_folder

    folder: Optional[str] = here
    first = True
    while folder is not None:
        if not first:
            table = read_pyproject(folder)
        app = options_of(table, folder).get("app")
        if app and not first:
            found = resolve(str(app), folder)
            if not found:
                raise ConfigurationError(f'[tool.tremolo] app in {folder} is "{app}", which '
                                         "was not found")
            return [one._replace(home=folder) for one in found], folder
        found = discover(folder, _flask_environment(folder), table)
        if found:
            return found, folder
        first = False
        above = os.path.dirname(folder)
        folder = project_folder(above) if above != folder else None
    raise ConfigurationError(
        f"You must specify APP: none was found in {here}. Name it, as in "
        '"tremolo dev MODULE:NAME" or "tremolo dev FILE.py". Use "--help" for help')


def _flask_environment(folder: str) -> Dict[str, str]:
    """The environment, with what Flask's own command would add to it."""
    from ..envfile import DOTENV_FILES, read_env_file

    values: Dict[str, str] = {}
    for name in reversed(DOTENV_FILES):
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            try:
                values.update(read_env_file(path))
            except ConfigurationError:
                continue  # the supervisor reports what is wrong with it
    return {**values, **os.environ}


def _make_absolute(values: Dict[str, Any], here: str) -> None:
    """Paths are meant from where the command was given."""
    for name, value in values.items():
        option = BY_NAME.get(name)
        if option is None or option.metavar not in ("FILE", "FOLDER") or not value:
            continue
        if isinstance(value, (list, tuple)):
            values[name] = [os.path.join(here, part) for part in value]
        else:
            values[name] = os.path.join(here, value)


def _check(app: str, settings: Settings) -> None:
    """Find mistakes before anything is started."""
    from ..discovery.targets import parse_target

    parse_target(app, settings.app_dir)
    for folder in settings.reload_dir:
        if not os.path.isdir(folder):
            raise ConfigurationError(f'Invalid --reload-dir value "{folder}". There is no such '
                                     "folder")
    if settings.proxy:
        _check_proxy(settings)
    if settings.throttle or settings.presets:
        from ..supervisor.wanted import WantedThrottle

        WantedThrottle(settings.throttle, settings.presets)


def _check_proxy(settings: Settings) -> None:
    from importlib.util import find_spec

    from ..upstreams import upstreams

    rules = upstreams(settings.proxy)
    if find_spec("aiohttp") is None:
        raise ConfigurationError("[tool.tremolo.proxy] takes the package aiohttp: "
                                 "pip install 'tremolo[proxy]'")
    for rule in rules:
        if rule.is_at(settings.port):
            raise ConfigurationError(f"[tool.tremolo.proxy] {rule.url} is this server itself")


def launch_of(start: Start, dev: bool, capture: bool = False) -> "Launch":
    """What the supervisor is to run."""
    from ..discovery.targets import parse_target
    from ..supervisor.folders import is_exposed
    from ..supervisor.wanted import Launch, by_that_name, working_directory

    app, settings = start.app, start.settings
    app, home = by_that_name(app), working_directory()
    target = parse_target(app, settings.app_dir, home)
    # A package that lies in a home folder or the root is all of the project that is there.
    folder = target.top if is_exposed(target.folder) else target.folder
    if start.found and folder.startswith(home + os.sep) and not is_exposed(home):
        folder = home  # what lies beside the sources matters too: templates, settings
    described: Dict[str, Any] = {"target": app, "environ": dict(start.environ),
                                 "notes": list(start.notes)}
    if start.configured[0]:
        described["configured"] = start.configured
    return Launch(described, shown(app, settings), settings, dev, folder, home,
                  capture)


def shown(app: str, settings: Settings) -> str:
    """APP for people: without the folders that lead here."""
    here = os.getcwd() + os.sep
    return app[len(here):] if app.startswith(here) else app


def serve_plainly(launch: "Launch", fork: bool = False) -> int:
    """Run the supervisor in this process with lines on the terminal; if it may `fork`, begin
    without most of it."""
    from ..supervisor.plain import JSONConsumer, PlainConsumer

    settings = launch.settings
    if settings.json:
        from ..supervisor.entry import supervise

        return supervise(launch._replace(capture=True), consumer=JSONConsumer())
    detail = int(settings.log_level.upper() in ("", "DEBUG", "INFO"))
    consumer = PlainConsumer(level=settings.log_level)
    quiet = None
    if fork:
        from ..supervisor.quiet import Quiet, is_enough

        if is_enough(settings):
            quiet = Quiet(launch, consumer, detail)
            code = quiet.run()
            if code is not None:
                return code
    from ..supervisor.entry import supervise

    return supervise(launch, consumer=consumer, detail=detail, quiet=quiet)


def go_on(kept: int) -> int:
    """Be the supervisor of a quiet server that rested with the file `kept`; the exit code."""
    from ..supervisor.entry import supervise
    from ..supervisor.quiet import Quiet

    quiet = Quiet.woken(kept)
    return supervise(quiet.launch, consumer=quiet.consumer, detail=quiet.detail, quiet=quiet)


def _has_terminal(settings: Settings) -> bool:
    return not (settings.plain or settings.json) and _can_ask()


def _can_ask() -> bool:
    """Whether a person sits at both ends."""
    return not (os.environ.get("CI") or os.environ.get("TERM") in ("dumb", None)
                or not sys.stdout.isatty() or not sys.stdin.isatty())
