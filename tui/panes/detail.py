"""One request, error or log line in full, beside or below the list it was opened from."""

from typing import Any, List, Optional, Sequence

from rich.cells import cell_len
from textual import events
from textual.binding import Binding

from ..clipboard import copy, copy_body, copy_curl
from ..draw import Piece, fit, spread
from ..model import bodies, text
from ..model.causes import causes_of
from ..model.logs import Error
from ..model.messages import Message
from ..model.notices import Notices
from ..model.requests import key_of
from ..model.traffic import Row
from ..model.workers import Reload, Worker
from .contents import Contents, Reading, Subject
from .lines import LinePane
from .page import STATUS_KINDS, STATUS_MARKS, unfolded
from .tabs import names_for, tab_pieces


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
        Binding("a", "send", "send a message", id="detail.send"),
        Binding("C", "hang_up", "close with a code", id="detail.hang_up"),
        Binding("right,tab", "tab(1)", "next tab", key_display="→", id="detail.next"),
        Binding("left,shift+tab", "tab(-1)", "tab before", show=False, id="detail.previous"),
        Binding("slash", "app.filter", "find", show=False, key_display="/", id="detail.find"),
        Binding("n", "next", "next place found", show=False, id="detail.again"),
        Binding("z", "whole", "messages in full", show=False, id="detail.whole"),
        Binding("h", "control", "pings and pongs", show=False, id="detail.control"),
        Binding("f", "fold", "framework frames", show=False, id="detail.fold"),
        Binding("minus", "depth(-1)", "fold JSON a level", show=False, key_display="-",
                id="detail.less"),
        Binding("plus,equals_sign", "depth(1)", "unfold JSON a level", show=False,
                key_display="+", id="detail.more"),
    ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.subject: Optional[Subject] = None
        self.tab = ""  # of a request
        self._wanted = ""  # the tab that the user chose last
        self._names: List[str] = []
        self._causes: List[str] = []
        self.reading = Reading()
        self.contents = Contents(self, self.reading)
        self._body: List[Sequence[Piece]] = []

    def show_subject(self, subject: Subject, along: bool = False) -> None:
        """Show `subject` from its first line on, in the tab that matters most; or, `along` with
        a selection that moves, in the tab that was chosen."""
        if subject is not self.subject:
            self.top = 0
            self.follow = True
            self.reading.reveal, self.reading.depth = False, None
            if not along:
                self._wanted = ""
        self.subject = subject
        self.tab = ""
        self.redraw()

    def shows(self, subject: Subject) -> bool:
        """Whether that is what is shown; a request that runs is another Row each time."""
        mine = self.subject
        if isinstance(mine, Row) and isinstance(subject, Row):
            return mine.uid == subject.uid
        return mine is subject

    @property
    def error(self) -> Optional[Error]:
        """The exception that is shown, if any."""
        if isinstance(self.subject, Error):
            return self.subject
        if isinstance(self.subject, Row):
            return self.session.errors.of_request(self.subject.pid, self.subject.id)
        return None

    @property
    def heads(self) -> int:
        return 2 + bool(self._causes) if isinstance(self.subject, Row) else 0

    def version(self) -> Any:
        subject, session = self.subject, self.session
        row = subject if isinstance(subject, Row) else None
        moving = row is not None and row.state == "live"
        moving = moving or isinstance(subject, (Worker, Reload))
        return (id(subject), self.tab, self.reading.key, self.contents.drawing.version,
                row and (id(row.request), id(row.response)), session.pins.revision,
                session.workers.revision if moving else 0,
                session.reload.at if isinstance(subject, Reload) else 0,
                session.errors.revision, isinstance(subject, Notices) and subject.revision,
                session.log.revision if row else 0, session.insight.revision if row else 0,
                session.conversations.revision if row and row.stream else 0,
                (session.connections.revision, session.traffic.seen) if moving else 0)

    def shown(self) -> Any:
        heads = [self.head_pieces(line, self.size.width) for line in range(self.heads)]
        return [self.top, self.title_end(), heads, self._body]

    def _settle(self) -> None:
        width = max(20, self.size.width - 1)
        subject = self.subject
        if isinstance(subject, Row):
            if subject.state == "live":
                subject = self.subject = self._newest(subject)
            lines = self._request_lines(subject, width)
        else:
            lines = self.contents.of(subject, width, self.host.wall_clock())
        self._body = unfolded(lines, width)
        following, self.follow = self.follow, self.follow and self.tab == "Messages"
        super()._settle()
        self.follow = following

    def scroll_lines(self, lines: int) -> None:
        """Whoever reads is left where he is: new messages do not move the view."""
        self.follow = False
        super().scroll_lines(lines)
        if lines > 0 and self.top >= self.count() - self.body_height:
            self.follow = True
            self.redraw()

    def action_first(self) -> None:
        self.follow = False
        super().action_first()

    def action_last(self) -> None:
        super().action_last()
        self.follow = True

    def count(self) -> int:
        return len(self._body)

    def pieces(self, index: int, width: int) -> Sequence[Piece]:
        return self._body[index]

    def title_end(self) -> str:
        if self.reading.words:
            return f"/{self.reading.words} · n next"
        if self.tab == "Messages" and self.subject is not None:
            return "FOLLOW" if self.follow else "G follows"
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

    def head_pieces(self, line: int, width: int) -> Sequence[Piece]:
        row = self.subject
        if not isinstance(row, Row):
            return ()
        if line == 1:
            return tab_pieces(self, self._names, self.tab, width)
        if line == 2:
            return [(" " + fit(" · ".join(self._causes), width - 2), self.style("warning"))]
        kind = STATUS_KINDS.get(row.status // 100, "failed")
        mark = STATUS_MARKS.get(row.status // 100, "")
        status = mark + str(row.status) if row.status else "no response"
        if row.state == "live":
            status, kind = "in progress", "stream"
        elif row.state == "over":
            status, kind = "has ended", "dim"
        end: List[Piece] = [(f" {text.duration(row.ms)}", self.style("text")),
                            (" cut off" if row.state == "aborted" else "", self.style("error")),
                            (" ", None)]
        room = width - sum(cell_len(part) for part, _ in end) - len(row.method) - len(status) - 5
        return spread([(" ", None), (f"{row.method} ", self.style("strong")),
                       ("→ ", self.style("dim")), (status + " ", self.style(kind)),
                       (fit(row.shown_path, max(6, room)), self.style("text"))], end, width)

    def _request_lines(self, row: Row, width: int) -> List[Sequence[Piece]]:
        pinned = key_of(row) in self.session.pins
        facts = self.session.insight.of(row.pid, row.id) if row.id else None
        self._causes = causes_of(row, facts)
        self._names = names_for(self.session, row, self.error is not None, pinned)
        if self.tab not in self._names:
            self.tab = self._wanted if self._wanted in self._names else self._names[0]
        return self.contents.request(row, self.error, self._names, self.tab, width)

    # -- keys

    def find(self, words: str, again: bool) -> None:
        """Mark where `words` stand, and go to the next place from here; "": mark nothing."""
        self.reading.words = words
        if words:
            self.follow = False
            self._settle()
            start = self.top + again
            count = self.count()
            for step in range(count):
                index = (start + step) % count
                if words.lower() in "".join(part for part, _ in self._body[index]).lower():
                    self.top = max(0, min(index, count - self.body_height))
                    break
        self.redraw()

    def action_next(self) -> None:
        if self.reading.words:
            self.find(self.reading.words, again=True)

    def action_tab(self, step: int) -> None:
        """The next tab, or the one before."""
        if self._names and isinstance(self.subject, Row):
            at = self._names.index(self.tab) if self.tab in self._names else 0
            self.tab = self._wanted = self._names[(at + step) % len(self._names)]
            self.top, self.follow = 0, True
            self.redraw()

    def on_click(self, event: events.Click) -> None:
        if event.y != self.titled + 1 or not isinstance(self.subject, Row):
            return
        column = 0
        for part, _ in tab_pieces(self, self._names, self.tab, self.size.width - 1):
            if column <= event.x < column + len(part) and part.strip() in self._names:
                self.tab = self._wanted = part.strip()
                self.top, self.follow = 0, True
                self.redraw()
                return
            column += len(part)

    def action_whole(self) -> None:
        """Messages of streams in full, or one line each."""
        self.reading.whole = not self.reading.whole
        self.redraw()

    async def action_send(self) -> None:
        row = self._websocket_in_question()
        if row is not None:
            await self.host.ask_message(row)

    async def action_hang_up(self) -> None:
        row = self._websocket_in_question()
        if row is not None:
            await self.host.ask_close(row)

    def _websocket_in_question(self) -> Optional[Row]:
        row = self.open_websocket
        if row is None:
            self.session.notify("only over a WebSocket that is open", "warning")
        return row

    @property
    def open_websocket(self) -> Optional[Row]:
        row = self.subject
        return row if isinstance(row, Row) and row.websocket and row.state == "live" else None

    def action_depth(self, step: int) -> None:
        """Fold what lies deeper in JSON, or unfold a level of it."""
        depth = bodies.DEEPEST if self.reading.depth is None else self.reading.depth
        message = self._shown_message()
        if message is None or bodies.kind_of(message) != "json":
            self.session.notify("no JSON here to fold", "info")
            return
        depth = max(1, min(depth, bodies.depth_of(message)) + step)
        self.reading.depth = None if depth >= bodies.depth_of(message) else depth
        self.redraw()

    def _shown_message(self) -> Optional[Message]:
        row = self.subject
        if not isinstance(row, Row) or self.tab not in ("Response", "Request"):
            return None
        message = row.response if self.tab == "Response" else row.request
        return None if message is None else bodies.readable(message)[0]

    def action_control(self) -> None:
        """Show pings and pongs, or hide them."""
        self.reading.control = not self.reading.control
        self.redraw()

    def action_fold(self) -> None:
        self.reading.unfold = not self.reading.unfold
        self.redraw()

    def reveal(self) -> None:
        """Show secrets, until another subject is opened; or mask them again."""
        self.reading.reveal = not self.reading.reveal
        self.redraw()

    def refuses(self, action: str) -> bool:
        if action in ("send", "hang_up"):
            return self.open_websocket is None
        return action in ("curl", "tab(1)") and not isinstance(self.subject, Row)

    def action_curl(self) -> None:
        if isinstance(self.subject, Row):
            copy_curl(self.host, self.subject)

    def action_copy(self) -> None:
        if self.error is not None:
            copy(self.host, "\n".join(self.error.traceback), "traceback")
        elif isinstance(self.subject, Row):
            copy_body(self.host, self.subject)
