"""Where the time of a slow request goes: its stack, sampled while it takes longer than 95 of 100
requests of its route did, or than anybody likes to wait.

A thread that sleeps while no request runs, and samples only while a slow one does. It reads
frames, and asks the application nothing.
"""

import asyncio
import os
import sys
import threading
from itertools import islice
from time import perf_counter
from types import FrameType
from typing import Any, Callable, Dict, Iterable, List, Optional, Set, Tuple
from weakref import ref

from ..stacks import undisturbed
from ..telemetry.sanitize import clean
from .contexts import context_in
from .pace import LEAST, Pace, route_of
from .record import Record, running

STEP = 0.01  # seconds between samples, at first
#: of one that runs on, so many samples are taken while its time becomes nearly three times as
#: long: where it stands changes as seldom, and the hundreds that say so cost others theirs
RARER = 100
#: seconds between looks where what ran at one has ended at the next each time: a look takes the
#: interpreter from whoever answers, and under load something runs at any time
MOST_REST = 0.1
MAX_STACKS = 200
MAX_DEPTH = 60
MAX_NODES = 60
#: requests that are sampled at the same time
MAX_SLOW = 5
MAX_TASKS = 500  # of which it is asked whose they are

Stack = Tuple[str, ...]


class Profiler:
    """Samples slow requests among those that were `started`. `is_project(path)` tells the
    project's files; `loop_thread` is the thread in which tasks run."""

    def __init__(self, pace: Pace, is_project: Callable[[str], bool]) -> None:
        self._pace = pace
        self._is_project = is_project
        self._known: Dict[str, bool] = {}
        self._running: Dict[int, Record] = {}
        self._wake = threading.Event()
        self._thread: Optional[threading.Thread] = None
        self._loop_thread = 0
        self._stopped = False
        self._rest = LEAST
        self._looked = 0.0
        self.samples = 0  # that were taken in all

    def started(self, record: Record, task: Any) -> None:
        """A request begins, in `task`, which runs here; None: whichever does."""
        try:
            task = task or asyncio.current_task()
        except RuntimeError:
            return
        if task is None:
            return
        record.task = ref(task)
        self._running[record.id] = record
        if not self._wake.is_set():
            if self._thread is None:
                self._loop_thread = threading.get_ident()
                self._thread = threading.Thread(target=self._run, name="tremolo-profiler",
                                                daemon=True)
                self._thread.start()
            self._wake.set()

    def leave(self, record: Record) -> None:
        """One that lasts as long as somebody listens is not slow."""
        if self._running.pop(record.id, None) is not None or record.samples:
            record.stacks.clear()
            record.samples = record.sampled = 0

    def stop(self) -> None:
        """End the thread."""
        self._stopped = True
        self._wake.set()

    def _run(self) -> None:
        pause = threading.Event()
        step = LEAST  # what has just begun is not slow before that
        while not self._stopped:
            self._wake.wait()
            pause.wait(step)
            step = LEAST
            if not self._running:
                self._rest = LEAST
                self._wake.clear()
                if self._running:  # one began meanwhile
                    self._wake.set()
                continue
            try:
                step = self._turn(perf_counter())
            except RuntimeError:
                step = STEP  # a dictionary changed while it was looked at: the next turn will do

    def _turn(self, now: float) -> float:
        """Sample what is slow; seconds until the next turn."""
        slow: List[Record] = []
        step = LEAST
        some_ended = lasting = False
        for id, record in list(self._running.items()):
            task = _task_of(record)
            if task is None or task.done():
                self._running.pop(id, None)
                some_ended = True
                continue
            lasting = lasting or record.began <= self._looked
            due = record.sample_due or record.began + self._pace.limit(route_of(record))
            if due <= now and len(slow) < MAX_SLOW:
                slow.append(record)
                due = now + _apart(record, now)
            step = min(step, due - now)
        self._looked = now
        if slow:
            self._sample(slow, now)
        if lasting or slow or not some_ended:
            self._rest = LEAST
            return max(step, STEP)
        self._rest = min(MOST_REST, 2 * self._rest)
        return self._rest

    def _sample(self, slow: List[Record], now: float) -> None:
        for each in slow:
            each.sample_due = now + _apart(each, now)
        with undisturbed:
            stacks_of = self._stacks_of(slow)
        for record, stacks in stacks_of:
            steps = round(_apart(record, now) / STEP)
            record.samples += 1
            record.sampled += steps
            self.samples += 1
            for stack in stacks:
                if stack and (stack in record.stacks or len(record.stacks) < MAX_STACKS):
                    record.stacks[stack] = record.stacks.get(stack, 0) + steps

    def _stacks_of(self, slow: List[Record]) -> List[Tuple[Record, List[Stack]]]:
        """Where the code of each is: in threads, on the loop's, or where it waits."""
        frames = sys._current_frames()
        # A frame that knows itself, and with it all others and what they hold, would live on
        # until the collector comes.
        del frames[threading.get_ident()]
        tasks = [_task_of(record) for record in slow]
        loop = next((task.get_loop() for task in tasks if task is not None), None)
        if loop is None:
            return []
        found: List[Tuple[Record, List[Stack]]] = []
        current = asyncio.current_task(loop)
        in_threads: Dict[int, List[FrameType]] = {}
        for ident, frame in frames.items():
            if ident != self._loop_thread:
                record = _record_in(frame)
                if record is not None:
                    in_threads.setdefault(record.id, []).append(frame)
        waiting = [record for record, task in zip(slow, tasks)
                   if record.id not in in_threads and task is not None and task is not current]
        started = _started_for(waiting, asyncio.all_tasks(loop)) if waiting else {}
        for record, task in zip(slow, tasks):
            stacks: List[Stack] = []
            if record.id in in_threads:
                stacks = [self._labels(_outwards(frame)) for frame in in_threads[record.id]]
            elif task is None:
                continue
            elif task is current or current in started[record.id]:
                stacks = [self._labels(_outwards(frames.get(self._loop_thread)))]
            else:
                # What it started does the work, as below Starlette's BaseHTTPMiddleware; what of
                # that has nothing of the project is the framework's own.
                stacks = [stack for stack in (self._labels(_awaited(each.get_coro()))
                                              for each in started[record.id]) if stack]
                stacks = stacks or [self._labels(_awaited(task.get_coro()))]
            found.append((record, stacks))
        return found

    def _labels(self, frames: List[Tuple[Any, int]]) -> Stack:
        """From the outermost frame of the project inwards, each library's frames as one: what it
        was asked first, and where it is now."""
        labels: List[str] = []
        library = ""
        within = False
        for code, line in frames:
            path = code.co_filename
            mine = self._known.get(path)
            if mine is None:
                mine = self._known[path] = path.endswith(".py") and self._is_project(path)
            name = getattr(code, "co_qualname", code.co_name)
            if mine:
                labels.append(f"{name} {os.path.basename(path)}:{line}")
                library, within = "", True
            elif within and not path.startswith(OWN):
                package = _package(path)
                if package == library:
                    continue
                labels.append(f"{name} ({package})")
                library = package
        return tuple(labels[:MAX_DEPTH])


