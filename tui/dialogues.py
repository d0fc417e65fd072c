"""What the dashboard asks in its one-line entry: a filter, a search, a throttle, a scope.

Each is typed at the place where it is shown afterwards. Imported on first use.
"""

import base64
from typing import Any, Dict, Optional, Tuple

from tremolo.exceptions import ConfigurationError
from tremolo.scope import EVERYTHING, Scope
from tremolo.telemetry.filters import FilterError, compile_hold

from .host import Host
from .model.holding import Held, Malformed, Mock, change_of, mock_of
from .model.requests import without
from .model.scopes import named, typed
from .model.text import clean
from .model.throttling import DEFAULT_PRESET, Throttle
from .model.traffic import Row


async def ask_throttle(app: Host, scope: Scope) -> None:
    """A throttle, typed as `--throttle` takes it, for `scope` if it names none itself; wrong ones
    are explained while typing."""
    session = app.session
    current = session.throttling.at(scope)
    text = str(current) if current.active else DEFAULT_PRESET

    def read(value: str) -> Optional[Tuple[Scope, Throttle]]:
        try:
            return typed(value, scope, session.connections.keys())
        except ConfigurationError as exc:
            session.notify(clean(str(exc)), "warning")
            return None

    def changed(value: str) -> None:
        found = read(value)
        if found is not None:
            session.notify(f"Enter applies it on {found[0].label}", "info")

    def finished(value: str, accepted: bool) -> bool:
        if accepted:
            found = read(value)
            if found is None:
                return False
            session.wish_throttle(*found, exempt=":" in value and found[0] != EVERYTHING)
            app.choose_scope(found[0])
        app.asking.close("throttle")
        return True

    await app.asking.open("throttle", text, "down=1.5Mbit latency=150ms or /api/*: slow-4g",
                         changed, finished)


async def ask_scope(app: Host) -> None:
    """What the throttle control is about, typed."""
    session = app.session

    def finished(value: str, accepted: bool) -> bool:
        if accepted:
            try:
                app.choose_scope(named(value, session.connections.keys()))
            except ConfigurationError as exc:
                session.notify(clean(str(exc)), "warning")
                return False
        app.asking.close("throttle")
        return True

    await app.asking.open("throttle", "", "all /api/* client:10.0.0.7 #88 total",
                         lambda value: None, finished)


async def ask_filter(app: Host) -> None:
    """Filters while it is typed; Escape brings back the filter from before."""
    session = app.session
    before = session.traffic.filter_text

    def changed(value: str) -> None:
        session.traffic.set_filter(value)
        app.asking.mark(session.traffic.filter_error)
        app.redraw_pane("traffic")

    def finished(value: str, accepted: bool) -> bool:
        if accepted and session.traffic.filter_error is not None:
            return False
        if not accepted:
            session.traffic.set_filter(before)
        app.asking.close("traffic")
        app.redraw_pane("traffic")
        return True

    app.show_traffic()
    await app.asking.open("traffic", before, "m:post s:5xx ms>50 route:/api/* !static a|b",
                         changed, finished)


async def ask_search(app: Host) -> None:
    """Searches the log while it is typed; Escape brings back the search from before."""
    log = app.session.log
    before = log.search_text

    def changed(value: str) -> None:
        log.search(value)
        app.asking.mark(log.search_error)
        if log.search_error is not None:
            app.session.notify(str(log.search_error), "warning")
        app.redraw_pane("log")

    def finished(value: str, accepted: bool) -> bool:
        if accepted and log.search_error is not None:
            return False
        if not accepted:
            log.search(before)
        app.asking.close("log")
        app.redraw_pane("log")
        return True

    await app.asking.open("log", before, "words pid:4711 level:error name:shop !debug a|b",
                         changed, finished)


async def ask_find(app: Host) -> None:
    """Finds text in the detail; Enter goes to the next place, Escape ends it."""

    def changed(value: str) -> None:
        app.find_in_detail(value, again=False)

    def finished(value: str, accepted: bool) -> bool:
        if not accepted:
            app.find_in_detail("", again=False)
        app.asking.close("detail")
        return True

    await app.asking.open("detail", "", "text in this tab", changed, finished)


async def ask_file(app: Host) -> None:
    """Where to write the session, or HAR if the name ends in .har."""
    from .files import suggested, write

    session = app.session

    def finished(value: str, accepted: bool) -> bool:
        if accepted:
            try:
                count = write(session, value.strip())
            except OSError as exc:
                session.notify(clean(f"{exc.strerror}: {value}"), "error")
                return False
            session.notify(clean(f"{count:,} requests, secrets and all, in {value}"), "good")
        app.asking.close("traffic")
        app.redraw_pane("traffic")
        return True

    app.show_traffic()
    session.notify("a name in .har makes it a HAR; what is filtered out is left out", "info")
    await app.asking.open("traffic", suggested(session), "session.jsonl or requests.har",
                         lambda value: None, finished, "write to")


