"""`server['lock']`: mutual exclusion between handlers, also of several worker processes.

Within a process tasks queue fairly; between processes the lock is a byte range of a file,
which the kernel lets go when a process dies. Knows files and the event loop.
"""

import asyncio
import fcntl
import os
import tempfile
from typing import Any, List, Optional

ENVIRONMENT = "TREMOLO_LOCK_FILE"
_DEFAULT_TIMEOUT = 30.0
#: seconds between two tries while another process holds the lock
_FIRST_WAIT, _LONGEST_WAIT = 0.001, 0.05


class LockFile:
    """The file whose byte ranges are the locks. Opened once for each process: the kernel drops
    all POSIX locks of a process when it closes any descriptor of the file."""

    def __init__(self, path: Optional[str] = None) -> None:
        self.path = path or os.environ.get(ENVIRONMENT)
        self._fd: Optional[int] = None

    def _descriptor(self) -> int:
        if self._fd is None:
            if self.path:
                flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)
                self._fd = os.open(self.path, flags, 0o600)
            else:
                self._fd, path = tempfile.mkstemp(prefix="tremolo-lock-")
                os.unlink(path)  # one process: nobody else needs its name
        return self._fd

    def try_lock(self, number: int) -> bool:
        """Take byte `number` if no other process has it."""
        try:
            fcntl.lockf(self._descriptor(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
        except (BlockingIOError, PermissionError):
            return False
        return True

    def unlock(self, number: int) -> None:
        if self._fd is not None:
            fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, number)

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


class Lock:
    """One lock of a family: `lock(n)` is another of them, `n` modulo their number.

    Use `async with lock:`, `async with lock(n):`, or `acquire` and `release`.
    """

    __slots__ = ("_family", "_file", "_held", "_inner", "number")

    def __init__(self, size: int = 5, file: Optional[LockFile] = None, *, number: int = 0,
                 family: "Optional[List[Lock]]" = None) -> None:
        self._file = file or LockFile()
        self.number = number
        self._held = False
        self._inner: Optional[asyncio.Lock] = None  # made on the loop that uses it
        if family is None:
            family = [self]
            family += [Lock(size, self._file, number=n, family=family)
                       for n in range(1, max(1, size))]
        self._family = family

    def __call__(self, number: int = 0) -> "Lock":
        return self._family[number % len(self._family)]

    def locked(self) -> bool:
        """Whether a task of this process holds it."""
        return self._held

    async def acquire(self, timeout: Optional[float] = None) -> bool:
        """Wait for the lock, `timeout` seconds at most (30 unless given). Raises
        TimeoutError."""
        limit = _DEFAULT_TIMEOUT if timeout is None else timeout
        try:
            await asyncio.wait_for(self._acquire(), limit)
        except asyncio.TimeoutError:
            raise TimeoutError(f"lock {self.number} was not free within {limit:g} s") from None
        return True

    async def _acquire(self) -> None:
        if self._inner is None:
            self._inner = asyncio.Lock()
        inner = self._inner
        await inner.acquire()
        wait = _FIRST_WAIT
        try:
            while not self._file.try_lock(self.number):
                await asyncio.sleep(wait)
                wait = min(wait * 2, _LONGEST_WAIT)
        except BaseException:
            inner.release()
            raise
        self._held = True

    def release(self) -> None:
        """Let go. Does nothing when this process does not hold the lock."""
        if self._held and self._inner is not None:
            self._held = False
            self._file.unlock(self.number)
            self._inner.release()

    async def __aenter__(self) -> "Lock":
        await self.acquire()
        return self

    async def __aexit__(self, *exc_info: Any) -> None:
        self.release()

    def __repr__(self) -> str:
        return f"<Lock {self.number} {'held' if self._held else 'free'}>"
