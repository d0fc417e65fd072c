"""A real terminal for tests: a program on a pty, its screen in memory, keys to press."""

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time

import pyte


class Terminal:
    """Runs `argv` on a pty of `columns` x `lines`; use as a context manager.

    `screen` is the text that a person would see, `expect()` waits for a piece of it.
    """

    def __init__(self, argv, columns=80, lines=24, cwd=None, env=None):
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self.output = b""
        self.status = None
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            try:
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
                if cwd is not None:
                    os.chdir(cwd)
                # COLUMNS and LINES would win over the size of this terminal.
                inherited = {name: value for name, value in os.environ.items()
                             if name not in ("CI", "COLUMNS", "LINES", "NO_COLOR")}
                # Bytecode is written as where people work: without it, all is compiled each time.
                os.execvpe(argv[0], [str(arg) for arg in argv],
                           {**inherited, "TERM": "xterm-256color",
                            "PYTHONDONTWRITEBYTECODE": "", **(env or {})})
            finally:
                os._exit(127)

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                self.wait(5)
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
            self.wait(5)
        os.close(self._fd)

    def press(self, *keys):
        for key in keys:
            os.write(self._fd, key.encode())
            self.read(0.05)

    def read(self, seconds):
        """Take in what the program draws for `seconds`."""
        deadline = time.monotonic() + seconds
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._fd], [], [], left)[0]:
                return
            try:
                data = os.read(self._fd, 65536)
            except OSError:  # EIO: the program ended
                return
            if not data:
                return
            self.output += data
            self._stream.feed(data)

    @property
    def screen(self):
        return "\n".join(line.rstrip() for line in self._screen.display)

    def expect(self, *texts, within=10.0):
        """Wait until all of `texts` are on the screen; the seconds that it took."""
        began = time.monotonic()
        while True:
            screen = self.screen
            if all(text in screen for text in texts):
                return time.monotonic() - began
            if time.monotonic() - began > within:
                missing = [text for text in texts if text not in screen]
                raise AssertionError(f"{missing} not on the screen after {within} s:\n{screen}")
            self.read(0.02)

    def expect_not(self, text, within=10.0):
        """Wait until `text` is gone from the screen."""
        deadline = time.monotonic() + within
        while text in self.screen:
            if time.monotonic() > deadline:
                raise AssertionError(f"{text!r} still on the screen:\n{self.screen}")
            self.read(0.02)

    def poll(self):
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = status
        return self.status

    def wait(self, seconds):
        """The wait status of the program. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the program still runs:\n{self.screen}")
            self.read(0.02)
        return self.status
