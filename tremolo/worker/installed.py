"""Which files are the project's, and which belong to installed packages or to Python."""

import os
import site
import sys
from functools import lru_cache
from types import ModuleType
from typing import List, Tuple

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def _installed_prefixes() -> Tuple[str, ...]:
    # Not from `sysconfig`, which costs each worker half a megabyte: what is installed beside the
    # standard library lies in folders of the names in `_PARTS`, whatever the scheme is.
    folders = {os.path.dirname(os.__file__)}
    folders.update(getattr(site, "getsitepackages", list)())
    folders.add(getattr(site, "getusersitepackages", str)())
    folders.update(os.path.realpath(folder) for folder in list(folders))
    folders.update((PACKAGE, os.path.realpath(PACKAGE)))
    return tuple(sorted(folder.rstrip(os.sep) + os.sep for folder in folders if folder))


_PREFIXES = _installed_prefixes()
_PARTS = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


def is_installed(path: str) -> bool:
    """Whether a file belongs to an installed package or to Python, not to the project.

    Editable installs lie elsewhere and are the project's.
    """
    return path.startswith(_PREFIXES) or any(part in path for part in _PARTS)


@lru_cache(1000)
def is_project(path: str) -> bool:
    """Whether the code of a frame is from a file of the project; "<string>" is none."""
    return not path.startswith("<") and not is_installed(path)


def installed_modules() -> Tuple[List[str], List[str]]:
    """Names of the loaded modules that are not the project's, in the order of their import,
    and the files of those that do not belong to Python itself."""
    names, files = [], []
    for name, module in list(sys.modules.items()):
        if name.startswith(("__", "tremolo")) or not isinstance(module, ModuleType):
            continue
        origin = getattr(getattr(module, "__spec__", None), "origin", None)
        if isinstance(origin, str) and is_installed(origin):
            names.append(name)
            if any(part in origin for part in _PARTS):
                files.append(origin)
    return names, files
