"""What there is on the screen, and how much of it fits: the panes by number, and the modes.

tiny: one pane and the news. narrow: one pane, the detail below it. medium: one pane, the
detail beside it. overview: everything at once. Knows no Textual.
"""

from typing import Any, Iterator, Mapping, Tuple

NAMES = {1: "traffic", 2: "routes", 3: "connections", 4: "log", 5: "errors", 6: "workers",
         7: "throttle"}
TITLES = {1: "Traffic", 2: "Routes", 3: "Connections", 4: "Log", 5: "Errors", 6: "Workers",
          7: "Throttle"}
SHORT = {1: "Traf", 2: "Rout", 3: "Conn", 4: "Log", 5: "Err", 6: "Work", 7: "Thro"}
MODES = ("tiny", "narrow", "medium", "overview")
OVERVIEW = ("traffic", "routes", "log", "throttle", "workers")
STRIPS = (("throttle", 7), ("workers", 6))  # and their lines when they are opened
LOW = 20  # lines, below which a detail gets more than half of them
LOWER = 10  # lines of routes and log in the overview
WIDE_TABS = 90  # columns, from which on names are whole and further apart
SHORT_TABS = 76  # and below which they would not fit


def mode_for(width: int, height: int) -> str:
    if width < 60 or height < 16:
        return "tiny"
    if width < 100:
        return "narrow"
    if width < 140 or height < 40:
        return "medium"
    return "overview"


def tab_labels(width: int) -> Iterator[Tuple[int, str]]:
    """Number and name of each pane, as the row of tabs has them."""
    for number, name in (SHORT if width < SHORT_TABS else TITLES).items():
        yield number, name if width >= WIDE_TABS or name != "Connections" else "Conns"


def active_of(saved: Mapping[str, Any], otherwise: int = 1) -> int:
    """The number of the pane that a saved layout begins with."""
    active = saved.get("active")
    return active if isinstance(active, int) and active in NAMES else otherwise


def alone_of(saved: Mapping[str, Any], mode: str) -> bool:
    """Whether that pane stands alone where there is room for all."""
    return saved.get("alone") is True and mode == "overview"
