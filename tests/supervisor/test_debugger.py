"""`breakpoint()` in a worker whose terminal is somebody else's."""

import subprocess
import sys

import pytest

from tests.supervisor.test_processes import in_background
from tests.support.processes import Server, hello, wait_until

STOPPING = hello("x").replace(
    "    await send({\"type\": \"http.response.start\"",
    "    total = [41]\n"
    "    if scope['path'] == '/stop': breakpoint()\n"
    "    if scope['path'] == '/ask': input()\n"
    "    if scope['path'] == '/pdb': import pdb; pdb.set_trace()\n"
    "    await send({\"type\": \"http.response.start\"").replace(
        'b"x"', "str(total[0]).encode()")


def notes(server):
    return [event["text"] for event in server.find("log", stream="tremolo")]


#: pdb stops where it is called since Python 3.13, before that at the next line
STOPPED = 12 if sys.version_info >= (3, 13) else 13


@pytest.mark.parametrize("path, place", [
    ("/stop", "shop.py:10 in app"), ("/pdb", f"shop.py:{STOPPED} in app")])
def test_a_breakpoint_waits_for_the_debugger_in_another_terminal(tmp_path, path, place):
    (tmp_path / "shop.py").write_text(STOPPING)
    with Server(tmp_path, "dev", "shop:app", "--port", "0") as server:
        assert server.text() == "41"
        thread, answers = in_background(lambda: server.get(path))
        wait_until(lambda: any(f"breakpoint at {place}: " in text for text in notes(server)),
                   "the note")
        done = subprocess.run(
            [sys.executable, "-m", "tremolo", "debug"], env=server.environ, text=True,
            input="p 'total is', total\ntotal[0] += 1\np 'now', total\nc\n",
            capture_output=True, timeout=15)
        thread.join(15)
        assert done.returncode == 0, done.stderr
        assert "(tremolo) ('total is', [41])" in done.stdout
        assert "('now', [42])" in done.stdout  # lines that are there at once are all taken
        assert answers == [(200, b"42")]
        assert server.text() == "41"
        again = subprocess.run([sys.executable, "-m", "tremolo", "debug"], env=server.environ,
                               text=True, capture_output=True, timeout=15)
        assert (again.returncode, again.stderr) == (1, "no breakpoint waits\n")


def test_a_debugger_that_leaves_lets_the_program_go_on(tmp_path):
    (tmp_path / "shop.py").write_text(STOPPING)
    with Server(tmp_path, "dev", "shop:app", "--port", "0") as server:
        assert server.text() == "41"
        thread, answers = in_background(lambda: server.get("/stop"))
        wait_until(lambda: any("breakpoint at" in text for text in notes(server)), "the note")
        subprocess.run([sys.executable, "-m", "tremolo", "debug"], env=server.environ,
                       stdin=subprocess.DEVNULL, capture_output=True, timeout=15, check=True)
        thread.join(15)
        assert answers == [(200, b"41")]


def test_reading_the_terminal_says_what_to_do_instead(tmp_path):
    (tmp_path / "shop.py").write_text(STOPPING)
    with Server(tmp_path, "dev", "shop:app", "--port", "0") as server:
        assert server.get("/ask")[0] == 500
        note = wait_until(lambda: [text for text in notes(server) if "shop.py:11" in text],
                          "the note")[0]
        assert "breakpoint()" in note
        assert "--plain" in note
        assert server.wait_for("error", type="EOFError")["where"] == "request"
        assert server.status()["gen"] == 1
