"""In which colours lines are drawn, and what that costs."""

import asyncio

import pytest

pytest.importorskip("textual")

from textual.css.stylesheet import Stylesheet
from textual.filter import ANSIToTruecolor

from tests.support.dashboard_driver import SMALL, dashboard, drive, rows


def colours(d):
    """Of all that is on the screen."""
    return {colour for strip in d.app.screen._compositor.render_strips() for segment in strip
            if segment.style for colour in (segment.style.color, segment.style.bgcolor) if colour}


@drive(SMALL)
async def test_lines_of_our_own_are_not_searched_for_colours_of_the_terminal(d):
    looked, apply = [], ANSIToTruecolor.apply

    def counted(self, segments, background):
        looked.extend(segment.text for segment in segments if segment.text.strip())
        return apply(self, segments, background)

    try:
        ANSIToTruecolor.apply = counted
        await d.say(rows(d.player, 40))
        await d.press("2", "3", "6", "7", "1")
    finally:
        ANSIToTruecolor.apply = apply
    assert not looked
    assert all(colour.triplet is not None for colour in colours(d))


@drive(SMALL)
async def test_what_a_program_coloured_gets_the_colours_of_the_theme(d):
    await d.say({"kind": "log", "v": 1, "t": 1.0, "pid": 4711, "gen": 14, "stream": "stdout",
                 "name": "", "level": "info", "text": "\x1b[31mred\x1b[0m and \x1b[2mdim\x1b[0m"})
    await d.press("4")
    assert "red and dim" in d.text()
    assert all(colour.triplet is not None for colour in colours(d))


@drive(SMALL)
async def test_a_theme_of_the_terminals_own_colours_keeps_them(d):
    await d.say(rows(d.player, 3))
    assert d.app.palette.exact
    d.app.theme = "ansi-dark" if "ansi-dark" in d.app.available_themes else "textual-ansi"
    await d.pilot.pause()
    assert not d.app.palette.exact
    assert d.app.traffic.style("dim").color.triplet is None
    d.app.theme = "tremolo-light"
    await d.pilot.pause()
    assert d.app.palette.exact and d.app.traffic.style("dim").color.triplet is not None


@pytest.mark.parametrize("theme", ["tremolo", "tremolo-light"])
def test_styles_are_read_once_for_the_theme_that_it_begins_with(monkeypatch, theme):
    passes, parse = [], Stylesheet.reparse
    monkeypatch.setattr(Stylesheet, "reparse", lambda self: passes.append(1) or parse(self))
    monkeypatch.setenv("TEXTUAL_THEME", theme)

    async def main():
        async with dashboard(SMALL) as d:
            ground = d.app.get_css_variables()["background"]
            assert d.app.theme == theme and not passes
            assert d.app.screen.background_colors[1].hex.lower() == ground.lower()
            d.app.theme = "nord"
            await d.pilot.pause()
            assert len(passes) == 1
            assert d.app.screen.background_colors[1].hex.lower() != ground.lower()
    asyncio.run(main())
