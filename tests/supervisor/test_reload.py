"""Saving files while the server runs: real processes, real saves."""

import os
import signal
import socket
import threading
import time

import pytest

from tests.support.processes import ROOT, Server, hello, project, save, wait_until


@pytest.fixture(params=["zygote", "spawn"])
def mode(request):
    return request.param


def dev(folder, *more, **environ):
    return Server(folder, "dev", "shop:app", "--port", "0", *more, **environ)


def test_a_save_is_served_by_new_code_in_another_process(tmp_path, mode):
    shop = project(tmp_path, "one")
    with dev(tmp_path, "--reload-mode", mode) as server:
        assert server.text() == "one"
        shop.write_text(hello("two"))
        event = server.wait_for("reload", gen=2, state="ready")
        assert server.text() == "two"
        assert event["files"] == ["shop.py"]
        assert event["mode"] == mode
        parts = event["parts"]  # it settles only where more is saved meanwhile
        assert parts.keys() - {"settle"} == {"seen", "fork", "import", "lifespan", "switch"}
        assert sum(parts.values()) <= event["ms"] + 1
        assert event["serving"] == 2
        old = server.find("worker", gen=1, state="serving")[0]["pid"]
        assert server.wait_for("worker", pid=old, state="exited")["cause"] == "drained"


def test_two_saves_of_one_size_in_one_second_run_the_last(tmp_path):
    shop = project(tmp_path, "000")
    with dev(tmp_path) as server:
        server.wait_for("hello")
        for number in range(1, 8):
            text = f"{number:03d}"
            shop.write_text(hello(text))
            os.utime(shop, (1_700_000_000, 1_700_000_000))
            server.wait_for_text(text)


def test_unchanged_content_is_no_change(tmp_path):
    shop = project(tmp_path, "one")
    other = tmp_path / "notes.txt"
    with dev(tmp_path) as server:
        server.wait_for("hello")
        shop.write_text(hello("one"))
        other.write_text("not imported")
        (tmp_path / "unused.py").write_text("1/0")
        shop.touch()
        shop.write_text(hello("two"))
        assert server.wait_for("reload", state="ready", gen=2)["files"] == ["shop.py"]
        assert len(server.find("reload", state="started")) == 2


def test_a_module_that_the_application_imported_counts(tmp_path):
    (tmp_path / "shop.py").write_text("import words\n" + hello("x").replace(
        'b"x"', "words.text.encode()"))
    words = tmp_path / "words.py"
    words.write_text("text = 'one'")
    with dev(tmp_path) as server:
        assert server.text() == "one"
        temporary = tmp_path / "words.py.new"
        temporary.write_text("text = 'two'")
        os.replace(temporary, words)  # an editor's atomic save
        server.wait_for_text("two")


@pytest.mark.parametrize(("source", "name"), [
    pytest.param("def broken(:\n", "SyntaxError", id="syntax"),
    pytest.param("import surely_not_there\n", "ModuleNotFoundError", id="import"),
    pytest.param("raise SystemExit(3)\n", "ApplicationExited", id="exit"),
    pytest.param("import os; os._exit(7)\n", "WorkerDied", id="hard-exit"),
    pytest.param("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)\n", "WorkerDied",
                 id="segfault"),
    pytest.param("app = None\n", "ConfigurationError", id="no-application"),
])
def test_broken_code_keeps_the_old_serving_and_a_repair_recovers(tmp_path, source, name):
    shop = project(tmp_path, "one")
    with dev(tmp_path) as server:
        assert server.text() == "one"
        shop.write_text(source)
        failed = server.wait_for("reload", state="failed")
        assert failed["error"]["type"] == name
        assert failed["serving"] == 1
        if name == "SyntaxError":
            assert failed["error"]["file"] == str(shop)
            assert failed["error"]["line"] == 1
            assert "def broken(:" in failed["error"]["traceback"]
            assert "tremolo" not in failed["error"]["traceback"]
        assert server.text() == "one"
        shop.write_text(hello("two"))
        server.wait_for_text("two")


