"""A second dashboard on a running server, its log and its counters from a shell."""

import json
import signal
import subprocess
import sys
import threading

import pytest

pytest.importorskip("textual")

from tests.support.processes import Server
from tests.support.terminal import Terminal

SHOP = '''
async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    status = 404 if scope["path"] == "/missing" else 200
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})
'''


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shop.py").write_text(SHOP)
    with Server(folder, "dev", "shop:app", "--port", "0") as server:
        server.text()
        yield server


def command(*words):
    return [sys.executable, "-m", "tremolo", *words]


def ask_until(shop, begun):
    while not begun.wait(0.1):
        shop.get("/missing")


def test_leaving_an_attached_dashboard_leaves_the_server(shop):
    with Terminal(command("attach", "--port", str(shop.port)), cwd=shop.runtime,
                  env=shop.environ) as terminal:
        terminal.expect("shop:app", "FOLLOW", within=30)
        shop.get("/from-outside")
        terminal.expect("/from-outside")
        terminal.press("q")
        terminal.wait(15)
    assert shop.text() == "hello"


def test_an_attached_dashboard_begins_with_what_was_there(shop):
    with Terminal(command("attach", "--port", str(shop.port)), cwd=shop.runtime,
                  env=shop.environ) as watching:
        watching.expect("FOLLOW", within=30)
        shop.get("/long-ago")
        watching.expect("/long-ago")
        with Terminal(command("attach", "--port", str(shop.port)), cwd=shop.runtime,
                      env=shop.environ) as joining:
            joining.expect("/long-ago", within=30)


def test_the_log_is_followed_and_filtered(shop):
    process = subprocess.Popen(
        command("log", "--follow", "--filter", "s:404", "--port", str(shop.port)),
        cwd=shop.runtime, env=shop.environ, stdout=subprocess.PIPE, text=True)
    try:
        begun = threading.Event()
        asking = threading.Thread(target=ask_until, args=(shop, begun))
        asking.start()  # until it listens
        line = process.stdout.readline()
        begun.set()
        asking.join()
        assert "GET /missing 404" in line
        shop.get("/good")
        shop.get("/missing")
        assert "/missing" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(15) == 0
    finally:
        process.kill()
        process.stdout.close()


@pytest.mark.parametrize("words", [["s:nine"], ["nonsense:1"]], ids=str)
def test_a_wrong_filter_is_explained_at_its_place(shop, words):
    done = shop.control("log", "--filter", *words, check=False)
    assert done.returncode == 1 and "^" in done.stderr


def test_the_counters_are_printed(shop):
    shop.text()
    assert "request" in shop.control("stats") and "p95" in shop.control("stats")
    assert json.loads(shop.control("stats", "--json"))["totals"]["requests"] >= 1


def test_a_file_that_is_no_session_is_refused_before_anything_is_drawn(shop, tmp_path):
    done = shop.control("open", str(tmp_path / "none"), check=False)
    assert done.returncode == 1 and "is no file" in done.stderr
