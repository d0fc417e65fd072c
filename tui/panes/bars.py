"""The rows around the panes: two head rows, tabs, notices, and keys."""

import time
from typing import Any, Dict, List, Tuple

from rich.cells import cell_len
from textual import events
from textual.binding import Binding
from textual.geometry import Region
from textual.strip import Strip

from tremolo.units import counted

from ..draw import Piece, fit, middle_cut, shortened, sparkline, spread, strip_of
from ..model import text
from ..model.session import Session
from ..model.traffic import Row
from ..modes import NAMES, WIDE_TABS, tab_labels
from .lines import LinePane
from .surface import Surface

FRESH = 8.0  # seconds that a notice stays bright


class Bar(Surface):
    """A few lines that are drawn again when `version()` changes."""

    def row(self, y: int, width: int) -> List[Piece]:
        raise NotImplementedError

    def sync(self, hurry: bool = False) -> bool:
        now = self.session.clock()
        if now - self._drawn_at < self.PERIOD and not hurry:
            return False
        version = self.version()
        if version == self._drawn:
            return False
        self._draw(version)
        self._drawn_at = now
        return True

    def _draw(self, version: Any) -> None:
        self._drawn = version
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        return strip_of(self.row(y, width), width, self.base_style)


class HeadBar(Bar):
    """What is served, by whom, in which generation; and how it goes."""

    PERIOD = 0.2

    def version(self) -> Any:
        width = self.size.width
        return tuple("".join(part for part, _ in self.row(y, width)) for y in (0, 1))

    def _draw(self, version: Any) -> None:
        """Only the row that has changed: the clock in the second ticks all the time."""
        width, before = self.size.width, self._drawn or ("", "")
        self._drawn = version
        regions = [Region(0, y, width, 1) for y in (0, 1) if before[y] != version[y]]
        self.refresh(*regions)

    def row(self, y: int, width: int) -> List[Piece]:
        return self._server(width) if y == 0 else self._figures(width)

    def _generation(self, width: int) -> List[Piece]:
        reload = self.session.reload
        if reload.state == "failed":
            return [(f"gen {reload.trying} ✖ failed", self.style("error")),
                    (f", {reload.outlook()}", self.style("dim"))]
        if reload.state == "started":
            return [(f"gen {reload.trying} …", self.style("text"))]
        if not reload.gen:
            return [("starting …", self.style("text"))]
        pieces: List[Piece] = [(f"gen {reload.gen}", self.style("text"))]
        if reload.state == "ready" and reload.ms is not None:
            fresh = self.session.clock() - reload.at < FRESH
            pieces.append((f" ✔ {reload.ms:.0f} ms", self.style("good" if fresh else "dim")))
            mean = reload.mean_ms
            if width >= 140 and mean is not None and len(reload.history) > 1:
                pieces.append((f" (mean {mean:.0f})", self.style("dim")))
        return pieces

    def _worker_pieces(self, width: int) -> List[Piece]:
        workers = self.session.workers
        serving = workers.count("serving", "ready")
        blocked, draining = workers.count("blocked"), workers.count("draining")
        kind = "error" if blocked or not serving else "good"
        if not serving and not workers.list():
            kind = "dim"
        words = f" {serving} worker{'' if serving == 1 else 's'}"
        pieces: List[Piece] = [("●", self.style(kind)), (words, self.style("text"))]
        if blocked:
            pieces.append((f" {blocked} blocked", self.style("error")))
        if draining and width >= 100:
            pieces.append((f" {draining} draining", self.style("dim")))
        return pieces

    def _server(self, width: int) -> List[Piece]:
        session = self.session
        gap: Piece = ("  ", None)
        left: List[Piece] = [(" TREMOLO ", self.style("brand")), (" ", None),
                             (session.app or "…", self.style("strong"))]
        address = session.addresses[0] if session.addresses else ""
        more = f" +{len(session.addresses) - 1}" if len(session.addresses) > 1 else ""
        slow = session.throttling.headline()
        altered = session.holding.headline()
        middle = [gap, *self._worker_pieces(width), gap, *self._generation(width)]
        if session.recorded:  # what served it then is no news
            middle = [gap, ("a saved session", self.style("second"))]
        end: List[Piece] = []
        limit = max(12, width - _cells(left) - _cells(middle) - 6)
        if altered:
            share = max(12, limit // 2) if slow else limit
            end.append((f"■ {middle_cut(altered, share)} ", self.style("warning")))
        if slow:
            end.append((f"▼ {middle_cut(slow, max(12, limit - _cells(end) - 2))} ",
                        self.style("warning")))
        if end:
            end.insert(0, (" ", None))
        room = width - _cells(left) - _cells(middle) - _cells(end) - 1
        for shown in (address + more, address, address.split("://")[-1], ""):
            if not shown or len(shown) + 2 <= room:
                if shown:
                    left += [gap, (shown, self.style("link"))]
                break
        return spread(left + middle, end, width)

    def _figures(self, width: int) -> List[Piece]:
        """As many figures as there is room for, the most telling first to come and last to go."""
        if self.session.recorded:
            return self._recorded_figures(width)
        totals, sums = self.session.totals, self.session.totals.sums()
        dim, plain = self.style("dim"), self.style("text")
        share4, share5 = totals.shares.get(4, 0.0), totals.shares.get(5, 0.0)
        spark = 30 if width >= 140 else 14
        figures: List[Tuple[int, List[Piece]]] = [  # what goes first has the highest number
            (0, [(f" {text.number(totals.requests_rate):>5}", self.style("strong")),
                 (" r/s", dim)]),
            (8, [(sparkline(totals.history, spark), self.style("second"))]),
            (1, [("5xx ", dim), (_percent(share5), self.style("failed" if share5 else "dim"))]),
            (6, [("4xx ", dim), (_percent(share4), self.style("refused" if share4 else "dim"))])]
        for rank, name in ((4, "p50"), (2, "p95"), (5, "p99")):
            value = text.percentile(totals.latency.get(name), unit=True)
            figures.append((rank, [(name + " ", dim), (value, plain)]))
        opened: List[Piece] = [("open ", dim), (text.number(sums.gauges["open"]), plain)]
        figures.append((3, opened))
        if sums.gauges["websockets"]:
            figures.append((7, [("ws ", dim), (text.number(sums.gauges["websockets"]),
                                               self.style("stream"))]))
        figures.append((9, [("in ", dim), (text.rate(totals.in_rate), plain),
                            (" out ", dim), (text.rate(totals.out_rate), plain)]))
        figures.append((10, [(f"{sums.plain['requests']:,}", plain),
                             (" request" + ("" if sums.plain["requests"] == 1 else "s"), dim)]))
        clock: List[Piece] = [(text.clock(self._wall()) + " ", dim)]
        room = width - _cells(clock) - 2
        while len(figures) > 1 and sum(_cells(part) + 2 for _, part in figures) > room:
            figures.remove(max(figures, key=lambda figure: figure[0]))
        pieces = [piece for _, part in figures for piece in [*part, ("  ", None)]]
        return spread(pieces, clock if width >= 60 else (), width)

    def _recorded_figures(self, width: int) -> List[Piece]:
        _, whole = self.session.traffic.counts()
        figures: List[Piece] = [(f" {counted(whole, 'request')}", self.style("strong"))]
        first = next((e for e in self.session.traffic.entries if isinstance(e, Row)), None)
        if first is not None:
            since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(first.t))
            figures.append((f"  the first at {since}", self.style("dim")))
        return spread(figures, [], width)

    def _wall(self) -> float:
        return self.host.wall_clock()


