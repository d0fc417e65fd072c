"""What the code of a generation rests on, and whether the disk still holds the same.

Files that were read, with the digest of what was in them, and places where modules were looked
for, with what was found. A fresh process would answer the same as long as all of it holds.
"""

import os
import stat
import time
from hashlib import blake2b
from importlib.machinery import BYTECODE_SUFFIXES, EXTENSION_SUFFIXES, SOURCE_SUFFIXES
from typing import Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Set, Tuple

from ..telemetry.builders import FOLDER, MIXED, NO_MODULE, NOTHING

MAX_DIGESTED = 16 * 1024 * 1024
MAX_KNOWN = 20_000
RACY = 0.1  # seconds in which a file may change again without its times showing it
SUFFIXES = (*EXTENSION_SUFFIXES, *SOURCE_SUFFIXES, *BYTECODE_SUFFIXES)

Files = Dict[str, str]
Places = Dict[str, Dict[str, str]]


class Basis(NamedTuple):
    """`files` maps paths to digests ("" for one that could not be read), `places` folders to
    names of modules and what was found there."""

    files: Files
    places: Places

    def add(self, files: Mapping[str, str], places: Mapping[str, Mapping[str, str]]) -> None:
        self.files.update(files)
        for folder, names in places.items():
            self.places.setdefault(folder, {}).update(names)

    @classmethod
    def joined(cls, parts: Iterable["Basis"]) -> "Basis":
        """That of several processes; where they differ, it is MIXED."""
        found = cls({}, {})
        for part in parts:
            _join(found.files, part.files)
            for folder, names in part.places.items():
                _join(found.places.setdefault(folder, {}), names)
        return found

    def knows(self, path: str) -> bool:
        """Whether a file was read, or a module looked for there."""
        folder, name = os.path.split(path)
        return path in self.files or name in self.places.get(folder, {})

    def noted(self, path: str) -> str:
        """What was read from a file, or found for a module."""
        folder, name = os.path.split(path)
        return self.files.get(path) or self.places.get(folder, {}).get(name, NOTHING)

    def beneath(self, path: str) -> List[str]:
        """Files, and places, below a folder."""
        start = path.rstrip(os.sep) + os.sep
        return [*(file for file in self.files if file.startswith(start)),
                *(os.path.join(folder, name) for folder, names in self.places.items()
                  if folder == path or folder.startswith(start) for name in names)]

    def moved(self, path: str) -> Optional[str]:
        """What an import that was looked for where `path` is would find now, if that is
        something else. A file that was read and is gone is not listed here."""
        for folder, name in places_of(path):
            noted = self.places.get(folder, {}).get(name)
            if noted is None:
                continue
            now = find_module(folder, name)
            if not _agrees(noted, now) and (now != NOTHING or noted not in self.files):
                return now
        return None


def _join(into: Dict[str, str], more: Mapping[str, str]) -> None:
    for key, value in more.items():
        into[key] = value if into.get(key, value) == value else MIXED


def places_of(path: str) -> Iterator[Tuple[str, str]]:
    """Where an import may look that would find `path`: folder and name."""
    folder, name = os.path.split(path)
    stem = name.partition(".")[0]
    yield folder, stem
    if stem == "__init__":
        yield os.path.split(folder)
    elif stem != name:
        yield folder, name  # a folder with a dot is no module, but costs nothing


def find_module(folder: str, name: str) -> str:
    """What Python's own search finds for a module in a folder: a file, FOLDER or NOTHING."""
    base = os.path.join(folder, name)
    is_folder = os.path.isdir(base)
    if is_folder:
        for suffix in SUFFIXES:
            path = os.path.join(base, "__init__" + suffix)
            if os.path.isfile(path):
                return path
    for suffix in SUFFIXES:
        if os.path.isfile(base + suffix):
            return base + suffix
    return FOLDER if is_folder else NOTHING


def _agrees(noted: str, now: str) -> bool:
    return noted == now or (noted == NO_MODULE and now in (NOTHING, FOLDER))


class Contents:
    """Digests of files as they are now. A file is read again only when it may have changed."""

    def __init__(self) -> None:
        self._known: Dict[str, Tuple[Tuple[int, ...], Optional[str]]] = {}

    def digest(self, path: str) -> Optional[str]:
        """The digest of a file's content; None if there is none, or it cannot be read."""
        try:
            status = os.stat(path)
        except OSError:
            self._known.pop(path, None)
            return None
        mark = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino,
                status.st_dev)
        known = self._known.get(path)
        if known is not None and known[0] == mark:
            return known[1]
        found = digest(path)
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        if abs(time.time() - status.st_ctime) >= RACY:
            self._known[path] = (mark, found)
        return found

    def differing(self, files: Mapping[str, str]) -> Dict[str, str]:
        """Files that hold something else than what was read from them: path -> digest, "" for
        one that is gone."""
        found = {}
        for path, read in files.items():
            now = self.digest(path)
            if now is None and os.path.exists(path):
                continue  # too large, or not ours to read
            if (now or "") != read:
                found[path] = now or ""
        return found


def differing_places(places: Mapping[str, Mapping[str, str]]) -> Dict[str, str]:
    """Places where something else would be found now: path of the module -> what is there."""
    found = {}
    for folder, names in places.items():
        present = _names_in(folder)
        for name, noted in names.items():
            now = find_module(folder, name) if name in present else next(
                (os.path.join(folder, name + suffix) for suffix in SUFFIXES
                 if name + suffix in present), NOTHING)
            if not _agrees(noted, now):
                found[os.path.join(folder, name)] = now
    return found


def _names_in(folder: str) -> Set[str]:
    try:
        return set(os.listdir(folder))
    except OSError:
        return set()


def digest(path: str) -> Optional[str]:
    """The digest of a regular file's content; None if it is none or cannot be read."""
    try:
        with open(path, "rb", opener=_open) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_DIGESTED:
                return None
            return blake2b(file.read(), digest_size=16).hexdigest()
    except OSError:
        return None


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a FIFO in the project must not hold us up
