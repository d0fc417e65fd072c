"""The line-by-line pane that all lists and texts of the dashboard are.

A pane is asked for its state with `version()` ten times a second at most; only when that has
changed, and the pane is visible, are its lines drawn again. Lines are made on demand for what
fits on the screen, however long the list is. Selection is by a stable key, not by position.
"""

from typing import Any, Dict, Optional, Sequence

from textual import events
from textual.binding import Binding
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip

from tremolo.telemetry.filters import FilterError

from ..draw import Piece, strip_of
from ..model.session import Session
from .frame import Edge, thumb_lines, title_pieces
from .surface import Surface

CACHE = 1024


class LinePane(Surface, can_focus=True):
    """Title line (in the overview), head lines, and a body of `count()` lines."""

    BINDINGS = [
        Binding("down,j", "move(1)", "down", show=False, id="move.down"),
        Binding("up,k", "move(-1)", "up", show=False, id="move.up"),
        Binding("pagedown,ctrl+d", "page(1)", "page down", show=False, id="move.page_down"),
        Binding("pageup,ctrl+u", "page(-1)", "page up", show=False, id="move.page_up"),
        Binding("g,home", "first", "to the first line", show=False, id="move.first"),
        Binding("G,end", "last", "to the last line, and follow", show=False, id="move.last"),
    ]

    class Selected(Message):
        """The user opened the selected line (Enter or a second click)."""

        def __init__(self, pane: "LinePane") -> None:
            super().__init__()
            self.pane = pane

    NUMBER = 0
    TITLE = ""
    HEADS = 0  # lines above the body, below the title
    SELECTABLE = True
    FOLLOWS = False  # new lines come in at the end, and the view goes with them

    def __init__(self, session: Session, **kwargs: Any) -> None:
        super().__init__(session, **kwargs)
        self.titled = False
        self._edge = Edge(self)
        self.condensed = False  # the whole pane is one line
        self.typing = False  # the entry lies over the place that `entry_region` says
        self.mistake: Optional[FilterError] = None  # in what is typed
        self.label = ""  # what is typed, if it is not what the pane always asks for
        self.top = 0
        self.follow = self.FOLLOWS
        self.selected: Optional[Any] = None
        self.draws = 0
        #: how many lines had something on them when they were drawn; None: unknown
        self._used: Optional[int] = None
        self._shown: Any = None  # see `shown`
        self._cache: Dict[Any, Strip] = {}
        self._width = self._height = 0  # of the lines, and of the body, while they are drawn
        self._settled_for = Size(0, 0)
        self._thumb = range(0)  # lines of the body beside which the scroll bar lies

    # -- what a pane defines

    def count(self) -> int:
        raise NotImplementedError

    def key_at(self, index: int) -> Any:
        """A key that stays the same while the line exists; None: not selectable."""
        return index

    def index_of(self, key: Any) -> Optional[int]:
        for index in range(self.count()):
            if self.key_at(index) == key:
                return index
        return None

    def pieces(self, index: int, width: int) -> Sequence[Piece]:
        """The line at `index` of the body."""
        raise NotImplementedError

    def head_pieces(self, line: int, width: int) -> Sequence[Piece]:
        return ()

    def title_end(self) -> str:
        """At the right end of the title line."""
        return ""

    def cache_key(self, index: int) -> Any:
        """Names the drawn form of a line; None: draw it each time."""
        return None

    def empty_text(self) -> str:
        return ""

    def empty_lines(self, width: int) -> Sequence[Sequence[Piece]]:
        """What an empty pane says, and the keys that come next."""
        text = self.empty_text()
        return [[(" " + text, self.style("dim"))]] if text else []

    def condensed_pieces(self, width: int) -> Sequence[Piece]:
        """The pane in one line."""
        return ()

    def subject_of_selection(self) -> Any:
        """What the detail shows once the selected line is opened; None: nothing."""
        return None

    def refuses(self, action: str) -> bool:
        """The key could do nothing now, or only say why: it is not offered."""
        return False

    def unusual(self) -> bool:
        """There is something to see that one line cannot hold."""
        return False

    @property
    def heads(self) -> int:
        return self.HEADS

    @property
    def edge(self) -> bool:
        """Another pane stands to the right: the last column is a rule."""
        return self._edge.ruled

    @edge.setter
    def edge(self, ruled: bool) -> None:
        self._edge.ruled = ruled

    def entry_region(self) -> Region:
        """Where on the screen the entry lies while something is typed for this pane."""
        region = self.region
        return Region(region.x + 1, region.y, region.width - 2, 1)

    def shown(self) -> Any:
        """All that would be drawn now, where that costs less to compare than to draw; None:
        unknown."""
        return None

    # -- keeping up with the model

    @property
    def body_height(self) -> int:
        return max(0, self.size.height - self.heads - self.titled)

    def sync(self, hurry: bool = False) -> bool:
        """Draw again if what is shown has changed; True if so."""
        now = self.session.clock()
        if now - self._drawn_at < self.PERIOD and not hurry and self._drawn is not None:
            return False
        version = self.version()
        if version == self._drawn:
            return False
        self._drawn = version
        self._drawn_at = now
        self._settle()
        shown_before, self._shown = self._shown, self.shown()
        if self._shown is not None and self._shown == shown_before:
            return False
        before, self._used = self._used, self.used_lines()
        used = self.size.height if before is None else max(before, self._used)
        if used < self.size.height:  # what stays empty below need not be written again
            self.refresh(Region(0, 0, self.size.width, used))
        else:
            self.refresh()
        return True

    def used_lines(self) -> int:
        """How many of the pane's lines have something on them."""
        if self.edge or not self.count():
            return self.size.height
        return self.titled + self.heads + max(1, min(self.count(), self.body_height))

    def redraw(self) -> None:
        """Draw in any case: a key changed what is shown."""
        self._drawn = self._used = self._shown = None
        self._settle()
        self.refresh()

    def _settle(self) -> None:
        """Bring the first visible line into bounds; the selection stays where it is."""
        self._settled_for = self.size
        count, height = self.count(), self.body_height
        highest = max(0, count - height)
        if self.follow:
            if height:  # one that is hidden keeps its place: it is shown before it is resized
                self.top = highest
            return
        if self.selected is not None:
            index = self.index_of(self.selected)
            if index is None:
                self.selection_lost()
            else:
                was = getattr(self, "_selected_at", index)
                if index != was:  # lines above were trimmed or filtered: keep it in its place
                    self.top += index - was
                self._selected_at = index
        self.top = max(0, min(self.top, highest))

    def selection_lost(self) -> None:
        self.selected = None

    def on_resize(self, event: events.Resize) -> None:
        self._cache.clear()
        self._used = None
        self._settle()
        index = self.selected_index()
        if index is not None:
            height = max(1, self.body_height)
            self.top = max(index - height + 1, min(self.top, index))
            self._settle()  # for what is visible now
        self.refresh()  # it was drawn for its new size before it was told that

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._cache.clear()
        self._edge.clear()

    # -- drawing

    def measure(self) -> None:
        """Textual derives a size anew whenever it is asked, so once a frame."""
        if self.size != self._settled_for:
            self._settle()  # its first drawing comes before it is told its size
        self.draws += 1
        self._width, self._height = self.size.width, self.body_height
        self._thumb = thumb_lines(self.top, self.count(), self._height)

    def render_line(self, y: int) -> Strip:
        width, base = self._width, self.base_style
        if self.condensed:
            return strip_of(self.condensed_pieces(width), width, base)
        line = y
        if self.titled:
            if line == 0:
                title = title_pieces(self, self.NUMBER, self.TITLE, self.title_end(), width,
                                     self.edge)
                return strip_of(title, width, base)
            line -= 1
        if line < self.heads:
            return strip_of(self.head_pieces(line, width - 1), width - 1, base, self._edge.end())
        line -= self.heads
        index = self.top + line
        if index >= self.count():
            empty = self.empty_lines(width - 1) if not self.count() else ()
            pieces = empty[line] if line < len(empty) else ()
            return strip_of(pieces, width - 1, base, self._edge.end())
        return self._body_line(index, line in self._thumb)

    def _body_line(self, index: int, thumb: bool) -> Strip:
        width, base = self._width, self.base_style
        key = self.key_at(index)
        chosen = self.SELECTABLE and key is not None and key == self.selected
        cached = self.cache_key(index)
        if cached is not None:
            cached = (cached, width, thumb, self.edge, chosen and self.has_focus, chosen)
            found = self._cache.get(cached)
            if found is not None:
                return found
        if chosen:
            base = base + self.style("cursor" if self.has_focus else "cursor-far")
        strip = strip_of(self.pieces(index, width - 1), width - 1, base, self._edge.end(thumb))
        if cached is not None:
            if len(self._cache) >= CACHE:
                self._cache.clear()
            self._cache[cached] = strip
        return strip

    # -- moving

    def selected_index(self) -> Optional[int]:
        return None if self.selected is None else self.index_of(self.selected)

    def select_index(self, index: int) -> None:
        """Select the line at `index`, or the nearest that can be, and bring it into view."""
        count = self.count()
        if not count:
            return
        index = max(0, min(index, count - 1))
        self.follow = False
        self.selected = self.key_at(index)
        self._selected_at = index
        height = max(1, self.body_height)
        if index < self.top:
            self.top = index
        elif index >= self.top + height:
            self.top = index - height + 1
        self.selection_changed()
        self.redraw()

    def show_around(self) -> None:
        """Draw anew, with the selected line in the middle of its neighbours."""
        self._drawn = None
        self._settle()
        index = self.selected_index()
        if index is not None:
            self._selected_at, self.top = index, max(0, index - self.body_height // 2)
        self.redraw()

    def selection_changed(self) -> None:
        """Called after the user selected another line."""

    def scroll_lines(self, lines: int) -> None:
        highest = max(0, self.count() - self.body_height)
        self.top = max(0, min(highest, self.top + lines))
        if self.FOLLOWS:
            self.follow = lines > 0 and self.top >= highest and self.selected is None
        self.redraw()

    def action_move(self, step: int) -> None:
        if not self.SELECTABLE:
            self.scroll_lines(step)
            return
        index = self.selected_index()
        if index is None:
            index = self.count() if step < 0 or self.follow else -1
            if self.follow:
                step = -1
        target = index + step
        while 0 <= target < self.count() and self.key_at(target) is None:
            target += 1 if step > 0 else -1
        if 0 <= target < self.count():
            self.select_index(target)
        else:
            self.follow = False
            self.redraw()

    def action_page(self, direction: int) -> None:
        step = max(1, self.body_height - 1) * direction
        index = self.selected_index()
        if not self.SELECTABLE or index is None:
            self.scroll_lines(step)
            return
        self.select_index(index + step)

    def action_first(self) -> None:
        self.follow = False
        if self.SELECTABLE:
            self.select_index(0)
        else:
            self.top = 0
            self.redraw()

    def action_last(self) -> None:
        if self.FOLLOWS:
            self.follow = True
            self.selected = None
            self.redraw()
        elif self.SELECTABLE:
            self.select_index(self.count() - 1)
        else:
            self.scroll_lines(self.count())

    # -- mouse

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.scroll_lines(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.scroll_lines(-3)

    def on_click(self, event: events.Click) -> None:
        index = self.body_index(event.y)
        if index is None or not self.SELECTABLE:
            return
        key = self.key_at(index)
        if key is None:
            return
        if key == self.selected:
            self.post_message(self.Selected(self))
            return
        self.select_index(index)

    def body_index(self, y: int) -> Optional[int]:
        """The body line at the pane's row `y`, if there is one."""
        index = self.top + y - self.heads - self.titled
        inside = y >= self.heads + self.titled and not self.condensed
        return index if inside and 0 <= index < self.count() else None

    def on_focus(self, event: events.Focus) -> None:
        self.refresh()

    def on_blur(self, event: events.Blur) -> None:
        self.refresh()


