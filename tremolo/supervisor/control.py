"""The private Unix socket for further viewers and for commands, and its clients.

`$XDG_RUNTIME_DIR/tremolo/PORT.sock`, or a folder of the user's own in the temporary folder;
0600, JSON lines, the same messages as the feed: "hello" first, then what happens.
"""

import os
import re
import socket
import stat
import tempfile
import time
from typing import Any, Dict, List

from ..exceptions import ConfigurationError
from ..telemetry.channel import READ_SIZE
from ..telemetry.codec import CodecError, LineDecoder, encode
from ..telemetry.messages import VERSION
from .feed import Feed
from .listeners import Listeners

MAX_VIEWERS = 32
CONNECT_LIMIT = 2.0


def folder() -> str:
    """The folder of the control sockets, made if need be. Raises ConfigurationError."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    if not base or not os.path.isabs(base) or not os.access(base, os.W_OK | os.X_OK):
        base = os.path.join(tempfile.gettempdir(), f"tremolo-{os.getuid()}")
        _private(base)
    path = os.path.join(base, "tremolo")
    _private(path)
    return path


def _private(path: str) -> None:
    """Have a folder that nobody else can write to or look into."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        status = os.lstat(path)
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
            raise ConfigurationError(f"{path} is not a folder of yours") from None
        if status.st_mode & 0o077:
            os.chmod(path, 0o700)
    except OSError as exc:
        raise ConfigurationError(f"cannot make the folder {path}: {exc.strerror}") from None


def socket_names(listeners: Listeners) -> List[str]:
    """The file names for a server, one an address: its port, else its path made a name."""
    found = []
    for listener in listeners:
        if listener.port:
            name = str(listener.port)
        else:
            name = re.sub(r"[^A-Za-z0-9._-]", "_", os.path.abspath(listener.wanted.path))[-80:]
        if name + ".sock" not in found:
            found.append(name + ".sock")
    return found


class ControlSocket:
    """Listens for viewers and hands them to the feed."""

    def __init__(self, feed: Feed, path: str) -> None:
        self._feed = feed
        self.path = path
        if os.path.exists(path) and not _is_alive(path):
            os.unlink(path)
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask = os.umask(0o177)
        try:
            self._sock.bind(path)
        except OSError as exc:
            self._sock.close()
            raise ConfigurationError(f"no control socket: {exc.strerror or exc}") from None
        finally:
            os.umask(mask)
        self._inode = os.lstat(path).st_ino
        self._aliases: List[str] = []
        self._sock.listen(MAX_VIEWERS)
        self._sock.setblocking(False)
        feed.loop.add_reader(self._sock.fileno(), self._accept)

    def alias(self, listeners: Listeners) -> None:
        """Have this socket found by all addresses of the server."""
        for name in socket_names(listeners):
            path = os.path.join(os.path.dirname(self.path), name)
            if path == self.path or path in self._aliases:
                continue
            try:
                if os.path.islink(path) or (os.path.exists(path) and not _is_alive(path)):
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


def _is_alive(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(CONNECT_LIMIT)
        try:
            probe.connect(path)
        except OSError:
            return False
    return True


def find(address: str = "") -> str:
    """The control socket of the server at `address` (a port, HOST:PORT or a socket's path), or
    of the only one that runs. Raises ConfigurationError."""
    where = folder()
    if address:
        port = address.rpartition(":")[2]
        for path in (address, os.path.join(where, f"{port}.sock")):
            if _is_socket(path) and _is_alive(path):
                return path
        raise ConfigurationError(f"no server of yours runs at {address}")
    alive = [os.path.join(where, name) for name in sorted(os.listdir(where))
             if name.endswith(".sock") and not os.path.islink(os.path.join(where, name))
             and _is_alive(os.path.join(where, name))]
    if len(alive) == 1:
        return alive[0]
    if not alive:
        raise ConfigurationError("no server of yours runs")
    ports = ", ".join(os.path.basename(path)[:-5] for path in alive)
    raise ConfigurationError(f"several servers run: say which with --port ({ports})")


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False


def ask(path: str, name: str, timeout: float = 70.0, **args: Any) -> Dict[str, Any]:
    """Send one command to a server and wait for its Ack. Raises ConfigurationError."""
    deadline = time.monotonic() + timeout
    decoder = LineDecoder()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(CONNECT_LIMIT)
        try:
            sock.connect(path)
            sock.sendall(encode({"v": VERSION, "kind": "command", "seq": 1, "name": name,
                                 "args": args}))
            while True:
                sock.settimeout(max(0.01, deadline - time.monotonic()))
                data = sock.recv(READ_SIZE)
                if not data:
                    raise ConfigurationError("the server ended without an answer")
                for _, message in decoder.feed(data):
                    if message["kind"] == "ack" and message.get("seq") == 1:
                        return message
        except (OSError, CodecError) as exc:
            raise ConfigurationError(f"the server does not answer: {exc}") from None

