"""The command line: `tremolo dev APP`, `tremolo run APP`, and commands to a running server.

A composition root: it may import everything, and does so as late as possible. Errors of the
user's are one clear line and exit code 1 (or 2 for a wrong option); only the application's own
exceptions show a traceback.
"""

import argparse
import importlib
import json
import os
import sys
from typing import Any, Callable, Dict, List, Mapping, NoReturn, Optional, Sequence

from . import __version__
from .config import BY_NAME, OPTIONS, Option, Settings
from .exceptions import ConfigurationError

GROUPS = (("address", "where to listen"), ("application", "the application"),
          ("processes", "processes"), ("reload", "reloading"), ("limits", "limits"),
          ("throttle", "throttle"), ("output", "what is told"))

USAGE = """tremolo dev [OPTIONS] APP     develop: dashboard, reload on save, debug pages
       tremolo [run] [OPTIONS] APP   serve
       tremolo throttle PRESET|off   throttle a running server
       tremolo reload | status | last error | debug"""

EPILOG = """APP is MODULE:NAME, MODULE, FILE.py or FILE.py:NAME; without a NAME, "app".
Options can also stand in [tool.tremolo] of pyproject.toml; the command line wins."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        if message.startswith("unrecognized arguments: "):
            message = f'Unrecognized option "{message.split(": ", 1)[1].split()[0]}"'
        self.exit(2, f"{message}. Use \"--help\" for help\n")


def _convert(option: Option) -> Callable[[str], Any]:
    """Check a value where argparse can name the option; our own texts are kept."""
    from .config import check

    def convert(text: str) -> Any:
        if option.kind == "list":
            return text
        return check(option, text)

    return convert


def _parser(command: str) -> argparse.ArgumentParser:
    parser = _Parser(prog="tremolo", usage=USAGE, epilog=EPILOG, add_help=False,
                     allow_abbrev=False, formatter_class=_Formatter)
    parser.add_argument("app", metavar="APP", nargs="?", help=argparse.SUPPRESS)
    for name, title in GROUPS:
        group = parser.add_argument_group(title)
        for option in OPTIONS:
            if option.group == name and option.flags:
                _add(group, option)
    group = parser.add_argument_group("other")
    group.add_argument("--no-reload", dest="reload", action="store_false",
                       default=argparse.SUPPRESS, help="do not reload in dev")
    group.add_argument("--version", action="version", version=version_text(),
                       help="show the version")
    group.add_argument("--help", "-h", action="help", help="show this")
    return parser


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=34)


def _add(group: Any, option: Option) -> None:
    if option.kind == "bool":
        group.add_argument(*option.flags, dest=option.name, default=argparse.SUPPRESS,
                           action="store_false" if option.default else "store_true",
                           help=option.help)
        return
    note = ""
    if option.default not in (None, "", (), 0) and option.name != "log_fmt":
        note = f" [{option.default:g}]" if isinstance(option.default, (int, float)) else (
            f" [{option.default}]")
    if option.choices:
        note = f" ({', '.join(option.choices)})" + note
    metavar = option.metavar or {"int": "N", "float": "N"}.get(option.kind, "VALUE")
    group.add_argument(
        *option.flags, dest=option.name, default=argparse.SUPPRESS, metavar=metavar,
        type=_convert(option), action="append" if option.kind == "list" else "store",
        help=(option.help + note).replace("%", "%%"))


def version_text() -> str:
    """`tremolo X (cpython 3.x.y, linux)`."""
    python = ".".join(map(str, sys.version_info[:3]))
    return f"tremolo {__version__} ({sys.implementation.name} {python}, {sys.platform})"


def _toml_module() -> Any:
    for name in ("tomllib", "tomli"):  # the one of Python 3.11, the package that it came from
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


def _from_pyproject() -> Dict[str, Any]:
    """The options in [tool.tremolo] of the pyproject.toml here. Raises ConfigurationError."""
    try:
        with open("pyproject.toml", "rb") as file:
            data = file.read()
    except OSError:
        return {}
    if b"[tool.tremolo" not in data:
        return {}
    tomllib = _toml_module()
    if tomllib is None:
        print("tremolo: [tool.tremolo] in pyproject.toml is not read: that takes Python "
              "3.11 or the package tomli", file=sys.stderr)
        return {}
    try:
        table = tomllib.loads(data.decode("utf-8")).get("tool", {}).get("tremolo", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"pyproject.toml: {exc}") from None
    found = {}
    aliases = {flag[2:].replace("-", "_"): option.name
               for option in OPTIONS for flag in option.flags if option.kind != "bool"}
    for key, value in table.items():
        name = key.replace("-", "_")
        name = aliases.get(name, name)
        if name not in BY_NAME and name != "app":
            raise ConfigurationError(
                f'pyproject.toml: [tool.tremolo] has an unknown option "{key}"')
        found[name] = value
    return found


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Entry of `tremolo` and `python3 -m tremolo`. Returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = "run"
    if arguments and arguments[0] in COMMANDS:
        command = arguments.pop(0)
    try:
        return COMMANDS[command](arguments)
    except ConfigurationError as exc:
        print(exc, file=sys.stderr)
        return 1
    except SystemExit as exc:
        return exc.code if isinstance(exc.code, int) else 0 if exc.code is None else 1
    except KeyboardInterrupt:
        return 130


def _settings(arguments: List[str], dev: bool) -> "tuple[str, Settings]":
    """APP and the settings in force, from pyproject.toml and the command line."""
    from .worker.loader import parse_target

    given = vars(_parser("dev" if dev else "run").parse_args(arguments))
    app = given.pop("app", None)
    values = _from_pyproject()
    app = app or values.pop("app", None)
    values.pop("app", None)
    values.update(given)
    if not app:
        raise ConfigurationError('You must specify APP. Use "--help" for help')
    if dev:
        values.setdefault("reload", True)
        values.setdefault("debug", True)
    settings = Settings(**values)
    parse_target(app, settings.app_dir)
    from .supervisor.wanted import WantedThrottle

    WantedThrottle(settings.throttle, settings.presets)
    return app, settings


def _launch(app: str, settings: Settings, dev: bool, capture: bool = False) -> Any:
    from .supervisor.wanted import Launch
    from .supervisor.watcher import is_exposed
    from .worker.loader import parse_target

    target = parse_target(app, settings.app_dir)
    # A package that lies in a home folder or the root is all of the project that is there.
    folder = target.top if is_exposed(target.folder) else target.folder
    return Launch({"target": app}, app, settings, dev, folder, capture)


def _serve(arguments: List[str], dev: bool) -> int:
    app, settings = _settings(arguments, dev)
    if dev and _has_terminal(settings):
        from .dashboard import run_dashboard

        return run_dashboard(_launch(app, settings, dev, capture=True))
    return serve_plainly(_launch(app, settings, dev))


def serve_plainly(launch: Any) -> int:
    """Run the supervisor in this process with lines on the terminal."""
    from .supervisor.entry import supervise
    from .supervisor.plain import JSONConsumer, PlainConsumer

    settings = launch.settings
    if settings.json:
        return supervise(launch._replace(capture=True), consumer=JSONConsumer())
    requests = settings.log_level.upper() in ("", "DEBUG", "INFO")
    return supervise(launch, consumer=PlainConsumer(requests=requests), detail=int(requests))


def _has_terminal(settings: Settings) -> bool:
    return not (settings.plain or settings.json or os.environ.get("CI")
                or os.environ.get("TERM") in ("dumb", None)
                or not sys.stdout.isatty() or not sys.stdin.isatty())


# -- commands to a running server ----------------------------------------------------


def _client_parser(name: str, help: str) -> argparse.ArgumentParser:
    parser = _Parser(prog=f"tremolo {name}", description=help, allow_abbrev=False)
    parser.add_argument("--port", "--address", dest="address", default="", metavar="PORT",
                        help="which server, if several run: its port, or its control socket")
    return parser


def _ask(address: str, name: str, **args: Any) -> Any:
    from .supervisor.control import ask, find

    answer = ask(find(address), name, **args)
    if not answer.get("ok"):
        raise ConfigurationError(str(answer.get("error")))
    return answer.get("result")


def _throttle(arguments: List[str]) -> int:
    parser = _client_parser("throttle", "Throttle a running server.")
    parser.add_argument("throttle", metavar="PRESET|NUMBERS|off", nargs="+",
                        help="slow-4g, or down=1.5Mbit up=750kbit latency=150ms")
    parser.add_argument("--scope", default="*", help="* (all), /path/*, total or conn:PID:ID")
    given = parser.parse_args(arguments)
    result: Mapping[str, Any] = _ask(given.address, "throttle", scope=given.scope,
                                     throttle=" ".join(given.throttle))
    from .throttle import Throttle

    for scope, values in result.items():
        print(f"{scope}: {Throttle.from_dict(values)}")
    if not result:
        print("off")
    return 0


def _reload(arguments: List[str]) -> int:
    given = _client_parser("reload", "Start the code anew.").parse_args(arguments)
    print(f"gen {_ask(given.address, 'reload')}")
    return 0


def _status(arguments: List[str]) -> int:
    parser = _client_parser("status", "What a running server does.")
    parser.add_argument("--json", action="store_true", help="as JSON")
    given = parser.parse_args(arguments)
    status = _ask(given.address, "status")
    if given.json:
        print(json.dumps(status))
        return 0
    totals, rates, latency = status["totals"], status["rates"], status["latency"]
    print(f"{status['app']} on {', '.join(status['addresses'])}  gen {status['gen']}  "
          f"pid {status['pid']}")
    print(f"{totals['requests']} requests, {rates['requests']:.0f}/s, "
          f"p50 {latency['p50']:.1f} ms, p95 {latency['p95']:.1f} ms, "
          f"{totals['open']} connections")
    reload = status.get("last_reload")
    if reload:
        from .supervisor.plain import reload_line

        print(reload_line(reload))
        for name, ms in reload.get("modules", ()):
            print(f"  {ms:7.1f} ms  {name}")
    for path in status.get("ignored", ()):
        print(f"changes of {path} are ignored: the server wrote it itself")
    for worker in status["workers"]:
        print(f"worker {worker['pid']}  gen {worker['gen']}  {worker['state']}")
    return 0


def _last(arguments: List[str]) -> int:
    parser = _client_parser("last", "The last error of a running server.")
    parser.add_argument("what", choices=("error",))
    given = parser.parse_args(arguments)
    status = _ask(given.address, "status")
    error = (status.get("failed") or {}).get("error") or status.get("last_error")
    if not error:
        print("no error so far")
        return 1
    if error.get("path"):
        print(f"{error.get('method')} {error['path']}")
    print(str(error.get("traceback") or error.get("text")).rstrip("\n"))
    return 0


def _debug(arguments: List[str]) -> int:
    parser = _Parser(prog="tremolo debug", allow_abbrev=False,
                     description="The debugger of a breakpoint() that waits.")
    parser.add_argument("pid", metavar="PID", nargs="?", type=int,
                        help="of the worker; the first that waits if not given")
    pid = parser.parse_args(arguments).pid
    from .supervisor.debug import attach

    return attach(pid)


COMMANDS: Dict[str, Callable[[List[str]], int]] = {
    "run": lambda arguments: _serve(arguments, dev=False),
    "dev": lambda arguments: _serve(arguments, dev=True),
    "throttle": _throttle, "reload": _reload, "status": _status, "last": _last,
    "debug": _debug,
}
