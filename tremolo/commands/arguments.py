"""Parsers of the command line, made from the table of options."""

import argparse
import os
import sys
from functools import partial
from typing import Any, Iterable, NoReturn, Optional

from .. import __version__
from ..config import OPTIONS, Option
from .given import value_of

GROUPS = (("address", "where to listen"), ("application", "the application"),
          ("processes", "processes"), ("reload", "reloading"), ("limits", "limits"),
          ("throttle", "throttle"), ("output", "output"))

USAGE = """tremolo dev [OPTIONS] [APP]   develop: dashboard, reload, debug pages
       tremolo [run] [OPTIONS] APP   serve
       tremolo throttle PRESET|off   throttle a running server
       tremolo reload | status | last error | debug
       tremolo attach | open FILE | log | stats
       tremolo trust | completion bash|zsh|fish"""

EPILOG = """APP is MODULE:NAME, MODULE, FILE.py, FILE.py:NAME, FOLDER, or the call of a
factory, 'shop:make("dev")'. Without one it is found: [tool.tremolo] app and
[tool.fastapi] entrypoint in pyproject.toml, FLASK_APP, manage.py, then main.py,
app.py, api.py, asgi.py, wsgi.py, server.py here, in app/, src/ and below. Options
can also stand in [tool.tremolo] of pyproject.toml; the command line wins."""


def nearest(word: str, known: Iterable[str]) -> str:
    """`. Did you mean "port"?`, or nothing if no name is near."""
    from difflib import get_close_matches

    found = get_close_matches(word, list(known), 1, 0.6)
    return f'. Did you mean "{found[0]}"?' if found else ""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, with the nearest name."""

    def error(self, message: str) -> NoReturn:
        if message.startswith("unrecognized arguments: "):
            word = message.split(": ", 1)[1].split()[0]
            if word.startswith("-"):
                known = [flag for flag in self._option_string_actions if flag[:2] == "--"]
                near = nearest(word.partition("=")[0], known)
                self.exit(2, f'Unrecognized option "{word}"{near or "."} '
                             'Use "--help" for help\n')
            message = f'"{word}" is one word too many'
        self.exit(2, f"{message}. Use \"--help\" for help\n")


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """The short flag first, the value once: `-p, --port N`. The short help has one long name."""

    every = True

    def __init__(self, prog: str) -> None:
        # The width is looked up here: argparse would load shutil, and all that packs files.
        columns = os.environ.get("COLUMNS", "")
        width = int(columns) if columns.isdigit() else 0
        if not width and sys.stdout is not None and sys.stdout.isatty():
            width = os.get_terminal_size(sys.stdout.fileno()).columns
        super().__init__(prog, max_help_position=26 if not self.every else 34,
                         width=min((width or 80) - 2, 98))

    def _format_action_invocation(self, action: argparse.Action) -> str:
        flags = sorted(action.option_strings, key=lambda flag: flag.startswith("--"))
        if not self.every:
            longs = [flag for flag in flags if flag.startswith("--")]
            flags = [flag for flag in flags if flag not in longs[1:]]
        value = "" if action.nargs == 0 or not flags else f" {action.metavar or ''}".rstrip()
        return ", ".join(flags) + value


class _ShortFormatter(_Formatter):
    every = False


class _Help(argparse.Action):
    """Prints the help: of the options that most people need, or of all."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace,
                 values: Any, option_string: Optional[str] = None) -> None:
        make_parser(every=option_string == "--help-all").print_help()
        parser.exit()


def make_parser(every: bool = True) -> argparse.ArgumentParser:
    """The parser of `dev` and `run`; with `every` false its help is the short one."""
    parser = Parser(prog="tremolo", usage=USAGE, epilog=EPILOG, add_help=False,
                    allow_abbrev=False,
                    formatter_class=_Formatter if every else _ShortFormatter)
    parser.add_argument("app", metavar="APP", nargs="?", help=argparse.SUPPRESS)
    common = parser.add_argument_group("options")
    for name, title in GROUPS:
        group = parser.add_argument_group(title)
        for option in OPTIONS:
            if option.group == name and option.flags:
                if every:
                    _add(group, option)
                else:
                    _add(common if option.common else parser, option, not option.common)
    group = parser.add_argument_group("other") if every else common
    group.add_argument("--no-reload", dest="reload", action="store_false",
                       default=argparse.SUPPRESS, help="do not reload in dev")
    group.add_argument("--version", action="version", version=version_text(),
                       help="show the version")
    group.add_argument("--help", "-h", action=_Help, nargs=0, default=argparse.SUPPRESS,
                       help="this: what most people need")
    group.add_argument("--help-all", action=_Help, nargs=0, default=argparse.SUPPRESS,
                       help="every option")
    return parser


def _add(group: Any, option: Option, hidden: bool = False) -> None:
    if option.kind == "bool":
        group.add_argument(*option.flags, dest=option.name, default=argparse.SUPPRESS,
                           action="store_false" if option.default else "store_true",
                           help=argparse.SUPPRESS if hidden else option.help)
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
        type=partial(value_of, option), action="append" if option.kind == "list" else "store",
        help=argparse.SUPPRESS if hidden else (option.help + note).replace("%", "%%"))


def version_text() -> str:
    """`tremolo X (cpython 3.x.y, linux)`."""
    python = ".".join(map(str, sys.version_info[:3]))
    return f"tremolo {__version__} ({sys.implementation.name} {python}, {sys.platform})"
