"""What the dashboard's own keys do, apart from leaving: the app's base class."""

from typing import TYPE_CHECKING, Dict, List, Optional, Tuple, Union, cast

from textual.app import App

from tremolo.scope import EVERYTHING, Scope

from .feed import Feed
from .host import Host
from .layout import Layout
from .model.holding import Held
from .model.logs import Error
from .model.pins import answer_of
from .model.requests import HARMLESS, Key, Request, key_of, refusal_of, request_of
from .model.session import Session
from .model.throttling import PRESETS
from .model.traffic import Endpoint, Row
from .panes.connections import ConnectionsPane
from .panes.detail import DetailPane
from .panes.errors import ErrorsPane
from .panes.lines import LinePane
from .panes.routes import RoutesPane
from .panes.throttle import ThrottlePane
from .panes.traffic import TrafficPane
from .replays import Replays, shown

if TYPE_CHECKING:
    from .entry import Entry

ALARM = 8.0  # seconds that a notice stands
ALARM_AGAIN = 30.0  # and until the same one may come again


class Actions(App[int]):
    """Of `Dashboard`, which brings the session, the panes and their arrangement."""

    session: Session
    feed: Feed
    replays: Replays
    debugger: List[str]
    stopping: int
    panes: Dict[str, LinePane]
    arrangement: Optional[Layout]
    entry: Optional["Entry"]

    def __init__(self) -> None:
        super().__init__()
        self._alarms: Dict[str, float] = {}
        self._breakpoints: List[Tuple[int, str]] = []

    # -- what it acts on

    @property
    def host(self) -> Host:
        """Itself, as helpers see it."""
        return cast(Host, self)

    @property
    def busy(self) -> bool:
        """Something is being typed, or a dialogue is open."""
        return (self.entry is not None and bool(self.entry.display)) or len(self.screen_stack) > 1

    def pane_titles(self) -> List[Tuple[int, str]]:
        return sorted((pane.NUMBER, pane.TITLE) for pane in self.panes.values() if pane.NUMBER)

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

    def selected_row(self) -> Optional[Row]:
        return self.traffic.selected_row()

    # -- keys that act

    def action_pause(self) -> None:
        traffic = self.session.traffic
        traffic.pause(not traffic.paused)
        self.traffic.redraw()

    def action_reload(self) -> None:
        self.session.notify("reloading …", "info")
        self.session.commands.give("reload", {}, "reload")

    def action_help(self) -> None:
        from .help import HelpScreen, groups_of

        panes = sorted(self.panes.values(), key=lambda pane: pane.NUMBER or 9)
        self.push_screen(HelpScreen(groups_of(self, [type(pane) for pane in panes])))

    def action_open_url(self) -> None:
        from .outside import open_url

        open_url(self.host)

    def action_edit(self) -> None:
        from .outside import edit

        edit(self.host, self._place_in_question())

    def _place_in_question(self) -> Union[Error, Endpoint, None]:
        """What the editor opens: the exception that is shown, or that of the request in
        question, or what answered that; else the newest exception."""
        focus = self.detail if self.detail.has_focus else self.traffic
        row = self.detail.subject if focus is self.detail else (
            self.traffic.selected_row() if self.traffic.has_focus else None)
        if isinstance(row, Row):
            error = self.session.errors.of_request(row.pid, row.id)
            if error is not None or row.endpoint is not None:
                return error or row.endpoint
        return self.shown_error()

    def action_plain(self) -> None:
        from .outside import plain_log

        plain_log(self.host)

    def action_command_palette(self) -> None:
        from .palette import DashboardCommands

        type(self).COMMANDS = {DashboardCommands}
        super().action_command_palette()

    def shown_error(self) -> Optional[Error]:
        """The exception in the detail or the errors pane, else the newest."""
        if self.arrangement is not None and self.arrangement.detail and self.detail.error:
            return self.detail.error
        pane = self.panes["errors"]
        assert isinstance(pane, ErrorsPane)
        chosen = pane.selected_error() if pane.display else None
        items = self.session.errors.items
        return chosen or (items[-1] if items else None)

    def action_notices(self) -> None:
        self.host.show_in_detail(self.session.notices)
        self.session.notices.seen()

    def action_last_reload(self) -> None:
        reload = self.session.reload
        if not reload.parts and not reload.error:
            self.session.notify("no start or reload was seen yet", "info")
            return
        self.host.show_in_detail(reload)

    def alarm(self, title: str, words: str) -> None:
        """A notice that goes away by itself; the same one not again and again."""
        now = self.session.clock()
        if now - self._alarms.get(words, -1e9) < ALARM_AGAIN:
            return
        self._alarms = {known: at for known, at in self._alarms.items()
                        if now - at < ALARM_AGAIN}
        self._alarms[words] = now
        self.notify(words, title=title, severity="error", timeout=ALARM, markup=False)

    # -- breakpoints

    def stopped_at(self, pid: int, words: str) -> None:
        """A breakpoint waits in the worker `pid`: its debugger gets the terminal, unless
        something is being typed into it."""
        self._breakpoints.append((pid, words))
        if self.busy:
            self.session.notify(f"{words.partition(': ')[0]}: D is the debugger", "warning")
        else:
            self.call_later(self.action_debug)

    def action_debug(self) -> None:
        if not self._breakpoints:
            self.session.notify("no breakpoint waits", "info")
            return
        from .outside import debug

        debug(self.host, *self._breakpoints.pop(0))

    # -- sending requests again

    def _row_in_question(self) -> Optional[Row]:
        """The request in the detail if that has the keys, else the one under the cursor; says
        so if there is none."""
        subject = self.detail.subject if self.detail.has_focus else None
        row = subject if isinstance(subject, Row) else self.traffic.selected_row()
        if row is None:
            self.session.notify("select a request first", "warning")
        return row

    def _request_in_question(self) -> Optional[Request]:
        """What replay, pin and edit are about; says why if it cannot be sent again."""
        row = self._row_in_question()
        if row is None:
            return None
        why = refusal_of(row)
        if why:
            self.session.notify(why, "warning")
            return None
        return request_of(row)

    def action_replay(self) -> None:
        request = self._request_in_question()
        if request is not None:
            self.send_now(request)

    def send_now(self, request: Request) -> None:
        self.session.notify(f"{shown(request)} is sent again …", "info")
        self.replays.send([request], by_hand=True)

    def action_edit_request(self) -> None:
        request = self._request_in_question()
        if request is not None:
            from .outside import edit_request

            edit_request(self.host, request)

    def action_pin(self) -> None:
        row = self._row_in_question()
        if row is None:
            return
        pins = self.session.pins
        if key_of(row) in pins:
            self.unpin(key_of(row))
        else:
            request = self._request_in_question()
            if request is None:
                return
            pins.toggle(request)
            if request.method in HARMLESS:
                self.session.notify(f"pinned {shown(request)}: sent again after each reload",
                                  "good")
                self.replays.send([request], by_hand=False)  # to compare later answers with
            else:
                facts = self.session.insight.of(row.pid, row.id)
                seen = answer_of(row, facts.query_count if facts is not None else -1)
                if seen is not None:
                    pins.answered(request.key, seen)
                self.session.notify(f"pinned {shown(request)}: it will be sent after each "
                                  "reload, whatever it changes", "warning")
        self.traffic.redraw()
        self.host.remember()

    def unpin(self, key: Key) -> None:
        pin = self.session.pins.find(key)
        if pin is not None:
            self.session.pins.unpin(key)
            self.session.notify(f"unpinned {shown(pin.request)}", "info")
            self.traffic.redraw()
            self.host.remember()

    async def action_hold(self) -> None:
        from .dialogues import ask_hold

        await ask_hold(self.host)

    def action_hold_mail(self) -> None:
        self.session.switch_mail()

    async def action_mock(self) -> None:
        from .dialogues import ask_mock

        await ask_mock(self.host, self.traffic.selected_row())

    def action_held(self) -> None:
        """All requests that are held, to let go, change, or answer."""
        if not self.session.holding.held:
            self.session.notify("no request is held: I says which to hold", "info")
            return
        from .held_list import HeldList

        self.push_screen(HeldList(self.host))

    async def ask_decision(self, held: Held, answer: bool) -> None:
        from .dialogues import ask_decision

        await ask_decision(self.host, held, answer)

    async def action_write(self) -> None:
        from .dialogues import ask_file

        await ask_file(self.host)

    def action_pins(self) -> None:
        """All pins, to look at one, to send them again, to take one down."""
        if not len(self.session.pins):
            self.session.notify("nothing is pinned: p on a request pins it", "info")
            return
        from .pin_list import PinList

        self.push_screen(PinList(self.host))

    def send_pins(self) -> None:
        self.replays.send(self.session.pins.requests(), by_hand=True)

    def replay_pins(self) -> None:
        """A new generation serves: does it answer as the one before?"""
        if len(self.session.pins) and not self.session.recorded:
            self.replays.send(self.session.pins.requests(), by_hand=False)

    # -- what the detail shows of a request

    def action_reveal(self) -> None:
        if self.arrangement is not None and self.arrangement.detail:
            self.detail.reveal()

    def action_detail_tab(self, step: int) -> None:
        if self.arrangement is not None and self.arrangement.detail:
            self.detail.action_tab(step)

    def action_copy_body(self) -> None:
        from .clipboard import copy_body

        row = self._row_in_question()
        if row is not None:
            copy_body(self.host, row)

    # -- the throttle

    def action_throttle(self) -> None:
        self.open_throttle(self._scope_under_cursor())

    def _scope_under_cursor(self) -> Optional[Scope]:
        """What the selected line of the focused list is about; None: nothing is selected."""
        pane, control = self.focused, self.throttle_pane
        if isinstance(pane, ConnectionsPane):
            connection = pane.selected_connection()
            if connection is not None:
                control.client = connection.client
            return connection.scope if connection else None
        if isinstance(pane, RoutesPane) and str(pane.selected or "").startswith("/"):
            control.route = str(pane.selected)
            return Scope(control.route)
        if isinstance(pane, TrafficPane) and pane.selected_row() is not None:
            return Scope(control.route) if control.route else None
        return None

    def open_throttle(self, scope: Optional[Scope]) -> None:
        if scope is not None:
            pane = self.throttle_pane
            pane.scope = scope
            if scope.connection is not None and scope.connection[0] is not None:
                pane.connection = (scope.connection[0], scope.connection[1])
        if self.arrangement is not None:
            self.arrangement.toggle_throttle(scope is not None)
        self.host.news()

    def action_close_throttle(self) -> None:
        if self.arrangement is not None:
            self.arrangement.close_throttle()

    def action_toggle_throttle(self) -> None:
        self.session.switch_throttle()

    def throttle_all(self, name: str) -> None:
        self.session.wish_throttle(EVERYTHING, PRESETS[name])

    async def ask_throttle(self, scope: Scope) -> None:
        from .dialogues import ask_throttle

        await ask_throttle(self.host, scope)

    async def ask_message(self, row: Row) -> None:
        from .dialogues import ask_message

        await ask_message(self.host, row)

    async def ask_close(self, row: Row) -> None:
        from .dialogues import ask_close

        await ask_close(self.host, row)

    async def ask_scope(self) -> None:
        from .dialogues import ask_scope

        await ask_scope(self.host)

    def choose_scope(self, scope: Scope) -> None:
        self.throttle_pane.choose_scope(scope)
