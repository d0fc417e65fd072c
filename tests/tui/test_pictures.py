"""The states of the dashboard at three sizes, as they were when somebody last looked at them.

Each is the text of the screen and the tone of each cell, not a picture of one version of Textual.
To accept what has changed, look at `python -m tests.support.pictures FOLDER`, and run the tests
with TREMOLO_ACCEPT=1 in the environment.
"""

import asyncio
import os
import pathlib
import socket
import time
from importlib.util import find_spec

import pytest

pytest.importorskip("textual")

from tests.support.pictures import SIZES, grid, main, playing, states
from tui.panes.exchange_line import columns, head_pieces

FOLDER = pathlib.Path(__file__).parent / "recorded"
ACCEPT = bool(os.environ.get("TREMOLO_ACCEPT"))


@pytest.fixture(autouse=True)
def utc(monkeypatch, tmp_path):
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("COLORTERM", "truecolor")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def recorded(name, size):
    return FOLDER / f"{name}-{size[0]}x{size[1]}.txt"


def taken(size, theme):
    """The grid of each state."""
    found = {}

    async def main():
        async with playing(size, theme) as driver:
            async for name in states(driver):
                found[name] = grid(driver)
    asyncio.run(main())
    return found


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_each_state_looks_as_it_did(size):
    found = taken(size, "tremolo")
    assert len(found) == 10 + (find_spec("PIL") is not None)
    for name, now in found.items():
        path = recorded(name, size)
        if ACCEPT:
            path.write_text(now, encoding="utf-8")
        assert now == path.read_text(encoding="utf-8"), f"{name} looks different"


def test_the_light_theme_has_the_same_tones_in_the_same_places():
    light = taken(SIZES[1], "tremolo-light")
    dark = {name: recorded(name, SIZES[1]).read_text(encoding="utf-8") for name in light}
    assert light == dark and not any("?" in now.split("=" * 20)[1] for now in (
        dark["traffic"], dark["exception"], dark["errors"]))


def test_without_colours_the_screen_says_the_same_in_words_and_marks(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    found = taken(SIZES[2], "tremolo")
    coloured = (FOLDER / "exception-80x24.txt").read_text(encoding="utf-8")
    assert found["exception"].split("=" * 20)[0] == coloured.split("=" * 20)[0]
    assert "✖500" in found["traffic"] and "▲404" in found["traffic"]


@pytest.mark.parametrize("ground", ["background", "surface", "cursor"])
@pytest.mark.parametrize("theme", ["tremolo", "tremolo-light"])
def test_each_tone_is_read_well_on_its_background_and_where_it_is_selected(theme, ground):
    from textual.color import Color

    from tests.support.pictures import LETTERS
    from tui.app import Dashboard

    ours, theirs = socket.socketpair()
    app = Dashboard(ours, {})
    app.theme = theme
    variables = app.get_css_variables()
    back = Color.parse(variables[ground])

    def luminance(colour):
        parts = [value / 255 for value in colour.rgb]
        linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4
                  for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for name in LETTERS:
        if name in ("background", "faint"):
            continue
        low, high = sorted((luminance(Color.parse(variables[name])), luminance(back)))
        assert (high + 0.05) / (low + 0.05) >= 4.5, f"{name} on {theme}"  # WCAG 2, 1.4.3
    ours.close()
    theirs.close()


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.txt")), ids=lambda path: path.stem)
def test_what_is_hardly_seen_is_no_word(path):
    text, tones = path.read_text(encoding="utf-8").split("=" * 20 + "\n")
    hardly = {char for line, letters in zip(text.splitlines(), tones.splitlines())
              for char, letter in zip(line, letters) if letter in ",<"}
    assert not [char for char in hardly if char.isalnum()], hardly


@pytest.mark.parametrize("argv", [["--help"], ["--reedme"], ["--readme", "folder"], [],
                                  ["folder", "--size", "80"]], ids=" ".join)
def test_the_script_writes_nothing_for_what_it_does_not_know(argv, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(argv)
    assert not list(tmp_path.iterdir()) and "usage:" in "".join(capsys.readouterr())


@pytest.mark.parametrize("scale, words", [(0.5, "0.5 ms"), (50, "50 ms"), (1000, "1 s"),
                                          (20_000, "20 s")])
def test_a_scale_is_said_in_the_unit_that_fits(scale, words):
    class Plain:
        def style(self, name):
            return None

    pieces = head_pieces(Plain(), columns(120), scale, "time", False)
    assert pieces[-1][0].startswith("0 ") and pieces[-1][0].endswith(f" {words}")
