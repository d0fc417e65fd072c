"""A response that may be declined: the application does not know the path, and somebody else is
to be asked.

Whatever the application sends of a declined one goes nowhere, and to it the response is complete;
`take_over()` makes the exchange one that nobody has answered yet.
"""

from typing import Any, Awaitable, Callable, Iterable, List, Optional, Tuple

from ..net.exchange import Exchange
from ..net.response import Response
from ..protocol.http1 import ResponseWriter

Header = Tuple[bytes, bytes]

#: bytes of a request's body that are kept for who is asked next
REPLAYED = 1024 * 1024


class Replay:
    """What the application has read of a body, up to `REPLAYED` bytes."""

    __slots__ = ("overflowed", "pieces", "size")

    def __init__(self) -> None:
        self.pieces: List[bytes] = []
        self.size = 0
        #: more was read than is kept: nobody else can be asked
        self.overflowed = False

    def add(self, piece: bytes) -> None:
        self.size += len(piece)
        if self.size > REPLAYED:
            self.overflowed = True
            self.pieces.clear()
        else:
            self.pieces.append(piece)


class DeclinableResponse(Response):
    """`declines(status)`, if it is set, decides whether an answer of this status is declined."""

    declines: Optional[Callable[[int], bool]] = None
    declined = False
    #: called once an answer is given that was not declined
    on_answer: Callable[[], None] = staticmethod(lambda: None)

    def take_over(self) -> None:
        """What is sent from now on is the answer, and is not declined."""
        self.declines = None
        self.declined = False
        self.status = 0
        self.writer = ResponseWriter(
            self._request.method, self._request.version,
            self._request.keep_alive and self.connection.server.keep_alive)

    @property
    def finished(self) -> bool:
        return self.declined or super().finished

    def start(self, status: int, headers: Iterable[Header], *, reason: bytes = b"",
              length: Optional[int] = None) -> None:
        if self.declined:
            return
        if self.declines is not None and not self.started:
            if self.declines(status):
                self.declined = True
                return
            self.on_answer()
        super().start(status, headers, reason=reason, length=length)

    def promise(self, length: int) -> None:
        if not self.declined:
            super().promise(length)

    def write(self, data: bytes) -> Optional[Awaitable[None]]:
        return None if self.declined else super().write(data)

    def write_last(self, data: bytes, trailers: Iterable[Header] = ()) -> None:
        if not self.declined:
            super().write_last(data, trailers)

    def flush(self) -> None:
        if not self.declined:
            super().flush()

    def refuse(self, status: int, body: bytes, **more: Any) -> None:
        if self.declined:
            self.take_over()
        self.declines = None
        super().refuse(status, body, **more)


class DeclinableExchange(Exchange):
    """Its answer may be declined, and keeps what was read of the body until it is not."""

    response_kind = DeclinableResponse
    response: DeclinableResponse
    #: what was read of the body while the answer might still be declined
    replay: Optional[Replay] = None

    def may_decline(self, declines: Callable[[int], bool]) -> None:
        """From now on, until an answer is given. Before anything of the body is read."""
        self.response.declines = declines
        if self.body is not None:
            self.replay = Replay()
            self.on_read = self.replay.add
            self.response.on_answer = self._keep_no_more

    def _keep_no_more(self) -> None:
        self.on_read = None

    def take_over(self) -> None:
        """What is sent from now on is the answer, and is not declined."""
        self.on_read = self.on_drain = None
        self.response.take_over()
