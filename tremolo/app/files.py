"""Sending files: conditional requests, ranges, folders of static files.

Knows the file system and one response; files are opened and read off the event loop. RFC 9110
sections 13 and 14 are decided in `protocol`, here they meet a file.
"""

import asyncio
import errno
import mimetypes
import os
import re
import secrets
import stat
import time
from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Optional, Protocol, Tuple

from ..exceptions import (
    Forbidden,
    HTTPRedirect,
    MethodNotAllowed,
    NotFound,
    PreconditionFailed,
    RangeNotSatisfiable,
)
from ..net.files import send_file as send_from_file
from ..protocol.conditional import evaluate
from ..protocol.dates import format_http_date
from ..protocol.paths import (
    UnsafePath,
    is_within,
    join_parts,
    local_location,
    split_static_path,
)
from ..protocol.ranges import MultipartByteranges, select, unsatisfied_range
from .handlers import DEFAULT_TYPE

if TYPE_CHECKING:
    from ..net.exchange import Exchange

OCTETS = b"application/octet-stream"
_MISSING = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EISDIR,
            errno.ENXIO, errno.ENODEV)
_FORBIDDEN = (errno.EACCES, errno.EPERM)


class Sending(Protocol):
    """The response that a file becomes."""

    request: Any
    _exchange: "Exchange"

    @property
    def content_type(self) -> bytes: ...
    @property
    def headers(self) -> Dict[bytes, List[bytes]]: ...
    def get_status(self) -> Tuple[int, bytes]: ...
    def set_status(self, status: int) -> None: ...
    def set_header(self, name: bytes, value: bytes) -> None: ...
    async def start(self, *, length: Optional[int]) -> bool: ...
    async def end(self) -> None: ...


class Routed(Protocol):
    """An application that routes are added to."""

    def add_route(self, handler: Any, pattern: bytes) -> Any: ...


class OpenFile(NamedTuple):
    """A regular file, open for reading; `modified` is a Unix time."""

    fd: int
    size: int
    modified: float
    etag: bytes


