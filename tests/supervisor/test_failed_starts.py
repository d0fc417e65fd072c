"""What is said when code cannot be started: by lines, by JSON, and by the page that answers."""


import pytest

from tests.support.processes import Server, hello, project, wait_until
from tests.support.serving import LOOPS

INTERRUPTS = [
    pytest.param("raise KeyboardInterrupt", "KeyboardInterrupt",
                 "raised by the application's own code", id="interrupt"),
    pytest.param("raise KeyboardInterrupt('enough')", "KeyboardInterrupt", "enough",
                 id="interrupt-with-text"),
    pytest.param("raise SystemExit(3)", "ApplicationExited",
                 "the application called sys.exit(3)", id="exit"),
    pytest.param("import sys; sys.exit()", "ApplicationExited",
                 "the application called sys.exit()", id="exit-without-code"),
    pytest.param("raise GeneratorExit", "GeneratorExit",
                 "raised by the application's own code", id="generator"),
    pytest.param("import os; os._exit(0)", "WorkerDied",
                 "the worker ended while it started: exit code 0", id="os-exit"),
]


def plain(folder, *arguments):
    return Server(folder, *arguments, "--plain", "--port", "0", json=False)


def said(server):
    return "".join(server.errors)


@pytest.mark.parametrize(("source", "kind", "text"), INTERRUPTS)
def test_what_ends_a_process_at_import_is_told_as_what_it_is(tmp_path, source, kind, text):
    (tmp_path / "shop.py").write_text(source + "\n")
    with Server(tmp_path, "run", "shop:app", "--port", "0") as server:
        failed = server.wait_for("reload", state="failed")
        assert (failed["error"]["type"], failed["error"]["text"]) == (kind, text)
        assert failed["then"] == "ends"
        assert server.process.wait(10) == 1


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(("source", "texts"), [
    # asyncio lets these two through to whoever runs the loop, uvloop does not.
    ("raise KeyboardInterrupt", {"asyncio": "raised by the application's own code",
                                 "uvloop": "the application raised KeyboardInterrupt"}),
    ("raise SystemExit(3)", {"asyncio": "the application called sys.exit(3)",
                             "uvloop": "the application raised SystemExit: 3"}),
    ("raise KeyError('total')", {"asyncio": "'total'", "uvloop": "'total'"})])
def test_what_a_lifespan_raises_is_told_with_its_place(tmp_path, loop, source, texts):
    (tmp_path / "shop.py").write_text(
        f"async def app(scope, receive, send):\n    await receive()\n    {source}\n")
    with Server(tmp_path, "run", "shop:app", "--port", "0", "--loop", loop) as server:
        error = server.wait_for("reload", state="failed")["error"]
        assert error["text"] == texts[loop]
        assert 'shop.py", line 3' in error["traceback"]


def test_a_start_that_failed_in_development_has_its_places_with_their_source(tmp_path):
    (tmp_path / "cart.py").write_text("total = 1\nprice = total.missing\n")
    (tmp_path / "shop.py").write_text("import cart\n")
    with Server(tmp_path, "dev", "shop:app", "--port", "0") as server:
        frames = server.wait_for("reload", state="failed")["error"]["chain"][0]["frames"]
    assert [(frame["file"], frame["line"]) for frame in frames] == [
        (str(tmp_path / "shop.py"), 1), (str(tmp_path / "cart.py"), 2)], "and no loaders of ours"
    assert frames[-1]["source"] == ["total = 1", "price = total.missing"]
    assert frames[-1]["variables"] == {"total": "1"}


def test_an_exception_that_a_framework_passes_on_as_text_is_the_error(tmp_path):
    (tmp_path / "shop.py").write_text("""
import traceback
async def app(scope, receive, send):
    await receive()
    try:
        {}["total"]
    except KeyError:
        await send({"type": "lifespan.startup.failed", "message": traceback.format_exc()})
        raise
""")
    with Server(tmp_path, "run", "shop:app", "--port", "0") as server:
        error = server.wait_for("reload", state="failed")["error"]
        assert (error["type"], error["text"]) == ("KeyError", "'total'")
        assert (error["file"], error["line"]) == (str(tmp_path / "shop.py"), 6)


