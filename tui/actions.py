"""What the dashboard's own keys do, apart from leaving and what is typed.

A part of the app's class, and of nothing else: what its methods ask of that is `Acting`.
"""

from typing import List, Optional, Tuple

from tremolo.scope import EVERYTHING, Scope

from .acting import Acting
from .in_question import (
    pin_in_question,
    place_in_question,
    request_in_question,
    resendable,
    row_in_question,
    scope_under_cursor,
    unpinnable,
)
from .model.holding import Held
from .model.pins import answer_of
from .model.requests import HARMLESS, Key, Request, key_of
from .model.throttling import PRESETS
from .model.traffic import Row
from .replays import shown

RESENDING = ("app.replay", "app.pin")
OF_SERVER = ("reload", "throttle", "cut", "restart", "count(1)", "count(-1)", "own", "off")
ALARM = 8.0  # seconds that a notice stands
ALARM_AGAIN = 30.0  # and until the same one may come again


class Actions:
    """A part of `Dashboard`: its methods are those of an app that is `Acting`."""

    def pane_titles(self: Acting) -> List[Tuple[int, str]]:
        return sorted((pane.NUMBER, pane.TITLE) for pane in self.panes.values() if pane.NUMBER)

    def selected_row(self: Acting) -> Optional[Row]:
        return self.traffic.selected_row()

    def hides_key(self: Acting, action: str) -> bool:
        """A key that could only say why it does nothing here is not offered."""
        if action in OF_SERVER and self.session.recorded:
            return True
        if action in ("edit", "app.edit"):
            place = place_in_question(self)
            return place is None or not place.file
        if action == "app.pin" and unpinnable(self):
            return False
        return action in RESENDING and not resendable(self)

    # -- keys that act

    def action_pause(self: Acting) -> None:
        traffic = self.session.traffic
        traffic.pause(not traffic.paused)
        self.traffic.redraw()

    def action_reload(self: Acting) -> None:
        self.session.notify("reloading …", "info")
        self.session.commands.give("reload", {}, "reload")

    def action_open_url(self: Acting) -> None:
        from .outside import open_url

        open_url(self)

    def action_edit(self: Acting) -> None:
        from .outside import edit

        edit(self, place_in_question(self))

    def action_plain(self: Acting) -> None:
        from .outside import plain_log

        plain_log(self)

    def action_notices(self: Acting) -> None:
        self.show_in_detail(self.session.notices)
        self.session.notices.seen()

    def action_last_reload(self: Acting) -> None:
        reload = self.session.reload
        if not reload.parts and not reload.error:
            self.session.notify("no start or reload was seen yet", "info")
            return
        self.show_in_detail(reload)

    def alarm(self: Acting, title: str, words: str) -> None:
        """A notice that goes away by itself; the same one not again and again."""
        now = self.session.clock()
        if now - self.alarms.get(words, -1e9) < ALARM_AGAIN:
            return
        self.alarms = {known: at for known, at in self.alarms.items()
                        if now - at < ALARM_AGAIN}
        self.alarms[words] = now
        self.notify(words, title=title, severity="error", timeout=ALARM, markup=False)

    # -- breakpoints

    def stopped_at(self: Acting, pid: int, words: str) -> None:
        """A breakpoint waits in the worker `pid`: its debugger gets the terminal, unless
        something is being typed into it."""
        self.breakpoints.append((pid, words))
        if self.busy:
            self.session.notify(f"{words.partition(': ')[0]}: D is the debugger", "warning")
        else:
            self.call_later(self.action_debug)

    def action_debug(self: Acting) -> None:
        if not self.breakpoints:
            self.session.notify("no breakpoint waits", "info")
            return
        from .outside import debug

        debug(self, *self.breakpoints.pop(0))

    # -- sending requests again

    def action_replay(self: Acting) -> None:
        request = request_in_question(self)
        if request is not None:
            self.send_now(request)

    def send_now(self: Acting, request: Request) -> None:
        self.session.notify(f"{shown(request)} is sent again …", "info")
        self.replays.send([request], by_hand=True)

    def action_edit_request(self: Acting) -> None:
        request = request_in_question(self)
        if request is not None:
            from .outside import edit_request

            edit_request(self, request)

    def action_pin(self: Acting) -> None:
        pin = pin_in_question(self)
        if pin is not None:
            self.unpin(pin.request.key)
            return
        row = row_in_question(self)
        if row is None:
            return
        pins = self.session.pins
        if key_of(row) in pins:
            self.unpin(key_of(row))
        else:
            request = request_in_question(self)
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
        self.remember()

    def unpin(self: Acting, key: Key) -> None:
        pin = self.session.pins.find(key)
        if pin is not None:
            self.session.pins.unpin(key)
            self.session.notify(f"unpinned {shown(pin.request)}", "info")
            self.traffic.redraw()
            self.remember()

    async def action_hold(self: Acting) -> None:
        from .dialogues import ask_hold

        await ask_hold(self)

    def action_hold_mail(self: Acting) -> None:
        self.session.switch_mail()

    async def action_mock(self: Acting) -> None:
        from .dialogues import ask_mock

        await ask_mock(self, self.traffic.selected_row())

    def action_held(self: Acting) -> None:
        """All requests that are held, to let go, change, or answer."""
        if not self.session.holding.held:
            self.session.notify("no request is held: I says which to hold", "info")
            return
        from .held_list import HeldList

        self.push_screen(HeldList(self))

    async def ask_decision(self: Acting, held: Held, answer: bool) -> None:
        from .dialogues import ask_decision

        await ask_decision(self, held, answer)

    async def action_write(self: Acting) -> None:
        from .dialogues import ask_file

        await ask_file(self)

    def action_picture(self: Acting) -> None:
        """What is on the screen, as SVG, in the working directory."""
        from .files import write_picture

        try:
            path = write_picture(self.session, self.export_screenshot())
        except OSError as exc:
            self.session.notify(f"no picture in this folder: {exc.strerror}", "error")
        else:
            self.session.notify(f"the screen, secrets and all, is in {path}", "good")

    def action_pins(self: Acting) -> None:
        """All pins, to look at one, to send them again, to take one down."""
        if not len(self.session.pins):
            self.session.notify("nothing is pinned: p on a request pins it", "info")
            return
        from .pin_list import PinList

        self.push_screen(PinList(self))

    def send_pins(self: Acting) -> None:
        self.replays.send(self.session.pins.requests(), by_hand=True)

    def replay_pins(self: Acting) -> None:
        """A new generation serves: does it answer as the one before?"""
        if len(self.session.pins) and not self.session.recorded:
            self.replays.send(self.session.pins.requests(), by_hand=False)

    # -- what the detail shows of a request

    def action_reveal(self: Acting) -> None:
        if self.arrangement is not None and self.arrangement.detail:
            self.detail.reveal()

    def action_detail_tab(self: Acting, step: int) -> None:
        if self.arrangement is not None and self.arrangement.detail:
            self.detail.action_tab(step)

    def action_copy_body(self: Acting) -> None:
        from .clipboard import copy_body

        row = row_in_question(self)
        if row is not None:
            copy_body(self, row)

    # -- the throttle

    def action_throttle(self: Acting) -> None:
        self.open_throttle(scope_under_cursor(self))

    def open_throttle(self: Acting, scope: Optional[Scope]) -> None:
        if scope is not None:
            pane = self.throttle_pane
            pane.scope = scope
            if scope.connection is not None and scope.connection[0] is not None:
                pane.connection = (scope.connection[0], scope.connection[1])
        if self.arrangement is not None:
            self.arrangement.toggle_throttle(scope is not None)
        self.news()

    def action_close_throttle(self: Acting) -> None:
        if self.arrangement is not None:
            self.arrangement.close_throttle()

    def action_toggle_throttle(self: Acting) -> None:
        self.session.switch_throttle()

    def throttle_all(self: Acting, name: str) -> None:
        self.session.wish_throttle(EVERYTHING, PRESETS[name])

    async def ask_throttle(self: Acting, scope: Scope) -> None:
        from .dialogues import ask_throttle

        await ask_throttle(self, scope)

    async def ask_message(self: Acting, row: Row) -> None:
        from .dialogues import ask_message

        await ask_message(self, row)

    async def ask_close(self: Acting, row: Row) -> None:
        from .dialogues import ask_close

        await ask_close(self, row)

    async def ask_scope(self: Acting) -> None:
        from .dialogues import ask_scope

        await ask_scope(self)

    def choose_scope(self: Acting, scope: Scope) -> None:
        self.throttle_pane.choose_scope(scope)
