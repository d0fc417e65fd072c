"""What the dashboard's own keys do, apart from leaving: a mixin of the app."""

from typing import Any, Optional

from textual.app import App

from .model.logs import Error
from .model.throttling import ALL, PRESETS
from .panes.connections import ConnectionsPane
from .panes.errors import ErrorsPane
from .panes.routes import RoutesPane
from .panes.traffic import TrafficPane


class Actions:
    """Of `Dashboard`, which brings the session, the panes and their arrangement."""

    session: Any
    panes: Any
    arrangement: Any
    info: Any
    COMMANDS: Any

    # -- keys that act

    def action_pause(self) -> None:
        traffic = self.session.traffic
        traffic.pause(not traffic.paused)
        self.traffic.redraw()

    def action_reload(self) -> None:
        self.session.commands.give("reload", {}, "reload")
        self.session.tell("reloading …", "info")

    def action_help(self) -> None:
        from .help import HelpScreen, groups_of

        kinds = sorted(map(type, self.panes.values()), key=lambda kind: kind.NUMBER or 9)
        self.push_screen(HelpScreen(groups_of(self, kinds)))

    def action_open_url(self) -> None:
        from .outside import open_url

        open_url(self)

    def action_edit(self) -> None:
        from .outside import edit

        edit(self, self.shown_error())

    def action_plain(self) -> None:
        from .outside import plain_log

        plain_log(self)

    def action_command_palette(self) -> None:
        from .palette import DashboardCommands

        type(self).COMMANDS = App.COMMANDS | {DashboardCommands}
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

    # -- the throttle

    def action_throttle(self) -> None:
        self.open_throttle(self._scope_under_cursor())

    def _scope_under_cursor(self) -> Optional[str]:
        """What the selected line of the focused list is about; None: nothing is selected."""
        pane, control = self.focused, self.throttle_pane
        if isinstance(pane, ConnectionsPane):
            connection = pane.selected_connection()
            return connection.scope if connection else None
        if isinstance(pane, RoutesPane) and str(pane.selected or "").startswith("/"):
            control.route = str(pane.selected)
            return control.route
        if isinstance(pane, TrafficPane) and pane.selected_row() is not None:
            return control.route
        return None

    def open_throttle(self, scope: Optional[str]) -> None:
        if scope is not None:
            pane = self.throttle_pane
            pane.scope = scope
            if scope.startswith("conn:"):
                _, pid, number = scope.split(":")
                pane.connection = (int(pid), int(number))
        if self.arrangement is not None:
            self.arrangement.toggle_throttle(scope is not None)
        self.news()

    def action_close_throttle(self) -> None:
        if self.arrangement is not None:
            self.arrangement.close_throttle()

    def action_toggle_throttle(self) -> None:
        pane = self.throttle_pane
        scope = pane.scope if pane.display else ALL
        wanted = self.session.wanted_throttle(scope)
        off = wanted.active
        self.session.wish_throttle(
            scope, PRESETS["off"] if off else self.session.throttling.toggled(scope))

    def throttle_all(self, name: str) -> None:
        self.session.wish_throttle(ALL, PRESETS[name])

    async def ask_throttle(self, scope: str) -> None:
        from .dialogues import ask_throttle

        await ask_throttle(self, scope)
