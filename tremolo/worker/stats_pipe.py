"""The pipe that frames go up: lossy, so that nothing ever waits for its reader."""

import errno
import os
from typing import Any, Mapping

from ..telemetry.codec import encode

PIPE_SIZE = 1 << 20


class StatsPipe:
    """The lossy way up: lines go into a pipe whole or not at all, and nothing waits.

    A line that the pipe took in part is completed before anything else is written.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._rest = b""
        self.broken = False
        os.set_blocking(fd, False)
        try:
            import fcntl

            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
        except (ImportError, AttributeError, OSError):
            return  # the default size only drops more rows

    def send(self, message: Mapping[str, Any]) -> bool:
        """Write a message; False when there is no room for it. Raises CodecError."""
        line = encode(message)
        if self.broken or not self._complete():
            return False
        written = self._write(line)
        if written and written < len(line):
            self._rest = line[written:]
        return written > 0

    def _complete(self) -> bool:
        if self._rest:
            self._rest = self._rest[self._write(self._rest):]
        return not self._rest

    def _write(self, data: bytes) -> int:
        try:
            return os.write(self._fd, data)
        except BlockingIOError:
            return 0
        except OSError as exc:
            self.broken = exc.errno != errno.EINTR
            return 0

    def close(self) -> None:
        self.broken = True
        os.close(self._fd)
