"""The transport of one connection: when it reads, whether its writes get on, how it is ended.

Knows sockets and time, nothing of HTTP and nothing of states: each connection has one, and
decides. While nothing is read from transports their peers' leaving is looked for here, as asyncio
does not.
"""

import os
import select
import socket
import struct
import sys
from typing import Any, Iterable, Protocol

from .outbox import HIGH_WATER, LOW_WATER, Outbox
from .ticker import NEVER

#: before Python 3.11 asyncio begins to read after `connection_made`, even from a transport that
#: was paused there
READS_THOUGH_PAUSED = sys.version_info < (3, 11)
#: the peer closed its side (Linux only; elsewhere only resets are seen)
HALF_CLOSED = getattr(select, "POLLRDHUP", 0x2000 if sys.platform == "linux" else 0)


def peer_text(peer: Any) -> str:
    """An address as users write it: 127.0.0.1:51234, [::1]:51234; "unix" for a Unix socket."""
    if isinstance(peer, tuple) and len(peer) >= 2:
        host = str(peer[0])
        return f"[{host}]:{peer[1]}" if ":" in host else f"{host}:{peer[1]}"
    return "unix"


class Carried(Protocol):
    """The connection that a stream carries."""

    id: int
    server: Any
    bytes_in: int

    def on_write_pace(self, blocked: bool) -> None: ...
    def wants_more(self) -> bool: ...
    def excuse(self, held: float, now: float) -> None: ...
    def buffer_updated(self, nbytes: int) -> None: ...


class Stream:
    """One transport, with the outbox before it.

    `paused`: it does not read at present. `reads_blocked`: because the throttle allows no more;
    `held_since` is the instant since which that has not been taken into account. `over`: nothing
    more can be read.
    """

    __slots__ = ("_connection", "_server", "_stall_mark", "held_since", "is_tls", "outbox",
                 "over", "paused", "reads_blocked", "socket", "stall_deadline", "transport")

    def __init__(self, connection: Carried, transport: Any) -> None:
        server = connection.server
        self._connection = connection
        self._server = server
        self.transport = transport
        self.socket: Any = transport.get_extra_info("socket")
        self.is_tls = transport.get_extra_info("sslcontext") is not None
        self.outbox = Outbox(
            server.loop, transport, server.counters, connection.on_write_pace,
            None if self.is_tls or self.socket is None or not hasattr(os, "writev")
            else self.socket.fileno(), server.copies_writes)
        transport.set_write_buffer_limits(high=HIGH_WATER, low=LOW_WATER)
        self.over = False
        self.paused = False
        self.reads_blocked = False
        self.held_since = 0.0
        self._stall_mark = -1
        #: when writes that make no progress are given up
        self.stall_deadline = NEVER

    # -- reading -------------------------------------------------------------------------------

    def pause_reading(self) -> None:
        if not self.paused and not self.over:
            self.paused = True
            self._server.paused[self._connection.id] = self._connection
            self.transport.pause_reading()
            if READS_THOUGH_PAUSED and not self._connection.bytes_in:
                self._server.call_soon(self._pause_again)

    def _pause_again(self) -> None:
        if self.paused and not self.over and not self.transport.is_closing():
            self.transport.resume_reading()
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if self.paused and not self.over and not self.reads_blocked:
            self.paused = False
            self._server.paused.pop(self._connection.id, None)
            # asyncio would call us in the context of whoever resumes, perhaps a handler.
            self._server.outside(self.transport.resume_reading)

    def block_reads(self) -> None:
        """The throttle allows no more for now."""
        if self.reads_blocked:
            if not self.over:
                # uvloop begins to read after connection_made(), paused or not.
                self.transport.pause_reading()
            return
        self.reads_blocked = True
        self.held_since = self._server.loop.time()
        self.pause_reading()

    def unblock_reads(self) -> None:
        """The throttle holds reading back no longer; something else still may."""
        self.excuse(self._server.loop.time())
        self.reads_blocked = False
        if self._connection.wants_more():
            self.resume_reading()

    def read_held(self, size: int) -> bool:
        """Read at most `size` bytes although the transport is paused, and let it be so. False:
        that is not possible, and it has to see for itself whether there is nothing, the end or
        an error. For slow rates that costs a fifth of waking and pausing it each time."""
        if self.is_tls or self.socket is None or self.over \
                or not hasattr(os, "readv") or not self._connection.wants_more():
            return False
        try:
            nbytes = os.readv(self.socket.fileno(), (self._server.read_view[:size],))
        except OSError:
            return False
        if nbytes:
            self.excuse(self._server.loop.time())
            self._connection.buffer_updated(nbytes)
        return nbytes > 0

    def excuse(self, now: float) -> None:
        """What was not read because the throttle held it back is not the client's delay."""
        held = now - self.held_since
        self.held_since = now
        self._connection.excuse(held, now)

    # -- writing -------------------------------------------------------------------------------

    def watch_writes(self) -> float:
        """Somebody waits for the client to read: it must make progress from now on. The instant
        of the next look."""
        self._stall_mark = self._handed_over()
        self.stall_deadline = self._server.loop.time() + self._server.write_timeout
        return self.stall_deadline

    def _handed_over(self) -> int:
        return self.outbox.bytes_out - int(self.transport.get_write_buffer_size())

    def write_stalled(self) -> bool:
        """Whether the client has read nothing since the last look, though there was something."""
        transport = self.transport
        if not (self.outbox.full or transport.is_closing() or transport.get_write_buffer_size()):
            return False
        if self.outbox.blocked_since and not self.outbox.full:
            return False  # we hold it back ourselves
        mark, self._stall_mark = self._stall_mark, self._handed_over()
        return mark == self._stall_mark

    # -- the end -------------------------------------------------------------------------------

    def close(self) -> None:
        """Close after what was handed over."""
        if not self.transport.is_closing():
            self.transport.close()

    def shut_down(self) -> bool:
        """Send our FIN, and go on reading. False: that is not possible."""
        if not self.transport.can_write_eof():
            return False
        try:
            self.transport.write_eof()
        except (OSError, RuntimeError, NotImplementedError):
            return False
        return True

    def prepare_reset(self) -> None:
        """Have the end be a TCP reset, so that the client cannot take it for an orderly one."""
        sock = self.socket
        if sock is not None and sock.fileno() >= 0 and sock.family in (
                socket.AF_INET, socket.AF_INET6):
            # linger on, 0 seconds: close(2) sends RST (socket(7))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Watched(Protocol):
    """A connection whose `socket` nothing is read from; None for one in memory."""

    socket: Any

    def hung_up(self, gone: bool) -> None: ...


def look_for_hangups(connections: Iterable[Watched]) -> None:
    """Ask the system about all of them at once, and notify those whose peer has left."""
    poll = select.poll()
    by_descriptor = {}
    for connection in connections:
        sock = connection.socket
        descriptor = sock.fileno() if sock is not None else -1  # in memory: none
        if descriptor >= 0:
            by_descriptor[descriptor] = connection
            poll.register(descriptor, HALF_CLOSED)
    for descriptor, events in poll.poll(0):
        by_descriptor[descriptor].hung_up(bool(events & (select.POLLHUP | select.POLLERR)))
