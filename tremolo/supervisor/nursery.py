"""Brings workers to life: forked from the zygote, or in a fresh interpreter each.

One mechanism, two speeds: a worker is the same program either way, told everything over the
socket it is born with. Knows how each child ended, and when forking is not to be trusted.
"""

import asyncio
import itertools
import os
import signal
import socket
import subprocess
import sys
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Set,
    Tuple,
    Union,
)

from ..config import Settings
from ..telemetry.channel import Channel
from ..telemetry.messages import VERSION
from ..telemetry.visible import clean
from .bootstrap import command
from .plan import Plan

FORK_LIMIT = 5.0
BUSY_LIMIT = 60.0  # for one that is importing ahead, and forks between two steps
#: what every worker needs; imported ahead by name, for this package must not import it itself
CORE = ("asyncio", "ssl", "tremolo.worker.main", "tremolo.net.server", "tremolo.asgi.adapter",
        "tremolo.app.adapter", "tremolo.net.tls", "tremolo.insight.insight")
NAMES_A_MESSAGE = 400
STEPS_A_MESSAGE = 24 * 1024  # characters
GROWTH = 1.5
GROWTH_BYTES = 32 << 20


class Birth(NamedTuple):
    """A worker process: `exited` gets its wait status, or None when nobody knows it."""

    pid: int
    mode: str  # "zygote" or "spawn"
    exited: "asyncio.Future[Optional[int]]"




