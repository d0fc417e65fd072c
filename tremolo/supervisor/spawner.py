"""Starts workers: forked from the zygote, or in a fresh interpreter each.

One mechanism, two speeds: a worker is the same program either way, and gets everything over the
socket it is born with. Knows how each child ended, and when forking is not to be trusted.
"""

import asyncio
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
    Optional,
    Set,
    Tuple,
    Union,
)

from ..config import Settings
from ..telemetry.sanitize import clean
from .bootstrap import command
from .plan import Plan
from .standby import Standby
from .zygote_link import SpawnedProcess, ZygoteLink

FORK_LIMIT = 5.0
BUSY_LIMIT = 60.0  # for one that is importing ahead, and forks between two steps
#: what every worker needs; imported ahead by name, for this package must not import it itself
CORE = ("asyncio", "concurrent.futures.thread", "ssl", "tremolo.worker.main",
        "tremolo.worker.ahead", "tremolo.worker.basis", "tremolo.worker.console",
        "tremolo.worker.debugger", "tremolo.net.server", "tremolo.asgi.adapter",
        "tremolo.asgi.websocket", "tremolo.app.adapter", "tremolo.net.tls", "tremolo.envfile",
        "tremolo.worker.browser", "tremolo.worker.error_page", "tremolo.insight.insight",
        "tremolo.insight.sources.native", "tremolo.insight.sources.threads")
#: what makes a loop if it is installed and `--loop` allows it. Imported later, it would
#: be one more reason to look at the whole world in which imports are made
LOOP = "uvloop"
GROWTH = 1.5
GROWTH_BYTES = 32 << 20


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


Waited = Tuple[Union["subprocess.Popen[bytes]", _Child], "asyncio.Future[Optional[int]]"]


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


class Spawner:
    """Starts worker processes. `mode` is "zygote" or "spawn"; `note` hears why it changes."""

    def __init__(self, loop: asyncio.AbstractEventLoop, mode: str,
                 note: Callable[..., None], environment: Callable[[], Dict[str, str]],
                 no_preload: Iterable[str] = (), loop_name: str = "") -> None:
        self._loop = loop
        self._core = (*CORE, LOOP) if loop_name in ("auto", LOOP) else CORE
        self.mode = mode if mode == "spawn" or hasattr(os, "fork") else "spawn"
        self._note = note
        self._environment = environment
        self.plan = Plan(no_preload)
        self._zygote: Optional[ZygoteLink] = None
        self._children: Dict[int, Waited] = {}
        self._retired: Set[ZygoteLink] = set()
        self._closed = False
        self._standby = Standby(loop)
        loop.add_signal_handler(signal.SIGCHLD, self._reap)

    @property
    def preloaded(self) -> int:
        """Modules that the zygote has loaded, 0 without one."""
        return self._zygote.preloaded if self._zygote is not None else 0

    @property
    def zygote_pid(self) -> Optional[int]:
        return self._zygote.process.pid if self._zygote is not None else None

    @property
    def standby_pid(self) -> Optional[int]:
        """The worker that waits to be the next one."""
        return self._standby.pid

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
            self.stand_by()

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
        self.stand_by()

    def _spoiled(self, link: ZygoteLink, message: Mapping[str, Any]) -> None:
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

    async def spawn(self, afresh: bool = False) -> SpawnedProcess:
        """Start a worker; `afresh` without anything that was imported ahead."""
        if self.mode == "zygote" and not afresh:
            return self._standby.take() or await self._fork() or self._spawn_interpreter()
        return self._spawn_interpreter()

    def stand_by(self) -> None:
        """Have a worker forked ahead if the zygote is as the next worker needs it; one from
        another zygote, or from before, is dismissed."""
        self._standby.follow(self._zygote if self.mode == "zygote" else None)

    def adopt(self, pid: int) -> "asyncio.Future[Optional[int]]":
        """Take over a child that was forked by this process; what gets its wait status."""
        exited: asyncio.Future[Optional[int]] = self._loop.create_future()
        self._children[pid] = (_Child(pid), exited)
        self._loop.call_soon(self._reap)  # it may have ended already
        return exited

    async def _fork(self) -> Optional[SpawnedProcess]:
        for again in (True, False):
            if self._zygote is None or self._zygote.dead:
                self._start_zygote()
            link = self._zygote
            assert link is not None
            try:
                return await asyncio.wait_for(
                    link.fork(), BUSY_LIMIT if link.busy else FORK_LIMIT)
            except (asyncio.TimeoutError, OSError) as exc:
                if again and link.dead:
                    continue  # it was killed, which says nothing of the next one
                self.distrust(f"the zygote did not fork ({exc or 'no answer'})")
                break
        return None

    def _spawn_interpreter(self) -> SpawnedProcess:
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                command("tremolo.worker.main", "main", theirs.fileno()),
                pass_fds=(theirs.fileno(),), env=self._environment())
        exited: asyncio.Future[Optional[int]] = self._loop.create_future()
        self._children[process.pid] = (process, exited)
        return SpawnedProcess(process.pid, "spawn", exited, ours)

    def _start_zygote(self) -> None:
        ours, theirs = socket.socketpair()
        process = subprocess.Popen(
            command("tremolo.supervisor.zygote", "main", theirs.fileno()),
            pass_fds=(theirs.fileno(),), env=self._environment())
        theirs.close()
        self._zygote = ZygoteLink(self._loop, ours, process, self._judge)
        self._zygote.preload(
            [name for name in self._core if not self.plan.is_refused(name)], now=True)
        self._zygote.make(self.plan, 0)

    def _judge(self, link: ZygoteLink, message: Mapping[str, Any]) -> None:
        """The zygote has imported all, or cannot go on."""
        if link is not self._zygote or self.mode != "zygote":
            return
        threads = int(message.get("threads", 0))
        if message["kind"] == "spoiled":
            self._spoiled(link, message)
        elif threads > 0:
            self.distrust(f"{threads} threads are running after the imports; find the package "
                          "and give it to --no-preload")
        else:
            self.stand_by()

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
        self.stand_by()

    def _reap(self) -> None:
        for pid, (process, exited) in list(self._children.items()):
            if process.poll() is not None:
                del self._children[pid]
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
        self._standby.close()
        self.renew()
        for process, _ in self._children.values():
            process.kill()
        for link in self._retired:
            link.close()
        for process in [link.process for link in self._retired] + [
                process for process, _ in self._children.values()]:
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
