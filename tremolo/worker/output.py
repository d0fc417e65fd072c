"""What a worker writes: its streams, its log records, and where they go.

With a dashboard, streams go into pipes that the supervisor reads and log records become
messages; without one, both go to the terminal as they are.
"""

import logging
import os
import sys
from typing import Sequence

from ..config import Settings
from ..telemetry.sanitize import clock


def redirect(fds: Sequence[int]) -> None:
    """Make `fds` the standard output and error of this process."""
    sys.stdout.flush()
    sys.stderr.flush()
    for number, fd in zip((1, 2), fds):
        os.dup2(fd, number, inheritable=True)
        os.close(fd)


def line_buffered() -> None:
    """Show each printed line when it is printed, also into a pipe."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(line_buffering=True)


class PlainFormatter(logging.Formatter):
    """Log records in the form of all other lines: the time of day first."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        own = record.name == "tremolo" or record.name.startswith("tremolo.")
        who = "" if own else f"{record.levelname} {record.name}: "
        return f"{clock(record.created)} {who}{record.message}"


def set_up_logging(settings: Settings, handler: logging.Handler, plain_format: bool) -> None:
    """Give the root logger `handler`, and ours and its own the wanted level.

    Raises ConfigurationError for a format that logging refuses.
    """
    from ..exceptions import ConfigurationError

    name = settings.log_level.upper() or ("DEBUG" if settings.debug else "INFO")
    if plain_format:
        try:
            handler.setFormatter(logging.Formatter(settings.log_fmt)
                                 if "log_fmt" in settings.given else PlainFormatter())
        except ValueError as exc:
            raise ConfigurationError(f"Invalid --log-fmt: {exc}") from None
    root = logging.getLogger()
    root.addHandler(handler)
    logging.captureWarnings(False)
    if settings.log_level:
        root.setLevel(name)
    else:
        root.setLevel("INFO")  # what libraries log at DEBUG is for who asks for it
    logging.getLogger("tremolo").setLevel(name)
