"""What is on its way to the client: coalescing, back-pressure and pacing in one place.

`push(chunk)` returns None ("go on") or an awaitable ("wait"). What is pushed within one turn
of the loop goes out in one write, up to `WRITE_SIZE`; to a socket that takes all of it, up to
`LARGEST_WRITE`. While the transport is full, or the throttle allows nothing, the bytes wait here,
bounded by that plus one chunk.

Large pieces that were gathered go to the socket directly and uncopied, by one `writev(2)`; that
is sound while the transport has nothing to write itself, which gets what the socket refused. Four
pieces of 64 KiB in one call cost the system 60 % of what they cost one by one. Of a long piece
the transport gets a share to wait with: a large one if it does not copy it and the client is
fast, so that a throttle that is set meanwhile holds the rest some milliseconds later.

Knows transports and paces, not HTTP.
"""

import asyncio
import os
from typing import Any, Callable, List, Optional, Protocol, Union

from .counters import Counters

HIGH_WATER = 64 * 1024
LOW_WATER = 16 * 1024
#: bytes that are gathered within one turn, and handed to the transport at once; each time that
#: a socket takes that many, twice as many the next time, at most the larger
WRITE_SIZE = 256 * 1024
LARGEST_WRITE = 1024 * 1024
#: bytes of a piece that is worth a place of its own in a vector; smaller ones are joined
VECTOR_PIECE = 4 * 1024
#: a vector's places: what any system takes (IOV_MAX)
VECTOR_LENGTH = 64
#: bytes after which a writer has to let the loop have its turn, though there is room: others
#: want to be served too, and a broken connection takes everything until the loop notices
UNBROKEN = 8 * 1024 * 1024
#: bytes of a long piece that the transport gets at least and at most, and the seconds in which a
#: client should take its share, by how quickly it took the last: each time that we are called in
#: between, everything that we need has left the processor's cache
SHARE = HIGH_WATER + LOW_WATER
LARGEST_SHARE = 16 * 1024 * 1024
SHARE_SECONDS = 0.02
#: seconds by which a timer may fire early: uvloop counts milliseconds
CLOCK_STEP = 0.0005

Bytes = Union[bytes, memoryview]


class WritePace(Protocol):
    """How many bytes may be written now; see `tremolo.net.throttling`."""

    def grant(self, now: float, wanted: int) -> int: ...

    def ready_at(self, now: float, wanted: int) -> float: ...


