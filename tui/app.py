"""The Textual app: puts panes on the screen, draws what changed, turns keys into commands.

No message and no reactive is spent on an event of the feed. The feed's reader only fills the
model; one tick, ten times a second at most, asks the visible panes whether they show something
new. When drawing is slow the ticks become rarer.
"""

import asyncio
import os
import sys
import time
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Tuple, Type, Union

from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import Container
from textual.driver import Driver

from .actions import Actions
from .asking import Asking
from .colours import preferred
from .draw_timer import DrawTimer
from .ending import Ending
from .feed import Feed
from .layout import Layout
from .model.session import Session
from .model.traffic import Row
from .modes import NAMES
from .panes.bars import Bar, HeadBar, KeyBar, NoticeBar, TabBar
from .panes.connections import ConnectionsPane
from .panes.contents import Subject
from .panes.detail import DetailPane
from .panes.errors import ErrorsPane
from .panes.lines import LinePane
from .panes.log import LogPane
from .panes.routes import RoutesPane
from .panes.throttle import ThrottlePane
from .panes.traffic import TrafficPane
from .panes.workers import WorkersPane
from .replays import Replays
from .saved_state import load, save
from .theme import LIGHT, TREMOLO, Palette, tones

if TYPE_CHECKING:
    from .first_frame import FirstFrame

PANES = (TrafficPane, ConnectionsPane, ErrorsPane, DetailPane, RoutesPane, LogPane,
         ThrottlePane, WorkersPane)


