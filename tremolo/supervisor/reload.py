"""From touched files to new code: gathering what belongs together, asking for a generation.

What a touched file means is decided in `relevance`; this says when. A burst (a checkout, a
formatter over the whole tree) becomes one reload, a file that vanished may be about to come
back, and what the application writes itself does not reload it for ever.
"""

import asyncio
import os
import time
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    Iterable,
    List,
    Mapping,
    Optional,
    Set,
    Tuple,
)

from ..config import Settings
from ..envfile import env_files
from ..telemetry.visible import clean
from .relevance import Change, LoopGuard, Relevance, age
from .watcher import Watcher, is_noise

if TYPE_CHECKING:
    from .generations import Generations
    from .nursery import Nursery

CROWD = 8  # touched files that look like a tool at work, whose next batch is waited for
SETTLE = 0.05
SETTLE_LIMIT = 5.0
COME_BACK = 0.25  # seconds in which a deleted file may be written anew
MISSED_AFTER = 1.5  # seconds after which a change should have been notified
LOCK_FILES = ("poetry.lock", "uv.lock", "pdm.lock", "Pipfile.lock", "requirements.txt")


class Reloader:
    """Watches the project of `generations` and renews them when it changed.

    `assets(paths)` is told of templates, styles and the like, which need no new code.
    """

    def __init__(self, settings: Settings, folder: str, generations: "Generations",
                 nursery: "Nursery", loop: asyncio.AbstractEventLoop,
                 note: Callable[[str, str], None],
                 assets: Callable[[List[str]], None]) -> None:
        self._generations = generations
        self._nursery = nursery
        self._loop = loop
        self._note = note
        self._assets = assets
        folders = {folder, *settings.reload_dir}
        #: files on which modules of others may depend that were imported ahead
        self._settings_files = {os.path.abspath("pyproject.toml")}
        for path in env_files(settings, dev=True):
            self._settings_files.add(path)
            folders.add(os.path.dirname(path))
        self._lock_files = {os.path.abspath(os.path.join(where, name))
                            for name in LOCK_FILES for where in (folder, os.curdir)}
        self._git_locks = sorted({os.path.join(found, "index.lock") for found in map(
            _git_folder, folders) if found})
        self._relevance = Relevance(settings.reload_include, settings.reload_exclude,
                                    self._settings_files)
        self.guard = LoopGuard()
        self._tried: Set[str] = set()
        self._gathered: Set[str] = set()
        self._gathering_since = 0.0
        self._settling: Optional[asyncio.TimerHandle] = None
        self._marks: Dict[str, Tuple[int, int]] = {}
        self._unseen: Dict[str, float] = {}
        self._watcher = self._watch(folders)

    def close(self) -> None:
        self._watcher.stop()
        if self._settling is not None:
            self._settling.cancel()

    def follow_imports(self) -> None:
        """Watch also the folders of project files that lie elsewhere (editable installs)."""
        watcher = self._watcher
        outside = {os.path.dirname(path) for path in self._generations.imported
                   if not watcher.covers(path)}
        if outside - self._tried:
            self._watcher = self._watch({*watcher.folders, *outside}, watcher.polling)
            self._tried |= outside
            watcher.stop()

    def _watch(self, folders: Iterable[str], polling: bool = False) -> Watcher:
        watcher = Watcher(folders, self._touched_from_thread, self._note_from_thread, polling)
        watcher.start()
        return watcher

    def _note_from_thread(self, text: str) -> None:
        self._call(self._note, text, "warning")

    def _touched_from_thread(self, paths: Set[str]) -> None:
        self._call(self.touched, paths)

    def _call(self, function: Callable[..., None], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            return  # the loop was closed: the server has ended

    # -- changes ---------------------------------------------------------------------

    def touched(self, paths: Set[str]) -> None:
        """Files were touched: renew the generations if that changes what runs."""
        if not self._gathered:
            self._gathering_since = time.monotonic()
        self._gathered |= paths
        for path in paths:
            self._unseen.pop(path, None)
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None
        late = time.monotonic() - self._gathering_since > SETTLE_LIMIT
        if not late and (len(self._gathered) >= CROWD or self._git_works()):
            self._settling = self._loop.call_later(SETTLE, self._settled)
        else:
            self._settled()

    def _settled(self) -> None:
        if self._git_works() and time.monotonic() - self._gathering_since < SETTLE_LIMIT:
            self._settling = self._loop.call_later(SETTLE, self._settled)
            return
        self._settling = None
        paths, self._gathered = self._gathered, set()
        self._decide(paths)

    def _git_works(self) -> bool:
        return any(map(os.path.lexists, self._git_locks))

    def _decide(self, paths: Set[str], gone: bool = False) -> None:
        generations = self._generations
        seen = time.monotonic()
        if generations.stopping:
            return
        if not self._lock_files.isdisjoint(paths):
            self._nursery.refresh()
        found = self._relevance.look(paths - self.guard.stopped, generations.imported,
                                     broken=generations.failed is not None)
        if found.assets:
            self._assets(found.assets)
        changed = found.code + found.missing if gone else found.code
        if found.missing and not gone:
            self._loop.call_later(COME_BACK, self._decide, set(found.missing), True)
        if not changed:
            return
        if not self._settings_files.isdisjoint(changed):
            self._nursery.renew()
        self._blame(changed, seen)
        looping = self.guard.caught(changed, seen)
        generations.renew(Change(tuple(changed), age(changed), seen), "change")
        if looping is not None:
            self._note(f"a process of the server itself writes {clean(_shown(looping))}, which "
                       "reloads it again and again: changes of this file are ignored from now "
                       "on (--reload-exclude keeps them ignored)", "error")

    def _blame(self, changed: Iterable[str], now: float) -> None:
        """What was written while the newest code started was written by it, or its child."""
        newest = self._generations.newest
        if newest is None or not newest.done:
            return
        for path in changed:
            try:
                written = os.stat(path).st_mtime
            except OSError:
                continue
            if newest.began <= written <= newest.done:
                self.guard.wrote(path, now)

    # -- once a second ---------------------------------------------------------------

    def look_for_missed(self) -> None:
        """Find out whether notifications arrive at all: a file that the code was read from
        and that differs now must have been told of. Network and container mounts do not."""
        if self._watcher.polling:
            return
        now = time.monotonic()
        imported = self._generations.imported
        missed = [path for path, since in self._unseen.items() if now - since > MISSED_AFTER]
        self._unseen = {path: since for path, since in self._unseen.items()
                        if path in imported and path not in missed}
        if missed:
            self._poll(missed)
            return
        marks = _marks(imported)
        for path, mark in marks.items():
            if self._marks.get(path, mark) != mark and not is_noise(path) and (
                    self._watcher.covers(path)):
                self._unseen.setdefault(path, now)
        self._marks = marks

    def _poll(self, missed: List[str]) -> None:
        relevant = self._relevance.look(
            missed, self._generations.imported, self._generations.failed is not None)
        if not relevant.code:
            return  # touched only, or seen meanwhile
        watcher = self._watcher
        self._note(f"no notification came for {clean(_shown(missed[0]))} (a network or container "
                   "mount?): files are looked at three times a second from now on", "warning")
        self._watcher = self._watch(watcher.folders, polling=True)
        watcher.stop()
        self.touched(set(missed))


def _marks(paths: Mapping[str, Any]) -> Dict[str, Tuple[int, int]]:
    found = {}
    for path in paths:
        try:
            status = os.stat(path)
        except OSError:
            continue
        found[path] = (status.st_mtime_ns, status.st_size)
    return found


def _git_folder(folder: str) -> str:
    """The .git folder of the checkout that a folder lies in, "" if it does not."""
    folder = os.path.abspath(folder)
    while True:
        found = os.path.join(folder, ".git")
        if os.path.isdir(found):
            return found
        folder, name = os.path.split(folder)
        if not name:
            return ""


def _shown(path: str) -> str:
    shown = os.path.relpath(path)
    return path if shown.startswith("..") else shown
