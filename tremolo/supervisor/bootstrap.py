"""Command lines that start our own programs in a fresh interpreter.

The folder that the user is in must not shadow anything of ours or of the packages that we
use, so programs are started with `-c` and drop the first entry of `sys.path`; this package is
loaded from where it is, also when it is not installed. Imports nothing of this package, for the
shell's process needs it before anything else.
"""

import os
import sys
from typing import List

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

_SOURCE = (
    "import sys\n"
    "if sys.path[:1] == ['']: del sys.path[0]\n"
    "import importlib.util as u\n"
    "s = u.spec_from_file_location('tremolo', {init!r},\n"
    "    submodule_search_locations=[{folder!r}])\n"
    "m = u.module_from_spec(s); sys.modules['tremolo'] = m; s.loader.exec_module(m)\n"
    "from {module} import {function} as f\n"
    "sys.exit(f({arguments}))\n"
)

_BARE_SOURCE = (
    "import os, select, signal, sys\n"
    "sys.path[:] = [{folder!r}, *filter(None, sys.path)]\n"
    "from {module} import {function} as f\n"
    "f({arguments})\n"
)


def interpreter_flags() -> List[str]:
    """The flags of this interpreter (-O, -X, -W, ...), for another."""
    import subprocess  # deferred: not all who import this start something

    flags = getattr(subprocess, "_args_from_interpreter_flags", None)
    return list(flags()) if flags is not None else []


def command(module: str, function: str, *arguments: object) -> List[str]:
    """The command line that calls `module.function(*arguments)` in a fresh interpreter; the
    result is its exit code."""
    source = _SOURCE.format(
        init=os.path.join(PACKAGE, "__init__.py"), folder=PACKAGE, module=module,
        function=function, arguments=", ".join(repr(argument) for argument in arguments))
    return [sys.executable, *interpreter_flags(), "-c", source]


def bare_command(module: str, function: str, *arguments: object) -> List[str]:
    """The command line that calls `module.function(*arguments)` in an interpreter without
    `site`: there are no installed packages but ours, whose folder is the first of `sys.path`."""
    source = _BARE_SOURCE.format(
        folder=os.path.dirname(PACKAGE), module=module, function=function,
        arguments=", ".join(repr(argument) for argument in arguments))
    return [sys.executable, *interpreter_flags(), "-S", "-s", "-c", source]
