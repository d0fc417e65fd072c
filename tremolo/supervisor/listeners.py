"""The listening sockets: bound once, by the supervisor, and its own for life.

Workers get duplicates. A port in use, a name that does not resolve, a path that is taken are
one clear line each, as ConfigurationError.
"""

import errno
import os
import socket
import stat
from typing import (
    TYPE_CHECKING,
    Any,
    Dict,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    Union,
)

from ..addresses import WIDE, open_at
from ..config import BY_NAME, Settings, check, parse_bind
from ..exceptions import ConfigurationError

if TYPE_CHECKING:
    from ..telemetry.facts import ListenerFacts


class Address(NamedTuple):
    """Where to listen: host and port, or the path of a Unix socket."""

    host: Optional[str]
    port: int
    path: str = ""
    options: Dict[str, Any] = {}


def wanted_addresses(settings: Settings) -> List[Address]:
    """The addresses that settings ask for: --bind, else --host and --port."""
    if settings.bind:
        return [Address(host, port) if host is not None else Address(None, 0, port)
                for host, port in parse_bind(settings.bind)]
    return [address(settings.host, settings.port)]


def address(host: Optional[str], port: Union[int, str], options: Optional[Dict[str, Any]] = None,
            default_host: str = "127.0.0.1") -> Address:
    """An address as Python callers give it; a port that is no number is a socket's path."""
    if isinstance(port, str) and not port.isdigit():
        return Address(None, 0, port, options or {})
    if host and "/" in host:
        return Address(None, 0, host, options or {})
    return Address(host or default_host, int(port), "", options or {})


class Listener:
    """One address, bound: a socket for each worker slot, or one that all share. `inode` is that
    of a Unix socket's file, if it was bound earlier."""

    def __init__(self, wanted: Address, sockets: Sequence[socket.socket], tls: bool,
                 inode: Optional[int] = None) -> None:
        self.wanted = wanted
        self._sockets = list(sockets)
        self._tls = tls
        self.inode = inode or (_inode(wanted.path) if wanted.path else None)

    @property
    def port(self) -> int:
        return 0 if self.wanted.path else int(self._sockets[0].getsockname()[1])

    @property
    def urls(self) -> List[str]:
        """Where one can open it: several for an address that stands for all."""
        host = "" if self.wanted.path else self._sockets[0].getsockname()[0]
        if host not in WIDE:
            return [self.name]
        scheme = self.name.partition(":")[0]
        return [f"{scheme}://{f'[{one}]' if ':' in one else one}:{self.port}"
                for one in open_at(host)]

    @property
    def name(self) -> str:
        if self.wanted.path:
            return f"unix:{self.wanted.path}"
        host = self._sockets[0].getsockname()[0]
        scheme = "https" if self._tls or self.wanted.options.get("ssl") else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def fds(self) -> List[int]:
        return [sock.fileno() for sock in self._sockets]

    def fd(self, slot: int) -> int:
        """The descriptor for a worker slot."""
        return self._sockets[slot % len(self._sockets)].fileno()

    def share(self, slot: int, slots: int) -> List[int]:
        """The descriptors that a slot of `slots` accepts on: its own, and those of slots that
        there are no more, for the kernel goes on to give them connections."""
        count = len(self._sockets)
        if slot >= count:
            return [self._sockets[slot % count].fileno()]
        return [self._sockets[index].fileno() for index in range(slot, count, slots)]

    def description(self) -> "ListenerFacts":
        return {"name": self.name, "options": self.wanted.options}

    def leave(self) -> None:
        """Close the sockets in a process that they are none of."""
        for sock in self._sockets:
            sock.close()

    def close(self) -> None:
        """Stop listening; a Unix socket's file goes, if it still is ours."""
        if self.wanted.path and self.inode is not None and (
                _inode(self.wanted.path) == self.inode):
            os.unlink(self.wanted.path)
        self.leave()


