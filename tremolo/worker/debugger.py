"""`breakpoint()` and reads of the terminal in a worker that has none.

With a dashboard, the terminal is the dashboard's. A breakpoint then waits on a private Unix
socket for `tremolo debug`, which the dashboard lends its terminal to, and is the usual debugger
there. Whatever else reads from the standard input gets an explanation logged instead.
"""

import io
import os
import socket
import sys
from types import FrameType
from typing import Any, Callable

PATIENCE = 300.0  # seconds that a breakpoint waits for somebody

Log = Callable[[str, bool], None]


class Debugger:
    """Installs itself for this process; `log(text, waits)` takes a line for the user, and whether
    a debugger is waited for; `pause()` is called before the process stands still in a
    breakpoint, `resume()` afterwards."""

    def __init__(self, folder: str, log: Log, pause: Callable[[], None],
                 resume: Callable[[], None]) -> None:
        self._path = os.path.join(folder, f"debug-{os.getpid()}.sock")
        self._log = log
        self._pause = pause
        self._resume = resume

    def install(self) -> None:
        sys.stdin = _NoTerminal(self._log)
        if "PYTHONBREAKPOINT" not in os.environ:
            sys.breakpointhook = self.stop

    def stop(self, *_: Any, **__: Any) -> None:
        """Wait for a debugger at the caller's line, and give it the control."""
        frame = sys._getframe(1)
        self._pause()
        try:
            connection = self._accept(_place(frame))
        finally:
            self._resume()
        if connection is not None:
            _RemotePdb(connection).set_trace(frame)

    def _accept(self, place: str) -> "socket.socket | None":
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            try:
                mask = os.umask(0o177)
                try:
                    listener.bind(self._path)
                finally:
                    os.umask(mask)
                listener.listen(1)
                listener.settimeout(PATIENCE)
                self._log(f"breakpoint at {place}: the worker waits for \"tremolo debug\"", True)
                return listener.accept()[0]
            except OSError as exc:
                why = "nobody came" if isinstance(exc, socket.timeout) else exc
                self._log(f"breakpoint at {place} is passed over: {why}", False)
                return None
            finally:
                if os.path.exists(self._path):
                    os.unlink(self._path)


def _RemotePdb(connection: socket.socket) -> Any:
    """A pdb at the other end of a connection, which is closed when the program goes on."""
    import pdb

    connection.settimeout(None)
    file = connection.makefile("rw", encoding="utf-8", errors="replace")

    class Remote(pdb.Pdb):
        def set_continue(self) -> None:
            super().set_continue()
            if not self.breaks:
                self._hang_up()

        def set_quit(self) -> None:
            super().set_quit()
            self._hang_up()

        def do_EOF(self, arg: str) -> "bool | None":
            self.clear_all_breaks()
            return self.do_continue(arg)

        do_EOF.__doc__ = "EOF\nThe terminal is gone: the program goes on."

        def _hang_up(self) -> None:
            try:
                file.close()
            except OSError:
                return  # it is gone already
            finally:
                connection.close()

    debugger = Remote(stdin=file, stdout=file, nosigint=True)
    debugger.prompt = "(tremolo) "
    return debugger


class _NoTerminal(io.TextIOBase):
    """A standard input that is empty; why is logged when it is read."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def readable(self) -> bool:
        return True

    def readline(self, size: Any = -1) -> str:  # type: ignore[override]
        frame = sys._getframe(1)
        self._log(f"{_place(frame)} reads from the terminal, which the dashboard has. Put "
                  "breakpoint() there, or start with --plain", False)
        return ""

    def read(self, size: Any = -1) -> str:
        return self.readline()


def _place(frame: FrameType) -> str:
    code = frame.f_code
    return f"{os.path.basename(code.co_filename)}:{frame.f_lineno} in {code.co_name}"
