"""What the server did before this viewer came: of that the newest is told when it is asked for.

Whatever is told between the question and its answer is in the answer again, so that of rows, log
lines, errors and insight only the answer's are taken in. What was news then is none now.
"""

from typing import Any, Callable, Dict, Mapping, Optional, Protocol

from . import live
from .commands import Commands
from .insight import Insight
from .logs import Log
from .traffic import Traffic
from .workers import Reload


class Knowing(Protocol):
    """What is filled: a Session."""

    traffic: Traffic
    log: Log
    insight: Insight
    commands: Commands

    def add_row(self, pid: int, gen: int, data: Dict[str, Any]) -> Any: ...

    def add_error(self, message: Mapping[str, Any]) -> Any: ...

    def mark_reload(self, reload: Reload, message: Mapping[str, Any]) -> None: ...


class Past:
    def __init__(self, session: Knowing) -> None:
        self._session = session
        self._waits = False
        #: wall clock; what was before that is known as far as it was told
        self.since: Optional[float] = None
        self._handlers: Dict[str, Callable[[Dict[str, Any]], Any]] = {
            "frame": self._frame, "reload": self._reload, "log": session.log.add,
            "error": session.add_error, "insight": session.insight.add}

    def ask(self) -> None:
        """Before anything has been taken in."""
        self._waits = True
        self._session.commands.give("recent", {}, "what was before", lambda _: self._answered())

    def _answered(self) -> None:
        self._waits = False

    def rest_of(self, message: Dict[str, Any]) -> Optional[Dict[str, Any]]:
        """Take in a message of the past; of another one, what does not come again as such."""
        kind = message.get("kind", "")
        if message.get("earlier"):
            handler = self._handlers.get(kind)
            if handler is not None:
                handler(message)
            return None
        if self._waits and kind in ("log", "error", "insight"):
            return None
        if self._waits and kind == "frame":
            return {**message, "rows": live.split(message.get("rows") or ())[1]}
        return message

    def begins(self, message: Mapping[str, Any]) -> None:
        """How much came before what is told now."""
        requests, lines = int(message.get("requests", 0)), int(message.get("lines", 0))
        self.since = float(message.get("t", 0.0))
        if requests > 0:
            self._session.traffic.add_gap(self.since, requests)
        if lines > 0:
            self._session.log.earlier += lines

    def _frame(self, message: Mapping[str, Any]) -> None:
        for data in message["rows"]:
            self._session.add_row(int(message["pid"]), int(message.get("gen", 0)), data)

    def _reload(self, message: Mapping[str, Any]) -> None:
        reload = Reload()
        reload.event(message, 0.0)
        self._session.mark_reload(reload, message)
