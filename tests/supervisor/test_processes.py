"""Signals, crashes and the end: nothing is left behind, nothing is left unsaid."""

import http.client
import os
import signal
import socket
import threading

import pytest

from tests.support.processes import (
    Server,
    environment,
    hello,
    is_alive,
    project,
    save,
    tremolo,
    wait_until,
)
from tremolo.supervisor.running import ask

SLOW = "import asyncio\n" + hello("slow").replace(
    "    await send({\"type\": \"http.response.start\"",
    "    await asyncio.sleep(float(scope['query_string'] or b'0'))\n"
    "    await send({\"type\": \"http.response.start\"")


def run(folder, *more, **environ):
    return Server(folder, "run", "shop:app", "--port", "0", *more, **environ)


def in_background(function):
    answers = []

    def call():
        try:
            answers.append(function())
        except (OSError, http.client.HTTPException) as exc:
            answers.append(exc)

    thread = threading.Thread(target=call)
    thread.start()
    return thread, answers


def active(server):
    path = str(server.runtime / "tremolo" / f"{server.port}.sock")
    return ask(path, "status")["result"]["totals"]["active"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_drains_and_the_exit_code_is_zero(tmp_path, number):
    (tmp_path / "shop.py").write_text(SLOW)
    with run(tmp_path) as server:
        server.wait_for("hello")
        thread, answers = in_background(lambda: server.get("/?0.8"))
        wait_until(lambda: active(server), "the running request")
        assert server.end(number) == 0
        thread.join()
        assert answers == [(200, b"slow")]
        exited = server.find("worker", state="exited")
        assert [event["cause"] for event in exited] == ["drained"]


def test_a_second_signal_ends_it_at_once(tmp_path):
    (tmp_path / "shop.py").write_text(SLOW)
    with run(tmp_path) as server:
        server.wait_for("hello")
        thread, answers = in_background(lambda: server.get("/?30"))
        wait_until(lambda: active(server), "the running request")
        server.send_signal(signal.SIGINT)
        server.wait_for("worker", state="draining")
        assert server.end(signal.SIGINT, deadline=20) == 0
        thread.join()
        assert isinstance(answers[0], Exception)


@pytest.mark.parametrize("arguments", [("run",), ("dev",), ("run", "--workers", "2")])
def test_nothing_is_left_when_the_supervisor_is_killed(tmp_path, arguments):
    project(tmp_path)
    with Server(tmp_path, *arguments, "shop:app", "--port", "0", fresh=True) as server:
        server.wait_for("hello")
        children = _descendants(server.process.pid)
        assert len(children) >= len(server.workers) + (arguments[0] == "dev")
        port = server.port
        server.end(signal.SIGKILL)
        wait_until(lambda: not any(map(is_alive, children)), "the end of all")
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))


@pytest.mark.parametrize("source", [
    pytest.param("while True: pass\n", id="python"),
    pytest.param("import re\nre.match('(a+)+$', 'a' * 60 + 'b')\n", id="holding-the-interpreter"),
])
def test_a_worker_in_an_endless_loop_ends_with_its_supervisor(tmp_path, source):
    shop = project(tmp_path)
    with Server(tmp_path, "dev", "shop:app", "--port", "0") as server:
        server.wait_for("hello")
        shop.write_text(source)
        pid = server.wait_for("worker", gen=2, state="starting")["pid"]
        server.end(signal.SIGKILL)
        wait_until(lambda: not is_alive(pid), "the end of the worker")


