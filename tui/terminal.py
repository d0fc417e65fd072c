"""Giving the terminal back, whatever happens.

Textual restores it after a normal end, but leaves it raw after a signal or a hard failure.
`Terminal` remembers the state at the start and puts it back unless told that all went well.
"""

import atexit
import os
import sys
from typing import Any, List, Optional

# Leave synchronised output, kitty's keyboard, mouse (all kinds), focus and resize reports and
# bracketed paste; line wrap and cursor on; no attributes; main screen.
RESET = (
    "\x1b[?2026l\x1b[<u\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?1016l"
    "\x1b[?1004l\x1b[?2048l\x1b[?2004l\x1b[?7h\x1b[0m\x1b[?1049l\x1b[?25h"
)


class Terminal:
    def __init__(self) -> None:
        self._fd: Optional[int] = None
        self._attributes: Optional[List[Any]] = None
        self._armed = False

    def arm(self) -> None:
        """Remember the terminal's state; from here on it is put back at the process's end."""
        try:
            import termios
        except ImportError:
            return
        try:
            fd = sys.__stdin__.fileno() if sys.__stdin__ else 0
            self._attributes = termios.tcgetattr(fd)
            self._fd = fd
        except (OSError, ValueError, termios.error):
            self._attributes = None  # no terminal: nothing to give back
        self._armed = True
        atexit.register(self.restore)

    def disarm(self) -> None:
        """All went well: Textual has put everything back itself."""
        self._armed = False
        atexit.unregister(self.restore)

    def restore(self) -> None:
        """Put the terminal back now, once; never raises."""
        if not self._armed:
            return
        self.disarm()
        if self._attributes is None or self._fd is None:
            return
        import termios

        try:
            termios.tcsetattr(self._fd, termios.TCSANOW, self._attributes)
            os.write(self._fd, RESET.encode())
        except (OSError, termios.error):
            return  # the terminal is gone
