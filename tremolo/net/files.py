"""Bodies that come from files: sent by the kernel where nothing stands between, else read off
the event loop and written like any other body.

Knows descriptors and one exchange; nothing of paths, ranges or headers.
"""

import asyncio
import errno
import os
from typing import TYPE_CHECKING, Protocol, Union

if TYPE_CHECKING:
    from .exchange import Exchange

#: bytes read at once off the loop
READ = 256 * 1024
#: bytes that the kernel is asked to send at once; between two calls other connections go on
SLICE = 1024 * 1024
#: what sendfile(2) says about files that it cannot send
_UNSUITABLE = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOVERFLOW)


class HasDescriptor(Protocol):
    """An open file, as `open(path, "rb")` gives it."""

    def fileno(self) -> int: ...


async def send_file(exchange: "Exchange", file: Union[int, HasDescriptor], offset: int,
                    count: int) -> int:
    """Send `count` bytes of `file` from `offset` as a piece of the body; how many were sent.

    The response must have been started, and is not finished by this. Fewer than `count` are
    sent when the file is shorter, or the client left. The file must stay open until this
    returns; its position does not matter and stays. Raises OSError when it cannot be
    read, ResponseMisuse as `Response.write` does.
    """
    descriptor = file if isinstance(file, int) else file.fileno()
    connection = exchange.connection
    response = exchange.response
    response.flush()
    writer = response.writer
    if not writer.body_allowed:
        writer.body_bytes += count
        return count
    sent = 0
    if writer.length is None or count <= writer.length - writer.body_bytes:
        sent = await _send_by_kernel(exchange, descriptor, offset, count)
    loop = connection.server.loop
    while sent < count and not connection.lost and not response.finished:
        data = await loop.run_in_executor(
            None, os.pread, descriptor, min(READ, count - sent), offset + sent)
        if not data:
            break
        wait = response.write(data)
        if wait is not None:
            await wait
        sent += len(data)
    return sent


async def _send_by_kernel(exchange: "Exchange", descriptor: int, offset: int,
                          count: int) -> int:
    """As `send_file`, without the bytes passing through the process; as far as that goes.

    Written to the socket directly, which is sound while the transport has nothing to write. A
    throttle that is set meanwhile ends it; the rest goes the other way.
    """
    connection = exchange.connection
    transport = connection.transport
    outbox = connection.outbox
    response = exchange.response
    writer = response.writer
    if connection.is_tls or writer.chunked or response.faults is not None or response.filtered \
            or not hasattr(os, "sendfile"):
        return 0
    for _ in range(2):
        if outbox.size or transport.get_write_buffer_size():
            await asyncio.sleep(0)  # uvloop writes at the end of its turn
    sock = transport.get_extra_info("socket")
    if sock is None or connection.lost or transport.is_closing() \
            or outbox.size or transport.get_write_buffer_size():
        return 0
    counters = connection.server.counters
    # Loops refuse to watch the descriptor of a transport, but not another one of the same
    # socket. It must not outlive this function, or the connection would.
    target = os.dup(sock.fileno())
    sent = 0
    try:
        while sent < count and not response.finished and not transport.is_closing() \
                and outbox.pace is None and not outbox.hold_until and not outbox.size:
            try:
                n = os.sendfile(target, descriptor, offset + sent, min(SLICE, count - sent))
            except BlockingIOError:
                await _writable(exchange, target)
                continue
            except ConnectionError:
                connection.abort()
                break
            except OSError as exc:
                if exc.errno not in _UNSUITABLE:
                    raise
                break
            if not n:
                break
            sent += n
            writer.body_bytes += n
            response.bytes_out += n
            outbox.bytes_out += n
            counters.bytes_out += n
            await asyncio.sleep(0)
    finally:
        os.close(target)
    if transport.is_closing() and not connection.lost:
        await outbox.wait()  # its end is on the way
    return sent


async def _writable(exchange: "Exchange", target: int) -> None:
    """Wait until the socket takes more, or the connection is lost. A client that takes nothing
    counts as stalled meanwhile."""
    connection = exchange.connection
    outbox = connection.outbox
    loop = connection.server.loop
    outbox.full = True
    connection.watch_writes()
    waiter = outbox.wait()
    loop.add_writer(target, _settle, waiter)
    try:
        await waiter
    finally:
        loop.remove_writer(target)
        outbox.forget(waiter)
        outbox.full = False


def _settle(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)
