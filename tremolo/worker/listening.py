"""The sockets that a worker accepts on: its own, and those of other workers while these do not.

Knows the server and which address speaks TLS; which sockets there are is the supervisor's
business.
"""

import socket
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Tuple

from ..config import Settings

if TYPE_CHECKING:
    import ssl

    from ..net.acceptor import Acceptor
    from ..net.server import Server
    from ..telemetry.facts import ListenerFacts


class ListeningSockets:
    """Sockets that came with `listeners` messages, in their order."""

    def __init__(self) -> None:
        self._sockets: List[Tuple[ListenerFacts, socket.socket]] = []
        self._contexts: List[Optional[ssl.SSLContext]] = []
        self._accepting = 0  # so many of them, from the first on
        self._lent: Dict[int, List[Acceptor]] = {}

    def add(self, message: Mapping[str, Any], fds: List[int]) -> None:
        """Take over the descriptors of the listeners that a message describes."""
        for description in message.get("listeners", ()):
            self._sockets.append((description, socket.socket(fileno=fds.pop(0))))

    def make_contexts(self, settings: Settings) -> None:
        """Make TLS contexts now, so that a wrong file fails the start and not a handshake."""
        self._contexts = [self._context(settings, description["options"].get("ssl"), sock)
                          for description, sock in self._sockets]

    @staticmethod
    def _context(settings: Settings, own: Any, sock: socket.socket) -> "Optional[ssl.SSLContext]":
        # A Unix socket speaks TLS only when asked for it by its own options.
        if not own and (sock.family == socket.AF_UNIX or not (
                settings.ssl or settings.ssl_cert or settings.ssl_key)):
            return None
        from ..net.tls import server_context  # deferred: most servers speak plain HTTP

        return server_context(settings, own)

    async def accept(self, server: "Server") -> None:
        """Have `server` accept on all on which it does not yet."""
        first, self._accepting = self._accepting, len(self._sockets)
        for (_, sock), context in list(zip(self._sockets, self._contexts))[first:]:
            await server.start([sock], ssl_context=context)

    def close(self) -> None:
        """Close those that were never accepted on; the others are closed by the server."""
        for _, sock in self._sockets[self._accepting:]:
            sock.close()

    # -- those of other workers ----------------------------------------------------------

    def borrow(self, server: "Server", slot: int, listeners: "List[ListenerFacts]",
               fds: List[int]) -> None:
        """Have `server` accept also on the sockets of a worker slot; takes over the
        descriptors."""
        self.give_back(server, slot)
        self._lent[slot] = [
            server.listen(socket.socket(fileno=fds.pop(0)),
                          self._context_of(description["name"]))
            for description in listeners]

    def give_back(self, server: "Server", slot: int) -> None:
        """Accept no longer for a slot: its own worker does."""
        for acceptor in self._lent.pop(slot, ()):
            server.stop_listening(acceptor)

    def _context_of(self, name: str) -> "Optional[ssl.SSLContext]":
        return next((context for (description, _), context in zip(
            self._sockets, self._contexts) if description["name"] == name), None)
