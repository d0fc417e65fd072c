"""`tremolo run` with one worker: a supervisor that is no more than it has to be, until it has to
be one."""

import http.client
import os
import re
import signal
import sys

import pytest

from tests.support.processes import Server, hello, is_alive, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux" or (
    sys.implementation.name != "cpython"), reason="workers are forked on Linux and CPython")

SOURCE = "import asyncio, os\n" + hello("here").replace(
    "    await send({\"type\": \"http.response.start\"",
    "    if scope['path'] == '/bad': raise KeyError('total')\n"
    "    while scope['path'] == '/slow' and not os.path.exists('go'): await asyncio.sleep(0.01)\n"
    "    await send({\"type\": \"http.response.start\"", 1)


class Quiet(Server):
    """`tremolo run shop:app` with lines of text."""

    def __init__(self, folder, source=SOURCE, *options):
        (folder / "shop.py").write_text(source)
        super().__init__(folder, "run", "shop:app", *(options or ("--port", "0")), json=False)

    @property
    def port(self):
        found = wait_until(lambda: re.search(r"serves shop:app on http://127\.0\.0\.1:(\d+)",
                                             "".join(self.errors)), "the address")
        return int(found[1])

    def worker(self):
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as file:
            return [int(pid) for pid in file.read().split()]

    def is_whole(self):
        """Whether the supervisor has an event loop."""
        return "_asyncio" in self.loaded()

    def rest(self):
        """Wait until it is at rest."""
        wait_until(lambda: "tremolo.supervisor.resting" in self.command_line(), "its rest")

    def open_files(self):
        folder = f"/proc/{self.process.pid}/fd"
        return [os.readlink(f"{folder}/{number}") for number in os.listdir(folder)]

    def loaded(self, pid=None):
        """The files that a process has mapped, as one text."""
        with open(f"/proc/{pid or self.process.pid}/maps") as file:
            return file.read()

    def command_line(self):
        with open(f"/proc/{self.process.pid}/cmdline") as file:
            return file.read()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(15)
        self.process.stdout.close()
        self.process.stderr.close()


#: as soon as it serves, when it may come to rest at any moment; and after that
at_rest = pytest.mark.parametrize("rests", [False, True], ids=["begun", "at rest"])


@at_rest
def test_requests_alone_need_no_event_loop_and_a_command_gets_the_whole_supervisor(
        tmp_path, rests):
    with Quiet(tmp_path) as server:
        if rests:
            server.rest()
        assert server.text() == "here"
        wait_until(lambda: re.search(r"GET / 200 .* gen=1 pid=\d+", "".join(server.lines)),
                   "the line of the request")
        # A machine so slow that the loop seemed blocked needs somebody to say so.
        assert not server.is_whole() or "blocked" in "".join(server.errors)
        assert len(server.worker()) == 1
        before = server.worker()
        status = server.control("status")
        assert f"shop:app on http://127.0.0.1:{server.port}  gen 1" in status
        assert f"worker {before[0]}  gen 1  serving" in status
        assert server.is_whole()
        assert server.text() == "here"
        wait_until(lambda: "".join(server.lines).count("GET / 200") == 2, "the second line")
        assert "2 requests" in server.control("status")
        assert "".join(server.errors).count("tremolo serves") == 1
        assert "".join(server.errors).count("started") == 1
        assert server.end() == 0
        wait_until(lambda: not is_alive(before[0]), "the end of the worker")
        assert os.listdir(server.runtime / "tremolo") == []


LOADED = """
import sys
async def app(scope, receive, send):
    body = "\\n".join(sys.modules).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
"""

#: what only development needs, what a supervisor that watches files does, help, types, TLS,
#: proxies, and mistakes
UNNEEDED = ("tremolo.worker.basis", "tremolo.worker.imports", "tremolo.worker.reads",
            "tremolo.worker.console", "tremolo.worker.debugger", "tremolo.insight.insight",
            "tremolo.supervisor.watcher", "tremolo.supervisor.supervisor", "sysconfig",
            "argparse", "tremolo.telemetry.messages", "tremolo.telemetry.facts",
            "tremolo.net.tls", "tremolo.protocol.forwarded", "tremolo.protocol.hosts",
            "tremolo.worker.absent", "tremolo.worker.frameworks")


