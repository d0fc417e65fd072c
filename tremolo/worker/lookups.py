"""Where the project's imports were looked for, and what was found there.

A file that appears can change what an import means as much as one that changes: a package that
shadows a module, a module that an `except ImportError` had done without. Knows only the
search of `importlib.machinery.PathFinder`; what other finders do leaves no file to watch.
"""

import os
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Callable, Dict, Iterable, Optional, Tuple

from ..telemetry.builders import FOLDER, MIXED, NO_MODULE, NOTHING

_NO_FILE = (NOTHING, NO_MODULE, FOLDER)

Places = Dict[str, Dict[str, str]]


class Lookups:
    """Notes for each folder of the search path the names that were looked for there.

    `fresh` maps a folder to names, each with NOTHING, NO_MODULE, FOLDER, MIXED or the file that
    was found. Folders for which `is_foreign(folder + "/")` are left out; a file that `is_own`,
    for this process made it, may be there for one import and not for an earlier one.
    """

    def __init__(self, is_foreign: Callable[[str], bool],
                 is_own: Callable[[str], bool] = lambda file: False) -> None:
        self._is_foreign = is_foreign
        self._is_own = is_own
        self._first: Dict[Tuple[str, str], str] = {}
        self._folders: Dict[str, str] = {}
        self.fresh: Places = {}

    def take(self) -> Places:
        """What was noted since the last time."""
        fresh, self.fresh = self.fresh, {}
        return fresh

    def note(self, fullname: str, path: Optional[Iterable[str]],
             spec: Optional[ModuleSpec]) -> None:
        """`spec` is what the search for `fullname` on `path` (None: `sys.path`) gave."""
        name = fullname.rpartition(".")[2]
        file = portions = None
        if spec is not None and spec.origin and spec.has_location:
            file = os.path.abspath(spec.origin)
        elif spec is not None and spec.submodule_search_locations is not None:
            portions = set(map(os.path.abspath, spec.submodule_search_locations))
        elif spec is not None:
            return
        for entry in list(sys.path if path is None else path):
            folder = self._folder(entry)
            here = file is not None and _belongs(file, folder or os.path.abspath(entry), name)
            if folder and here and file is not None:
                self._add(folder, name, file)
            elif folder and not here:
                self._add(folder, name, NO_MODULE if file is not None else FOLDER if (
                    portions and os.path.join(folder, name) in portions) else NOTHING)
            if here:
                return

    def note_loaded(self) -> None:
        """Installed packages that were loaded ahead of the fork were never looked for here,
        but would be in a fresh process."""
        folders = []
        for entry in sys.path:
            if "site-packages" in entry or "dist-packages" in entry:
                break
            folders.append(self._folder(entry))
        for name, module in list(sys.modules.items()):
            if "." in name or not isinstance(module, ModuleType):
                continue
            origin = getattr(getattr(module, "__spec__", None), "origin", None)
            if isinstance(origin, str) and (
                    "site-packages" in origin or "dist-packages" in origin):
                for folder in filter(None, folders):
                    self.fresh.setdefault(folder, {}).setdefault(name, NO_MODULE)

    def _add(self, folder: str, name: str, found: str) -> None:
        first = self._first.setdefault((folder, name), found)
        alike = first == found or (first in _NO_FILE and found in _NO_FILE)
        if not alike and not self._is_own(found):
            # It came, or changed, while the project was being imported: a fresh process would
            # find the same each time.
            found = MIXED
        self.fresh.setdefault(folder, {})[name] = found

    def _folder(self, entry: str) -> str:
        """The folder of an entry of the search path, "" if it is not the project's."""
        if not isinstance(entry, str):
            return ""
        known = self._folders.get(entry)
        if known is None:
            folder = os.path.abspath(entry)
            known = "" if self._is_foreign(os.path.join(folder, "")) or os.path.isfile(
                folder) else folder
            if os.path.isabs(entry):
                self._folders[entry] = known
        return known


def _belongs(file: str, folder: str, name: str) -> bool:
    """Whether a file is the module `name` of a folder."""
    start = os.path.join(folder, name)
    return file.startswith((start + ".", os.path.join(start, "__init__.")))