def _percent(share: float) -> str:
    if not share:
        return "0%"
    return f"{share * 100:.1f}%" if share < 0.0995 else f"{share * 100:.0f}%"


def _cells(pieces: List[Piece]) -> int:
    return sum(cell_len(part) for part, _ in pieces)


class TabBar(Bar):
    """The panes by number."""

    def __init__(self, session: Session, **kwargs: Any) -> None:
        super().__init__(session, **kwargs)
        self.active = 1
        self._zones: Dict[int, Tuple[int, int]] = {}

    def version(self) -> Any:
        errors = self.session.errors
        return (self.active, errors.total, errors.unseen, self.session.throttling.active,
                self.size.width)

    def row(self, y: int, width: int) -> List[Piece]:
        pieces: List[Piece] = []
        column = 0
        for number, label in tab_labels(width):
            name = NAMES[number]
            if name == "errors" and self.session.errors.total:
                label += f"({text.number(self.session.errors.total)})"
            kind = "error" if name == "errors" and self.session.errors.unseen else (
                "warning" if name == "throttle" and self.session.throttling.active else "dim")
            words = f" {number} {label} "
            if number == self.active:
                pieces.append((words, self.style("tab")))
            else:
                pieces += [(f" {number} ", self.style("dim")),
                           (label + " ", self.style(kind))]
            self._zones[number] = (column, column + len(words))
            column += len(words)
            if width >= WIDE_TABS:
                pieces.append((" ", None))
                column += 1
        return pieces

    def on_click(self, event: events.Click) -> None:
        for number, (start, end) in self._zones.items():
            if start <= event.x < end:
                self.host.action_pane(number)


