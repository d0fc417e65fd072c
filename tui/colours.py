"""Tremolo's own colours, dark and light, as values: the first frame and the themes are made of
them. Knows no Textual."""

from typing import Any, Dict, Mapping

DARK: Dict[str, Any] = {
    "name": "tremolo",
    "primary": "#7aa2f7",
    "secondary": "#6fc3d0",
    "accent": "#e0af68",
    "warning": "#ff9e64",
    "error": "#f7768e",
    "success": "#8fc98f",
    "foreground": "#cdd3de",
    "background": "#14171d",
    "surface": "#1c2029",
    "panel": "#252a35",
    "dark": True,
    "variables": {"query": "#bb9af7", "refused": "#e6d07a", "moved": "#7f9dc4",
                  "key": "#9ec1ff"},
}

LIGHT: Dict[str, Any] = {
    "name": "tremolo-light",
    "primary": "#2558b8",
    "secondary": "#0b6f7c",
    "accent": "#8f5a00",
    "warning": "#a8430a",
    "error": "#bd1e45",
    "success": "#24702a",
    "foreground": "#23272f",
    "background": "#fbfaf7",
    "surface": "#efede7",
    "panel": "#e4e1d9",
    "dark": False,
    "variables": {"query": "#6d37bd", "refused": "#7d6000", "moved": "#4a6285",
                  "key": "#1c4a9e"},
}


def muted_share(light: bool) -> float:
    """Of the foreground, in what is less important; on light ground the same share is seen less
    well."""
    return 0.72 if light else 0.68


def faint_share(light: bool) -> float:
    """Of the foreground, in rules and what else shall hardly be seen; never in words."""
    return 0.34 if light else 0.28


def preferred(environ: Mapping[str, str]) -> str:
    """The theme for a terminal that says what its background is (COLORFGBG): light or dark."""
    background = environ.get("COLORFGBG", "").rpartition(";")[2]
    return str(LIGHT["name"] if background in ("7", "15") else DARK["name"])
