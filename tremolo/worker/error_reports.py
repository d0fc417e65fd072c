"""Reports of exceptions: each once, and of a flood as many as help somebody.

The first ones are described whole, with frames, source and variables, as far as there is time for
that, those of kinds that were not seen lately before others; more come with their text and place;
the rest are counted by kind, and told together. Knows exchanges and the loop's own errors; what
else is known of an exception comes from insight.
"""

import asyncio
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Callable, Deque, Dict, Optional, Tuple

from ..exceptions import ConfigurationError
from ..net.exchange import Exchange
from ..telemetry.sanitize import clean
from .failures import Kind, describe, describe_briefly, exited, kind_of, meaningful
from .held import held
from .supervisor_link import SupervisorLink

if TYPE_CHECKING:
    from ..insight.insight import Insight
    from ..insight.record import Record
    from ..telemetry.messages import ErrorEvent

ERRORS_A_SECOND = 100
#: processor seconds that whole descriptions may take at once, which hold up all other requests,
#: and the share of the time that they may take in the long run
AT_ONCE, SHARE = 0.06, 0.05
#: seconds for which a kind of exceptions is known, once one was described
KNOWN_FOR = 10.0
#: kinds of which it is known when one was described, and those that are counted, in a second
MAX_KNOWN, MAX_COUNTED = 1000, 50


class Allowance:
    """Seconds of work that may be done: a share of the time that passes, some of it saved."""

    def __init__(self, now: float) -> None:
        self._left = AT_ONCE
        self._at = now

    def left(self, now: float) -> float:
        self._left = min(AT_ONCE, self._left + (now - self._at) * SHARE)
        self._at = now
        return self._left

    def spend(self, seconds: float) -> None:
        self._left -= seconds


class ErrorReports:
    """Reports over `link`, from any thread. `clock` is one of seconds, `thread_cpu` one of
    processor seconds of this thread."""

    def __init__(self, link: SupervisorLink, clock: Callable[[], float] = time.monotonic,
                 thread_cpu: Callable[[], float] = time.thread_time) -> None:
        self._link = link
        self._insight: Optional[Insight] = None
        self._clock = clock
        self._thread_cpu = thread_cpu
        self._lock = threading.Lock()
        self._recent: Deque[float] = deque(maxlen=ERRORS_A_SECOND)
        self._allowance = Allowance(clock())
        #: when one of a kind was described whole
        self._described: Dict[Kind, float] = {}
        #: since when some are counted; how often those of each kind came, and as what the first;
        #: how many are of no kind that is counted
        self._counting_since = 0.0
        self._counted: Dict[Kind, Tuple[int, Dict[str, Any]]] = {}
        self._uncounted = 0

    def use(self, insight: "Insight") -> None:
        """What looks into requests knows more of exceptions."""
        self._insight = insight
        insight.on_raised = self._on_raised

    def on_failure(self, exc: BaseException, where: str) -> None:
        """The worker could not come to serve: "import" or "startup" failed."""
        self._link.life("failed", error=self._event(exited(exc), where, held=held(exc)),
                        configuration=isinstance(exc, ConfigurationError))

    def on_end(self, exc: BaseException, where: str) -> None:
        """The process ends by what the application raised, or this came in its way then."""
        self._link.send(self._event(exited(exc), where))

    def on_error(self, exchange: Exchange, exc: BaseException) -> None:
        """An exception reached the server."""
        if self._insight is None or self._insight.is_new(exchange.id, exc):
            head = exchange.head
            self._report(exc, "request", request=exchange.id, method=clean(head.method, 16),
                         path=clean(head.target), status=exchange.response.status or 500)

    def _on_raised(self, record: "Record", exc: BaseException, where: str,
                   status: Optional[int]) -> None:
        """An exception that the application's framework has an answer for, or nobody."""
        self._report(exc, where, request=record.id, method=record.method, path=record.path,
                     status=status)

    def on_loop_error(self, loop: asyncio.AbstractEventLoop, context: Dict[str, Any]) -> None:
        """As the exception handler of an event loop."""
        exc = context.get("exception")
        if isinstance(exc, Exception):
            insight = self._insight
            record = None if insight is None else insight.failing_of(context)
            if insight is None or record is None:
                self._report(exc, "task")
            else:
                insight.raised(record, exc, where="task")
        else:
            self._link.log("error", clean(str(context.get("message", "")), 1024))

    def _report(self, exc: BaseException, where: str, **more: Any) -> None:
        now, kind = self._clock(), kind_of(exc)
        with self._lock:
            recent = self._recent
            if (len(recent) == ERRORS_A_SECOND and now - recent[0] < 1.0) or self._link.congested:
                self._count(exc, where, kind, now)
                return
            recent.append(now)
            # Half of it is for what was not seen yet.
            known = now - self._described.get(kind, float("-inf")) < KNOWN_FOR
            whole = self._allowance.left(now) > (AT_ONCE / 2 if known else 0.0)
            if whole:
                self._described.pop(kind, None)
                self._described[kind] = now
                if len(self._described) > MAX_KNOWN:
                    del self._described[next(iter(self._described))]
        if not whole:
            self._link.send(describe_briefly(exc, kind, where, self._link.gen, **more))
            return
        began = self._thread_cpu()
        self._link.send(self._event(exc, where, **more))
        self._allowance.spend(self._thread_cpu() - began)

    def _event(self, exc: BaseException, where: str, **more: Any) -> "ErrorEvent":
        """The whole description of an exception."""
        if self._insight is not None and not isinstance(exc, ConfigurationError):
            more["chain"] = self._insight.chain_of(exc)
            for raised in more["chain"]:
                frames = raised["frames"]
                kept = meaningful([frame["file"] for frame in frames])
                if kept:
                    raised["frames"] = [frames[index] for index in kept]
        return describe(exc, where, self._link.gen, **more)

    def _count(self, exc: BaseException, where: str, kind: Kind, now: float) -> None:
        if not self._counted:
            self._counting_since = now
        count, told = self._counted.get(kind, (0, None))
        if told is None:
            if len(self._counted) >= MAX_COUNTED:
                self._uncounted += 1
                return
            told = dict(describe_briefly(exc, kind, where, self._link.gen))
        self._counted[kind] = count + 1, told

    def tell_counted(self) -> None:
        """A few times a second: tell of each kind that came too fast how often it did."""
        if not self._counted or self._link.congested or (
                self._clock() - self._counting_since < 1.0):
            return
        with self._lock:
            counted, self._counted = self._counted, {}
            uncounted, self._uncounted = self._uncounted, 0
        for count, told in counted.values():
            self._link.send({**told, "count": count})
        if uncounted:
            self._link.log("warning", f"{uncounted:,} more exceptions, of other kinds, came too "
                                      "fast to be told")
