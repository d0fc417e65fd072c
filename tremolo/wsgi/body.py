"""Bodies as PEP 3333 has them: `wsgi.input`, `wsgi.file_wrapper`, and what is kept for one."""

import asyncio
import errno
import os
import stat
import tempfile
from typing import IO, Any, Callable, Iterator, List, Optional, Tuple

from ..net.exchange import Exchange
from ..protocol.http1 import ProtocolError

BLOCK = 64 * 1024
#: bytes of a body of unknown length that are kept in memory; more go to a file
IN_MEMORY = 1024 * 1024
#: bytes of such a body where no limit was set
SPOOL_LIMIT = 1024 * 1024 * 1024
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Spool:
    """A body of unknown length, read before the application is called: most look at nothing but
    CONTENT_LENGTH, and take a body without for an empty one. It waits in memory, or in a file
    without a name. `size` is its length in bytes once `fill` is done."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._pieces: List[bytes] = []
        self._file: Optional[IO[bytes]] = None
        self._kept = 0
        self.size = 0

    async def fill(self) -> None:
        """Read all of the body. Raises ProtocolError when it is faulty, over the limit or there
        is no room for it, ClientDisconnected."""
        loop = asyncio.get_running_loop()
        while True:
            piece = await self._exchange.read()
            self.size += len(piece)
            if self.size > SPOOL_LIMIT:
                raise ProtocolError(413, "Payload Too Large")
            if piece:
                self._pieces.append(piece)
                self._kept += len(piece)
            if self._kept > IN_MEMORY or (not piece and self._file is not None):
                try:
                    await loop.run_in_executor(None, self._to_file, not piece)
                except OSError as exc:
                    if exc.errno not in _NO_SPACE:
                        raise
                    self._exchange.connection.server.logger.error(
                        "no room for the body of a request in %s: %s", tempfile.gettempdir(),
                        exc.strerror)
                    raise ProtocolError(507, "Insufficient Storage") from None
            if not piece:
                self._pieces.reverse()
                return

    def _to_file(self, last: bool) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
        for piece in self._pieces:
            view = memoryview(piece)
            while view:
                view = view[self._file.write(view):]
        self._pieces.clear()
        self._kept = 0
        if last:
            self._file.seek(0)

    def pull(self) -> bytes:
        """The next piece, b"" at the end. Blocks."""
        if self._file is not None:
            return self._file.read(BLOCK)
        return self._pieces.pop() if self._pieces else b""

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


class Input:
    """The request's body as a blocking file, read from the client only as it is asked for,
    unless it is `kept`.

    Used in a worker thread; each read waits for the event loop. Raises ClientDisconnected (an
    OSError) when the client left, ProtocolError for a body that breaks its framing or a limit:
    unless the application catches it, the client gets its status.
    """

    def __init__(self, exchange: Exchange, loop: asyncio.AbstractEventLoop,
                 kept: Optional[Spool] = None) -> None:
        def pull() -> bytes:
            return asyncio.run_coroutine_threadsafe(exchange.read(), loop).result()

        self._pull: Callable[[], bytes] = pull if kept is None else kept.pull
        # the piece last read, and how much of it was given out
        self._piece = b""
        self._position = 0
        self._ended = exchange.body_done if kept is None else not kept.size

    def _fill(self) -> bool:
        """Have something in `_piece`; False at the end."""
        if self._position < len(self._piece):
            return True
        if self._ended:
            return False
        self._position = 0
        self._piece = self._pull()
        self._ended = not self._piece
        return not self._ended

    def _take(self, end: int) -> bytes:
        """What is left of the piece, up to `end`."""
        begin, self._position = self._position, min(end, len(self._piece))
        if not begin and self._position == len(self._piece):
            return self._piece
        return self._piece[begin:self._position]

    def read(self, size: Optional[int] = -1) -> bytes:
        """`size` bytes, fewer only at the end; all that is left without `size`."""
        pieces: List[bytes] = []
        everything = size is None or size < 0
        left = 0 if size is None else size
        while (everything or left) and self._fill():
            piece = self._take(len(self._piece) if everything else self._position + left)
            left -= len(piece)
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def readline(self, size: Optional[int] = -1) -> bytes:
        """A line with its end, at most `size` bytes of it."""
        limited = size is not None and size >= 0
        left = size if size is not None and limited else 0
        pieces: List[bytes] = []
        while (left or not limited) and self._fill():
            end = self._piece.find(b"\n", self._position) + 1
            stop = end or len(self._piece)
            if limited:
                stop = min(stop, self._position + left)
            piece = self._take(stop)
            pieces.append(piece)
            left -= len(piece)
            if end and stop == end:
                break
        return b"".join(pieces)

    def readlines(self, hint: Optional[int] = -1) -> List[bytes]:
        """All lines, or as many as reach `hint` bytes."""
        lines: List[bytes] = []
        total = 0
        for line in self:
            lines.append(line)
            total += len(line)
            if hint is not None and 0 < hint <= total:
                break
        return lines

    def __iter__(self) -> Iterator[bytes]:
        while True:
            line = self.readline()
            if not line:
                return
            yield line


class FileWrapper:
    """`wsgi.file_wrapper`: a file in blocks. `close` closes the file."""

    def __init__(self, filelike: Any, block_size: int = BLOCK) -> None:
        self.filelike = filelike
        self.block_size = block_size

    def close(self) -> None:
        close = getattr(self.filelike, "close", None)
        if close is not None:
            close()

    def extent(self) -> Optional[Tuple[int, int]]:
        """Where a regular file stands and how many bytes are left; None for other objects."""
        try:
            descriptor = self.filelike.fileno()
            facts = os.fstat(descriptor)
            position = self.filelike.tell()
        except (AttributeError, OSError, TypeError, ValueError):
            return None
        if not stat.S_ISREG(facts.st_mode) or "b" not in getattr(self.filelike, "mode", "b"):
            return None
        return position, max(0, facts.st_size - position)

    def __iter__(self) -> Iterator[bytes]:
        while True:
            data = self.filelike.read(self.block_size)
            if not data:
                return
            yield data
