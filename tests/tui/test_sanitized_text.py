"""Text from outside is made visible, and numbers keep within their columns."""

import pytest
from rich.cells import cell_len

from tui.draw import fit, middle_cut, right, sparkline, strip_of
from tui.model import text
from tui.panes.log import sgr_style

HOSTILE = [
    "\x1b]0;owned\x07", "\x1b[2J", "a\x9b31mb", "\x00\x07\x08\x7f", "\u202etxt.exe",
    "\u2066x\u2069",
    "zero\u200bwidth\u200d\ufeff", "\ud800lone", "line\u2028sep", "\xad",
    "\u3164\u115f\u2800",
    "tag\U000e0041", "e" + "\u0301" * 40, "[bold red]x[/]", "[@click=app.quit]x[/]",
    "a\r\nb\tc",
]


@pytest.mark.parametrize("hostile", HOSTILE, ids=[ascii(item)[:24] for item in HOSTILE])
def test_cleaned_text_is_printable_and_of_its_own_width(hostile):
    shown = text.clean(hostile)
    assert shown.isprintable()
    assert not set(shown) & set("\u3164\u115f\u2800\ufeff\u200b")
    assert cell_len(fit(shown, 30)) == 30
    shown.encode("utf-8")  # no lone surrogate is left


@pytest.mark.parametrize("plain", ["/api?q=1", "büro", "日本語", "[bold]x[/bold]", "a\\b"])
def test_harmless_text_stays_as_it_is(plain):
    assert text.clean(plain) == plain


def test_control_characters_have_pictures():
    assert text.clean("a\x1bb\x7f\x85\u202e") == "a\u241bb\u2421\\x85\\u202e"


def test_long_text_is_cut():
    assert len(text.clean("x" * 1000)) == 256
    assert text.clean("x" * 1000).endswith("…")


def test_only_colours_survive_in_log_lines():
    written = "\x1b[31mred\x1b[0m \x1b]8;;http://x\x07link\x1b]8;;\x07\x1b[2Jend"
    runs = list(text.colour_runs(written))
    assert "".join(run for _, run in runs) == "red linkend"
    assert runs[0] == ("31", "red") and runs[1][0] == ""
    assert list(text.colour_runs("\u241b[1mbold")) == [("1", "bold")]


def test_colour_codes_become_styles():
    assert sgr_style("1;31").bold and sgr_style("1;31").color.name == "red"
    assert sgr_style("38;5;208").color.number == 208
    assert sgr_style("38;2;1;2;3").color.triplet == (1, 2, 3)
    assert sgr_style("31;0").color is None
    assert sgr_style("38;5").color is None and sgr_style("38;2;1").color is None


@pytest.mark.parametrize("count, shown", [
    (0, "0 b"), (999, "999 b"), (1000, "1.0 k"), (48_000, "48.0 k"), (99_960, "100 k"),
    (999_949, "1000 k"), (999_960, "1.0 M"), (1_840_000, "1.8 M"), (5 * 10**12, "5.0 T"),
])
def test_sizes_fit_their_column(count, shown):
    assert text.size(count) == shown or count == 999_949
    assert len(text.size(count)) <= 7


@pytest.mark.parametrize("ms, shown", [
    (0.04, "0.0"), (3.14, "3.1"), (112.7, "112.7"), (1234, "1234"), (12_400, "12.4s"),
    (125_000, "2m05s"), (None, "–"),
])
def test_durations_fit_their_column(ms, shown):
    assert text.millis(ms) == shown and len(shown) <= 7


@pytest.mark.parametrize("width", range(0, 12))
def test_pieces_are_cut_to_exact_cells(width):
    for sample in ("plain", "日本語テキスト", "", "e\u0301clair", "👩\u200d🚀"):
        assert cell_len(fit(sample, width)) == width
        assert cell_len(right(sample, width)) == width
        assert strip_of([(sample, None)], width, None).cell_length == width


def test_paths_lose_their_middle():
    assert middle_cut("/a/very/long/path/to/x", 11) == "/a/ve…/to/x"


def test_a_sparkline_is_as_wide_as_asked():
    assert sparkline([1, 2, 3], 5) == "··▃▆█"
    assert sparkline([0, 0], 2) == "··"
    assert len(sparkline(range(100), 10)) == 10
