"""Exchanges that nobody looks into, because there are too many, and that fail: these are told."""

from threading import RLock
from typing import Any, Dict, Iterator, Optional, Tuple

from ..net.exchange import Exchange
from ..net.handling import in_progress, of_this_task, unobserved
from .record import Record

#: of which it is kept over what they fail until they are shown
MAX_FAILING = 500


class Failing:
    """Their records, by the number of the exchange."""

    def __init__(self) -> None:
        self._known: Dict[int, Tuple[Record, Exchange]] = {}
        self._lock = RLock()

    def __len__(self) -> int:
        return len(self._known)

    def __iter__(self) -> Iterator[int]:
        return iter(self._known)

    def here(self, server: Any, root_path: str) -> Optional[Record]:
        """The record of the exchange of `server` that runs here, from now on one that fails."""
        id = unobserved.get()
        with self._lock:
            exchange = None if id else of_this_task()
            id = id or getattr(exchange, "id", 0)
            record = self.of(id)
            if record is not None:
                return record
            if id and exchange is None:
                exchange = in_progress(server, id)
            if exchange is None or exchange.hidden:
                return None
            record = Record(id, exchange.head.method, exchange.head.target, root_path)
            record.closed = True  # nothing else is noted of it
            if not exchange.ended:
                self._known[id] = record, exchange
                while len(self._known) > MAX_FAILING:
                    del self._known[next(iter(self._known))]
            return record

    def of(self, id: int) -> Optional[Record]:
        """The record of the exchange `id`, if it fails."""
        return self._known.get(id, (None, None))[0]

    def forget(self, id: int) -> None:
        """The row of this exchange was made."""
        self._known.pop(id, None)

    def forget_told(self) -> None:
        """Of those that ended without being shown, it was told over what they failed."""
        for id, (_, exchange) in list(self._known.items()):
            if exchange.ended and not exchange.choice:
                self.forget(id)

    def clear(self) -> None:
        self._known.clear()
