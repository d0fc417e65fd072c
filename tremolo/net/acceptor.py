"""Takes connections from one listening socket, as fast as there is room for them.

Own rather than `loop.create_server`, so that accepting can pause at the connection limit and
recover from exhausted descriptors without spinning.
"""

import asyncio
import errno
import logging
import socket
from typing import Callable, Optional

#: connections taken in one turn of the loop; other workers on the same socket get theirs
BATCH = 64
#: seconds of rest when the system is out of descriptors or memory (accept(2))
EXHAUSTED_PAUSE = 0.1

EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
INTERNET = (socket.AF_INET, socket.AF_INET6)


def made_ready(sock: socket.socket) -> bool:
    """Have a connected socket never block, and send at once what is little; False if its client
    is gone already."""
    sock.setblocking(False)
    if sock.family in INTERNET:
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:  # as macOS has it
            return False
    return True


class Acceptor:
    """Accepts from `sock` (listening) and gives each connection to `set_up`. `room()` gives
    how many more are wanted now."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket,
                 set_up: Callable[[socket.socket], None], room: Callable[[], int],
                 logger: logging.Logger) -> None:
        self._loop = loop
        self._sock = sock
        self._set_up = set_up
        self._room = room
        self._logger = logger
        self._reading = False
        self._timer: Optional[asyncio.TimerHandle] = None
        self._logged = 0.0
        self._closed = False
        sock.setblocking(False)

    def start(self) -> None:
        if not self._reading and not self._closed:
            self._reading = True
            self._loop.add_reader(self._sock.fileno(), self._on_readable)

    def pause(self) -> None:
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._sock.fileno())

    def close(self) -> None:
        """Stop accepting and close this process's copy of the socket."""
        if not self._closed:
            self.pause()
            self._closed = True
            if self._timer is not None:
                self._timer.cancel()
            self._sock.close()

    def _on_readable(self) -> None:
        for _ in range(BATCH):
            if self._room() <= 0:
                self.pause()  # the server starts us again when a connection ends
                return
            try:
                connection, _ = self._sock.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as exc:
                self._accept_failed(exc)
                return
            self._set_up(connection)

    def _accept_failed(self, exc: OSError) -> None:
        if exc.errno not in EXHAUSTED:
            return  # the client went away before it was accepted (ECONNABORTED, EPROTO, ...)
        self.pause()
        self._timer = self._loop.call_later(EXHAUSTED_PAUSE, self.start)
        now = self._loop.time()
        if now - self._logged >= 1.0 or not self._logged:
            self._logged = now
            self._logger.error("cannot accept connections for now: %s", exc.strerror)
