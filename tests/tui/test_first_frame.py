"""What is on the terminal before Textual is: it is where the dashboard will have it, takes keys
in silence, and is taken away again, whatever happens."""

import asyncio
import fcntl
import os
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest

pytest.importorskip("textual")
pytest.importorskip("pyte")

import pyte
from rich.color import Color, ColorSystem

from tests.support.dashboard_driver import dashboard
from tests.support.pictures import playing
from tests.support.pictures import shown as shown_by
from tests.support.processes import ROOT
from tests.support.terminal import Terminal
from tui import saved_state
from tui.colours import DARK, LIGHT
from tui.first_frame import FirstFrame, Run, nearest

EXACT = {"COLORTERM": "truecolor", "TERM": "xterm-256color"}
SHOP = {"app": "shop:app"}


@pytest.fixture(autouse=True)
def _state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def drawn(size, info=SHOP, environ=EXACT):
    return FirstFrame(info, environ).rows(*size)


def text_of(row):
    return "".join(run.text for run in row).rstrip()


# -- what is drawn

SIZES = [(160, 48), (163, 51), (140, 40), (120, 36), (100, 30), (80, 24), (60, 16)]
EDGE = {160: 95, 163: 96, 140: 83, 120: None, 100: None, 80: None, 60: None}


def test_all_of_it_stands_where_the_dashboard_has_it():
    async def main():
        async with playing(SIZES[0]) as driver:
            for size in SIZES:
                await driver.pilot.resize_terminal(*size)
                await driver.until(lambda size=size: driver.app.keys.region.bottom_right == size)
                await shown_by(driver)
                compare(size, [line.rstrip() for line in driver.screen()])

    def compare(size, screen):
        rows = [text_of(row) for row in drawn(size)]
        assert len(rows) == len(screen) == size[1]
        assert [rows[0], rows[2]] == [screen[0], screen[2]]
        assert screen[-1].endswith(rows[-1].strip())
        marks = {(x, y) for y, row in enumerate(rows[3:], 3) for x, char in enumerate(row)
                 if char in "│┬" or (char == "─" and not x)}
        assert marks == {(x, y) for y, row in enumerate(screen[3:], 3)
                         for x, char in enumerate(row) if (char == "│" and x == EDGE[size[0]])
                         or char == "┬" or (char == "─" and not x)}

    asyncio.run(main())


@pytest.mark.parametrize("app", ["shop:app", "a.very.long.name:of_an_application" * 3, "",
                                 "shop\x1b[31m:app\u202e"])
def test_no_size_is_too_small_for_it(app):
    for width in [*range(1, 70), 99, 100, 139, 140, 200]:
        for height in (1, 2, 9, 15, 16, 24, 39, 40, 60):
            rows = drawn((width, height), {"app": app})
            assert len(rows) == height
            assert all(len(text_of(row)) <= width for row in rows), (width, height)
            assert all(text_of(row).isprintable() for row in rows)


class LikeXterm(pyte.Screen):
    """The cursor stays upon the last cell of a row that is full, and erasing begins there."""

    def erase_in_line(self, how=0, private=False):
        self.cursor.x = min(self.cursor.x, self.columns - 1)
        super().erase_in_line(how, private)


@pytest.mark.parametrize("size", [(160, 48), (80, 24), (30, 8)])
def test_rows_that_fill_the_screen_have_their_last_cell(monkeypatch, size):
    for name, value in zip(("COLUMNS", "LINES"), size):
        monkeypatch.setenv(name, str(value))
    frame, screen = FirstFrame(SHOP, EXACT), LikeXterm(*size)
    monkeypatch.setattr(frame, "_write", pyte.Stream(screen).feed)
    for _ in range(2):  # the second over what is there
        frame._draw()
        assert [row.rstrip() for row in screen.display] == [text_of(row) for row in drawn(size)]


def test_it_says_nothing_of_a_start_where_nothing_is_started():
    assert "starting" in text_of(drawn((80, 24))[0])
    assert "starting" not in text_of(drawn((80, 24), {"guest": True})[0])
    assert "starting" not in text_of(drawn((40, 10), {"recording": "a.jsonl"})[0])


def codes(info=SHOP, environ=EXACT):
    """The codes of every colour in it."""
    frame = FirstFrame(info, environ)
    return {frame._paint.code(run) for row in frame.rows(160, 48) for run in row}


