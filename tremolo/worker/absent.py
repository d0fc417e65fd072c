"""Why what was named as APP is not there: which name was not found, where, and what is near.

Looks at files and loaded modules only; imports nothing.
"""

import os
import sys
from typing import Any, Iterator, List, Optional

from .installed import is_installed

MAX_ENTRIES = 500  # of a folder, that are looked at for a hint


def absent_module(name: str, missing: str, folder: str) -> str:
    """The message when module `name` was looked for from `folder`, and `missing`, which is it or
    a package of it, was not found."""
    parent, _, last = missing.rpartition(".")
    package = sys.modules.get(parent)
    if package is None:
        where = f'there is no module "{missing}" in {folder} or among the installed packages'
        places = [folder]
    elif hasattr(package, "__path__"):
        places = list(package.__path__)
        where = f'the package "{parent}" ({", ".join(places)}) has no module "{last}"'
    else:
        where = f'"{parent}" is no package, but {origin_of(package)}'
        if missing == name and hasattr(package, last):
            return (f'Could not import module "{name}": {where}. '
                    f'Did you mean "{parent}:{last}"?')
        places = []
    hint = _hint(name, parent, last, places, folder)
    return f'Could not import module "{name}": {where}' + (f".{hint}" if hint else "")


def where_looked(name: str, folder: str) -> str:
    """What follows "No module named 'flask'": where Python looked, and the environment of the
    project in `folder` that has it. "" for a module within a package, which is found."""
    if "." in name:
        return ""
    from glob import escape, glob

    environments = (os.environ.get("VIRTUAL_ENV", ""), ".venv", "venv", "env")
    for shown in filter(None, environments):
        place = os.path.join(folder, shown)
        if os.path.realpath(place) != os.path.realpath(sys.prefix) and any(
                glob(os.path.join(escape(place), "lib", "python*", "site-packages", name + end))
                for end in ("", ".py")):
            return (f" in {sys.prefix}, where Tremolo runs, but {shown} has it: install and "
                    "start Tremolo there")
    return f" in the project or in {sys.prefix}"


def _hint(name: str, parent: str, last: str, places: List[str], folder: str) -> str:
    """A sentence about the module that may have been meant, "" if there is none."""
    path = os.path.join(*name.split("."))
    for sub in (os.curdir, *_folders(folder)):
        for base in (f"{path}.py", os.path.join(path, "__init__.py")):
            file = os.path.normpath(os.path.join(sub, base))
            if os.path.isfile(file):
                return f' Did you mean the file, "{file}"?'
    from difflib import get_close_matches

    near = get_close_matches(last, {
        module for place in places for module in _modules(place)}, 1)
    if not near:
        return ""
    rest = name[len(parent) + len(last) + (2 if parent else 1):]
    return f' Did you mean "{".".join(filter(None, (parent, near[0], rest)))}"?'


def _entries(folder: str) -> List["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry, _ in zip(entries, range(MAX_ENTRIES))]
    except OSError:
        return []


def _folders(folder: str) -> Iterator[str]:
    """Folders in `folder`, as they are named from here: first src, where sources often are."""
    names = sorted((entry.name for entry in _entries(folder)
                    if entry.is_dir() and not entry.name.startswith(".")),
                   key=lambda name: (name != "src", name))
    for name in names:
        yield os.path.relpath(os.path.join(folder, name))


def _modules(folder: str) -> Iterator[str]:
    for entry in _entries(folder):
        stem, ending = os.path.splitext(entry.name)
        if stem.isidentifier() and (ending == ".py" or (not ending and entry.is_dir())):
            yield stem


def absent_attribute(module: Any, attribute: str, text: str, folder: str,
                     file: Optional[str]) -> str:
    """The message when APP `text`, in `folder` or of `file`, is a module without `attribute`; "":
    one of the usual names was looked for."""
    name = str(getattr(module, "__name__", "?"))
    wanted = attribute or "app"
    if file is None and _elsewhere(module, folder):
        own = os.path.join(*name.split(".")) + ".py"
        hint = f'. To serve your own file, name it: "{own}:{wanted}"' if (
            os.path.isfile(os.path.join(folder, own))) else ""
        return f'"{name}" is {origin_of(module)}, which has no "{wanted}"{hint}'
    shown = os.path.basename(file) if file else name
    from ..discovery.project import suggestion

    held = suggestion(getattr(module, "__file__", None), text.rpartition(":")[0] or text,
                      attribute)
    if not attribute:
        return (f'"{shown}" has no attribute "app".{held}' if held else
                f'"{shown}" has no attribute "app", and nothing else in it looks like an '
                f'application. Name it, as in "{text}:NAME"')
    if held:
        return f'"{shown}" has no attribute "{attribute}".{held}'
    from difflib import get_close_matches

    near = get_close_matches(
        attribute, [name for name in vars(module) if not name.startswith("__")], 1)
    hint = f'. Did you mean "{near[0]}"?' if near else ""
    return f'"{shown}" has no attribute "{attribute}"{hint}'


def _elsewhere(module: Any, folder: str) -> bool:
    """Whether a module is another than one in `folder` would be."""
    places = [getattr(module, "__file__", None), *getattr(module, "__path__", ())]
    root = os.path.join(os.path.realpath(folder), "")
    found = [place for place in places if isinstance(place, str)]
    return not any(os.path.realpath(place).startswith(root) for place in found) and (
        not found or any(map(is_installed, found)))


def origin_of(module: Any) -> str:
    """Whose module it is, and where: "a module of Python itself (/usr/lib/.../json.py)"."""
    file = getattr(module, "__file__", None)
    if not isinstance(file, str):
        paths = list(getattr(module, "__path__", ()))
        return f"a package without __init__.py ({', '.join(map(str, paths))})" if paths else (
            "a module that is built into Python")
    if not is_installed(file):
        return f"the file {file}"
    installed = any(f"{os.sep}{part}{os.sep}" in file
                    for part in ("site-packages", "dist-packages"))
    return f"{'an installed package' if installed else 'a module of Python itself'} ({file})"
