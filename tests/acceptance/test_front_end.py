"""`tremolo dev` with a front end's server beside it: one address for both."""

import json
import sys
import urllib.request

import pytest

pytest.importorskip("aiohttp")

from websockets.sync.client import connect

from tests.support.dev_server import free_port
from tests.support.layouts import LAYOUTS, build
from tests.support.processes import ROOT, Server, is_alive, project, wait_until
from tremolo.commands.serving import prepare
from tremolo.exceptions import ConfigurationError

if sys.version_info < (3, 11):
    pytest.importorskip("tomli")  # what reads pyproject.toml

FRONT_END = f"""
import asyncio, os, sys
sys.path.insert(0, {ROOT!r})
from tests.support.dev_server import dev_server

async def main():
    async with dev_server(PORT) as dev:
        print("ready", os.getpid(), flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def test_django_and_a_front_end_have_one_address(tmp_path):
    pytest.importorskip("django")
    port = free_port()
    folder = build(tmp_path, LAYOUTS["django-startproject"])
    (folder / "front_end.py").write_text(FRONT_END.replace("PORT", str(port)))
    (folder / "pyproject.toml").write_text(
        f"[tool.tremolo.run]\nweb = {json.dumps([sys.executable, 'front_end.py'])}\n"
        f'[tool.tremolo.proxy]\n"/" = "http://127.0.0.1:{port}"\n')
    with Server(folder, "dev", "--port", "0") as server:
        pid = int(server.wait_for("log", stream="companion", name="web")["text"].split()[1])
        assert server.text() == "hello", "Django's own page"
        assert server.get("/static/site.css")[0] == 200
        told = server.get_json("/src/main.ts?t=1")
        assert told["target"] == "/src/main.ts?t=1"
        row = server.wait_for("request", path="/src/main.ts?t=1")
        assert (row["proxied"], row["route"]) == (f"http://127.0.0.1:{port}", "/*")
        # Django reads the body before it looks for a route.
        assert post(server, "/action", b"x" * 1000)["size"] == 1000
        assert echo(server) == "echo hot"
        server.control("throttle", "latency=300ms")
        server.get("/src/slow.ts")
        row = server.wait_for("request", path="/src/slow.ts")
        assert row["ms"] > 250, "one throttle"
        server.end()
        wait_until(lambda: not is_alive(pid), "the end of the front end")


def post(server, path, body):
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}{path}", body)
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


def echo(server):
    with connect(f"ws://127.0.0.1:{server.port}/", subprotocols=["vite-hmr"],
                 proxy=None) as client:
        client.send("hot")
        return client.recv(10)


def test_the_package_that_it_takes_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    assert "pip install 'tremolo[proxy]'" in refused(tmp_path, monkeypatch, 5173)


def test_a_server_that_shall_answer_for_itself_is_refused(tmp_path, monkeypatch):
    assert refused(tmp_path, monkeypatch, 8000) == (
        "[tool.tremolo.proxy] http://localhost:8000 is this server itself")


def refused(folder, monkeypatch, port):
    project(folder)
    (folder / "pyproject.toml").write_text(
        f'[tool.tremolo.proxy]\n"/" = "http://localhost:{port}"\n')
    monkeypatch.chdir(folder)
    with pytest.raises(ConfigurationError) as caught:
        prepare(["shop:app"], True)
    assert prepare(["shop:app"], False).settings.proxy is None, "only in development"
    return str(caught.value)
