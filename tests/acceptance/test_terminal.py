"""What a person sees: `tremolo dev` in a real terminal, with real clients and real files."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import sys
import threading
import time

import pytest

pytest.importorskip("textual")
pytest.importorskip("pyte")

from tests.support.processes import ROOT, environment, hello, is_alive, tremolo, wait_until
from tests.support.terminal import Terminal


def site(text):
    """An application that answers with `text`, and below /endless for as long as one reads."""
    return hello(text).replace(
        '    await send({"type": "http.response.start", "status": 200,',
        '    while scope["path"] == "/endless":\n'
        '        if "begun" not in scope:\n'
        '            scope["begun"] = True\n'
        '            await send({"type": "http.response.start", "status": 200,'
        ' "headers": []})\n'
        '        await send({"type": "http.response.body", "body": b"x" * 65536,'
        ' "more_body": True})\n'
        '    await send({"type": "http.response.start", "status": 200,')


@contextlib.contextmanager
def dashboard(folder, source, columns=80, lines=24, errors=None):
    """`tremolo dev app.py` in a terminal, serving; gives the terminal and the port. Standard
    error goes to the file `errors`, if there is one."""
    (folder / "app.py").write_text(source)
    runtime = folder / ".runtime"
    runtime.mkdir(mode=0o700)
    command = [sys.executable, "-m", "tremolo", "dev", "app.py", "--port", "0"]
    if errors is not None:
        command = ["sh", "-c", f'exec "$@" 2>"{errors}"', "sh", *command]
    with Terminal(command, columns, lines, cwd=folder,
                  env={"PYTHONPATH": ROOT, "XDG_RUNTIME_DIR": str(runtime)}) as terminal:
        terminal.expect("TREMOLO", "gen 1 ✔", within=20)
        port = int(re.search(r"http://127\.0\.0\.1:(\d+)", terminal.screen).group(1))
        yield terminal, port


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One dashboard, its port and the file that it serves, for all that leave it as it was."""
    folder = tmp_path_factory.mktemp("shared")
    with dashboard(folder, site("Hello")) as (terminal, port):
        yield terminal, port, folder / "app.py"


def get(port, path="/"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def descendants(pid):
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{task}/children") as file:
            for child in file.read().split():
                found += [int(child), *descendants(int(child))]
    return found


def test_requests_appear_as_they_happen(shared):
    terminal, port, _ = shared
    assert get(port, "/a/page?with=query")[0] == 200
    terminal.expect("GET", "/a/page?with=query", "200")
    assert "waiting for requests" not in terminal.screen


def test_quitting_gives_the_terminal_back_and_ends_everything(tmp_path):
    with dashboard(tmp_path, hello("Hello")) as (terminal, port):
        processes = descendants(terminal.pid)
        assert len(processes) >= 2
        terminal.press("q")
        assert os.WEXITSTATUS(terminal.wait(10)) == 0
        terminal.read(0.2)
        assert b"\x1b[?1049l" in terminal.output, "the alternate screen was not left"
        wait_until(lambda: not any(map(is_alive, processes)), "the end of all processes")
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", port))


def test_a_file_for_errors_gets_them_and_the_terminal_the_dashboard(tmp_path):
    errors = tmp_path / "errors.txt"
    source = "import sys\nprint('once', file=sys.stderr)\n" + hello("Hello")
    with dashboard(tmp_path, source, errors=errors) as (terminal, port):
        get(port, "/page")
        terminal.expect("GET", "/page")
        wait_until(lambda: "once\n" in errors.read_text(), "what the application wrote")
        (tmp_path / "app.py").write_text("def broken(:")
        wait_until(lambda: "SyntaxError" in errors.read_text(), "the error of the reload")
        terminal.press("q")
        terminal.wait(10)
    written = errors.read_text()
    assert "tremolo starts app.py" in written and "/page" not in written and "\x1b" not in written


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT],
                         ids=["SIGTERM", "SIGHUP", "SIGINT"])
def test_signals_give_the_terminal_back_and_end_everything(tmp_path, end):
    with dashboard(tmp_path, hello("Hello")) as (terminal, _):
        processes = descendants(terminal.pid)
        os.kill(terminal.pid, end)
        terminal.wait(10)
        terminal.read(0.2)
        assert b"\x1b[?1049l" in terminal.output, "the alternate screen was not left"
        wait_until(lambda: not any(map(is_alive, processes)), "the end of all processes")


