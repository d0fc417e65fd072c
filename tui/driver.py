"""Textual's driver for a terminal, for the case that not everything goes to the terminal."""

import sys
from typing import Any

from textual.drivers.linux_driver import LinuxDriver


class TerminalDriver(LinuxDriver):
    """Draws where the terminal is: Textual writes to standard error, which may be a file
    (`tremolo dev 2>log`), or closed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        error, output = sys.__stderr__, sys.__stdout__
        if (error is None or not error.isatty()) and output is not None and output.isatty():
            self._file = output
