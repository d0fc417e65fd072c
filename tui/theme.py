"""The themes of Tremolo's own colours, and the tones that every theme gets.

Each meaning has one tone, and each tone one meaning: `brand` is our name; `key` a key to press;
`link` an address; `query` what was chosen by the user (filter, sort, pins, marks); `stream` what
goes on for long (WebSockets, events); `ok`, `moved`, `refused` and `failed` are the classes of
answers; `slowed` is the throttle, `late` what took unusually long.
"""

from typing import Any, Dict, Optional, Tuple

from rich.style import Style
from textual.app import App
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
        "cursor": back.blend(front, 0.10 if light else 0.13).hex6,
    }


_TERMINAL = {"muted": "ansi_bright_black", "faint": "ansi_bright_black",
             "cursor": "ansi_bright_black"}


#: of lines, by name: the colour of the text, what lies under it, whether it is bold
STYLES: Dict[str, Tuple[Optional[str], Optional[str], bool]] = {
    "text": ("foreground", None, False),
    "strong": ("foreground", None, True),
    "dim": ("muted", None, False),
    "faint": ("faint", None, False),
    "rule": ("faint", None, False),
    "head": ("muted", None, False),
    "title": ("muted", None, True),
    "title-focus": ("foreground", None, True),
    "cursor": (None, "cursor", True),
    "cursor-far": (None, "surface", False),
    "tab": ("background", "foreground", True),
    "brand": ("accent", None, True),
    "key": ("key", None, False),
    "link": ("primary", None, False),
    "query": ("query", None, False),
    "stream": ("secondary", None, False),
    "good": ("success", None, False),
    "moved": ("moved", None, False),
    "refused": ("refused", None, False),
    "warning": ("warning", None, False),
    "error": ("error", None, False),
    "failed": ("error", None, True),
    "second": ("primary", None, False),
    "found": ("background", "query", False),
}


class Palette:
    """The styles of all lines, in the theme that the app has now.

    Not by Textual's own style sheet: it would keep a node for each, and match all rules with all
    of them anew at each change of layout or focus."""

    def __init__(self, app: App[Any]) -> None:
        self._app = app
        self._theme = ""
        self._styles: Dict[str, Style] = {}

    def style(self, name: str) -> Style:
        return self._current()[name]

    @property
    def exact(self) -> bool:
        """Whether no style is of the terminal's own 16 colours."""
        return all(colour.triplet is not None for style in self._current().values()
                   for colour in (style.color, style.bgcolor) if colour is not None)

    def _current(self) -> Dict[str, Style]:
        if self._theme != self._app.theme:
            self._theme = self._app.theme
            variables = self._app.get_css_variables()
            self._styles = {
                name: Style(color=Color.parse(variables[front]).rich_color if front else None,
                            bgcolor=Color.parse(variables[back]).rich_color if back else None,
                            bold=bold or None)
                for name, (front, back, bold) in STYLES.items()}
        return self._styles
