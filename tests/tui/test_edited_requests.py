"""A request that is changed in the editor and sent: once, and nothing of it stays behind."""

import asyncio
import contextlib
import os
import stat
import sys

import pytest

pytest.importorskip("textual")

from tests.support.dashboard_driver import LARGE, SMALL, dashboard, drive, rows, server
from tests.support.feed_player import message
from tui.outside import waiting_command

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
POST = {"method": "POST", "path": "/cart", "route": "/cart", "status": 200, "error": None,
        "request": message([("Host", "x"), ("Authorization", "Bearer abcdef")],
                           b'{"qty":2,"password":"hunter2"}')}


def at(size, function):
    async def main():
        async with dashboard(size) as d:
            await function(d)
    asyncio.run(main())


EDITOR = """
import os, sys
path = sys.argv[-1]
with open({log!r}, "w") as log:
    print(path, oct(os.stat(path).st_mode), oct(os.stat(os.path.dirname(path)).st_mode), file=log)
data = open(path, "rb").read()
open(path + "~", "wb").write(data)
data = data.replace({old!r}, {new!r}) + {more!r}
open(path, "wb").write(data)
sys.exit({code})
"""


@contextlib.contextmanager
def editor(tmp_path, monkeypatch, old=b"", new=b"", more=b"", code=0):
    """An editor that replaces `old`; gives a function that tells what it saw."""
    script, log = tmp_path / "editor.py", tmp_path / "log"
    script.write_text(EDITOR.format(log=str(log), old=old or b"\0", new=new, more=more,
                                    code=code))
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", f"{sys.executable} {script}")
    yield lambda: log.read_text().split()


async def press_edit(d, *keys):
    d.app.suspend = contextlib.nullcontext  # there is no terminal to lend
    await d.press(*(keys or ("up", "E")))


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "160x48"])
def test_an_edited_request_is_sent_and_nothing_of_it_stays(size, tmp_path, monkeypatch):
    async def run(d):
        async with server() as (address, requests):
            d.app.session.addresses = [address]
            await d.say(rows(d.player, 1, **POST))
            await press_edit(d)
            await d.until(lambda: "→ 200" in d.app.session.notices.newest.text)
        assert requests[0][1] == b'{"qty":1000,"password":"hunter2"}'
        assert b"Content-Length: 33\r\n" in requests[0][0] and b"abcdef" in requests[0][0]

    with editor(tmp_path, monkeypatch, b'"qty":2', b'"qty":1000', b"\n") as seen:
        at(size, run)
    path, mode, folder = seen()
    assert stat.S_IMODE(int(mode, 8)) == 0o600 and stat.S_IMODE(int(folder, 8)) == 0o700
    assert not os.path.exists(os.path.dirname(path))


@pytest.mark.parametrize("change, words", [
    ({}, "it was not changed; nothing was sent"), ({"more": b"\n"}, "not changed"),
    ({"old": b"Authorization:", "new": b"Authorization"}, "line 2: a header is written as"),
    ({"old": b"POST /cart", "new": b"POST cart"}, "line 1: the target has to"),
    ({"old": b"qty", "new": b"x", "code": 3}, "ended with 3; nothing was sent"),
], ids=["unchanged", "a line end", "header", "target", "failed"])
def test_otherwise_nothing_is_sent_and_the_reason_told(change, words, tmp_path, monkeypatch):
    async def run(d):
        await d.say(rows(d.player, 1, **POST))
        await press_edit(d, "up", "enter", "enter", "E")
        assert words in d.text() and not d.app.replays.running

    with editor(tmp_path, monkeypatch, **change):
        at(SMALL, run)


@drive(SMALL)
async def test_a_binary_body_is_not_edited(d):
    await d.say(rows(d.player, 1, **{**POST, "request": message([], b"\xff\0")}))
    await press_edit(d)
    assert "binary and cannot be edited" in d.text()


@pytest.mark.parametrize("command, words", [
    ("/no/such/editor", "No such file"), ("vi 'open", "EDITOR is no command")])
def test_an_editor_that_cannot_run_is_told(command, words, monkeypatch):
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", command)

    async def run(d):
        await d.say(rows(d.player, 1, **POST))
        await press_edit(d)
        assert words in d.text()
        d.app.session.errors.items.clear()
        await d.say(d.player.error(file=__file__, line=1))
        await d.press("e")
        assert words in d.text()
    at(LARGE, run)


def test_without_a_terminal_to_lend_it_says_so():
    async def run(d):
        await d.say(rows(d.player, 1, **POST))
        await d.press("up", "E")
        assert "cannot be lent" in d.text()
    at(LARGE, run)


@pytest.mark.parametrize("editor_, command", [
    ("vim", ["vim", "/f"]), ("code", ["code", "--wait", "/f"]), ("code -w", ["code", "-w", "/f"]),
    ("/usr/bin/subl -n", ["/usr/bin/subl", "--wait", "-n", "/f"]), ("hx", ["hx", "/f"])])
def test_editors_that_detach_are_told_to_wait(editor_, command):
    assert waiting_command(editor_, "/f") == command


def test_the_terminal_is_lent_to_the_editor_and_comes_back(tmp_path, monkeypatch):
    terminal = pytest.importorskip("tests.support.terminal", reason="pyte is not there")
    (tmp_path / "edit").write_text(
        "#!/bin/sh\nprintf 'in the editor; any line ends it'; read line; echo nonsense > $1\n")
    (tmp_path / "edit").chmod(0o700)
    monkeypatch.setenv("EDITOR", str(tmp_path / "edit"))
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    player = [sys.executable, "-m", "tests.support.feed_player", "--scene", "still"]
    with terminal.Terminal(player, cwd=ROOT) as t:
        t.expect("FOLLOW", "GET", within=20)
        t.press("k", "E")
        t.expect("in the editor")
        t.press("\r")
        t.expect("line 1: expected a method, a target and HTTP/1.1; nothing was sent", "Traffic")
