"""The private Unix socket for further viewers and for commands.

`$XDG_RUNTIME_DIR/tremolo/PORT.sock`, or a folder of the user's own in the temporary folder;
0600, JSON lines, the same messages as the feed: "hello" first, then what happens.
"""

import os
import socket
from typing import List, Optional

from .feed import Feed
from .listeners import Listeners
from .running import MAX_VIEWERS, bind_control, is_alive, socket_names


class ControlSocket:
    """Listens for viewers and hands them to the feed."""

    def __init__(self, feed: Feed, path: str, sock: Optional[socket.socket] = None) -> None:
        self._feed = feed
        self.path = path
        self._sock = sock or bind_control(path)
        self._inode = os.lstat(path).st_ino
        self._aliases: List[str] = []
        feed.loop.add_reader(self._sock.fileno(), self._accept)

    def alias(self, listeners: Listeners) -> None:
        """Have this socket found by all addresses of the server."""
        for name in socket_names(listeners):
            path = os.path.join(os.path.dirname(self.path), name)
            if path == self.path or path in self._aliases:
                continue
            try:
                if os.path.islink(path) or (os.path.exists(path) and not is_alive(path)):
                    os.unlink(path)
                os.symlink(os.path.basename(self.path), path)
            except OSError:
                continue  # another server's: ours is found by its other addresses
            self._aliases.append(path)

    def _accept(self) -> None:
        try:
            connection, _ = self._sock.accept()
        except OSError:
            return  # it went away again
        if self._feed.count >= MAX_VIEWERS:
            connection.close()
            return
        self._feed.add_viewer(connection)

    def close(self) -> None:
        self._feed.loop.remove_reader(self._sock.fileno())
        self._sock.close()
        try:
            if os.lstat(self.path).st_ino == self._inode:
                os.unlink(self.path)
            for path in self._aliases:
                if os.path.islink(path):
                    os.unlink(path)
        except OSError:
            return  # somebody tidied up before us
