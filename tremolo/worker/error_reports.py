"""Reports of exceptions: each once, and of a flood as many as help somebody.

Knows exchanges and the loop's own errors; what else is known of an exception comes from insight.
"""

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Deque, Dict, Optional

from ..net.exchange import Exchange
from ..telemetry.sanitize import clean
from .failures import describe
from .supervisor_link import SupervisorLink

if TYPE_CHECKING:
    from ..insight.insight import Insight
    from ..insight.record import Record

ERRORS_A_SECOND = 100


class ErrorReports:
    """Reports over `link`. `insight` is what looks into requests, if anything does."""

    def __init__(self, link: SupervisorLink, insight: "Optional[Insight]") -> None:
        self._link = link
        self._insight = insight
        self._recent: Deque[float] = deque(maxlen=ERRORS_A_SECOND)
        self._left_out = 0
        if insight is not None:
            insight.on_raised = self._on_raised

    def on_error(self, exchange: Exchange, exc: BaseException) -> None:
        """An exception reached the server."""
        if self._insight is None or self._insight.is_new(exchange.id, exc):
            head = exchange.head
            self._report(exc, exchange.id, clean(head.method, 16), clean(head.target),
                         exchange.response.status or 500)

    def _on_raised(self, record: "Record", exc: BaseException) -> None:
        """An exception that the application's framework has an answer for. From any thread."""
        self._report(exc, record.id, record.method, record.path, 500)

    def on_loop_error(self, loop: asyncio.AbstractEventLoop, context: Dict[str, Any]) -> None:
        """As the exception handler of an event loop."""
        exc = context.get("exception")
        if isinstance(exc, Exception):
            self._link.send(describe(exc, "task", self._link.gen))
        else:
            self._link.log("error", clean(str(context.get("message", "")), 1024))

    def _report(self, exc: BaseException, id: int, method: str, path: str,
                status: int) -> None:
        now, recent = time.monotonic(), self._recent
        if (len(recent) == ERRORS_A_SECOND and now - recent[0] < 1.0) or self._link.congested:
            self._left_out += 1  # the counters have them; a flood of them helps nobody
            return
        recent.append(now)
        more = {} if self._insight is None else {"chain": self._insight.chain_of(exc)}
        self._link.send(describe(exc, "request", self._link.gen, request=id, method=method,
                                 path=path, status=status, **more))

    def log_left_out(self) -> None:
        """Once a flood is over, log how many exceptions of it were not reported."""
        if self._left_out and (
                not self._recent or time.monotonic() - self._recent[-1] > 1.0):
            count, self._left_out = self._left_out, 0
            self._link.log("warning",
                           f"{count:,} exceptions came too fast to be reported one by one")
