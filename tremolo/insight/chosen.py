"""The route of an exchange is the first one that a router chose for it.

Its endpoint may send requests in its turn that stay within the process, as a test client does, or
httpx with an application for its transport. These choose routes as well, in the same context, and
they are not the exchange's.
"""

from typing import Any

from .record import Record


def chose(record: Record, template: str, endpoint: Any, below: str = "") -> None:
    """A router chose the route `template`, whose code is `endpoint`: see `Record.routed`, and of
    `below` see `Record.below`."""
    if not record.chosen:
        record.chosen = True
        if below:
            record.below(below)
        record.routed(template, endpoint)


def entered(record: Record, template: str, app: Any) -> None:
    """A router left it to `app`, mounted below `template`, which may be no router: then this is
    all that is known of the route."""
    if not record.chosen:
        record.routed(template + "/{path:path}", app)
        record.mounted(template)
