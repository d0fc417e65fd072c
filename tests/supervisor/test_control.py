"""Commands to a running server, over its private socket."""

import contextlib
import http.client
import json
import os
import re
import socket
import stat
import sys
import threading

import pytest

from tests.support.processes import Server, environment, hello, project, tremolo, wait_until
from tremolo.telemetry.codec import encode

BIG = hello("x").replace('b"x"', 'b"x" * 4_000_000')


@pytest.fixture
def server(tmp_path):
    project(tmp_path, "here")
    with Server(tmp_path, "dev", "shop:app", "--port", "0") as running:
        running.wait_for("hello")
        yield running


@pytest.fixture(scope="module")
def unhurt(tmp_path_factory):
    """A server for all tests after which it is as it was."""
    folder = tmp_path_factory.mktemp("unhurt")
    project(folder, "here")
    with Server(folder, "dev", "shop:app", "--port", "0") as running:
        running.wait_for("hello")
        yield running


def connect(server):
    path = server.runtime / "tremolo" / f"{server.port}.sock"
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(10)
    client.connect(str(path))
    return client


def test_the_socket_is_private(server):
    folder = server.runtime / "tremolo"
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(folder / f"{server.port}.sock").st_mode) == 0o600
    server.end()
    assert not list(folder.glob("*.sock"))


def test_a_viewer_gets_hello_and_then_the_feed(unhurt):
    with connect(unhurt) as client, client.makefile("rb") as lines:
        first = json.loads(lines.readline())
        assert first["kind"] == "hello"
        assert first["addresses"] == [unhurt.address]
        assert [worker["state"] for worker in first["workers"]] == ["serving"]
        client.sendall(encode({"v": 1, "kind": "command", "seq": 5, "name": "detail",
                               "args": {"level": 1}}))
        unhurt.get("/seen")
        rows, acks = [], []
        while not rows:
            message = json.loads(lines.readline())
            rows += message.get("rows", []) if message["kind"] == "frame" else []
            acks += [message] if message["kind"] == "ack" else []
        assert rows[0]["path"] == "/seen"
        assert rows[0]["status"] == 200
        assert acks[0]["seq"] == 5
        assert acks[0]["ok"] is True


def ask_for(client, level):
    client.sendall(encode({"v": 1, "kind": "command", "seq": level, "name": "detail",
                           "args": {"level": level}}))


def row_of(lines, path):
    """The row of the exchange with this path, and every byte until then."""
    seen = b""
    while True:
        line = lines.readline()
        seen += line
        for row in json.loads(line).get("rows", ()):
            if row["path"] == path and row["state"] != "live":
                return row, seen


def test_what_was_sent_is_shown_to_the_viewer_that_asks_and_to_no_other(server):
    with connect(server) as nosy, nosy.makefile("rb") as theirs, \
            connect(server) as other, other.makefile("rb") as others:
        ask_for(nosy, 2)
        ask_for(other, 1)
        for lines in (theirs, others):
            while json.loads(lines.readline())["kind"] != "ack":
                pass
        # The workers are told at once, but nobody says when they know.
        for number in range(100):
            path = f"/seen?{number}"
            server.get(path, Cookie="id=secret")
            row, _ = row_of(theirs, path)
            plain, bytes_seen = row_of(others, path)
            assert "request" not in plain and b"secret" not in bytes_seen
            if "request" in row:
                break
        assert ["cookie", "id=secret"] in row["request"]["headers"]
        assert row["response"]["body"] == "here"
        assert row["response"]["size"] == row["bytes_out"] == 4
    server.end()
    assert server.find("request", status=200)
    assert "secret" not in "".join(server.lines)


@pytest.mark.parametrize("line", [
    b"\0" * 100_000, b"not json\n", b"[1]\n", b'{"kind": "command", "v": 99}\n',
    b'{"kind": "command", "x": NaN}\n', b"[" * 60_000 + b"\n",
], ids=["zeros", "text", "list", "version", "nan", "deep"])
def test_what_is_no_message_costs_only_that_viewer(unhurt, line):
    with connect(unhurt) as client:
        try:
            client.sendall(line)
            while client.recv(65536):
                pass
        except ConnectionError:
            pass
    assert unhurt.text() == "here"


