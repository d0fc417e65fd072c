"""The supervisor's end of one zygote: what it is to import ahead, and what it has forked."""

import asyncio
import itertools
import os
import socket
import subprocess
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple

from ..telemetry import builders
from ..telemetry.channel import Channel
from .plan import Plan

NAMES_A_MESSAGE = 400
STEPS_A_MESSAGE = 24 * 1024  # characters


class SpawnedProcess(NamedTuple):
    """A worker process: `exited` gets its wait status, or None when nobody knows it; `control`
    is our end of its socket."""

    pid: int
    mode: str  # "zygote" or "spawn"
    exited: "asyncio.Future[Optional[int]]"
    control: socket.socket


class ZygoteLink:
    """The supervisor's end of one zygote."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket,
                 process: "subprocess.Popen[bytes]",
                 judge: "Callable[[ZygoteLink, Mapping[str, Any]], None]") -> None:
        self._loop = loop
        self.process = process
        self._judge = judge
        self.preloaded = 0
        self._asked = self._done = 0  # the last wish to preload, and the last that was fulfilled
        self.settled = 0  # bytes of memory after its imports
        self.dead = False
        self.outdated = False  # a worker found that it does not hold
        self.base: List[str] = []
        self.steps: List[Dict[str, Any]] = []
        self.refused: List[str] = []
        self._ids = itertools.count(1)
        self._forks: Dict[int, asyncio.Future[Tuple[int, asyncio.Future[Optional[int]]]]] = {}
        self._children: Dict[int, asyncio.Future[Optional[int]]] = {}
        self._channel = Channel(sock, loop, self._on_message, self._on_close)

    def preload(self, names: List[str], now: bool = False) -> None:
        """Have modules imported: in between, or `now`, before the next fork."""
        for index in range(0, len(names), NAMES_A_MESSAGE):
            self._ask(now=now, names=names[index:index + NAMES_A_MESSAGE])

    def _ask(self, **what: Any) -> None:
        self._asked, self.settled = self._asked + 1, 0
        self._channel.send(builders.preload(self._asked, **what))

    def make(self, plan: Plan, start: int) -> None:
        """Have the steps of a plan made, but for the first `start`, which were made before."""
        if plan.base != self.base:
            self.preload(plan.base)
        self.base, self.steps, self.refused = plan.base, plan.steps, plan.refused
        for index in range(0, len(plan.refused), NAMES_A_MESSAGE):
            self._ask(refused=plan.refused[index:index + NAMES_A_MESSAGE])
        batch: List[Dict[str, Any]] = []
        size = 0
        for step in map(plan.message, plan.steps[start:]):
            length = len(str(step))
            if batch and size + length > STEPS_A_MESSAGE:
                self._ask(steps=batch)
                batch, size = [], 0
            batch.append(step)
            size += length
        if batch:
            self._ask(steps=batch)

    @property
    def busy(self) -> bool:
        """Whether it is importing what it was asked to, or has not begun to."""
        return self._done != self._asked

    @property
    def is_current(self) -> bool:
        """Whether all that it is to import is imported, and holds as far as is known."""
        return bool(self.steps or self.base) and not (self.busy or self.dead or self.outdated)

    async def fork(self, standby: bool = False) -> SpawnedProcess:
        """Have a worker forked. One for `standby` has time: it looks at once at everything that
        it will compare, so that its copies of those pages are made before it is needed.
        Raises OSError."""
        ours, theirs = socket.socketpair()
        number = next(self._ids)
        born: asyncio.Future[Tuple[int, asyncio.Future[Optional[int]]]] = (
            self._loop.create_future())
        self._forks[number] = born
        try:
            if not self._channel.send(builders.fork(number, standby), (theirs.fileno(),)):
                raise OSError("it is gone")
            pid, exited = await born
        except BaseException:
            ours.close()  # whatever is born still sees that nobody wants it
            raise
        finally:
            theirs.close()
        return SpawnedProcess(pid, "zygote", exited, ours)

    def retire(self) -> None:
        self._channel.send(builders.retire())

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
                born.set_result((pid, exited))
        elif kind == "exited":
            child = self._children.pop(message.get("pid", 0), None)
            if child is not None and not child.done():
                child.set_result(int(message["status"]))
        elif kind == "preloaded":
            self.preloaded = int(message.get("count", 0))
            self._done = int(message.get("id", 0))
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
