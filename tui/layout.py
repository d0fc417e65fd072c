"""Which panes are on the screen, and where, for the size it has.

In the overview, where all are, one that was chosen twice stands alone.
"""

from typing import Any, Dict, List, Mapping, Protocol, Sequence, Set, Tuple

from textual.geometry import Size
from textual.screen import Screen
from textual.widget import Widget

from .asking import Asking
from .model.connections import SORTS as CONNECTION_SORTS
from .model.routes import SORTS as ROUTE_SORTS
from .model.session import Session
from .model.traffic import SORTS as TRAFFIC_SORTS
from .modes import LOW, LOWER, MODES, NAMES, OVERVIEW, STRIPS, active_of, alone_of, mode_for
from .panes.bars import TabBar
from .panes.lines import LinePane


class Arranged(Protocol):
    """The app, as far as its layout needs it."""

    session: Session
    tabs: TabBar
    asking: Asking

    @property
    def panes(self) -> Mapping[str, LinePane]: ...

    @property
    def size(self) -> Size: ...

    @property
    def screen_stack(self) -> Sequence[Screen[Any]]: ...


class Layout:
    """Keeps the app's panes shown or hidden; asks for nothing while it stays the same."""

    def __init__(self, app: Arranged) -> None:
        self.app = app
        self.active = 1
        self.side = "connections"  # what stands beside the list in the overview
        self.detail = False
        self.strip = False  # the throttle control below another pane
        self.alone = False
        self.mode = mode_for(*app.size)
        self._low = app.size.height < LOW
        self._heights: Tuple[int, ...] = ()  # of the strips, as they are drawn now
        self._applied = False

    def resized(self, size: Size) -> None:
        mode, low = mode_for(*size), size.height < LOW
        if (mode, low) != (self.mode, self._low):
            self.mode, self._low = mode, low
            self.apply()
            if mode == "tiny" and (self.detail or self.strip):
                self._focus(*self.shown())

    # -- from one run to the next

    def kept(self) -> Dict[str, Any]:
        """What is worth remembering."""
        session = self.app.session
        traffic = session.traffic
        return {"active": self.active, "side": self.side, "alone": self.alone,
                "connections": session.connections.sort,
                "log": session.log.threshold, "filter": traffic.filter_text,
                "sort": [traffic.sort, traffic.reverse],
                "routes": [session.routes.sort, session.routes.reverse]}

    def restore(self, saved: Any) -> None:
        """As `kept()` gave it; anything else in it is left out."""
        if not isinstance(saved, dict):
            return
        self.active = active_of(saved, self.active)
        if saved.get("side") in ("connections", "errors"):
            self.side = saved["side"]
        self.alone = alone_of(saved, self.mode)
        session = self.app.session
        if saved.get("connections") in CONNECTION_SORTS:
            session.connections.sort = saved["connections"]
        for name, table, columns in (("sort", session.traffic, TRAFFIC_SORTS),
                                     ("routes", session.routes, ROUTE_SORTS)):
            order = saved.get(name)
            if isinstance(order, list) and len(order) == 2 and order[0] in columns:
                table.sort, table.reverse = order[0], order[1] is True
        wanted = saved.get("filter")
        if isinstance(wanted, str) and wanted != "marked:" and not (
                session.traffic.set_filter(wanted)):
            session.traffic.set_filter("")
        if saved.get("log") in (0, 20, 30, 40):
            session.log.threshold = saved["log"]

    # -- what the keys mean

    def choose(self, number: int) -> None:
        """The pane with this number; chosen again: alone on the screen, and back."""
        name = NAMES[number]
        if self.mode == "overview":
            if self.alone:
                self.alone = self.active != number
            elif self.active == number and self._has_keys(name):
                self.alone = True
            elif name in ("connections", "errors"):
                self.side, self.detail = name, False
        elif self.active != number:
            self.detail = False
        self.active = number
        self.strip = False
        self.apply()
        self._focus(name)

    def show_traffic(self) -> None:
        if not self.app.panes["traffic"].display:
            self.choose(1)

    def open_detail(self, again: bool = False) -> None:
        """Beside the list or in its place; `again`: what it shows is asked for once more, so that
        it gets the keys."""
        if not self.detail:
            self.detail = True
            if self.mode in ("tiny", "narrow"):
                self.strip = False
            self.apply()
            if self.mode == "tiny":
                self._focus("detail")
        elif again or self.mode != "overview" or self.alone:
            self._focus("detail")

    def close_detail(self) -> None:
        self.detail = False
        self.apply()
        self._focus_active()

    def toggle_throttle(self, stay: bool) -> None:
        pane = self.app.panes["throttle"]
        if self.mode == "overview" and not self.alone:
            if self._has_keys("throttle") and not stay:
                self.close_throttle()
            else:
                self._focus("throttle")
            return
        if pane.display and not stay:
            self.close_throttle()
            return
        if NAMES[self.active] != "throttle":
            self.strip = True
            if self.mode in ("tiny", "narrow"):
                self.detail = False
            self.apply()
        self._focus("throttle")

    def close_throttle(self) -> None:
        self.strip = False
        if NAMES[self.active] == "throttle":
            self.active, self.alone = 1, False
        self.apply()
        self._focus_active()

    def back(self) -> None:
        """One level back: throttle, detail, a pane alone, selection, filter."""
        app = self.app
        traffic = app.session.traffic
        if self.strip:
            self.close_throttle()
        elif self.detail:
            self.close_detail()
        elif self.alone:
            self.alone = False
            self.apply()
            self._focus_active()
        elif app.panes["log"].has_focus and app.session.log.search_text:
            app.session.log.search("")  # what was selected stays, now among its neighbours
            app.panes["log"].show_around()
        elif app.panes["traffic"].selected is not None:
            app.panes["traffic"].action_last()
        elif self.active != 1:
            self.choose(1)
        elif traffic.filtered or traffic.filter_error:
            traffic.set_filter("")
            app.panes["traffic"].redraw()

    def _focus(self, name: str) -> None:
        self.app.screen_stack[0].set_focus(self.app.panes[name])

    def _focus_active(self) -> None:
        self._focus(NAMES[self.active])

    # -- showing it

    def shown(self) -> Set[str]:
        active = NAMES[self.active]
        if self.mode == "tiny":
            return {"throttle" if self.strip else "detail" if self.detail else active}
        if self.mode == "overview" and not self.alone:
            return {*OVERVIEW, "detail" if self.detail else self.side}
        names = {active}
        if self.detail:
            names.add("detail")
        if self.strip:
            names.add("throttle")
        return names

    @property
    def overview(self) -> bool:
        return self.mode == "overview" and not self.alone

    def settle(self) -> None:
        """In the overview, give the strips below a line each, or as many as they need now."""
        if not self.overview:
            return
        heights = tuple(1 if not self._opened(name) else rows for name, rows in STRIPS)
        if heights == self._heights:
            return
        self._heights = heights
        body = self.app.panes["traffic"].parent
        if isinstance(body, Widget):
            body.styles.grid_rows = " ".join(map(str, ("1fr", LOWER, *heights)))
        for (name, _), height in zip(STRIPS, heights):
            pane = self.app.panes[name]
            pane.condensed, pane.titled = height == 1, height > 1
            pane.redraw()
        self.app.asking.resized()  # what is typed lies over a line that may have moved

    def _opened(self, name: str) -> bool:
        pane = self.app.panes[name]
        return self._has_keys(name) or pane.typing or pane.unusual()

    def _has_keys(self, name: str) -> bool:
        """Whether the pane has the focus, of which it hears only with its messages."""
        return self.app.screen_stack[0].focused is self.app.panes[name]

    def apply(self) -> None:
        screen, shown = self.app.screen_stack[0], self.shown()
        overview = self.overview
        look = self.mode if self.mode != "overview" or overview else "medium"
        for mode in MODES:  # all styles are made anew once the screen that is mounted resumes
            screen.set_class(mode == look, mode, update=self._applied)
        screen.set_class(look == "medium" and self.detail, "beside", update=self._applied)
        screen.set_class(look == "narrow" and self._low, "low", update=self._applied)
        self._applied = True
        for name, pane in self.app.panes.items():
            if pane.follow and not self.detail:
                pane.selected = None  # it went along for the detail
            pane.display = name in shown  # at once: it may get the focus in this very turn
            pane.set_class(name in shown, "shown")
            pane.titled = overview or name == "detail" or (name == "throttle" and self.strip)
            pane.condensed = False
            pane.edge = (overview and name in ("traffic", "routes")) or (
                look == "medium" and self.detail and name == NAMES[self.active])
        self._heights = ()
        body = self.app.panes["traffic"].parent
        if isinstance(body, Widget) and not overview:
            body.styles.clear_rule("grid_rows")
        self.settle()
        throttle = self.app.panes["throttle"]
        throttle.set_class(self.strip and not overview, "strip")
        self.app.tabs.active = self.active
        for pane in self._visible():
            pane.redraw()
        self.app.tabs.sync()

    def _visible(self) -> List[LinePane]:
        return [pane for pane in self.app.panes.values() if pane.has_class("shown")]