@pytest.mark.parametrize(("name", "args", "text"), [
    ("nonsense", {}, "no command"),
    ("throttle", {"scope": "*", "throttle": {"download": -1}}, "download"),
    ("throttle", {"scope": "*", "throttle": {"download": "1e999"}}, "download"),
    ("throttle", {"scope": 7, "throttle": None}, "scope"),
    ("throttle", {"scope": "*", "throttle": "warp"}, "warp"),
    ("throttle", {"scope": "api", "throttle": None}, "no scope: those are"),
    ("throttle", {"throttle": "/api/*"}, "has no throttle"),
    ("throttle", {"scope": "/a", "throttle": "/b: 3g"}, "two scopes"),
    ("throttle", {"scope": "total", "throttle": {"latency": 1}}, "rates only"),
    ("throttle", {"scope": "#999999", "throttle": "3g"}, "no connection #"),
    ("throttle", {"scope": "#1.7", "throttle": "3g"}, "no worker"),
    ("throttle", {"throttle": "api: 3g"}, "no scope"),
    ("throttle", {"scope": "total", "throttle": "offline"}, "rates only"),
    ("throttle", {"rules": []}, "rules are an object"),
    ("throttle", {"rules": {"/a": {}, "b": {}}}, "no scope"),
    ("detail", {"level": 99}, "0 to 2"),
    ("workers", {"count": 0}, "1 to 256"),
    ("cut", {"pid": 1, "conn": 1}, "no worker"),
    ("restart", {"pid": "x"}, "no worker"),
])
def test_a_wrong_command_is_refused_with_a_reason(unhurt, name, args, text):
    with connect(unhurt) as client, client.makefile("rb") as lines:
        client.sendall(encode({"v": 1, "kind": "command", "seq": 9, "name": name,
                               "args": args}))
        while True:
            message = json.loads(lines.readline())
            if message["kind"] == "ack":
                break
        assert message["seq"] == 9
        assert message["ok"] is False
        assert text in message["error"]


def test_a_throttle_changes_a_running_transfer_and_outlives_the_worker(tmp_path):
    (tmp_path / "shop.py").write_text(BIG)
    with Server(tmp_path, "dev", "shop:app", "--port", "0", "--throttle",
                "down=10kB") as server:  # seven minutes
        port = server.port
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/")
        response = connection.getresponse()
        response.read(1000)
        reader = threading.Thread(target=response.read, daemon=True)
        reader.start()
        assert server.control("throttle", "off", "--address", str(port)) == "off\n"
        wait_until(lambda: not reader.is_alive(), "the rest")
        connection.close()
        assert server.wait_for("throttle")["throttle"] == {}
        server.control("throttle", "slow-4g", "--scope", "/api/*")
        event = server.wait_for("throttle", count=2)
        assert list(event["throttle"]) == ["/api/*"]
        assert event["throttle"]["/api/*"]["download"] == 180_000
        os.kill(server.workers[0], 9)
        server.wait_for("worker", count=2, state="serving")
        status = json.loads(server.control("status", "--json"))
        assert list(status["throttle"]) == ["/api/*"]
        assert server.control("throttle").startswith("/api/*: ")
        rule = "/a/*: latency=300ms"
        assert rule in server.control("throttle", rule)
        assert server.control("throttle", "off", "--scope", "/api/*") == rule + "\n"
        server.control("throttle", "client:127.0.0.1: slow-4g")
        assert server.control("throttle", "off") == "off\n"


def test_reload_and_last_error(tmp_path):
    shop = project(tmp_path, "one")
    with Server(tmp_path, "dev", "shop:app", "--port", "0") as server:
        server.wait_for("hello")
        assert server.control("last", "error", check=False).stdout == "no error so far\n"
        assert server.control("reload") == "gen 2\n"
        shop.write_text("oh no\n")
        server.wait_for("reload", state="failed")
        assert "SyntaxError" in server.control("last", "error")
        refused = server.control("reload", check=False)
        assert refused.returncode == 1
        assert "SyntaxError" in refused.stderr


