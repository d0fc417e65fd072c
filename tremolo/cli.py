"""The command line: `tremolo dev APP`, `tremolo run APP`, and commands to a running server.

A composition root: it may import everything, and does so as late as possible. Errors of the
user's are one clear line and exit code 1 (or 2 for a wrong word); only the application's own
exceptions show a traceback.
"""

import os
import sys
from typing import Dict, List, Optional, Sequence, Tuple

from .exceptions import ConfigurationError

#: by their first word: the module of `tremolo.commands`, its function, and what it is given
COMMANDS: Dict[str, Tuple[str, str, Tuple[bool, ...]]] = {
    "dev": ("serving", "serve", (True,)),
    "run": ("serving", "serve", (False,)),
    "throttle": ("clients", "throttle", ()),
    "reload": ("clients", "reload", ()),
    "status": ("clients", "status", ()),
    "last": ("clients", "last", ()),
    "debug": ("clients", "debug", ()),
    "attach": ("viewing", "attach", ()),
    "open": ("viewing", "open_file", ()),
    "log": ("viewing", "log", ()),
    "stats": ("viewing", "stats", ()),
    "trust": ("https", "trust", ()),
    "completion": ("completion", "completion", ()),
}
#: what other servers call it
ELSEWHERE = {"runserver": "dev", "develop": "dev", "serve": "run", "server": "run",
             "start": "run", "version": "--version"}


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Entry of `tremolo` and `python3 -m tremolo`. Returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    _open_streams()
    try:
        if not arguments:
            raise ConfigurationError('You must specify APP; "tremolo dev" finds it by itself. '
                                     'Use "--help" for help')
        if arguments[0] == "help" and not os.path.exists("help.py"):
            arguments[:] = [*arguments[1:2], "--help"]
        if arguments[0] in COMMANDS:
            command = arguments.pop(0)
        else:
            command = "run"
            if _is_mistyped(arguments[0]):
                return 2
        return _run(command, arguments)
    except ConfigurationError as exc:
        print(exc, file=sys.stderr)
        return 1
    except SystemExit as exc:
        return exc.code if isinstance(exc.code, int) else 0 if exc.code is None else 1
    except KeyboardInterrupt:
        return 130


def _open_streams() -> None:
    """Have the null device in place of standard streams that whoever starts us has closed, as by
    `>&-`: a socket would take the descriptor, and what is printed would go to clients."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            fd = os.open(os.devnull, os.O_RDWR)  # the lowest that is free: this one
            os.set_inheritable(fd, fd == number)
            stream = open(fd, "w" if number else "r", errors="replace")  # noqa: SIM115 - for good
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


def _run(command: str, arguments: List[str]) -> int:
    from importlib import import_module

    module, function, more = COMMANDS[command]
    found = import_module(f".commands.{module}", __package__)
    return int(getattr(found, function)(arguments, *more))


def _is_mistyped(word: str) -> bool:
    """Whether a first word is nearly a command, and no application; prints that."""
    if not word.isidentifier() or os.path.exists(word) or os.path.exists(f"{word}.py"):
        return False
    from importlib.util import find_spec

    from .commands.arguments import nearest

    near = f'. Did you mean "{ELSEWHERE[word]}"?' if word in ELSEWHERE else nearest(
        word, COMMANDS)
    if not near or find_spec(word) is not None:
        return False
    print(f'There is no command and no module "{word}"{near} Use "--help" for help',
          file=sys.stderr)
    return True
