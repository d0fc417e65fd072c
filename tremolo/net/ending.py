"""How an HTTP connection ends: with an answer to what cannot be understood, after the last words
and without a reset that could eat them, or in the middle.

Knows the parser's rest and the outbox; not the cycle of exchanges that it ends.
"""

from typing import Optional

from ..config import Settings
from ..protocol.http1 import ProtocolError, RequestParser, ResponseWriter
from .client import Client
from .exchange import PLAIN


def server_line(settings: Settings) -> bytes:
    """The header line that names the server; b"" if it has no name."""
    name = settings.server_name.encode("latin-1")
    return b"server: " + name + b"\r\n" if name else b""


class Ending(Client):
    """The part of an HTTPConnection that ends it; the HTTPConnection holds its state."""

    __slots__ = ("parser", "server_line")

    parser: RequestParser
    #: in place of the server's own
    server_line: Optional[bytes]

    @property
    def preface(self) -> bytes:
        """The lines that each response begins with. (Hot code asks for `server_line` first, to
        save this call.)"""
        if self.server_line is None:
            return self.server.preface
        return self.server.date_line + self.server_line

    def refuse(self, exc: ProtocolError) -> None:
        """Answer a request that cannot be understood; nothing after it is looked at."""
        server = self.server
        server.counters.protocol_errors += 1
        self.current = None
        writer = ResponseWriter(b"GET", b"1.1", False)
        body = exc.reason.encode("latin-1", "replace") + b"\n"
        head = writer.head(exc.status, PLAIN, length=len(body), preface=self.preface)
        server.counters.status[exc.status // 100] += 1
        self.outbox.push_now(head + writer.body(body) + writer.end())
        server.refused(self, exc)
        self._finish_connection()

    def _finish_connection(self) -> None:
        """Close after everything is sent, without a reset that could eat the response."""
        if self.lost:
            return
        exchange = self.current
        self.current = None
        unread = self.parser.buffered or (exchange is not None and not exchange.body_done) \
            or exchange is None
        self.end_by(self.linger_or_close if unread else self.close_transport)

    def leave(self) -> None:
        """The WebSocket on this connection has ended: close, the server first (RFC 6455
        section 7.1.1), without a reset that could eat its last frame."""
        self.parser.take_buffered()
        self.end_by(self.linger_or_close)

    def cut(self) -> None:
        """Close in the middle of a response, after what was written so far."""
        if self.current is not None:
            self.current.give_up()
        self.closing = True
        self.outbox.lost()
        self.close_transport()