def _descendants(pid):
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as file:
                    parents[int(name)] = int(file.read().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found = {pid}
    while True:
        more = {child for child, parent in parents.items() if parent in found} - found
        if not more:
            return found - {pid}
        found |= more


@pytest.mark.parametrize(("arguments", "number", "cause"), [
    (("run",), signal.SIGKILL, "SIGKILL"),
    (("dev",), signal.SIGKILL, "SIGKILL"),
    (("run",), signal.SIGSEGV, "SIGSEGV"),
])
def test_a_killed_worker_is_named_and_replaced(tmp_path, arguments, number, cause):
    project(tmp_path, "here")
    with Server(tmp_path, *arguments, "shop:app", "--port", "0") as server:
        assert server.text() == "here"
        pid = server.workers[0]
        os.kill(pid, number)
        event = server.wait_for("worker", pid=pid, state="exited")
        assert event["cause"] == cause
        assert event["expected"] is False
        assert event["retry_in"] == 0
        assert server.text() == "here"  # it waited in the kernel's queue
        assert server.wait_for("worker", count=2, state="serving")["pid"] != pid


@pytest.mark.parametrize("arguments", [("run", "--workers", "2"), ("dev",)])
def test_a_worker_that_somebody_terminates_is_replaced_before_it_has_finished(tmp_path,
                                                                             arguments):
    (tmp_path / "shop.py").write_text("import asyncio, os\n" + hello("here").replace(
        "    await send({\"type\": \"http.response.start\"",
        "    while scope['path'] == '/slow' and not os.path.exists('go'):\n"
        "        await asyncio.sleep(0.01)\n"
        "    await send({\"type\": \"http.response.start\""))
    with Server(tmp_path, *arguments, "shop:app", "--port", "0") as server:
        server.wait_for("hello")
        slow = []
        thread = threading.Thread(target=lambda: slow.append(server.get("/slow")[1]))
        thread.start()
        wait_until(lambda: server.status()["totals"]["active"], "the request")
        before = dict(server.workers)
        for pid in before.values():
            os.kill(pid, signal.SIGTERM)
        wait_until(lambda: set(server.workers) == set(before)
                   and not set(server.workers.values()).intersection(before.values()),
                   "new workers")
        assert server.text() == "here"
        assert not slow
        (tmp_path / "go").touch()
        thread.join()
        assert slow == [b"here"]
        for pid in before.values():
            assert server.wait_for("worker", pid=pid, state="exited")["cause"] == "drained"
        assert server.end() == 0


@pytest.mark.parametrize("mode", ["zygote", "spawn"])
def test_a_worker_that_somebody_kills_while_it_starts_is_started_once_more(tmp_path, mode):
    shop = project(tmp_path, "one")
    with Server(tmp_path, "dev", "shop:app", "--port", "0", "--reload-mode", mode) as server:
        server.wait_for("hello")
        save(shop, "import os, time\nwhile not os.path.exists('go'): time.sleep(0.005)\n"
             + hello("two"))
        os.kill(server.wait_for("worker", gen=2, state="starting")["pid"], signal.SIGKILL)
        second = server.wait_for("worker", 2, gen=2, state="starting")["pid"]
        (tmp_path / "go").touch()
        assert server.wait_for("reload", gen=2, state="ready")["mode"] == mode
        assert server.workers[0] == second
        assert server.text() == "two"
        assert not server.find("log", level="warning")


DIES_EARLY = """
import asyncio, os, threading
try:
    os.close(os.open("first", os.O_CREAT | os.O_EXCL))
    first = True
except FileExistsError:
    first = False

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        while not first and not os.path.exists("go"):
            await asyncio.sleep(0.01)
        await send({"type": "lifespan.startup.complete"})
        if first:
            threading.Timer(0.05, os._exit, [3]).start()
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"here"})
"""


def test_a_worker_that_ends_while_the_other_starts_is_replaced(tmp_path):
    (tmp_path / "shop.py").write_text(DIES_EARLY)
    with run(tmp_path, "--workers", "2") as server:
        dead = server.wait_for("worker", state="exited")
        assert (dead["cause"], dead["retry_in"]) == ("exit code 3", None)
        (tmp_path / "go").touch()
        wait_until(lambda: len(server.workers) == 2, "two workers")
        assert dead["pid"] not in server.workers.values()
        assert server.text() == "here"
        assert server.end() == 0


def test_an_application_that_ends_its_worker_is_named_and_replaced(tmp_path):
    (tmp_path / "shop.py").write_text("import os\n" + hello("here").replace(
        "    await send({\"type\": \"http.response.start\"",
        "    if scope['path'] == '/end': os._exit(9)\n"
        "    await send({\"type\": \"http.response.start\""))
    with run(tmp_path) as server:
        assert server.text() == "here"
        with pytest.raises((OSError, http.client.HTTPException)):
            server.get("/end")
        assert server.wait_for("worker", state="exited")["cause"] == "exit code 9"
        assert server.text() == "here"


def test_no_zombies_are_left(tmp_path):
    project(tmp_path, "here")
    with Server(tmp_path, "dev", "shop:app", "--port", "0", "--workers", "3",
                fresh=True) as server:
        assert server.text() == "here"
        for count, pid in enumerate(server.workers.values(), 4):
            os.kill(pid, signal.SIGKILL)
            server.wait_for("worker", count=count, state="serving")
        everybody = _descendants(server.process.pid)
        assert all(map(is_alive, everybody))


def test_a_crash_loop_backs_off_and_is_called_by_its_name(tmp_path):
    shop = tmp_path / "shop.py"
    shop.write_text(hello("here"))
    with run(tmp_path) as server:
        server.wait_for("hello")
        shop.write_text("import os; os._exit(5)")
        os.kill(server.workers[0], signal.SIGKILL)
        event = server.wait_for("worker", state="exited", cause="exit code 5")
        assert server.wait_for("error", where="import")["type"] == "WorkerDied"
        shop.write_text(hello("again"))
        assert event is not None
        wait_until(lambda: server.find("worker", state="serving")[1:], "the replacement")
        assert server.text() == "again"


def test_a_dead_zygote_is_replaced(tmp_path):
    shop = project(tmp_path, "one")
    with Server(tmp_path, "dev", "shop:app", "--port", "0", "--reload-mode",
                "zygote") as server:
        assert server.text() == "one"
        status = server.status()
        os.kill(status["zygote"], signal.SIGKILL)
        shop.write_text(hello("two"))
        event = server.wait_for("reload", gen=2, state="ready")
        assert event["mode"] == "zygote"
        assert server.text() == "two"
        assert server.status()["zygote"] != status["zygote"]


def test_a_zygote_that_dies_when_it_is_asked_to_fork_is_replaced_too(tmp_path):
    shop = project(tmp_path, "one")
    with Server(tmp_path, "dev", "shop:app", "--port", "0", "--reload-mode",
                "zygote") as server:
        server.wait_for("hello")
        wait_until(lambda: server.status()["standby"], "a worker that stands by")
        zygote = server.status()["zygote"]
        os.kill(zygote, signal.SIGSTOP)
        save(shop, hello("two"))  # by the worker that stands by
        server.wait_for("reload", gen=2, state="ready")
        save(shop, hello("three"))  # by one that is still to be forked
        server.wait_for("reload", gen=3, state="started")
        os.kill(zygote, signal.SIGKILL)
        assert server.wait_for("reload", gen=3, state="ready")["mode"] == "zygote"
        assert server.text() == "three"
        assert server.status()["zygote"] not in (None, zygote)


def test_a_blocked_loop_is_noticed_and_its_place_is_named(tmp_path):
    (tmp_path / "shop.py").write_text("import time\n" + hello("slow").replace(
        "    await send({\"type\": \"http.response.start\"",
        "    time.sleep(0.8)\n    await send({\"type\": \"http.response.start\""))
    with run(tmp_path) as server:
        assert server.text() == "slow"
        event = server.wait_for("worker", state="blocked")
        assert "shop.py:10 in app" in event["cause"]
        log = server.wait_for("log", name="tremolo.watchdog")
        assert "time.sleep(0.8)" in log["text"]
        assert server.wait_for("worker", count=2, state="serving")["pid"] == event["pid"]


def test_a_port_in_use_is_one_clear_line(tmp_path):
    project(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for arguments in (("run",), ("dev", "--plain"), ("run", "--workers", "2")):
            done = tremolo(*arguments, "shop:app", "--port", str(port), cwd=tmp_path,
                           environ=environment(tmp_path))
            assert done.returncode == 1
            assert done.stdout == ""
            assert done.stderr.count("\n") == 1
            assert f"127.0.0.1:{port} is in use" in done.stderr


def test_a_second_server_of_several_workers_is_refused_too(tmp_path):
    project(tmp_path)
    with run(tmp_path, "--workers", "2") as server:
        port = server.port
        done = tremolo("shop:app", "--workers", "2", "--port", str(port), cwd=tmp_path,
                       environ=environment(tmp_path))
        assert done.returncode == 1
        assert "is in use" in done.stderr


def test_a_unix_socket_is_private_and_a_stale_one_is_replaced(tmp_path):
    project(tmp_path, "here")
    path = tmp_path / "web.sock"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    with Server(tmp_path, "run", "shop:app", "--bind", str(path)) as server:
        server.wait_for("hello")
        assert server.address == f"unix:{path}"
        assert path.stat().st_mode & 0o777 == 0o600
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            data = b"".join(iter(lambda: client.recv(4096), b""))
        assert data.endswith(b"here")
        done = tremolo("shop:app", "--bind", str(path), cwd=tmp_path,
                       environ=environment(tmp_path))
        assert done.returncode == 1
        assert "is in use" in done.stderr
        server.end()
        assert not path.exists()


def test_dual_stack_serves_both_families(tmp_path):
    project(tmp_path, "here")
    with Server(tmp_path, "run", "shop:app", "--host", "::", "--port", "0") as server:
        port = server.port
        for host in ("127.0.0.1", "::1"):
            connection = http.client.HTTPConnection(host, port, timeout=5)
            connection.request("GET", "/")
            assert connection.getresponse().read() == b"here"
            connection.close()


def test_a_worker_that_grows_too_big_is_replaced(tmp_path):
    (tmp_path / "shop.py").write_text("held = []\n" + hello("here").replace(
        "    await send({\"type\": \"http.response.start\"",
        "    if scope['path'] == '/grow': held.append(bytearray(b'x') * (120 << 20))\n"
        "    await send({\"type\": \"http.response.start\""))
    with run(tmp_path, "--limit-memory", str(120 * 1024)) as server:
        assert server.get("/grow")[0] == 200
        pid = server.workers[0]
        assert server.wait_for("worker", pid=pid, state="exited")["cause"] == "drained"
        assert server.text() == "here"


def test_the_totals_are_exact_over_ended_workers(tmp_path):
    shop = project(tmp_path, "one")
    with Server(tmp_path, "dev", "shop:app", "--port", "0") as server:
        for number in range(3):
            for _ in range(20):
                server.get(f"/?{number}")
            shop.write_text(hello(f"gen {number}"))
            server.wait_for("reload", gen=number + 2, state="ready")
        server.end()
        totals = server.find("stats")[-1]["totals"]
        assert totals["requests"] == 60
        assert totals["status"] == [0, 60, 0, 0, 0]
        assert sum(totals["latency"].values()) == 60
        assert len(server.find("request")) == 60
