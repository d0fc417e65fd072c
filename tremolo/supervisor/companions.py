"""The programs beside the server: started, logged, started again when they die, ended with us.

Each has a guard (see `companion_guard`), which ends its whole process group even if this process
is killed; if the guard is killed, this does it. What they print is bounded in lines and bytes a
second: more waits in their pipe, or is counted and left out.
"""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Callable, Dict, List, Mapping, Optional

from ..companions import CompanionSpec
from ..telemetry.builders import left_out_event, log_event
from ..telemetry.sanitize import clean
from .bootstrap import command
from .companion_guard import GRACE, KILL_LIMIT
from .feed import Feed
from .spawner import describe_status

if TYPE_CHECKING:
    from ..telemetry.messages import CompanionState

STEADY = 5.0  # seconds of running after which a death is not the start's fault
SHORTEST, LONGEST = 0.5, 30.0
READ_SIZE = 64 * 1024
READ_EVERY = 0.05  # seconds in which one piece of output is read
LINES_A_SECOND = 300
MAX_LINE = 4 * 1024
PARTIAL = 0.5  # seconds after which a line without an end is shown: it may be a question
#: ECMA-48: control sequences, strings such as titles and links, and the short ones
_SEQUENCES = re.compile(
    rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]P_^X][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]")


class Companions:
    """All of them. `environment()` is what they get; their lines go to `feed`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, feed: Feed,
                 specs: List[CompanionSpec],
                 environment: Callable[[], Dict[str, str]]) -> None:
        self._companions = [Companion(loop, feed, spec, environment) for spec in specs]

    def start(self) -> None:
        """Start those that do not run: at the beginning, and when somebody asks for a reload."""
        for companion in self._companions:
            companion.start()

    async def stop(self) -> None:
        """End all of them with all that they started."""
        await asyncio.gather(*(companion.stop() for companion in self._companions))

    def states(self) -> "List[CompanionState]":
        """For viewers."""
        return [companion.as_dict() for companion in self._companions]


class Companion:
    """One program. States: "running", "waiting" (to be started again), "ended"."""

    def __init__(self, loop: asyncio.AbstractEventLoop, feed: Feed, spec: CompanionSpec,
                 environment: Callable[[], Dict[str, str]]) -> None:
        self._loop = loop
        self._feed = feed
        self._spec = spec
        self._environment = environment
        self._task: Optional[asyncio.Task[None]] = None
        self._life: Optional[Life] = None
        self._stopping = False
        self.state = "ended"

    def as_dict(self) -> "CompanionState":
        return {"name": self._spec.name, "command": self._spec.shown, "state": self.state,
                "pid": self._life.pid if self._life is not None else 0}

    def start(self) -> None:
        if self._task is None or self._task.done():
            self._task = self._loop.create_task(self._keep_running())

    async def stop(self) -> None:
        self._stopping = True
        if self._life is not None:
            await self._life.end()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _keep_running(self) -> None:
        """Start it, again and again, until it ends well or cannot be started at all."""
        delay = SHORTEST
        while not self._stopping:
            began = time.monotonic()
            self._life = life = Life(self._loop, self._feed, self._spec)
            self.state = "running"
            # Python's own companions shall not keep their lines back either.
            life.begin({"PYTHONUNBUFFERED": "1", **self._environment()})
            await life.over
            failure, status = life.failure, life.status
            if self._stopping:
                break
            if failure:
                self._log(f": {failure}; it is tried again when a reload is asked for", "error")
                break
            if status == 0:
                self._log(" has ended (exit code 0)", "info")
                break
            if time.monotonic() - began >= STEADY:
                delay = SHORTEST
            self._log(f" ended: {describe_status(status)}; it is started again in {delay:g} s",
                      "warning")
            self.state = "waiting"
            await asyncio.sleep(delay)
            delay = min(LONGEST, delay * 2)
        self.state = "ended"

    def _log(self, text: str, level: str) -> None:
        self._feed.log(level, self._spec.name + text, name=self._spec.name)


class Life:
    """One run of a companion. `over` is done when it and its process group have ended; then
    `status` is its wait status (None: unknown), or `failure` is why it could not be started.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, feed: Feed, spec: CompanionSpec) -> None:
        self._loop = loop
        self._feed = feed
        self._spec = spec
        self.over: asyncio.Future[None] = loop.create_future()
        self.pid = 0
        self.status: Optional[int] = None
        self.failure = ""
        self._guard: Optional[subprocess.Popen[bytes]] = None
        self._reported = b""
        self._output: Optional[Output] = None

    def begin(self, environment: Mapping[str, str]) -> None:
        output, theirs = os.pipe()
        try:
            self._guard = subprocess.Popen(
                command("tremolo.supervisor.companion_guard", "main", theirs, self._spec.argv,
                        self._spec.folder),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=theirs, pass_fds=(theirs,),
                env=dict(environment), start_new_session=True)
        except OSError as exc:
            os.close(output)
            self.failure = f"cannot be started: {exc.strerror or exc}"
            self.over.set_result(None)
            return
        finally:
            os.close(theirs)
        self._output = Output(self._loop, output, self._line, self._left_out)
        reports = self._guard.stdout
        assert reports is not None
        os.set_blocking(reports.fileno(), False)
        self._loop.add_reader(reports.fileno(), self._on_report, reports.fileno())

    async def end(self) -> None:
        """Have it ended, and wait for that."""
        if self.over.done() or self._guard is None:
            return
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        await asyncio.wait([self.over], timeout=GRACE + KILL_LIMIT + 1.0)
        if not self.over.done():
            self._guard.kill()
            self._ended()

    def _on_report(self, fd: int) -> None:
        try:
            data = os.read(fd, 4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        *lines, self._reported = (self._reported + data).split(b"\n")
        for line in lines:
            word, _, rest = line.decode("utf-8", "backslashreplace").partition(" ")
            if word == "started":
                self.pid = int(rest)
            elif word == "failed":
                self.failure = clean(rest)
            elif word == "exited":
                self.status = int(rest)
        if not data:
            self._ended()

    def _ended(self) -> None:
        guard = self._guard
        if self.over.done() or guard is None or guard.stdout is None:
            return
        self._loop.remove_reader(guard.stdout.fileno())
        guard.stdout.close()
        if guard.stdin is not None and not guard.stdin.closed:
            guard.stdin.close()
        if self._output is not None:
            self._output.close()
        if self.status is None and self.pid:  # the guard died before it
            with contextlib.suppress(OSError):
                os.killpg(self.pid, signal.SIGKILL)
            self.status = signal.SIGKILL
        # It has nothing left to do but to leave, and does so while we wait.
        with contextlib.suppress(subprocess.TimeoutExpired):
            guard.wait(1.0)
        self.over.set_result(None)

    def _line(self, text: str) -> None:
        self._feed.publish(log_event(text, name=self._spec.name, stream="companion",
                                     pid=self.pid))

    def _left_out(self, count: int) -> None:
        self._feed.publish(left_out_event(count, self.pid, name=self._spec.name))


class Output:
    """Reads what a program prints from `fd`, and gives it line by line, without colours, at most
    `LINES_A_SECOND`; the number of the others goes to `left_out`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, fd: int, line: Callable[[str], None],
                 left_out: Callable[[int], None]) -> None:
        self._loop = loop
        self._fd = fd
        self._line = line
        self._left_out = left_out
        self._rest = b""
        self._second = 0
        self._lines = 0
        self._dropped = 0
        self._timer: Optional[asyncio.TimerHandle] = None
        os.set_blocking(fd, False)
        loop.add_reader(fd, self._readable)

    def close(self) -> None:
        """Take what is still there, and no more."""
        if self._fd < 0:
            return
        self._cancel_timer()
        self._take(self._read())
        self._show_rest()
        self._report_dropped()
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        self._fd = -1

    def _readable(self) -> None:
        data = self._read()
        if data is None:
            return
        self._loop.remove_reader(self._fd)
        if data:
            self._take(data)
            self._cancel_timer()
            # More of it waits a little: nothing that floods us shall have all of our time.
            self._timer = self._loop.call_later(READ_EVERY, self._resume)

    def _resume(self) -> None:
        self._loop.add_reader(self._fd, self._readable)
        self._timer = self._loop.call_later(PARTIAL, self._quiet)

    def _quiet(self) -> None:
        self._timer = None
        self._show_rest()
        self._report_dropped()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _read(self) -> Optional[bytes]:
        """What is there; b"" at the end, None for nothing."""
        try:
            return os.read(self._fd, READ_SIZE)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def _take(self, data: Optional[bytes]) -> None:
        if not data:
            return
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest
        for line in lines:
            self._show(line)
        if len(rest) > MAX_LINE:
            self._show_rest()

    def _show_rest(self) -> None:
        rest, self._rest = self._rest, b""
        if rest.strip():
            self._show(rest)

    def _show(self, line: bytes) -> None:
        second = int(time.monotonic())
        if second != self._second:
            self._report_dropped()
            self._second, self._lines = second, 0
        self._lines += 1
        if self._lines > LINES_A_SECOND:
            self._dropped += 1
        else:
            self._line(plain_text(line))

    def _report_dropped(self) -> None:
        if self._dropped:
            count, self._dropped = self._dropped, 0
            self._left_out(count)


def plain_text(line: bytes) -> str:
    """A line as it looks in the end: without colours and control sequences, and of what is
    written over itself (a progress bar) only the last."""
    line = _SEQUENCES.sub(b"", line[:4 * MAX_LINE]).rstrip(b"\r")
    text = line.rpartition(b"\r")[2].decode("utf-8", "backslashreplace")
    return clean(text.expandtabs(), MAX_LINE)