class NoticeBar(Bar):
    """The failure that stands, or else the newest thing worth a line."""

    _MARKS = {"good": ("●", "good"), "error": ("✖", "error"), "warning": ("▲", "warning")}

    def version(self) -> Any:
        session, now = self.session, self.session.clock()
        notice = session.notices.shown(now)
        shown = notice and (notice.uid, notice.count, now - notice.at < FRESH)
        return (shown, len(session.notices.standing), self.size.width, self._waiting())

    def _waiting(self) -> str:
        pending = self.session.commands.pending
        slow = [command.label for command in pending.values()
                if self.session.clock() - command.sent > 0.3]
        return slow[-1] if slow else ""

    def row(self, y: int, width: int) -> List[Piece]:
        session, now = self.session, self.session.clock()
        waiting, standing = self._waiting(), session.notices.standing
        end: List[Piece] = [(f"waiting: {waiting} ", self.style("warning"))] if waiting else []
        notice = session.notices.shown(now)
        if notice is None:
            return spread([("", None)], end, width)
        mark, kind = self._MARKS.get(notice.kind, ("●", "dim"))
        fresh = now - notice.at < FRESH
        stands = notice.topic in standing
        loud = stands or (fresh and kind != "good")
        words = kind if loud else "text" if fresh else "dim"
        at = self.host.wall_clock() - (now - notice.at)
        left: List[Piece] = [(f" {mark} ", self.style(kind)),
                             (text.clock(at) + " " if width >= 60 else "", self.style("dim"))]
        times = f" ×{notice.count}" if notice.count > 1 else ""
        others = len(standing) - stands
        more = f" +{others}" if others > 0 else ""
        if standing and width >= 60:
            end += [(f"{more} ", self.style("error")), ("i", self.style("key")),
                    (" all ", self.style("dim"))]
        room = max(10, width - _cells(left) - _cells(end) - len(times))
        left += [(_in_short(notice.text, room), self.style(words)), (times, self.style("dim"))]
        return spread(left, end, width)


def _in_short(words: str, room: int) -> str:
    """What is added last goes first, then the folders of a place at the end, then the middle;
    without a place, the end."""
    short = words
    while cell_len(short) > room and " · " in short:
        short = short.rpartition(" · ")[0] + "…"
    what, gap, place = short.rpartition("  ")
    if not gap:
        return shortened(short, room)
    if cell_len(short) > room:
        short = f"{what}  {place.rpartition('/')[2]}"
    return middle_cut(short, room)


class KeyBar(Bar):
    """The keys that act now, made from the bindings of what has the focus."""

    def version(self) -> Any:
        focused = self.screen.focused
        hidden = [binding.key for owner in (focused, self.app)
                  for binding in getattr(owner, "BINDINGS", ())
                  if isinstance(binding, Binding) and binding.show
                  and self._hides(owner, binding.action)]
        return (self.screen, focused, self.size.width, hidden, self.host.asking.hint)

    def _hides(self, owner: Any, action: str) -> bool:
        refused = isinstance(owner, LinePane) and owner.refuses(action)
        return refused or self.host.hides_key(action)

    def _keys(self) -> List[Tuple[str, str]]:
        keys = []
        seen = set()
        focused, typing = self.screen.focused, self.host.asking.asks
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if typing and active.node is not focused:
                continue  # letters are text now
            if not binding.show or binding.action in seen or self._hides(
                    active.node, binding.action):
                continue
            seen.add(binding.action)
            keys.append((self.app.get_key_display(binding), binding.description))
        return keys

    def row(self, y: int, width: int) -> List[Piece]:
        left: List[Piece] = [(" ", None)]
        end: List[Piece] = []
        keys = self._keys()
        for key, words in keys:
            if words in ("keys", "quit"):  # the way out is always in sight
                end += [(key, self.style("key")), (f" {words} ", self.style("dim"))]
        used = 1 + _cells(end)
        for key, words in keys:
            length = cell_len(key) + 1 + len(words) + 2
            if words in ("keys", "quit"):
                continue
            if used + length > width:
                continue
            left += [(key, self.style("key")), (f" {words}  ", self.style("dim"))]
            used += length
        hint = self.host.asking.hint
        if hint and width - used >= 20:
            end = [(fit(f"{hint}", width - used - 1) + " ", self.style("dim"))]
        return spread(left, end, width)
