"""The themes of Tremolo's own colours, and the tones that every theme gets.

Each meaning has one tone, and each tone one meaning: `brand` is our name; `key` a key to press;
`link` an address; `query` what was chosen by the user (filter, sort, pins, marks); `stream` what
goes on for long (WebSockets, events); `ok`, `moved`, `refused` and `failed` are the classes of
answers; `slowed` is the throttle, `late` what took unusually long.
"""

from typing import Dict

from textual.color import Color, ColorParseError
from textual.theme import Theme

from . import colours

TREMOLO, LIGHT = Theme(**colours.DARK), Theme(**colours.LIGHT)


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
    light = back.brightness > 0.5
    return {
        "muted": back.blend(front, colours.muted_share(light)).hex6,
        "faint": back.blend(front, colours.faint_share(light)).hex6,
        "cursor": back.blend(front, 0.13 if light else 0.17).hex6,
    }


_TERMINAL = {"muted": "ansi_bright_black", "faint": "ansi_bright_black",
             "cursor": "ansi_bright_black"}
