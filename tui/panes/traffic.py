"""The live list of requests: finished ones from the ring, running ones at its end."""

from typing import Any, List, Optional, Sequence, Tuple

from textual import events
from textual.binding import Binding
from textual.geometry import Region

from tremolo.telemetry.filters import FilterError, is_judged

from ..draw import Piece, fit, middle_cut, spread
from ..model import text
from ..model.export import curl_of
from ..model.requests import key_of
from ..model.traffic import Entry, Row, Rule
from .exchange_line import columns, head_pieces, row_pieces, scale_of
from .lines import LinePane

LIVE_ROWS = 8
MOST_RUNNING = 10_000
TORRENT = 0.2  # seconds between draws that have nothing in common: nobody can read faster
FILTER = "filter "  # before what is filtered by


class TrafficPane(LinePane):
    NUMBER = 1
    TITLE = "Traffic"
    HEADS = 2
    FOLLOWS = True
    SUBJECT = Row

    BINDINGS = [
        Binding("enter", "open", "inspect", key_display="⏎", id="traffic.open"),
        Binding("space", "app.pause", "pause", key_display="␣", id="traffic.pause"),
        Binding("x", "cut", "cut", id="traffic.cut"),
        Binding("r", "app.replay", "replay", id="traffic.replay"),
        Binding("p", "app.pin", "pin", id="traffic.pin"),
        Binding("y", "curl", "curl", id="traffic.curl"),
        Binding("E", "app.edit_request", "edit and replay", show=False, id="traffic.change"),
        Binding("v", "app.reveal", "show or mask secrets in the detail", show=False,
                id="traffic.reveal"),
        Binding("b", "app.copy_body", "copy the response body", show=False, id="traffic.body"),
        Binding("s", "sort", "sort", show=False, id="traffic.sort"),
        Binding("S", "reverse", "reverse the order", show=False, id="traffic.reverse"),
        Binding("right", "app.detail_tab(1)", "next tab of the detail", show=False,
                id="traffic.next_tab"),
        Binding("left", "app.detail_tab(-1)", "tab before", show=False,
                id="traffic.previous_tab"),
        Binding("A", "app.mock", "answer this route without the application (mock)", show=False,
                id="traffic.mock"),
        Binding("m", "mark", "mark", show=False, id="traffic.mark"),
        Binding("M", "only_marked", "only what is marked; and back", show=False,
                id="traffic.marked"),
        Binding("o", "app.open_url", "open in the browser", show=False, id="traffic.url"),
        Binding("right_square_bracket", "jump('failed', 1)", "next that failed", show=False,
                key_display="]", id="traffic.next_failed"),
        Binding("left_square_bracket", "jump('failed', -1)", "the one before that failed",
                show=False, key_display="[", id="traffic.previous_failed"),
        Binding("right_curly_bracket", "jump('gen', 1)", "next generation", show=False,
                key_display="}", id="traffic.next_gen"),
        Binding("left_curly_bracket", "jump('gen', -1)", "generation before", show=False,
                key_display="{", id="traffic.previous_gen"),
        Binding("apostrophe", "jump('marked', 1)", "next that is marked", show=False,
                key_display="'", id="traffic.next_marked"),
    ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._live: List[Row] = []
        self._unlisted = self._in_progress = 0
        self._seen = 0  # rows that had come when it was drawn last
        self._lines: Sequence[Entry] = ()
        self._scale = 10.0  # milliseconds of a full bar

    # -- what is shown

    def version(self) -> Any:
        traffic = self.session.traffic
        self._look_at_running()
        live = tuple((row.uid, row.bytes_out, row.bytes_in, int(row.ms // 500), int(row.rate))
                     for row in self._live)
        revision = (traffic.filter_text, traffic.sort) if traffic.paused else traffic.revision
        return (traffic.paused, revision, live, self.follow, self.selected,
                self.session.pins.revision, self._unlisted)

    def sync(self, hurry: bool = False) -> bool:
        seen = self.session.traffic.seen
        if seen - self._seen > self.body_height and not hurry \
                and self.session.clock() - self._drawn_at < TORRENT:
            return False
        drawn = super().sync(hurry)
        if drawn:
            self._seen = seen
        return drawn

    def _look_at_running(self) -> None:
        """Those that run have a place where lines are in the order of time: the newest of them
        are listed, and how many are not is said."""
        session = self.session
        running = session.live.rows(session.clock(), MOST_RUNNING)
        matching = [row for row in running if session.traffic.matches(row)] if (
            session.traffic.filtered) else running
        placed = session.traffic.sort == "time" and not session.traffic.paused
        self._live = matching[-LIVE_ROWS:] if placed else []
        self._unlisted, self._in_progress = len(matching) - len(self._live), len(running)

    def _counts(self) -> Tuple[int, int]:
        """How many requests the filter lets through, of how many, those that run included."""
        shown, whole = self.session.traffic.counts()
        return shown + len(self._live) + self._unlisted, whole + self._in_progress

    def _settle(self) -> None:
        traffic = self.session.traffic
        self._lines = traffic.lines() if not traffic.filtered or traffic.counts()[0] else ()
        super()._settle()
        visible = range(self.top, min(self.count(), self.top + self.body_height))
        entries = [self.entry(index) for index in visible]
        self._scale = scale_of([entry for entry in entries if isinstance(entry, Row)])

    def count(self) -> int:
        return len(self._lines) + len(self._live)

    @property
    def _above(self) -> int:
        """How many lines of running requests stand above all others: where the newest do."""
        return len(self._live) if self.session.traffic.reverse else 0

    def entry(self, index: int) -> Entry:
        above = self._above
        if index < above:
            return self._live[above - 1 - index]
        finished = len(self._lines)
        return self._lines[index - above] if index - above < finished else (
            self._live[index - finished])

    def key_at(self, index: int) -> Any:
        entry = self.entry(index)
        return None if isinstance(entry, Rule) else entry.uid

    def index_of(self, key: Any) -> Optional[int]:
        if key < 0:
            for index, row in enumerate(self._live):
                if row.uid == key:
                    return self._above - 1 - index if self._above else len(self._lines) + index
            return None
        at = self.session.traffic.index_of(key)
        return None if at is None else at + self._above

    def subject_of_selection(self) -> Any:
        return self.selected_row()

    def selected_row(self) -> Optional[Row]:
        """The row under the cursor, or None."""
        if self.selected is None:
            return None
        if self.selected < 0:
            return next((row for row in self._live if row.uid == self.selected), None)
        entry = self.session.traffic.find(self.selected)
        return entry if isinstance(entry, Row) else None

    @property
    def grows_at_end(self) -> bool:
        return self.session.traffic.in_order_of_time

    def newest_key(self) -> Any:
        """The request that began last: a stream may have run at the end of the list for long."""
        ended = next((entry for entry in reversed(self._lines) if isinstance(entry, Row)), None)
        rows = [*([ended] if ended else ()), *self._live]
        return max(rows, key=lambda row: row.t).uid if rows else None

    def selection_lost(self) -> None:
        """A running exchange that was selected has finished: its row takes over. What the filter
        hides stays selected as long as the detail shows it."""
        lost, self.selected = self.selected, None
        if lost is None:
            return
        if lost > 0:
            row = self.session.traffic.find(lost)
            if isinstance(row, Row) and self.host.has_open(Row, row):
                self.selected = lost
            return
        self.selected = self.session.live.became(lost)
        if self.selected is None or self.index_of(self.selected) is None:
            self.selected = None
            self.follow = self.grows_at_end

    def cache_key(self, index: int) -> Any:
        entry = self.entry(index)
        if entry.uid < 0:
            return None
        marked = isinstance(entry, Row) and entry.marked
        return (entry.uid, self.session.pins.revision, marked, self._scale)

    def empty_lines(self, width: int) -> Sequence[Sequence[Piece]]:
        dim, key = self.style("dim"), self.style("key")
        _, whole = self._counts()
        if self.session.traffic.filtered and whole:
            return [[(f" none of {whole:,} requests matches the filter; ", dim), ("Esc", key),
                     (" shows all", dim)]]
        where = next(iter(self.session.addresses), "")
        if not where:
            return [[(" waiting for the server", dim)]]
        others = [*self.session.addresses[1:5], self.session.local]
        also: List[Sequence[Piece]] = [
            [("                    also on ", dim), (other, self.style("link"))]
            for other in others if other]
        return [[], [("   waiting for requests on ", dim), (where, self.style("link"))],
                *also, [],
                [("   y ", key), (f" {curl_of(self.session.addresses)}", self.style("text")),
                 ("  is copied", dim)],
                [("   o ", key), (" opens it in the browser", dim)],
                [("   ? ", key), (" lists all keys", dim)]]

    # -- drawing

    @property
    def _prompt(self) -> str:
        return f"{self.label} " if self.label else FILTER

    def entry_region(self) -> Region:
        region, start = self.region, 1 + len(self._prompt)
        return Region(region.x + start, region.y + self.titled,
                      max(10, min(region.width - start - 14, region.width // 2)), 1)

    def head_pieces(self, line: int, width: int) -> Sequence[Piece]:
        traffic = self.session.traffic
        if line == 0:
            return self._state_pieces(width)
        mistake = self.mistake or traffic.filter_error
        if mistake is not None:
            return self._mistake_pieces(mistake, width)
        return head_pieces(self, columns(width), self._scale, traffic.sort, traffic.reverse)

    def _mistake_pieces(self, error: FilterError, width: int) -> Sequence[Piece]:
        """What is wrong, below the place where it is."""
        words = f"╰ {error}"
        start = min(1 + len(self._prompt) + error.place, max(0, width - len(words)))
        return [(" " * start, None), (fit(words, width - start), self.style("error"))]

    def _state_pieces(self, width: int) -> Sequence[Piece]:
        """What is shown; the filter is typed at the very place where it stands afterwards."""
        traffic, dim = self.session.traffic, self.style("dim")
        left: List[Piece] = [(" ", None)]
        if self.typing:
            left.append((self._prompt, dim))
        elif traffic.filter_text:
            left += [(FILTER, dim), (traffic.filter_text, self.style("query"))]
        else:
            left += [("all requests", dim)]
        end: List[Piece] = []
        if traffic.filtered and (width >= 60 or not self.typing):
            shown, whole = self._counts()
            end += [(f"{shown:,} of {whole:,}", dim), ("  ", None)]
            more = traffic.unlisted
            if more and width >= 60:
                end += [(f"~{text.number(more)} more match", dim), ("  ", None)]
        order = "newest first" if traffic.sort == "time" else (
            f"by {traffic.sort}{' reversed' if traffic.reverse else ''}")
        if self._unlisted and width >= 60:
            end += [(f"{self._unlisted:,} in progress not listed", dim), ("  ", None)]
        if traffic.sort != "time" or traffic.reverse:
            end += [(order, self.style("query")), ("  ", None)]
        if len(self.session.pins) and width >= 60:
            end += [(f"{len(self.session.pins)} pinned", self.style("query")), ("  ", None)]
        dropped = self.session.totals.sums().plain["rows_dropped"]
        if dropped and width >= 60:
            unseen = "" if is_judged(traffic.filter_text) else ", not searched"
            end += [(f"{text.number(dropped)} not listed{unseen}", dim), ("  ", None)]
        if traffic.paused:
            end.append(("PAUSED", self.style("warning")))
        elif self.follow:
            end.append(("FOLLOW", self.style("good")))
        elif traffic.sort == "time" and not traffic.reverse:
            end += [("G", self.style("key")), (" follows", dim)]
        return spread(left, end + [(" ", None)], width)

    def pieces(self, index: int, width: int) -> Sequence[Piece]:
        entry = self.entry(index)
        if isinstance(entry, Rule):
            return self._rule_pieces(entry, width)
        pins = self.session.pins
        pinned = bool(len(pins)) and key_of(entry) in pins
        held = (entry.pid, entry.id) in self.session.holding.held
        return row_pieces(self, entry, columns(width), self._scale,
                          entry.uid == self.selected, pinned, held)

    def _rule_pieces(self, rule: Rule, width: int) -> Sequence[Piece]:
        line = self.style("error" if rule.failed else "rule")
        words = self.style("error" if rule.failed else "dim")
        label = middle_cut(f" {rule.label} ", max(10, width - 8))
        return [(" ──", line), (label, words), ("─" * width, line)]

    # -- keys

    def refuses(self, action: str) -> bool:
        row = self.selected_row()
        if action == "open":
            return not self.count()
        if action == "curl":
            return row is None and bool(self.count() or not self.session.addresses)
        return action == "cut" and (row is None or not self._may_be_open(row))

    def _may_be_open(self, row: Row) -> bool:
        connections = self.session.connections
        return bool(connections.left_out) or connections.find((row.pid, row.conn)) is not None

    def action_open(self) -> None:
        if self.selected is None and self.count():
            self.action_move(-1)
        if self.selected is not None:
            self.post_message(self.Selected(self))

    def action_sort(self) -> None:
        self.session.traffic.cycle_sort()
        self._sorted()

    def action_reverse(self) -> None:
        self.session.traffic.reverse_sort()
        self._sorted()

    def _sorted(self) -> None:
        """In another order: its first line is what one wants to see."""
        traffic = self.session.traffic
        self._lines = traffic.lines()
        self._selected_at = self.selected_index() or 0
        self.follow = traffic.sort == "time" and not traffic.reverse and self.selected is None
        self.top = 0
        self.redraw()

    def on_click(self, event: events.Click) -> None:
        """A click on the head of a column sorts by it."""
        if event.y != self.titled + 1:
            super().on_click(event)
            return
        before = [name for start, name in columns(self.size.width - 1).starts
                  if start <= event.x]
        if before:
            self.session.traffic.sort_by(before[-1])
            self._sorted()

    def action_mark(self) -> None:
        row = self.selected_row()
        if row is None or row.uid < 0:
            self.session.notify("select a request that has ended, then m marks it", "warning")
            return
        row.marked = not row.marked
        self.session.traffic.revision += 1
        self.redraw()

    def action_jump(self, kind: str, step: int) -> None:
        """Select the next line of a kind, or the one before; from the end on to the beginning."""
        count = self.count()
        here = self.selected_index()
        start = here if here is not None else count if step < 0 else -1
        for offset in range(1, count + 1):
            index = (start + step * offset) % count
            if self._is_kind(kind, index):
                self.select_index(index)
                return
        words = {"failed": "no request here has failed", "gen": "all are of one generation",
                 "marked": "nothing here is marked: m marks"}
        self.session.notify(words[kind] if count else "no requests yet", "info")

    def _is_kind(self, kind: str, index: int) -> bool:
        entry = self.entry(index)
        if isinstance(entry, Rule):
            return False
        if kind == "gen":  # the first row after a rule
            return index > 0 and isinstance(self.entry(index - 1), Rule)
        if kind == "marked":
            return entry.marked
        return entry.status >= 500 or bool(entry.error) or entry.state == "aborted"

    def action_only_marked(self) -> None:
        only = self.session.traffic.filter_text == "marked:"
        self.session.traffic.set_filter("" if only else "marked:")
        self.redraw()

    def action_cut(self) -> None:
        row = self.selected_row()
        if row is None:
            self.session.notify("select a request first, then x cuts its connection", "warning")
            return
        self.session.commands.give("cut", {"pid": row.pid, "conn": row.conn},
                                   f"cut connection {row.conn}")

    def action_curl(self) -> None:
        row = self.selected_row()
        from ..clipboard import copy, copy_curl

        if row is not None:
            copy_curl(self.host, row)
        elif not self.count() and self.session.addresses:
            copy(self.host, curl_of(self.session.addresses), "curl command")
        else:
            self.session.notify("select a request first, then y copies it as curl", "warning")