def test_neither_process_loads_what_only_development_needs(tmp_path):
    with Quiet(tmp_path, LOADED) as server:  # the worker has all that the other one had
        loaded = server.text().split("\n")
    assert "tremolo.supervisor.quiet" in loaded and "tremolo.worker.main" in loaded
    assert [name for name in UNNEEDED if name in loaded] == []


@at_rest
def test_an_error_is_told_and_an_ended_worker_replaced(tmp_path, rests):
    with Quiet(tmp_path) as server:
        port = server.port
        if rests:
            server.rest()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
        connection.request("GET", "/bad")
        assert connection.getresponse().status == 500
        wait_until(lambda: "KeyError: 'total'\n" in server.errors, "the traceback")
        [first] = server.worker()
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: f"worker {first} ended: SIGKILL, replaced" in "".join(server.errors),
                   "the replacement")
        wait_until(lambda: server.worker() not in ([], [first]), "another worker")
        assert server.text() == "here"


@at_rest
def test_a_killed_worker_is_replaced(tmp_path, rests):
    with Quiet(tmp_path) as server:
        [first] = server.worker() if server.port else []
        if rests:
            server.rest()
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: f"worker {first} ended: SIGKILL, replaced" in "".join(server.errors),
                   "the replacement")
        wait_until(lambda: server.worker() not in ([], [first]), "another worker")
        assert server.text() == "here"
        assert server.end() == 0


@at_rest
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_are_obeyed_as_by_the_whole_supervisor(tmp_path, number, rests):
    from tests.supervisor.test_processes import in_background

    with Quiet(tmp_path) as server:
        [first] = server.worker() if server.port else []
        if rests:
            server.rest()
        thread, answers = in_background(lambda: server.get("/slow"))
        wait_until(lambda: "1 connection" in server.control("status") if (
            number == signal.SIGHUP) else _established(server.port), "the request")
        server.send_signal(number)
        if number == signal.SIGHUP:
            wait_until(lambda: "workers renewed" in "".join(server.errors), "the new worker")
        else:
            wait_until(lambda: "waiting for GET /slow" in "".join(server.errors), "its request")
        (tmp_path / "go").touch()
        thread.join()
        assert answers == [(200, b"here")]
        if number == signal.SIGTERM:
            assert server.process.wait(15) == 0
        else:
            wait_until(lambda: first not in server.worker(), "the end of the old one")
            assert server.text() == "here"


def test_at_rest_it_holds_no_more_than_it_needs_to_wait(tmp_path):
    with Quiet(tmp_path) as server:
        assert server.port
        server.rest()
        before = server.open_files()
        loaded = server.loaded()
        assert [name for name in ("_socket", "_json", "_typing") if name in loaded] == []
        if "_socket" not in sys.builtin_module_names:
            assert "_socket" in server.loaded(server.worker()[0])
        server.control("status")
        # An event loop needs some more, and nothing of what rested is left.
        assert [name for name in server.open_files() if "memfd" in name] == []
        assert {name for name in before if "socket:" in name} <= set(server.open_files())


def test_many_signals_that_come_while_it_wakes_are_one_stop(tmp_path):
    with Quiet(tmp_path) as server:
        [first] = server.worker() if server.port else []
        server.rest()
        for number in (signal.SIGCHLD, signal.SIGTTIN, signal.SIGTERM):
            server.send_signal(number)
        assert server.process.wait(15) == 0
        wait_until(lambda: not is_alive(first), "the end of the worker")
        assert os.listdir(server.runtime / "tremolo") == []


def test_a_unix_socket_goes_with_the_server_that_rested(tmp_path):
    path = tmp_path / "shop.sock"
    with Quiet(tmp_path, SOURCE, "--bind", str(path)) as server:
        wait_until(lambda: f"serves shop:app on unix:{path}" in "".join(server.errors),
                   "the address")
        server.rest()
        assert path.exists()
        assert server.end() == 0
        assert not path.exists()


def _established(port):
    """Whether a connection to a port of this machine is open."""
    with open("/proc/net/tcp") as file:
        return any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "01"
                   for line in file.readlines()[1:])


def test_a_failing_start_is_told_once(tmp_path):
    with Quiet(tmp_path, "print('importing')\n1 / 0\n") as server:
        assert server.process.wait(15) == 1
        for thread in server._threads:
            thread.join(15)
        said = "".join(server.errors)
        assert said.count("ZeroDivisionError: division by zero\n") == 1, said
        assert server.lines == ["importing\n"]
        assert os.listdir(server.runtime / "tremolo") == []