def test_a_failing_lifespan_keeps_the_old_serving(tmp_path):
    shop = project(tmp_path, "one")
    with dev(tmp_path) as server:
        assert server.text() == "one"
        shop.write_text("""
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})
        return
""")
        failed = server.wait_for("reload", state="failed")
        assert "no database" in failed["error"]["text"]
        assert server.text() == "one"


def test_an_endless_import_gives_way_to_the_next_save(tmp_path):
    shop = project(tmp_path, "one")
    with dev(tmp_path) as server:
        assert server.text() == "one"
        shop.write_text("while True: pass\n")
        server.wait_for("worker", gen=2, state="starting")
        shop.write_text(hello("two"))
        server.wait_for_text("two")


def test_a_start_that_takes_too_long_fails(tmp_path):
    project(tmp_path, "one").write_text("import time; time.sleep(60)")
    with dev(tmp_path, "--startup-timeout", "0.6") as server:
        failed = server.wait_for("reload", state="failed")
        assert failed["error"]["type"] == "StartupTimeout"


def test_a_broken_first_start_answers_503_and_recovers(tmp_path):
    shop = tmp_path / "shop.py"
    shop.write_text("raise RuntimeError('out of order')\n")
    with dev(tmp_path) as server:
        server.wait_for("reload", state="failed")
        wait_until(lambda: server.find("worker", gen=0, state="serving"), "the fallback")
        status, page = server.get()
        assert status == 503
        assert b"RuntimeError: out of order" in page
        shop.write_text(hello("fine"))
        server.wait_for_text("fine")


def test_no_request_fails_over_many_saves(tmp_path):
    shop = project(tmp_path, "gen 0")
    failures, done = [], threading.Event()
    counts = [0, 0]
    with dev(tmp_path) as server:
        port = server.port

        def load(index, keep):
            import http.client
            connection = None
            while not done.is_set():
                try:
                    if connection is None:
                        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                    connection.request("GET", "/")
                    response = connection.getresponse()
                    body = response.read()
                    if response.status != 200 or not body.startswith(b"gen "):
                        failures.append((response.status, body))
                    counts[index] += 1
                    if not keep or response.will_close:
                        connection.close()
                        connection = None
                except OSError as exc:
                    failures.append(repr(exc))
                    connection = None
                time.sleep(0.004)
            if connection is not None:
                connection.close()

        threads = [threading.Thread(target=load, args=(index, keep))
                   for index, keep in enumerate((True, False))]
        for thread in threads:
            thread.start()
        try:
            for number in range(1, 9):
                shop.write_text(hello(f"gen {number}"))
                server.wait_for_text(f"gen {number}")
        finally:
            done.set()
            for thread in threads:
                thread.join()
    assert not failures
    assert min(counts) > 20


@pytest.mark.parametrize("order", ["start-first", "stop-first"])
def test_an_idle_connection_is_handed_over_and_goes_on(tmp_path, order):
    shop = project(tmp_path, "one")
    with dev(tmp_path, "--reload-order", order) as server, socket.create_connection(
            ("127.0.0.1", server.port), timeout=10) as client:

        def ask():
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            data = b""
            while not data.endswith((b"one", b"two")):
                piece = client.recv(4096)
                assert piece, "the connection was closed"
                data += piece
            return data[-3:]

        assert ask() == b"one"
        shop.write_text(hello("two"))
        server.wait_for("reload", gen=2, state="ready")
        server.wait_for("worker", gen=1, state="exited")
        assert ask() == b"two"


