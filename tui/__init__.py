"""The dashboard: draws the supervisor's feed in the terminal and sends commands back.

It has no privileges: all it shows comes through the feed, all it does is a command. Importing
this package costs nothing; Textual is loaded by `load()`, or by `run()`.
"""

import gc
import socket
from typing import TYPE_CHECKING, Any, Mapping, Optional

if TYPE_CHECKING:
    from .first_frame import FirstFrame

__all__ = ["begin", "load", "run"]

GARBAGE = 20_000  # allocations between collections: rows are many and free of cycles


def begin(info: Mapping[str, Any]) -> "FirstFrame":
    """Draw the first frame, which stays until `run` draws over it. After calling this, it must
    be given to `run`, or closed. `info` is that of `run`."""
    from .first_frame import FirstFrame

    first = FirstFrame(info)
    first.show()
    return first


def load() -> None:
    """Import all that `run` needs, which takes longer than anything else it does before the
    first paint. Raises ImportError."""
    collects = gc.isenabled()
    gc.disable()  # all of it stays, and would be looked at again and again
    try:
        from . import app  # noqa: F401
    finally:
        if collects:
            gc.enable()


def run(feed: socket.socket, info: Mapping[str, Any], first: Optional["FirstFrame"] = None
        ) -> int:
    """Show the dashboard on this terminal until the user quits or the feed ends.

    `feed` is a connected stream socket to the supervisor; it stays the caller's. `info` may
    hold "app" and "addresses", shown until the feed says hello; "guest", if leaving must leave
    the server running; "recording", a file to show instead of a feed; "observe", which is called
    with each message of the feed. Returns an exit code: 0
    after a quit, 1 when the server ended by itself, 128 + N after signal N. When the dashboard
    itself fails, the terminal is given back and the exception raised, so that the caller can
    go on with a plain viewer of the same feed.
    """
    from .terminal import Terminal

    terminal = Terminal() if first is None else first.terminal
    terminal.arm()
    dashboard: Any = None
    try:
        load()
        from .app import Dashboard

        dashboard = Dashboard(feed, info)
        dashboard.first_frame = first
        gc.freeze()  # what was imported stays: no collection needs to look at it again
        gc.set_threshold(GARBAGE, 20, 100)
        dashboard.run()
        if dashboard.failure is not None:
            raise dashboard.failure
    except BaseException:
        if first is not None:
            first.close()
        terminal.restore()
        if dashboard is not None:
            dashboard.feed.align()
        raise
    if first is not None:
        first.close()  # if nobody has drawn over it
    terminal.disarm()
    from .outside import last_words

    last_words(dashboard)
    return int(dashboard.ending.exit_code)
