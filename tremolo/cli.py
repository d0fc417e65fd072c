"""The command line: `tremolo dev APP`, `tremolo run APP`, and commands to a running server.

A composition root: it may import everything, and does so as late as possible. Errors of the
user's are one clear line and exit code 1 (or 2 for a wrong option); only the application's own
exceptions show a traceback.
"""

import sys
from typing import Callable, Dict, List, Optional, Sequence

from .exceptions import ConfigurationError


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Entry of `tremolo` and `python3 -m tremolo`. Returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = "run"
    if arguments and arguments[0] in COMMANDS:
        command = arguments.pop(0)
    try:
        if not arguments and command == "run" and argv is None and len(sys.argv) < 2:
            raise ConfigurationError('You must specify APP: "tremolo dev" finds it by itself. '
                                     'Use "--help" for help')
        return COMMANDS[command](arguments)
    except ConfigurationError as exc:
        print(exc, file=sys.stderr)
        return 1
    except SystemExit as exc:
        return exc.code if isinstance(exc.code, int) else 0 if exc.code is None else 1
    except KeyboardInterrupt:
        return 130


def _serve(dev: bool) -> Callable[[List[str]], int]:
    def serve(arguments: List[str]) -> int:
        from .commands.serving import serve

        return serve(arguments, dev)

    return serve


def _client(name: str) -> Callable[[List[str]], int]:
    def ask(arguments: List[str]) -> int:
        from .commands import clients

        command: Callable[[List[str]], int] = getattr(clients, name)
        return command(arguments)

    return ask


COMMANDS: Dict[str, Callable[[List[str]], int]] = {
    "run": _serve(dev=False), "dev": _serve(dev=True), "throttle": _client("throttle"),
    "reload": _client("reload"), "status": _client("status"), "last": _client("last"),
    "debug": _client("debug"),
}
