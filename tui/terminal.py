"""Giving the terminal back, whatever happens.

Textual restores it after a normal end, but leaves it raw after a signal or a hard failure.
`Terminal` remembers the state at the start and puts it back unless told that all went well.
"""

import atexit
import os
import signal
import sys
from typing import Any, List, Optional

# Leave synchronised output, kitty's keyboard, mouse (all kinds), focus and resize reports and
# bracketed paste; line wrap and cursor on; no attributes; main screen.
RESET = (
    "\x1b[?2026l\x1b[<u\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?1016l"
    "\x1b[?1004l\x1b[?2048l\x1b[?2004l\x1b[?7h\x1b[0m\x1b[?1049l\x1b[?25h"
)


ENDINGS = (signal.SIGTERM, signal.SIGHUP)


class Terminal:
    def __init__(self) -> None:
        self._fd: Optional[int] = None
        self._armed = False
        #: as termios has them, before anything was changed; None: there is no terminal
        self.attributes: Optional[List[Any]] = None

    def arm(self) -> None:
        """Remember the terminal's state; from here on it is put back at the process's end, also
        by a signal, as long as nobody else takes those."""
        if self._armed:
            return
        try:
            import termios
        except ImportError:
            return
        try:
            fd = sys.__stdin__.fileno() if sys.__stdin__ else 0
            self.attributes = termios.tcgetattr(fd)
            self._fd = fd
        except (OSError, ValueError, termios.error):
            self.attributes = None  # no terminal: nothing to give back
        self._armed = True
        atexit.register(self.restore)
        for number in ENDINGS:
            try:
                if signal.getsignal(number) == signal.SIG_DFL:
                    signal.signal(number, self._ended)
            except ValueError:
                return  # not the main thread: somebody else has the signals

    def quiet(self) -> bool:
        """Have keys wait unseen for who reads them, each as it was typed; only Ctrl+C still is a
        signal. False without a terminal."""
        if self.attributes is None or self._fd is None:
            return False
        import termios

        wanted = [*self.attributes[:6], [*self.attributes[6]]]
        wanted[0] &= ~(termios.IXON | termios.IXOFF | termios.ICRNL | termios.INLCR
                       | termios.IGNCR)
        wanted[3] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN)
        wanted[6][termios.VMIN], wanted[6][termios.VTIME] = 1, 0
        try:
            off = os.fpathconf(self._fd, "PC_VDISABLE")
        except (OSError, ValueError):
            off = 0  # what it is in most systems
        for key in (termios.VSUSP, termios.VQUIT):
            wanted[6][key] = bytes([off])
        try:
            termios.tcsetattr(self._fd, termios.TCSANOW, wanted)
        except termios.error:
            return False
        return True

    def _ended(self, number: int, frame: Any) -> None:
        self.restore()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def disarm(self) -> None:
        """All went well: Textual has put everything back itself."""
        self._armed = False
        atexit.unregister(self.restore)
        for number in ENDINGS:
            if signal.getsignal(number) == self._ended:
                signal.signal(number, signal.SIG_DFL)

    def restore(self) -> None:
        """Put the terminal back now, once; never raises."""
        if not self._armed:
            return
        self.disarm()
        if self.attributes is None or self._fd is None:
            return
        import termios

        try:
            termios.tcsetattr(self._fd, termios.TCSANOW, self.attributes)
            os.write(self._fd, RESET.encode())
        except (OSError, termios.error):
            return  # the terminal is gone
