"""What is watched: the project's folders, and those elsewhere in which it has files.

Carries what watchers notice from their threads to the loop, and finds out whether notifications
arrive at all: network and container mounts do not send them, and are polled then. Knows nothing
of what a touched file means.
"""

import asyncio
import os
import time
from typing import Callable, Dict, Iterable, Optional, Set

from .relevance import shown_path
from .watcher import Watcher

MISSED_AFTER = 1.5  # seconds after which a change should have been notified
STOP_LIMIT = 0.3


class Watched:
    """`touched(paths)` is called for files that were touched, `began()` when watching has begun:
    what changed before was not notified. Paths in what is logged are relative to `home`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, folders: Iterable[str], home: str,
                 touched: Callable[[Set[str]], None], began: Callable[[], object],
                 note: Callable[[str, str], None]) -> None:
        self._loop = loop
        self._home = home
        self._touched = touched
        self._began = began
        self._note = note
        self._since = float("inf")
        self._notified: Dict[str, float] = {}
        self._unseen: Dict[str, float] = {}  # changes of which no notification has come so far
        self._followed: Set[str] = set()
        self._outside: Optional[Watcher] = None
        self._project = self._watch(folders)

    def _watch(self, folders: Iterable[str], polling: bool = False) -> Watcher:
        watcher = Watcher(
            folders, lambda paths: self._call(self._touched, paths),
            lambda text: self._call(self._note, text, "warning"), polling,
            lambda: self._call(self._on_began))
        watcher.start()
        return watcher

    def _call(self, function: Callable[..., None], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            return  # the loop was closed: the server has ended

    def _on_began(self) -> None:
        self._since = time.monotonic()
        self._began()

    def stop(self) -> None:
        """Watch no more; the process is about to end."""
        watchers = [watcher for watcher in (self._project, self._outside) if watcher is not None]
        for watcher in watchers:
            watcher.stop()
        for watcher in watchers:
            watcher.join(STOP_LIMIT)

    @property
    def polling(self) -> bool:
        """Whether files are looked at, for notifications do not arrive."""
        return self._project.polling

    def is_folder(self, path: str) -> bool:
        """Whether this is one of the project's folders."""
        return path in self._project.folders

    def in_project(self, path: str) -> bool:
        """Whether a file is below the project's folders."""
        return self._project.covers(path)

    def covers(self, path: str) -> bool:
        """Whether a change of a file is noticed."""
        return self._project.covers(path) or (
            self._outside is not None and self._outside.covers(path))

    def follow(self, files: Iterable[str]) -> None:
        """Watch also the folders of those files that lie elsewhere: editable installs, the
        PYTHONPATH, what links lead to."""
        outside = set()
        for path in files:
            if not self.in_project(path):
                outside.add(os.path.dirname(path))
            if os.path.islink(path):
                outside.add(os.path.dirname(os.path.realpath(path)))
        outside = {folder for folder in outside
                   if not self.in_project(os.path.join(folder, "x"))}
        if outside <= self._followed:
            return
        self._followed |= outside
        before, self._outside = self._outside, self._watch(self._followed, self.polling)
        if before is not None:
            before.stop()

    # -- notifications that do not come ----------------------------------------------------

    def notified(self, paths: Set[str]) -> None:
        """Note that a notification has come."""
        self._notified.update(dict.fromkeys(paths, time.monotonic()))
        for path in paths:
            self._unseen.pop(path, None)

    def found(self, paths: Iterable[str]) -> None:
        """To be called once a second, with the files that are found to have changed: poll from
        now on if they should have been notified a while ago."""
        now = time.monotonic()
        self._notified = {path: then for path, then in self._notified.items()
                          if now - then < 4 * MISSED_AFTER}
        for path in paths:
            if self._should_be_notified(path, now):
                self._unseen.setdefault(path, now)
        self._unseen = {path: since for path, since in self._unseen.items()
                        if not self._was_notified(path)}
        missed = next((path for path, since in self._unseen.items()
                       if now - since > MISSED_AFTER), None)
        if missed is not None:
            self._poll(missed)

    def _should_be_notified(self, path: str, now: float) -> bool:
        watcher = self._project
        if watcher.polling or watcher.ignores(path) or not watcher.covers(path) or (
                now - self._since < 2 * MISSED_AFTER):
            return False
        try:
            status = os.lstat(path)
        except OSError:
            return False
        # What is written under another name is notified under that name.
        return status.st_nlink == 1 and os.path.realpath(path) == path

    def _was_notified(self, path: str) -> bool:
        while path:
            if path in self._notified:
                return True
            path, name = os.path.split(path)
            if not name:
                break
        return False

    def _poll(self, missed: str) -> None:
        self._unseen.clear()
        self._note(f"no notification came for {shown_path(missed, self._home)} (a network or "
                   "container mount?): files are looked at three times a second from now on",
                   "warning")
        before, self._project = self._project, self._watch(self._project.folders, polling=True)
        before.stop()