def ground(values):
    return "48;2;" + ";".join(str(int(values["background"][at:at + 2], 16)) for at in (1, 3, 5))


def test_it_has_the_colours_of_the_theme_that_the_dashboard_will_have(tmp_path):
    assert any(ground(DARK) in code for code in codes())
    light = codes(environ={**EXACT, "COLORFGBG": "0;15"})
    assert any(ground(LIGHT) in code for code in light)
    assert not any(ground(DARK) in code for code in light)
    saved_state.save(str(tmp_path), {"theme": LIGHT["name"]})
    assert codes({**SHOP, "folder": str(tmp_path)}) == light
    saved_state.save(str(tmp_path), {"theme": "nord"})  # which Textual alone knows
    assert not any("48;" in code for code in codes({**SHOP, "folder": str(tmp_path)}))


@pytest.mark.parametrize("environ", [{**EXACT, "NO_COLOR": "1"}, {"TERM": "xterm"}],
                         ids=["NO_COLOR", "few colours"])
def test_without_colours_there_are_none(environ):
    found = {part for code in codes(environ=environ) for part in code[2:-1].split(";")}
    assert found == {"0", "1", "7"}


def test_where_there_are_256_colours_they_are_those_that_textual_takes():
    for values in (DARK, LIGHT):
        shades = [value for value in values.values() if str(value).startswith("#")]
        for value in [*shades, *values["variables"].values()]:
            colour = Color.parse(value)
            red, green, blue = colour.triplet
            assert nearest(red, green, blue) == colour.downgrade(ColorSystem.EIGHT_BIT).number
    code = FirstFrame(SHOP, {"TERM": "xterm-256color"})._paint.code(Run(""))
    assert code == "\x1b[0;38;5;188;48;5;16m"


def test_its_shades_are_those_of_the_dashboard():
    async def main():
        async with dashboard((80, 24)) as driver:
            variables = driver.app.get_css_variables()
            tones = FirstFrame(SHOP, EXACT)._paint._tones
            for name, value in tones.items():
                theirs = Color.parse(variables[name]).triplet
                apart = [abs(a - b) for a, b in zip(Color.parse(value).triplet, theirs)]
                assert max(apart) <= 1, name  # Textual rounds
    asyncio.run(main())


def test_what_was_saved_decides_what_it_looks_like(tmp_path):
    layout = {"active": 4, "alone": True}
    saved_state.save(str(tmp_path), {"layout": layout})
    rows = drawn((160, 48), {**SHOP, "folder": str(tmp_path)})
    assert not any("┬" in text_of(row) for row in rows)
    assert [run.text for run in rows[2] if run.ground] == [" 4 Log "]
    for broken in ({"active": "4"}, {"active": 99, "alone": 1}, [], None):
        saved_state.save(str(tmp_path), {"layout": broken})
        rows = drawn((160, 48), {**SHOP, "folder": str(tmp_path)})
        assert [run.text for run in rows[2] if run.ground] == [" 1 Traffic "]


def test_it_needs_nothing_that_takes_long_to_import():
    program = ("import sys, tui; tui.begin({'app': 'shop:app'}); "
               "print(*sorted({'textual', 'rich', 'asyncio', 'pygments'} & set(sys.modules)))")
    found = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True,
                           text=True, check=True)
    assert found.stdout.split() == []


# -- on a terminal

BEGUN = "import signal, sys, tui; first = tui.begin({'app': 'shop:app'}); "
PLAYED = BEGUN + """
import select
select.select([0], [], [])  # until keys are there
from tests.support import feed_player
run = tui.run
tui.run = lambda sock, info: run(sock, info, first)
sys.exit(feed_player.main(["--scene", "still"]))
"""
UNLOADABLE = """
import sys
sys.modules["textual"] = None
from tremolo.dashboard import _Screen
assert not _Screen({'app': 'shop:app'}).load()
"""


def terminal(program, size=(80, 24), **env):
    return Terminal([sys.executable, "-c", program], *size, cwd=ROOT, env=env)


def modes(shown):
    return termios.tcgetattr(shown._fd)[:4]


@pytest.fixture(scope="module")
def usual():
    """The modes of a terminal that nobody has changed."""
    with terminal("input()") as shown:
        return modes(shown)


