"""What is selected in a list, and which of its lines are visible: by keys, by the mouse, and as
lines come and go.

Selection is by a stable key, not by position. While a list follows, the newest line is visible;
it is the selected one, too, if the detail is open on one of the list.
"""

from typing import Any, Optional

from textual import events
from textual.binding import Binding
from textual.geometry import Size
from textual.message import Message

from ..model.session import Session
from .surface import Surface


class Moving(Surface):
    """A body of `count()` lines below `heads` others; `top` is the first that is visible."""

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

        def __init__(self, pane: "Moving") -> None:
            super().__init__()
            self.pane = pane

    HEADS = 0  # lines above the body, below the title
    SELECTABLE = True
    FOLLOWS = False  # new lines come in at the end, and the view goes with them
    SUBJECT: Optional[type] = None  # of FOLLOWS: what the detail shows of a line

    def __init__(self, session: Session, **kwargs: Any) -> None:
        super().__init__(session, **kwargs)
        self.titled = False
        self.condensed = False  # the whole pane is one line
        self.top = 0
        self.follow = self.FOLLOWS
        self.selected: Optional[Any] = None
        self._settled_for = Size(0, 0)

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

    def subject_of_selection(self) -> Any:
        """What the detail shows once the selected line is opened; None: nothing."""
        return None

    @property
    def heads(self) -> int:
        return self.HEADS

    def redraw(self) -> None:
        """Draw in any case: a key changed what is shown."""
        raise NotImplementedError

    # -- as lines come and go

    @property
    def grows_at_end(self) -> bool:
        """As its lines are ordered now, new ones come in at the end: the view can follow."""
        return self.FOLLOWS

    @property
    def body_height(self) -> int:
        return max(0, self.size.height - self.heads - self.titled)

    def _settle(self) -> None:
        """Bring the first visible line into bounds; the selection stays where it is."""
        self._settled_for = self.size
        count, height = self.count(), self.body_height
        highest = max(0, count - height)
        if self.follow:
            if height:  # one that is hidden keeps its place: it is shown before it is resized
                self.top = highest
            if self.selected is not None:
                self._select_newest()
            return
        if self.selected is not None:
            index = self.index_of(self.selected)
            if index is None:
                self.selection_lost()
            else:
                # Keep it in its place when lines above were trimmed or filtered; but what comes
                # in at the top is to be seen.
                if self.top or self.grows_at_end or index >= height:
                    self.top += index - getattr(self, "_selected_at", index)
                self._selected_at = index
        self.top = max(0, min(self.top, highest))

    def selection_lost(self) -> None:
        self.selected = None

    def newest_key(self) -> Any:
        """Of the line that came last; None: there is none that can be selected."""
        return next((key for key in map(self.key_at, reversed(range(self.count())))
                     if key is not None), None)

    def _select_newest(self) -> None:
        """While it follows the selection goes along, and the detail with it."""
        newest = self.newest_key()
        if newest != self.selected:
            self.selected = newest
            self._selected_at = self.selected_index() or 0
            self.selection_changed()

    # -- moving

    def selected_index(self) -> Optional[int]:
        return None if self.selected is None else self.index_of(self.selected)

    def select_index(self, index: int) -> None:
        """Select the line at `index`, or the nearest that can be, and bring it into view."""
        count = self.count()
        if not count:
            return
        index = max(0, min(index, count - 1))
        near = sorted(range(max(0, index - 2), min(count, index + 3)),
                      key=lambda other: (abs(other - index), -other))
        index = next((other for other in near if self.key_at(other) is not None), index)
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
        """Another line was selected: an open detail of one goes along."""
        self.host.selection_moved(self.subject_of_selection())

    def scroll_lines(self, lines: int) -> None:
        highest = max(0, self.count() - self.body_height)
        self.top = max(0, min(highest, self.top + lines))
        if self.FOLLOWS:
            self.follow = lines > 0 and self.top >= highest and self.grows_at_end and (
                self.follow or self.selected is None)
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
        if self.grows_at_end:
            self.follow = True
            self.selected = None
            if self.SUBJECT is not None and self.host.has_open(self.SUBJECT):
                self._select_newest()
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
