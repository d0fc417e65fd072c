"""What the dashboard asks in its one-line entry: a filter, a search, a throttle, a scope.

Each is typed at the place where it is shown afterwards. Imported on first use.
"""

from .host import Host
from .model.text import clean
from .model.throttling import DEFAULT_PRESET, PRESETS, InvalidThrottle, Throttle


async def ask_throttle(app: Host, scope: str) -> None:
    """Numbers of one's own for `scope`, typed; wrong ones are explained while typing."""
    session = app.session
    current = session.throttling.at(scope)
    text = str(current) if current.active else DEFAULT_PRESET

    def changed(value: str) -> None:
        try:
            Throttle.parse(value, PRESETS)
        except InvalidThrottle as exc:
            session.notify(clean(str(exc)), "warning")
        else:
            session.notify("Enter applies it", "info")

    def finished(value: str, accepted: bool) -> bool:
        if accepted:
            try:
                throttle = Throttle.parse(value, PRESETS)
            except InvalidThrottle as exc:
                session.notify(clean(str(exc)), "error")
                return False
            session.wish_throttle(scope, throttle)
        app.close_entry("throttle")
        return True

    await app.open_entry("throttle", text, "down=1.5Mbit up=750kbit latency=150ms jitter=20ms",
                         changed, finished)


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
