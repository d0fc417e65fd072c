"""Seeing that files were touched: with watchfiles where it is installed, else by looking at
modification times. Knows which paths, not whether it matters."""

import os
import threading
import time
from typing import Any, Callable, Dict, Iterable, List, Set, Tuple

from .folders import Identity, identity, is_anybodys, is_exposed, is_remote

STEP_MS = 5  # quiet time after which a burst of events is a batch
DEBOUNCE_MS = 200  # the longest a batch may take to gather
POLL = 0.3
ABSENT = 0.05  # between two looks whether a deleted folder is back
LOOK_MS = 100  # between two looks whether a folder is still the same
MAX_POLLED = 20_000

IGNORED_FOLDERS = frozenset((
    "__pycache__", ".git", ".hg", ".svn", ".bzr", "site-packages", "dist-packages", ".idea",
    ".vscode", "node_modules", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis",
    ".venv", "venv", ".tox", ".nox", ".eggs"))
IGNORED_ENDINGS = (".pyc", ".pyo", ".swp", ".swx", ".swo", "~", ".tmp", ".db", ".db-wal",
                   ".db-shm", ".db-journal", ".sqlite", ".sqlite3", ".log", "4913")

Mark = Tuple[int, int, int]


def is_noise(path: str, root: str = "") -> bool:
    """Whether a path below `root` is an editor's, a tool's or a database's rather than the
    project's."""
    folder, name = os.path.split(path[len(root):])
    return name.endswith(IGNORED_ENDINGS) or name.startswith((".#", "#")) or not (
        IGNORED_FOLDERS.isdisjoint(folder.split(os.sep)))


class Watcher:
    """Calls `touched(paths)` from a thread of its own when files below `folders` change.

    `watching()` is called whenever notifications have begun to be received: what happened
    before has not been notified, nor between one such call and the next when a folder is replaced
    (which is notified as a touch of that folder). `note(text)` is called when it has to work in a
    lesser way. A home folder, the root and sticky folders such as /tmp are watched without
    those below. A folder in which everybody may replace files is not watched at all: reloading
    would run their code.
    """

    def __init__(self, folders: Iterable[str], touched: Callable[[Set[str]], None],
                 note: Callable[[str], None], polling: bool = False,
                 watching: Callable[[], None] = lambda: None) -> None:
        wanted = {os.path.abspath(folder) for folder in folders}
        refused = sorted(filter(is_anybodys, wanted))
        self.folders = tuple(sorted(wanted.difference(refused)))
        self._touched = touched
        self._note = note
        self._watching = watching
        self.polling = polling
        for folder in refused:
            note(f"everybody may write to {folder}: it is not watched (chmod o-w repairs that)")
        self._stopped = threading.Event()
        self._threads: List[threading.Thread] = []

    def start(self) -> None:
        self._begin(self._run, "tremolo-watcher")

    def stop(self) -> None:
        self._stopped.set()

    def join(self, limit: float) -> None:
        """Wait until it has stopped, at most `limit` seconds. A thread that is within the
        library when the interpreter ends is unwound through it, which aborts the process."""
        deadline = time.monotonic() + limit
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _begin(self, run: Callable[..., None], name: str, *arguments: Any) -> None:
        thread = threading.Thread(target=run, args=arguments, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def covers(self, path: str) -> bool:
        """Whether a change of this file would be seen."""
        folder = os.path.dirname(path)
        return any(folder == root or (folder.startswith(root.rstrip(os.sep) + os.sep)
                                      and not is_exposed(root)) for root in self.folders)

    def _run(self) -> None:
        remote = next(filter(is_remote, self.folders), None)
        if remote is not None and not self.polling:
            self._note(f"{remote} is a network or container mount, where notifications may not "
                       f"arrive: files are also looked at every {POLL * 1000:.0f} ms")
            self._begin(self._poll, "tremolo-watcher-poll")
        if not self.polling:
            try:
                import watchfiles
            except ImportError:
                self._note("watchfiles is not installed: files are looked at every "
                           f"{POLL * 1000:.0f} ms")
                self.polling = True
            else:
                self._watch(watchfiles)
                return
        self._poll()

    def _watch(self, watchfiles: Any) -> None:
        deep = [folder for folder in self.folders if not is_exposed(folder)]
        flat = [folder for folder in self.folders if is_exposed(folder)]
        if deep and flat:
            self._begin(self._watch_folders, "tremolo-watcher-flat", watchfiles, flat, False)
            flat = []
        if deep or flat:
            self._watch_folders(watchfiles, deep or flat, bool(deep))

    def _watch_folders(self, watchfiles: Any, folders: List[str], recursive: bool) -> None:
        lost: Set[str] = set()  # folders that were replaced: what is there now is new
        while not self._stopped.is_set():
            before = list(map(identity, folders))
            present = [folder for folder, found in zip(folders, before) if found]
            if not present:
                lost.update(folders)
                self._stopped.wait(ABSENT)
                continue
            watching = False
            try:
                for changes in watchfiles.watch(
                        *present, watch_filter=lambda _, path: not self.ignores(path),
                        debounce=DEBOUNCE_MS, step=STEP_MS, stop_event=self._stopped,
                        raise_interrupt=False, recursive=recursive,
                        ignore_permission_denied=True, rust_timeout=LOOK_MS,
                        yield_on_timeout=True):
                    if lost:
                        self._touched(lost)
                        lost = set()
                    if not watching:
                        watching = True
                        self._watching()
                    paths = {os.path.abspath(path) for _, path in changes}
                    if paths:
                        self._touched(paths)
                    lost = self._replaced(folders, before, paths)
                    if lost:
                        break
            except (OSError, RuntimeError) as exc:
                if list(map(identity, folders)) != before:
                    lost.update(folders)  # gone between the look and the watch
                    continue
                self._note(f"watching failed ({exc}): files are looked at every "
                           f"{POLL * 1000:.0f} ms")
                self._poll()

    def ignores(self, path: str) -> bool:
        """Whether a change of this file is not notified."""
        return all(is_noise(path, root) for root in self.folders
                   if path.startswith(root)) and path not in self.folders

    @staticmethod
    def _replaced(folders: List[str], before: List[Identity], touched: Set[str]) -> Set[str]:
        """Folders, and links to folders, whose notifications come from where they were."""
        found = {folder for folder, known in zip(folders, before)
                 if folder in touched or identity(folder) != known}
        return found.union(path for path in touched
                           if os.path.islink(path) and os.path.isdir(path))

    def _poll(self) -> None:
        known = self._look()
        self._watching()
        while not self._stopped.wait(POLL):
            found = self._look()
            touched = {path for path in found.keys() | known.keys()
                       if known.get(path) != found.get(path)}
            known = found
            if touched:
                self._touched(touched)

    def _look(self) -> Dict[str, Mark]:
        found: Dict[str, Mark] = {}
        for root in self.folders:
            for folder, folders, names in os.walk(root):
                if is_exposed(root):
                    folders.clear()
                folders[:] = [name for name in folders if name not in IGNORED_FOLDERS]
                for name in names:
                    path = os.path.join(folder, name)
                    if is_noise(path, root):
                        continue
                    try:
                        status = os.stat(path)
                    except OSError:
                        continue
                    found[path] = (status.st_mtime_ns, status.st_size, status.st_ino)
                if len(found) > MAX_POLLED:
                    break
        return found