@pytest.mark.parametrize(("source", "status", "text"), [
    pytest.param(hello("two"), b"200", b"two", id="that-starts"),
    pytest.param("1 / 0\n", b"503", b"ZeroDivisionError", id="that-fails"),
])
def test_a_request_between_old_code_and_new_waits_for_the_new(tmp_path, source, status, text):
    shop = project(tmp_path, "one")
    with dev(tmp_path, "--reload-order", "stop-first") as server, socket.create_connection(
            ("127.0.0.1", server.port), timeout=10) as client:
        request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
        client.sendall(request)
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
        shop.write_text("import os, time\nwhile not os.path.exists('go'): time.sleep(0.005)\n"
                        + source)
        server.wait_for("worker", gen=1, state="exited")
        client.sendall(request)
        (tmp_path / "go").touch()
        data = b""
        while text not in data:
            piece = client.recv(65536)
            assert piece, "the connection was closed"
            data += piece
        assert data.split()[1] == status


def test_a_running_request_is_finished_by_the_old_code(tmp_path):
    shop = project(tmp_path, "one")
    shop.write_text("import asyncio, os\n" + hello("old").replace(
        "    await send({\"type\": \"http.response.start\"",
        "    while not os.path.exists('go'): await asyncio.sleep(0.01)\n"
        "    await send({\"type\": \"http.response.start\""))
    with dev(tmp_path) as server:
        server.wait_for("hello")
        answers = []
        thread = threading.Thread(target=lambda: answers.append(server.text()))
        thread.start()
        wait_until(lambda: server.status()["totals"]["active"],
                   "the running request")
        shop.write_text(hello("new"))
        server.wait_for("reload", gen=2, state="ready")
        assert server.text() == "new"
        (tmp_path / "go").touch()
        thread.join()
        assert answers == ["old"]


#: a thread that Python waits for at its end
STAYS = """
import os, threading, time

def stay():
    while not os.path.exists("go"):
        time.sleep(0.01)

threading.Thread(target=stay, name="stays").start()
"""


def test_the_new_code_starts_after_the_old_ended_when_asked_for(tmp_path):
    shop = project(tmp_path, "one")
    with dev(tmp_path, "--reload-order", "stop-first") as server:
        assert server.text() == "one"
        shop.write_text(hello("two"))
        server.wait_for("reload", gen=2, state="ready")
        assert server.text() == "two"
        kinds = [(event["gen"], event["state"]) for event in server.find("worker")]
        assert kinds.index((1, "exited")) < kinds.index((2, "starting"))


def test_what_the_end_of_the_old_code_waits_for_is_told_where_the_new_code_waits_for_it(tmp_path):
    (tmp_path / "shop.py").write_text(STAYS + hello("one"))
    with dev(tmp_path, "--reload-order", "stop-first") as server:
        assert server.text() == "one"
        (tmp_path / "shop.py").write_text(hello("two"))
        told = server.wait_for("log", name="tremolo.ending")["text"]
        assert told.startswith('waiting for thread "stays"')
        assert "(the new code starts after that, at the latest in" in told
        (tmp_path / "go").touch()
        ready = server.wait_for("reload", gen=2, state="ready")
        assert ready["parts"]["stop"] > 0.5 * ready["ms"]


def test_a_changed_env_file_reaches_new_code(tmp_path):
    (tmp_path / "shop.py").write_text("import os\n" + hello("x").replace(
        'b"x"', 'os.environ["GREETING"].encode()'))
    env = tmp_path / ".env"
    env.write_text("GREETING='hi'\n")
    with dev(tmp_path, "--env-file", ".env") as server:
        assert server.text() == "hi"
        env.write_text("export GREETING=ho\n")
        server.wait_for_text("ho")


ENVIRON = "import os\n" + hello("x").replace(
    'b"x"', 'os.environ.get("GREETING", "nothing").encode()')


def test_an_env_file_that_is_deleted_is_gone_from_new_code_once(tmp_path):
    (tmp_path / "shop.py").write_text(ENVIRON)
    (tmp_path / ".env").write_text("GREETING=hi\n")
    with dev(tmp_path) as server:
        assert server.text() == "hi"
        (tmp_path / ".env").unlink()
        server.wait_for_text("nothing")
        (tmp_path / ".env").write_text("GREETING=hi\n")
        server.wait_for_text("hi")
        assert server.wait_for("reload", gen=3, state="ready")["files"] == [".env"]
        assert len(server.find("reload", state="started")) == 3


