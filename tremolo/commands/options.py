"""The options that a project has in `[tool.tremolo]` of its pyproject.toml."""

from typing import Any, Dict, Iterable, List, Mapping

from ..config import BY_NAME, OPTIONS
from ..exceptions import ConfigurationError

#: tables within [tool.tremolo], and the option that each is
TABLES = {"run": "companions"}


def aliases() -> Dict[str, str]:
    """Which option is meant by names that are not its own."""
    found = {flag[2:].replace("-", "_"): option.name for option in OPTIONS
             for flag in option.flags if option.kind != "bool" and flag.startswith("--")}
    return {**found, **TABLES}


def names_of(options: Iterable[str]) -> List[str]:
    """All names that these options may have in [tool.tremolo]."""
    options = set(options)
    return sorted({*options, *(name for name, option in aliases().items() if option in options)})


def options_of(table: Mapping[str, Any], folder: str) -> Dict[str, Any]:
    """The options (and "app") in [tool.tremolo] of the file in `folder`. Raises
    ConfigurationError."""
    meant = aliases()
    known = (*(name for name in BY_NAME if name not in TABLES.values()), *TABLES, "app")
    found = {}
    for key, value in table.get("tool", {}).get("tremolo", {}).items():
        name = key.replace("-", "_")
        name = meant.get(name, name)
        if name not in BY_NAME and name != "app":
            from .arguments import nearest

            raise ConfigurationError(f'pyproject.toml: [tool.tremolo] has an unknown option '
                                     f'"{key}"{nearest(name, known)}')
        if name == "companions":
            from ..companions import companion_table

            value = companion_table(value, folder)
        found[name] = value
    return found
