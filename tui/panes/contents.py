"""What the detail shows: the lines of one subject, of a request those of one tab.

Made of the sections that are beside this; how they are read (what is folded, masked, looked for)
is told, and which keys change that is the pane's business.
"""

from dataclasses import dataclass
from typing import Any, List, Optional, Sequence, Union

from ..draw import Piece, found_in, wrapped
from ..model import text
from ..model.logs import Error, LogLine
from ..model.notices import Notices
from ..model.pins import Pin
from ..model.requests import key_of
from ..model.traffic import Row
from ..model.workers import Reload, Worker
from . import insight, summaries
from .lines import LinePane
from .messages import MessageSections
from .page import Lines, fact, heading
from .picture import Drawing
from .tabs import (
    ALL,
    cookie_lines,
    curl_lines,
    flame_lines,
    message_lines,
    timing_lines,
)
from .traceback import error_lines, raised_lines

COMMAND_LINES = 200  # of a curl command
Subject = Union[Row, Error, LogLine, Worker, Reload, Notices, Pin]

#: tabs whose lines begin with a heading of their own
_TITLED = ("Request", "Response", "Headers", "Cookies", "Pin", "SQL", "Calls", "Flame")


@dataclass
class Reading:
    """How a subject is read."""

    unfold: bool = False  # the frames of frameworks in tracebacks
    reveal: bool = False  # secrets
    whole: bool = False  # messages of streams: each in full
    control: bool = False  # and pings and pongs among them
    words: str = ""  # that are looked for
    depth: Optional[int] = None  # levels of JSON that are unfolded; None: all

    @property
    def key(self) -> Any:
        return (self.unfold, self.reveal, self.whole, self.control, self.words, self.depth)


class Contents:
    """Makes the lines for one pane."""

    def __init__(self, pane: LinePane, reading: Reading) -> None:
        self.pane = pane
        self.reading = reading
        self.drawing = Drawing(pane)
        self.messages = MessageSections(self.drawing)

    def of(self, subject: Any, width: int, wall: float) -> Lines:
        """Of anything but a request. `wall` is the time of day."""
        pane = self.pane
        if isinstance(subject, Error):
            return self._error(subject, width)
        if isinstance(subject, LogLine):
            return self._log_line(subject, width)
        if isinstance(subject, Worker):
            return summaries.worker_lines(pane, subject, width)
        if isinstance(subject, Reload):
            return summaries.reload_lines(pane, subject, width)
        if isinstance(subject, Pin):
            name = text.clean(subject.request.name, 200)
            return [[(f" {name}", pane.style("strong"))],
                    *summaries.pin_lines(pane, subject, width)]
        if isinstance(subject, Notices):
            return summaries.notice_lines(pane, subject, width, wall)
        return []

    # -- a request

    def request(self, row: Row, error: Optional[Error], names: Sequence[str], tab: str,
                width: int) -> Lines:
        """Of the tab of a request that has the tabs `names`; `error` is the exception that it
        ended with."""
        lines = self._all(row, error, names, width) if tab == ALL else self._tab(
            tab, row, error, width)
        if tab == "Messages" or not self.reading.words:
            return lines
        found, style = [self.reading.words.lower()], self.pane.style("found")
        return [found_in(line, found, style) for line in lines]

    def _tab(self, tab: str, row: Row, error: Optional[Error], width: int) -> Lines:
        pane, how = self.pane, self.reading
        if tab == "Trace" and error is not None:
            return error_lines(pane, error, how.unfold, width)
        if tab == "Messages":
            words = [how.words.lower()] if how.words else []
            return message_lines(pane, row, width, how.whole, how.control, words)
        if tab in ("Response", "Request"):
            message = row.response if tab == "Response" else row.request
            return self.messages.body(pane, tab, message, width, how.reveal, how.depth)
        if tab == "Headers":
            return self.messages.headers(pane, row, width, how.reveal)
        if tab == "Cookies":
            return cookie_lines(pane, row, width, how.reveal)
        if tab == "Pin":
            pin = pane.session.pins.find(key_of(row))
            return summaries.pin_lines(pane, pin, width) if pin is not None else []
        if tab == "SQL":
            return insight.query_lines(pane, row, width)
        if tab == "Calls":
            return insight.call_lines(pane, row, width)
        if tab == "Flame":
            return flame_lines(pane, row, width)
        if tab == "Log":
            return insight.log_lines(pane, row, width)
        if tab == "Curl":
            return curl_lines(pane, row, width, how.reveal, COMMAND_LINES)
        return timing_lines(pane, row, width)

    def _all(self, row: Row, error: Optional[Error], names: Sequence[str], width: int) -> Lines:
        """Everything below each other."""
        lines = self._text(row.shown_path, "text", width) + self._text(row.error, "error", width)
        for name in names:
            if name != ALL:
                title = [] if name in _TITLED else heading(self.pane, name, "", width)
                lines += [[], *title, *self._tab(name, row, error, width)]
        return lines

    def _text(self, words: Optional[str], style: str, width: int) -> Lines:
        pieces = wrapped(words, width - 2) if words else []
        return [[(" ", None), (piece, self.pane.style(style))] for piece in pieces]

    # -- an error, a log line

    def _error(self, error: Error, width: int) -> Lines:
        pane = self.pane
        lines = self._text(error.title, "error", width)
        if error.path:
            lines.append(fact(pane, "request", f"{error.method} {error.path}"))
        lines += [fact(pane, "where", f"{error.where} · pid {error.pid} · gen {error.gen}"),
                  fact(pane, "at", error.place_in(pane.session.folder) or "–"), []]
        return [*lines, *raised_lines(pane, error, self.reading.unfold, width)]

    def _log_line(self, line: LogLine, width: int) -> Lines:
        pane = self.pane
        clean = "".join(run for _, run in text.colour_runs(line.raw))
        page: List[Sequence[Piece]] = [] if not line.page else [
            fact(pane, "page", f"{line.page} · request {line.request} · client {line.client}")]
        return [
            fact(pane, "at", text.clock(line.t, fraction=True)),
            fact(pane, "from", f"{line.stream} {line.name} · {line.level} · pid {line.pid} · "
                               f"gen {line.gen}"),
            *page, [], *self._text(clean, "text", width)]
