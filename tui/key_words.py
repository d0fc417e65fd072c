"""What keys do, in full: the key bar has room for a word, the help and the palette for more."""

from typing import Dict

from textual.binding import Binding

#: by the id of the binding; of others the description says all
_FULL: Dict[str, str] = {
    "app.filter": "filter requests, or search what has the keys",
    "app.throttle": "throttle: make the network slow",
    "app.reload": "reload the code now",
    "app.pause": "pause: freeze the list, and go on",
    "app.help": "all keys",
    "app.edit": "editor: open the place in it",
    "traffic.open": "inspect: open its detail",
    "traffic.pause": "pause: freeze the list, and go on",
    "traffic.cut": "cut its connection",
    "traffic.replay": "replay: send it again",
    "traffic.pin": "pin: send it again after each reload",
    "traffic.curl": "copy as curl",
    "traffic.mock": "mock: answer in the application's place",
    "traffic.sort": "sort by the next column",
    "traffic.mark": "mark, or no longer",
    "connections.cut": "cut the connection",
    "connections.sort": "sort by the next column",
    "routes.sort": "sort by the next column",
    "routes.only": "list only requests of this route",
    "errors.edit": "editor: open the place in it",
    "errors.fold": "show or hide framework frames",
    "detail.edit": "editor: open the place in it",
    "detail.replay": "replay: send it again",
    "detail.pin": "pin: send it again after each reload",
    "log.level": "level: only lines of the next one and above",
    "log.wrap": "wrap long lines",
    "log.clear": "clear: forget all lines",
    "throttle.scope": "scope: the next of all, routes, clients",
    "throttle.type_scope": "type a scope: /api/*, client:10.0.0.7, #88",
    "throttle.off": "off: no throttle for this scope",
    "workers.open": "inspect: open its detail",
    "workers.restart": "restart: put a new worker in its place",
    "workers.more": "one more worker",
    "workers.less": "one worker less",
}


def words_of(binding: Binding) -> str:
    """Of a binding whose word alone would say little, that and what it means."""
    return _FULL.get(binding.id or "", binding.description)
