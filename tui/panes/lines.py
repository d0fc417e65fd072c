"""The line-by-line pane that all lists and texts of the dashboard are.

A pane is asked for its state with `version()` ten times a second at most; only when that has
changed, and the pane is visible, are its lines drawn again. Lines are made on demand for what
fits on the screen, however long the list is.
"""

from typing import Any, Dict, Optional, Sequence

from textual import events
from textual.geometry import Region
from textual.strip import Strip

from tremolo.telemetry.filters import FilterError

from ..draw import Piece, strip_of
from ..model.session import Session
from .frame import Edge, thumb_lines, title_pieces
from .moving import Moving

CACHE = 1024


class LinePane(Moving, can_focus=True):
    """Title line (in the overview), head lines, and a body of `count()` lines."""

    NUMBER = 0
    TITLE = ""

    def __init__(self, session: Session, **kwargs: Any) -> None:
        super().__init__(session, **kwargs)
        self._edge = Edge(self)
        self.typing = False  # the entry lies over the place that `entry_region` says
        self.mistake: Optional[FilterError] = None  # in what is typed
        self.label = ""  # what is typed, if it is not what the pane always asks for
        self.draws = 0
        #: how many lines had something on them when they were drawn; None: unknown
        self._used: Optional[int] = None
        self._shown: Any = None  # see `shown`
        self._cache: Dict[Any, Strip] = {}
        self._width = self._height = 0  # of the lines, and of the body, while they are drawn
        self._thumb = range(0)  # lines of the body beside which the scroll bar lies

    # -- what a pane defines

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

    def refuses(self, action: str) -> bool:
        """The key could do nothing now, or only say why: it is not offered."""
        return False

    def unusual(self) -> bool:
        """There is something to see that one line cannot hold."""
        return False

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

    def on_focus(self, event: events.Focus) -> None:
        self.refresh()

    def on_blur(self, event: events.Blur) -> None:
        self.refresh()