@pytest.mark.parametrize("how", ["SIGTERM", "SIGHUP", "SIGINT", "Ctrl+C"])
def test_the_terminal_is_given_back_when_it_ends_early(how, usual):
    with terminal(BEGUN + "signal.pause()") as shown:
        shown.expect("shop:app", "starting")
        if how == "Ctrl+C":
            os.write(shown._fd, b"\x03")
        else:
            os.kill(shown.pid, getattr(signal, how))
        status = shown.wait(10)
        given_back(shown, usual)
    if how in ("SIGTERM", "SIGHUP"):
        assert os.WTERMSIG(status) == getattr(signal, how)
    else:
        assert "KeyboardInterrupt" in shown.screen


def given_back(shown, usual):
    shown.read(0.1)
    assert shown.output.count(b"\x1b[?1049h") == shown.output.count(b"\x1b[?1049l") == 1
    assert shown.output.rindex(b"\x1b[?25h") > shown.output.rindex(b"\x1b[?25l")
    assert shown.output.rindex(b"\x1b[?7h") > shown.output.rindex(b"\x1b[?7l")
    assert modes(shown) == usual


@pytest.mark.parametrize("ending", ["first.close()", "sys.exit(3)", "1 / 0"])
def test_the_terminal_is_given_back_when_nothing_comes_of_it(ending, usual):
    with terminal(BEGUN + ending) as shown:
        shown.wait(10)
        given_back(shown, usual)


def test_the_plain_log_follows_where_textual_cannot_be_had(usual):
    with terminal(UNLOADABLE) as shown:
        assert shown.wait(10) == 0
        given_back(shown, usual)
        after = shown.output.split(b"\x1b[?1049l")[1]
        assert b"there is no dashboard" in after


def test_it_is_drawn_anew_for_another_size():
    with terminal(BEGUN + "\nwhile True: signal.pause()", (160, 48)) as shown:
        shown.expect("shop:app", "q quit")
        shown._screen.resize(20, 60)
        shown._screen.reset()  # what was drawn before counts no more
        fcntl.ioctl(shown._fd, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 60, 0, 0))
        shown.expect("shop:app", "q quit")
        assert shown.screen.splitlines()[19].endswith("? keys q quit")


def test_the_dashboard_draws_over_it_and_gets_the_keys_that_were_typed(usual):
    with terminal(PLAYED, COLORTERM="", COLORFGBG="0;15") as shown:
        shown.expect("shop:app", "starting", "q quit")
        before = {place: cell(shown, *place) for place in ((0, 1), (0, 79), (1, 0), (10, 40),
                                                           (23, 0), (23, 79))}
        os.write(shown._fd, b"7")
        shown.expect("preset", "down", "http://127.0.0.1:8000", within=20)
        assert shown.output.count(b"\x1b[?1049h") == 1, "entered again, which clears"
        assert b"\x1b[2J" not in shown.output
        assert before == {place: cell(shown, *place) for place in before}
        os.write(shown._fd, b"q")
        assert os.waitstatus_to_exitcode(shown.wait(15)) == 0
        given_back(shown, usual)


def cell(shown, y, x):
    """What lies under a cell."""
    return shown._screen.buffer[y][x].bg


def test_a_key_is_not_echoed_and_comes_as_it_was_typed():
    program = BEGUN + "import os; print(*(os.read(0, 1)[0] for _ in (0, 1)), flush=True); input()"
    with terminal(program) as shown:
        shown.expect("q quit")
        seen = len(shown.output)
        os.write(shown._fd, b"\r\x1a")
        deadline = time.monotonic() + 10
        while not shown.output.endswith(b"\n"):
            assert time.monotonic() < deadline, shown.output[seen:]
            shown.read(0.02)
        assert shown.output[seen:] == b"13 26\r\n"


def test_a_refusal_of_the_server_is_said_where_the_user_was(tmp_path, usual):
    (tmp_path / "app.py").write_text("async def app(scope, receive, send): pass\n")
    command = [sys.executable, "-m", "tremolo", "dev", "app:app", "--bind",
               f"unix:{tmp_path}/none/x.sock"]
    with Terminal(command, cwd=tmp_path, env={"PYTHONPATH": ROOT}) as shown:
        assert os.waitstatus_to_exitcode(shown.wait(20)) == 1
        given_back(shown, usual)
        assert b"Cannot listen on unix:" in shown.output.split(b"\x1b[?1049l")[1]
