"""What stands for the supervisor as long as nothing happens but requests.

`tremolo run` with one worker forks it at once, prints what it reports of requests, and waits:
a loop around `poll`, which needs neither asyncio nor most of this package, so that a server at
rest costs little more memory than its worker, and starts as soon as that does. Whatever else
happens - a signal, a command, an error, the worker's silence or its end - is the Supervisor's
business: `run()` returns, and the Supervisor goes on in this process with the sockets, the
worker and its words as they are.
"""

import gc
import os
import select
import signal
import socket
import sys
import time
from types import ModuleType
from typing import Any, Dict, List, Optional, Tuple

from ..config import Settings
from ..envfile import read_env_files
from ..exceptions import ConfigurationError
from ..telemetry import builders
from ..telemetry.channel import MessageReader, receive, transmit
from ..telemetry.codec import CodecError, LineDecoder, encode_cut
from ..telemetry.messages import ReloadEvent
from .listeners import Listeners, wanted_addresses
from .plain import PlainConsumer
from .running import bind_control, folder, socket_names
from .wanted import LOCK_FILE, Launch, WantedThrottle

READ_SIZE = 256 * 1024
START_LIMIT = 10.0  # seconds after which a start is watched over by the whole supervisor
SILENCE_LIMIT = 10.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU)


def is_enough(settings: Settings) -> bool:
    """Whether a server with these settings can begin like this."""
    return (settings.worker_num == 1 and settings.reload_mode == "auto" and not settings.reload
            and not settings.json and sys.platform == "linux" and hasattr(os, "fork")
            and sys.implementation.name == "cpython" and sys.gettrace() is None)


class Quiet:
    """One forked worker, and what the Supervisor takes over of it.

    `messages` are what the worker sent until it was announced, `rest` what it sent after that;
    `signals` are those that came and are still to be obeyed.
    """

    def __init__(self, launch: Launch, consumer: PlainConsumer, detail: int) -> None:
        self._launch = launch
        self._consumer = consumer
        self._detail = detail
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
        settings = self._launch.settings
        try:
            for wanted in wanted_addresses(settings):
                self.listeners.bind(wanted)
            found = read_env_files(settings, self._launch.dev, self._launch.home)
            self._open_control()
        except BaseException:
            self.close()
            raise
        for text, level in (*((note, "info") for note in self._launch.app.get("notes", ())),
                            *found.notes):
            self._note(text, level)
        control = self._fork()
        if control is not None:
            return self._be_worker(control, {
                **dict(self._launch.app.get("environ", {})), **found.values})
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
        settings = self._launch.settings
        start = builders.start(
            app=self._launch.app, home=self._launch.home, dev=False,
            settings=settings.as_dict(), reload=False, debug="", detail=self._detail, token="",
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
            quiet = True
            while quiet:
                taken = [self._take(fd) for fd, _ in poll.poll(self._patience() * 1000)]
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
            self._consumer.handle(frame)
        return bool(data)

    # -- what is printed -------------------------------------------------------------

    def _announce(self) -> None:
        now = time.monotonic()
        parts = {"seen": 0.0, **self._parts, "switch": (now - self._ready) * 1000}
        self.event = builders.reload_event(
            1, 0, "ready", "start", modules=[], mode="fork", preloaded=0,
            ms=round((now - self.began) * 1000, 1),
            parts={name: round(ms, 1) for name, ms in parts.items()})
        self._consumer.handle(self.event)
        self._consumer.handle(builders.hello(
            app=self._launch.shown, gen=1, addresses=self.listeners.names, workers=[{}]))
        self.announced = True

    def _note(self, text: str, level: str) -> None:
        self._consumer.handle(builders.log_event(text, level))
