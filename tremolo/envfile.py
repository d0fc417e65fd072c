"""Files of NAME=VALUE lines, as `--env-file` takes them. A leaf.

Blank lines and lines that begin with # are skipped, `export ` before a name is allowed, quotes
around a value are taken off. Nothing is expanded.
"""

from typing import Dict

from .exceptions import ConfigurationError


def read_env_file(path: str) -> Dict[str, str]:
    """The variables of a file. Raises ConfigurationError naming file and line."""
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise ConfigurationError(f'Cannot read --env-file "{path}": {reason}') from None
    found = {}
    for number, line in enumerate(lines, 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        name = name.strip()
        if name.startswith("export "):
            name = name[7:].strip()
        if not equals or not name.isidentifier():
            raise ConfigurationError(f'{path}:{number}: "{line[:60]}" is not NAME=VALUE')
        value = value.strip()
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        found[name] = value
    return found
