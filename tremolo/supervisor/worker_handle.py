"""The supervisor's end of one worker process: its channels, its state, how it ended.

Turns what the worker sends into calls of an `Observer`. Nothing that a worker sends is
trusted: a line that is no message closes that channel, the rest goes on.
"""

import asyncio
import itertools
import os
import re
import signal
import time
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    Iterator,
    List,
    Mapping,
    Optional,
    Protocol,
    Tuple,
    cast,
)

from ..telemetry import builders
from ..telemetry.builders import command, error_event, error_line, refused
from ..telemetry.channel import Channel
from ..telemetry.codec import CodecError, LineDecoder
from ..telemetry.sanitize import clean
from .basis import Basis
from .spawner import Spawner, describe_status
from .waiting import finish, retrieve, undisturbed
from .zygote_link import SpawnedProcess

if TYPE_CHECKING:
    from ..telemetry.facts import StartFacts
    from ..telemetry.messages import Ack, ErrorEvent
    from .quiet import Quiet

READ_SIZE = 256 * 1024
ACK_LIMIT = 2.0
STATUS_LIMIT = 2.0  # for the wait status, once all channels have ended
MAX_OUTPUT_LINE = 8 * 1024
GONE = "the worker is gone"

_STYLE = re.compile(r"\x1b\[[0-9;:]*m")

_seqs = itertools.count(1)


class WorkerFailed(Exception):
    """A worker that could not start; `error` is an ErrorEvent."""

    def __init__(self, error: "ErrorEvent", configuration: bool = False) -> None:
        super().__init__(error_line(error))
        self.error = error
        self.configuration = configuration


class WorkerStale(WorkerFailed):
    """What was imported ahead of a worker does not hold there; see `tremolo.worker.shelf`."""

    def __init__(self, life: Mapping[str, Any]) -> None:
        self.module = clean(str(life.get("module")), 100)
        self.reason = clean(str(life.get("reason")), 300)
        self.lasting = [str(name) for name in life.get("lasting") or ()]
        super().__init__(error_event("import", "Stale", f"{self.module}: {self.reason}"))


class Observer(Protocol):
    """What is notified of workers."""

    def worker_changed(self, worker: "WorkerHandle", state: str,
                       cause: Optional[str] = None) -> None: ...
    def worker_frame(self, worker: "WorkerHandle", frame: Dict[str, Any],
                     line: Optional[bytes]) -> None: ...
    def worker_event(self, worker: "WorkerHandle", event: Dict[str, Any]) -> None: ...
    def worker_output(self, worker: "WorkerHandle", stream: str, text: str) -> None: ...
    def worker_life(self, worker: "WorkerHandle", life: Dict[str, Any]) -> None: ...
    def worker_switching(self, worker: "WorkerHandle") -> None: ...
    def worker_handover(self, worker: "WorkerHandle", fd: int) -> None: ...


