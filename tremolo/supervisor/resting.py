"""What a quiet server is once it is at rest: next to nothing.

Most of what `quiet` holds was needed to begin, and memory that a process once had it keeps. So
it starts a bare interpreter in its own place (`exec`: the same process, child and descriptors),
which waits, and prints what the worker reports of requests. Whatever else happens is left as it
is for an ordinary interpreter in its place, which goes on as the Supervisor. Signals are blocked
while one takes the place of another, so that none is lost.

Imports as little as it can, typing not even for annotations.
"""

from __future__ import annotations

import os
import select
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Sequence

    from .plain import PlainConsumer

READ_SIZE = 256 * 1024
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU)
#: that are blocked while one interpreter takes the place of another
BLOCKED = (*SIGNALS, signal.SIGCHLD)


def main(kept: int, stats: int, others: Sequence[int], silence: float, pid: int,
         level: Optional[str], dropped: int) -> None:
    """Wait until there is something to do, then start what stands in `sys.argv`. Does not return.

    `kept` is the file of what it goes on with, at whose end is added what became known here;
    `stats` the pipe of the worker, at which something is to be read at least every `silence`
    seconds, and at the `others` nothing as long as all is quiet. For the rest see `Frames`.
    """
    sys.path.append(sys.path.pop(0))  # our own folder: it is there for this module alone
    signals: List[int] = []
    frames = Frames(pid, level, dropped)
    wake, woken = os.pipe()
    for end in (wake, woken):
        os.set_blocking(end, False)
    for number in SIGNALS:
        signal.signal(number, lambda number, frame: signals.append(number))
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, BLOCKED)
    poll = select.poll()
    for fd in (wake, stats, *others):
        poll.register(fd, select.POLLIN)
    try:
        while [fd for fd, _ in poll.poll(silence * 1000)] == [stats]:
            if not frames.take(os.read(stats, READ_SIZE)):
                break
    except OSError:
        pass  # whoever goes on meets it as well
    signal.pthread_sigmask(signal.SIG_BLOCK, BLOCKED)
    found = f"{' '.join(str(int(number)) for number in signals)}\n{frames.dropped}\n"
    os.write(kept, b"\n" + found.encode() + frames.rest)
    os.execv(sys.argv[1], sys.argv[1:])


class Frames:
    """The frames of the worker `pid`, printed from `level` on (None: not looked into); `dropped`
    requests were reported to be left out. `rest` is what has to be looked at by others."""

    def __init__(self, pid: int, level: Optional[str], dropped: int) -> None:
        self._pid = pid
        self._level = level
        self._dropped = {pid: dropped}
        self._consumer: Optional[PlainConsumer] = None
        self.rest = b""

    @property
    def dropped(self) -> int:
        return self._dropped[self._pid]

    def take(self, data: bytes) -> bool:
        """Look at what came; False when it is not for us."""
        whole, end, rest = (self.rest + data).rpartition(b"\n")
        if self._level is not None and end and not self._print(whole.split(b"\n")):
            self.rest += data
            return False
        self.rest = rest
        return bool(data)

    def _print(self, lines: List[bytes]) -> bool:
        from ..telemetry.codec import CodecError, decode
        from .plain import PlainConsumer

        try:
            frames = [decode(line) for line in lines]
        except CodecError:
            return False
        if any(frame["kind"] != "frame" or frame.get("pid") != self._pid for frame in frames):
            return False
        if self._consumer is None:
            self._consumer = PlainConsumer(level=self._level or "", dropped=self._dropped)
        for frame in frames:
            self._consumer.handle(frame)
        return True
