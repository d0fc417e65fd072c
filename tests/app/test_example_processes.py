"""Each example starts as a process in both ways: `tremolo dev NAME.py` and `python3 NAME.py`."""

import http.client
import re
from pathlib import Path

import pytest

from tests.support.processes import ROOT, Server, wait_until

EXAMPLES = sorted(Path(ROOT, "examples").glob("*.py"))
#: what to ask for where `/` is nothing
TARGETS = {"class_views": ("/notes/x", 404)}

# Runs a script as `python3 SCRIPT` does, but for the port, which is the system's choice.
SCRIPT = """
import runpy, sys, tremolo
run, run_asgi = tremolo.Tremolo.run, tremolo.run

def run_anywhere(app, host=None, port=0, **options):
    run(app, host, 0, **options)

def run_asgi_anywhere(app, **options):
    run_asgi(app, **{**options, "port": 0})

tremolo.Tremolo.run, tremolo.run = run_anywhere, run_asgi_anywhere
sys.argv[:] = sys.argv[1:]
sys.path[0] = ""
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def ask(port, target):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
    try:
        connection.request("GET", target)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_under_tremolo_dev(path, tmp_path):
    target, status = TARGETS.get(path.stem, ("/", 200))
    with Server(tmp_path, "dev", str(path), "--port", "0", TMPDIR=str(tmp_path)) as server:
        server.wait_for("worker", state="serving")
        assert server.get(target)[0] == status
        assert server.end() == 0


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_as_a_script(path, tmp_path):
    target, status = TARGETS.get(path.stem, ("/", 200))
    script = tmp_path / "anywhere.py"
    script.write_text(SCRIPT)
    with Server(tmp_path, script=[script, path], json=False, TMPDIR=str(tmp_path)) as server:
        def port():
            assert server.process.poll() is None, server.said()
            return re.search(r"http://127\.0\.0\.1:(\d+)", "".join(server.errors))

        found = wait_until(port, "its address")
        assert ask(int(found[1]), target)[0] == status
        assert server.end() == 0