async def ask_message(app: Host, row: Row) -> None:
    """A message for the WebSocket of `row`, as if the application sent it."""

    def finished(value: str, accepted: bool) -> bool:
        if accepted and value:
            what: Dict[str, Any] = {"text": value}
            if value.startswith("0x"):
                try:
                    data = bytes.fromhex(value[2:])
                except ValueError:
                    app.session.notify("0x stands before bytes in hex: 0x00 ff", "warning")
                    return False
                what = {"data64": base64.b64encode(data).decode("ascii")}
            app.session.commands.give("message", {"pid": row.pid, "conn": row.conn, **what},
                                      "message", said="the message is sent")
        app.asking.close("detail")
        return True

    await app.asking.open("detail", "", "a message for the client; 0x00 ff for bytes",
                         lambda value: None, finished)


async def ask_close(app: Host, row: Row) -> None:
    """The code and the reason to close the WebSocket of `row` with."""

    def finished(value: str, accepted: bool) -> bool:
        if accepted:
            code, _, reason = value.strip().partition(" ")
            if not code.isdigit() or not code.isascii():
                app.session.notify("a code such as 1000, 1011 or 4000, then a reason", "warning")
                return False
            app.session.commands.give("message", {"pid": row.pid, "conn": row.conn,
                                                  "close": int(code), "reason": reason},
                                      f"close {code}", said=f"closed with {code}")
        app.asking.close("detail")
        return True

    await app.asking.open("detail", "1000", "1011 out of lamps", lambda value: None, finished)


async def ask_hold(app: Host) -> None:
    """Which requests to hold before the application sees them; empty: none."""
    holding = app.session.holding

    def mistake_of(value: str) -> Optional[FilterError]:
        try:
            compile_hold(value)
        except FilterError as exc:
            return exc
        return None

    def changed(value: str) -> None:
        app.asking.mark(mistake_of(value))

    def finished(value: str, accepted: bool) -> bool:
        if accepted:
            if mistake_of(value) is not None:
                return False
            holding.hold = value.strip()
            held = holding.hold
            app.session.commands.give(
                "intercept", holding.wanted(), f"hold {held}" if held else "hold nothing",
                said=f"from now on held: {held} · I again ends it" if held else
                "no requests are held any more")
        app.asking.close("traffic")
        app.redraw_pane("traffic")
        return True

    app.show_traffic()
    await app.asking.open("traffic", holding.hold, "POST /api/* h:cookie | ip:10.; empty: none",
                         changed, finished, "hold")


async def ask_mock(app: Host, row: Optional[Row]) -> None:
    """What to answer for a route in the application's place; empty: nothing for that of `row`, or
    for any without one."""
    holding = app.session.holding
    recorded = mock_of_row(row) if row is not None else None
    known = holding.mocks.get((recorded.method, recorded.path)) if recorded else None
    text = "" if recorded is None else f"{recorded.method} {recorded.path} {recorded.status}"
    if known is not None:
        body = known.body.decode("utf-8", "replace")
        text = f"{known.method} {known.path} {known.status} {body}"

    def finished(value: str, accepted: bool) -> bool:
        if accepted:
            try:
                mock = mock_of(value, recorded) if value.strip() else None
            except Malformed as exc:
                app.session.notify(str(exc), "warning")
                return False
            if mock is not None:
                holding.mocks[mock.method, mock.path] = mock
            elif recorded is not None:
                holding.mocks.pop((recorded.method, recorded.path), None)
            else:
                holding.mocks.clear()
            count = len(holding.mocks)
            app.session.commands.give(
                "intercept", holding.wanted(), "mock",
                said=f"{mock.method} {mock.path} is answered with {mock.status} · A again ends it"
                if mock is not None else f"{count} route{'' if count == 1 else 's'} mocked still"
                if count else "no route is mocked any more")
        app.asking.close("traffic")
        app.redraw_pane("traffic")
        return True

    await app.asking.open("traffic", text, 'GET /api/* 503 {"error": 1}; empty: not mocked',
                         lambda value: None, finished, "mock")


def mock_of_row(row: Row) -> Mock:
    """The answer that a request got, as one for all like it; without its body if that is not
    known whole, or was coded."""
    path = row.path.partition("?")[0]
    response = row.response
    if response is None or not response.body_whole or response.field("content-encoding"):
        return Mock(row.method, path, row.status or 200, (), b"")
    headers = without(response.headers, {"date", "server", "set-cookie"})
    return Mock(row.method, path, row.status, headers, response.body or b"")


async def ask_decision(app: Host, held: Held, answer: bool) -> None:
    """How one that is held goes on, or what it is answered."""

    def finished(value: str, accepted: bool) -> bool:
        if accepted:
            what: Dict[str, Any]
            try:
                what = change_of(value) if not answer else {
                    "answer": mock_of(f"GET / {value}").told()}
            except Malformed as exc:
                app.session.notify(str(exc), "warning")
                return False
            app.session.commands.give("release", {"pid": held.pid, "id": held.id, **what},
                                      f"{held.method} {held.path}",
                                      said=f"{held.method} {held.path} " + (
                                          "is answered by hand" if answer else "goes on"))
        app.asking.close("traffic")
        app.redraw_pane("traffic")
        return True

    app.show_traffic()
    await app.asking.open("traffic", "200 " if answer else f"{held.method} {held.path}",
                         "404 not here" if answer else "PUT /other X-Role: admin | Cookie: || {}",
                         lambda value: None, finished, "answer" if answer else "change")
