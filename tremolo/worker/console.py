"""What the console of browser pages logs, as log lines of the request that made the page.

Pages send it in JSON, from a script of ours; nothing in it is trusted, all of it is bounded. At
most RATE lines a second pass, BURST at once; how many did not is logged.
"""

import json
import re
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional

from ..telemetry.builders import log_event
from ..telemetry.sanitize import clean
from ..telemetry.secrets import masked_text

if TYPE_CHECKING:
    from ..telemetry.messages import LogEvent

MAX_BODY = 160 * 1024
MAX_LINES = 50  # in one message
RATE = 20.0
BURST = 100.0
MAX_TEXT = 2000
_PAGE = re.compile(r"([0-9]{1,10})\.([0-9]{1,15})")
_LEVELS = ("error", "warning")


class Console:
    """Turns the messages of pages, which may be of another worker, into LogEvents for `send`.
    `clock()` counts seconds."""

    def __init__(self, clock: Callable[[], float], send: "Callable[[LogEvent], object]") -> None:
        self._clock = clock
        self._send = send
        self._room = BURST
        self._at = clock()
        self._left_out = 0

    def take(self, body: bytes, client: str) -> bool:
        """The message of a page of the peer `client`; False if it is none."""
        try:
            message = json.loads(body)
        except (ValueError, RecursionError):
            return False
        if not isinstance(message, dict) or not isinstance(message.get("lines"), list):
            return False
        page = _PAGE.fullmatch(str(message.get("page", "")))
        if page is None:
            return False
        generation = str(message.get("generation", "")).rpartition("-")[2]
        about: LogEvent = {
            "pid": int(page[1]), "request": int(page[2]),
            "gen": int(generation) if re.fullmatch("[0-9]{1,9}", generation) else 0,
            "page": clean(str(message.get("path", "")), 300), "client": clean(client, 64)}
        lines = [line for line in message["lines"] if isinstance(line, dict)]
        self._refill()
        left_out = message.get("left_out")
        if isinstance(left_out, int) and 0 < left_out < 1_000_000:
            self._left_out += left_out
        self._left_out += max(0, len(lines) - MAX_LINES)
        for line in lines[:MAX_LINES]:
            self._take_line(line, about)
        return True

    def _refill(self) -> None:
        now = self._clock()
        self._room = min(BURST, self._room + (now - self._at) * RATE)
        self._at = now

    def _take_line(self, line: Dict[str, Any], about: "LogEvent") -> None:
        if self._room < 1.0:
            self._left_out += 1
            return
        self._room -= 1.0
        if self._left_out:
            count, self._left_out = self._left_out, 0
            self._log(f"{count:,} more lines of browser pages came too fast", "warning", about)
        level = str(line.get("level"))
        self._log(_text_of(line), level if level in _LEVELS else "error", about)

    def _log(self, text: str, level: str, about: "LogEvent") -> None:
        event = log_event(text, level, "browser", "browser")
        event.update(about)
        self._send(event)


def _text_of(line: Dict[str, Any]) -> str:
    """The line's text; its own line ends stay, as stacks have them."""
    lines: List[str] = [clean(part, MAX_TEXT) for part in
                        masked_text(str(line.get("text", ""))[:MAX_TEXT]).split("\n")[:40]]
    place = clean(masked_text(str(line.get("place", ""))), 300)
    if place and place not in lines[0]:
        lines[0] += f" ({place})"
    times: Optional[Any] = line.get("times")
    if isinstance(times, int) and 1 < times < 1_000_000_000:
        lines[0] += f" ({times:,} times)"
    return "\n".join(lines)
