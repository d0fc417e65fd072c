"""What a key is about: the line under the cursor, or what the detail shows."""

from typing import Optional, Union

from tremolo.scope import Scope

from .acting import Acting
from .model.logs import Error
from .model.pins import Pin
from .model.requests import Request, key_of, refusal_of, request_of
from .model.traffic import Endpoint, Row
from .panes.connections import ConnectionsPane
from .panes.errors import ErrorsPane
from .panes.routes import RoutesPane
from .panes.traffic import TrafficPane


def place_in_question(app: Acting) -> Union[Error, Endpoint, None]:
    """What the editor opens: the exception that is shown, or that of the request in
    question, or what answered that; else the newest exception."""
    focus = app.detail if app.detail.has_focus else app.traffic
    row = app.detail.subject if focus is app.detail else (
        app.traffic.selected_row() if app.traffic.has_focus else None)
    if isinstance(row, Row):
        error = app.session.errors.of_request(row.pid, row.id)
        if error is not None or row.endpoint is not None:
            return error or row.endpoint
    return shown_error(app)


def shown_error(app: Acting) -> Optional[Error]:
    """The exception in the detail or the errors pane, else the newest."""
    if app.arrangement is not None and app.arrangement.detail and app.detail.error:
        return app.detail.error
    pane = app.panes["errors"]
    assert isinstance(pane, ErrorsPane)
    chosen = pane.selected_error() if pane.display else None
    items = app.session.errors.items
    return chosen or (items[-1] if items else None)


def row_in_question(app: Acting) -> Optional[Row]:
    """The request in the detail if that has the keys, else the one under the cursor; says
    so if there is none."""
    row = _row(app)
    if row is None:
        app.session.notify("select a request first", "warning")
    return row


def _row(app: Acting) -> Optional[Row]:
    if not app.detail.has_focus:
        return app.traffic.selected_row()
    return app.detail.subject if isinstance(app.detail.subject, Row) else None


def pin_in_question(app: Acting) -> Optional[Pin]:
    """The pinned request that the detail shows, if that has the keys."""
    subject = app.detail.subject
    known = isinstance(subject, Pin) and subject.request.key in app.session.pins
    return subject if app.detail.has_focus and known and isinstance(subject, Pin) else None


def resendable(app: Acting) -> bool:
    """Whether there is something in question that can be sent again."""
    pin, row = pin_in_question(app), _row(app)
    return not pin.lacks if pin is not None else row is not None and not refusal_of(row)


def unpinnable(app: Acting) -> bool:
    """Whether what is in question is pinned: it can be taken down, whatever else it is."""
    row = _row(app)
    return pin_in_question(app) is not None or (
        row is not None and key_of(row) in app.session.pins)


def request_in_question(app: Acting) -> Optional[Request]:
    """What replay, pin and edit are about; says why if it cannot be sent again."""
    pin = pin_in_question(app)
    if pin is not None and pin.lacks:
        app.session.notify(f"it was saved without its {', '.join(pin.lacks)}: it waits for a "
                           "client's", "warning")
        return None
    if pin is not None:
        return pin.request
    row = row_in_question(app)
    if row is None:
        return None
    why = refusal_of(row)
    if why:
        app.session.notify(why, "warning")
        return None
    return request_of(row)


def scope_under_cursor(app: Acting) -> Optional[Scope]:
    """What the selected line of the focused list is about; None: nothing is selected."""
    pane, control = app.focused, app.throttle_pane
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