def test_workers_are_added_taken_away_and_restarted(server):
    with connect(server) as client, client.makefile("rb") as lines:

        def command(name, **args):
            client.sendall(encode({"v": 1, "kind": "command", "seq": 1, "name": name,
                                   "args": args}))
            while True:
                message = json.loads(lines.readline())
                if message["kind"] == "ack":
                    assert message["ok"], message
                    return message["result"]

        command("workers", count=3)
        wait_until(lambda: len(server.workers) == 3, "three workers")
        pid = server.workers[2]
        command("workers", count=2)
        assert server.wait_for("worker", pid=pid, state="exited")["cause"] == "drained"
        pid = server.workers[0]
        command("restart", pid=pid)
        server.wait_for("worker", pid=pid, state="exited")
        assert server.workers[0] != pid
        assert server.text() == "here"
        command("stop")
        assert server.process.wait(10) == 0


def test_a_viewer_that_does_not_read_holds_nobody_up(unhurt):
    with connect(unhurt) as client:
        client.sendall(encode({"v": 1, "kind": "command", "seq": 1, "name": "detail",
                               "args": {"level": 1}}))
        for _ in range(300):
            unhurt.get("/" + "x" * 200)
        assert unhurt.text() == "here"
        with client.makefile("rb") as lines:
            assert json.loads(lines.readline())["kind"] == "hello"


def test_without_a_server_a_command_says_so(tmp_path):
    project(tmp_path)
    with Server(tmp_path, "shop:app", "--port", "0") as server:
        server.wait_for("hello")
        server.end()
        done = server.control("throttle", "off", check=False)
        assert done.returncode == 1
        assert done.stderr == "no server of yours runs\n"


def status(folder, runtime, *arguments):
    return tremolo("status", *arguments, cwd=folder, environ=environment(runtime))


def test_commands_go_to_the_server_of_the_project_in_this_folder(tmp_path):
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    with contextlib.ExitStack() as stack:
        servers = {}
        for name in ("users", "orders"):
            folder = tmp_path / name
            (folder / "inner").mkdir(parents=True)
            project(folder, name, f"{name}.py")
            servers[name] = stack.enter_context(Server(
                folder, "run", f"{name}:app", "--port", "0", XDG_RUNTIME_DIR=str(runtime)))
        for server in servers.values():
            server.wait_for("hello")
        for name in servers:
            for folder in (tmp_path / name, tmp_path / name / "inner"):
                done = status(folder, runtime)
                assert done.stdout.startswith(f"{name}:app on {servers[name].address}")
                assert f"in {tmp_path / name}, started " in done.stdout
        done = status(tmp_path.parent, runtime)
        assert done.returncode == 1
        assert "Say which one" in done.stderr
        for name, server in servers.items():
            assert re.search(rf"--port {server.port} +{server.address}  {name}:app  in "
                             rf"{tmp_path / name}, started \d+ s ago", done.stderr)
        done = status(tmp_path, runtime, "--port", str(servers["users"].port))
        assert done.stdout.startswith("users:app")


def test_a_second_server_says_who_has_the_port_and_which_is_free(tmp_path):
    project(tmp_path)
    with Server(tmp_path, "run", "shop:app", "--port", "0") as server:
        server.wait_for("hello")
        done = tremolo("dev", "shop:app", "--plain", "--port", str(server.port), cwd=tmp_path,
                       environ=server.environ)
        assert done.returncode == 1
        port = server.port
        assert f"127.0.0.1:{port} is in use by this project ({server.address}" in done.stderr
        assert re.search(r"choose another port with --port \d+", done.stderr)


def test_a_second_server_in_a_terminal_offers_the_next_port_or_the_place_of_the_first(tmp_path):
    pytest.importorskip("pyte")
    from tests.support.terminal import Terminal

    project(tmp_path, "here")
    with Server(tmp_path, "run", "shop:app", "--port", "0") as server:
        server.wait_for("hello")
        command = [sys.executable, "-m", "tremolo", "dev", "shop:app", "--plain", "--port",
                   str(server.port)]
        for key, port in (("", rf"(?!{server.port})\d+"), ("s", str(server.port))):
            with Terminal(command, 160, 24, cwd=tmp_path, env=server.environ) as terminal:
                terminal.expect("is in use by this project", "serve on ", "take its place")
                terminal.press(f"{key}\r")
                terminal.expect("tremolo serves shop:app on")
                assert re.search(rf"serves shop:app on http://127\.0\.0\.1:{port} ",
                                 terminal.screen)
        assert server.process.wait(10) == 0
