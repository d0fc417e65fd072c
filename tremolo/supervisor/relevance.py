"""Which touched files call for new code, and which only for a fresh look in the browser.

Decides by content. What no worker imported, or what holds the same bytes as before, is no
change.
"""

import fnmatch
import os
import time
from typing import Dict, Iterable, List, NamedTuple, Optional, Set, Tuple

from ..telemetry.sanitize import clean
from .basis import Basis, Contents, differing_places, digest

MAX_SEEN = 5_000
ASSETS = (".css", ".js", ".mjs", ".html", ".htm", ".jinja", ".jinja2", ".j2", ".tmpl", ".tpl",
          ".mako", ".svg", ".png", ".jpg", ".jpeg", ".gif", ".webp", ".avif", ".ico", ".woff",
          ".woff2", ".map", ".wasm")


class Change(NamedTuple):
    """Files that changed; `saved` seconds passed between the save and its being seen."""

    paths: Tuple[str, ...]
    saved: float
    seen: float  # monotonic

    def after(self, earlier: "Optional[Change]") -> "Change":
        """This change and one whose code never came to serve."""
        return self if earlier is None else self.joined_by(earlier.paths)

    def joined_by(self, paths: Iterable[str]) -> "Change":
        """This change, and `paths` that were saved before its code read them."""
        return self._replace(paths=tuple(sorted({*self.paths, *paths})))


def shown_path(path: str, home: str) -> str:
    """A path for people: relative to `home` if it is below that, and cleaned. `home` itself
    has its name."""
    shown = os.path.relpath(path, home)
    if shown == os.curdir:
        return clean(os.path.join(os.path.basename(os.path.abspath(path)), ""))
    return clean(path if shown.startswith("..") else shown)


class Found(NamedTuple):
    """What a batch of touched paths means: `code` calls for a new generation, `assets` for a
    refresh of browser pages, `missing` are files that the code needs and that are not there
    (yet), `unknown` modules that nobody has imported so far."""

    code: List[str]
    assets: List[str]
    missing: List[str]
    unknown: List[str]


class Relevance:
    """Decides about touched files.

    `always` are files that count beside the imported ones (an env file), by content too.
    """

    def __init__(self, include: Iterable[str] = (), exclude: Iterable[str] = (),
                 always: Iterable[str] = ()) -> None:
        self._include = tuple(include)
        self._exclude = tuple(exclude)
        self.contents = Contents()
        #: what those held when a change last started code; None for those that were not there
        self._others: Dict[str, Optional[str]] = {
            os.path.abspath(path): digest(path) for path in always}
        self._seen: Dict[str, Optional[str]] = {}

    def look(self, paths: Iterable[str], basis: Basis, broken: bool) -> Found:
        """What `paths` mean. `basis` is what the newest code was made of; while it is
        `broken` any module may repair it. A folder stands for all that is below it."""
        found = Found([], [], [], [])
        for path in sorted(self._with_those_beneath(paths, basis)):
            if self.excludes(path):
                continue
            if path in basis.files:
                self._look_at_imported(path, basis.files[path], found)
                continue
            if path in self._others or self._matches(path, self._include):
                self._look_at_other(path, found)
                continue
            moved = basis.moved(path)
            if moved is not None:
                (found.code if moved else found.missing).append(path)
            elif path.endswith(".py") and self._is_new(path):
                (found.code if broken else found.unknown).append(path)
            elif path.endswith(ASSETS) and self._is_new(path) and self._seen[path]:
                found.assets.append(path)
        return found

    def _look_at_imported(self, path: str, read: str, found: Found) -> None:
        now = self.contents.digest(path)
        if now is not None and now != read:
            found.code.append(path)
        elif now is None and read and not os.path.exists(path):
            found.missing.append(path)

    def _look_at_other(self, path: str, found: Found) -> None:
        now, tried = digest(path), self._others.get(path)
        if now is not None and now != tried:
            found.code.append(path)
        elif tried is not None and not os.path.exists(path):
            found.missing.append(path)

    def tried(self, paths: Iterable[str]) -> None:
        """New code is about to start because of `paths`: it reads all that is not imported as
        it is now."""
        others = {path for path in paths if self._matches(path, self._include)}
        for path in others.union(self._others):
            self._others[path] = digest(path)

    @staticmethod
    def _with_those_beneath(paths: Iterable[str], basis: Basis) -> Set[str]:
        found = set(paths)
        for path in paths:
            if path not in basis.files and (os.path.isdir(path) or not os.path.exists(path)):
                found.update(basis.beneath(path))
        return found

    def stale(self, basis: Basis) -> Dict[str, str]:
        """What of a basis does not hold any more: path -> what is there now."""
        return {path: now for path, now in (
            *self.contents.differing(basis.files).items(),
            *differing_places(basis.places).items()) if not self.excludes(path)}

    def excludes(self, path: str) -> bool:
        """Whether the user does not want a change of this file to count."""
        return self._matches(path, self._exclude)

    def _is_new(self, path: str) -> bool:
        """Whether a file holds something else than when it was touched last."""
        now = digest(path)
        if path in self._seen and now == self._seen[path]:
            return False
        if len(self._seen) >= MAX_SEEN:
            self._seen.clear()  # at worst something is done in vain
        self._seen[path] = now
        return True

    @staticmethod
    def _matches(path: str, patterns: Iterable[str]) -> bool:
        name = os.path.basename(path)
        return any(fnmatch.fnmatch(name, pattern) or fnmatch.fnmatch(path, pattern)
                   for pattern in patterns)


def age(paths: Iterable[str]) -> float:
    """Seconds since the last of `paths` was written, 0 when that is not known."""
    newest = 0.0
    for path in paths:
        try:
            newest = max(newest, os.stat(path).st_mtime)
        except OSError:
            continue
    passed = time.time() - newest
    return passed if 0 <= passed < 2.0 else 0.0
