"""The servers of this user that run: where their control sockets are, and talking to one.

Needs no event loop; what listens there is in `control`.
"""

import os
import re
import socket
import stat
import time
from typing import Any, Dict, Iterator, List, NamedTuple, Optional

from ..exceptions import ConfigurationError
from ..telemetry.builders import command
from ..telemetry.channel import READ_SIZE
from ..telemetry.codec import CodecError, LineDecoder, encode
from .listeners import Listeners

MAX_VIEWERS = 32
CONNECT_LIMIT = 2.0


def folder() -> str:
    """The folder of the control sockets, made if need be. Raises ConfigurationError."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    if not base or not os.path.isabs(base) or not os.access(base, os.W_OK | os.X_OK):
        base = os.path.join(_temporary_folder(), f"tremolo-{os.getuid()}")
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


def _temporary_folder() -> str:
    """As `tempfile.gettempdir()` finds it, without loading that for one name."""
    named = [os.environ.get(name, "") for name in ("TMPDIR", "TEMP", "TMP")]
    return next((path for path in (*named, "/tmp", "/var/tmp", "/usr/tmp")
                 if os.path.isabs(path) and os.access(path, os.W_OK | os.X_OK)), os.getcwd())


def bind_control(path: str) -> socket.socket:
    """Listen at a control socket's path. Raises ConfigurationError."""
    if os.path.exists(path) and not is_alive(path):
        os.unlink(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        sock.bind(path)
    except OSError as exc:
        sock.close()
        raise ConfigurationError(f"no control socket: {exc.strerror or exc}") from None
    finally:
        os.umask(mask)
    sock.listen(MAX_VIEWERS)
    sock.setblocking(False)
    return sock


def is_alive(path: str) -> bool:
    """Whether somebody listens at a socket's path."""
    try:
        connect(path).close()
    except ConfigurationError:
        return False
    return True


class Running(NamedTuple):
    """A server of this user's that runs, as it reports itself. `started` is wall-clock time."""

    path: str
    app: str
    folder: str
    addresses: List[str]
    started: float

    @property
    def name(self) -> str:
        """What `--port` takes for it."""
        return os.path.basename(self.path)[:-len(".sock")]

    def line(self) -> str:
        """One line about it: where, what, in which folder, and for how long."""
        return (f"{', '.join(self.addresses)}  {self.app}  in {self.folder}, "
                f"started {age(time.time() - self.started)} ago")


def age(seconds: float) -> str:
    """A duration for people, in one unit: "40 s", "3 min", "5 h", "2 days"."""
    for limit, size, unit in ((100, 1, "s"), (6000, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{max(0, seconds) / size:.0f} {unit}"
    return f"{seconds / 86400:.0f} days"


def running() -> List[Running]:
    """The servers of this user that run. Raises ConfigurationError."""
    where = folder()
    paths = [os.path.join(where, name) for name in sorted(os.listdir(where))
             if name.endswith(".sock") and not os.path.islink(os.path.join(where, name))]
    return [found for found in map(_greet, paths) if found is not None]


def running_at(port: int) -> Optional[Running]:
    """The server of this user at a port, if there is one."""
    path = os.path.join(folder(), f"{port}.sock")
    return _greet(os.path.realpath(path)) if _is_socket(path) else None


def _greet(path: str) -> Optional[Running]:
    """The first message of the server at a control socket; None when nobody listens there."""
    try:
        sock = connect(path)
    except ConfigurationError:
        return None
    with sock:
        try:
            for hello in _messages(sock, CONNECT_LIMIT):
                if hello["kind"] == "hello":
                    return Running(path, str(hello.get("app", "?")),
                                   str(hello.get("folder", "?")),
                                   [str(one) for one in hello.get("addresses", ())],
                                   float(hello.get("started", 0.0)))
        except (OSError, CodecError):
            return Running(path, "a server that does not answer", "?", [], time.time())
    return None  # it ends just now


def find(address: str = "") -> str:
    """The control socket of the server at `address` (a port, HOST:PORT or a socket's path); of
    the one of the project in this folder; or of the only one that runs.

    Raises ConfigurationError, which lists them if there are several.
    """
    where = folder()
    if address:
        port = address.rpartition(":")[2]
        for path in (address, os.path.join(where, f"{port}.sock")):
            if _is_socket(path) and is_alive(path):
                return path
        raise ConfigurationError(f"no server of yours runs at {address}")
    servers = running()
    if not servers:
        raise ConfigurationError("no server of yours runs")
    near = of_project(servers, os.getcwd()) or servers
    if len(near) == 1:
        return near[0].path
    width = max(len(server.name) for server in near)
    listed = [f"  --port {server.name.ljust(width)}  {server.line()}" for server in near]
    raise ConfigurationError("\n".join(["several servers run. Say which one:", *listed]))


def of_project(servers: List[Running], here: str) -> List[Running]:
    """Those that were started in the folder `here`; else the nearest above it, else below."""
    here = os.path.realpath(here)
    folders = [os.path.realpath(server.folder) for server in servers]
    for depths in ([_contains(folder, here) for folder in folders],
                   [_contains(here, folder) for folder in folders]):
        deepest = max(depths, default=0)
        if deepest:
            return [server for server, depth in zip(servers, depths) if depth == deepest]
    return []


def _contains(folder: str, path: str) -> int:
    """How long the name of `folder` is, 0 if `path` is not in it."""
    return len(folder) if path == folder or path.startswith(
        folder.rstrip(os.sep) + os.sep) else 0


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False


def connect(path: str) -> socket.socket:
    """A viewer's socket to the server behind a control socket. Raises ConfigurationError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(CONNECT_LIMIT)
    try:
        sock.connect(path)
    except OSError as exc:
        sock.close()
        raise ConfigurationError(f"the server does not answer: {exc}") from None
    sock.settimeout(None)
    return sock


def ask(path: str, name: str, timeout: float = 70.0, **args: Any) -> Dict[str, Any]:
    """Send one command to a server and wait for its Ack. Raises ConfigurationError."""
    with connect(path) as sock:
        try:
            sock.sendall(encode(command(1, name, args)))
            for message in _messages(sock, timeout):
                if message["kind"] == "ack" and message.get("seq") == 1:
                    return message
        except (OSError, CodecError) as exc:
            raise ConfigurationError(f"the server does not answer: {exc}") from None
    raise ConfigurationError("the server ended without an answer")


def _messages(sock: socket.socket, seconds: float) -> Iterator[Dict[str, Any]]:
    """What arrives within `seconds`, until the end. Raises OSError and CodecError."""
    deadline = time.monotonic() + seconds
    decoder = LineDecoder()
    while True:
        sock.settimeout(max(0.01, deadline - time.monotonic()))
        data = sock.recv(READ_SIZE)
        if not data:
            return
        for _, message in decoder.feed(data):
            yield message
