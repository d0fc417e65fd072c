"""Whether git is at work in the checkout that a folder lies in: its lock shows that."""

import os
import time
from typing import Iterable

STALE_AFTER = 30.0  # seconds after which a lock was left behind by a git that crashed


class Checkouts:
    """Those that `folders` lie in."""

    def __init__(self, folders: Iterable[str]) -> None:
        self._locks = sorted({os.path.join(found, "index.lock") for found in map(
            git_folder, folders) if found})

    def at_work(self) -> bool:
        """Whether git changes files at this moment."""
        return any(map(_is_held, self._locks))


def _is_held(lock: str) -> bool:
    try:
        return time.time() - os.lstat(lock).st_mtime < STALE_AFTER
    except OSError:
        return False


def git_folder(folder: str) -> str:
    """The folder in which git keeps the state of the checkout that `folder` lies in, "" if it
    lies in none. That of a further worktree is named in a file."""
    while True:
        found = os.path.join(folder, ".git")
        if os.path.isdir(found):
            return found
        if os.path.isfile(found):
            return _named_in(found)
        folder, name = os.path.split(folder)
        if not name:
            return ""


def _named_in(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            label, _, name = file.readline().rstrip("\n").partition(": ")
    except OSError:
        return ""
    return os.path.join(os.path.dirname(path), name) if label == "gitdir" else ""
