"""Tremolo's own colours, and the blends that every theme gets."""

from typing import Dict

from textual.color import Color, ColorParseError
from textual.theme import Theme

TREMOLO = Theme(
    name="tremolo",
    primary="#7aa2c8",
    secondary="#6c9fd2",
    accent="#e0af68",
    warning="#ff9e64",
    error="#f7768e",
    success="#7fbf7f",
    foreground="#cdd3de",
    background="#14171d",
    surface="#1c2029",
    panel="#252a35",
    dark=True,
)


def blends(variables: Dict[str, str]) -> Dict[str, str]:
    """Solid colours between foreground and background: `muted`, `faint`, `cursor`."""
    foreground, background = variables.get("foreground", ""), variables.get("background", "")
    try:
        front, back = Color.parse(foreground), Color.parse(background)
    except ColorParseError:  # a colour of the terminal's own has no value to blend
        return _TERMINAL
    if foreground.startswith("ansi") or background.startswith("ansi") or (
            front.ansi is not None or back.ansi is not None):
        return _TERMINAL
    return {
        "muted": back.blend(front, 0.58).hex6,
        "faint": back.blend(front, 0.28).hex6,
        "cursor": back.blend(front, 0.16).hex6,
    }


_TERMINAL = {"muted": "ansi_bright_black", "faint": "ansi_bright_black",
             "cursor": "ansi_bright_black"}
