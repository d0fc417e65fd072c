"""Real server processes for tests: started, listened to, and ended by their process ids.

Everything that waits has a deadline and waits for a condition; ports are the system's choice.
"""

import contextlib
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time

from tests.support.launcher import launcher
from tests.support.script import scripts
from tremolo.supervisor.running import connect
from tremolo.telemetry.builders import command
from tremolo.telemetry.codec import LineDecoder, encode

ROOT = str(pathlib.Path(__file__).resolve().parents[2])
DEADLINE = 45.0  # seconds; a busy machine may need some of them

HELLO = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"TEXT"})
"""


def hello(text):
    """The source of an application that answers every request with `text`."""
    return HELLO.replace("TEXT", text)


def wait_until(condition, what="the condition", deadline=DEADLINE, news=None):
    """Wait until `condition()` is true, and give what it returned. With `news`, a
    `threading.Event`, it is looked at when that is set, and else ten times a second only."""
    end = time.monotonic() + deadline
    while True:
        if news is not None:
            news.clear()
        began = time.monotonic()
        found = condition()
        if found:
            return found
        now = time.monotonic()
        assert now < end, f"{what} did not come about in {deadline:g} s"
        if news is not None:
            news.wait(0.1)
        else:  # what is waited for has most of the time, where a server is asked each time
            time.sleep(min(max(0.005, 4 * (now - began)), 0.1))


def is_alive(pid):
    """Whether a process exists and is not merely waiting to be reaped."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def environment(folder, **more):
    """The environment of a server: our package importable, its own files in `folder`."""
    values = dict(os.environ, PYTHONPATH=ROOT, XDG_RUNTIME_DIR=str(folder),
                  XDG_CACHE_HOME=str(folder), PYTHONDONTWRITEBYTECODE="")
    values.update(more)
    for name in ("CI", "NO_COLOR"):
        values.pop(name, None)
    return values


