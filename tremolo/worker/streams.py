"""The standard streams and log records of a worker: each line once, with the request that
wrote it.

`Stream` stands in place of `sys.stdout` and `sys.stderr`; `Records` sees each log record once
all handlers have had it. A handler of the application's own that writes to the terminal makes
ours superfluous, and what it wrote is sent as the record that it was.
"""

import io
import logging
import os
import re
import sys
import threading
from typing import Any, Callable, Dict, Mapping, Optional, Protocol, Tuple

from ..telemetry.builders import log_event
from ..telemetry.sanitize import clean, clean_lines

MAX_PARTIAL = 8 * 1024
_STYLE = re.compile(r"\x1b\[[0-9;:]*m")
#: of a record in a queue: its request, whether it was sent already, and its text
UNKNOWN: Tuple[Optional[int], bool, Optional[str]] = (None, False, None)
_LEVELS = {"stdout": "info", "stderr": "warning"}

Send = Callable[[Mapping[str, Any]], Any]


class _Emission(threading.local):
    """The log record that this thread is handling, and what became of it."""

    record: Optional[logging.LogRecord] = None
    #: what handlers of the application wrote to our streams
    written = ""
    #: it was put into a queue
    queued = False
    #: the request that it is of, and whether our handler is among those of its logger
    known: Tuple[Optional[int], bool] = (None, False)


class Running(Protocol):
    """A request that runs. `partial` is what it printed since its last line, by stream."""

    id: int
    partial: Dict[str, str]


class Requests:
    """Which request runs here; replaced by insight."""

    def current(self) -> Optional[Running]:
        """The request, None outside of one."""
        return None

    def logged(self, record: logging.LogRecord) -> None:
        """A log record was handled."""


class Stream(io.TextIOWrapper):
    """Writes to the file of `inner`, but for what belongs to a log record or a request: that is
    for `records` to send."""

    def __init__(self, inner: io.TextIOWrapper, name: str, records: "Records") -> None:
        # A buffer of our own: that of `inner` may have been made for a file in which one can
        # seek, and lead into a pipe by now.
        file = io.FileIO(inner.fileno(), "wb", closefd=False)
        super().__init__(io.BufferedWriter(file), encoding=inner.encoding, errors=inner.errors,
                         line_buffering=True, write_through=inner.write_through)
        self._name = name
        self._records = records

    @property
    def name(self) -> str:
        return f"<{self._name}>"

    def write(self, text: str) -> int:
        if type(text) is str and self._records.took(self._name, text):
            return len(text)
        return super().write(text)


