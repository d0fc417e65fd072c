"""Scripts that call run(): in this process, or as a supervisor with workers."""

import signal

import pytest

from tests.support.processes import Server, wait_until

NATIVE = """
import os, sys
from tremolo import Tremolo

app = Tremolo()

@app.route('/')
async def index(**server):
    return 'TEXT %d %s' % (os.getpid(), sys.argv[1:])

if __name__ == '__main__':
    app.run('127.0.0.1', 0, OPTIONS)
"""

HIDDEN = """
from tremolo import Tremolo

def main():
    app = Tremolo()

    @app.route('/')
    async def index(**server):
        return 'hidden'

    app.run('127.0.0.1', 0, json=True, worker_num=2)

main()
"""

ASGI = """
import tremolo

async def app(scope, receive, send):
    if scope['type'] != 'http':
        raise RuntimeError
    await send({'type': 'http.response.start', 'status': 200, 'headers': []})
    await send({'type': 'http.response.body', 'body': b'asgi'})

if __name__ == '__main__':
    tremolo.run(app, port=0, worker_num=2, json=True)
"""


def script(folder, source, *arguments, json=False, **more):
    path = folder / "serve.py"
    path.write_text(source)
    return path, Server(folder, script=[path, *arguments], json=json, **more)


def native(text="here", options=""):
    return NATIVE.replace("TEXT", text).replace("OPTIONS", options)


def test_one_worker_serves_in_the_very_process(tmp_path):
    _, server = script(tmp_path, native(), "argument")
    with server:
        line = wait_until(
            lambda: [x for x in server.errors if "tremolo serves" in x], "the line")[0]
        server.events.append({"kind": "hello", "addresses": [line.split()[5]]})
        assert server.text() == f"here {server.process.pid} ['argument']"
        assert server.end(signal.SIGINT) == 0


@pytest.mark.parametrize(("source", "text"), [
    (native(options="worker_num=2, json=True"), "here"), (HIDDEN, "hidden"), (ASGI, "asgi"),
], ids=["native", "hidden", "asgi"])
def test_several_workers_run_the_script_again(tmp_path, source, text):
    _, server = script(tmp_path, source, "argument")
    with server:
        found = server.text()
        assert found.startswith(text)
        if text == "here":
            assert found.endswith("['argument']")
            assert int(found.split()[1]) in server.workers.values()
        assert len(server.workers) == 2
        assert server.end() == 0


def test_a_script_reloads_itself(tmp_path):
    path, server = script(tmp_path, native("one", "reload=True, json=True"))
    with server:
        assert server.text().startswith("one")
        path.write_text(native("two", "reload=True, json=True"))
        wait_until(lambda: server.text().startswith("two"), "the new text")


def test_addresses_of_the_application_are_bound_beside(tmp_path):
    (tmp_path / "shop.py").write_text(native().replace(
        "if __name__", "app.listen(str('web.sock'))\nif __name__"))
    with Server(tmp_path, "dev", "shop:app", "--port", "0") as server:
        assert server.text().startswith("here")
        status = server.status()
        assert status["addresses"] == [server.address, "unix:web.sock"]
        (tmp_path / "shop.py").write_text(native("two").replace(
            "if __name__", "app.listen(str('web.sock'))\nif __name__"))
        server.wait_for("reload", gen=2, state="ready")
        assert server.text().startswith("two")
