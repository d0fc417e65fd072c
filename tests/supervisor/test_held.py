"""Applications that hold something exclusively: what is done when new code cannot have it."""

import socket

import pytest

from tests.support.processes import Server, hello

DATABASE = """
import sqlite3
database = sqlite3.connect("shop.db", timeout=0, check_same_thread=False)
database.execute("BEGIN EXCLUSIVE")
"""
LOCK = """
import fcntl
lock = open("shop.lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
"""
ADDRESS = """
import socket
listener = socket.create_server(("127.0.0.1", PORT))
"""
IN_LIFESPAN = """
import socket, traceback
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        try:
            app.listener = socket.create_server(("127.0.0.1", PORT))
        except OSError:
            await send({"type": "lifespan.startup.failed", "message": traceback.format_exc()})
            raise
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"TEXT"})
"""


@pytest.fixture
def port():
    """A port that is free."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def logged(server):
    return "\n".join(event["text"] for event in server.find("log", stream="tremolo"))


@pytest.mark.parametrize(("source", "what", "error"), [
    pytest.param(DATABASE + hello("TEXT"), "a database", "OperationalError: database is locked",
                 id="database"),
    pytest.param(LOCK + hello("TEXT"), "a lock", "BlockingIOError", id="lock"),
    pytest.param(ADDRESS + hello("TEXT"), "an address", "OSError", id="address"),
    pytest.param(IN_LIFESPAN, "an address", "OSError", id="address-in-lifespan"),
])
def test_what_the_old_code_holds_is_freed_and_the_start_tried_again(tmp_path, port, source, what,
                                                                    error):
    shop = tmp_path / "shop.py"
    source = source.replace("PORT", str(port))
    shop.write_text(source.replace("TEXT", "one"))
    with Server(tmp_path, "dev", "shop:app", "--port", "0") as server:
        assert server.text() == "one"
        shop.write_text(source.replace("TEXT", "two"))
        server.wait_for("reload", gen=2, state="ready")
        assert server.text() == "two"
        assert f"gen 2 wants {what} that is held already" in logged(server)
        assert error in logged(server)
        assert "--reload-order stop-first" in logged(server)
        assert not server.find("reload", state="failed")
        # From now on the old code makes way at once.
        shop.write_text(source.replace("TEXT", "three"))
        server.wait_for("reload", gen=3, state="ready")
        assert server.text() == "three"
        assert "gen 3 wants" not in logged(server)
        kinds = [(event["gen"], event["state"]) for event in server.find("worker")]
        assert kinds.index((2, "exited")) < kinds.index((3, "starting"))


def test_what_somebody_else_holds_is_an_error_that_answers_and_is_repaired(tmp_path, port):
    shop = tmp_path / "shop.py"
    shop.write_text(hello("one"))
    with socket.create_server(("127.0.0.1", port)), Server(
            tmp_path, "dev", "shop:app", "--port", "0") as server:
        assert server.text() == "one"
        shop.write_text(ADDRESS.replace("PORT", str(port)) + hello("two"))
        failed = server.wait_for("reload", gen=2, state="failed")
        assert (failed["error"]["held"], failed["then"]) == ("an address", "waits")
        server.wait_for("worker", gen=0, state="serving")
        status, page = server.get()
        assert status == 503
        assert b"Address already in use" in page
        shop.write_text(hello("three"))
        server.wait_for_text("three")


def test_a_server_in_production_only_names_the_option(tmp_path):
    (tmp_path / "shop.py").write_text(LOCK + hello("one"))
    with Server(tmp_path, "run", "shop:app", "--port", "0") as server:
        assert server.text() == "one"
        server.control("reload", check=False)
        assert server.wait_for("reload", gen=2, state="failed")["then"] == "serves"
        assert "--reload-order stop-first ends that first" in logged(server)
        assert server.text() == "one"


def test_an_error_that_is_none_of_these_does_not_end_what_serves(tmp_path):
    shop = tmp_path / "shop.py"
    shop.write_text(hello("one"))
    with Server(tmp_path, "dev", "shop:app", "--port", "0") as server:
        assert server.text() == "one"
        shop.write_text("raise OSError('address already in use, database is locked')\n")
        assert server.wait_for("reload", gen=2, state="failed")["then"] == "serves"
        assert server.text() == "one"
