"""From touched files to new code: gathering what belongs together, asking for a generation.

What a touched file means is decided in `relevance`; this decides when. A burst (a checkout, a
formatter over the whole tree) becomes one reload, a file that vanished may be about to come
back, and what the application writes itself does not reload it for ever.

A notification only shows where to look. What decides is whether the newest code rests on what
the disk holds: this is asked when a file is touched, when a worker reports what it has read, when
watching has begun, before new code serves, and once a second.
"""

import asyncio
import os
import time
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    List,
    Mapping,
    Optional,
    Sequence,
    Set,
    Tuple,
)

from ..config import Settings
from ..envfile import env_files
from ..exceptions import ConfigurationError
from .basis import Basis, places_of
from .checkout import Checkouts
from .loop_guard import LoopGuard, Pace
from .reads import ReadChanges
from .relevance import Change, Relevance, age, shown_path
from .watched import Watched

if TYPE_CHECKING:
    from .generations import Generations
    from .spawner import Spawner

CROWD = 8  # touched files that look like a tool at work, whose next batch is waited for
SETTLE = 0.05
SETTLE_LIMIT = 5.0
COME_BACK = 0.25  # seconds in which a deleted file may be written anew
STALLED = 1.0  # seconds without a sign after which code that starts may never come to an end
AFTERSHOCKS = (0.05, 0.3)  # a new folder is watched a moment after it was seen
FOLLOW = 0.02
JUST_NOW = 0.2  # seconds after new code began to serve in which its own start may be at work
DOUBT = 0.2  # seconds in which a worker reports what it has written
PLACES_EVERY = 3  # looks for what was missed
LOCK_FILES = ("poetry.lock", "uv.lock", "pdm.lock", "Pipfile.lock", "requirements.txt")


