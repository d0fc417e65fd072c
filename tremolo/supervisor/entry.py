"""Where a supervisor begins: in this process, or in one of its own with a viewer."""

import asyncio
import socket
import sys
from typing import Any, List, Mapping, Optional

from ..config import Settings
from ..exceptions import ConfigurationError
from ..telemetry.builders import cannot_begin
from ..telemetry.channel import MessageReader
from ..telemetry.codec import encode_cut
from .feed import Consumer
from .quiet import Quiet
from .supervisor import Supervisor
from .wanted import Launch


def supervise(launch: Launch, viewer: Optional[socket.socket] = None,
              consumer: Optional[Consumer] = None, detail: int = 1,
              quiet: Optional[Quiet] = None) -> int:
    """Run a supervisor in this process; the exit code. With `quiet` the server is there
    already. Raises ConfigurationError."""

    async def run() -> int:
        supervisor = Supervisor(launch, asyncio.get_running_loop(), quiet)
        return await supervisor.run(viewer, consumer, detail)

    return asyncio.run(run())


def main(feed_fd: int) -> None:
    """Entry of a supervisor in a process of its own, with its viewer at the other end of a
    socket: the first line there is what to run, everything after are commands."""
    sock = socket.socket(fileno=feed_fd)
    reader = MessageReader()
    started: List[Mapping[str, Any]] = []
    while not started:
        data = sock.recv(1 << 16)
        if not data:
            sys.exit(1)
        started.extend(message for message, _ in reader.feed(data, ()))
    start = started[0]
    launch = Launch(start["app"], start["shown"], Settings(**start["settings"]), start["dev"],
                    start["folder"], start["home"], capture=True)
    try:
        sys.exit(supervise(launch, viewer=sock))
    except ConfigurationError as exc:
        sock.setblocking(True)
        sock.sendall(encode_cut(cannot_begin(str(exc))))
        sys.exit(1)
