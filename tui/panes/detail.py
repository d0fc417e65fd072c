"""One request, error or log line in full, beside or below the list it was opened from."""

from typing import Any, List, Optional, Sequence, Union

from textual.binding import Binding
from textual.strip import Strip

from ..clipboard import copy, copy_body, copy_curl
from ..draw import Piece, wrapped
from ..model import text
from ..model.logs import Error, LogLine
from ..model.notices import Notices
from ..model.traffic import Row
from ..model.workers import Reload, Worker
from . import happenings, insight
from .errors import traceback_pieces
from .lines import STATUS_KINDS, LinePane
from .messages import MessageSections
from .page import fact, heading

Subject = Union[Row, Error, LogLine, Worker, Reload, Notices]


class DetailPane(LinePane):
    TITLE = "Detail"
    SELECTABLE = False

    BINDINGS = [
        Binding("escape", "app.close_detail", "close", key_display="Esc", id="detail.close"),
        Binding("e", "app.edit", "editor", id="detail.edit"),
        Binding("r", "app.replay", "replay", id="detail.replay"),
        Binding("p", "app.pin", "pin", id="detail.pin"),
        Binding("y", "curl", "copy as curl", id="detail.curl"),
        Binding("E", "app.edit_request", "edit and replay", show=False, id="detail.change"),
        Binding("v", "app.reveal", "show or mask secrets", show=False, id="detail.reveal"),
        Binding("b", "app.copy_body", "copy the response body", show=False, id="detail.body"),
        Binding("Y", "copy", "copy traceback, or else the body", show=False,
                id="detail.copy"),
        Binding("f", "fold", "framework frames", show=False, id="detail.fold"),
    ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.subject: Optional[Subject] = None
        self._unfold = False
        self._reveal = False
        self._messages = MessageSections()
        self._settled_for = 0  # cells
        self._body: List[Sequence[Piece]] = []

    def show_subject(self, subject: Subject) -> None:
        if subject is not self.subject:
            self.top = 0
            self._reveal = False
        self.subject = subject
        self.redraw()

    @property
    def error(self) -> Optional[Error]:
        """The exception that is shown, if any."""
        if isinstance(self.subject, Error):
            return self.subject
        if isinstance(self.subject, Row):
            return self.session.errors.of_request(self.subject.pid, self.subject.id)
        return None

    def version(self) -> Any:
        subject = self.subject
        moving = isinstance(subject, Row) and subject.state == "live"
        moving = moving or isinstance(subject, (Worker, Reload))
        return (id(subject), self._unfold, self._reveal,
                isinstance(subject, Row) and (id(subject.request), id(subject.response)),
                self.session.pins.revision,
                self.session.workers.revision if moving else 0,
                self.session.reload.at if isinstance(subject, Reload) else 0,
                self.session.errors.revision, isinstance(subject, Notices) and subject.revision,
                self.session.log.revision if isinstance(subject, Row) else 0,
                (self.session.connections.revision, self.session.traffic.seen) if moving else 0)

    def _settle(self) -> None:
        self._settled_for = self.size.width
        width = max(20, self.size.width - 1)
        subject = self.subject
        if isinstance(subject, Row):
            if subject.state == "live":
                subject = self.subject = self._newest(subject)
            self._body = self._request_lines(subject, width)
        elif isinstance(subject, Error):
            self._body = self._error_lines(subject, width)
        elif isinstance(subject, LogLine):
            self._body = self._log_lines(subject, width)
        elif isinstance(subject, Worker):
            self._body = happenings.worker_lines(self, subject, width)
        elif isinstance(subject, Reload):
            self._body = happenings.reload_lines(self, subject, width)
        elif isinstance(subject, Notices):
            self._body = happenings.notice_lines(self, subject, width, self.host.wall_clock())
        else:
            self._body = []
        super()._settle()

    def render_line(self, y: int) -> Strip:
        if y == 0 and self.size.width != self._settled_for:
            self._settle()  # its first drawing comes before it is told its size
        return super().render_line(y)

    def count(self) -> int:
        return len(self._body)

    def pieces(self, index: int, width: int) -> Sequence[Piece]:
        return self._body[index]

    def title_end(self) -> str:
        return "Esc closes"

    def _newest(self, row: Row) -> Row:
        """What a running exchange has come to."""
        for live in self.session.live.rows(self.session.clock(), 10_000):
            if live.uid == row.uid:
                return live
        uid = self.session.live.became(row.uid)
        finished = self.session.traffic.find(uid) if uid is not None else None
        if isinstance(finished, Row):
            return finished
        row.state = "over"
        return row

    # -- a request

    def _request_lines(self, row: Row, width: int) -> List[Sequence[Piece]]:
        dim, plain, strong = self.style("dim"), self.style("text"), self.style("strong")
        kind = STATUS_KINDS.get(row.status // 100, "error")
        status = str(row.status) if row.status else "no response"
        if row.state == "live":
            status, kind = "in progress", "good"
        elif row.state == "over":
            status, kind = "has ended", "dim"
        protocol = "WebSocket" if row.http == "ws" else "HTTP/" + row.http
        lines: List[Sequence[Piece]] = [
            [(" ", None), (f"{row.method} ", strong), ("→ ", dim), (status, self.style(kind)),
             (f"  {text.duration(row.ms)}", plain),
             ("  cut off" if row.state == "aborted" else "", self.style("error"))]]
        lines += [[(" ", None), (part, plain)] for part in wrapped(row.path, width - 2)]
        if row.route and row.route != row.path:
            lines.append(fact(self, "route", row.route))
        if row.error:
            lines += [[(" ", None), (part, self.style("error"))]
                      for part in wrapped(row.error, width - 2)]
        lines.append([])
        if row.state in ("live", "over"):
            lines.append(fact(self, "rate now", text.rate(row.rate)))
        else:
            lines += self._timing(row, width)
        lines += [
            [],
            fact(self, "at", text.clock(row.t, fraction=True)
                       + (f"  #{row.id}" if row.id else "")),
            fact(self, "sizes",
                       f"in {text.size(row.bytes_in)} · out {text.size(row.bytes_out)}"),
            fact(self, "served by", f"pid {row.pid} · gen {row.gen} · conn {row.conn} · "
                                    f"{'TLS · ' if row.secure else ''}{protocol}"),
        ]
        error = self.error
        if error is not None:
            lines += [[], *heading(self, "Traceback", error.place, width),
                      *traceback_pieces(self, error, self._unfold),
                      *insight.variable_lines(self, error)]
        lines += happenings.pin_lines(self, row, width)
        lines += self._messages.lines(self, row, width, self._reveal)
        lines += insight.log_lines(self, row, width)
        lines += [[], *heading(self, "curl", "y copies", width)]
        return lines + self._messages.command(self, row, width, self._reveal)

    def _timing(self, row: Row, width: int) -> List[Sequence[Piece]]:
        """A bar for each phase, on one scale."""
        whole = max(row.ms, 0.001)
        app, throttle, send = row.phases
        room = max(10, width - 22)
        lines: List[Sequence[Piece]] = []
        start = 0.0
        phases = (("app", app, "second"), ("throttle", throttle, "warning"),
                  ("send", send, "dim"))
        for name, ms, kind in phases:
            before = min(room - 1, round(start / whole * room))
            cells = min(room - before, max(1 if ms > 0.05 else 0, round(ms / whole * room)))
            lines.append([(f" {name:<9}", self.style("dim")),
                          (f"{text.millis(ms):>8}  ", self.style("text")),
                          (" " * before, None), ("━" * cells, self.style(kind))])
            start += ms
        return lines

    # -- an error, a log line

    def _error_lines(self, error: Error, width: int) -> List[Sequence[Piece]]:
        plain = self.style("text")
        lines: List[Sequence[Piece]] = [[(" ", None), (part, self.style("error"))]
                                        for part in wrapped(error.title, width - 2)]
        if error.path:
            lines.append(fact(self, "request", f"{error.method} {error.path}"))
        lines += [fact(self, "where", f"{error.where} · pid {error.pid} · gen {error.gen}"),
                  fact(self, "at", error.place or "–"), []]
        for pieces in traceback_pieces(self, error, self._unfold):
            whole = "".join(part for part, _ in pieces)
            style = pieces[-1][1] or plain
            lines += [[(part, style)] for part in wrapped(whole, width)]
        return [*lines, [], *insight.variable_lines(self, error)]

    def _log_lines(self, line: LogLine, width: int) -> List[Sequence[Piece]]:
        clean = "".join(run for _, run in text.colour_runs(line.raw))
        return [
            fact(self, "at", text.clock(line.t, fraction=True)),
            fact(self, "from", f"{line.stream} {line.name} · {line.level} · pid {line.pid} · "
                               f"gen {line.gen}"), [],
            *([(" " + part, self.style("text"))] for part in wrapped(clean, width - 2))]

    # -- keys

    def find(self, words: str, again: bool) -> None:
        """Go to the next line that contains `words`; "": show no places any more."""

    def action_fold(self) -> None:
        self._unfold = not self._unfold
        self.redraw()

    def reveal(self) -> None:
        """Show secrets, until another subject is opened; or mask them again."""
        self._reveal = not self._reveal
        self.redraw()

    def action_curl(self) -> None:
        if isinstance(self.subject, Row):
            copy_curl(self.host, self.subject)

    def action_copy(self) -> None:
        if self.error is not None:
            copy(self.host, "\n".join(self.error.traceback), "traceback")
        elif isinstance(self.subject, Row):
            copy_body(self.host, self.subject)
