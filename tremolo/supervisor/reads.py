"""Changes of files that are no code, but that the code which serves may know by heart.

Workers know what they have read, and are asked; see `tremolo.worker.reads`. What none of them
keeps needs no new code, only a fresh look in the browser.
"""

import asyncio
import os
import time
from typing import TYPE_CHECKING, Any, Callable, Coroutine, Dict, Iterable, List, Sequence, Set

from .worker_handle import WorkerHandle

if TYPE_CHECKING:
    from ..telemetry.messages import Ack

AFTERSHOCKS = (0.05, 0.3)  # seconds after which a new folder is surely watched
#: seconds for the answer of a worker; one that is blocked finds it by itself, later. A browser
#: that came back before would get what that one knew: it waits as long as answers may take.
PATIENCE = 0.5
COME_BACK = 0.25  # seconds in which a deleted file may be written anew
MAX_ASKED = 200  # paths in one question
FREE = 4  # reloads because of one file within WINDOW seconds, until it must come to rest first
WINDOW = 10.0
REST = 2.0
MAX_KNOWN = 1_000


class ReadChanges:
    """Asks `serving()`, the workers that serve, and calls `renew(paths)` if one of them keeps
    what changed, else `assets(paths)` if there are any."""

    def __init__(self, loop: asyncio.AbstractEventLoop,
                 serving: Callable[[], Sequence[WorkerHandle]],
                 renew: Callable[[List[str]], Any], assets: Callable[[List[str]], None],
                 note: Callable[[str, str], None]) -> None:
        self._loop = loop
        self._serving = serving
        self._renew = renew
        self._assets = assets
        self._note = note
        self._own: Set[str] = set()
        self._caused: Dict[str, List[float]] = {}
        self._noted: Set[str] = set()
        self._tasks: Set[asyncio.Task[None]] = set()
        self._resting: Set[str] = set()

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()

    def wrote(self, path: str) -> None:
        """A worker writes a file itself: that is its data."""
        if len(self._own) < MAX_KNOWN:
            self._own.add(path)

    def touched(self, paths: Iterable[str], assets: List[str]) -> None:
        """Files changed that call for no new code as far as the supervisor knows."""
        asked = sorted(set(paths).difference(self._own))
        if asked and self._serving():
            self._start(self._ask(asked, assets))
            folders = list(filter(os.path.isdir, asked))
            if folders:
                self._start(self._ask_again(folders))
        elif assets:
            self._assets(assets)

    def stale(self, paths: Iterable[str]) -> None:
        """A worker has found by itself that it keeps what these files do not hold any more."""
        self._start(self._came_back(list(paths)))

    def _start(self, work: "Coroutine[Any, Any, None]") -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask_again(self, folders: List[str]) -> None:
        """What is written into a new folder before it is watched is not notified."""
        for seconds in AFTERSHOCKS:
            await asyncio.sleep(seconds)
            await self._ask(folders, [])

    async def _ask(self, paths: List[str], assets: List[str]) -> None:
        found: Set[str] = set()
        for index in range(0, len(paths), MAX_ASKED):
            part = paths[index:index + MAX_ASKED]
            answers = [self._loop.create_task(worker.command("touched", paths=part))
                       for worker in self._serving()]
            if not answers:
                break
            done, late = await asyncio.wait(answers, timeout=PATIENCE)
            found.update(_named(done))
            while late and assets and not found:
                done, late = await asyncio.wait(late, return_when=asyncio.FIRST_COMPLETED)
                found.update(_named(done))
            for task in late:
                task.cancel()
        if found:
            await self._came_back(sorted(found))
        elif assets:
            self._assets(assets)

    async def _came_back(self, paths: List[str]) -> None:
        if not all(map(os.path.exists, paths)):
            await asyncio.sleep(COME_BACK)  # an editor may be replacing it
        paths = [path for path in paths if path not in self._own]
        restless = [path for path in paths if not self._may_cause(path)]
        for path in restless:
            if path not in self._resting:
                self._resting.add(path)
                self._start(self._wait_for_rest(path))
        paths = [path for path in paths if path not in restless]
        if paths and self._serving():
            self._renew(paths)

    def _may_cause(self, path: str) -> bool:
        """Whether a file has not caused too many reloads of late; this one is counted."""
        now = time.monotonic()
        recent = [then for then in self._caused.get(path, ()) if now - then < WINDOW]
        if len(recent) >= FREE:
            return False
        if len(self._caused) >= MAX_KNOWN:
            self._caused.clear()
        self._caused[path] = [*recent, now]
        return True

    async def _wait_for_rest(self, path: str) -> None:
        """Reload because of a file that changes all the time when it does not any more."""
        if path not in self._noted:
            self._noted.add(path)
            self._note(f"{path}, which the application has read, changes again and again: it "
                       f"is reloaded for that when there was no change for {REST:g} s "
                       "(--reload-exclude keeps the file ignored)", "warning")
        while True:
            await asyncio.sleep(REST)
            try:
                age = time.time() - os.stat(path).st_mtime
            except OSError:
                age = REST
            if not 0 <= age < REST:
                break
        self._resting.discard(path)
        if self._serving():
            self._renew([path])


def _named(answers: "Iterable[asyncio.Task[Ack]]") -> Set[str]:
    """The paths in the results of answers."""
    results = [task.result().get("result") for task in answers]
    return {str(path) for result in results if isinstance(result, list) for path in result}