class Server:
    """`python -m tremolo ARGUMENTS --json` in `cwd`; `events` are the lines it prints. What it
    keeps for itself lies in `folder`, which is also `cwd` if that is not given. With `script` it
    is a script that serves, with its arguments.

    Where an interpreter would start in no other way, processes are forked from some that have
    imported what these need (see `launcher`); with `fresh` each has an interpreter of its own,
    and is a child of the process that started it."""

    def __init__(self, folder, *arguments, json=True, script=None, cwd=None, fresh=False,
                 **environ):
        self.runtime = folder / ".runtime"
        self.runtime.mkdir(mode=0o700, exist_ok=True)
        self.environ = environment(self.runtime, **environ)
        more = ["--json"] if json else []
        if script is not None:
            starts, arguments = None if fresh else scripts(), [*map(str, script), *more]
            command = [sys.executable, *arguments]
        else:
            # `run` without --json has a worker that is a fork of what the shell started.
            alike = not fresh and (json or arguments[:1] == ("dev",))
            starts, arguments = launcher() if alike else None, [*arguments, *more]
            command = [sys.executable, "-m", "tremolo", *arguments]
        self.process = self._start(starts, arguments, command, cwd or folder)
        self.events = []
        self.lines = []
        self.errors = []
        self._news = threading.Event()
        self._threads = [
            threading.Thread(target=self._read, args=streams) for streams in (
                (self.process.stdout, self._on_out),
                (self.process.stderr, self.errors.append))]
        for thread in self._threads:
            thread.daemon = True
            thread.start()

    def _start(self, forks, arguments, command, cwd):
        if forks is not None and forks.would_run_the_same(self.environ):
            return forks.start(arguments, cwd, self.environ)
        return subprocess.Popen(command, cwd=cwd, env=self.environ, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def _read(self, stream, take):
        for line in stream:
            take(line.decode())
            self._news.set()

    def _on_out(self, line):
        self.lines.append(line)
        if line.startswith("{"):
            self.events.append(json.loads(line))

    # -- what it said -------------------------------------------------------------------------

    def find(self, kind, **fields):
        """The events of a kind whose fields have these values."""
        return [event for event in list(self.events) if event["kind"] == kind
                and all(event.get(name) == value for name, value in fields.items())]

    def wait_for(self, kind, count=1, deadline=DEADLINE, **fields):
        """The `count`-th event of a kind with these values, as soon as it is there."""
        def found():
            ended = self.process.poll() is not None and not self._threads[0].is_alive()
            events = self.find(kind, **fields)[count - 1:count]
            assert events or not ended, f"the server ended without event {kind} {fields}"
            return events

        try:
            return wait_until(found, f"event {kind} {fields}", deadline, self._news)[0]
        except AssertionError as exc:
            raise AssertionError(f"{exc}\n{self.said()}") from None

    def said(self):
        shown = [line for line in self.lines if '"kind":"stats"' not in line]
        return "".join(shown[-30:]) + "".join(self.errors[-60:])

    @property
    def address(self):
        found = self.wait_for("hello")["addresses"][0]
        return found

    @property
    def port(self):
        return int(self.address.rpartition(":")[2])

    @property
    def workers(self):
        """Process ids of the workers that serve, by slot."""
        found = {}
        for event in self.find("worker"):
            if event["state"] == "serving":
                found[event["slot"]] = event["pid"]
        return found

    # -- talking to it ------------------------------------------------------------------------

    def get(self, path="/", timeout=DEADLINE, **headers):
        """Status and body of a request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        with contextlib.closing(connection):
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            return response.status, response.read()

    def get_json(self, path="/"):
        return json.loads(self.get(path)[1])

    def text(self):
        return self.get()[1].decode()

    def wait_for_text(self, text):
        """Wait until the answer is `text`. Asked again only when another worker serves, or after
        a while: each question costs processor time, which what is waited for needs."""
        asked = None

        def answered():
            nonlocal asked
            now = len(self.find("worker", state="serving")), time.monotonic() // 0.1
            if now == asked:
                return False
            asked = now
            return self.text() == text

        wait_until(answered, f"the text {text}", news=self._news)

    def status(self):
        """What `tremolo status --json` prints, without a process that does so. The server has
        closed the connection afterwards."""
        with connect(str(self.runtime / "tremolo" / f"{self.port}.sock")) as sock:
            sock.settimeout(DEADLINE)
            sock.sendall(encode(command(1, "status", {})))
            decoder, found = LineDecoder(), None
            while True:
                data = sock.recv(65536)
                if not data:
                    return found
                for _, message in decoder.feed(data):
                    if message["kind"] == "ack":
                        found = message["result"]
                        sock.shutdown(socket.SHUT_WR)

    def control(self, *arguments, check=True):
        """Run a `tremolo` command against it; its output."""
        done = tremolo(*arguments, cwd=self.runtime, environ=self.environ)
        assert not check or done.returncode == 0, done.stderr
        return done.stdout if check else done

    # -- ending it ----------------------------------------------------------------------------

    def send_signal(self, number):
        os.kill(self.process.pid, number)

    def end(self, number=signal.SIGTERM, deadline=DEADLINE):
        """Send a signal and wait; the exit code."""
        if self.process.poll() is None:
            self.send_signal(number)
        code = self.process.wait(deadline)
        for thread in self._threads:
            thread.join(deadline)
        return code

    def close(self):
        pids = [event["pid"] for event in self.find("worker")]
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(DEADLINE)
        # A worker ends by itself when its supervisor is gone; one that does not is a failure.
        wait_until(lambda: not any(map(is_alive, pids)), "the end of all workers", 5)
        self.process.stdout.close()
        self.process.stderr.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()


def tremolo(*arguments, cwd, environ, timeout=DEADLINE):
    """What `python -m tremolo ARGUMENTS` says, as `subprocess.run` would give it."""
    forks = launcher()
    if forks is None or not forks.would_run_the_same(environ):
        return subprocess.run([sys.executable, "-m", "tremolo", *arguments], env=environ, cwd=cwd,
                              capture_output=True, text=True, timeout=timeout)
    return forks.run(arguments, cwd, environ, timeout)


def save(path, text):
    """Save as editors do that put a new file in the place of the old one: one change, and nobody
    can read half of it."""
    new = path.with_name(path.name + ".tmp")
    new.write_text(text)
    os.replace(new, path)


def project(folder, text="one", name="shop.py"):
    """A project with one application; the path of its file."""
    path = folder / name
    path.write_text(hello(text))
    return path