class WorkerHandle:
    """One worker. States: "starting", "ready", "serving", "draining", "exited".

    `ready` is done when its application has started, or fails with WorkerFailed; `serving`
    when it accepts; `left` when it takes no more requests; `gone` when the process has ended,
    with the cause.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, observer: Observer, gen: int,
                 slot: int) -> None:
        self._loop = loop
        self._observer = observer
        self.gen = gen
        self.slot = slot
        self.pid = 0
        self.mode = ""
        self.state = "starting"
        self.expected = False  # it was asked to end
        self.stale = False  # it gave up for one that is started afresh
        self.cause: Optional[str] = None
        self.began = time.monotonic()
        self.serving_since: Optional[float] = None
        self.last_sign = self.began
        self.parts: Dict[str, float] = {}
        self.slowest: List[List[Any]] = []
        self.basis = Basis({}, {})
        self.waits_for: List[str] = []  # what holds up its end
        self.ready: asyncio.Future[None] = loop.create_future()
        self.serving: asyncio.Future[None] = loop.create_future()
        self.left: asyncio.Future[None] = loop.create_future()
        self.gone: asyncio.Future[str] = loop.create_future()
        self._channel: Optional[Channel] = None
        self._acks: Dict[int, asyncio.Future[Ack]] = {}
        self._taken_over: Optional[Tuple[Quiet, asyncio.Future[Optional[int]]]] = None
        self._open_fds: Dict[int, Callable[[], None]] = {}
        self._decoder = LineDecoder()
        self._killer: Optional[asyncio.TimerHandle] = None
        for future in (self.ready, self.serving):
            future.add_done_callback(retrieve)

    # -- starting --------------------------------------------------------------------

    async def start(self, spawner: Spawner, facts: "StartFacts", listeners: List[int],
                    capture: bool, afresh: bool = False) -> None:
        """Bring the process to life, `afresh` without anything that was imported ahead, and send
        it what to do. Raises OSError when that fails."""
        asked = time.monotonic()
        pipes = [os.pipe() for _ in range(3 if capture else 1)]
        spawning = self._loop.create_task(spawner.spawn(afresh))
        try:
            spawned = await undisturbed(spawning)
        except BaseException:
            # Nobody waits for it any more: whatever is born still must not live on.
            spawning.add_done_callback(_end_unwanted)
            self.expected = True
            for fd in (fd for pipe in pipes for fd in pipe):
                os.close(fd)
            raise
        self.pid, self.mode = spawned.pid, spawned.mode
        self._change("starting")
        # Only now is anything read, so that what it sends finds its process id known.
        self._channel = Channel(spawned.control, self._loop, self._on_message, self._on_close)
        self._read(pipes[0][0], self._on_stats)
        for (read_end, _), stream in zip(pipes[1:], ("stdout", "stderr")):
            self._read(read_end, _OutputReader(self, stream).feed)
        facts["gen"], facts["slot"] = self.gen, self.slot
        facts["capture"], facts["asked"] = capture, asked
        message = builders.start(**facts)
        self._channel.send(message, [write_end for _, write_end in pipes] + listeners)
        for _, write_end in pipes:
            os.close(write_end)
        self._waiting = self._loop.create_task(self._wait(spawned.exited))

    def take_over(self, begun: "Quiet", exited: "asyncio.Future[Optional[int]]") -> None:
        """Be the handle of a worker that was begun; if it serves, its news wait for `go_on`."""
        self.pid, self.mode, self.began = begun.pid, "fork", begun.began
        self._change("starting")
        self._channel = Channel(begun.sock, self._loop, self._on_message, self._on_close,
                                begun.reader)
        self._decoder = begun.decoder
        self._channel.pause()
        for message, fds in begun.messages:
            self._on_message(message, fds)
        self._taken_over = begun, exited
        if not begun.announced:
            self.go_on()

    def go_on(self) -> None:
        """Listen to a worker that was taken over: what it has said meanwhile, and its end."""
        assert self._taken_over is not None and self._channel is not None
        (begun, exited), self._taken_over = self._taken_over, None
        for message, fds in begun.rest:
            self._on_message(message, fds)
        self._channel.resume()
        self._read(begun.stats, self._on_stats)
        self._waiting = self._loop.create_task(self._wait(exited))

    def _read(self, fd: int, callback: Callable[[bytes], None]) -> None:
        os.set_blocking(fd, False)

        def readable() -> None:
            try:
                data = os.read(fd, READ_SIZE)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if data:
                callback(data)
            else:
                self._close_fd(fd)

        self._open_fds[fd] = readable
        self._loop.add_reader(fd, readable)

    def _close_fd(self, fd: int) -> None:
        if self._open_fds.pop(fd, None) is not None:
            self._loop.remove_reader(fd)
            os.close(fd)

    # -- what it sends ---------------------------------------------------------------

    def _on_stats(self, data: bytes) -> None:
        self.last_sign = time.monotonic()
        try:
            for line, frame in self._decoder.feed(data):
                if frame["kind"] != "frame" or frame.get("pid") != self.pid:
                    raise CodecError("no frame of this process")
                self._observer.worker_frame(self, frame, line)
        except CodecError as exc:
            for fd, _ in list(self._open_fds.items())[:1]:
                self._close_fd(fd)
            self._observer.worker_output(
                self, "tremolo", f"statistics of worker {self.pid} are no longer read: {exc}")

    def _on_message(self, message: Dict[str, Any], fds: List[int]) -> None:
        self.last_sign = time.monotonic()
        kind = message["kind"]
        if kind == "handover" and fds:
            self._observer.worker_handover(self, fds.pop(0))
        elif kind == "life":
            self._on_life(message)
        elif kind == "ack":
            waiter = self._acks.pop(message.get("seq", 0), None)
            if waiter is not None and not waiter.done():
                waiter.set_result(cast("Ack", message))
        elif kind == "frame":
            self._observer.worker_frame(self, message, None)
        elif kind in ("error", "log", "insight", "held"):
            self._observer.worker_event(self, message)
        for fd in fds:
            os.close(fd)

    def _on_life(self, message: Dict[str, Any]) -> None:
        state = message.get("state")
        if state == "ready":
            self.parts = {str(k): float(v) for k, v in message.get("parts", {}).items()}
            self.slowest = message.get("slowest", [])
            self._change("ready")
            finish(self.ready)
        elif state == "serving":
            self.serving_since = time.monotonic()
            self._change("serving")
            finish(self.serving)
        elif state == "draining":
            self._change("draining")
            finish(self.left)
        elif state == "failed":
            self.expected = True
            failure = WorkerFailed(message.get("error", {}),
                                   bool(message.get("configuration")))
            if not self.ready.done():
                self.ready.set_exception(failure)
        elif state == "waits":
            self.waits_for = [clean(str(reason), 160) for reason in message.get("reasons", ())]
        elif state == "drained":  # what it waits for from now on it cannot always say
            self.waits_for = [f"worker {self.pid}, whose objects Python takes down"]
            self._observer.worker_life(self, message)
        elif state == "stale":
            self.expected = self.stale = True
            if not self.ready.done():
                self.ready.set_exception(WorkerStale(message))
        elif state == "files":
            self.basis.add(message.get("files", {}), message.get("places", {}))
            self._observer.worker_life(self, message)
        else:
            self._observer.worker_life(self, message)

    def _change(self, state: str, cause: Optional[str] = None) -> None:
        self.state = state
        self._observer.worker_changed(self, state, cause)

    # -- commanding it ---------------------------------------------------------------

    def send(self, message: Mapping[str, Any], fds: Tuple[int, ...] = ()) -> bool:
        return self._channel is not None and self._channel.send(message, fds)

    async def command(self, name: str, **args: Any) -> "Ack":
        """Give a command and wait for its Ack; a failed one when none comes in time."""
        seq = next(_seqs)
        waiter: asyncio.Future[Ack] = self._loop.create_future()
        self._acks[seq] = waiter
        message = command(seq, name, args)
        if not self.send(message):
            self._acks.pop(seq, None)
            return refused(message, GONE)
        try:
            return await asyncio.wait_for(waiter, ACK_LIMIT)
        except asyncio.TimeoutError:
            self._acks.pop(seq, None)
            return refused(message, f"worker {self.pid} does not answer")

    def notify(self, name: str, **args: Any) -> None:
        """Give a command whose answer nobody waits for."""
        self.send(command(next(_seqs), name, args))

    def drain(self, timeout: float, hand_over: bool, grace: float = 7.0) -> None:
        """Tell it to finish and leave; `grace` seconds after `timeout` it is killed."""
        self.expected = True
        self.notify("drain", timeout=timeout, hand_over=hand_over)
        self.kill_in(timeout + grace)

    def kill(self, number: int = signal.SIGKILL, expected: bool = True) -> None:
        """Send a signal, unless the process is gone."""
        self.expected = self.expected or expected
        if self.pid and not self.gone.done():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return

    def kill_in(self, seconds: float) -> None:
        """Have it killed in so many seconds, if it still lives then."""
        if self._killer is not None:
            self._killer.cancel()
        self._killer = self._loop.call_later(
            seconds, self.kill, signal.SIGKILL, False)

    # -- the end ---------------------------------------------------------------------

    def _on_close(self, reason: str) -> None:
        if reason:
            self._observer.worker_output(
                self, "tremolo", f"worker {self.pid} sent something wrong: {clean(reason)}")
            self.kill(expected=False)
        for seq, waiter in self._acks.items():
            if not waiter.done():
                waiter.set_result(refused({"seq": seq}, GONE))
        self._acks.clear()

    async def _wait(self, exited: "asyncio.Future[Optional[int]]") -> None:
        status = await exited
        if status is None:  # the zygote died; the worker may well live on
            while self._channel is not None and not self._channel.closed:
                await asyncio.sleep(0.05)
        for fd, readable in list(self._open_fds.items()):
            # What is in the pipes still counts; a child that holds them open does not.
            for _ in range(64):
                if fd in self._open_fds:
                    readable()
            self._close_fd(fd)
        if self._channel is not None and not self._channel.closed:
            self._channel.read_rest()
            self._channel.close()
            self._on_close("")
        if self._killer is not None:
            self._killer.cancel()
        drained = self.state == "draining" and status == 0
        self.cause = "drained" if drained else describe_status(status)
        if not self.ready.done():
            self.ready.set_exception(WorkerFailed(error_event(
                "import", "WorkerDied", f"the worker ended while it started: {self.cause}",
                pid=self.pid, gen=self.gen)))
        if not self.serving.done():
            self.serving.set_exception(ChildProcessError(self.cause))
        finish(self.left)
        self.gone.set_result(self.cause)
        self._change("exited", cause=self.cause)


class _OutputReader:
    """Lines of a worker's stream, cleaned and bounded."""

    def __init__(self, worker: WorkerHandle, stream: str) -> None:
        self._worker = worker
        self._stream = stream
        self._rest = b""

    def feed(self, data: bytes) -> None:
        for text in self._lines(data):
            self._worker._observer.worker_output(
                self._worker, self._stream,
                clean(_STYLE.sub("", text.decode("utf-8", "backslashreplace")).expandtabs(),
                      MAX_OUTPUT_LINE))

    def _lines(self, data: bytes) -> Iterator[bytes]:
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = b""
        yield from (line.rstrip(b"\r") for line in lines)
        if len(rest) > MAX_OUTPUT_LINE:
            yield rest
        else:
            self._rest = rest


def _end_unwanted(spawning: "asyncio.Task[SpawnedProcess]") -> None:
    if not spawning.cancelled() and spawning.exception() is None:
        spawning.result().control.close()
        os.kill(spawning.result().pid, signal.SIGKILL)
