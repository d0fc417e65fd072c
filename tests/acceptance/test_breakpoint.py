"""`breakpoint()` under the dashboard: the debugger gets the terminal, and gives it back."""

import threading

import pytest

pytest.importorskip("textual")
pytest.importorskip("pyte")

from tests.acceptance.test_terminal import dashboard, get
from tests.support.processes import hello

STOPPING = hello("x").replace(
    "    await send({\"type\": \"http.response.start\"",
    "    total = [41]\n"
    "    if scope['path'] == '/stop': breakpoint()\n"
    "    await send({\"type\": \"http.response.start\"", 1).replace(
        'b"x"', "str(total[0]).encode()")


def ask(port):
    answers = []
    thread = threading.Thread(target=lambda: answers.append(get(port, "/stop")), daemon=True)
    thread.start()
    return thread, answers


def test_a_breakpoint_gets_the_terminal_and_continue_brings_the_dashboard_back(tmp_path):
    with dashboard(tmp_path, STOPPING) as (terminal, port):
        for total in (42, 43):
            thread, answers = ask(port)
            terminal.expect("breakpoint at app.py:10 in app", "(tremolo)", within=10)
            terminal.press("total[0] + 100\r")
            terminal.expect("141", "(tremolo)")
            terminal.press(f"total[0] = {total}\r", "c\r")
            terminal.expect("TREMOLO", "the program goes on", "/stop")
            thread.join(10)
            assert answers == [(200, str(total).encode())]
        terminal.press("q")
        assert terminal.wait(10) == 0


def test_ctrl_c_in_the_debugger_ends_neither_the_server_nor_the_dashboard(tmp_path):
    with dashboard(tmp_path, STOPPING) as (terminal, port):
        thread, answers = ask(port)
        terminal.expect("(tremolo)", within=10)
        terminal.press("\x03")
        terminal.expect("TREMOLO", "/stop")
        thread.join(10)
        assert answers == [(200, b"41")]
        assert get(port) == (200, b"41")


def test_who_is_typing_is_not_interrupted(tmp_path):
    with dashboard(tmp_path, STOPPING) as (terminal, port):
        terminal.press("/", "abc")
        thread, answers = ask(port)
        terminal.expect("D is the debugger", within=10)
        assert "(tremolo)" not in terminal.screen
        terminal.press("\x1b")
        terminal.expect_not("abc")
        terminal.press("D")
        terminal.expect("(tremolo)")
        terminal.press("c\r")
        terminal.expect("the program goes on")
        thread.join(10)
        assert answers == [(200, b"41")]
        terminal.press("D")
        terminal.expect("no breakpoint waits")
