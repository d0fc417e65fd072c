"""What a project configures in its pyproject.toml."""

import importlib
import os
import sys
from typing import Any, Dict, Mapping

from ..config import BY_NAME, OPTIONS
from ..exceptions import ConfigurationError


def _toml_module() -> Any:
    for name in ("tomllib", "tomli"):  # the one of Python 3.11, the package that it came from
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


def read_pyproject(folder: str) -> Dict[str, Any]:
    """The whole file of a folder; empty if there is none, or none that concerns us.

    Raises ConfigurationError.
    """
    try:
        with open(os.path.join(folder, "pyproject.toml"), "rb") as file:
            data = file.read()
    except OSError:
        return {}
    ours = b"[tool.tremolo" in data
    if not ours and b"[tool.fastapi" not in data:
        return {}
    tomllib = _toml_module()
    if tomllib is None:
        if ours:
            print("tremolo: [tool.tremolo] in pyproject.toml is not read: that takes Python "
                  "3.11 or the package tomli", file=sys.stderr)
        return {}
    try:
        table: Dict[str, Any] = tomllib.loads(data.decode("utf-8"))
        return table
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"pyproject.toml: {exc}") from None


#: tables within [tool.tremolo], and the option that each is
TABLES = {"run": "companions"}


def options_of(table: Mapping[str, Any], folder: str) -> Dict[str, Any]:
    """The options (and "app") in [tool.tremolo] of the file in `folder`. Raises
    ConfigurationError."""
    aliases = {flag[2:].replace("-", "_"): option.name for option in OPTIONS
               for flag in option.flags if option.kind != "bool" and flag.startswith("--")}
    aliases.update(TABLES)
    known = (*(name for name in BY_NAME if name not in TABLES.values()), *TABLES, "app")
    found = {}
    for key, value in table.get("tool", {}).get("tremolo", {}).items():
        name = key.replace("-", "_")
        name = aliases.get(name, name)
        if name not in BY_NAME and name != "app":
            from .arguments import nearest

            raise ConfigurationError(f'pyproject.toml: [tool.tremolo] has an unknown option '
                                     f'"{key}"{nearest(name, known)}')
        if name == "companions":
            from ..companions import companion_table

            value = companion_table(value, folder)
        found[name] = value
    return found
