"""What stands for the supervisor as long as nothing happens but requests.

`tremolo run` with one worker forks it at once, prints what it reports of requests, and waits:
a loop around `poll`, which needs neither asyncio nor most of this package, so that a server
starts as soon as its worker does. Whatever else happens - a signal, a command, an error, the
worker's silence or its end - is the Supervisor's business: `run()` returns, and the Supervisor
goes on in this process with the sockets, the worker and its words as they are.

When nothing happens at all the process goes on as `resting`, which costs little more memory than
the worker; what it leaves behind is `woken()`.
"""

import gc
import json
import os
import select
import signal
import socket
import sys
import time
from types import ModuleType
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple

from ..config import Settings
from ..envfile import read_env_files
from ..exceptions import ConfigurationError
from ..telemetry import builders
from ..telemetry.channel import MessageReader, receive, transmit
from ..telemetry.codec import CodecError, LineDecoder, encode_cut
from .bootstrap import PACKAGE, bare_command, command
from .listeners import Listeners, wanted_addresses
from .plain import PlainConsumer
from .resting import BLOCKED, READ_SIZE, SIGNALS
from .running import bind_control, folder, socket_names
from .wanted import LOCK_FILE, Launch, WantedThrottle

if TYPE_CHECKING:
    from ..telemetry.messages import ReloadEvent

START_LIMIT = 10.0  # seconds after which a start is watched over by the whole supervisor
SILENCE_LIMIT = 10.0
REST_AFTER = 0.3  # seconds without anything; the start is over then, whoever it was timed by


def is_enough(settings: Settings) -> bool:
    """Whether a server with these settings can begin like this."""
    return (settings.worker_num == 1 and settings.reload_mode == "auto" and not settings.reload
            and not settings.json and sys.platform == "linux" and hasattr(os, "fork")
            and sys.implementation.name == "cpython" and sys.gettrace() is None)


def can_rest() -> bool:
    """Whether this interpreter, as it was started, can be started again in its own place."""
    return (hasattr(os, "memfd_create") and bool(sys.executable)
            and not getattr(sys, "frozen", False)
            and os.path.isfile(os.path.join(os.path.dirname(PACKAGE), "tremolo", "__init__.py")))


