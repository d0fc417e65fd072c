"""A worker's end of the socket to the supervisor: its first message, and reports.

Works before there is a loop, and sends from any thread. Log lines wait while the supervisor does
not read, the newest of them; everything else is sent at once. Knows nothing of what is reported.
"""

import asyncio
import os
import socket
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Deque, Dict, List, Mapping, Optional, Sequence, Tuple

from ..telemetry import builders
from ..telemetry.backlog import Backlog
from ..telemetry.channel import Channel, MessageReader, OnMessage, receive
from ..telemetry.codec import encode_cut

if TYPE_CHECKING:
    from typing import Callable

    from typing_extensions import Unpack

    from ..telemetry.facts import LifeFacts

MAX_PENDING = 1 << 20  # bytes that the supervisor has not taken, above which log lines wait


class SupervisorLink:
    """The link over `sock`. `gen` is the worker's generation, once it is known."""

    def __init__(self, sock: socket.socket) -> None:
        self.gen = 0
        self._sock = sock
        self._pid = os.getpid()
        self._reader = MessageReader()
        self._waiting: Deque[Tuple[Dict[str, Any], List[int]]] = deque()
        self._channel: Optional[Channel] = None
        self._backlog: Backlog[Mapping[str, Any]] = Backlog()
        self._sending = threading.RLock()

    def fileno(self) -> int:
        return self._sock.fileno()

    @property
    def attached(self) -> bool:
        """Whether a loop reads from it."""
        return self._channel is not None

    @property
    def congested(self) -> bool:
        """Whether the supervisor does not keep up."""
        return self._channel is not None and self._channel.pending > MAX_PENDING

    @property
    def inherited(self) -> bool:
        """Whether this is a child that the application forked, which must not report here."""
        return os.getpid() != self._pid

    def receive(self) -> Tuple[Dict[str, Any], List[int]]:
        """Wait for the next message, before `attach`. Raises EOFError when the supervisor is
        gone, OSError or ValueError for what is none."""
        self._sock.setblocking(True)
        while not self._waiting:
            data, fds = receive(self._sock)
            if not data:
                raise EOFError
            self._waiting.extend(self._reader.feed(data, fds))
        return self._waiting.popleft()

    def attach(self, loop: asyncio.AbstractEventLoop, on_message: OnMessage,
               on_close: "Callable[[str], None]") -> None:
        """Have `loop` read from now on; see Channel for what is called. Messages that have
        arrived already come at once."""
        with self._sending:
            self._channel = Channel(self._sock, loop, on_message, on_close, self._reader)
        while self._waiting:
            on_message(*self._waiting.popleft())

    def send(self, message: Mapping[str, Any], fds: Sequence[int] = ()) -> None:
        """Send a message. One that is sent before `attach` has no descriptors."""
        with self._sending:
            if self._channel is None:
                try:
                    self._sock.sendall(encode_cut(message))
                except OSError:
                    return  # the supervisor is gone; the loop will see it
                return
        self._channel.send(message, fds)

    def notify(self, event: Mapping[str, Any]) -> None:
        """Send an event for viewers, as this worker's."""
        self.send({**event, "pid": os.getpid(), "gen": self.gen})

    def life(self, state: str, **facts: "Unpack[LifeFacts]") -> None:
        """Report a state of the worker, or what has become known of it."""
        self.send(builders.life(state, **facts))

    def log(self, level: str, text: str, name: str = "tremolo") -> None:
        self.send_log(builders.log_event(text, level, name, pid=os.getpid(), gen=self.gen))

    def send_log(self, message: Mapping[str, Any]) -> None:
        """Send a LogEvent now, or once the supervisor reads again."""
        if self._backlog or self.congested:
            self._backlog.add(message)
        else:
            self.send(message)

    def send_backlog(self) -> None:
        """Once the supervisor reads again: the newest lines, after the number of the others."""
        if not self._backlog or self._channel is None or self._channel.pending:
            return
        left_out, messages = self._backlog.take()
        if left_out:
            self.send(builders.left_out_event(left_out, os.getpid(), self.gen))
        for message in messages:
            self.send(message)

    def flush(self, seconds: float = 1.0) -> None:
        """Block until all is sent, at most so long: the process is about to end."""
        if self._channel is not None:
            self._channel.flush(seconds)