class Records:
    """All log records and lines of this process; `install()` puts it in place.

    With `send` they become LogEvents, without it they go where they went, and only a second
    handler is spared.
    """

    def __init__(self, gen: int, send: Optional[Send] = None) -> None:
        self.requests = Requests()
        self._gen = gen
        self._send = send
        self._emission = _Emission()
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._queues: Any = None
        self.handler: Optional[Deferred] = None

    def install(self) -> None:
        """Take the place of the standard streams, and of `logging.Logger.callHandlers`."""
        for name in _LEVELS:
            inner = getattr(sys, name)
            if isinstance(inner, io.TextIOWrapper) and inner.fileno() >= 0:
                inner.flush()
                setattr(sys, name, Stream(inner, name, self))
        handle_all = logging.Logger.callHandlers

        def callHandlers(logger: logging.Logger, record: logging.LogRecord) -> None:
            self._handled(handle_all, logger, record)

        setattr(logging.Logger, "callHandlers", callHandlers)  # noqa: B010

    # -- log records -------------------------------------------------------------------

    def handling(self, record: logging.LogRecord) -> bool:
        """Whether a logger is just calling its handlers with `record`, in this thread."""
        return self._emission.record is record

    def _handled(self, handle_all: Callable[[Any, Any], None], logger: logging.Logger,
                 record: logging.LogRecord) -> None:
        request = self.requests.current()
        ours = self._reaches(logger, record)
        if self._queues is None and "logging.handlers" in sys.modules:
            self._watch_queues()
        emission = self._emission
        number = None if request is None else request.id
        before, emission.known = emission.known, (number, ours)
        try:
            written, queued = self._during(handle_all, logger, record)
        finally:
            emission.known = before
        if self.sending:
            if ours or written:
                self.forward(record, written, number)
        elif ours and not written and not queued and self.handler is not None:
            self.handler.emit_now(record)
        self.requests.logged(record)

    def _during(self, handle: Callable[[Any, Any], None], who: Any,
                record: logging.LogRecord) -> Tuple[str, bool]:
        """Let `handle(who, record)` happen: what was written by it, and whether the record
        waits in a queue now."""
        emission = self._emission
        before = emission.record, emission.written, emission.queued
        emission.record, emission.written, emission.queued = record, "", False
        try:
            handle(who, record)
        finally:
            found = emission.written, emission.queued
            emission.record, emission.written, emission.queued = before
        return found

    def _reaches(self, logger: Optional[logging.Logger], record: logging.LogRecord) -> bool:
        """Whether our handler is among those that a logger calls."""
        while logger is not None and self.handler is not None:
            if self.handler in logger.handlers:
                return record.levelno >= self.handler.level
            logger = logger.parent if logger.propagate else None
        return False

    def _watch_queues(self) -> None:
        """Records that wait in a queue are handled by a thread of their own, later."""
        self._queues = queues = sys.modules["logging.handlers"]
        enqueue, handle = queues.QueueHandler.enqueue, queues.QueueListener.handle

        def enqueued(handler: Any, record: logging.LogRecord) -> None:
            emission = self._emission
            emission.queued = True
            if emission.record is not None and self.handler is not None:
                # What is put there is a copy, with its text already in the handler's form.
                record.__dict__["_tremolo"] = (*emission.known, self.handler.format(
                    emission.record) if isinstance(emission.record.msg, str) else None)
            enqueue(handler, record)

        def handled(listener: Any, record: logging.LogRecord) -> None:
            written, _ = self._during(handle, listener, record)
            request, sent, text = record.__dict__.get("_tremolo", UNKNOWN)
            if self.sending and written and not sent:
                self.forward(record, written, request, text)

        queues.QueueHandler.enqueue = enqueued
        queues.QueueListener.handle = handled

    def forward(self, record: logging.LogRecord, written: str = "",
             request: Optional[int] = None, text: Optional[str] = None) -> None:
        """Send `record`; as what a handler of the application wrote, if it is no plain text."""
        if self.handler is None:
            return
        try:
            if text is None:
                plain = isinstance(record.msg, str) or not written
                text = self.handler.format(record) if plain else written.rstrip("\n")
            self._line("log", record.levelname.lower(), clean(record.name), text, request)
        except Exception:
            self.handler.handleError(record)

    def _line(self, stream: str, level: str, name: str, text: str,
              request: Optional[int]) -> None:
        event = log_event(clean_lines(_STYLE.sub("", text), 8192), level, name, stream,
                          pid=self._pid, gen=self._gen)
        if request is not None:
            event["request"] = request
        if self._send is not None:
            self._send(event)

    # -- streams -----------------------------------------------------------------------

    @property
    def sending(self) -> bool:
        """Lines are sent by us. A forked child must not send on our socket."""
        return self._send is not None and os.getpid() == self._pid

    def took(self, stream: str, text: str) -> bool:
        """Whether `text`, written to a stream, is sent here and shall not go on."""
        emission = self._emission
        if emission.record is not None:
            emission.written = (emission.written + text)[:8192] or " "
            return self.sending
        request = self.requests.current()
        if request is None or not self.sending:
            return False
        with self._lock:
            lines, end, rest = (request.partial.get(stream, "") + text).rpartition("\n")
            if not end and len(rest) > MAX_PARTIAL:
                lines, end, rest = rest, "\n", ""
            request.partial[stream] = rest
        if end:
            self._line(stream, _LEVELS[stream], "", lines, request.id)
        return True

    def flush(self, request: Any) -> None:
        """Tell what `request` printed without a line end."""
        with self._lock:
            left = [(stream, text) for stream, text in request.partial.items() if text]
            request.partial.clear()
        for stream, text in left:
            self._line(stream, _LEVELS[stream], "", text, request.id)


class Deferred(logging.StreamHandler):  # type: ignore[type-arg]
    """Our handler. What comes from a logger, `Records` sends once all handlers have had it; what
    comes by another way this writes at once."""

    def __init__(self, records: Records) -> None:
        super().__init__(sys.__stderr__)
        self._records = records
        records.handler = self

    def emit(self, record: logging.LogRecord) -> None:
        records = self._records
        if records.handling(record):
            return
        if records.sending:
            request, _, text = record.__dict__.get("_tremolo", UNKNOWN)
            records.forward(record, "", request, text)
        else:
            self.emit_now(record)

    def emit_now(self, record: logging.LogRecord) -> None:
        """Write it to the terminal."""
        super().emit(record)
