"""The two questions that the dashboard asks in its entry: a filter, and a throttle.

Imported on first use.
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
        app.redraw_traffic()

    def finished(value: str, accepted: bool) -> bool:
        if accepted and session.traffic.filter_error is not None:
            return False
        if not accepted:
            session.traffic.set_filter(before)
        app.close_entry("traffic")
        app.redraw_traffic()
        return True

    app.show_traffic()
    await app.open_entry("filter", before, "m:post s:5xx ms>50 route:/api/* !static a|b",
                         changed, finished)
