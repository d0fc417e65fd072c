"""The parts of a multipart body, one at a time, with bounded memory.

Knows the multipart engine and where pieces of the body come from. A large part waits in an
unnamed temporary file until its data is asked for, so that one that is only streamed never is
in memory as a whole; it is written off the event loop.
"""

import asyncio
import contextlib
import errno
import tempfile
from typing import IO, Any, AsyncIterator, Dict, Optional, Protocol

from ..exceptions import BadRequest, HTTPException, InsufficientStorage, PayloadTooLarge
from ..protocol.multipart import (
    END,
    NEED_DATA,
    PART_END,
    MultipartError,
    MultipartLimits,
    MultipartParser,
    PartBegin,
    parse_boundary,
)

FILES = 1024
FILE_SIZE = 100 * 1024 * 1024
IN_MEMORY = 1024 * 1024
_PIECE = 1024 * 1024


class Readable(Protocol):
    """A body that is read piece by piece; b"" is its end."""

    async def read(self) -> bytes: ...
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Part(Dict[str, Any]):
    """One part: `name`, `filename` (None for a plain field), `type`, `data`, `eof`.

    `data` is a bytearray; it is brought into memory when it is first asked for. `headers` are
    the part's own fields, (name, value) in wire order.
    """

    def __init__(self, source: "Parts", begin: PartBegin) -> None:
        super().__init__(name=begin.name, filename=begin.filename,
                         type=begin.content_type or "", data=bytearray(), eof=False)
        self.headers = begin.headers
        self.streamed = False
        self._source = source
        self._spool: Optional[IO[bytes]] = None
        self.size = 0

    async def hold(self, data: bytes) -> None:
        """Keep a piece until it is asked for."""
        self.size += len(data)
        memory: bytearray = super().__getitem__("data")
        memory += data
        if len(memory) >= IN_MEMORY:
            dict.__setitem__(self, "data", bytearray())
            await asyncio.get_running_loop().run_in_executor(None, self._to_spool, memory)

    def _to_spool(self, memory: bytearray) -> None:
        try:
            if self._spool is None:
                self._spool = tempfile.TemporaryFile(prefix="tremolo-")  # noqa: SIM115
            self._spool.write(memory)
        except OSError as exc:
            if self._spool is not None:
                with contextlib.suppress(OSError):  # of what it still wanted to write
                    self._spool.close()  # now, for others need the room
            if exc.errno in _NO_SPACE:
                raise InsufficientStorage(cause=exc) from exc
            raise

    def _whole(self) -> bytearray:
        """All data that is held, in memory."""
        memory: bytearray = super().__getitem__("data")
        spool = self._spool
        if spool is not None:
            self._spool = None
            with spool:
                spool.seek(0)
                memory = bytearray(spool.read()) + memory
            dict.__setitem__(self, "data", memory)
        return memory

    def __getitem__(self, key: str) -> Any:
        return self._whole() if key == "data" else super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        return self._whole() if key == "data" else super().get(key, default)

    def items(self) -> Any:
        self._whole()
        return super().items()

    def values(self) -> Any:
        self._whole()
        return super().values()

    async def stream(self) -> AsyncIterator[bytes]:
        """The part's data piece by piece: first what is held, then what arrives."""
        self.streamed = True
        spool, self._spool = self._spool, None
        memory: bytearray = super().__getitem__("data")
        dict.__setitem__(self, "data", bytearray())
        if spool is not None:
            with spool:
                spool.seek(0)
                run = asyncio.get_running_loop().run_in_executor
                piece = await run(None, spool.read, _PIECE)
                while piece:
                    yield piece
                    piece = await run(None, spool.read, _PIECE)
        if memory:
            yield bytes(memory)
        while not super().__getitem__("eof"):
            data = await self._source.next_data()
            if data is None:
                dict.__setitem__(self, "eof", True)
            else:
                yield data

    def __repr__(self) -> str:
        shown = {key: value for key, value in super().items() if key != "data"}
        return f"<Part {shown} {self.size} bytes>"


class Parts:
    """The multipart body of one request; it is parsed once, however often it is asked for.

    Raises BadRequest when `content_type` is not multipart with a boundary.
    """

    def __init__(self, body: Readable, content_type: bytes, max_parts: int,
                 max_field_bytes: Optional[int]) -> None:
        self._body = body
        self._held: Optional[bytes] = None
        self._current: Optional[Part] = None
        self._begin: Optional[PartBegin] = None
        limits = MultipartLimits(parts=max_parts)
        if max_field_bytes is not None:
            limits.field_bytes = max_field_bytes
        try:
            self._parser = MultipartParser(parse_boundary(content_type), limits)
        except MultipartError as exc:
            raise _as_http(exc) from None

    async def iterate(self, max_file_size: int) -> AsyncIterator[Part]:
        """The parts, or pieces of those longer than `max_file_size` bytes; goes on where an
        earlier call stopped. With 0 parts come at once, for their `stream()`."""
        while True:
            begin = await self._next_begin()
            if begin is None:
                return
            part = self._current = Part(self, begin)
            if max_file_size > 0:
                await self._fill(part, max_file_size)
            yield part

    async def _next_begin(self) -> Optional[PartBegin]:
        """The head of the part that the next piece belongs to; None at the end."""
        part = self._current
        if part is not None and not part["eof"]:
            if not part.streamed and part.size:
                return self._begin
            while await self.next_data() is not None:
                pass  # who began to stream a part, or took none of it, does not want the rest
        event = await self._event()
        if event is END:
            self._current = None
            return None
        self._begin = event
        return self._begin

    async def _fill(self, part: Part, limit: int) -> None:
        while True:
            data = await self.next_data()
            if data is None:
                dict.__setitem__(part, "eof", True)
                return
            room = limit - part.size
            if len(data) > room:
                self._held = data[room:]
                data = data[:room]
            if data:
                await part.hold(data)
            if self._held is not None:
                return

    async def next_data(self) -> Optional[bytes]:
        """The next piece of the part in progress; None at its end."""
        if self._held is not None:
            data, self._held = self._held, None
            return data
        event = await self._event()
        return None if event is PART_END else event

    async def _event(self) -> Any:
        parser = self._parser
        while True:
            try:
                event = parser.next_event()
            except MultipartError as exc:
                raise _as_http(exc) from None
            if event is not NEED_DATA:
                return event
            piece = await self._body.read()
            if piece:
                parser.receive_data(piece)
            else:
                parser.receive_eof()


def _as_http(exc: MultipartError) -> HTTPException:
    return PayloadTooLarge(exc.reason) if exc.status == 413 else BadRequest(exc.reason)