class Outbox:
    """The bytes of one connection between its exchanges and its transport."""

    __slots__ = ("_copies", "_counters", "_descriptor", "_gather", "_hold_timer", "_loop",
                 "_on_pace", "_paced", "_pending", "_scheduled", "_share", "_shared",
                 "_transport", "_unbroken", "_waiters", "blocked_since", "bytes_out", "full",
                 "hold_until", "on_empty", "pace", "size", "throttle_seconds")

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: Any, counters: Counters,
                 on_pace: Callable[[bool], None], descriptor: Optional[int],
                 copies: bool = True) -> None:
        """`descriptor` is the socket's, None if only the transport may write to it. That one
        `copies` what the socket does not take at once, or keeps it as it is."""
        self._loop = loop
        self._transport = transport
        self._descriptor = descriptor
        self._copies = copies
        #: bytes to gather before they are written
        self._gather = WRITE_SIZE
        #: bytes of a long piece that the transport gets next, and when it got some last
        self._share = SHARE
        self._shared = 0.0
        self._counters = counters
        self._pending: List[Bytes] = []
        self._scheduled = False
        self._waiters: List[asyncio.Future[None]] = []
        self._on_pace = on_pace
        self._paced = False
        self._hold_timer: Optional[asyncio.TimerHandle] = None
        #: bytes written since somebody last had to wait
        self._unbroken = 0
        #: bytes waiting here
        self.size = 0
        #: the transport asked to pause
        self.full = False
        self.bytes_out = 0
        #: None while nothing throttles this connection
        self.pace: Optional[WritePace] = None
        #: nothing is written before this instant (latency)
        self.hold_until = 0.0
        #: called once when everything was handed to the transport
        self.on_empty: Optional[Callable[[], None]] = None
        self.blocked_since = 0.0
        #: seconds during which the throttle held something back
        self.throttle_seconds = 0.0

    def push(self, data: bytes) -> "Optional[asyncio.Future[None]]":
        """Queue `data`; None means go on, else await the result before the next push."""
        self._pending.append(data)
        size = self.size = self.size + len(data)
        if size >= self._gather or (size >= HIGH_WATER and (
                self.full or self.pace is not None or self.hold_until)):
            self.flush()
            return self.room()
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush_scheduled)
        return self.wait() if self.full else None

    def room(self) -> "Optional[asyncio.Future[None]]":
        """None while there is room for more, else what to await before the next push."""
        if self.full or self.size >= HIGH_WATER:
            return self.wait()
        if self._unbroken >= UNBROKEN:
            self._unbroken = 0
            waiter = self.wait()
            self._loop.call_soon(self._relieve)
            return waiter
        return None

    def push_now(self, data: bytes) -> None:
        """Queue `data` and write everything at once: for the end of a response."""
        n = len(data)
        if self._pending or self.full or self.pace is not None or self.hold_until \
                or n > WRITE_SIZE:
            self._pending.append(data)
            self.size += n
            self.flush()
            return
        self.bytes_out += n
        counters = self._counters
        counters.bytes_out += n
        counters.writes += 1
        self._transport.write(data)

    def wait(self) -> "asyncio.Future[None]":
        """Done when pushing makes sense again, or the connection is lost."""
        waiter = self._loop.create_future()
        self._waiters.append(waiter)
        return waiter

    def forget(self, waiter: "asyncio.Future[None]") -> None:
        """Whoever asked to wait no longer does."""
        if waiter in self._waiters:
            self._waiters.remove(waiter)

    @property
    def congested(self) -> bool:
        return self.full or self.size >= HIGH_WATER

    def _flush_scheduled(self) -> None:
        self._scheduled = False
        self.flush()

    def flush(self) -> None:
        """Hand over what the transport and the throttle allow."""
        if not self._pending:
            self._relieve()
            return
        if self.full:
            if self.blocked_since:
                self._unblock(self._loop.time())  # it is the client now who holds it back
            return
        if self._transport.is_closing():
            # A write failed: the connection's end is on its way. Who pushes on has to wait for
            # it, or would keep the loop from ever noticing.
            self.lost()
            self.full = True
            return
        if self.pace is not None or self.hold_until:
            self._flush_paced()
            return
        if self.size > HIGH_WATER:
            self._flush_much()
            return
        pending = self._pending
        data = pending[0] if len(pending) == 1 else b"".join(pending)
        pending.clear()
        self.size = 0
        self._write(data)
        self._relieve()

    def _flush_much(self) -> None:
        """Hand over more than the transport would take without a pause: in pieces, so that a
        throttle that is set meanwhile finds something to hold."""
        pending = self._pending
        transport = self._transport
        while pending and not self.full and not transport.is_closing():
            if len(pending) * VECTOR_PIECE > self.size:
                self._write(self._take(min(self.size, WRITE_SIZE)))
            elif self._descriptor is None or transport.get_write_buffer_size() \
                    or not self._write_vector(self._descriptor):
                self._hand_over()
            if self._unbroken >= UNBROKEN and pending and not self.full:
                # As `room` has it; but here nobody comes to be asked to wait.
                self._unbroken = 0
                self._loop.call_soon(self.flush)
                break
        if self.size < LOW_WATER:
            self._relieve()

    def _hand_over(self) -> None:
        """Have the transport wait with some of it until the socket takes more."""
        first = len(self._pending[0])
        if first > WRITE_SIZE and self._descriptor is not None:
            if not self._copies:
                self._shared = self._loop.time()
            self._write(self._take(min(first, self._share)))
        else:
            self._write(self._take(min(max(first, LOW_WATER), self.size, WRITE_SIZE)))

    def _write_vector(self, descriptor: int) -> bool:
        """Have the socket take what it takes of what waits. False: it would take no more now."""
        pending = self._pending
        vector = pending[:VECTOR_LENGTH]
        if self.size > UNBROKEN:  # a fast client would have it all taken in one long call
            vector = [memoryview(pending[0])[:UNBROKEN]]
        try:
            n = os.writev(descriptor, vector)
        except OSError:
            return False  # the transport meets it too, and knows what follows
        self._wrote(n)
        if n == self.size:
            pending.clear()
            self.size = 0
        else:
            self._drop(n)
        if n < sum(map(len, vector)):
            self._gather = WRITE_SIZE
            return False
        if n >= self._gather < LARGEST_WRITE:
            self._gather *= 2
        return True

    def _write(self, data: Bytes) -> None:
        self._wrote(len(data))
        self._transport.write(data)

    def _wrote(self, n: int) -> None:
        self.bytes_out += n
        self._unbroken += n
        self._counters.bytes_out += n
        self._counters.writes += 1

    def _flush_paced(self) -> None:
        now = self._loop.time()
        granted = 0
        if now < self.hold_until - CLOCK_STEP:
            if self._hold_timer is None:
                self._hold_timer = self._loop.call_at(self.hold_until, self._hold_is_over)
        else:
            self.hold_until = 0.0
            granted = self.size if self.pace is None else self.pace.grant(now, self.size)
            if granted > 0:
                self._write(self._take(granted))
        if self._pending:
            if not self.blocked_since:
                self.blocked_since = now
            if not self._paced and not self.hold_until:
                self._paced = True
                self._on_pace(True)
        else:
            self._unblock(now)
        if self.size < LOW_WATER:
            self._relieve()

    def _hold_is_over(self) -> None:
        self._hold_timer = None
        self.flush()

    def _unblock(self, now: float) -> None:
        if self.blocked_since:
            self.throttle_seconds += now - self.blocked_since
            self.blocked_since = 0.0
        if self._paced:
            self._paced = False
            self._on_pace(False)

    def _take(self, n: int) -> Bytes:
        """The first `n` bytes, as one piece."""
        taken = self._drop(n)
        return taken[0] if len(taken) == 1 else b"".join(taken)

    def _drop(self, n: int) -> List[Bytes]:
        """Remove the first `n` bytes; the pieces that they were."""
        taken: List[Bytes] = []
        pending = self._pending
        self.size -= n
        used = 0
        for chunk in pending:
            if len(chunk) > n:
                view = memoryview(chunk)
                if n:
                    taken.append(view[:n])
                pending[used] = view[n:]
                break
            taken.append(chunk)
            n -= len(chunk)
            used += 1
        del pending[:used]
        return taken

    def repace(self) -> None:
        """The throttle changed: let what waits go on under the new one."""
        if self.pace is None and self.blocked_since and not self.hold_until:
            self._unblock(self._loop.time())
        self.flush()

    def _relieve(self) -> None:
        if self._waiters and not self.full:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)
        if self.on_empty is not None and not self._pending and not self.full:
            on_empty, self.on_empty = self.on_empty, None
            on_empty()

    def pause_writing(self) -> None:
        self.full = True

    def resume_writing(self) -> None:
        self.full = False
        self._unbroken = 0
        if self._shared:
            took = max(self._loop.time() - self._shared, SHARE_SECONDS / 4)
            self._share = max(SHARE, min(LARGEST_SHARE, int(self._share * SHARE_SECONDS / took)))
            self._shared = 0.0
        if self.on_empty is None and self._descriptor is not None:
            self.flush()
        else:
            # In a turn of its own: this is called from the middle of the transport's own work,
            # where closing it would end it twice, and where TLS takes no more.
            self._loop.call_soon(self.flush)

    def lost(self) -> None:
        """The connection is gone: forget what waits, wake everybody."""
        if self.blocked_since:
            self._unblock(self._loop.time())
        if self._hold_timer is not None:
            self._hold_timer.cancel()
            self._hold_timer = None
        self._pending.clear()
        self.size = 0
        self.full = False
        self.on_empty = None
        self._relieve()
