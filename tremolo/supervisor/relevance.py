"""Which touched files call for new code, and which only for a fresh look in the browser.

Decides by content. What no worker imported, or what holds the same bytes as before, is no
change.
"""

import fnmatch
import os
import stat
import time
from hashlib import blake2b
from typing import Dict, Iterable, List, Mapping, NamedTuple, Optional, Set, Tuple

from .watcher import is_noise

MAX_DIGESTED = 16 * 1024 * 1024
MAX_ASSETS = 5_000
ASSETS = (".css", ".js", ".mjs", ".html", ".htm", ".jinja", ".jinja2", ".j2", ".tmpl", ".tpl",
          ".mako", ".svg", ".png", ".jpg", ".jpeg", ".gif", ".webp", ".avif", ".ico", ".woff",
          ".woff2", ".map", ".wasm")


class Change(NamedTuple):
    """Files that changed; `saved` seconds passed between the save and its being seen."""

    paths: Tuple[str, ...]
    saved: float
    seen: float  # monotonic


class Found(NamedTuple):
    """What a batch of touched paths means: `code` calls for a new generation, `assets` for a
    refresh of browser pages, `missing` are imported files that are not there (yet)."""

    code: List[str]
    assets: List[str]
    missing: List[str]


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


class Relevance:
    """Decides about touched files.

    `always` are files that count beside the imported ones (an env file), by content too.
    """

    def __init__(self, include: Iterable[str] = (), exclude: Iterable[str] = (),
                 always: Iterable[str] = ()) -> None:
        self._include = tuple(include)
        self._exclude = tuple(exclude)
        self._others: Dict[str, Optional[str]] = {
            os.path.abspath(path): digest(path) for path in always}
        self._assets: Dict[str, Optional[str]] = {}

    def look(self, paths: Iterable[str], imported: Mapping[str, str], broken: bool) -> Found:
        """What `paths` mean. `imported` maps the files that the newest code read to their
        digests; while it is `broken` any module may repair it."""
        found = Found([], [], [])
        for path in sorted(set(paths)):
            if self._matches(path, self._exclude):
                continue
            if path in imported:
                now = digest(path)
                if now is None and not os.path.exists(path):
                    found.missing.append(path)
                elif now is not None and now != imported[path]:
                    found.code.append(path)
            elif path in self._others or self._matches(path, self._include):
                now = digest(path)
                if now is not None and now != self._others.get(path):
                    self._others[path] = now
                    found.code.append(path)
            elif broken and path.endswith(".py") and not is_noise(path):
                found.code.append(path)
            elif path.endswith(ASSETS) and not is_noise(path) and self._asset_changed(path):
                found.assets.append(path)
        return found

    def _asset_changed(self, path: str) -> bool:
        now = digest(path)
        if path in self._assets and now == self._assets[path]:
            return False
        if len(self._assets) >= MAX_ASSETS:
            self._assets.clear()  # at worst a page is refreshed in vain
        self._assets[path] = now
        return now is not None

    @staticmethod
    def _matches(path: str, patterns: Iterable[str]) -> bool:
        name = os.path.basename(path)
        return any(fnmatch.fnmatch(name, pattern) or fnmatch.fnmatch(path, pattern)
                   for pattern in patterns)


class LoopGuard:
    """Stops reloads that the application causes itself, by writing a file that counts.

    A path is stopped when it was the cause of three reloads within five seconds, each time
    written by a process of ours.
    """

    RELOADS = 3
    WITHIN = 5.0
    MAX_WRITTEN = 1_000

    def __init__(self) -> None:
        self._written: Dict[str, float] = {}
        self._caused: Dict[str, List[float]] = {}
        self.stopped: Set[str] = set()

    def wrote(self, path: str, now: float) -> None:
        """One of our processes wrote a file."""
        if len(self._written) >= self.MAX_WRITTEN:
            self._written.clear()
        self._written[path] = now

    def caught(self, paths: Iterable[str], now: float) -> Optional[str]:
        """Note a reload because of `paths`; the path that is stopped from now on, if any."""
        causes = list(paths)
        if any(now - self._written.get(path, float("-inf")) > self.WITHIN for path in causes):
            return None  # somebody else wrote as well
        for path in causes:
            times = [t for t in self._caused.get(path, ()) if now - t < self.WITHIN]
            self._caused[path] = [*times, now]
            if len(times) + 1 >= self.RELOADS:
                self.stopped.add(path)
                return path
        return None

    def forgive(self) -> None:
        """Somebody asked for a reload: what was stopped counts again."""
        self.stopped.clear()
        self._caused.clear()


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
