"""Serving an application from a coroutine of one's own, and the sockets for that.

For programs that have their own event loop (`await app.serve(...)`) and for one that makes its
sockets itself. Knows the connection core; processes, reload and signals are not its business.
"""

import asyncio
import errno
import logging
import os
import socket
import stat
import sys
from typing import TYPE_CHECKING, Any, Optional

from ..config import Settings
from ..net.server import Server
from ..net.tls import server_context

if TYPE_CHECKING:
    from ..net.adapter import Adapter


def create_sock(host: Optional[str], port: Any, reuse_port: bool = True,
                mode: int = 0o600) -> socket.socket:
    """A bound, non-blocking socket that does not listen yet.

    `::` is IPv6 and IPv4. A `host` that does not resolve is the path of a Unix socket, with
    `.sock` appended when it has no such ending, and the permissions `mode`. Raises OSError when
    it cannot be bound.
    """
    if host is None or not isinstance(port, int):
        return _unix_socket(str(port if host is None else host), mode)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM,
                                   flags=socket.AI_PASSIVE)[0]
    except (socket.gaierror, UnicodeError):
        return _unix_socket(host if host.endswith(".sock") else host + ".sock", mode)
    family, kind, protocol, _, address = found
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if reuse_port and hasattr(socket, "SO_REUSEPORT"):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if host == "::" else 1)
        sock.bind(address)
    except BaseException:
        sock.close()
        raise
    return sock


def _unix_socket(path: str, mode: int) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        _clear_stale(path)
        if sys.platform == "linux":
            os.fchmod(sock.fileno(), mode)  # what bind() then gives the file, less the umask
        sock.bind(path)
        os.chmod(path, mode)
    except BaseException:
        sock.close()
        raise
    return sock


def _clear_stale(path: str) -> None:
    """Remove a socket that nobody listens on, or an empty file; nothing else."""
    try:
        facts = os.lstat(path)
    except FileNotFoundError:
        return
    if stat.S_ISSOCK(facts.st_mode):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            if probe.connect_ex(path) == 0:
                raise OSError(errno.EADDRINUSE, "a server listens there", path)
    elif not (stat.S_ISREG(facts.st_mode) and facts.st_size == 0):
        raise OSError(errno.EADDRINUSE, "a file is in the way", path)
    os.unlink(path)


def close_sock(sock: socket.socket) -> None:
    """Close a socket of `create_sock`, and remove the path of a Unix socket."""
    path = sock.getsockname() if sock.family == socket.AF_UNIX and sock.fileno() >= 0 else None
    sock.close()
    if path:
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass  # somebody was quicker


async def serve(adapter: "Adapter", settings: Settings, host: Optional[str], port: Any, *,
                sock: Optional[socket.socket], backlog: int, logger: logging.Logger) -> None:
    """Serve what `adapter` calls until cancelled, then finish what runs, within
    `shutdown_timeout`."""
    context = server_context(settings, settings.ssl)
    listening = sock if sock is not None else create_sock(
        host, port, settings.reuse_port, settings.uds_mode)
    path = listening.getsockname() if listening.family == socket.AF_UNIX else None
    try:
        listening.listen(backlog)
        await adapter.startup()
        server = Server(adapter, settings, loop=asyncio.get_running_loop(), logger=logger)
        await server.start([listening], context)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await server.drain(settings.shutdown_timeout)
            await adapter.shutdown()
    finally:
        listening.close()
        if path and sock is None:
            os.unlink(path)
