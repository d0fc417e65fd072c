"""A reliable duplex of messages over a stream socket, with file descriptors if need be.

JSON lines both ways, on Unix socketpairs and Unix sockets. Never blocks the loop: what the
peer does not take is kept, up to a limit, and beyond it the channel is closed (a bounded
memory is worth more than a peer that does not read). `send` may be called from any thread.
"""

import array
import os
import select
import socket
import threading
from collections import deque
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Deque,
    Dict,
    List,
    Mapping,
    Optional,
    Sequence,
    Tuple,
)

from .codec import CodecError, LineDecoder, encode_cut

if TYPE_CHECKING:
    import asyncio

READ_SIZE = 64 * 1024
MAX_PENDING = 8 * 1024 * 1024
MAX_FDS = 64

_ANCILLARY = socket.CMSG_SPACE(MAX_FDS * array.array("i").itemsize)
_CLOEXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)

OnMessage = Callable[[Dict[str, Any], List[int]], None]


def receive(sock: socket.socket) -> Tuple[bytes, List[int]]:
    """Read bytes and the descriptors that came with them, not inheritable.

    Raises BlockingIOError, OSError, and CodecError when descriptors were lost.
    """
    data, ancillary, flags, _ = sock.recvmsg(READ_SIZE, _ANCILLARY, _CLOEXEC)
    fds = array.array("i")
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(payload[:len(payload) - len(payload) % fds.itemsize])
    received = list(fds)
    if not _CLOEXEC:
        for fd in received:
            os.set_inheritable(fd, False)
    if flags & socket.MSG_CTRUNC:
        for fd in received:
            os.close(fd)
        raise CodecError("descriptors were lost on the way")
    return data, received


def transmit(sock: socket.socket, data: bytes, fds: Sequence[int] = ()) -> int:
    """Send bytes, the descriptors with the first of them; the number of bytes that went."""
    if not fds:
        return sock.send(data)
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
    return sock.sendmsg([data], rights)


class MessageReader:
    """Joins lines and descriptors: a message with `fds` n takes the next n that arrived."""

    def __init__(self) -> None:
        self._decoder = LineDecoder()
        self._fds: Deque[int] = deque()

    def feed(self, data: bytes, fds: Sequence[int]) -> List[Tuple[Dict[str, Any], List[int]]]:
        """Whole messages in what was read. Raises CodecError; call `close` then."""
        self._fds.extend(fds)
        found = []
        for _, message in self._decoder.feed(data):
            count = message.get("fds", 0)
            if not isinstance(count, int) or not 0 <= count <= len(self._fds):
                raise CodecError("descriptors are missing")
            found.append((message, [self._fds.popleft() for _ in range(count)]))
        return found

    @property
    def partial(self) -> int:
        """Bytes of a line whose end has not come."""
        return self._decoder.partial

    def close(self) -> None:
        """Close the descriptors that nobody took."""
        while self._fds:
            os.close(self._fds.popleft())