def test_killing_the_dashboard_ends_everything(tmp_path):
    with dashboard(tmp_path, hello("Hello")) as (terminal, _):
        processes = descendants(terminal.pid)
        os.kill(terminal.pid, signal.SIGKILL)
        terminal.wait(5)
        wait_until(lambda: not any(map(is_alive, processes)), "the end of all processes")


def test_a_broken_save_shows_its_error_and_the_old_code_serves_on(shared):
    terminal, port, source = shared
    source.write_text(site("second"))
    wait_until(lambda: get(port)[1] == b"second", "the new text")
    source.write_text(site("third") + "\ndef broken(:\n")
    terminal.expect("SyntaxError")
    assert get(port) == (200, b"second")

    source.write_text(site("fourth"))
    wait_until(lambda: get(port)[1] == b"fourth", "the repaired text")


def test_no_request_fails_while_code_is_saved(shared):
    terminal, port, source = shared
    failed, answers, done = [], set(), threading.Event()

    def client():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        while not done.is_set():
            try:
                connection.request("GET", "/")
                response = connection.getresponse()
                answers.add(response.read())
                if response.status != 200:
                    failed.append(response.status)
            except OSError as exc:
                failed.append(exc)
                connection.close()
            done.wait(0.02)

    threads = [threading.Thread(target=client) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for number in range(1, 6):
            source.write_text(site(f"number {number}"))
            wait_until(lambda n=number: b"number %d" % n in answers, f"version {number}")
            terminal.read(0.05)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert not failed


class Download(threading.Thread):
    """Reads an endless response and counts."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.sock = socket.create_connection(("127.0.0.1", port), 10)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        self.sock.sendall(b"GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.received = 0
        self.start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                data = self.sock.recv(1 << 18)
                if not data:
                    return
                self.received += len(data)

    def rate(self, terminal, seconds):
        before, began = self.received, time.monotonic()
        terminal.read(seconds)
        return (self.received - before) / (time.monotonic() - began)


def throttle(terminal):
    """The name of what is in force, in the first line."""
    terminal.read(0.02)
    return terminal.screen.splitlines()[0].partition("▼")[2].strip()


def test_a_key_throttles_a_running_download_and_another_lets_it_go(shared):
    terminal, port, _ = shared
    download = Download(port)
    assert download.rate(terminal, 0.3) > 2_000_000
    terminal.press("t")
    seen = {""}
    while "Slow 4G" not in seen:
        terminal.press("\x1b[C")  # right
        seen.add(wait_until(lambda: {throttle(terminal)} - seen, "the next throttle").pop())
    # What the kernel and the transport hold already comes first.
    wait_until(lambda: download.rate(terminal, 1.0) == pytest.approx(180_000, rel=0.25),
               "the rate of Slow 4G")
    terminal.press("T")
    wait_until(lambda: download.rate(terminal, 0.3) > 2_000_000, "the full rate")
    download.sock.close()
    terminal.press("\x1b")


def count_requests(port, total, connections=4):
    """Send exactly `total` requests, pipelined in batches; the bytes sent and received."""
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    sent = received = 0
    for index in range(connections):
        left = total // connections + (index < total % connections)
        with socket.create_connection(("127.0.0.1", port), 10) as sock:
            while left:
                batch = min(left, 50)
                sock.sendall(request * batch)
                sent += len(request) * batch
                answers = b""
                while answers.count(b"Hello") < batch:
                    data = sock.recv(65536)
                    assert data
                    answers += data
                received += len(answers)
                left -= batch
    return sent, received


def test_totals_are_exact_though_the_dashboard_was_stopped_meanwhile(tmp_path):
    with dashboard(tmp_path, hello("Hello"), 160, 48) as (terminal, port):
        counted = [count_requests(port, 1_000)]
        os.kill(terminal.pid, signal.SIGSTOP)
        try:
            counted.append(count_requests(port, 999))
        finally:
            os.kill(terminal.pid, signal.SIGCONT)
        counted.append(count_requests(port, 1))
        terminal.expect("2,000 requests")
        runtime = tmp_path / ".runtime"
        answer = tremolo("status", "--json", cwd=runtime, environ=environment(runtime))
        totals = json.loads(answer.stdout)["totals"]
        assert totals["requests"] == 2_000
        assert totals["status"] == [0, 2_000, 0, 0, 0]
        assert totals["bytes_in"] == sum(sent for sent, _ in counted)
        assert totals["bytes_out"] == sum(received for _, received in counted)