OWN = os.path.dirname(os.path.abspath(__file__)) + os.sep


def _apart(record: Record, now: float) -> float:
    """Seconds between samples of one that has run for so long."""
    return max(STEP, (now - record.began) / RARER)


def _task_of(record: Record) -> Any:
    """The task that answers it, if it still does."""
    return None if record.task is None else record.task()


def _started_for(records: List[Record], tasks: Iterable[Any]) -> Dict[int, List[Any]]:
    """Which of `tasks` each of the records started, beside the one that answers it."""
    found: Dict[int, List[Any]] = {record.id: [] for record in records}
    for task in islice(tasks, MAX_TASKS):
        context = context_in(task)
        record = None if context is None else context.get(running)
        if record is not None and record.id in found and task is not _task_of(record):
            found[record.id].append(task)
    return found


def _package(path: str) -> str:
    """The name of the library that a file is of, as it is imported."""
    for mark in (os.sep + "site-packages" + os.sep, os.sep + "dist-packages" + os.sep):
        at = path.rfind(mark)
        if at >= 0:
            rest = path[at + len(mark):]
            return rest.split(os.sep)[0].partition(".")[0]
    parts = os.path.splitext(path)[0].split(os.sep)
    for index, part in enumerate(parts):
        if part.startswith("python3") and index + 1 < len(parts):
            return parts[index + 1]
    return parts[-1]


def _outwards(frame: Optional[FrameType]) -> List[Tuple[Any, int]]:
    """The frames from the outermost to this one."""
    found: List[Tuple[Any, int]] = []
    while frame is not None:
        found.append((frame.f_code, frame.f_lineno))
        frame = frame.f_back
    found.reverse()
    return found


def _awaited(coroutine: Any) -> List[Tuple[Any, int]]:
    """The frames of a coroutine that waits, and of those that it awaits."""
    found: List[Tuple[Any, int]] = []
    while coroutine is not None and len(found) < 200:
        for kind in ("cr", "gi", "ag"):
            frame = getattr(coroutine, kind + "_frame", None)
            if frame is not None:
                found.append((frame.f_code, frame.f_lineno))
                coroutine = getattr(coroutine, kind + "_await", None) or getattr(
                    coroutine, kind + "_yieldfrom", None)
                break
        else:
            break
    return found


def _record_in(frame: Optional[FrameType]) -> Optional[Record]:
    """The request for which a thread works: named by our own frame, or by the context in which
    anyio's threads run a function."""
    while frame is not None:
        code = frame.f_code
        if code.co_name == "_carried" and code.co_filename.startswith(OWN):
            found = frame.f_locals.get("record")
            return found if isinstance(found, Record) else None
        if code.co_name == "run" and "anyio" in code.co_filename:
            context = frame.f_locals.get("context")
            found = None if context is None else context.get(running)
            return None if found is None or found.closed else found
        frame = frame.f_back
    return None


def tree_of(record: Record) -> List[List[Any]]:
    """The stacks as one tree, in the order of reading: [depth, label, samples], the heaviest of
    each level first; at most MAX_NODES."""
    nodes: List[List[Any]] = []
    seen: Set[Stack] = set()

    def grow(prefix: Stack, stacks: Dict[Stack, int]) -> None:
        depth = len(prefix)
        groups: Dict[str, Dict[Stack, int]] = {}
        for stack, count in stacks.items():
            if len(stack) > depth:
                groups.setdefault(stack[depth], {})[stack] = count
        for label, group in sorted(groups.items(), key=lambda item: -sum(item[1].values())):
            if len(nodes) >= MAX_NODES:
                return
            here = (*prefix, label)
            if here not in seen:
                seen.add(here)
                nodes.append([depth, clean(label, 160), sum(group.values())])
                grow(here, group)

    grow((), dict(record.stacks))
    return nodes
