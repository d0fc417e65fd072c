"""What every widget of the dashboard is: lines that it makes itself, in styles by name.

Nothing of Textual's own drawing is needed for that (borders, padding, opacity), and it costs more
than the lines do: strips go to the compositor as they are, and are kept until they are refreshed,
as the compositor asks for those around a change, too.
"""

from typing import TYPE_CHECKING, Any, Dict, List, Optional, cast

from rich.style import Style
from textual.filter import ANSIToTruecolor, LineFilter
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from ..host import Host
from ..model.session import Session

if TYPE_CHECKING:
    from typing_extensions import Self


class Surface(Widget):
    """Asked for its state with `version()` ten times a second at most, and drawn again only when
    that has changed."""

    PERIOD = 0.0  # seconds at least between draws that no key asked for
    COLOURED = False  # text has colours of its own, which may be the terminal's 16

    def __init__(self, session: Session, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.session = session
        self._drawn: Any = None
        self._drawn_at = -1e9
        self._base: Optional[Style] = None
        self._styles_by_name: Dict[str, Style] = {}
        self._kept: Dict[int, Strip] = {}  # lines by row, as long as they stay
        self._kept_for = Size(0, 0)

    # -- what is drawn

    def version(self) -> Any:
        """Equal as long as nothing that is shown has changed."""
        raise NotImplementedError

    def render_line(self, y: int) -> Strip:
        """The line at `y`, exactly as wide as the widget."""
        raise NotImplementedError

    def measure(self) -> None:
        """Called before lines are drawn: what is the same for all of them can be kept."""

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False,
                recompose: bool = False) -> "Self":
        if regions:
            for region in regions:
                for y in region.line_range:
                    self._kept.pop(y, None)
        else:
            self._kept.clear()
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    def render_lines(self, crop: Region) -> List[Strip]:
        size = self.region.size
        if size != self._kept_for:
            self._kept.clear()
            self._kept_for = size
        kept = self._kept
        missing = [y for y in crop.line_range if y not in kept]
        if missing:
            self.measure()
            background, filters = self.background_colors[1], self._needed_filters()
            for y in missing:
                strip = self.render_line(y)
                for line_filter in filters:
                    strip = strip.apply_filter(line_filter, background)
                kept[y] = strip
        strips = [kept[y] for y in crop.line_range]
        if crop.column_span != (0, size.width):
            strips = [strip.crop(*crop.column_span) for strip in strips]
        return strips

    def _needed_filters(self) -> List[LineFilter]:
        """Textual's, but for one that makes exact colours of the terminal's 16 where there are
        none: it would look at each piece of each line."""
        exact = not self.COLOURED and self.host.palette.exact
        return [found for found in self.get_line_filters()
                if not (exact and isinstance(found, ANSIToTruecolor))]

    # -- styles

    @property
    def host(self) -> Host:
        """The app, as panes see it."""
        return cast(Host, self.app)

    def style(self, name: str) -> Style:
        found = self._styles_by_name.get(name)
        if found is None:
            found = self._styles_by_name[name] = self.host.palette.style(name)
        return found

    @property
    def base_style(self) -> Style:
        """What lies under all lines; looking it up walks all ancestors, so it is kept."""
        if self._base is None:
            self._base = self.rich_style
        return self._base

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles_by_name.clear()
        self._kept.clear()
        self._base = None