def open_file(path: Any, *, follow: bool = True) -> OpenFile:
    """Open a regular file. Blocks. Raises NotFound for anything else, Forbidden without
    permission."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    if not follow:
        flags |= os.O_NOFOLLOW
    try:
        fd = os.open(path, flags)
    except ValueError:
        raise NotFound from None  # a NUL in the name
    except OSError as exc:
        if exc.errno in _MISSING:
            raise NotFound from exc
        if exc.errno in _FORBIDDEN:
            raise Forbidden from exc
        raise
    try:
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode):
            raise NotFound
    except BaseException:
        os.close(fd)
        raise
    etag = b'"%x-%x"' % (facts.st_mtime_ns, facts.st_size)
    return OpenFile(fd, facts.st_size, facts.st_mtime, etag)


async def send_file(response: Sending, path: Any, offset: int = 0, count: int = -1,
                    content_type: Optional[bytes] = None, *, rate: Optional[int] = None,
                    follow: bool = True) -> None:
    """Answer with a file, from `offset`, `count` bytes of it (-1: to its end).

    The part that is sent is the representation: Range and the `If-` fields of the request are
    about it. Without `content_type` that of the response counts, if it was set. Raises
    NotFound, Forbidden, PreconditionFailed or RangeNotSatisfiable.
    """
    loop = asyncio.get_running_loop()
    file = await loop.run_in_executor(None, lambda: open_file(path, follow=follow))
    try:
        start = min(max(0, offset), file.size)
        length = file.size - start if count < 0 else min(count, file.size - start)
        etag = file.etag
        if length != file.size:
            etag = etag[:-1] + b'-%x-%x"' % (start, length)
        if content_type is None:
            content_type = response.content_type
            if content_type == DEFAULT_TYPE:
                content_type = OCTETS
        if rate is not None and rate >= 0:
            response._exchange.set_rate(rate)
        await _answer(response, file, start, length, etag, content_type)
    finally:
        await loop.run_in_executor(None, os.close, file.fd)


async def _answer(response: Sending, file: OpenFile, start: int, length: int, etag: bytes,
                  content_type: bytes) -> None:
    head = response.request.head
    status = response.get_status()[0]
    modern = head.version == b"1.1"
    headers = response.headers
    headers.setdefault(b"etag", [etag])
    headers.setdefault(b"last-modified", [format_http_date(file.modified)])
    if modern:
        headers.setdefault(b"accept-ranges", [b"bytes"])
    etag = headers[b"etag"][0]
    if status == 200:
        verdict = evaluate(head.method, head.headers, etag, file.modified, now=time.time())
        if verdict == 304:
            response.set_status(304)
            await response.end()
            return
        if verdict == 412:
            raise PreconditionFailed
    headers[b"content-type"] = [content_type]
    if status == 200 and modern:
        chosen = select(head.method, head.headers, length, etag, file.modified,
                        now=time.time())
        if chosen.status == 416:
            raise RangeNotSatisfiable(content_range=unsatisfied_range(length))
        if chosen.status == 206:
            response.set_status(206)
            if len(chosen.ranges) == 1:
                only = chosen.ranges[0]
                headers[b"content-range"] = [only.content_range(length)]
                start, length = start + only.start, only.length
            else:
                framing = MultipartByteranges(secrets.token_hex(16).encode(), chosen.ranges,
                                              length, content_type)
                await _send_several(response, file, start, framing)
                return
    if await response.start(length=length):
        await _send_part(response._exchange, file, start, length)
        if not response._exchange.response.finished:
            response._exchange.response.finish()


async def _send_several(response: Sending, file: OpenFile, start: int,
                        framing: MultipartByteranges) -> None:
    response.headers[b"content-type"] = [framing.content_type]
    exchange = response._exchange
    if not await response.start(length=framing.length):
        return
    for head, wanted in framing:
        await _push(exchange, head)
        await _send_part(exchange, file, start + wanted.start, wanted.length)
        if exchange.response.finished:
            return
    exchange.response.write_last(framing.tail)


async def _push(exchange: "Exchange", data: bytes) -> None:
    wait = exchange.response.write(data)
    if wait is not None:
        await wait


async def _send_part(exchange: "Exchange", file: OpenFile, start: int, count: int) -> None:
    """Send `count` bytes from `start`; resets the connection when the file has become
    shorter."""
    if await send_from_file(exchange, file.fd, start, count) < count \
            and not exchange.disconnected and not exchange.response.finished:
        exchange.response.abort()


# -- folders ----------------------------------------------------------------------------------


def add_static(app: Routed, prefix: str, folder: Any, *, index: str = "index.html",
               dotfiles: bool = False, max_age: Optional[int] = None) -> None:
    """Serve the files of `folder` below `prefix`.

    Only regular files that really are inside the folder (symbolic links are resolved first),
    none whose name begins with a dot unless `dotfiles`, no listings; a folder is answered with
    its `index` file. `max_age` seconds go into Cache-Control. Raises ValueError when `folder`
    is none.
    """
    root = os.path.realpath(folder)
    if not os.path.isdir(root):
        raise ValueError(f"{folder} is not a folder")
    base = ("/" + prefix.strip("/")).rstrip("/").encode("utf-8")

    async def static(request: Any, response: Any) -> None:
        if request.method not in (b"GET", b"HEAD"):
            raise MethodNotAllowed(allow="GET")
        path = request.path[len(base):]
        loop = asyncio.get_running_loop()
        name, is_folder = await loop.run_in_executor(
            None, _locate, root, path, index, dotfiles)
        if is_folder:
            location = local_location(request.path + b"/", request.query_string)
            raise HTTPRedirect(code=308, location=location)
        if max_age is not None:
            response.set_header(b"Cache-Control", b"max-age=%d" % max_age)
        await send_file(response, name, 0, -1, type_of(name), follow=False)

    app.add_route(static, b"^" + re.escape(base) + rb"(?:/[^?]*)?$")


def _locate(root: str, path: bytes, index: str, dotfiles: bool) -> Tuple[str, bool]:
    """The real name of the file for a path, or (its name, True) for a folder that was named
    without its slash. Raises NotFound."""
    try:
        wanted = split_static_path(path, dotfiles=dotfiles)
        real = os.path.realpath(join_parts(root, wanted.parts))
        if not is_within(root, real):
            raise NotFound
        if os.path.isdir(real):
            if not wanted.is_directory or not path:
                return real, True
            real = os.path.realpath(os.path.join(real, index))
            if not is_within(root, real):
                raise NotFound
        elif wanted.is_directory:
            raise NotFound
    except (UnsafePath, ValueError, OSError):
        raise NotFound from None
    return real, False


def type_of(name: str) -> bytes:
    """The media type that a file's name suggests; text is taken for UTF-8."""
    kind, encoding = mimetypes.guess_type(name)
    if encoding is not None or kind is None:
        return OCTETS
    if kind.startswith("text/") or kind in ("application/javascript", "application/json"):
        return kind.encode("ascii") + b"; charset=utf-8"
    return kind.encode("ascii")
