"""From touched files to new code: telling a change from noise, and asking for a generation.

Decides by content. What no worker imported, or what holds the same bytes as before, is no
change.
"""

import asyncio
import fnmatch
import os
import stat
import time
from hashlib import blake2b
from typing import (
    TYPE_CHECKING,
    Callable,
    Dict,
    Iterable,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Set,
    Tuple,
)

from ..config import Settings
from .watcher import Watcher, is_noise

if TYPE_CHECKING:
    from .generations import Generations
    from .nursery import Nursery

MAX_DIGESTED = 16 * 1024 * 1024


class Change(NamedTuple):
    """Files that changed; `saved` seconds passed between the save and its being seen."""

    paths: Tuple[str, ...]
    saved: float
    seen: float  # monotonic


def _digest(path: str) -> Optional[str]:
    """The digest of a regular file's content; None if it is none or cannot be read."""
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_DIGESTED:
                return None
            return blake2b(file.read(), digest_size=16).hexdigest()
    except OSError:
        return None


class Relevance:
    """Decides which touched files call for new code.

    `always` are files that count beside the imported ones (an env file), by content too.
    """

    def __init__(self, include: Iterable[str] = (), exclude: Iterable[str] = (),
                 always: Iterable[str] = ()) -> None:
        self._include = tuple(include)
        self._exclude = tuple(exclude)
        self._others: Dict[str, Optional[str]] = {
            os.path.abspath(path): _digest(path) for path in always}

    def changed(self, paths: Iterable[str], imported: Mapping[str, str],
                broken: bool) -> List[str]:
        """Those of `paths` whose content is not what runs. `imported` maps the files that the
        newest code read to their digests; while it is `broken` any module may repair it."""
        found = []
        for path in sorted(set(paths)):
            if self._matches(path, self._exclude):
                continue
            if path in imported:
                digest = _digest(path)
                if digest is not None and digest != imported[path]:
                    found.append(path)
            elif path in self._others or self._matches(path, self._include):
                digest = _digest(path)
                if digest is not None and digest != self._others.get(path):
                    self._others[path] = digest
                    found.append(path)
            elif broken and path.endswith(".py") and not is_noise(path):
                found.append(path)
        return found

    @staticmethod
    def _matches(path: str, patterns: Iterable[str]) -> bool:
        name = os.path.basename(path)
        return any(fnmatch.fnmatch(name, pattern) or fnmatch.fnmatch(path, pattern)
                   for pattern in patterns)


def age(paths: Iterable[str]) -> float:
    """Seconds since the last of `paths` was written, 0 when that cannot be told."""
    newest = 0.0
    for path in paths:
        try:
            newest = max(newest, os.stat(path).st_mtime)
        except OSError:
            continue
    passed = time.time() - newest
    return passed if 0 <= passed < 2.0 else 0.0


class Reloader:
    """Watches the project of `generations` and renews them when it changed."""

    def __init__(self, settings: Settings, folder: str, generations: "Generations",
                 nursery: "Nursery", loop: asyncio.AbstractEventLoop,
                 note: Callable[[str], None]) -> None:
        self._generations = generations
        self._nursery = nursery
        self._loop = loop
        self._note = note
        folders = {folder, *settings.reload_dir}
        #: files on which modules of others may depend that were imported ahead
        self._settings_files = {os.path.abspath("pyproject.toml")}
        if settings.env_file:
            self._settings_files.add(os.path.abspath(settings.env_file))
            folders.add(os.path.dirname(os.path.abspath(settings.env_file)))
        self._relevance = Relevance(settings.reload_include, settings.reload_exclude,
                                    self._settings_files)
        self._tried: Set[str] = set()
        self._watcher = self._watch(folders)

    def close(self) -> None:
        self._watcher.stop()

    def follow_imports(self) -> None:
        """Watch also the folders of project files that lie elsewhere (editable installs)."""
        watcher = self._watcher
        outside = {os.path.dirname(path) for path in self._generations.imported
                   if not watcher.covers(path)}
        if outside - self._tried:
            self._watcher = self._watch({*watcher.folders, *outside})
            self._tried |= outside
            watcher.stop()

    def _watch(self, folders: Iterable[str]) -> Watcher:
        watcher = Watcher(folders, self._touched_from_thread, self._note_from_thread)
        watcher.start()
        return watcher

    def _note_from_thread(self, text: str) -> None:
        self._call(self._note, text)

    def _touched_from_thread(self, paths: Set[str]) -> None:
        self._call(self.touched, paths)

    def _call(self, function: Callable[..., None], argument: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function, argument)
        except RuntimeError:
            return  # the loop was closed: the server has ended

    def touched(self, paths: Set[str]) -> None:
        """Files were touched: renew the generations if that changes what runs."""
        generations = self._generations
        seen = time.monotonic()
        if generations.stopping:
            return
        changed = self._relevance.changed(
            paths, generations.imported, broken=generations.failed is not None)
        if not changed:
            return
        if not self._settings_files.isdisjoint(changed):
            self._nursery.renew()
        generations.renew(Change(tuple(changed), age(changed), seen))
