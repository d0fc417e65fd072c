"""Tremolo's own colours, dark and light, and the tones that every theme gets.

Each meaning has one tone, and each tone one meaning: `brand` is our name; `key` a key to press;
`link` an address; `query` what was chosen by the user (filter, sort, pins, marks); `stream` what
goes on for long (WebSockets, events); `ok`, `moved`, `refused` and `failed` are the classes of
answers; `slowed` is the throttle, `late` what took unusually long.
"""

from typing import Dict, Mapping

from textual.color import Color, ColorParseError
from textual.theme import Theme

TREMOLO = Theme(
    name="tremolo",
    primary="#7aa2f7",
    secondary="#6fc3d0",
    accent="#e0af68",
    warning="#ff9e64",
    error="#f7768e",
    success="#8fc98f",
    foreground="#cdd3de",
    background="#14171d",
    surface="#1c2029",
    panel="#252a35",
    dark=True,
    variables={"query": "#bb9af7", "refused": "#e6d07a", "moved": "#7f9dc4",
               "key": "#9ec1ff"},
)

LIGHT = Theme(
    name="tremolo-light",
    primary="#2558b8",
    secondary="#0b6f7c",
    accent="#8f5a00",
    warning="#a8430a",
    error="#bd1e45",
    success="#24702a",
    foreground="#23272f",
    background="#fbfaf7",
    surface="#efede7",
    panel="#e4e1d9",
    dark=False,
    variables={"query": "#6d37bd", "refused": "#7d6000", "moved": "#4a6285",
               "key": "#1c4a9e"},
)


def preferred(environ: Mapping[str, str]) -> str:
    """The theme for a terminal that says what its background is (COLORFGBG): light or dark."""
    background = environ.get("COLORFGBG", "").rpartition(";")[2]
    return LIGHT.name if background in ("7", "15") else TREMOLO.name


def tones(variables: Dict[str, str]) -> Dict[str, str]:
    """Solid colours between foreground and background (`muted`, `faint`, `cursor`), and the
    tones that a theme does not define itself."""
    own = {"query": variables.get("accent", ""), "refused": variables.get("warning", ""),
           "moved": variables.get("secondary", ""), "key": variables.get("primary", "")}
    missing = {name: value for name, value in own.items() if name not in variables}
    return {**_blends(variables), **missing}


def _blends(variables: Dict[str, str]) -> Dict[str, str]:
    foreground, background = variables.get("foreground", ""), variables.get("background", "")
    try:
        front, back = Color.parse(foreground), Color.parse(background)
    except ColorParseError:  # a colour of the terminal's own has no value to blend
        return _TERMINAL
    if foreground.startswith("ansi") or background.startswith("ansi") or (
            front.ansi is not None or back.ansi is not None):
        return _TERMINAL
    light = back.brightness > 0.5  # there the same share of the foreground is seen less well
    return {
        "muted": back.blend(front, 0.70 if light else 0.60).hex6,
        "faint": back.blend(front, 0.34 if light else 0.28).hex6,
        "cursor": back.blend(front, 0.13 if light else 0.17).hex6,
    }


_TERMINAL = {"muted": "ansi_bright_black", "faint": "ansi_bright_black",
             "cursor": "ansi_bright_black"}
