"""What a throttle can be for, as the dashboard offers it, shows it, and takes it typed.

Scopes are named as the feed names them: "*", "total", a path pattern, "client:ADDRESS",
"conn:PID:ID".
"""

from typing import Iterable, List, Mapping, Optional, Tuple

from tremolo.throttle import ALL as EVERYTHING
from tremolo.throttle import CLIENT as CLIENT
from tremolo.throttle import InvalidThrottle, Throttle, parse_rule, parse_scope

from .throttling import ALL, PRESETS

Connection = Tuple[int, int]  # pid, number


def label(scope: str) -> str:
    """As it is shown."""
    if scope == ALL:
        return "all"
    if scope.startswith("conn:"):
        return "conn #" + scope.rsplit(":", 1)[-1]
    return scope.replace(CLIENT, "client ")


def choices(route: Optional[str], connection: Optional[Connection], client: str,
            in_force: Mapping[str, Throttle]) -> List[str]:
    """Scopes to choose from: all; of what is selected its route, all below the first part of
    that, its client and its connection; and those in force."""
    found = [ALL]
    if route:
        found.append(route)
        first = route.split("/", 2)[1]
        if route.count("/") > 1 and first and first[:1] not in "{<*":
            found.append(f"/{first}/*")
    if client:
        found.append(CLIENT + client)
    if connection is not None:
        found.append(f"conn:{connection[0]}:{connection[1]}")
    found += list(in_force)
    return list(dict.fromkeys(found))


def host_of(peer: str) -> str:
    """The address in "10.0.0.7:51234" or "[::1]:51234"; "" without one."""
    host, colon, port = peer.rpartition(":")
    return host.strip("[]") if colon and port.isdigit() else ""


def named(text: str, connections: Iterable[Connection]) -> str:
    """The scope that was typed; `#88` is the one of `connections` with that number. Raises
    InvalidThrottle."""
    return _of_feed(parse_scope(text), connections)


def typed(text: str, scope: str, connections: Iterable[Connection]) -> Tuple[str, Throttle]:
    """Scope and throttle of a text as `--throttle` takes it; without a scope in it, it is for
    `scope`. Raises InvalidThrottle."""
    if ":" not in text:
        return scope, Throttle.parse(text, PRESETS)
    found, throttle = parse_rule(text, PRESETS)
    return _of_feed(found, connections), throttle


def _of_feed(scope: str, connections: Iterable[Connection]) -> str:
    if not scope.startswith("#"):
        return ALL if scope == EVERYTHING else scope
    fitting = [pid for pid, number in connections if number == int(scope[1:])]
    if len(fitting) != 1:
        raise InvalidThrottle(f"no connection {scope} is open" if not fitting else
                              f"{len(fitting)} workers have a connection {scope}: conn:PID:ID")
    return f"conn:{fitting[0]}:{scope[1:]}"
