"""The zygote: one thread that blocks on a socket, imports modules by name, and forks workers.

Never has the user's directory on its path and never imports the project. It asks nothing of
its children and reports how they ended. When the socket ends it ends; its children see the
end of their own sockets.
"""

import gc
import importlib
import os
import select
import signal
import socket
import sys
import time
from collections import deque
from typing import Any, Deque, Dict, List, Mapping, Optional, Set

from ..telemetry.channel import MessageReader, receive
from ..telemetry.codec import encode_cut
from ..telemetry.messages import VERSION

ORPHAN_LIMIT = 1.6  # seconds that children may take to end once the supervisor is gone


class Zygote:
    """Serves the wishes that come on `sock`: "fork" (with a descriptor), "preload" and
    "retire"."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._reader = MessageReader()
        self._names: Deque[str] = deque()
        self._failed: List[str] = []
        self._preloading = False
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
            if not self._preloading:
                self._preloading, self._began = True, time.monotonic()
            self._names.extend(name for name in message.get("names", ())
                               if isinstance(name, str) and name not in sys.modules)
            while message.get("now") and self._names:
                self._import_one(self._names.popleft())
        elif kind == "retire":
            self._retiring = True
            self._reap()
        for fd in fds:
            os.close(fd)
        return child

    def _fork(self, message: Mapping[str, Any], fd: int) -> Optional[socket.socket]:
        reply: Dict[str, Any] = {"v": VERSION, "kind": "forked", "id": message.get("id")}
        try:
            pid = os.fork()
        except OSError as exc:
            reply["error"] = exc.strerror or str(exc)
        else:
            if pid == 0:
                return self._become_child(fd)
            self._children.add(pid)
            reply["pid"] = pid
        os.close(fd)
        self._send(reply)
        return None

    def _become_child(self, fd: int) -> socket.socket:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for end in (self._wake_read, self._wake_write, self._sock):
            end.close()
        gc.enable()
        numpy_random = sys.modules.get("numpy.random")
        if numpy_random is not None:
            numpy_random.seed()  # `random` reseeds itself after a fork, this one does not
        return socket.socket(fileno=fd)

    def _import_one(self, name: str) -> None:
        if name in sys.modules:
            return
        try:
            importlib.import_module(name)
        except BaseException as exc:  # a module may even call sys.exit(); the worker will tell
            self._failed.append(f"{name}: {type(exc).__name__}")

    def _preloaded(self) -> None:
        self._preloading = False
        gc.collect()
        if hasattr(gc, "freeze"):
            gc.freeze()  # so that the children's collections do not copy our pages
        self._send({"v": VERSION, "kind": "preloaded", "count": len(sys.modules),
                    "failed": self._failed[:100], "threads": len(sys._current_frames()) - 1,
                    "ms": round((time.monotonic() - self._began) * 1000, 1)})

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
            self._send({"v": VERSION, "kind": "exited", "pid": pid, "status": status})

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


def main(fd: int) -> None:
    """Entry of the zygote's process, and of the workers that are forked from it."""
    zygote = Zygote(socket.socket(fileno=fd))
    child = zygote.run()
    if child is None:
        zygote.leave()
    else:
        from ..worker.main import Worker

        sys.exit(Worker(child).run())
