"""Ends that take long: what is waited for is said, and a second signal ends it."""

import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from tests.support.processes import Server, environment, hello, project, wait_until
from tremolo.supervisor.policy import Backoff

ENDLESS = """
import threading, time
def poll():
    while True:
        time.sleep(0.05)
threading.Thread(target=poll, name="poller").start()
"""
BLOCKS = hello("one").replace("    await send({\"type\": \"http.response.start\"",
                              "    import time; time.sleep(30)\n"
                              "    await send({\"type\": \"http.response.start\"")
SLOW_SHUTDOWN = """
import asyncio
async def app(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await asyncio.sleep(30)
"""


def ending(server):
    return server.wait_for("log", name="tremolo.ending")


@pytest.mark.parametrize(("source", "words"), [
    pytest.param(ENDLESS + hello("one"), 'thread "poller" at shop.py:5 in poll', id="thread"),
    pytest.param("import atexit, time\natexit.register(lambda: time.sleep(30))\n" + hello("one"),
                 "shop.py:2 in <lambda>, at exit", id="atexit"),
    pytest.param("import multiprocessing, time\nmultiprocessing.get_context('fork').Process("
                 "target=time.sleep, args=(60,), name='indexer').start()\n" + hello("one"),
                 'process "indexer"', id="process"),
    pytest.param("import time\nclass Slow:\n    def __del__(self, sleep=time.sleep):\n"
                 "        sleep(30)\nimport sys\nsys.slow = Slow()\n" + hello("one"),
                 "whose objects Python takes down", id="finalizer"),
    pytest.param(SLOW_SHUTDOWN, "the application's shutdown", id="lifespan"),
])
def test_what_python_or_the_application_waits_for_is_said(tmp_path, source, words):
    (tmp_path / "shop.py").write_text(source)
    with Server(tmp_path, "run", "shop:app", "--port", "0") as server:
        server.wait_for("worker", state="serving")
        server.wait_for("hello")
        server.send_signal(signal.SIGINT)
        event = ending(server)
        assert words in event["text"]
        assert "Ctrl+C again ends it at once" in event["text"]
        assert server.process.poll() is None  # it is said while it is waited for
        assert server.end(signal.SIGINT, deadline=20) == 0


@pytest.mark.parametrize(("source", "words"), [
    pytest.param(hello("one").replace(
        "    await send({\"type\": \"http.response.start\"", "    import asyncio\n"
        "    await asyncio.sleep(30)\n    await send({\"type\": \"http.response.start\""),
        "GET /slow", id="request"),
    pytest.param(BLOCKS, "blocked by shop.py", id="blocked-loop"),
])
def test_requests_that_run_are_named(tmp_path, source, words):
    (tmp_path / "shop.py").write_text(source)
    with Server(tmp_path, "dev", "shop:app", "--port", "0") as server, socket.create_connection(
            ("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        if source is BLOCKS:
            server.wait_for("worker", state="blocked")
        else:
            wait_until(lambda: '"active": 1' in server.control("status", "--json"),
                       "the request")
        server.send_signal(signal.SIGINT)
        assert words in ending(server)["text"]
        assert server.end(signal.SIGINT, deadline=20) == 0


def test_an_end_that_is_quick_says_nothing(tmp_path):
    project(tmp_path, "one")
    with Server(tmp_path, "run", "shop:app", "--port", "0") as server:
        assert server.text() == "one"
        assert server.end(signal.SIGINT) == 0
        assert not server.find("log", name="tremolo.ending")


@pytest.mark.parametrize(("before", "after", "words"), [
    pytest.param(ENDLESS, "", 'thread "poller"', id="thread"),
    pytest.param("", "@app.on_worker_stop\nasync def stop(*args):\n    await asyncio.sleep(30)\n",
                 "the application's shutdown", id="shutdown")])
def test_a_script_that_serves_itself_says_it_too(tmp_path, before, after, words):
    script = tmp_path / "shop.py"
    script.write_text(f"import asyncio\nfrom tremolo import Tremolo\n{before}\napp = Tremolo()\n"
                      f"{after}\napp.run('127.0.0.1', 0)\n")
    process = subprocess.Popen([sys.executable, str(script)], cwd=tmp_path, text=True,
                               stderr=subprocess.PIPE, env=environment(tmp_path))
    lines = []
    reader = threading.Thread(target=lambda: lines.extend(iter(process.stderr.readline, "")),
                              daemon=True)
    reader.start()
    try:
        wait_until(lambda: "tremolo serves" in "".join(lines), "its start")
        process.send_signal(signal.SIGINT)
        wait_until(lambda: f"waiting for {words}" in "".join(lines), "what is waited for")
        process.send_signal(signal.SIGINT)
        process.wait(20)
    finally:
        process.kill()
        process.wait()
        reader.join(5)
        process.stderr.close()


def test_a_worker_that_has_served_comes_back_at_once_each_time(tmp_path):
    (tmp_path / "shop.py").write_text("import os\n" + hello("one").replace(
        "    await send({\"type\": \"http.response.start\"",
        "    if scope['path'] == '/end':\n        os._exit(9)\n"
        "    await send({\"type\": \"http.response.start\""))
    with Server(tmp_path, "dev", "shop:app", "--port", "0") as server:
        for number in range(1, 4):
            serving = server.wait_for("worker", count=number, state="serving")
            wait_until(lambda began=serving["t"]: time.time() - began > 1.1, "some serving")
            with pytest.raises(OSError):
                server.get("/end")
            ended = server.wait_for("worker", count=number, state="exited", cause="exit code 9")
            assert ended["retry_in"] == 0
        assert server.text() == "one"
        assert not [event for event in server.find("log") if "crash loop" in event["text"]]


@pytest.mark.parametrize(("deaths", "delays"), [
    pytest.param([None, None, None], [0.5, 1.0, 2.0], id="before-serving"),
    pytest.param([0.1, 0.1, 0.1], [0.0, 1.0, 2.0], id="right-at-its-beginning"),
    pytest.param([5.0] * 8, [0.0] * 8, id="while-it-served"),
    pytest.param([None, 5.0, None], [0.5, 0.0, 0.5], id="serving-forgives"),
    pytest.param([None] * 9, [0.5, 1, 2, 4, 8, 16, 30, 30, 30], id="bounded"),
])
def test_only_a_death_at_the_start_delays_the_next_worker(deaths, delays):
    backoff = Backoff()
    assert [backoff.died(served) for served in deaths] == delays
    assert backoff.looping is (deaths == [None] * 9)
