"""The viewer that started the server, behind a socket: the feed, and what its end means."""

import contextlib
import http.client
import os
import pty
import signal
import socket
import subprocess
import sys
import time

import pytest

from tests.support.processes import environment, hello, is_alive, project, wait_until
from tremolo.supervisor.bootstrap import command
from tremolo.telemetry.codec import LineDecoder, encode
from tremolo.telemetry.rollup import Rollup


class View:
    """A viewer as the dashboard is one, which reads when it is told to."""

    def __init__(self, folder, **settings):
        self.sock, theirs = socket.socketpair()
        self.sock.settimeout(15)
        self.process = subprocess.Popen(
            command("tremolo.supervisor.entry", "main", theirs.fileno()), cwd=folder,
            pass_fds=(theirs.fileno(),), env=environment(folder), start_new_session=True)
        theirs.close()
        self.decoder = LineDecoder()
        self.messages = []
        self.rollup = Rollup()
        self.sock.sendall(encode({
            "v": 1, "kind": "launch", "app": {"target": "shop:app"}, "shown": "shop:app",
            "settings": {"port": 0, "reload": True, **settings}, "dev": True,
            "folder": str(folder), "home": str(folder)}))

    def until(self, kind, **fields):
        while True:
            for message in self.messages:
                if message["kind"] == kind and all(
                        message.get(name) == value for name, value in fields.items()):
                    return message
            assert self.read(), f"the feed ended without {kind} {fields}"

    def read(self):
        data = self.sock.recv(1 << 18)
        for _, message in self.decoder.feed(data):
            self.messages.append(message)
            if message["kind"] == "hello":
                self.rollup = Rollup()
                self.rollup.past = message["past"]
            elif message["kind"] == "frame":
                self.rollup.update(message)
            elif message["kind"] == "worker" and message["state"] == "exited":
                self.rollup.ended(message["pid"])
        return bool(data)

    @property
    def port(self):
        self.until("worker", state="serving")
        return int(self.until("hello")["addresses"][0].rpartition(":")[2])

    def close(self):
        self.sock.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)


def ask(port, times):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.closing(connection):
        for _ in range(times):
            connection.request("GET", "/" + "x" * 150)
            response = connection.getresponse()
            assert response.read() == b"here"


def test_a_viewer_that_stood_still_has_the_exact_totals_afterwards(tmp_path):
    project(tmp_path, "here")
    with contextlib.closing(View(tmp_path)) as view:
        port = view.port
        ask(port, 3000)  # nobody reads the feed meanwhile
        end = time.monotonic() + 10
        while view.rollup.totals()["status"] != [0, 3000, 0, 0, 0]:
            assert time.monotonic() < end, view.rollup.totals()
            view.read()
        assert view.rollup.totals()["requests"] == 3000
        frames = [m for m in view.messages if m["kind"] == "frame"]
        rows = sum(len(frame.get("rows", ())) for frame in frames)
        assert 0 < rows <= 3000


def test_everything_ends_when_the_viewer_is_gone(tmp_path):
    project(tmp_path, "here")
    with contextlib.closing(View(tmp_path)) as view:
        pid = view.until("worker", state="serving")["pid"]
        view.sock.close()
        wait_until(lambda: view.process.poll() is not None and not is_alive(pid), "end")
        assert view.process.returncode == 0


def test_a_running_request_does_not_hold_up_the_end_of_an_orphan(tmp_path):
    (tmp_path / "shop.py").write_text("import asyncio\n" + hello("here").replace(
        "    await send({\"type\": \"http.response.body\"",
        "    await send({'type': 'http.response.body', 'body': b'x', 'more_body': True})\n"
        "    await asyncio.sleep(60)\n    await send({\"type\": \"http.response.body\""))
    with contextlib.closing(View(tmp_path)) as view, socket.create_connection(
            ("127.0.0.1", view.port)) as client:
        pid = view.until("worker", state="serving")["pid"]
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(4096)
        view.sock.close()
        wait_until(lambda: view.process.poll() is not None and not is_alive(pid), "end")


def test_prints_and_log_records_come_through_the_feed(tmp_path):
    (tmp_path / "shop.py").write_text(
        "import logging, sys\nprint('printed \\x1b[31mred')\n"
        "print('warned', file=sys.stderr)\n"
        "logging.getLogger('shop').warning('logged')\n" + hello("here"))
    with contextlib.closing(View(tmp_path)) as view:
        assert view.until("log", stream="stdout")["text"] == "printed red"
        assert view.until("log", stream="stderr")["text"] == "warned"
        log = view.until("log", stream="log")
        assert (log["name"], log["level"], log["text"]) == ("shop", "warning", "logged")


def test_a_port_in_use_is_told_to_the_viewer(tmp_path):
    project(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken, contextlib.closing(
            View(tmp_path, port=taken.getsockname()[1])) as view:
        assert "is in use" in view.until("refused")["error"]
        assert view.process.wait(5) == 1


@pytest.mark.parametrize("error", ["ImportError", "AttributeError"])
def test_without_a_dashboard_a_terminal_gets_the_plain_log(tmp_path, error):
    project(tmp_path, "here")
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / "tremolo_tui.py").write_text(f"raise {error}('not here')")
    values = environment(tmp_path, TERM="xterm")
    values["PYTHONPATH"] = os.pathsep.join((str(blocked), values["PYTHONPATH"]))
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "tremolo", "dev", "shop:app", "--port", "0"], cwd=tmp_path,
        env=values, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    said = b""
    os.set_blocking(ours, False)

    def shown(text):
        nonlocal said
        with contextlib.suppress(BlockingIOError, OSError):
            said += os.read(ours, 65536)
        return text in said

    try:
        wait_until(lambda: shown(b"there is no dashboard"), "the reason")
        wait_until(lambda: shown(b"gen=1"), "the start")
        port = int(said.partition(b"http://127.0.0.1:")[2].split()[0])
        ask(port, 1)
        wait_until(lambda: shown(b"200"), "the request")
        os.kill(process.pid, signal.SIGINT)
        wait_until(lambda: (shown(b"never"), process.poll() is not None)[1], "the end")
        assert process.returncode == 0, said
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(ours)


FLOOD = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        for number in range(20_000):
            print("line", number, "of a flood", "." * 200)
        print("the very end of it")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})
"""


def test_the_newest_lines_of_a_flood_reach_a_viewer_that_read_nothing_meanwhile(tmp_path):
    (tmp_path / "shop.py").write_text(FLOOD)
    with contextlib.closing(View(tmp_path, reload=False)) as view:
        connection = http.client.HTTPConnection("127.0.0.1", view.port, timeout=20)
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"done"
        view.until("log", text="the very end of it")
        texts = [message for message in view.messages if message["kind"] == "log"]
        numbers = [int(message["text"].split()[1]) for message in texts
                   if message["text"].startswith("line ")]
        left_out = sum(message.get("left_out", 0) for message in texts)
        others = sum(not message["text"].startswith("line ") for message in texts)
        assert 20_000 <= len(numbers) + left_out <= 20_000 + others
        assert numbers == sorted(numbers) and numbers[-500:] == list(range(19_500, 20_000))
