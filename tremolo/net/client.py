"""The transport's side of one client connection: flow control, write stalls, ways to end it.

Knows sockets, time and the throttle's verdicts, nothing of HTTP; `HTTPConnection` is built on it.
"""

import asyncio
import os
import socket
import struct
import sys
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Callable, Optional

from .outbox import HIGH_WATER, LOW_WATER, Outbox
from .throttle import Pacer
from .ticker import NEVER

if TYPE_CHECKING:
    from .server import Server

#: what is read and thrown away after a last response, so that no reset eats it (RFC 9112
#: section 9.6)
LINGER_BYTES = 64 * 1024
LINGER_SECONDS = 1.0
#: before Python 3.11 asyncio begins to read after `connection_made`, even from a transport that
#: was paused there
READS_THOUGH_PAUSED = sys.version_info < (3, 11)


def peer_text(peer: Any) -> str:
    """An address as users write it: 127.0.0.1:51234, [::1]:51234; "unix" for a Unix socket."""
    if isinstance(peer, tuple) and len(peer) >= 2:
        host = str(peer[0])
        return f"[{host}]:{peer[1]}" if ":" in host else f"{host}:{peer[1]}"
    return "unix"


class Client(asyncio.BufferedProtocol, ABC):
    """One transport and what is done with it.

    `lingering` and `closing` lead to the end, `lost` is the end. `current` is what the
    connection is busy with, None for nothing; `deadline` the instant of the next look at it.
    """

    __slots__ = ("_stall_mark", "bytes_in", "closing", "current", "deadline", "eof", "held_since",
                 "id", "is_tls", "lingering", "lost", "opened", "outbox", "pace_due", "pacer",
                 "peer", "reading_paused", "reads_blocked", "server", "socket", "sockname",
                 "stall_deadline", "transport")

    current: Any

    def __init__(self, server: "Server") -> None:
        self.server = server
        self.transport: Any = None
        self.outbox: Outbox = None  # type: ignore[assignment]  # set when connected
        self.pacer: Optional[Pacer] = None
        self.pace_due = 0.0
        self.id = server.next_id()
        self.peer: Any = None
        self.sockname: Any = None
        self.socket: Any = None
        self.is_tls = False
        self.opened = 0.0
        self.bytes_in = 0
        self.deadline = NEVER
        self.eof = False
        self.lost = False
        self.closing = False
        self.lingering = 0
        self.reading_paused = False
        #: the throttle allows no more reading for now
        self.reads_blocked = False
        #: since when, as far as the clocks have been shifted by it
        self.held_since = 0.0
        self._stall_mark = -1
        #: when writes that make no progress are given up
        self.stall_deadline = NEVER

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        server = self.server
        self.transport = transport
        self.peer = transport.get_extra_info("peername")
        self.sockname = transport.get_extra_info("sockname")
        self.socket = transport.get_extra_info("socket")
        self.is_tls = transport.get_extra_info("sslcontext") is not None
        self.outbox = Outbox(server.loop, transport, server.counters, self._on_write_pace)
        self.transport.set_write_buffer_limits(high=HIGH_WATER, low=LOW_WATER)
        self.opened = server.loop.time()

    # -- reading -------------------------------------------------------------------------------

    @abstractmethod
    def wants_more(self) -> bool:
        """Whether there is room for what would be read."""

    @abstractmethod
    def hung_up(self, gone: bool) -> None:
        """The client closed its side, or (`gone`) both, behind data that is not read yet."""

    @abstractmethod
    def excuse(self, now: float) -> None:
        """What was not read because we held it back is not the client's delay."""

    def pause_reading(self) -> None:
        if not self.reading_paused and not self.lost and not self.eof:
            self.reading_paused = True
            self.server.paused[self.id] = self
            self.transport.pause_reading()
            if READS_THOUGH_PAUSED and not self.bytes_in:
                self.server.call_soon(self._pause_again)

    def _pause_again(self) -> None:
        if self.reading_paused and not self.lost and not self.transport.is_closing():
            self.transport.resume_reading()
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if self.reading_paused and not self.lost and not self.eof:
            if self.reads_blocked:
                return
            self.reading_paused = False
            self.server.paused.pop(self.id, None)
            # asyncio would call us in the context of whoever resumes, perhaps a handler.
            self.server.outside(self.transport.resume_reading)

    def allow_reading(self) -> None:
        """The throttle holds reading back no longer; something else still may."""
        self.excuse(self.server.loop.time())
        self.reads_blocked = False
        if self.wants_more():
            self.resume_reading()

    def read_held(self, size: int) -> bool:
        """Read at most `size` bytes although the transport is paused, and let it be so: for slow
        rates that costs a fifth of waking and pausing it each time. False: it has to see for
        itself whether there is nothing, the end or an error."""
        if self.is_tls or self.socket is None or self.lost or self.eof \
                or not hasattr(os, "readv") or not self.wants_more():  # PyPy has none
            return False
        try:
            nbytes = os.readv(self.socket.fileno(), (self.server.read_view[:size],))
        except OSError:
            return False
        if nbytes:
            self.excuse(self.server.loop.time())
            self.buffer_updated(nbytes)
        return nbytes > 0

    # -- writing -------------------------------------------------------------------------------

    def pause_writing(self) -> None:
        self.outbox.full = True

    def resume_writing(self) -> None:
        self.outbox.resume_writing()

    def watch_writes(self) -> None:
        """Somebody waits for the client to read: it must make progress from now on."""
        self._stall_mark = self._handed_over()
        self.stall_deadline = self.server.loop.time() + self.server.write_timeout
        if self.current is None or self.stall_deadline < self.deadline:
            self.deadline = self.stall_deadline

    def _handed_over(self) -> int:
        return self.outbox.bytes_out - int(self.transport.get_write_buffer_size())

    def write_stalled(self) -> bool:
        """Whether the client has read nothing since the last look."""
        if not (self.outbox.full or self.closing or self.transport.get_write_buffer_size()):
            return False
        if self.outbox.blocked_since and not self.outbox.full:
            return False  # we hold it back ourselves
        mark, self._stall_mark = self._stall_mark, self._handed_over()
        return mark == self._stall_mark

    @property
    def bytes_out(self) -> int:
        return self.outbox.bytes_out

    @abstractmethod
    def _on_write_pace(self, blocked: bool) -> None:
        """The outbox waits for its throttle, or no longer does."""

    # -- the end -------------------------------------------------------------------------------

    def linger_or_close(self) -> None:
        """Close, the last words first: what the client still sends is read for a moment."""
        if self.lost or self.eof:
            self.close_transport()
            return
        self.lingering = 1
        self.deadline = self.server.loop.time() + LINGER_SECONDS
        self.resume_reading()
        if self.transport.can_write_eof():
            try:
                self.transport.write_eof()
            except (OSError, RuntimeError, NotImplementedError):
                self.close_transport()

    def linger(self, nbytes: int) -> None:
        """Bytes came after the last response."""
        self.lingering += nbytes
        if self.lingering > LINGER_BYTES:
            self.close_transport()

    def close_transport(self) -> None:
        """Close now, after what was handed over."""
        self.closing = True
        self.watch_writes()
        if not self.lost and not self.transport.is_closing():
            self.transport.close()

    def close(self) -> None:
        """Close once what was queued is sent."""
        self.end_by(self.close_transport)

    def end_by(self, end: Callable[[], None]) -> None:
        """Begin to close: call `end` once what was queued is handed over."""
        self.closing = True
        if self.outbox.size:
            self.outbox.on_empty = end
            self.watch_writes()
        else:
            end()

    def abort(self) -> None:
        """End the connection now; what was queued is dropped."""
        self.closing = True
        self.transport.abort()

    def reset(self) -> None:
        """As `abort`, with a TCP reset, so that the client cannot take it for an end."""
        sock = self.socket
        if sock is not None and isinstance(self.peer, tuple) and sock.fileno() >= 0:
            # linger on, 0 seconds: close(2) sends RST (socket(7))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.abort()
