"""The terminal's end of a breakpoint in a worker: `tremolo debug`.

Copies lines between the terminal and the socket at which the breakpoint waits; the debugger
itself runs in the worker.
"""

import glob
import os
import select
import socket
import sys
from typing import Optional

from ..exceptions import ConfigurationError
from ..telemetry.channel import READ_SIZE
from .running import folder


def attach(pid: Optional[int] = None) -> int:
    """Talk to the breakpoint that waits, or the one in the worker `pid`, until the program goes
    on; the exit code.

    Raises ConfigurationError when none waits.
    """
    name = "debug-*.sock" if pid is None else f"debug-{pid}.sock"
    for path in sorted(glob.glob(os.path.join(folder(), name))):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            try:
                sock.connect(path)
            except OSError:
                os.unlink(path)  # its worker is gone
                continue
            _talk(sock)
            return 0
    raise ConfigurationError("no breakpoint waits")


def _talk(sock: socket.socket) -> None:
    inputs = [sock, sys.stdin.fileno()]
    while True:
        ready = select.select(inputs, [], [])[0]
        if sock in ready:
            data = sock.recv(READ_SIZE)
            if not data:
                return
            sys.stdout.write(data.decode("utf-8", "replace"))
            sys.stdout.flush()
        if sys.stdin.fileno() in ready:
            typed = os.read(sys.stdin.fileno(), READ_SIZE)
            if typed:
                sock.sendall(typed)
            else:
                inputs.pop()
                sock.shutdown(socket.SHUT_WR)
