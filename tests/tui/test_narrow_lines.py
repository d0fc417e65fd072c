"""Lines where there is hardly room for them: nothing runs together, and nothing hangs."""

import asyncio
import re

import pytest

pytest.importorskip("textual")

from rich.cells import cell_len

from tests.support.dashboard_driver import dashboard, drive, rows
from tests.support.feed_player import message
from tui.draw import wrapped_pieces
from tui.plot import time_axis


@pytest.mark.parametrize("width", [-5, 0, 1, 2, 3, 7])
@pytest.mark.parametrize("indent", [0, 9])
def test_pieces_are_wrapped_in_any_width(width, indent):
    lines = wrapped_pieces([("ab 木木 cd", None), ("efg", None)], width, indent)
    assert "".join(part for line in lines for part, _ in line).replace(" ", "") == "ab木木cdefg"
    assert all(sum(cell_len(part) for part, _ in line) <= max(2, width, indent + 2)
               for line in lines)


@pytest.mark.parametrize("cells", range(16, 60))
def test_words_of_a_time_axis_stand_apart(cells):
    axis = time_axis(cells)
    assert len(axis) == cells and re.fullmatch(r"60 s ago( {3,}30 s)? {3,}now", axis)


@pytest.mark.parametrize("width", range(60, 100, 4))
def test_the_throttle_in_the_head_keeps_its_distance(width):
    async def main():
        async with dashboard((width, 16)) as d:
            await d.say(d.player.reload("started"), d.player.reload("failed"))
            await d.press("t", "right")
            await d.obey()
            await d.press("escape")
            assert " ▼ Offline" in d.screen()[0], d.screen()[0]
    asyncio.run(main())


@drive((100, 30))
async def test_a_media_type_that_does_not_fit_is_said_by_its_name(d):
    body = message([("Content-Type", "application/json")], b'{"id": 7}')
    await d.say(rows(d.player, 1, method="GET", status=200, response=body))
    await d.press("1", "up", "enter")
    heading = next(line for line in d.screen() if "Response body" in line)
    assert " json · 9 b" in heading and "…" not in heading


def test_a_piece_that_does_not_fit_begins_a_line_of_its_own_where_that_loses_little():
    lines = wrapped_pieces([("0.1 ", None), ("select name from items ", None),
                            ("(1,) (2,) (3,)", None)], 30, 4)
    assert ["".join(part for part, _ in line) for line in lines] == [
        "0.1 select name from items ", "    (1,) (2,) (3,)"]
    lines = wrapped_pieces([("200 in 180.7 ms", None), ("  36 b more", None)], 20, 4)
    assert ["".join(part for part, _ in line) for line in lines] == [
        "200 in 180.7 ms  36 ", "    b more"]
    lines = wrapped_pieces([("ab ", None), ("cdefghijklmnop", None)], 10, 4)  # loses more
    assert "".join(part for part, _ in lines[0]) == "ab cdefghi"
