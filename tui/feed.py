"""The socket to the supervisor: messages in, commands out, never blocking.

Runs in whichever event loop reads it; knows no Textual. At most `READ_SIZE` bytes are taken a
turn, so a burst cannot starve the keyboard.
"""

import asyncio
import socket
from typing import Any, Callable, Dict, Optional

from tremolo.telemetry.codec import CodecError, LineDecoder

from .model.session import Session

READ_SIZE = 64 * 1024  # some two hundred rows: a few milliseconds
MAX_UNSENT = 1024 * 1024


class Feed:
    """Reads the feed into a session and writes the session's commands.

    `on_news()` is called after each turn that brought messages, `on_end(cause)` once: with ""
    for a plain end of file, else with what was wrong.
    """

    def __init__(self, sock: socket.socket, session: Session) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.session = session
        session.commands.on_given = self.flush
        self.ended: Optional[str] = None
        self.bytes_read = 0
        self.turns = 0
        self.on_news: Callable[[], None] = lambda: None
        self.on_end: Callable[[str], None] = lambda cause: None
        #: gets each message of what happens as well
        self.observe: Optional[Callable[[Dict[str, Any]], None]] = None
        self._decoder = LineDecoder()
        self._unsent = bytearray()
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._writing = False

    # -- in an event loop

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        loop.add_reader(self.sock.fileno(), self.readable)

    def detach(self) -> None:
        if self._loop is not None and self.sock.fileno() >= 0:
            self._loop.remove_reader(self.sock.fileno())
            self._loop.remove_writer(self.sock.fileno())
        self._writing = False
        self._loop = None

    def readable(self) -> None:
        """Take in what is there; also called without a loop, when the terminal is lent out."""
        if self.ended is not None:
            return
        try:
            data = self.sock.recv(READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as exc:
            self._end(exc.strerror or str(exc))
            return
        if not data:
            self._end("")
            return
        self.turns += 1
        self.bytes_read += len(data)
        apply = self.session.apply
        try:
            for _, message in self._decoder.feed(data):
                apply(message)
                if self.observe is not None and not message.get("earlier"):
                    self.observe(message)
        except CodecError as exc:
            self._end(f"the feed is not readable: {exc}")
            return
        self.flush()  # an acknowledgement may have caused another command
        self.on_news()

    def _end(self, cause: str) -> None:
        self.detach()
        self.ended = cause
        self.on_end(cause)

    def align(self, seconds: float = 1.0) -> None:
        """Read to the end of a line that has begun: another reader will find whole lines."""
        if not self._decoder.partial or self.ended is not None:
            return
        self.sock.settimeout(seconds)
        try:
            while True:
                ahead = self.sock.recv(READ_SIZE, socket.MSG_PEEK)
                end = ahead.find(b"\n")
                self.sock.recv(end + 1 if end >= 0 else len(ahead))
                if end >= 0 or not ahead:
                    break
        except OSError:
            pass  # its next reader will notice
        finally:
            self.sock.setblocking(False)

    # -- commands

    def flush(self) -> None:
        """Write the session's commands as far as the socket takes them now."""
        outbox = self.session.commands.outbox
        for command in outbox:
            if len(self._unsent) < MAX_UNSENT:
                self._unsent += command.line()
        outbox.clear()
        while self._unsent and self.ended is None:
            try:
                sent = self.sock.send(self._unsent)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                self._unsent.clear()  # the reading side sees the end as well, and tells
                break
            del self._unsent[:sent]
        self._watch()

    def _watch(self) -> None:
        wanted = bool(self._unsent) and self.ended is None
        if self._loop is None or wanted == self._writing:
            return
        if wanted:
            self._loop.add_writer(self.sock.fileno(), self.flush)
        else:
            self._loop.remove_writer(self.sock.fileno())
        self._writing = wanted
