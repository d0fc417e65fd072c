"""A project's pyproject.toml.

A leaf: the command line reads options there, and a server that runs looks whether they changed.
"""

import importlib
import os
import sys
from typing import Any, Collection, Dict, List, Mapping, Set

from .exceptions import ConfigurationError


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


def spelled(file: Mapping[str, Any]) -> Dict[str, str]:
    """What stands in [tool.tremolo] of a whole `file`, each value as a text: to be compared."""
    table = file.get("tool", {}).get("tremolo")
    return {key: repr(value) for key, value in table.items()} if isinstance(table, dict) else {}


def changed_options(before: Mapping[str, Mapping[str, str]], but: Collection[str] = ()
                    ) -> List[str]:
    """The names in [tool.tremolo], `but` for these, that have other values now than when
    `before` was `spelled`, by folder, or are new or gone. Raises ConfigurationError."""
    found: Set[str] = set()
    if _toml_module() is None:  # which was said when the server started
        return []
    for folder, values in before.items():
        now = spelled(read_pyproject(folder))
        found.update(key for key in {*values, *now} if values.get(key) != now.get(key))
    return sorted(key for key in found if key.replace("-", "_") not in but)
