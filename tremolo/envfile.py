"""Files of NAME=VALUE lines, as `--env-file` takes them and projects keep them in `.env`. A leaf.

As the package python-dotenv reads them: `export ` before a name is allowed, # begins a comment
at the start of a line and after a space, quotes around a value are taken off and let it go on
over several lines, backslashes escape within double quotes, and `${NAME}` and
`${NAME:-default}` are expanded, but not within single quotes.
"""

import os
import re
from typing import TYPE_CHECKING, Dict, List, Mapping, NamedTuple, Tuple

from .exceptions import ConfigurationError

if TYPE_CHECKING:
    from .config import Settings

#: what is loaded in dev if it is there; the first that has a name wins
DOTENV_FILES = (".env.local", ".env", ".flaskenv")

_LINE = re.compile(r"""
    [ \t]*(?:export[ \t]+)?
    (?P<name>[A-Za-z_][A-Za-z0-9_.-]*)[ \t]*
    (?:=[ \t]*(?:
        '(?P<single>(?:[^'\\]|\\.)*)'
      | "(?P<double>(?:[^"\\]|\\.)*)"
      | (?P<plain>[^\r\n]*)
    ))?
    [ \t]*(?:\#[^\r\n]*)?(?:\r\n|\n|\r|\Z)
    """, re.VERBOSE | re.DOTALL)
_EMPTY = re.compile(r"[ \t]*(?:\#[^\r\n]*)?(?:\r\n|\n|\r|\Z)")
_END = re.compile(r"\r\n|\n|\r|\Z")
_VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")
_ESCAPE = re.compile(r"\\([\\'\"abfnrtv$])")
_ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class Environment(NamedTuple):
    """What files add: the variables, and what there is to log about it, with a level each."""

    values: Dict[str, str]
    notes: Tuple[Tuple[str, str], ...] = ()


def read_env_file(path: str) -> Dict[str, str]:
    """The variables of a file. Raises ConfigurationError naming file and line."""
    values, wrong = _read(path)
    if wrong:
        raise ConfigurationError(wrong[0])
    return values


def env_files(settings: "Settings", dev: bool, home: str = "") -> List[str]:
    """The files that `settings` name, whether they exist or not; the first wins. Relative
    paths are those of `home`, by default the working directory."""
    def absolute(path: str) -> str:
        return os.path.abspath(os.path.join(home, path))

    paths = list(map(absolute, reversed(settings.env_file)))
    if dev and settings.dotenv:
        paths += [path for path in map(absolute, DOTENV_FILES) if path not in paths]
    return paths


def read_env_files(settings: "Settings", dev: bool, home: str = "") -> Environment:
    """What all of them add to the environment; in dev also those that projects keep for it.

    Raises ConfigurationError when one that was asked for cannot be read or has a wrong line;
    the others are taken as far as they go.
    """
    values: Dict[str, str] = {}
    notes: List[Tuple[str, str]] = []
    loaded: List[str] = []
    for index, path in enumerate(env_files(settings, dev, home)):
        if index < len(settings.env_file):
            found = read_env_file(path)
        elif os.path.isfile(path):
            try:
                found, wrong = _read(path)
            except ConfigurationError as exc:
                notes.append((str(exc), "warning"))
                continue
            notes += ((text, "warning") for text in wrong)
            loaded.append(os.path.basename(path))
        else:
            continue
        for name, value in found.items():
            values.setdefault(name, value)
    if loaded:
        names = " and ".join(filter(None, (", ".join(loaded[:-1]), loaded[-1])))
        notes.insert(0, (f"loaded {names} (--no-env-file: do not)", "info"))
    return Environment(values, tuple(notes))


def _read(path: str) -> Tuple[Dict[str, str], List[str]]:
    """The variables of a file, and what is wrong with it."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise ConfigurationError(f'Cannot read --env-file "{path}": {reason}') from None
    values: Dict[str, str] = {}
    wrong: List[str] = []
    position = 0
    while position < len(text):
        empty = _EMPTY.match(text, position)
        if empty is not None:
            position = max(empty.end(), position + 1)
            continue
        line = _LINE.match(text, position)
        if line is None:
            end = _END.search(text, position)
            assert end is not None
            number = len(_END.findall(text[:position])) if position else 1
            shown = text[position:end.start()].strip()[:60]
            wrong.append(f'{path}:{number}: "{shown}" is not NAME=VALUE')
            position = max(end.end(), position + 1)
            continue
        position = line.end()
        value = _value(line, values)
        if value is not None:
            values[line["name"]] = value
        elif line["plain"] is None and line["single"] is None and line["double"] is None:
            wrong.append(f'{path}: "{line["name"]}" is not NAME=VALUE')
    return values, wrong


def _value(line: "re.Match[str]", before: Mapping[str, str]) -> "str | None":
    if line["single"] is not None:
        return re.sub(r"\\(['\\])", r"\1", line["single"])
    if line["double"] is not None:
        value = _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]), line["double"])
    elif line["plain"] is not None:
        value = re.sub(r"(^|[ \t]+)#.*", "", line["plain"]).rstrip()
    else:
        return None

    def expand(found: "re.Match[str]") -> str:
        name = found["name"]
        return os.environ.get(name, before.get(name, found["default"] or ""))

    return _VARIABLE.sub(expand, value)
