"""Listening sockets of other workers, accepted on while those do not.

Knows the server and which address speaks TLS; who needs help is the supervisor's business.
"""

import socket
from typing import Any, Callable, Dict, List, Mapping

from ..net.acceptor import Acceptor
from ..net.server import Server


class LentSockets:
    """`context_of(name)` gives the TLS context of a listening address, None for plain ones."""

    def __init__(self, server: Server, context_of: Callable[[str], Any]) -> None:
        self._server = server
        self._context_of = context_of
        self._acceptors: Dict[int, List[Acceptor]] = {}

    def take(self, slot: int, listeners: List[Mapping[str, Any]], fds: List[int]) -> None:
        """Accept also on the sockets of a worker slot; takes over the descriptors."""
        self.give_back(slot)
        self._acceptors[slot] = [
            self._server.listen(socket.socket(fileno=fds.pop(0)),
                                self._context_of(description["name"]))
            for description in listeners]

    def give_back(self, slot: int) -> None:
        """Accept no longer for a slot: its own worker does."""
        for acceptor in self._acceptors.pop(slot, ()):
            self._server.stop_listening(acceptor)
