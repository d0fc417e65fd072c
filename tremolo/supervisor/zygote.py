"""The zygote: one thread that blocks on a socket, imports modules ahead, and forks workers.

Never imports the project, but for modules that are to be kept. It asks nothing of its
children and reports how they ended. When the socket ends it ends; its children see the end of
their own sockets. What imports print is given to the child that asks for the module;
nothing of it reaches the terminal.
"""

import fcntl
import gc
import importlib
import os
import select
import signal
import socket
import sys
import tempfile
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Deque, Dict, List, Mapping, Optional, Set, Union

from ..telemetry import builders
from ..telemetry.channel import MessageReader, receive
from ..telemetry.codec import encode_cut

if TYPE_CHECKING:
    from ..worker.preloader import Preloader
    from ..worker.shelf import Shelf

ORPHAN_LIMIT = 1.6  # seconds that children may take to end once the supervisor is gone


class Zygote:
    """Serves the wishes that come on `sock`: "fork" (with a descriptor), "preload" and
    "retire"."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._reader = MessageReader()
        #: what to import: names of modules, then steps (see `tremolo.worker.preloader`)
        self._names: Deque[Union[str, Dict[str, Any]]] = deque()
        self._failed: List[str] = []
        self._preloader: Optional[Preloader] = None
        self._streams = _Streams()
        self._preloading = False
        self._asked = 0  # the newest wish to preload
        self._began = 0.0
        self._children: Set[int] = set()
        self._retiring = False
        self._wake_read, self._wake_write = socket.socketpair()
        for end in (self._wake_read, self._wake_write):
            end.setblocking(False)

    def run(self) -> Optional[socket.socket]:
        """Serve until the supervisor is gone: None. In a child, at once: its control socket"""
        signal.set_wakeup_fd(self._wake_write.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, lambda *_: None)
        gc.disable()  # collecting while importing is in vain, and would touch every page
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        poll.register(self._wake_read, select.POLLIN)
        while not (self._retiring and not self._children):
            ready = dict(poll.poll(0 if self._names else None))
            if self._wake_read.fileno() in ready:
                self._drain_wakeups()
                self._reap()
            if self._sock.fileno() in ready:
                try:
                    data, fds = receive(self._sock)
                except (OSError, ValueError):
                    return None
                if not data:
                    return None
                for message, owned in self._reader.feed(data, fds):
                    child = self._obey(message, owned)
                    if child is not None:
                        return child
            elif self._names:
                self._import_one(self._names.popleft())
            if self._preloading and not self._names:
                self._preloaded()
        return None

    def _obey(self, message: Mapping[str, Any], fds: List[int]) -> Optional[socket.socket]:
        kind = message["kind"]
        child = None
        if kind == "fork" and fds:
            child = self._fork(message, fds.pop())
        elif kind == "preload":
            self._asked = int(message.get("id", 0))
            if not self._preloading:
                self._preloading, self._began = True, time.monotonic()
            self._names.extend(name for name in message.get("names", ())
                               if isinstance(name, str) and name not in sys.modules)
            self._names.extend(message.get("steps", ()))
            if message.get("refused"):
                self._ahead().refused.update(map(str, message["refused"]))
            while message.get("now") and self._names:
                self._import_one(self._names.popleft())
        elif kind == "retire":
            self._retiring = True
            self._reap()
        for fd in fds:
            os.close(fd)
        return child

    def _fork(self, message: Mapping[str, Any], fd: int) -> Optional[socket.socket]:
        id = int(message.get("id", 0))
        ahead = self._ahead()
        ahead.prepare()
        ahead.rest()
        self._streams.flush()
        try:
            pid = os.fork()
        except OSError as exc:
            reply = builders.forked(id, error=exc.strerror or str(exc))
        else:
            if pid == 0:
                return self._become_child(fd, bool(message.get("standby")))
            self._children.add(pid)
            reply = builders.forked(id, pid)
        os.close(fd)
        self._send(reply)
        return None

    def _become_child(self, fd: int, standby: bool) -> socket.socket:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._streams.give_back()
        for end in (self._wake_read, self._wake_write, self._sock):
            end.close()
        gc.enable()
        numpy_random = self.shelved("numpy.random")
        if numpy_random is not None:
            numpy_random.seed()  # `random` reseeds itself after a fork, this one does not
        if standby and self.shelf is not None:
            self.shelf.touch()
        return socket.socket(fileno=fd)

    @property
    def shelf(self) -> "Optional[Shelf]":
        """What was imported ahead by steps."""
        return self._preloader.shelf if self._preloader is not None else None

    def shelved(self, name: str) -> Any:
        """A module that was imported ahead, or None."""
        entry = self.shelf.entries.get(name) if self.shelf is not None else None
        return entry.module if entry is not None else sys.modules.get(name)

    def _ahead(self) -> "Preloader":
        if self._preloader is None:
            from ..worker.preloader import Preloader

            self._preloader = Preloader()
        return self._preloader

    def _step(self, step: Dict[str, Any]) -> None:
        from ..worker.preloader import Spoiled

        ahead, whole = self._ahead(), bool(step.get("trial"))
        try:
            if whole:
                ahead.trial(step)
                whole = False
            ahead.step(step)
        except Spoiled as exc:
            self._names.clear()  # what follows depends on it: we are asked anew, or replaced
            self._send(builders.spoiled(step, str(exc), exc.detail, whole))

    def _import_one(self, name: Union[str, Dict[str, Any]]) -> None:
        if isinstance(name, dict):
            self._step(name)
            return
        if name in sys.modules:
            return
        try:
            importlib.import_module(name)
        except BaseException as exc:  # a module may even call sys.exit(); the worker reports it
            self._failed.append(f"{name}: {type(exc).__name__}")
        if self._preloader is not None:
            self._preloader.rebase()

    def _preloaded(self) -> None:
        self._preloading = False
        preloader = self._ahead()
        preloader.prepare()
        preloader.rest()
        ahead = len(preloader.shelf.entries)
        gc.collect()
        if hasattr(gc, "freeze"):
            gc.freeze()  # so that the children's collections do not copy our pages
        self._send(builders.preloaded(
            self._asked, len(sys.modules) + ahead, self._failed[:100],
            len(sys._current_frames()) - 1, round((time.monotonic() - self._began) * 1000, 1)))

    def _drain_wakeups(self) -> None:
        try:
            while self._wake_read.recv(4096):
                continue
        except BlockingIOError:
            return

    def _reap(self) -> None:
        while self._children:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._children.discard(pid)
            self._send(builders.exited(pid, status))

    def leave(self) -> None:
        """The supervisor is gone, or nothing is left to do. Children end by themselves; one
        that cannot (an endless loop that holds the interpreter) is ended."""
        deadline = time.monotonic() + ORPHAN_LIMIT
        while self._children and time.monotonic() < deadline:
            select.select([self._wake_read], [], [], 0.1)
            self._drain_wakeups()
            self._reap()
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)

    def _send(self, message: Mapping[str, Any]) -> None:
        try:
            self._sock.sendall(encode_cut(message))
        except OSError:
            self._retiring = True  # the supervisor is gone: its end is read next


class _Streams:
    """Keeps the standard streams of this process for its children, and gives it others."""

    def __init__(self) -> None:
        self._kept = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 3) for number in range(3)]
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        for number in (1, 2):
            with tempfile.TemporaryFile(buffering=0) as file:
                os.dup2(file.fileno(), number)

    @staticmethod
    def flush() -> None:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()

    def give_back(self) -> None:
        """In a child: have the streams that this process was given."""
        for number, kept in enumerate(self._kept):
            os.dup2(kept, number)
            os.close(kept)


def main(fd: int) -> None:
    """Entry of the zygote's process, and of the workers that are forked from it."""
    zygote = Zygote(socket.socket(fileno=fd))
    child = zygote.run()
    if child is None:
        zygote.leave()
        # Without taking down what was imported: what is to be done at the end is its children's
        # (see `Preloader`), and touching all of it would copy the pages that it has with them.
        os._exit(0)
    else:
        from ..worker.main import Worker

        sys.exit(Worker(child, zygote.shelf).run())
