"""The live list of requests: finished ones from the ring, running ones at its end."""

import math
from typing import Any, List, Optional, Sequence, Tuple

from textual.binding import Binding

from ..draw import Piece, fit, middle_cut, right, spread
from ..model import text
from ..model.requests import key_of
from ..model.traffic import Entry, Row, Rule
from .lines import STATUS_KINDS, LinePane

LIVE_ROWS = 8
TORRENT = 0.2  # seconds between draws that have nothing in common: nobody can read faster
_SHORT = {"DELETE": "DEL", "OPTIONS": "OPT", "PATCH": "PAT", "CONNECT": "CON", "TRACE": "TRC"}


class TrafficPane(LinePane):
    NUMBER = 1
    TITLE = "Traffic"
    HEADS = 2
    FOLLOWS = True

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
        Binding("o", "app.open_url", "open in the browser", show=False, id="traffic.url"),
    ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._live: List[Row] = []
        self._seen = 0  # rows that had come when it was drawn last
        self._lines: Sequence[Entry] = ()

    # -- what is shown

    def version(self) -> Any:
        traffic = self.session.traffic
        self._live = self._live_rows()
        live = tuple((row.uid, row.bytes_out, row.bytes_in, int(row.ms // 500), int(row.rate))
                     for row in self._live)
        revision = (traffic.filter_text, traffic.sort) if traffic.paused else traffic.revision
        return (traffic.paused, revision, live, self.follow, self.selected,
                self.session.pins.revision)

    def sync(self, hurry: bool = False) -> bool:
        seen = self.session.traffic.seen
        if seen - self._seen > self.body_height and not hurry \
                and self.session.clock() - self._drawn_at < TORRENT:
            return False
        drawn = super().sync(hurry)
        if drawn:
            self._seen = seen
        return drawn

    def _live_rows(self) -> List[Row]:
        session = self.session
        if session.traffic.paused or session.traffic.sort != "time":
            return []
        rows = session.live.rows(session.clock(), LIVE_ROWS)
        if session.traffic.filtered:
            rows = [row for row in rows if session.traffic.matches(row)]
        return rows

    def _settle(self) -> None:
        self._lines = self.session.traffic.lines()
        super()._settle()

    def count(self) -> int:
        return len(self._lines) + len(self._live)

    def entry(self, index: int) -> Entry:
        finished = len(self._lines)
        return self._lines[index] if index < finished else self._live[index - finished]

    def key_at(self, index: int) -> Any:
        entry = self.entry(index)
        return None if isinstance(entry, Rule) else entry.uid

    def index_of(self, key: Any) -> Optional[int]:
        if key < 0:
            for index, row in enumerate(self._live):
                if row.uid == key:
                    return len(self._lines) + index
            return None
        return self.session.traffic.index_of(key)

    def selected_row(self) -> Optional[Row]:
        """The row under the cursor, or None."""
        if self.selected is None:
            return None
        if self.selected < 0:
            return next((row for row in self._live if row.uid == self.selected), None)
        entry = self.session.traffic.find(self.selected)
        return entry if isinstance(entry, Row) else None

    def selection_lost(self) -> None:
        """A running exchange that was selected has finished: its row takes over."""
        lost, self.selected = self.selected, None
        if lost is None or lost > 0:
            return
        self.selected = self.session.live.became(lost)
        if self.selected is None or self.index_of(self.selected) is None:
            self.selected = None
            self.follow = True

    def cache_key(self, index: int) -> Any:
        entry = self.entry(index)
        return (entry.uid, self.session.pins.revision) if entry.uid > 0 else None

    def empty_text(self) -> str:
        if self.session.traffic.filtered:
            return "nothing matches the filter"
        where = next(iter(self.session.addresses), "")
        return f"waiting for requests on {where}" if where else "waiting for requests"

    def title_end(self) -> str:
        return ""

    # -- drawing

    def _columns(self, width: int) -> Tuple[bool, int, int, int]:
        """Wide form?, cells for the method, for the path, for the bar."""
        wide = width >= 96
        method = 6 if wide else 4
        bar = 16 if width >= 110 else 12 if wide else 10 if width >= 76 else 0
        used = 1 + (12 if wide else 8) + 1 + method + 1 + 4 + 1 + 1 + 7 + 1 + 7 + 1 + bar + 1
        return wide, method, max(8, width - used), bar

    def head_pieces(self, line: int, width: int) -> Sequence[Piece]:
        return self._state_pieces(width) if line == 0 else self._column_pieces(width)

    def _state_pieces(self, width: int) -> Sequence[Piece]:
        traffic, dim = self.session.traffic, self.style("dim")
        left: List[Piece] = [(" ", None)]
        if traffic.filter_error is not None:
            left += [("filter ", dim), (str(traffic.filter_error), self.style("error"))]
        elif traffic.filter_text:
            left += [("filter ", dim), (traffic.filter_text, self.style("accent"))]
        else:
            left += [("all requests", dim)]
        end: List[Piece] = []
        if traffic.sort != "time" or traffic.reverse:
            order = {"time": "newest first"}.get(traffic.sort, f"by {traffic.sort}")
            end += [(order, self.style("accent")), ("  ", None)]
        if traffic.filtered:
            shown = sum(isinstance(entry, Row) for entry in self._lines)
            whole = sum(isinstance(entry, Row) for entry in traffic.entries)
            end += [(f"{shown:,} of {whole:,}", dim), ("  ", None)]
        if len(self.session.pins):
            end += [(f"{len(self.session.pins)} pinned", self.style("accent")), ("  ", None)]
        dropped = self.session.totals.sums().plain["rows_dropped"]
        if dropped:
            end += [(f"{text.number(dropped)} sampled out", dim), ("  ", None)]
        if traffic.paused:
            end.append(("PAUSED", self.style("warning")))
        elif self.follow:
            end.append(("FOLLOW", self.style("good")))
        else:
            end.append(("G follows", dim))
        return spread(left, end + [(" ", None)], width)

    def _column_pieces(self, width: int) -> Sequence[Piece]:
        wide, method, path, bar = self._columns(width)
        key = self.style("faint")
        names = [" ", fit("TIME", 12 if wide else 8), " ", fit("METH", method), " ", "ST   ",
                 fit("PATH", path), " ", right("SIZE", 7), " ", right("MS", 7), " "]
        pieces: List[Piece] = [("".join(names), self.style("head"))]
        if bar:
            pieces += [("━", self.style("second")), ("app ", key), ("─", self.style("dim")),
                       ("send", key)]
        return pieces

    def pieces(self, index: int, width: int) -> Sequence[Piece]:
        entry = self.entry(index)
        if isinstance(entry, Rule):
            return self._rule_pieces(entry, width)
        wide, method, path, bar = self._columns(width)
        row, dim, plain = entry, self.style("dim"), self.style("text")
        live = row.state == "live"
        verb = row.method if wide else _SHORT.get(row.method, row.method)
        code, kind = self._status(row)
        chosen = row.uid == self.selected
        line: List[Piece] = [
            ("▌" if chosen else " ", self.style("accent")),
            (text.clock(row.t, fraction=wide), dim), (" ", None),
            (fit(verb, method), self.style("strong" if row.method not in ("GET", "HEAD")
                                           else "text")),
            (" ", None), (fit(code, 4), self.style(kind)), (" ", None),
        ]
        line += self._path_pieces(row, path, plain, dim)
        slow = not live and row.ms >= 1000
        line += [
            (" ", None), (right(text.size(row.bytes_out), 7), plain if row.bytes_out else dim),
            (" ", None),
            (right("live" if live else text.millis(row.ms), 7),
             self.style("good" if live else "warning" if slow else "text")),
            (" ", None),
        ]
        if bar:
            line += self._bar(row, bar)
        return line

    def _status(self, row: Row) -> Tuple[str, str]:
        if row.state == "live" and not row.status:
            return "···", "dim"
        code = str(row.status) if row.status else "–"
        if row.state == "aborted":
            return code + "✗", "error"
        return code, STATUS_KINDS.get(row.status // 100, "error")

    def _path_pieces(self, row: Row, width: int, plain: Any, dim: Any) -> List[Piece]:
        tail = ""
        if row.state == "live":
            arrow = "⇅" if row.http == "ws" else "↑" if row.bytes_in > row.bytes_out else "↓"
            tail = f" {arrow} {text.rate(row.rate)}"
        elif row.state == "aborted" and width > 30:
            tail = " cut off"
        elif len(self.session.pins) and key_of(row) in self.session.pins:
            tail = " ⟲ pinned" if width > 30 else " ⟲"
        elif row.error and width > 40:
            tail = " " + middle_cut(row.error, width // 3)
        room = max(4, width - len(tail))
        path, mark, query = row.path.partition("?")
        shown = middle_cut(path, room)
        pieces: List[Piece] = [(shown, plain)]
        left = room - len(shown)
        if mark and left > 3:
            pieces.append((fit(mark + query, left), dim))
        else:
            pieces.append((" " * max(0, left), None))
        if tail:
            kind = "accent" if row.state == "live" or "⟲" in tail else "error"
            pieces.append((tail, self.style(kind)))
        return [(fit("".join(t for t, _ in pieces), width), plain)] if sum(
            len(t) for t, _ in pieces) != width or not row.path.isascii() else pieces

    def _bar(self, row: Row, width: int) -> List[Piece]:
        """How long on a log scale (1 ms to 10 s), and what the time went into."""
        if row.state == "live":
            filled = min(width, 1 + int(row.ms / 1000))
            return [("╌" * filled, self.style("good"))]
        length = max(1, min(width, round(width * math.log10(row.ms + 1) / 4)))
        whole = max(row.ms, 0.001)
        app_ms, throttle_ms, _ = row.phases
        throttle = round(length * throttle_ms / whole)
        if throttle_ms > whole * 0.05:
            throttle = max(1, throttle)
        app = max(0 if throttle else 1, round(length * app_ms / whole))
        app = min(app, length - throttle)
        send = length - throttle - app
        return [("━" * app, self.style("second")), ("─" * send, self.style("dim")),
                ("┄" * throttle, self.style("warning"))]

    def _rule_pieces(self, rule: Rule, width: int) -> Sequence[Piece]:
        line = self.style("error" if rule.failed else "rule")
        words = self.style("error" if rule.failed else "accent")
        if rule.failed:
            label = f" gen {rule.gen} failed · {rule.text} "
        else:
            label = f" gen {rule.gen} · {rule.text or 'by request'} · {rule.ms:.0f} ms "
        label = middle_cut(label, max(10, width - 8))
        return [(" ──", line), (label, words), ("─" * width, line)]

    # -- keys

    def action_open(self) -> None:
        if self.selected is None and self.count():
            self.action_move(-1)
        if self.selected is not None:
            self.post_message(self.Selected(self))

    def action_sort(self) -> None:
        sort = self.session.traffic.cycle_sort()
        self.follow = sort == "time" and self.selected is None
        if sort != "time":
            self.top = 0
        self.redraw()

    def action_reverse(self) -> None:
        self.session.traffic.reverse_sort()
        self.follow = False
        self.top = 0
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
        if row is None:
            self.session.notify("select a request first, then y copies it as curl", "warning")
            return
        from ..clipboard import copy_curl

        copy_curl(self.host, row)

    def selection_changed(self) -> None:
        self.host.row_selected(self.selected_row())
