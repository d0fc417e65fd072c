"""What viewers filter by, for `Recent`: among more exchanges than can be shown, those that they
look for are chosen before others.

A filter is judged by what is known and costs little: as an exchange begins by its method, its
path and its client, else as it ends by its status, its time and its sizes. Terms that need more,
such as words in header fields, bodies and routes, are left to whoever is shown it.
"""

import os
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Sequence, Tuple
from urllib.parse import unquote

from ..exceptions import CommandError
from ..net.sought import Sought
from ..telemetry.filters import BEGUN, ENDED, FilterError, Part, compile_part
from ..telemetry.sanitize import clean
from .connection_rows import shown_peer
from .pages import PREFIX

if TYPE_CHECKING:
    from ..net.exchange import Exchange

MOST = 4  # filters
LONGEST = 2000  # characters of one
#: keys of terms that the method and the target of a request alone decide
OF_HEAD = {"path", "m"}
MAX_JUDGED = 2000  # methods and targets of which the judgement is remembered


class Seen:
    """An exchange as filters see it, as far as they ask."""

    __slots__ = ("_exchange", "_seconds")

    def __init__(self, exchange: "Exchange", seconds: float = 0.0) -> None:
        self._exchange = exchange
        self._seconds = seconds

    @property
    def method(self) -> str:
        return clean(self._exchange.head.method, 16)

    @property
    def path(self) -> str:
        return clean(self._exchange.head.target)

    @property
    def shown_path(self) -> str:
        return unquote(self.path)

    @property
    def peer(self) -> str:
        return shown_peer(self._exchange.connection.peer)

    @property
    def conn(self) -> int:
        return self._exchange.connection.id

    @property
    def pid(self) -> int:
        return os.getpid()

    @property
    def status(self) -> int:
        return self._exchange.response.status

    @property
    def bytes_in(self) -> int:
        return self._exchange.bytes_in

    @property
    def bytes_out(self) -> int:
        return self._exchange.response.bytes_out

    @property
    def ms(self) -> float:
        return self._seconds * 1000

    @property
    def ttfb_ms(self) -> float:
        exchange = self._exchange
        first = exchange.response.first_byte or exchange.ended
        return (first - exchange.begun - exchange.held) * 1000


def sought_by(filters: Sequence[Any]) -> List[Sought]:
    """What is looked for with these filters, of those that can be judged. Raises CommandError."""
    if len(filters) > MOST or not all(
            isinstance(text, str) and len(text) <= LONGEST for text in filters):
        raise CommandError(f"filters are a list of at most {MOST} texts")
    found: List[Sought] = []
    for text in filters:
        try:
            begun, ended = compile_part(text, BEGUN), compile_part(text, (*BEGUN, *ENDED))
        except FilterError as exc:
            raise CommandError(f"{exc} (at {exc.place + 1} of {text!r})") from None
        if begun is not None:
            found.append(Sought(_begins(begun), begun.keys == {"path"}))
        elif ended is not None:
            found.append(Sought(ends=_ends(ended), slower=ended.least_ms / 1000))
    return found


def _begins(part: Part) -> "Callable[[Exchange], bool]":
    matches = part.matches
    if not part.keys <= OF_HEAD:
        return lambda exchange: not _own(exchange) and matches(Seen(exchange))
    judged: Dict[Tuple[bytes, bytes], bool] = {}

    def begins(exchange: "Exchange") -> bool:
        head = exchange.head
        asked = head.method, head.target
        answer = judged.get(asked)
        if answer is None:
            if len(judged) >= MAX_JUDGED:
                judged.clear()
            answer = judged[asked] = not _own(exchange) and matches(Seen(exchange))
        return answer

    return begins


def _own(exchange: "Exchange") -> bool:
    """Business of the server's own."""
    return exchange.head.path.startswith(PREFIX)


def _ends(part: Part) -> "Callable[[Exchange, float], bool]":
    matches = part.matches
    return lambda exchange, seconds: matches(Seen(exchange, seconds))
