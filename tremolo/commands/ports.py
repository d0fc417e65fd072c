"""A port that is taken already: by whom, and what else there is."""

import errno
import os
import socket
import sys
import time
from typing import Optional

from ..config import Settings
from ..exceptions import ConfigurationError

NEXT = 100  # ports that are tried
STOP_LIMIT = 15.0


def settle_port(settings: Settings, ask: bool) -> Optional[Settings]:
    """`settings`, with another port if theirs is taken and the user agrees; None to leave.

    Raises ConfigurationError, which names who has the port, where nobody can be asked.
    """
    host, port = settings.host, settings.port
    if "/" in host or _is_free(host, port):
        return settings
    from ..supervisor.running import Running, of_project, running_at

    server: Optional[Running] = running_at(port)
    free = next((other for other in range(port + 1, min(port + NEXT, 65536))
                 if _is_free(host, other)), None)
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if server is None:
        who = "another process"
    else:
        own = bool(of_project([server], os.getcwd()))
        who = f"{'this project' if own else server.folder} ({server.line()})"
    other = f" --port {free}" if free else ""
    if not ask:
        raise ConfigurationError(f"{shown} is in use by {who}. Stop it, or choose another port "
                                 f"with{other or ' --port'}")
    print(f"{shown} is in use by {who}.")
    keys = [f"Enter: serve on {free}"] if free else []
    keys += ["s: stop it and take its place"] if server else []
    keys += ["q: leave"]
    while True:
        sys.stdout.write(", ".join(keys) + "? ")
        sys.stdout.flush()
        line = sys.stdin.readline()
        answer = line.strip().lower()
        if not line or answer == "q":
            return None
        if not answer and free:
            return settings.replace(port=free)
        if answer == "s" and server:
            _stop(server.path, host, port)
            return settings


def _is_free(host: str, port: int) -> bool:
    """Whether an address could be bound; whatever else is wrong with it is reported later."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((host, port))
        except OSError as exc:
            return exc.errno != errno.EADDRINUSE
    return True


def _stop(path: str, host: str, port: int) -> None:
    from ..supervisor.running import ask

    ask(path, "stop")
    deadline = time.monotonic() + STOP_LIMIT
    while not _is_free(host, port):
        if time.monotonic() > deadline:
            raise ConfigurationError(f"it has not ended in {STOP_LIMIT:g} s")
        time.sleep(0.05)