class Listeners:
    """All listeners of a server, with `slots` sockets each where the system balances them."""

    def __init__(self, settings: Settings, slots: int = 1) -> None:
        self._settings = settings
        #: sockets of each address; one is shared by all workers
        self.slots = slots if settings.reuse_port and slots > 1 and (
            hasattr(socket, "SO_REUSEPORT")) else 1
        self._tls = bool(settings.ssl_cert or settings.ssl)
        self._listeners: List[Listener] = []

    def __iter__(self) -> Iterator[Listener]:
        return iter(self._listeners)

    def bind(self, wanted: Address) -> Optional[Listener]:
        """Listen on an address; None if that is done already. Raises ConfigurationError."""
        if any(listener.wanted[:3] == wanted[:3] for listener in self._listeners):
            return None
        backlog = int(wanted.options.get("backlog", self._settings.backlog))
        mode = check(BY_NAME["uds_mode"],
                     wanted.options.get("uds_mode", self._settings.uds_mode))
        sockets = ([_bind_unix(wanted.path, mode)] if wanted.path
                   else _bind_tcp(wanted, self.slots))
        for sock in sockets:
            sock.listen(backlog)
            sock.setblocking(False)
        listener = Listener(wanted, sockets, self._tls)
        self._listeners.append(listener)
        return listener

    def share(self, slot: int, slots: int,
              beside: int = 0) -> "Tuple[List[ListenerFacts], List[int]]":
        """Descriptions and descriptors for a worker slot of `slots`; only those beside what
        it got when there were `beside` slots, if that is given."""
        descriptions, fds = [], []
        for listener in self._listeners:
            known = set(listener.share(slot, beside)) if beside else ()
            for fd in listener.share(slot, slots):
                if fd not in known:
                    descriptions.append(listener.description())
                    fds.append(fd)
        return descriptions, fds

    @property
    def fds(self) -> List[int]:
        """The descriptors of all sockets."""
        return [fd for listener in self._listeners for fd in listener.fds]

    def handed_on(self) -> List[List[Any]]:
        """What `take_on` needs in an interpreter that takes the place of this one, to go on with
        the sockets by their descriptors."""
        return [[list(listener.wanted), listener.fds, listener.inode]
                for listener in self._listeners]

    def take_on(self, handed_on: List[List[Any]]) -> None:
        for wanted, fds, inode in handed_on:
            sockets = [socket.socket(fileno=fd) for fd in fds]
            for sock in sockets:
                sock.set_inheritable(False)
                sock.setblocking(False)
            self._listeners.append(Listener(Address(*wanted), sockets, self._tls, inode))

    @property
    def names(self) -> List[str]:
        return [url for listener in self._listeners for url in listener.urls]

    def named(self, host: str) -> str:
        """The first URL at which this machine reaches a listener by the loopback name `host`; ""
        if there is none."""
        for listener in self._listeners:
            scheme, _, rest = listener.urls[0].partition("://")
            if rest.startswith(("127.", "[::1]")):
                return f"{scheme}://{host}:{listener.port}"
        return ""

    def leave(self) -> None:
        """Close the sockets in a process that they are none of."""
        for listener in self._listeners:
            listener.leave()

    def close(self) -> None:
        while self._listeners:
            self._listeners.pop().close()


def _bind_tcp(wanted: Address, slots: int) -> List[socket.socket]:
    host = wanted.host or "127.0.0.1"
    try:
        # As bytes, for a text would have tables of the whole of Unicode loaded.
        found = socket.getaddrinfo(
            host.encode() if host.isascii() else host, wanted.port, type=socket.SOCK_STREAM,
            flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise ConfigurationError(f'Cannot resolve the address "{host}": {reason}') from None
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    family, _, _, _, where = found[0]
    # Without SO_REUSEPORT first: with it a second server of the same user would be let in.
    first = _bound(family, where, host, reuse_port=False)
    if slots == 1:
        return [first]
    where = first.getsockname()
    first.close()
    return [_bound(family, where, host, reuse_port=True) for _ in range(slots)]


def _bound(family: int, where: Any, host: str, reuse_port: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if host == "::" else 1)
        sock.bind(where)
    except OSError as exc:
        sock.close()
        shown = f"[{host}]:{where[1]}" if ":" in host else f"{host}:{where[1]}"
        if exc.errno == errno.EADDRINUSE:
            raise ConfigurationError(f"{shown} is in use by another process. Stop it, or "
                                     "choose another port with --port") from None
        raise ConfigurationError(f"Cannot listen on {shown}: {exc.strerror}") from None
    return sock


def _bind_unix(path: str, mode: int) -> socket.socket:
    _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o777 & ~mode)  # from the first instant on
    try:
        sock.bind(path)
    except OSError as exc:
        sock.close()
        if exc.errno == errno.EADDRINUSE:
            raise ConfigurationError(f"{path} is in use by another process") from None
        raise ConfigurationError(f"Cannot listen on {path}: {exc.strerror or exc}") from None
    finally:
        os.umask(mask)
    return sock


def _remove_stale(path: str) -> None:
    """Remove a socket's file that nobody listens on. Raises ConfigurationError otherwise."""
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return  # nothing is there, or bind() will report what is wrong
    if not stat.S_ISSOCK(mode):
        raise ConfigurationError(f"{path} exists and is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except OSError:
            pass  # it is there and does not answer in time: taken as in use
    raise ConfigurationError(f"{path} is in use by another process")


def _inode(path: str) -> Optional[int]:
    try:
        return os.lstat(path).st_ino
    except OSError:
        return None
