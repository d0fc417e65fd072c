"""A server with its dashboard's end of the feed in our hands, which asks for as much detail as
it is told to; and a further viewer that can be killed."""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading

from tests.support.processes import DEADLINE, ROOT, environment, wait_until
from tremolo.supervisor.bootstrap import command
from tremolo.telemetry.codec import LineDecoder, encode

LONG = 60.0  # for machines that have much else to do

ANOTHER = """
import socket, sys
sock = socket.socket(socket.AF_UNIX)
sock.connect(sys.argv[1])
sock.sendall(b'{"v":1,"kind":"command","seq":1,"name":"detail","args":{"level":1}}\\n')
while sock.recv(65536):
    pass
"""


class Watched:
    """`tremolo dev TARGET` in `folder` as the dashboard starts it, with a thread that reads."""

    def __init__(self, folder, target, **environ):
        self.environ = environment(folder, **environ)
        self.events = []
        self._acks = 0
        self._news = threading.Event()
        self._sock, theirs = socket.socketpair()
        self.process = subprocess.Popen(
            command("tremolo.supervisor.entry", "main", theirs.fileno()), cwd=folder,
            pass_fds=(theirs.fileno(),), env=self.environ, start_new_session=True)
        theirs.close()
        self._sock.sendall(encode({
            "v": 1, "kind": "launch", "app": {"target": target}, "shown": target,
            "settings": {"port": 0}, "dev": True, "folder": str(folder), "home": str(folder)}))
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self):
        self.wait_for("worker", state="serving")
        return self

    def __exit__(self, *exc):
        self._sock.shutdown(socket.SHUT_RDWR)
        try:
            self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(DEADLINE)
        self._sock.close()

    def _read(self):
        decoder = LineDecoder()
        while True:
            data = self._sock.recv(1 << 18)
            if not data:
                return
            self.events.extend(message for _, message in decoder.feed(data))
            self._news.set()

    def find(self, kind, **fields):
        """The messages of a kind with these values; rows are those of "request"."""
        events = list(self.events)
        if kind == "request":
            events = [dict(row, kind="request", pid=event["pid"]) for event in events
                      if event["kind"] == "frame" for row in event.get("rows", ())]
        return [event for event in events if event["kind"] == kind
                and all(event.get(name) == value for name, value in fields.items())]

    def wait_for(self, kind, **fields):
        def found():
            assert self.process.poll() is None or self.find(kind, **fields), self.events[-5:]
            return self.find(kind, **fields)

        return wait_until(found, f"event {kind} {fields}", LONG, self._news)[0]

    @property
    def port(self):
        return int(self.wait_for("hello")["addresses"][0].rpartition(":")[2])

    def command(self, name, **args):
        """Send a command; its acknowledgement."""
        self._acks += 1
        self._sock.sendall(encode({"v": 1, "kind": "command", "seq": self._acks, "name": name,
                                   "args": args}))
        return self.wait_for("ack", seq=self._acks)

    def another_viewer(self):
        """A process that watches as well."""
        path = pathlib.Path(self.environ["XDG_RUNTIME_DIR"]) / "tremolo" / f"{self.port}.sock"
        return subprocess.Popen([sys.executable, "-c", ANOTHER, str(path)],
                                env=dict(os.environ, PYTHONPATH=ROOT))


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait(DEADLINE)