class Reloader:
    """Watches the project of `generations` and renews them when it changed.

    `folder` is watched; relative paths are those of `home`, the working directory as the user
    named it. `assets(paths)` is called for templates, styles and the like, that need no new code.
    `configured` are the arguments of `changed_options`.
    """

    def __init__(self, settings: Settings, folder: str, home: str,
                 generations: "Generations", spawner: "Spawner",
                 loop: asyncio.AbstractEventLoop, note: Callable[[str, str], None],
                 assets: Callable[[List[str]], None],
                 configured: Sequence[Any] = ({}, ())) -> None:
        self._configured = configured
        self._generations = generations
        self._spawner = spawner
        self._loop = loop
        self._note = note
        self._home = home

        def absolute(path: str) -> str:
            return os.path.abspath(os.path.join(home, path))

        folders = {absolute(folder), *map(absolute, settings.reload_dir)}
        #: files on which modules of others may depend that were imported ahead
        self._project_file = absolute("pyproject.toml")
        self._settings_files = {self._project_file}
        for path in env_files(settings, True, home):
            self._settings_files.add(path)
            folders.add(os.path.dirname(path))
        self._lock_files = {os.path.join(where, name)
                            for name in LOCK_FILES for where in (absolute(folder), home)}
        self._checkouts = Checkouts(folders)
        self._relevance = Relevance(settings.reload_include, settings.reload_exclude,
                                    self._settings_files)
        self.guard = LoopGuard()
        self._pace = Pace()
        self._gathered: Set[str] = set()
        self._gathering_since = 0.0
        self._settling: Optional[asyncio.Handle] = None
        self._timers: Set[asyncio.TimerHandle] = set()
        self._absent = 0  # looks whether a deleted file is back that are still to come
        self._late: Set[str] = set()  # of which the reload waits
        self._unknown: Set[str] = set()  # touched while nobody knows whether they are ours
        self._last_read = 0.0
        #: what a worker read, and what was there instead, when that last called for new code
        self._tried: Dict[str, Tuple[str, str]] = {}
        self._looks = 0
        self._following: Optional[asyncio.TimerHandle] = None
        self.reads = ReadChanges(loop, generations.keeping, self._renew_for_reads, assets, note)
        self._watched = Watched(loop, folders, home, self.touched, self.verify, note)

    def close(self) -> None:
        self.reads.close()
        self._watched.stop()
        for timer in (*self._timers, self._settling, self._following):
            if timer is not None:
                timer.cancel()

    def _later(self, seconds: float, function: Callable[..., object], *arguments: object) -> None:
        def run() -> None:
            self._timers.discard(timer)
            function(*arguments)

        timer = self._loop.call_later(seconds, run)
        self._timers.add(timer)

    def _follow(self) -> None:
        self._following = None
        self._watched.follow(self._generations.basis.files)

    # -- changes ---------------------------------------------------------------------

    def touched(self, paths: Set[str]) -> None:
        """Files were touched: renew the generations if that changes what runs."""
        self._watched.notified(paths)
        self._try_again(paths)
        self._gather(paths | self._links_to(paths))
        if any(map(os.path.isdir, paths)):
            for seconds in AFTERSHOCKS:
                self._later(seconds, self.verify)

    def _try_again(self, paths: Set[str]) -> None:
        """What differs at or below touched `paths` does so by a change that no code was tried
        for, though the difference may be the same: a folder that was moved away and back."""
        places = paths.union(os.path.join(*place) for path in paths for place in places_of(path))
        below = tuple(os.path.join(path, "") for path in paths)
        for path in [path for path in self._tried if path in places or path.startswith(below)]:
            del self._tried[path]

    def _links_to(self, paths: Set[str]) -> Set[str]:
        """Files of the project that are links to one of `paths`, which lie elsewhere."""
        foreign = {path for path in paths if not self._watched.in_project(path)}
        if not foreign:
            return set()
        return {path for path in self._generations.basis.files
                if os.path.islink(path) and os.path.realpath(path) in foreign}

    def _gather(self, paths: Set[str]) -> None:
        if not self._gathered:
            self._gathering_since = time.monotonic()
        self._gathered |= paths
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None
        late = time.monotonic() - self._gathering_since > SETTLE_LIMIT
        if not late and (len(self._gathered) >= CROWD or self._checkouts.at_work()):
            self._settling = self._loop.call_later(SETTLE, self._settled)
        else:  # two passes of the loop later: what workers sent before they wrote is read first
            self._settling = self._loop.call_soon(self._settle)

    def _settle(self) -> None:
        self._settling = self._loop.call_soon(self._settled)

    def _settled(self) -> None:
        if self._checkouts.at_work() and (
                time.monotonic() - self._gathering_since < SETTLE_LIMIT):
            self._settling = self._loop.call_later(SETTLE, self._settled)
            return
        self._settling = None
        paths, self._gathered = self._gathered, set()
        self._decide(paths)

    def _decide(self, paths: Set[str], gone: bool = False, paced: bool = True) -> None:
        generations = self._generations
        seen = time.monotonic()
        if generations.stopping:
            return
        if not self._lock_files.isdisjoint(paths):
            self._spawner.refresh()
        starting = generations.newest is not None and generations.newest.starting
        broken = generations.failed is not None and not starting
        found = self._relevance.look(paths, generations.basis, broken)
        self._look_at_reads(paths.difference(found.code, found.missing), found.assets)
        replaced = set(filter(self._watched.is_folder, paths))
        unknown = replaced.union(found.unknown)
        if unknown and starting:
            self._unknown |= unknown
            self._later(STALLED, self._look_whether_stalled)
        changed = found.code + found.missing if gone else found.code
        if broken:
            changed = changed or sorted(replaced)
        if found.missing and not gone:
            self._absent += 1
            self._later(COME_BACK, self._look_again, set(found.missing))
        self._renew(changed, seen, paced)

    def _look_again(self, paths: Set[str]) -> None:
        """Paths were missing: by now they are back, or gone for good."""
        self._absent -= 1
        self._decide(paths, gone=True)

    def _look_whether_stalled(self) -> None:
        """Code that runs and reads nothing more may wait for one of these files, in vain. What
        has read nothing so far will read them as they are."""
        newest = self._generations.newest
        if newest is None or not newest.starting or not self._unknown:
            return
        passed = time.monotonic() - self._last_read
        if self._last_read < newest.began or passed < STALLED:
            self._later(max(STALLED - passed, STALLED / 10), self._look_whether_stalled)
        else:
            self._renew(self._take_unknown(), time.monotonic())

    def _renew(self, changed: List[str], seen: float, paced: bool = True) -> None:
        changed = self._without_own(changed, seen)
        if not changed:
            return
        generations = self._generations
        if paced:
            newest = generations.newest
            busy = newest is not None and (newest.starting or seen - newest.ended < JUST_NOW)
            delay = self._pace.delay(changed, seen, busy)
            if delay:
                self._wait(set(changed), delay)
                return
        if not self._settings_files.isdisjoint(changed):
            self._spawner.renew(forget=True)
            if self._project_file in changed:
                self._look_at_options()
        self._unknown.clear()
        self._relevance.tried(changed)
        generations.renew(Change(tuple(changed), age(changed), seen), "change")

    def _look_at_options(self) -> None:
        """Say of options that changed that new code does not have them."""
        from ..pyproject import changed_options

        try:
            names = changed_options(*self._configured)
        except ConfigurationError as exc:
            self._note(str(exc), "error")
            return
        if names:
            self._note(f"[tool.tremolo] in pyproject.toml: {', '.join(names)} changed, which "
                       "takes a restart of the server", "warning")

    def _look_at_reads(self, paths: Set[str], assets: List[str]) -> None:
        """What is no code may still be known by heart: templates, for example."""
        self.reads.touched({path for path in paths if not path.endswith(".py")
                            and not self._relevance.excludes(path)}, assets)

    def _renew_for_reads(self, paths: List[str]) -> None:
        paths = [path for path in paths if not self._relevance.excludes(path)]
        if paths and not self._generations.stopping:
            seen = time.monotonic()
            self._generations.renew(Change(tuple(paths), age(paths), seen), "change")

    def _wait(self, paths: Set[str], delay: float) -> None:
        """Have the reload because of `paths` later, once for all that come until then."""
        if self._pace.is_noteworthy:
            self._note(f"{shown_path(min(paths), self._home)} changes again and again while new "
                       "code starts: reloads because of it are spaced out (--reload-exclude "
                       "keeps it ignored)", "warning")
        if not self._late:
            self._later(delay, self._come_late)
        self._late |= paths

    def _come_late(self) -> None:
        paths, self._late = self._late, set()
        self._decide(paths, gone=True, paced=False)

    def _without_own(self, changed: List[str], now: float) -> List[str]:
        """What is left of `changed` when the application's own doing is known by its loop."""
        guard, others, own = self.guard, [], []
        for path in changed:
            digest = self._relevance.contents.digest(path)
            if guard.accepts(path, digest):
                continue
            if path in guard.stopped and guard.is_in_doubt(path):
                self._later(DOUBT, self._decide, {path})
            elif guard.is_own(path, digest):
                own.append(path)
            else:
                guard.pardon(path)
                others.append(path)
        if others:
            return sorted([*own, *others])
        for path in guard.stopped.intersection(own):
            guard.accept(path, self._relevance.contents.digest(path) or "")
            own.remove(path)
        looping = guard.caught(own, now)
        if looping is not None:
            self._note("a process of the server itself writes "
                       f"{shown_path(looping, self._home)}, which reloads it again and "
                       "again: what it writes there is ignored from now on "
                       "(--reload-exclude keeps the file ignored)", "error")
        return own

    # -- what the code rests on --------------------------------------------------------

    def read(self, files: Mapping[str, str], places: Mapping[str, Mapping[str, str]]) -> None:
        """A worker of the newest generation reports what it has read: a save may have come
        between, when nobody knew yet that it mattered."""
        self._last_read = time.monotonic()
        late = self._unknown.intersection(files)
        newest = self._generations.newest
        if late and newest is not None:
            newest.joined_by({path: files[path] for path in late}, self._generations.serving)
        self._gather_stale(Basis(dict(files), {k: dict(v) for k, v in places.items()}))
        if self._following is None and not all(map(self._watched.in_project, files)):
            self._following = self._loop.call_later(FOLLOW, self._follow)

    def verify(self, places: bool = True) -> Set[str]:
        """Compare everything that the newest code rests on with the disk."""
        basis = self._generations.basis
        return self._gather_stale(basis if places else Basis(basis.files, {}))

    def _gather_stale(self, basis: Basis) -> Set[str]:
        """Have looked at what does not hold any more, unless new code for this very
        difference did not make it disappear."""
        if self._generations.stopping:
            return set()
        stale = self._relevance.stale(basis)
        fresh = set()
        for path, now in stale.items():
            difference = (basis.noted(path), now)
            if self._tried.get(path) != difference and not self.guard.accepts(path, now):
                self._tried[path] = difference
                fresh.add(path)
        for path in [path for path in self._tried if path not in stale and basis.knows(path)]:
            del self._tried[path]  # it may come to the same difference again, by another change
        if fresh:
            self._gather(fresh)
        return fresh

    def undecided(self) -> bool:
        """Whether something is to be looked at before new code may be announced to serve."""
        self.verify()
        return bool(self._gathered or self._absent)

    def failed(self) -> None:
        """New code failed: what was touched meanwhile may repair it."""
        self._renew(self._take_unknown(), time.monotonic())

    def _take_unknown(self) -> List[str]:
        """What was touched and has not been read since: that is judged by its content."""
        unknown, self._unknown = self._unknown, set()
        return sorted(unknown.difference(self._generations.basis.files))

    def look_for_missed(self) -> None:
        """Once a second: find what was never notified."""
        self._looks += 1
        self._watched.found(self.verify(places=self._looks % PLACES_EVERY == 0))
