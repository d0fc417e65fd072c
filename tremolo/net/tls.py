"""TLS: contexts from settings, what comes to a TLS port without it, and when a close is over.

Knows sockets and ssl, nothing of requests.
"""

import asyncio
import fcntl
import re
import socket
import ssl
import struct
import termios
from typing import Any, Iterable, Optional, Protocol

from ..config import Settings
from ..exceptions import ConfigurationError
from .outbox import Outbox
from .states import State

#: for which what comes after the answer to plain HTTP is read
LINGER_SECONDS = 1.0
_PRIVATE_KEY = re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----")
_TEXT = b"This port speaks HTTPS: ask again with https:// in place of http://.\n"
_USE_HTTPS = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n%b" % (len(_TEXT), _TEXT))
#: a request whose URL is plain: what could not be put into a header as it is does not match
_PLAIN_HEAD = re.compile(
    rb"[A-Z]+ (?P<target>/[!-~]*) HTTP/1\.[01]\r\n(?:[^\r\n]+\r\n)*?"
    rb"(?i:host):[ \t]*(?P<host>[A-Za-z0-9.:\[\]-]+)[ \t]*\r\n")
_REDIRECT = (
    b"HTTP/1.1 307 Temporary Redirect\r\nlocation: https://%b%b\r\n"
    b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n"
    b"connection: close\r\n\r\n%b")


def server_context(settings: Settings, overrides: Any = None) -> Optional[ssl.SSLContext]:
    """The context for `ssl=` or `--ssl-cert`/`--ssl-key`; None without TLS.

    Raises ConfigurationError when a file is missing or does not fit.
    """
    wanted = overrides if overrides is not None else settings.ssl
    if not wanted and settings.ssl_cert:
        wanted = {"cert": settings.ssl_cert, "key": settings.ssl_key}
    if not wanted:
        if settings.ssl_key:
            raise ConfigurationError("--ssl-key needs --ssl-cert, the certificate of that key")
        return None
    cert, key = wanted.get("cert"), wanted.get("key")
    if not cert:
        raise ConfigurationError("TLS needs a certificate: ssl has no 'cert'")
    _need_key(cert, key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(cert, key or None, wanted.get("password"))
    except FileNotFoundError:
        raise ConfigurationError(
            f"TLS certificate or key not found: cert={cert!r} key={key!r}") from None
    except (ssl.SSLError, OSError, ValueError) as exc:
        raise ConfigurationError(
            f"TLS certificate or key cannot be used: cert={cert!r} key={key!r}: {exc}") from None
    return context


def _need_key(cert: str, key: Optional[str]) -> None:
    """One file may hold both; otherwise OpenSSL's message would not say what is missing."""
    try:
        with open(key or cert, "rb") as file:
            holds_one = _PRIVATE_KEY.search(file.read()) is not None
    except OSError:
        return  # loading it raises the error that explains it
    if not holds_one:
        raise ConfigurationError(
            f"{key} has no private key (PEM)" if key else
            f"{cert} has no private key: name its file with --ssl-key, or put the key and the "
            "certificate into one file")


async def speaks_tls(loop: asyncio.AbstractEventLoop, sock: socket.socket,
                     timeout: float, redirect: bool = False) -> bool:
    """Wait for the first byte of a connection, which is left in it, at most `timeout` seconds.
    False: nothing came, or a request without TLS, which is answered: with the way to the same
    page over TLS if it shall `redirect`. Closes `sock` when it is
    cancelled."""
    try:
        await asyncio.wait_for(_readable(loop, sock), timeout)
        # A record of TLS begins with its type, 22.
        plain = sock.recv(1, socket.MSG_PEEK).isalpha()
        if plain:
            await asyncio.wait_for(_refuse_plain_http(loop, sock, redirect), LINGER_SECONDS)
        return not plain
    except (OSError, asyncio.TimeoutError):
        return False
    except BaseException:
        sock.close()
        raise


async def _readable(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
    waiter = loop.create_future()

    def wake() -> None:
        if not waiter.done():
            waiter.set_result(None)

    loop.add_reader(sock.fileno(), wake)
    try:
        await waiter
    finally:
        loop.remove_reader(sock.fileno())


async def _refuse_plain_http(loop: asyncio.AbstractEventLoop, sock: socket.socket,
                             redirect: bool) -> None:
    """Answer 400 in plain text, or 307 (browsers would remember 301 and 308), and read for a
    moment what still comes, so that no reset eats the answer (RFC 9112 section 9.6)."""
    wanted = _PLAIN_HEAD.match(sock.recv(8192, socket.MSG_PEEK)) if redirect else None
    await loop.sock_sendall(sock, _USE_HTTPS if wanted is None else _REDIRECT % (
        wanted["host"], wanted["target"], len(_TEXT), _TEXT))
    sock.shutdown(socket.SHUT_WR)
    for _ in range(16):
        if not await loop.sock_recv(sock, 65536):
            return


class Encrypted(Protocol):
    """A connection, perhaps over TLS."""

    is_tls: bool
    state: State
    outbox: Outbox
    socket: Any

    def abort(self) -> None: ...


def end_silent(connections: Iterable[Encrypted]) -> None:
    """End the TLS connections that only wait for the client's close_notify, which nobody has to
    send (RFC 8446 section 6.1), once everything that was sent has arrived."""
    for connection in tuple(connections):
        if connection.is_tls and connection.state.closing and not connection.outbox.size \
                and not _unsent(connection.socket):
            connection.abort()


def _unsent(sock: socket.socket) -> int:
    """Bytes that the peer has not acknowledged (Linux), or that have not left (elsewhere)."""
    try:
        count: int = struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)))[0]
        return count
    except (OSError, ValueError):  # a closed socket has no descriptor
        return 0  # there is nobody to wait for any more
