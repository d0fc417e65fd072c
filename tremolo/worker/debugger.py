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
from typing import Any, Callable, Dict, Optional

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
        sys.stdin = _NoTerminal(self, self._log)
        if "PYTHONBREAKPOINT" not in os.environ:
            sys.breakpointhook = self.stop

    def stop(self, *_: Any, **__: Any) -> None:
        """Wait for a debugger at the caller's line, and give it the control."""
        frame = sys._getframe(1)
        connection = self._wait(frame)
        if connection is not None:
            import pdb

            debugger = _remote(pdb.Pdb)(nosigint=True)
            debugger.take(_Line(connection), {})
            debugger.set_trace(frame)

    def first_line(self, debugger: Any) -> str:
        """What is typed for a pdb that asks at the terminal, which from now on asks where
        `breakpoint()` does."""
        connection = self._wait(debugger.curframe)
        if connection is None:
            return "continue\n"
        line = _Line(connection)
        before = {name: vars(debugger).get(name, getattr(debugger, name))
                  for name in ("stdin", "stdout", "use_rawinput", "nosigint", "prompt")}
        debugger.__class__ = _remote(type(debugger))
        debugger.take(line, before)
        try:
            debugger.print_stack_entry(debugger.stack[debugger.curindex])
            line.writer.write(debugger.prompt)
            line.writer.flush()
        except OSError:
            pass  # it has left again, and then nothing is read
        return line.reader.readline() or "EOF"

    def _wait(self, frame: FrameType) -> "socket.socket | None":
        self._pause()
        try:
            return self._accept(_place(frame))
        finally:
            self._resume()

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


class _Line:
    """The two directions of a connection as files of their own: one that does both forgets what
    was read ahead when it is written to, and with it lines that were typed or pasted at once."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(None)
        self._connection = connection
        self.reader = connection.makefile("r", encoding="utf-8", errors="replace")
        self.writer = connection.makefile("w", encoding="utf-8", errors="replace")

    def close(self) -> None:
        try:
            self.writer.close()
        except OSError:
            pass  # it is gone already
        self.reader.close()
        self._connection.close()


def _remote(kind: type) -> Any:
    """A debugger of a kind of pdb at the other end of a line, which is closed when the program
    goes on."""

    class Remote(kind):  # type: ignore[misc]
        def take(self, line: _Line, before: Dict[str, Any]) -> None:
            """Talk over the line; afterwards it is again as it was `before`."""
            self.__dict__.update(stdin=line.reader, stdout=line.writer, use_rawinput=False,
                                 nosigint=True, prompt="(tremolo) ", _line=line,
                                 _before=before)

        def set_continue(self) -> None:
            super().set_continue()
            if not self.breaks:
                self._hang_up()

        def set_quit(self) -> None:
            super().set_quit()
            self._hang_up()

        def do_EOF(self, arg: str) -> "bool | None":
            self.clear_all_breaks()
            continues: Optional[bool] = self.do_continue(arg)
            return continues

        do_EOF.__doc__ = "EOF\nThe terminal is gone: the program goes on."

        def _hang_up(self) -> None:
            line, before = self._line, self._before
            self.__class__ = kind
            self.__dict__.update(before)
            line.close()

    return Remote


class _NoTerminal(io.TextIOBase):
    """A standard input that is empty; why is logged when it is read. Only a pdb of the
    application, as from `pdb.set_trace()`, gets what `breakpoint()` has."""

    def __init__(self, debugger: Debugger, log: Log) -> None:
        self._debugger = debugger
        self._log = log

    def readable(self) -> bool:
        return True

    def readline(self, size: Any = -1) -> str:  # type: ignore[override]
        frame = sys._getframe(1)
        reader, pdb = frame.f_locals.get("self"), sys.modules.get("pdb")
        if pdb is not None and isinstance(reader, pdb.Pdb) and reader.curframe is not None:
            return self._debugger.first_line(reader)
        self._log(f"{_place(frame)} reads from the terminal, which the dashboard has. Put "
                  "breakpoint() there, or start with --plain", False)
        return ""

    def read(self, size: Any = -1) -> str:
        return self.readline()


def _place(frame: FrameType) -> str:
    code = frame.f_code
    return f"{os.path.basename(code.co_filename)}:{frame.f_lineno} in {code.co_name}"
