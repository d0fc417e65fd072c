"""What the command palette offers beside Textual's own: throttles, panes, the server."""

from typing import Any, Callable, Iterator, Tuple, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

from .host import Host
from .model import throttling


class DashboardCommands(Provider):
    def _offers(self) -> Iterator[Tuple[str, str, Callable[[], Any]]]:
        app = cast(Host, self.app)
        for name in throttling.preset_names():
            yield (f"Throttle: {throttling.label_of(name)}", "everything, at once",
                   lambda name=name: app.throttle_all(name))  # type: ignore[misc]
        for number, title in app.pane_titles():
            yield (f"Show {title}", f"key {number}",
                   lambda number=number: app.action_pane(number))  # type: ignore[misc]
        yield "Reload now", "start a new generation", app.action_reload
        yield "Pause the view", "collection goes on", app.action_pause
        yield "Plain log", "on the normal screen", app.action_plain
        yield "Open in the browser", "the server's address", app.action_open_url
        yield "Stop the server", "finish what runs, then end", app.action_leave

    async def discover(self) -> Hits:
        for title, words, action in self._offers():
            yield DiscoveryHit(title, action, help=words)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for title, words, action in self._offers():
            score = matcher.match(title)
            if score > 0:
                yield Hit(score, matcher.highlight(title), action, help=words)
