"""What a throttle can be for, as the dashboard offers it and takes it typed."""

from typing import Iterable, List, Mapping, Optional, Tuple

from tremolo.scope import EVERYTHING, InvalidScope, Scope
from tremolo.throttle import Throttle, parse_rule

from .throttling import PRESETS

Connection = Tuple[int, int]  # pid, number


def choices(route: Optional[str], connection: Optional[Connection], client: Optional[Scope],
            in_force: Mapping[Scope, Throttle]) -> List[Scope]:
    """Scopes to choose from: all; of what is selected its route, all below the first part of
    that, its client and its connection; and those in force."""
    found = [EVERYTHING]
    if route:
        found.append(Scope(route))
        first = route.split("/", 2)[1]
        if route.count("/") > 1 and first and first[:1] not in "{<*":
            found.append(Scope(f"/{first}/*"))
    if client is not None:
        found.append(client)
    if connection is not None:
        found.append(Scope.of_connection(*connection))
    found += list(in_force)
    return list(dict.fromkeys(found))


def named(text: str, connections: Iterable[Connection]) -> Scope:
    """The scope that was typed; `#88` is the one of `connections` with that number. Raises
    InvalidScope."""
    return _with_worker(Scope(text), connections)


def typed(text: str, scope: Scope, connections: Iterable[Connection]) -> Tuple[Scope, Throttle]:
    """Scope and throttle of a text as `--throttle` takes it; without a scope in it, it is for
    `scope`. Raises InvalidScope and InvalidThrottle."""
    found, throttle = parse_rule(text, PRESETS, scope)
    return _with_worker(found, connections), throttle


def _with_worker(scope: Scope, connections: Iterable[Connection]) -> Scope:
    if scope.connection is None or scope.connection[0] is not None:
        return scope
    number = scope.connection[1]
    fitting = [Scope.of_connection(*known) for known in connections if known[1] == number]
    if len(fitting) != 1:
        raise InvalidScope(f"no connection {scope} is open" if not fitting else
                           f"{scope} is of which worker: {' or '.join(fitting[:4])}?")
    return fitting[0]
