"""Textual's driver for a terminal, for the case that not everything goes to the terminal, and
that something is there already."""

import sys
from typing import Any

from textual.drivers.linux_driver import LinuxDriver

from .first_frame import ENTER


class TerminalDriver(LinuxDriver):
    """Draws where the terminal is: Textual writes to standard error, which may be a file
    (`tremolo dev 2>log`), or closed. A first frame that is there stays until it is drawn over."""

    def __init__(self, app: Any, **kwargs: Any) -> None:
        super().__init__(app, **kwargs)
        self._first = app.first_frame
        self._entered = False
        error, output = sys.__stderr__, sys.__stdout__
        if (error is None or not error.isatty()) and output is not None and output.isatty():
            self._file = output

    def start_application_mode(self) -> None:
        first, self._first = self._first, None
        if first is None or not first.shown:
            super().start_application_mode()  # type: ignore[no-untyped-call]
            return
        first.hand_over()
        self._entered = True
        super().start_application_mode()  # type: ignore[no-untyped-call]
        self._entered = False
        self.attrs_before = first.terminal.attributes

    def write(self, data: str) -> None:
        if not self._entered or data != ENTER:  # which would clear the screen
            super().write(data)
