"""Reading a request's body: pieces, whole, by size, as a form, as uploaded files.

Knows the exchange that brings the pieces. Nothing is read ahead: what is not asked for waits
in the connection, which stops reading from the client.
"""

import asyncio
from typing import TYPE_CHECKING, AsyncIterator, Awaitable, Dict, List, Optional

from ..exceptions import BadRequest, PayloadTooLarge
from ..protocol.forms import TooManyFields, parse_query
from ..protocol.http1 import ProtocolError
from ..protocol.options import parse_options_header
from .errors import exception_for
from .uploads import FILE_SIZE, FILES, Part, Parts

if TYPE_CHECKING:
    from ..net.exchange import Exchange
    from ..protocol.http1 import RequestHead
    from .context import RequestContext

FORM_SIZE = 8 * 1024 * 1024


class RequestBody:
    """The body of a request; a base of `Request`."""

    __slots__ = ("_body", "_exchange", "_parts", "_rest")
    _exchange: "Exchange"
    _rest: bytes  # of the last piece, what `read(size)` left
    _body: Optional[bytearray]
    _parts: Optional[Parts]
    if TYPE_CHECKING:
        head: "RequestHead"
        @property
        def context(self) -> "RequestContext": ...

        @property
        def content_type(self) -> bytes: ...

    @property
    def body_size(self) -> int:
        """Bytes of the body that were read so far."""
        return self._exchange.bytes_in

    def eof(self) -> bool:
        """Whether the whole body was read."""
        return self._exchange.body_done and not self._rest

    async def _next(self, timeout: Optional[float]) -> bytes:
        """The next piece as it came; b"" at the end."""
        exchange = self._exchange
        try:
            piece = exchange.read_nowait()
            if piece is None:
                piece = await _within(exchange.read(), timeout)
        except ProtocolError as exc:
            raise exception_for(exc.status, exc.reason) from exc
        return piece

    async def stream(self, timeout: Optional[float] = None, raw: bool = False
                     ) -> AsyncIterator[bytes]:
        """The pieces of the body, sized to what came.

        `timeout` is the seconds that one piece may take; with `raw` a chunked body comes with
        its framing (the chunks are those that were read, not those that the client made).
        """
        if self._rest:
            rest, self._rest = self._rest, b""
            yield rest
        framed = raw and self.head.chunked
        while True:
            piece = await self._next(timeout)
            if not piece:
                if framed:
                    yield b"0\r\n\r\n"
                return
            yield b"%x\r\n%s\r\n" % (len(piece), piece) if framed else piece

    async def body(self, timeout: Optional[float] = None, raw: bool = False) -> bytearray:
        """The whole body. A second call gives the same, without reading again."""
        if self._body is None:
            whole = bytearray()
            async for piece in self.stream(timeout, raw):
                whole += piece
            self._body = whole
        return self._body

    async def read(self, size: int = -1, *, timeout: Optional[float] = None) -> bytes:
        """Exactly `size` bytes, or what is left of the body; -1: the next piece, whatever its
        size; b"" at the end. Raises TimeoutError after `timeout` seconds without data."""
        if size == 0:
            return b""
        piece, self._rest = self._rest, b""
        if not piece:
            piece = await self._next(timeout)
        if size < 0:
            return piece
        if len(piece) < size:
            pieces = [piece]
            length = len(piece)
            while length < size:
                piece = await self._next(timeout)
                if not piece:
                    break
                pieces.append(piece)
                length += len(piece)
            piece = b"".join(pieces)
        if len(piece) > size:
            self._rest = piece[size:]
            piece = piece[:size]
        return piece

    async def recv(self, size: int = -1, *, timeout: Optional[float] = None, raw: bool = True
                   ) -> bytes:
        """As `read`; with `raw` and `size` -1 a chunked body's pieces come with their
        framing."""
        if raw and size < 0 and self.head.chunked and not self.eof():
            piece = await self.read(timeout=timeout)
            return b"%x\r\n%s\r\n" % (len(piece), piece) if piece else b"0\r\n\r\n"
        return await self.read(size, timeout=timeout)

    # -- forms --------------------------------------------------------------------------------

    async def form(self, max_fields: int = 100, *, max_size: int = FORM_SIZE
                   ) -> Dict[str, List[str]]:
        """The fields of a form: application/x-www-form-urlencoded or multipart/form-data.

        Files of a multipart form are in `params.files`: name -> list of parts. Raises
        PayloadTooLarge for more than `max_size` bytes or `max_fields` fields, BadRequest for
        another Content-Type. Plain fields of a multipart form may have 256 KiB together, unless
        another `max_size` is given.
        """
        context = self.context
        if "post" in context:
            return context.post  # type: ignore[no-any-return]
        try:
            kind, _ = parse_options_header(self.content_type)
        except ValueError:
            kind = ""
        if kind == "application/x-www-form-urlencoded":
            fields = await self._urlencoded(max_fields, max_size)
        elif kind == "multipart/form-data":
            fields = await self._multipart(max_fields, max_size)
        else:
            raise BadRequest("invalid Content-Type")
        context.post = fields
        return fields

    async def _urlencoded(self, max_fields: int, max_size: int) -> Dict[str, List[str]]:
        if (self.head.content_length or 0) > max_size:
            raise PayloadTooLarge("form size limit reached")
        whole = self._body
        if whole is None:
            whole = bytearray()
            async for piece in self.stream():
                whole += piece
                if len(whole) > max_size:
                    raise PayloadTooLarge("form size limit reached")
            self._body = whole
        try:
            return parse_query(bytes(whole), max_fields)
        except TooManyFields as exc:
            raise PayloadTooLarge(f"the form has {exc}") from None

    async def _multipart(self, max_fields: int, max_size: int) -> Dict[str, List[str]]:
        fields: Dict[str, List[str]] = {}
        files: Dict[str, List[Part]] = {}
        # Without a limit of the handler's own, the usual one counts for what is no file.
        parts = self._open_parts(max_fields, max_size if max_size != FORM_SIZE else None)
        total = 0
        async for part in parts.iterate(max_size):
            total += part.size
            if total > max_size or not part["eof"]:
                raise PayloadTooLarge("form size limit reached")
            if part["filename"] is None:
                fields.setdefault(part["name"], []).append(
                    bytes(part["data"]).decode("utf-8", "replace"))
            else:
                files.setdefault(part["name"], []).append(part)
        self.context.files = files
        return fields

    async def files(self, max_files: int = FILES, *, max_file_size: int = FILE_SIZE
                    ) -> AsyncIterator[Part]:
        """The parts of a multipart body as they arrive.

        A part is a dict: `name`, `filename` (None for a plain field), `type`, `data`, `eof`. A
        part longer than `max_file_size` comes in several pieces, `eof` False but in the last.
        Use `async for data in part.stream()` to take its data piece by piece in place of
        `data`. A second call goes on where the first one stopped. Raises BadRequest for
        another or a broken body, PayloadTooLarge for more than `max_files` parts.
        """
        async for part in self._open_parts(max_files, None).iterate(max_file_size):
            yield part

    def _open_parts(self, max_parts: int, max_size: Optional[int]) -> Parts:
        parts = self._parts
        if parts is None:
            parts = self._parts = Parts(self, self.content_type, max_parts, max_size)
        return parts


async def _within(awaitable: Awaitable[bytes], timeout: Optional[float]) -> bytes:
    if timeout is None:
        return await awaitable
    try:
        return await asyncio.wait_for(awaitable, timeout)
    except asyncio.TimeoutError:
        raise TimeoutError(f"nothing of the body came within {timeout:g} s") from None


