"""Seeing that files were touched: with watchfiles where it is installed, else by looking at
modification times. Says which paths, not whether it matters."""

import os
import stat
import threading
from typing import Any, Callable, Dict, Iterable, List, Set, Tuple

STEP_MS = 10  # quiet time after which a burst of events is a batch
DEBOUNCE_MS = 200  # the longest a batch may take to gather
POLL = 0.3
MAX_POLLED = 20_000

IGNORED_FOLDERS = frozenset((
    "__pycache__", ".git", ".hg", ".svn", ".bzr", "site-packages", "dist-packages", ".idea",
    ".vscode", "node_modules", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis",
    ".venv", "venv", ".tox", ".nox", ".eggs"))
IGNORED_ENDINGS = (".pyc", ".pyo", ".swp", ".swx", ".swo", "~", ".tmp", ".db", ".db-wal",
                   ".db-shm", ".db-journal", ".sqlite", ".sqlite3", ".log", "4913")


def is_noise(path: str) -> bool:
    """Whether a path is an editor's, a tool's or a database's rather than the project's."""
    folder, name = os.path.split(path)
    return name.endswith(IGNORED_ENDINGS) or name.startswith((".#", "#")) or not (
        IGNORED_FOLDERS.isdisjoint(folder.split(os.sep)))


class Watcher:
    """Calls `touched(paths)` from a thread of its own when files below `folders` change.

    `note(text)` is called when it has to work in a lesser way. Folders that everybody may
    write to, and a home folder or the root as a whole, are watched without those below.
    """

    def __init__(self, folders: Iterable[str], touched: Callable[[Set[str]], None],
                 note: Callable[[str], None], polling: bool = False) -> None:
        self.folders = tuple(sorted({os.path.abspath(folder) for folder in folders
                                     if os.path.isdir(folder)}))
        self._touched = touched
        self._note = note
        self._polling = polling
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tremolo-watcher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()

    def covers(self, path: str) -> bool:
        """Whether a change of this file would be seen."""
        folder = os.path.dirname(path)
        return any(folder == root or (folder.startswith(root.rstrip(os.sep) + os.sep)
                                      and not is_exposed(root)) for root in self.folders)

    def _run(self) -> None:
        if not self._polling:
            try:
                import watchfiles
            except ImportError:
                self._note("watchfiles is not installed: files are looked at every "
                           f"{POLL * 1000:.0f} ms")
            else:
                self._watch(watchfiles)
                return
        self._poll()

    def _watch(self, watchfiles: Any) -> None:
        deep = [folder for folder in self.folders if not is_exposed(folder)]
        flat = [folder for folder in self.folders if is_exposed(folder)]
        if deep and flat:
            threading.Thread(target=self._watch_folders, args=(watchfiles, flat, False),
                             name="tremolo-watcher-flat", daemon=True).start()
            flat = []
        if deep or flat:
            self._watch_folders(watchfiles, deep or flat, bool(deep))

    def _watch_folders(self, watchfiles: Any, folders: List[str], recursive: bool) -> None:
        while not self._stopped.is_set():
            present = [folder for folder in folders if os.path.isdir(folder)]
            if not present:
                self._stopped.wait(POLL)
                continue
            try:
                for changes in watchfiles.watch(
                        *present, watch_filter=lambda _, path: not is_noise(path),
                        debounce=DEBOUNCE_MS, step=STEP_MS, stop_event=self._stopped,
                        raise_interrupt=False, recursive=recursive,
                        ignore_permission_denied=True):
                    self._touched({os.path.abspath(path) for _, path in changes})
                    if not all(map(os.path.isdir, present)):
                        break  # a folder was deleted, and may come back as another
            except (OSError, RuntimeError) as exc:
                self._note(f"watching failed ({exc}): files are looked at every "
                           f"{POLL * 1000:.0f} ms")
                self._poll()

    def _poll(self) -> None:
        known = self._look()
        while not self._stopped.wait(POLL):
            found = self._look()
            touched = {path for path, mark in found.items() if known.get(path) != mark}
            known = found
            if touched:
                self._touched(touched)

    def _look(self) -> Dict[str, Tuple[int, int, int]]:
        found: Dict[str, Tuple[int, int, int]] = {}
        for root in self.folders:
            for folder, folders, names in os.walk(root):
                if is_exposed(root):
                    folders.clear()
                folders[:] = [name for name in folders if name not in IGNORED_FOLDERS]
                for name in names:
                    path = os.path.join(folder, name)
                    if name.endswith(IGNORED_ENDINGS):
                        continue
                    try:
                        status = os.stat(path)
                    except OSError:
                        continue
                    found[path] = (status.st_mtime_ns, status.st_size, status.st_ino)
                if len(found) > MAX_POLLED:
                    break
        return found


def is_exposed(folder: str) -> bool:
    """Whether a folder is not one project's: the root, a home, or open to everybody."""
    if folder in (os.sep, os.path.expanduser("~")):
        return True
    try:
        return bool(os.stat(folder).st_mode & stat.S_IWOTH)
    except OSError:
        return False