@pytest.mark.parametrize("of", ["zygote", "spawn"])
def test_a_line_of_an_env_file_that_goes_wrong_is_told_once(tmp_path, of):
    (tmp_path / "shop.py").write_text(ENVIRON)
    (tmp_path / ".env").write_text("GREETING=one\n")
    with dev(tmp_path, "--reload-mode", of) as server:
        assert server.text() == "one"
        for greeting in ("two", "three"):
            (tmp_path / ".env").write_text(f"GREETING={greeting}\nwhat is this\n")
            server.wait_for_text(greeting)
        told = [event["text"] for event in server.find("log") if ".env" in event["text"]]
        assert told == ["loaded .env (--no-env-file: do not)",
                        f'{tmp_path / ".env"}:2: "what is this" is not NAME=VALUE']


def test_an_env_file_that_is_needed_and_deleted_is_named(tmp_path):
    (tmp_path / "shop.py").write_text(ENVIRON)
    needed = tmp_path / "needed.env"
    needed.write_text("GREETING=hi\n")
    with dev(tmp_path, "--env-file", "needed.env") as server:
        assert server.text() == "hi"
        needed.unlink()
        failed = server.wait_for("reload", state="failed")
        assert "needed.env" in failed["error"]["text"] and failed["then"] == "serves"
        assert server.text() == "hi"
        needed.write_text("GREETING=ho\n")
        server.wait_for_text("ho")


def test_without_watchfiles_modification_times_are_looked_at(tmp_path):
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / "watchfiles.py").write_text("raise ImportError('not here')")
    shop = project(tmp_path, "one")
    with dev(tmp_path, PYTHONPATH=os.pathsep.join((str(blocked), ROOT))) as server:
        assert server.text() == "one"
        wait_until(lambda: any("watchfiles is not installed" in event["text"]
                               for event in server.find("log")), "the note")
        shop.write_text(hello("two"))
        server.wait_for_text("two")


def test_hangup_renews_the_workers_of_a_headless_server(tmp_path):
    project(tmp_path, "one")
    with Server(tmp_path, "run", "shop:app", "--port", "0", "--workers", "2") as server:
        server.wait_for("hello")
        before = set(server.workers.values())
        server.send_signal(signal.SIGHUP)
        server.wait_for("reload", gen=2, state="ready")
        assert server.text() == "one"
        assert before.isdisjoint(server.workers.values())
        assert len(server.workers) == 2


def test_options_that_changed_are_said_to_take_a_restart(tmp_path):
    pytest.importorskip("tomllib")
    project(tmp_path, "one")
    file = tmp_path / "pyproject.toml"
    head = "[tool.tremolo]\nkeepalive-timeout = "
    file.write_text(head + "7\nlog-level = 'info'\n")

    def restarts():
        return [event["text"] for event in server.find("log")
                if "[tool.tremolo]" in event["text"]]

    with dev(tmp_path, "--log-level", "debug") as server:
        assert server.text() == "one"
        # What the command line decides is not in force after a restart either.
        save(file, head + "8\nlog-level = 'warning'\nthrottle = ['down=1M']\n")
        server.wait_for("reload", gen=2, state="ready")
        assert restarts() == ["[tool.tremolo] in pyproject.toml: keepalive-timeout, throttle "
                              "changed, which takes a restart of the server"]
        save(file, head + "7\n")
        server.wait_for("reload", gen=3, state="ready")
        save(file, head + "7 8\n")
        server.wait_for("log", level="error")
        server.wait_for("reload", gen=4, state="ready")
        assert len(restarts()) == 1
        assert server.find("log", level="error")[0]["text"].startswith("pyproject.toml: ")