class Channel:
    """One end of a duplex, attached to a running event loop.

    `on_message(message, fds)` owns the descriptors it is given. `on_close(reason)` is called
    once: with "" for an end of file, else with what was wrong.
    """

    def __init__(self, sock: socket.socket, loop: "asyncio.AbstractEventLoop",
                 on_message: OnMessage, on_close: Callable[[str], None],
                 reader: Optional[MessageReader] = None) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._loop = loop
        self._thread = threading.get_ident()
        self._lock = threading.Lock()
        self._reader = reader or MessageReader()
        self._on_message = on_message
        self._on_close = on_close
        self._pending: Deque[Tuple[bytes, Tuple[int, ...]]] = deque()
        self._pending_bytes = 0
        self.closed = False
        loop.add_reader(sock.fileno(), self._readable)

    def send(self, message: Mapping[str, Any], fds: Sequence[int] = ()) -> bool:
        """Send a message, its texts cut to fit a line; False when the channel is closed.

        The descriptors stay the caller's: they are duplicated if they have to wait.
        """
        if fds:
            message = dict(message, fds=len(fds))
        return self.send_line(encode_cut(message), fds)

    def send_line(self, line: bytes, fds: Sequence[int] = ()) -> bool:
        """As `send`, with a line that is encoded already."""
        with self._lock:
            if self.closed:
                return False
            sent = 0
            if not self._pending:
                try:
                    sent = transmit(self._sock, line, fds)
                except (BlockingIOError, InterruptedError):
                    pass
                except OSError:
                    return False  # the reader sees the end as well, and notifies
                if sent == len(line):
                    return True
            held = () if sent else tuple(os.dup(fd) for fd in fds)
            self._pending.append((line[sent:], held))
            self._pending_bytes += len(line) - sent
            overfull = self._pending_bytes > MAX_PENDING
        if threading.get_ident() == self._thread:
            self._arm(overfull)
        else:
            self._loop.call_soon_threadsafe(self._arm, overfull)
        return not overfull

    @property
    def pending(self) -> int:
        """Bytes that the peer has not taken yet."""
        return self._pending_bytes

    def _arm(self, overfull: bool) -> None:
        if overfull:
            self._end("the peer does not read")
        elif not self.closed:
            self._loop.add_writer(self._sock.fileno(), self._writable)

    def _writable(self) -> None:
        with self._lock:
            while self._pending:
                line, fds = self._pending[0]
                try:
                    sent = transmit(self._sock, line, fds)
                except (BlockingIOError, InterruptedError):
                    return
                except OSError:
                    self._drop_pending()
                    break
                for fd in fds:
                    os.close(fd)
                self._pending_bytes -= sent
                if sent == len(line):
                    self._pending.popleft()
                else:
                    self._pending[0] = (line[sent:], ())
            self._loop.remove_writer(self._sock.fileno())

    def _readable(self) -> None:
        try:
            data, fds = receive(self._sock)
        except (BlockingIOError, InterruptedError):
            return
        except ConnectionError:
            self._end("")  # it ended without reading everything that we had sent
            return
        except (OSError, CodecError) as exc:
            self._end(str(exc))
            return
        if not data:
            self._end("")
            return
        try:
            messages = self._reader.feed(data, fds)
        except CodecError as exc:
            self._end(str(exc))
            return
        for message, owned in messages:
            if self.closed:
                for fd in owned:
                    os.close(fd)
            else:
                self._on_message(message, owned)

    def pause(self) -> None:
        """Read no more for now; what comes waits."""
        self._loop.remove_reader(self._sock.fileno())

    def resume(self) -> None:
        if not self.closed:
            self._loop.add_reader(self._sock.fileno(), self._readable)

    def read_rest(self) -> None:
        """Take what has arrived already, of a peer that is gone; `on_close` may be called."""
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        for _ in range(256):
            if self.closed or not poll.poll(0):
                return
            self._readable()

    def _end(self, reason: str) -> None:
        if not self.closed:
            self.close()
            self._on_close(reason)

    def _drop_pending(self) -> None:
        for _, fds in self._pending:
            for fd in fds:
                os.close(fd)
        self._pending.clear()
        self._pending_bytes = 0

    def flush(self, seconds: float) -> None:
        """Block until everything has been sent, at most `seconds`: before the process ends."""
        if self.closed or not self._pending:
            return
        self._loop.remove_writer(self._sock.fileno())
        self._sock.settimeout(seconds)
        try:
            with self._lock:
                while self._pending:
                    line, fds = self._pending.popleft()
                    while line:
                        line, fds = line[transmit(self._sock, line, fds):], ()
        except OSError:
            self.close()

    def close(self) -> None:
        """Close this end; `on_close` is not called."""
        if self.closed:
            return
        self.closed = True
        self._loop.remove_reader(self._sock.fileno())
        self._loop.remove_writer(self._sock.fileno())
        with self._lock:
            self._drop_pending()
        self._reader.close()
        self._sock.close()