class _Child:
    """A child that no `subprocess` knows of; as far as is needed it looks like one of those."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: Optional[int] = None

    def poll(self) -> Optional[int]:
        return self.wait(os.WNOHANG)

    def wait(self, options: int = 0) -> Optional[int]:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, options)
            if pid:
                self.returncode = (-os.WTERMSIG(status) if os.WIFSIGNALED(status)
                                   else os.WEXITSTATUS(status))
        return self.returncode

    def kill(self) -> None:
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)


Spawned = Tuple[Union["subprocess.Popen[bytes]", _Child], "asyncio.Future[Optional[int]]"]


def fork_is_trusted() -> bool:
    """Whether forking works at all on this platform and interpreter, and is a good idea."""
    return (hasattr(os, "fork") and sys.platform != "darwin"
            and sys.implementation.name == "cpython" and sys.gettrace() is None)


def choose_mode(settings: Settings) -> str:
    """How workers are started under `settings`: "zygote" or "spawn"."""
    if settings.reload_mode != "auto":
        return settings.reload_mode if hasattr(os, "fork") else "spawn"
    # Without reloading nothing is ever learnt to load ahead, and forking gains little.
    return "zygote" if fork_is_trusted() and settings.reload else "spawn"


def describe_status(status: Optional[int]) -> str:
    """How a process ended: "SIGKILL", "exit code 1"."""
    if status is None:
        return "for an unknown reason"
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        try:
            return signal.Signals(number).name
        except ValueError:
            return f"signal {number}"
    return f"exit code {os.WEXITSTATUS(status)}"


class Nursery:
    """Starts worker processes. `mode` is "zygote" or "spawn"; `note` hears why it changes."""

    def __init__(self, loop: asyncio.AbstractEventLoop, mode: str,
                 note: Callable[..., None], environment: Callable[[], Dict[str, str]],
                 no_preload: Iterable[str] = ()) -> None:
        self._loop = loop
        self.mode = mode if mode == "spawn" or hasattr(os, "fork") else "spawn"
        self._note = note
        self._environment = environment
        self.plan = Plan(no_preload)
        self._zygote: Optional[_ZygoteLink] = None
        self._spawned: Dict[int, Spawned] = {}
        self._retired: Set[_ZygoteLink] = set()
        self._closed = False
        loop.add_signal_handler(signal.SIGCHLD, self._reap)

    @property
    def preloaded(self) -> int:
        """Modules that the zygote has loaded, 0 without one."""
        return self._zygote.preloaded if self._zygote is not None else 0

    @property
    def zygote_pid(self) -> Optional[int]:
        return self._zygote.process.pid if self._zygote is not None else None

    @property
    def resident(self) -> int:
        """Bytes of memory of the zygote once it has imported everything; else 0."""
        link = self._zygote
        return 0 if link is None or not link.preloaded else _resident(link.process.pid)

    def check_growth(self) -> None:
        """Replace a zygote that has grown: what leaks there would be in every worker."""
        link = self._zygote
        if link is None or not link.preloaded or link.busy:
            return
        size = _resident(link.process.pid)
        link.settled = link.settled or size
        if size > link.settled * GROWTH + GROWTH_BYTES:
            self._note(f"the zygote has grown from {link.settled >> 20} to {size >> 20} MiB and "
                       "is replaced")
            self.refresh()

    def learn(self, base: List[str], steps: List[Mapping[str, Any]], mode: str) -> None:
        """What a worker imported that began in `mode`: the zygote does so ahead."""
        if mode == "zygote":
            self.plan.held()
        self.plan.learn(base, steps)
        self._follow_plan()

    def stale(self, module: str, reason: str, lasting: List[str]) -> None:
        """A worker found that what was imported ahead does not hold, and was given up."""
        self._note(f"{module} was imported ahead, and {reason}: this start is made afresh",
                   "debug")
        self.plan.stale(module, reason, lasting)
        if self._zygote is not None:
            self._zygote.outdated = True

    def _follow_plan(self) -> None:
        link, plan = self._zygote, self.plan
        if link is None or self.mode != "zygote" or self._closed:
            return
        done = len(link.steps)
        if link.outdated:
            self.refresh()
        elif link.base == plan.base and link.steps == plan.steps[:done] and (
                link.refused == plan.refused or not plan.steps[done:]):
            link.make(plan, done)
        elif not link.steps and link.base == plan.base[:len(link.base)]:
            link.make(plan, 0)
        else:
            self.refresh()

    def _spoiled(self, link: "_ZygoteLink", message: Mapping[str, Any]) -> None:
        """The zygote could not make a step. It is replaced, unless it is whole: it had tried
        the step in a process of its own."""
        name = str(message.get("name"))
        keep = bool(message.get("keep"))
        reason = clean(str(message.get("reason")), 300)
        detail = clean(str(message.get("detail") or ""), 1000)
        text = clean(f"{name} is not {'kept' if keep else 'imported ahead'}: {reason}")
        self._note(f"{text} ({detail})" if detail else text, "warning" if keep else "debug")
        done = [step["name"] for step in link.steps].index(name)
        before = link.steps[:done]
        self.plan.spoiled(name, reason)
        if message.get("whole") and self.plan.steps[:done] == before:
            link.make(self.plan, done)
        else:
            self.refresh()

    async def bear(self, control: socket.socket, afresh: bool = False) -> Birth:
        """Start a worker whose control socket is `control` (which is closed here); `afresh`
        without anything that was imported ahead."""
        try:
            if self.mode == "zygote" and not afresh:
                birth = await self._fork(control)
                if birth is not None:
                    return birth
            return self._spawn(control)
        finally:
            control.close()

    def adopt(self, pid: int) -> "asyncio.Future[Optional[int]]":
        """Take over a child that was forked by this process; what gets its wait status."""
        exited: asyncio.Future[Optional[int]] = self._loop.create_future()
        self._spawned[pid] = (_Child(pid), exited)
        self._loop.call_soon(self._reap)  # it may have ended already
        return exited

    async def _fork(self, control: socket.socket) -> Optional[Birth]:
        if self._zygote is None or self._zygote.dead:
            self._start_zygote()
        assert self._zygote is not None
        try:
            return await asyncio.wait_for(
                self._zygote.fork(control.fileno()),
                BUSY_LIMIT if self._zygote.busy else FORK_LIMIT)
        except (asyncio.TimeoutError, OSError) as exc:
            self.distrust(f"the zygote did not fork ({exc or 'no answer'})")
            return None

    def _spawn(self, control: socket.socket) -> Birth:
        process = subprocess.Popen(
            command("tremolo.worker.main", "main", control.fileno()),
            pass_fds=(control.fileno(),), env=self._environment())
        exited: asyncio.Future[Optional[int]] = self._loop.create_future()
        self._spawned[process.pid] = (process, exited)
        return Birth(process.pid, "spawn", exited)

    def _start_zygote(self) -> None:
        ours, theirs = socket.socketpair()
        process = subprocess.Popen(
            command("tremolo.supervisor.zygote", "main", theirs.fileno()),
            pass_fds=(theirs.fileno(),), env=self._environment())
        theirs.close()
        self._zygote = _ZygoteLink(self._loop, ours, process, self._judge)
        self._zygote.preload(list(CORE), now=True)
        self._zygote.make(self.plan, 0)

    def _judge(self, link: "_ZygoteLink", message: Mapping[str, Any]) -> None:
        """The zygote has imported all, or cannot go on."""
        if link is not self._zygote or self.mode != "zygote":
            return
        threads = int(message.get("threads", 0))
        if message["kind"] == "spoiled":
            self._spoiled(link, message)
        elif threads > 0:
            self.distrust(f"{threads} threads are running after the imports; find the package "
                          "and give it to --no-preload")

    def distrust(self, reason: str) -> None:
        """Fork no more: each worker gets an interpreter of its own from now on."""
        if self.mode == "zygote":
            self.mode = "spawn"
            self._note(f"workers are started afresh from now on, which is slower: {reason}")
            self.renew()

    def refresh(self) -> None:
        """As renew(), with the next zygote importing already before it is asked to fork."""
        had = self._zygote is not None
        self.renew()
        if had and self.mode == "zygote" and not self._closed:
            self._start_zygote()

    def renew(self, forget: bool = False) -> None:
        """Let the zygote go once its last worker has ended; the next fork starts another.
        `forget` what did not hold ahead."""
        if forget:
            self.plan.forget()
        if self._zygote is not None:
            self._zygote.retire()
            self._retired.add(self._zygote)
            self._zygote = None

    def _reap(self) -> None:
        for pid, (process, exited) in list(self._spawned.items()):
            if process.poll() is not None:
                del self._spawned[pid]
                code = process.returncode or 0
                status = -code if code < 0 else code << 8
                if not exited.done():
                    exited.set_result(status)
        links = set(self._retired)
        if self._zygote is not None:
            links.add(self._zygote)
        for link in links:
            if link.process.poll() is not None:
                self._retired.discard(link)

    async def close(self) -> None:
        """End the zygotes, and whatever child is left."""
        if self._closed:
            return
        self._closed = True
        self.renew()
        for process, _ in self._spawned.values():
            process.kill()
        for link in self._retired:
            link.close()
        for process in [link.process for link in self._retired] + [
                process for process, _ in self._spawned.values()]:
            for _ in range(100):
                if process.poll() is not None:
                    break
                await asyncio.sleep(0.01)
            else:
                process.kill()
                process.wait()
        self._loop.remove_signal_handler(signal.SIGCHLD)


def _resident(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


class _ZygoteLink:
    """The supervisor's end of one zygote."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket,
                 process: "subprocess.Popen[bytes]",
                 judge: "Callable[[_ZygoteLink, Mapping[str, Any]], None]") -> None:
        self._loop = loop
        self.process = process
        self._judge = judge
        self.preloaded = 0
        self.busy = False  # importing what it was told to
        self.settled = 0  # bytes of memory after its imports
        self.dead = False
        self.outdated = False  # a worker found that it does not hold
        self.base: List[str] = []
        self.steps: List[Dict[str, Any]] = []
        self.refused: List[str] = []
        self._ids = itertools.count(1)
        self._forks: Dict[int, asyncio.Future[Birth]] = {}
        self._children: Dict[int, asyncio.Future[Optional[int]]] = {}
        self._channel = Channel(sock, loop, self._on_message, self._on_close)

    def preload(self, names: List[str], now: bool = False) -> None:
        """Have modules imported: in between, or `now`, before the next fork."""
        self.busy, self.settled = self.busy or bool(names), 0
        for index in range(0, len(names), NAMES_A_MESSAGE):
            self._channel.send({"v": VERSION, "kind": "preload", "now": now,
                                "names": names[index:index + NAMES_A_MESSAGE]})

    def make(self, plan: Plan, start: int) -> None:
        """Have the steps of a plan made, but for the first `start`, which were made before."""
        if plan.base != self.base:
            self.preload(plan.base)
        self.base, self.steps, self.refused = plan.base, plan.steps, plan.refused
        for index in range(0, len(plan.refused), NAMES_A_MESSAGE):
            self._channel.send({"v": VERSION, "kind": "preload",
                                "refused": plan.refused[index:index + NAMES_A_MESSAGE]})
        batch: List[Dict[str, Any]] = []
        size = 0
        for step in map(plan.message, plan.steps[start:]):
            length = len(str(step))
            if batch and size + length > STEPS_A_MESSAGE:
                self._make_batch(batch)
                batch, size = [], 0
            batch.append(step)
            size += length
        if batch:
            self._make_batch(batch)

    def _make_batch(self, steps: List[Dict[str, Any]]) -> None:
        self.busy, self.settled = True, 0
        self._channel.send({"v": VERSION, "kind": "preload", "steps": steps})

    async def fork(self, fd: int) -> Birth:
        number = next(self._ids)
        born: asyncio.Future[Birth] = self._loop.create_future()
        self._forks[number] = born
        if not self._channel.send({"v": VERSION, "kind": "fork", "id": number}, (fd,)):
            raise OSError("it is gone")
        return await born

    def retire(self) -> None:
        self._channel.send({"v": VERSION, "kind": "retire"})

    def _on_message(self, message: Dict[str, Any], fds: List[int]) -> None:
        for fd in fds:
            os.close(fd)
        kind = message["kind"]
        if kind == "forked":
            born = self._forks.pop(message.get("id", 0), None)
            if message.get("error"):
                if born is not None and not born.done():
                    born.set_exception(OSError(message["error"]))
                return
            pid = int(message["pid"])
            exited: asyncio.Future[Optional[int]] = self._loop.create_future()
            self._children[pid] = exited
            if born is not None and not born.done():
                born.set_result(Birth(pid, "zygote", exited))
        elif kind == "exited":
            child = self._children.pop(message.get("pid", 0), None)
            if child is not None and not child.done():
                child.set_result(int(message["status"]))
        elif kind == "preloaded":
            self.preloaded = int(message.get("count", 0))
            self.busy = False
            self._judge(self, message)
        elif kind == "spoiled":
            self._judge(self, message)

    def _on_close(self, reason: str) -> None:
        self.dead = True
        for born in self._forks.values():
            if not born.done():
                born.set_exception(OSError(reason or "it ended"))
        self._forks.clear()
        for exited in self._children.values():
            if not exited.done():
                exited.set_result(None)  # they live on, but their status goes to init now
        self._children.clear()

    def close(self) -> None:
        self.dead = True
        self._channel.close()