class Quiet:
    """One forked worker, and what the Supervisor takes over of it.

    `messages` are what the worker sent until it was announced, `rest` what it sent after that;
    `signals` are those that came and are still to be obeyed.
    """

    def __init__(self, launch: Launch, consumer: PlainConsumer, detail: int) -> None:
        self.launch = launch
        self.consumer = consumer
        self.detail = detail
        settings = launch.settings
        self.listeners = Listeners(settings)
        self.control: Optional[socket.socket] = None
        self.control_path = ""
        self.lock_file = ""
        self.announced = False
        self.messages: List[Tuple[Dict[str, Any], List[int]]] = []
        self.rest: List[Tuple[Dict[str, Any], List[int]]] = []
        self.signals: List[int] = []
        self.reader = MessageReader()
        self.decoder = LineDecoder()
        self.began, self.started = time.monotonic(), time.time()
        self.event: ReloadEvent = {}
        self._last_sign = self.began
        self._silence = min(SILENCE_LIMIT, settings.stuck_timeout / 2 or SILENCE_LIMIT)

    def run(self) -> Optional[int]:
        """Serve until the whole supervisor is needed; in the child that is forked be a worker,
        and give its exit code. Raises ConfigurationError when it cannot begin."""
        settings = self.launch.settings
        try:
            for wanted in wanted_addresses(settings):
                self.listeners.bind(wanted)
            found = read_env_files(settings, self.launch.dev, self.launch.home)
            self._open_control()
        except BaseException:
            self.close()
            raise
        for text, level in (*((note, "info") for note in self.launch.app.get("notes", ())),
                            *found.notes):
            self._note(text, level)
        control = self._fork()
        if control is not None:
            return self._be_worker(control, {
                **dict(self.launch.app.get("environ", {})), **found.values})
        self._wait()
        return None

    def close(self) -> None:
        """Undo what was opened, when the beginning fails."""
        self.listeners.close()
        if self.control is not None:
            self.control.close()
            os.unlink(self.control_path)

    def _open_control(self) -> None:
        try:
            self.lock_file = os.path.join(folder(), f"{os.getpid()}.lock")
            path = os.path.join(folder(), socket_names(self.listeners)[0])
            self.control, self.control_path = bind_control(path), path
        except (ConfigurationError, OSError):
            return  # the supervisor tries again, and logs why it cannot

    def _fork(self) -> Optional[socket.socket]:
        """Start the worker; in the child the end of the socket that is its own."""
        self.sock, theirs = socket.socketpair()
        self.stats, stats_end = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        gc.freeze()  # so that collections do not copy the pages of what both have
        self.pid = os.fork()
        if self.pid == 0:
            self.sock.close()
            if self.control is not None:
                self.control.close()
            for end in (self.stats, stats_end):
                os.close(end)
            self.listeners.leave()
            return theirs
        theirs.close()
        descriptions, fds = self.listeners.share(0, 1)
        fds = [stats_end, *fds]
        settings = self.launch.settings
        start = builders.start(
            app=self.launch.app, home=self.launch.home, dev=False,
            settings=settings.as_dict(), reload=False, debug="", detail=self.detail, token="",
            gen=1, slot=0, capture=False, asked=self.began, listeners=descriptions,
            throttle=WantedThrottle(settings.throttle, settings.presets).for_worker(),
            fds=len(fds))
        transmit(self.sock, encode_cut(start), fds)
        os.close(stats_end)
        return None

    def _be_worker(self, control: socket.socket, environ: Dict[str, str]) -> int:
        """What a worker in a fresh interpreter does, as far as possible."""
        from ..worker.main import Worker

        for name, value in environ.items():
            os.environ.setdefault(name, value)
        if self.lock_file:
            os.environ[LOCK_FILE] = self.lock_file
        # What runs is no program of the user's: nothing shall be found in it, or run it again.
        sys.modules["__main__"] = ModuleType("__main__")
        if sys.path and sys.argv and sys.path[0] == os.path.dirname(sys.argv[0]):
            del sys.path[0]
        sys.argv[:] = ["-c"]
        return Worker(control).run()

    # -- waiting ---------------------------------------------------------------------

    def _wait(self) -> None:
        wake, theirs = socket.socketpair()
        poll = select.poll()
        try:
            for end in (wake, theirs):
                end.setblocking(False)
            os.set_blocking(self.stats, False)
            for number in SIGNALS:
                signal.signal(number, lambda number, frame: self.signals.append(number))
            signal.signal(signal.SIGCHLD, lambda number, frame: None)
            signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
            for fd in (wake.fileno(), self.sock.fileno(), self.stats):
                poll.register(fd, select.POLLIN)
            if self.control is not None:
                poll.register(self.control.fileno(), select.POLLIN)
            quiet, may_rest = True, can_rest()
            while quiet:
                patience = self._patience()
                idle = may_rest and self.announced and patience > REST_AFTER
                ready = poll.poll((REST_AFTER if idle else patience) * 1000)
                if idle and not ready:
                    may_rest = False
                    self._rest()
                else:
                    taken = [self._take(fd) for fd, _ in ready]
                    quiet = bool(taken) and all(taken)
        finally:
            signal.set_wakeup_fd(-1)
            wake.close()
            theirs.close()

    def _patience(self) -> float:
        if self.announced:
            return max(0.0, self._last_sign + self._silence - time.monotonic())
        return max(0.0, self.began + START_LIMIT - time.monotonic())

    def _take(self, fd: int) -> bool:
        """Read what has come at a descriptor; False when that is not for us."""
        try:
            if fd == self.sock.fileno():
                return self._take_messages()
            return fd == self.stats and self._take_frames()
        except (OSError, CodecError):
            return False

    def _take_messages(self) -> bool:
        data, fds = receive(self.sock)
        self._last_sign = time.monotonic()
        quiet = bool(data)
        for message, owned in self.reader.feed(data, fds):
            (self.rest if self.announced else self.messages).append((message, owned))
            state = message.get("state") if message["kind"] == "life" else None
            if state == "ready":
                transmit(self.sock, encode_cut(builders.command(0, "serve", {})))
                self._parts = message.get("parts", {})
                self._ready = time.monotonic()
            elif state == "serving":
                self._announce()
            elif message["kind"] != "ack":
                quiet = False
            if message["kind"] == "ack" and self.announced:
                self.rest.pop()
        return quiet

    def _take_frames(self) -> bool:
        data = os.read(self.stats, READ_SIZE)
        self._last_sign = time.monotonic()
        for _, frame in self.decoder.feed(data):
            if frame["kind"] != "frame" or frame.get("pid") != self.pid:
                return False
            self.consumer.handle(frame)
        return bool(data)

    # -- at rest ---------------------------------------------------------------------

    def _rest(self) -> None:
        """Go on as a process that only waits. Returns when that cannot be, or had not to be."""
        settings = self.launch.settings.as_dict()
        if (self.rest or self.reader.partial or self.decoder.partial
                or any(fds for _, fds in self.messages)
                or vars(Settings(**settings)) != vars(self.launch.settings)):
            return
        # Descriptors by number: they stay what they are.
        others = [self.sock.fileno()] if self.control is None else [
            self.sock.fileno(), self.control.fileno()]
        inherited = [self.stats, *others, *self.listeners.fds]
        signal.pthread_sigmask(signal.SIG_BLOCK, BLOCKED)
        try:
            with open(os.memfd_create("tremolo-quiet"), "wb", buffering=0) as kept:
                kept.write(json.dumps({
                    "launch": {**self.launch._asdict(), "settings": settings},
                    "detail": self.detail, "pid": self.pid, "began": self.began,
                    "started": self.started, "event": self.event,
                    "messages": [message for message, _ in self.messages],
                    "stats": self.stats, "others": others, "control_path": self.control_path,
                    "lock_file": self.lock_file, "listeners": self.listeners.handed_on(),
                }).encode())
                if self.signals:
                    return
                for fd in (kept.fileno(), *inherited):
                    os.set_inheritable(fd, True)
                line = self._resting(kept.fileno(), others)
                os.execv(line[0], line)
        except OSError:
            pass  # the system does not allow it, or the interpreter is gone
        finally:
            for fd in inherited:
                os.set_inheritable(fd, False)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, BLOCKED)

    def _resting(self, kept: int, others: List[int]) -> List[str]:
        """The command line of what waits, within it that of what goes on; the user's own at the
        end, for those who look for it among the processes."""
        level = self.launch.settings.log_level if self.detail else None
        return [
            *bare_command("tremolo.supervisor.resting", "main", kept, self.stats, others,
                          self._silence, self.pid, level, self.consumer.dropped.get(self.pid, 0)),
            *command("tremolo.commands.serving", "go_on", kept), "tremolo", *sys.argv[1:]]

    @classmethod
    def woken(cls, kept: int) -> "Quiet":
        """What rested with the file `kept`. Signals are still blocked."""
        os.lseek(kept, 0, os.SEEK_SET)
        with open(kept, "rb") as file:
            head, numbers, dropped, frames = file.read().split(b"\n", 3)
        found = json.loads(head)
        launch = Launch(**{**found["launch"],
                           "settings": Settings(**found["launch"]["settings"])})
        consumer = PlainConsumer(level=launch.settings.log_level,
                                 dropped={found["pid"]: int(dropped)})
        quiet = cls(launch, consumer, found["detail"])
        for fd in (found["stats"], *found["others"]):
            os.set_inheritable(fd, False)
        quiet.pid, quiet.stats = found["pid"], found["stats"]
        quiet.began, quiet.started = found["began"], found["started"]
        quiet.event, quiet.announced = found["event"], True
        quiet.messages = [(message, []) for message in found["messages"]]
        quiet.control_path, quiet.lock_file = found["control_path"], found["lock_file"]
        ends = [socket.socket(fileno=fd) for fd in found["others"]]
        for end in ends:
            end.setblocking(False)
        quiet.sock, quiet.control = ends[0], ends[1] if ends[1:] else None
        quiet.listeners.take_on(found["listeners"])
        quiet.signals = [int(number) for number in numbers.split()]
        try:
            quiet.rest = [(frame, []) for _, frame in quiet.decoder.feed(frames)]
        except CodecError:
            pass  # the next that is read will be none either
        return quiet

    # -- what is printed -------------------------------------------------------------

    def _announce(self) -> None:
        now = time.monotonic()
        parts = {"seen": 0.0, **self._parts, "switch": (now - self._ready) * 1000}
        self.event = builders.reload_event(
            1, 0, "ready", "start", modules=[], mode="fork", preloaded=0,
            ms=round((now - self.began) * 1000, 1),
            parts={name: round(ms, 1) for name, ms in parts.items()})
        self.consumer.handle(self.event)
        self.consumer.handle(builders.hello(
            app=self.launch.shown, gen=1, addresses=self.listeners.names, workers=[{}]))
        self.announced = True

    def _note(self, text: str, level: str) -> None:
        self.consumer.handle(builders.log_event(text, level))
