"""The terminal is given back in every ending; watched from the other side of a pty."""

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time

import pytest

pytest.importorskip("textual")

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = """
import sys
from tests.support import feed_player
import tui.app
def fail(self):
    raise RuntimeError("on purpose")
if sys.argv[1] == "crash":
    tui.app.Dashboard.action_help = fail
try:
    code = feed_player.main(["--scene", "quiet"])
except RuntimeError as exc:
    print("fell back:", exc)
    code = 7
sys.exit(code)
"""


class Screen:
    """The dashboard in a child process, its terminal in our hands."""

    def __init__(self, mode):
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.before = termios.tcgetattr(self.slave)
        self.output = b""
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)
            for fd in (0, 1, 2):
                os.dup2(self.slave, fd)
            os.chdir(ROOT)
            os.execve(sys.executable, [sys.executable, "-c", PROGRAM, mode],
                      {**os.environ, "TERM": "xterm-256color",
                       "PYTHONDONTWRITEBYTECODE": ""})

    def read_until(self, wanted, seconds=15.0, start=0):
        deadline = time.monotonic() + seconds
        while wanted not in self.output[start:]:
            assert time.monotonic() < deadline, self.output[-500:]
            if select.select([self.master], [], [], 0.1)[0]:
                self.output += os.read(self.master, 65536)

    def wait_for_stop(self, seconds=15.0):
        """Read until the child has been stopped."""
        deadline = time.monotonic() + seconds
        while not os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED)[0]:
            assert time.monotonic() < deadline
            if select.select([self.master], [], [], 0.02)[0]:
                self.output += os.read(self.master, 65536)
        while select.select([self.master], [], [], 0.05)[0]:
            self.output += os.read(self.master, 65536)

    def wait(self, seconds=15.0):
        """Read until the child has ended; its wait status. Where `q` asks, because requests are
        live, it is pressed again."""
        asked = len(self.output)
        deadline = time.monotonic() + seconds
        while True:
            if select.select([self.master], [], [], 0.02)[0]:
                self.output += os.read(self.master, 65536)
                if asked < len(self.output) and b"again" in self.output[asked:]:
                    asked = sys.maxsize
                    os.write(self.master, b"q")
                continue
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = 0
                while select.select([self.master], [], [], 0.05)[0]:
                    self.output += os.read(self.master, 65536)
                return status
            assert time.monotonic() < deadline

    def close(self):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def open_screen():
    screens = []

    def make(mode="plain"):
        screen = Screen(mode)
        screens.append(screen)
        screen.read_until(b"FOLLOW")
        return screen

    yield make
    for screen in screens:
        screen.close()


def modes(flags):
    return flags[:4] + [flags[6][termios.VMIN]]


@pytest.mark.parametrize("ending, code", [
    (b"q", 0), (b"\x03", 0), (signal.SIGINT, 0), (signal.SIGTERM, 143), (signal.SIGHUP, 129),
], ids=["q", "Ctrl+C", "SIGINT", "SIGTERM", "SIGHUP"])
def test_the_terminal_is_as_it_was(open_screen, ending, code):
    screen = open_screen()
    if isinstance(ending, bytes):
        os.write(screen.master, ending)
    else:
        os.kill(screen.pid, ending)
    status = screen.wait()
    assert os.waitstatus_to_exitcode(status) == code
    assert modes(termios.tcgetattr(screen.slave)) == modes(screen.before)
    for off in (b"\x1b[?1049l", b"\x1b[?25h", b"\x1b[?1003l", b"\x1b[?2004l"):
        assert screen.output.rindex(off) > screen.output.rindex(off[:-1] + (
            b"h" if off.endswith(b"l") else b"l"))


def test_a_failing_dashboard_gives_the_terminal_back_and_raises(open_screen):
    screen = open_screen("crash")
    os.write(screen.master, b"?")
    status = screen.wait()
    assert os.waitstatus_to_exitcode(status) == 7
    assert b"fell back: on purpose" in screen.output.split(b"\x1b[?1049l")[-1]
    assert modes(termios.tcgetattr(screen.slave)) == modes(screen.before)


def test_going_on_without_a_stop_changes_nothing(open_screen):
    screen = open_screen()
    seen = len(screen.output)
    os.kill(screen.pid, signal.SIGCONT)
    screen.read_until(b"TREMOLO", start=seen)
    os.write(screen.master, b"q")
    assert os.waitstatus_to_exitcode(screen.wait()) == 0
    assert modes(termios.tcgetattr(screen.slave)) == modes(screen.before)


@pytest.mark.parametrize("stop", [b"\x1a", signal.SIGTSTP, signal.SIGSTOP],
                         ids=["Ctrl+Z", "SIGTSTP", "SIGSTOP"])
def test_all_of_the_screen_is_drawn_again_after_a_stop(open_screen, stop):
    screen = open_screen()
    if isinstance(stop, bytes):
        os.write(screen.master, stop)
    else:
        os.kill(screen.pid, stop)
    screen.wait_for_stop()
    if stop != signal.SIGSTOP:
        assert modes(termios.tcgetattr(screen.slave)) == modes(screen.before)
    seen = len(screen.output)
    os.kill(screen.pid, signal.SIGCONT)
    screen.read_until(b"TREMOLO", start=seen)
    screen.read_until(b"quit", start=seen)
    os.write(screen.master, b"q")
    assert os.waitstatus_to_exitcode(screen.wait()) == 0
    assert modes(termios.tcgetattr(screen.slave)) == modes(screen.before)
