"""What the app's actions ask of the app that they are a part of; types only."""

from typing import Any, Callable, Dict, List, Mapping, Optional, Protocol, Tuple

from textual.screen import Screen
from textual.widget import Widget

from .host import Host
from .layout import Layout
from .panes.detail import DetailPane
from .panes.lines import LinePane
from .panes.throttle import ThrottlePane
from .panes.traffic import TrafficPane
from .replays import Replays


class Acting(Host, Protocol):
    """What the app must bring beside what it is to panes."""

    replays: Replays
    alarms: Dict[str, float]  # when each was raised last
    breakpoints: List[Tuple[int, str]]  # that wait: the process, and where

    @property
    def panes(self) -> Mapping[str, LinePane]: ...

    @property
    def arrangement(self) -> Optional[Layout]: ...

    @property
    def traffic(self) -> TrafficPane: ...

    @property
    def throttle_pane(self) -> ThrottlePane: ...

    @property
    def detail(self) -> DetailPane: ...

    @property
    def busy(self) -> bool: ...

    # -- of Textual's app

    @property
    def focused(self) -> Optional[Widget]: ...

    def push_screen(self, screen: Screen[Any]) -> Any: ...

    def export_screenshot(self) -> str: ...

    def call_later(self, callback: Callable[[], Any]) -> Any: ...

    def notify(self, message: str, *, title: str, severity: Any, timeout: float, markup: bool
               ) -> None: ...

    # -- of the actions themselves

    def action_debug(self) -> None: ...