@pytest.mark.parametrize("source", ["raise KeyboardInterrupt", "raise SystemExit(3)"])
def test_what_ends_a_serving_process_is_told_with_its_place(tmp_path, source):
    (tmp_path / "shop.py").write_text(
        f"import asyncio\nasync def end():\n    {source}\n" + hello("one").replace(
            "    await send({\"type\": \"http.response.start\"",
            "    if scope['path'] == '/end':\n        app.task = asyncio.ensure_future(end())\n"
            "    await send({\"type\": \"http.response.start\""))
    with Server(tmp_path, "dev", "shop:app", "--port", "0") as server:
        assert server.text() == "one"
        server.get("/end")
        error = server.wait_for("error", where="task")
        assert (error["file"], error["line"]) == (str(tmp_path / "shop.py"), 3)
        server.wait_for("worker", state="exited", expected=False)
        wait_until(lambda: len(server.find("worker", state="serving")) == 2, "its successor")
        assert server.text() == "one"


@pytest.mark.parametrize("arguments", [
    pytest.param(("run", "shop:app"), id="run"),
    pytest.param(("dev", "--no-reload", "shop:app"), id="no-reload"),
    pytest.param(("dev", "shop:nope"), id="wrong-name"),
    pytest.param(("dev", "nowhere:app"), id="wrong-module")])
def test_a_server_that_ends_says_nothing_of_waiting_or_serving(tmp_path, arguments):
    (tmp_path / "shop.py").write_text("1/0\n" if arguments[-1] == "shop:app" else "app = 1\n")
    with plain(tmp_path, *arguments) as server:
        assert server.process.wait(10) == 1
        wait_until(lambda: not server._threads[1].is_alive(), "its last line")
        assert "the server ends" in said(server)
        for wrong in ("waiting", "serves", "gen 0", " 503"):  # not the time of day
            assert wrong not in said(server)


def test_a_broken_first_start_waits_and_says_that_it_answers_503(tmp_path):
    shop = tmp_path / "shop.py"
    shop.write_text("1/0\n")
    with plain(tmp_path, "dev", "shop:app") as server:
        wait_until(lambda: "tremolo answers 503 for shop:app on http" in said(server),
                   "the line of the address")
        assert "gen 1 failed: ZeroDivisionError: division by zero; waiting for a change" in (
            said(server))
        assert "serves" not in said(server)
        shop.write_text(hello("fine"))
        wait_until(lambda: "reloaded shop.py" in said(server), "the repaired application")


def test_a_broken_save_names_the_generation_that_serves_on(tmp_path):
    shop = project(tmp_path, "one")
    with plain(tmp_path, "dev", "shop:app") as server:
        wait_until(lambda: "tremolo serves shop:app on http" in said(server), "the start")
        shop.write_text("raise GeneratorExit\n")
        wait_until(lambda: "gen 2 failed (shop.py): GeneratorExit: raised by the application's "
                   "own code; gen 1 serves on" in said(server), "the line of the failure")


def test_json_and_status_say_the_same_of_a_failed_start(tmp_path):
    shop = tmp_path / "shop.py"
    shop.write_text("1/0\n")
    with Server(tmp_path, "dev", "shop:app", "--port", "0") as server:
        failed = server.wait_for("reload", state="failed")
        assert (failed["then"], failed["serving"]) == ("waits", 0)
        assert server.wait_for("hello")["failed"]["then"] == "waits"
        server.wait_for("worker", gen=0, state="serving")
        shop.write_text(hello("one"))
        server.wait_for_text("one")
        shop.write_text("1/0\n")
        assert server.wait_for("reload", gen=3, state="failed")["then"] == "serves"
        status = server.status()
        assert (status["failed"]["then"], status["failed"]["serving"]) == ("serves", 2)


def test_stop_first_that_fails_answers_503_and_says_so(tmp_path):
    shop = project(tmp_path, "one")
    with Server(tmp_path, "dev", "shop:app", "--port", "0", "--reload-order",
                "stop-first") as server:
        assert server.text() == "one"
        shop.write_text("app = None\n")  # an error of the configuration, too
        assert server.wait_for("reload", gen=2, state="failed")["then"] == "waits"
        server.wait_for("worker", gen=0, state="serving")
        status, page = server.get()
        assert status == 503
        assert b"NoneType" in page


def test_a_server_in_production_answers_503_without_the_error(tmp_path):
    project(tmp_path, "one")
    with Server(tmp_path, "run", "shop:app", "--port", "0", "--reload-order",
                "stop-first") as server:
        assert server.text() == "one"
        (tmp_path / "shop.py").write_text("1/0\n")
        server.control("reload", check=False)
        assert server.wait_for("reload", gen=2, state="failed")["then"] == "asked"
        server.wait_for("worker", gen=0, state="serving")
        assert server.get() == (503, b"Service Unavailable\n")
        (tmp_path / "shop.py").write_text(hello("two"))
        server.control("reload")
        assert server.text() == "two"
