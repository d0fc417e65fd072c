"""Programs that run beside the server, as a project names them in `[tool.tremolo.run]`.

A leaf: what a project may write there, checked. Starts nothing.
"""

import os
import re
from typing import Any, Dict, List, Mapping, NamedTuple

from .exceptions import ConfigurationError

MOST = 20
#: what makes a command the business of a shell
_SHELL = re.compile(r"[^\w\s./:=@%+,^-]")
_NAME = re.compile(r"[\w.-]{1,24}")


class CompanionSpec(NamedTuple):
    """One program: `argv` is what is executed, in `folder`; `shown` what the user wrote."""

    name: str
    argv: List[str]
    folder: str
    shown: str


def companion_specs(table: Any, folder: str = "") -> List[CompanionSpec]:
    """The table `[tool.tremolo.run]`, with its folders relative to `folder`. A value is a
    command, a list of its words, or a table with `command` and `folder`.

    Raises ConfigurationError.
    """
    if not isinstance(table, Mapping):
        raise ConfigurationError(
            '[tool.tremolo.run] must be a table, such as web = "npm run dev"')
    if len(table) > MOST:
        raise ConfigurationError(f"[tool.tremolo.run] has more than {MOST} commands")
    return [_spec(str(name), value, folder) for name, value in table.items()]


def _spec(name: str, value: Any, folder: str) -> CompanionSpec:
    where = f"[tool.tremolo.run] {name}"
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f'[tool.tremolo.run] has the name "{name}": it must be of '
                                 "letters, digits and .-_, 24 at most")
    if isinstance(value, Mapping):
        unknown = set(value) - {"command", "folder"}
        if unknown:
            raise ConfigurationError(f'{where} has an unknown key "{min(map(str, unknown))}". '
                                     "It takes command and folder")
        below = value.get("folder", "")
        if not isinstance(below, str):
            raise ConfigurationError(f"{where}: folder must be a text")
        folder = os.path.normpath(os.path.join(folder, below)) if below else folder
        value = value.get("command")
    if isinstance(value, str) and value.strip():
        return CompanionSpec(name, words_of(value), folder, value.strip())
    if isinstance(value, (list, tuple)) and value and all(
            isinstance(word, str) and "\0" not in word for word in value) and value[0]:
        return CompanionSpec(name, list(value), folder, " ".join(value))
    raise ConfigurationError(f'{where} must be a command, such as "npm run dev"')


def words_of(command: str) -> List[str]:
    """What to execute for a command line: its own words where no shell is needed, so that a
    program which is not there can be named."""
    words = command.split()
    if _SHELL.search(command) or "=" in words[0]:
        return ["/bin/sh", "-c", command]
    return words


def companion_table(table: Any, folder: str) -> Dict[str, Any]:
    """`table`, checked, with absolute folders: what other processes get."""
    return {spec.name: {"command": spec.shown if isinstance(_command(table[spec.name]), str)
                        else spec.argv, "folder": spec.folder}
            for spec in companion_specs(table, folder)}


def _command(value: Any) -> Any:
    return value.get("command") if isinstance(value, Mapping) else value
