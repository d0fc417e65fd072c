"""How the dashboard is left: by its keys, by signals, and when the server ends by itself."""

import asyncio
import signal
from typing import Any, Callable, Protocol

from .model.session import Session

ASK_AGAIN = 6.0  # seconds in which the key to quit has to be pressed again
LAST_WAIT = 1.5  # seconds that a server has which was told to end at once


class Endable(Protocol):
    """The app, as far as its end needs it."""

    session: Session

    def exit(self) -> None: ...

    def news(self) -> None: ...

    def set_timer(self, delay: float, callback: Callable[[], None]) -> Any: ...

    def draw_changes(self) -> bool: ...


class Ending:
    def __init__(self, app: Endable, guest: bool) -> None:
        self.app = app
        self.guest = guest  # another has started the server: leaving leaves it running
        self.exit_code = 0
        self.asked = 0  # how often leaving was asked for
        self._asked_at = -1e9  # when the user was asked whether to leave

    def _ask_to_stop(self, now: bool) -> None:
        self.asked += 1
        self.app.session.commands.give("stop", {"now": now}, "stop")

    def quit_or_ask(self) -> None:
        """Leave; where something is live, not before the key is pressed again."""
        session = self.app.session
        now, live = session.clock(), session.totals.in_progress()
        if live and not self.guest and not self.asked and now - self._asked_at > ASK_AGAIN:
            self._asked_at = now
            session.notify(f"{live} live · q again ends the server", "warning")
            self.app.news()
        else:
            self.leave()

    def leave(self) -> None:
        """Finish what runs, then end; asked a second time: end at once. A guest just leaves."""
        session = self.app.session
        if self.guest:
            self.app.exit()
            return
        if self.asked:
            self._ask_to_stop(now=True)
            self.app.set_timer(LAST_WAIT, self.app.exit)
            return
        self._ask_to_stop(now=False)
        active = session.totals.sums().gauges["active"]
        session.notify(f"finishing {active} request{'' if active == 1 else 's'} · "
                       "q again ends at once" if active else "stopping", "warning")
        self.app.news()

    def server_ended(self, cause: str) -> None:
        """The supervisor is gone, and with it everything that could be shown."""
        if not self.asked:
            self.exit_code = self.exit_code or 1
            self.app.session.notify("server ended" + (f": {cause}" if cause else ""), "error")
            self.app.draw_changes()
        self.app.exit()

    # -- signals

    def take_signals(self, loop: asyncio.AbstractEventLoop, goes_on: Callable[[], None]) -> None:
        """From here on they are the loop's; `goes_on` is called when the process does."""
        try:
            loop.add_signal_handler(signal.SIGTERM, self._signalled, signal.SIGTERM)
            loop.add_signal_handler(signal.SIGHUP, self._signalled, signal.SIGHUP)
            loop.add_signal_handler(signal.SIGINT, self.leave)
            loop.add_signal_handler(signal.SIGCONT, goes_on)
        except (ValueError, RuntimeError, NotImplementedError):
            return  # not the main thread: somebody else has the signals

    def _signalled(self, number: int) -> None:
        self.exit_code = 128 + number
        if number == signal.SIGHUP:
            # The terminal may be gone, and Textual's writer with it: leave in any case.
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(3)
        if not self.guest:
            self._ask_to_stop(now=False)
        self.app.exit()