class Dashboard(Actions, App[int]):
    CSS_PATH = "dashboard.tcss"
    TITLE = "Tremolo"
    ENABLE_COMMAND_PALETTE = True

    BINDINGS = [
        Binding("slash", "filter", "filter", key_display="/", priority=True, id="app.filter"),
        Binding("ctrl+p", "command_palette", "all actions by name", show=False, priority=True,
                id="app.palette"),
        Binding("t", "throttle", "throttle", priority=True, id="app.throttle"),
        Binding("T", "toggle_throttle", "throttle off/on", show=False, id="app.toggle"),
        Binding("R,ctrl+r", "reload", "reload", key_display="R", id="app.reload"),
        Binding("space", "pause", "pause", show=False, key_display="␣", id="app.pause"),
        Binding("question_mark", "help", "keys", key_display="?", id="app.help"),
        Binding("q", "quit_or_ask", "quit", id="app.quit"),
        Binding("ctrl+c", "leave", "quit; twice: at once", show=False, priority=True,
                id="app.interrupt"),
        Binding("ctrl+z", "suspend_process", "to the shell; fg comes back", show=False,
                priority=True, id="app.suspend"),
        Binding("o", "open_url", "open in the browser", show=False, id="app.open"),
        Binding("e", "edit", "editor", id="app.edit"),
        Binding("D", "debug", "the debugger of a breakpoint that waits", show=False,
                id="app.debug"),
        Binding("i", "notices", "the last notices", show=False, id="app.notices"),
        Binding("P", "pins", "the pinned requests", show=False, id="app.pins"),
        Binding("I", "hold", "hold requests: POST /api/*", show=False, id="app.hold"),
        Binding("H", "held", "the requests that are held", show=False, id="app.held"),
        Binding("K", "hold_mail", "keep mail from being sent; again: send it", show=False,
                id="app.mail"),
        Binding("w", "write", "write the session to a file, or HAR", show=False, id="app.write"),
        Binding("l", "plain", "plain log on the normal screen", show=False, id="app.plain"),
        Binding("escape", "step_back", "back", show=False, key_display="Esc", id="app.back"),
        *(Binding(str(number), f"pane({number})", "a pane; again: alone, and back", show=False,
                  priority=True) for number in range(1, 8)),
    ]

    def __init__(self, sock: Any, info: Mapping[str, Any]) -> None:
        super().__init__()
        self._theme_is_parsed = False  # the one that is set before there is anything to draw
        self.register_theme(TREMOLO)
        self.register_theme(LIGHT)
        wanted = os.environ.get("TEXTUAL_THEME", preferred(os.environ))
        if wanted in (TREMOLO.name, LIGHT.name):
            self.theme = wanted  # now: later it would cost a second pass over all styles
            self.stylesheet.set_variables(self.get_css_variables())
            self._theme_is_parsed = True
        self._default_theme = self._chosen_theme = self.theme
        self.palette = Palette(self)
        self.session = Session(str(info.get("app") or ""), info.get("addresses") or ())
        self.feed = Feed(sock, self.session)
        self.replays = Replays(self.session)
        self.feed.on_news = self.session.on_news = self.news
        self.feed.observe = info.get("observe")
        self.session.on_ready = self.replay_pins
        self.session.on_alarm = self.alarm
        self.session.on_breakpoint = self.stopped_at
        self.recording = str(info.get("recording") or "")
        self.debugger: List[str] = [*(info.get("debugger") or ())]
        self.project = str(info.get("folder") or "")  # what is remembered belongs to it
        self.wall_clock = time.time
        self.failure: Optional[BaseException] = None
        self.ending = Ending(self, guest=bool(info.get("guest")) or bool(self.recording))
        self.feed.on_end = self.ending.server_ended
        self.asking = Asking(self)
        self.alarms: Dict[str, float] = {}
        self.breakpoints: List[Tuple[int, str]] = []
        self.draw_timer: Optional[DrawTimer] = None
        self._rows_drawn = 0  # that had been seen at the last draw
        self.first_frame: Optional[FirstFrame] = None  # that is on the screen already
        self.panes: Dict[str, LinePane] = {}
        self.arrangement: Optional[Layout] = None

    def check_action(self, action: str, parameters: Any) -> Optional[bool]:
        """Keys that move the focus act before others that were typed in the same breath
        (they have priority), but not while something is being typed or a dialogue is open."""
        if action in ("filter", "throttle", "pane") and self.busy:
            return False
        return super().check_action(action, parameters)

    # -- what it is made of

    @property
    def busy(self) -> bool:
        """Something is being typed, or a dialogue is open."""
        return self.asking.asks or len(self.screen_stack) > 1

    @property
    def many_colours(self) -> bool:
        """Whether the terminal has more of them than the sixteen that it names itself."""
        return not self.no_color and self.console.color_system not in ("standard", "windows")

    @property
    def traffic(self) -> TrafficPane:
        pane = self.panes["traffic"]
        assert isinstance(pane, TrafficPane)
        return pane

    @property
    def throttle_pane(self) -> ThrottlePane:
        pane = self.panes["throttle"]
        assert isinstance(pane, ThrottlePane)
        return pane

    @property
    def detail(self) -> DetailPane:
        pane = self.panes["detail"]
        assert isinstance(pane, DetailPane)
        return pane

    # -- building

    def get_driver_class(self) -> Type[Driver]:
        chosen = super().get_driver_class()
        if chosen.__name__ == "LinuxDriver":  # and no other that was asked for
            from .driver import TerminalDriver
            return TerminalDriver
        return chosen

    def get_css_variables(self) -> Dict[str, str]:
        variables = super().get_css_variables()
        return {**variables, **tones(variables)}

    def refresh_css(self, animate: bool = True) -> None:
        """All styles anew, but for the first theme: they have not been read before it was set."""
        parsed, self._theme_is_parsed = self._theme_is_parsed, False
        if not parsed:
            super().refresh_css(animate)

    def compose(self) -> ComposeResult:
        self.head = HeadBar(self.session)
        self.tabs = TabBar(self.session)
        self.notice_bar = NoticeBar(self.session)
        self.keys = KeyBar(self.session)
        yield self.head
        yield self.tabs
        with Container(id="body"):
            for kind in PANES:
                name = kind.__name__[:-4].lower()
                self.panes[name] = kind(self.session, id=name)
                yield self.panes[name]
        yield self.notice_bar
        yield self.keys

    def on_mount(self) -> None:
        self.arrangement = Layout(self)
        if self.project:
            saved = load(self.project)
            self.arrangement.restore(saved.get("layout"))
            if saved.get("theme") in self.available_themes and "TEXTUAL_THEME" not in os.environ:
                self.theme = saved["theme"]
            self._chosen_theme = self.theme
            self.panes["traffic"].follow = self.session.traffic.in_order_of_time
            self.session.pins.restore(saved.get("pins"))
        self.arrangement.apply()
        self.screen.set_focus(self.panes[NAMES[self.arrangement.active]])
        self.set_timer(0.3, self.asking.make)
        loop = asyncio.get_running_loop()
        self.ending.take_signals(loop, self._continued)
        self.draw_timer = DrawTimer(loop, self.session.tick, self.draw_changes)
        self.feed.attach(loop)
        if self.recording:
            self._open(self.recording)
        self.session.commands.give("detail", {"level": 2})  # rows, headers and bodies
        if self.ending.guest:
            self.session.past.ask()
        self.news()

    def _open(self, path: str) -> None:
        """Show what a file holds; there is no server then that could obey."""
        from .files import open_recording
        from .model.records import NoSession

        try:
            open_recording(self.session, path)
        except (NoSession, OSError) as exc:
            self.failure = exc
            self.exit()

    def _continued(self) -> None:
        """The process goes on, after Ctrl+Z, after a stop that it could not see coming, or
        without a stop at all: whatever the terminal is like now, take it anew and draw all.

        Textual's own handler takes a raw terminal for the state to give back in the end, and
        starts a second thread that reads keys, if there was no stop that it knows of."""
        driver = self._driver
        if driver is None or not driver.can_suspend:
            return
        driver.suspend_application_mode()
        driver.resume_application_mode()
        self.refresh(layout=True)
        self.news()

    def on_resize(self, event: events.Resize) -> None:
        if self.arrangement is not None:
            self.arrangement.resized(event.size)
        self.asking.resized()

    def on_unmount(self) -> None:
        if self.draw_timer is not None:
            self.draw_timer.stop()
        self.feed.detach()
        self.remember()

    def remember(self) -> None:
        """Save what the next run begins with."""
        if self.project and self.arrangement is not None:
            theme = {"theme": self.theme} if self.theme != self._chosen_theme or (
                self._chosen_theme != self._default_theme) else {}
            save(self.project, {"layout": self.arrangement.kept(), **theme,
                                "pins": self.session.pins.kept()})

    # -- drawing

    def news(self) -> None:
        """The model has changed: draw at the next tick."""
        if self.draw_timer is not None:
            fresh = self.session.traffic.seen - self._rows_drawn
            self.draw_timer.news(flood=fresh > self.size.height)

    def _hurry(self) -> None:
        """A key has changed what is to be seen: do not wait for the next tick."""
        if self.draw_timer is not None:
            self.draw_timer.key()

    def draw_changes(self, hurry: bool = False) -> bool:
        """Let what is visible draw itself where it has changed; in a hurry also the panes
        that otherwise take their time."""
        drawn = False
        if self._exit:
            return drawn
        self._rows_drawn = self.session.traffic.seen
        if self.arrangement is not None:
            self.arrangement.settle()
        parts: List[Union[Bar, LinePane]] = [self.head, self.tabs, self.notice_bar]
        parts += [*self.panes.values(), self.keys]  # keys are about what panes show
        for part in parts:
            if part.display and part.size.width:
                drawn |= part.sync(hurry)
        if self.session.errors.unseen and self.panes["errors"].display:
            self.session.errors.seen()
        if drawn and self.draw_timer is not None:
            self.call_after_refresh(self.draw_timer.drawn)
        return drawn

    # -- pages

    def action_help(self) -> None:
        from .help import HelpScreen, groups_of

        panes = sorted(self.panes.values(), key=lambda pane: pane.NUMBER or 9)
        self.push_screen(HelpScreen(groups_of(self, [type(pane) for pane in panes])))

    def action_command_palette(self) -> None:
        from .palette import DashboardCommands

        type(self).COMMANDS = {DashboardCommands}
        super().action_command_palette()

    # -- leaving

    def action_quit_or_ask(self) -> None:
        self.ending.quit_or_ask()

    def action_leave(self) -> None:
        self.ending.leave()

    def _fatal_error(self) -> None:
        """Instead of Textual's page of traceback: the caller gets the exception."""
        self.failure = sys.exc_info()[1]
        self._close_messages_no_wait()

    # -- panes

    def action_pane(self, number: int) -> None:
        if self.arrangement is not None:
            self.arrangement.choose(number)
            self._hurry()

    def on_descendant_focus(self) -> None:
        self._hurry()  # a strip that has the focus has more lines

    def on_moving_selected(self, message: LinePane.Selected) -> None:
        self.show_in_detail(message.pane.subject_of_selection())

    def show_in_detail(self, subject: Optional[Subject]) -> None:
        if subject is None or self.arrangement is None:
            return
        again = self.detail.shows(subject)
        self.detail.show_subject(subject)
        self.arrangement.open_detail(again)

    def has_open(self, kind: type, subject: Any = None) -> bool:
        """Whether the detail is open on something of a kind; of `subject`, on that."""
        return (self.arrangement is not None and self.arrangement.detail
                and isinstance(self.detail.subject, kind)
                and (subject is None or self.detail.shows(subject)))

    def selection_moved(self, subject: Any) -> None:
        """Another line was selected, perhaps as the newest: a detail of such a one goes along,
        with a request in any case."""
        if subject is None:
            return
        if isinstance(subject, Row):
            self.throttle_pane.learn(subject)
        if self.has_open(object if isinstance(subject, Row) else type(subject)):
            self.detail.show_subject(subject, along=True)

    def action_close_detail(self) -> None:
        if self.arrangement is not None:
            self.arrangement.close_detail()

    def action_step_back(self) -> None:
        if self.arrangement is not None:
            self.arrangement.back()

    # -- what is typed

    async def action_filter(self) -> None:
        """Search where the focus is, in the log or in the detail; else filter the requests."""
        from .dialogues import ask_filter, ask_find, ask_search

        if self.panes["log"].has_focus:
            await ask_search(self)
        elif self.detail.has_focus:
            await ask_find(self)
        else:
            await ask_filter(self)

    def find_in_detail(self, text: str, again: bool) -> None:
        self.detail.find(text, again)

    def show_traffic(self) -> None:
        if self.arrangement is not None:
            self.arrangement.show_traffic()

    def redraw_pane(self, name: str) -> None:
        self.panes[name].redraw()

    def filter_by(self, value: str) -> None:
        self.session.traffic.set_filter(value)
        if self.arrangement is not None:
            self.arrangement.choose(1)
        self.traffic.redraw()
