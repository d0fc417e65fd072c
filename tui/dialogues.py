"""What the dashboard asks in its one-line entry: a filter, a search, a throttle, a scope.

Each is typed at the place where it is shown afterwards. Imported on first use.
"""

from typing import Optional, Tuple

from tremolo.exceptions import ConfigurationError
from tremolo.scope import EVERYTHING, Scope

from .host import Host
from .model.scopes import named, typed
from .model.text import clean
from .model.throttling import DEFAULT_PRESET, Throttle


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
        app.close_entry("throttle")
        return True

    await app.open_entry("throttle", text, "down=1.5Mbit latency=150ms or /api/*: slow-4g",
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
        app.close_entry("throttle")
        return True

    await app.open_entry("throttle", "", "all /api/* client:10.0.0.7 #88 total",
                         lambda value: None, finished)


async def ask_filter(app: Host) -> None:
    """Filters while it is typed; Escape brings back the filter from before."""
    session = app.session
    before = session.traffic.filter_text

    def changed(value: str) -> None:
        session.traffic.set_filter(value)
        app.mark_mistake(session.traffic.filter_error)
        app.redraw_pane("traffic")

    def finished(value: str, accepted: bool) -> bool:
        if accepted and session.traffic.filter_error is not None:
            return False
        if not accepted:
            session.traffic.set_filter(before)
        app.close_entry("traffic")
        app.redraw_pane("traffic")
        return True

    app.show_traffic()
    await app.open_entry("traffic", before, "m:post s:5xx ms>50 route:/api/* !static a|b",
                         changed, finished)


async def ask_search(app: Host) -> None:
    """Searches the log while it is typed; Escape brings back the search from before."""
    log = app.session.log
    before = log.search_text

    def changed(value: str) -> None:
        log.search(value)
        app.mark_mistake(log.search_error)
        if log.search_error is not None:
            app.session.notify(str(log.search_error), "warning")
        app.redraw_pane("log")

    def finished(value: str, accepted: bool) -> bool:
        if accepted and log.search_error is not None:
            return False
        if not accepted:
            log.search(before)
        app.close_entry("log")
        app.redraw_pane("log")
        return True

    await app.open_entry("log", before, "words pid:4711 level:error name:shop !debug a|b",
                         changed, finished)


async def ask_find(app: Host) -> None:
    """Finds text in the detail; Enter goes to the next place, Escape ends it."""

    def changed(value: str) -> None:
        app.find_in_detail(value, again=False)

    def finished(value: str, accepted: bool) -> bool:
        if not accepted:
            app.find_in_detail("", again=False)
        app.close_entry("detail")
        return True

    await app.open_entry("detail", "", "text in this tab", changed, finished)


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
        app.close_entry("traffic")
        app.redraw_pane("traffic")
        return True

    app.show_traffic()
    session.notify("a name in .har makes it a HAR; what is filtered out is left out", "info")
    await app.open_entry("traffic", suggested(session), "session.jsonl or requests.har",
                         lambda value: None, finished)
