"""Starts the supervisor in a session of its own, and the dashboard in this process.

The only place of the core that knows the dashboard's name. If it cannot be had, or fails, the
same process goes on as a plain viewer of the same feed.
"""

import importlib
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from typing import Any, Callable, Dict, List, Mapping, Optional

from .exceptions import ConfigurationError
from .supervisor.bootstrap import command
from .supervisor.wanted import Launch
from .telemetry import builders
from .telemetry.codec import CodecError, LineDecoder, encode

DASHBOARD = "tremolo_tui"
BEGIN_LIMIT = 10.0
END_GRACE = 5.0


def run_dashboard(launch: Launch) -> int:
    """Serve, with the dashboard if possible; the exit code."""
    ours, theirs = socket.socketpair()
    complaints = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the supervisor
    process = subprocess.Popen(
        command("tremolo.supervisor.entry", "main", theirs.fileno()),
        pass_fds=(theirs.fileno(),), start_new_session=True, stdin=subprocess.DEVNULL,
        stdout=complaints, stderr=complaints)
    theirs.close()
    screen = _Screen(_info(launch, process.pid))
    try:
        ours.sendall(encode(builders.launch(
            launch.app, launch.shown, launch.settings.as_dict(), launch.dev, launch.folder,
            launch.home)))
        screen.load()  # while the supervisor starts
        refused = _first_word(ours)
        if refused is None:
            code = screen.view(ours)
        else:
            screen.close()
            print(refused or "the server could not be started", file=sys.stderr)
            code = 1
    finally:
        screen.close()
        ours.close()
        ended = _wait(process, launch.settings.shutdown_timeout + END_GRACE)
    if ended not in (0, None, -signal.SIGTERM):
        complaints.seek(0)
        sys.stderr.write(complaints.read(64 * 1024).decode("utf-8", "replace"))
    return code or (1 if ended else 0)


def run_viewer(feed: socket.socket, info: Mapping[str, Any], plain: bool = True) -> int:
    """The dashboard on a feed that is not ours; the exit code. Without a terminal, or without a
    dashboard, the plain log if `plain`. Raises ConfigurationError."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        if not plain:
            raise ConfigurationError("this needs a terminal")
        return view_plainly(feed, guest=True)
    screen = _Screen(info)
    try:
        if not screen.load():
            return view_plainly(feed, guest=True) if plain else 1
        return screen.run(feed)
    except (OSError, ValueError) as exc:
        raise ConfigurationError(f"{info.get('recording') or 'the feed'}: {exc}") from None
    finally:
        screen.close()


def _info(launch: Launch, pid: int) -> Dict[str, Any]:
    """What the dashboard may want to know beside the feed."""
    return {"app": launch.shown, "folder": launch.folder, "supervisor": pid,
            "settings": launch.settings.as_dict(), "debugger": command("tremolo.cli", "main")}


def _first_word(feed: socket.socket) -> "str | None":
    """Wait for the supervisor's first line without taking it; a refusal's text, else None."""
    deadline = time.monotonic() + BEGIN_LIMIT
    while time.monotonic() < deadline:
        if not select.select([feed], [], [], max(0.0, deadline - time.monotonic()))[0]:
            break
        begun = feed.recv(1024, socket.MSG_PEEK)
        if not begun:
            return ""
        if b'"refused"' not in begun.split(b"\n")[0]:
            return None
        if b"\n" in begun:
            for _, message in LineDecoder().feed(begun):
                return str(message.get("error", ""))
        time.sleep(0.01)
    return ""


class _Screen:
    """The dashboard on this terminal: its first frame at once, all of it when it is loaded."""

    def __init__(self, info: Mapping[str, Any]) -> None:
        self._info = info
        self._module: Any = None
        self._first: Any = None

    def load(self) -> bool:
        """Draw the first frame, and import the rest; False if the dashboard cannot be had."""
        try:
            module = importlib.import_module(DASHBOARD)
            self._first = module.begin(self._info)
            module.load()
        except Exception as exc:  # a version of a library that does not fit may raise anything
            self.close()
            print(f"tremolo: there is no dashboard ({exc}); this is the plain log",
                  file=sys.stderr)
            return False
        self._module = module
        return True

    def run(self, feed: socket.socket) -> int:
        """The dashboard, which must be loaded, until it is left; its exit code. Raises what it
        failed with, the terminal given back."""
        return int(self._module.run(feed, {**self._info, "observe": _log()}, self._first) or 0)

    def view(self, feed: socket.socket) -> int:
        """Show the feed, with the dashboard or without, until it ends or the user leaves."""
        if self._module is None:
            return view_plainly(feed)
        try:
            return self.run(feed)
        except Exception as exc:
            print(f"\r\ntremolo: the dashboard failed ({type(exc).__name__}: {exc}); "
                  "this is the plain log", file=sys.stderr)
            return view_plainly(feed)

    def close(self) -> None:
        """Take a first frame away that nobody has drawn over."""
        if self._first is not None:
            self._first.close()


def _log() -> Optional[Callable[[Mapping[str, Any]], None]]:
    """Writes into a file that standard error is what plain output would have there, while the
    dashboard has the terminal; None where standard error is the terminal, too."""
    if sys.stderr is None or sys.stderr.isatty():
        return None
    from .supervisor.plain import PlainConsumer

    consumer = PlainConsumer(err=sys.stderr, logs=True)

    def observe(message: Mapping[str, Any]) -> None:
        if message["kind"] != "frame" and message.get("stream") != "stdout":
            consumer.handle(message)

    return observe


def view_plainly(feed: socket.socket, guest: bool = False) -> int:
    """A viewer that prints lines. Ctrl+C and SIGTERM drain the server, twice end it; those of a
    guest end nothing but the viewer."""
    from .supervisor.plain import PlainConsumer
    from .telemetry.channel import READ_SIZE

    consumer = PlainConsumer(logs=True)
    asked: List[int] = []

    def stop(number: int, frame: Any) -> None:
        asked.append(number)
        feed.sendall(encode(builders.command(
            len(asked), "stop", {"now": len(asked) > 1})))

    before = {number: signal.signal(number, stop) for number in (
        () if guest else (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))}
    feed.setblocking(True)
    decoder = LineDecoder()
    try:
        feed.sendall(encode(builders.command(0, "detail", {"level": 1})))
        while True:
            data = feed.recv(READ_SIZE)
            if not data:
                return 0
            for _, message in decoder.feed(data):
                consumer.handle(message)
    except (OSError, CodecError) as exc:
        print(f"tremolo: the server is gone ({exc})", file=sys.stderr)
        return 1
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait(process: "subprocess.Popen[bytes]", limit: float) -> "int | None":
    """Wait for the supervisor, which drains now; None when it had to be ended."""
    try:
        return process.wait(limit)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.terminate()
    try:
        process.wait(1.0)
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    return None
