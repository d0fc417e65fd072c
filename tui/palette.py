"""What the command palette offers: what the focused pane and the app do, with their keys; then
panes, throttles, and the look."""

from typing import Any, Callable, Iterator, List, NamedTuple, cast

from rich.text import Text
from textual.binding import Binding
from textual.command import DiscoveryHit, Hit, Hits, Provider

from .draw import right
from .host import Host
from .key_words import words_of
from .model import throttling
from .panes.lines import LinePane

NAME, KEY = 44, 12  # cells, of the name where there is room for that
AROUND = 10  # cells of the page beside those
LEFT_OUT = ("move.", "app.palette", "app.back")  # that need no name


class Offer(NamedTuple):
    name: str
    key: str
    act: Callable[[], Any]

    def line(self, name: Text, across: int) -> Text:
        """The name, and the key at the right, on a screen that is `across` cells wide."""
        room = max(8, min(NAME, across - KEY - AROUND))
        name.truncate(room, overflow="ellipsis", pad=True)
        return Text.assemble(name, (right(self.key, KEY), "dim"))


class DashboardCommands(Provider):
    def _offers(self) -> Iterator[Offer]:
        app = cast(Host, self.app)
        seen: List[str] = []
        for binding, act in self._bound():
            words = words_of(binding)
            words = words[:1].upper() + words[1:]
            if words.lower() not in seen:
                seen.append(words.lower())
                yield Offer(words, app.get_key_display(binding), act)
        for number, title in app.pane_titles():
            yield Offer(f"Show {title}", str(number),
                        lambda number=number: app.action_pane(number))  # type: ignore[misc]
        for name in throttling.preset_names():
            yield Offer(f"Throttle everything: {throttling.label_of(name)}", "",
                        lambda name=name: app.throttle_all(name))  # type: ignore[misc]
        yield Offer("Stop the server", "q q", app.action_leave)
        yield Offer("Theme: dark, light and others", "", self.app.action_change_theme)
        yield Offer("Picture of the screen, as SVG", "", app.action_picture)

    def _bound(self) -> Iterator[Any]:
        """The bindings of the pane that has the focus, then the app's, and what they do."""
        pane = self.screen.focused
        for owner in (pane, self.app):
            if not isinstance(owner, LinePane) and owner is not self.app:
                continue
            for binding in type(owner).__dict__.get("BINDINGS", ()):
                if isinstance(binding, Binding) and binding.id and not binding.id.startswith(
                        LEFT_OUT):
                    yield binding, self._runs(owner, binding.action)

    def _runs(self, owner: Any, action: str) -> Callable[[], Any]:
        async def run() -> None:
            await self.app.run_action(action, owner)
        return run

    async def discover(self) -> Hits:
        for offer in self._offers():
            line = offer.line(Text(offer.name), self.app.size.width)
            yield DiscoveryHit(line, offer.act, text=offer.name)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for offer in self._offers():
            score = matcher.match(offer.name)
            if score > 0:
                yield Hit(score, offer.line(Text(offer.name), self.app.size.width), offer.act,
                          text=offer.name)
