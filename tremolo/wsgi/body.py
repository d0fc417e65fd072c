"""The two file-like objects of PEP 3333: `wsgi.input` and `wsgi.file_wrapper`."""

import asyncio
from typing import Any, Iterator, List

from ..net.exchange import Exchange

BLOCK = 64 * 1024


class Input:
    """The request's body as a blocking file, read from the client only as it is asked for.

    Used in a worker thread; each read waits for the event loop.
    """

    def __init__(self, exchange: Exchange, loop: asyncio.AbstractEventLoop) -> None:
        self._exchange = exchange
        self._loop = loop
        self._rest = b""
        self._ended = exchange.body_done

    def _more(self) -> bytes:
        """The next piece; b"" at the end. Raises OSError when the client left."""
        if self._ended:
            return b""
        piece = asyncio.run_coroutine_threadsafe(self._exchange.read(), self._loop).result()
        if not piece:
            self._ended = True
        return piece

    def read(self, size: int = -1) -> bytes:
        """`size` bytes, fewer only at the end; all that is left without `size`."""
        if size is None or size < 0:
            pieces = [self._rest]
            while True:
                piece = self._more()
                if not piece:
                    self._rest = b""
                    return b"".join(pieces)
                pieces.append(piece)
        pieces = [self._rest]
        have = len(self._rest)
        while have < size:
            piece = self._more()
            if not piece:
                break
            pieces.append(piece)
            have += len(piece)
        data = b"".join(pieces)
        self._rest = data[size:]
        return data[:size]

    def readline(self, size: int = -1) -> bytes:
        """A line with its end, at most `size` bytes of it."""
        limit = size if size is not None and size >= 0 else None
        pieces: List[bytes] = []
        have = 0
        while True:
            if not self._rest:
                self._rest = self._more()
                if not self._rest:
                    return b"".join(pieces)
            end = self._rest.find(b"\n") + 1
            take = end or len(self._rest)
            if limit is not None:
                take = min(take, limit - have)
            pieces.append(self._rest[:take])
            self._rest = self._rest[take:]
            have += take
            if (end and take == end) or (limit is not None and have >= limit):
                return b"".join(pieces)

    def readlines(self, hint: int = -1) -> List[bytes]:
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
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self) -> Iterator[bytes]:
        while True:
            data = self.filelike.read(self.block_size)
            if not data:
                return
            yield data
