"""Attaches the sources while somebody watches, and keeps the records of recent exchanges.

All that it asks of `net` is `Server.adapter`: while watched, an adapter around it names each
exchange in `context.running` before the application is called. Unwatched nothing is left.
"""

import importlib
import logging
from typing import Any, Callable, Coroutine, Dict, Optional

from ..net.adapter import Adapter
from ..net.exchange import Exchange
from .arrivals import Arrivals
from .context import running
from .record import Record
from .source import Source
from .sources import SOURCES

#: records that are kept for a sampler that does not come
MAX_RECORDS = 4000


class Watched:
    """An adapter around an adapter; see `tremolo.net.adapter.Adapter`."""

    def __init__(self, adapter: Adapter, records: Dict[int, Record], root_path: str) -> None:
        self.adapter = adapter
        self._records = records
        self._root_path = root_path
        self.body_limit = adapter.body_limit
        self.handler_timeout = adapter.handler_timeout
        self.close_timeout = adapter.close_timeout
        self.connection_made = adapter.connection_made
        self.connection_lost = adapter.connection_lost
        self.startup = adapter.startup
        self.shutdown = adapter.shutdown

    def handle(self, exchange: Exchange) -> Coroutine[Any, Any, None]:
        """Runs within the exchange's task, whose context is its own."""
        if not exchange.hidden:
            record = Record(exchange.id, exchange.head.method.decode("ascii", "replace"),
                            self._root_path)
            self._records[exchange.id] = record
            running.set(record)
        return self.adapter.handle(exchange)


class Insight:
    """Insight into what `server` serves. `asgi` is the adapter that has an ASGI `app`, if it is
    one; `root_path` the path that a proxy in front has taken off."""

    def __init__(self, server: Any, logger: logging.Logger, *, asgi: Any = None,
                 root_path: str = "") -> None:
        self._server = server
        self._logger = logger
        self._asgi = asgi
        self._root_path = root_path
        self._records: Dict[int, Record] = {}
        self._sources: Dict[str, Source] = {}
        self._arrivals: Optional[Arrivals] = None

    @property
    def watching(self) -> bool:
        return self._arrivals is not None

    def watch(self, wanted: bool) -> None:
        """Begin to look into what happens, or give everything back."""
        if wanted and self._arrivals is None:
            self._server.adapter = Watched(self._server.adapter, self._records,
                                           self._root_path)
            if self._asgi is not None:
                self._sources["asgi"] = source = Source("asgi", self._logger)
                source.replace(self._asgi, "app", _scope_noted)
            self._arrivals = Arrivals(SOURCES, self._attach)
            self._arrivals.start()
        elif not wanted and self._arrivals is not None:
            self._arrivals.stop()
            self._arrivals = None
            if isinstance(self._server.adapter, Watched):
                self._server.adapter = self._server.adapter.adapter
            for source in self._sources.values():
                source.detach()
            self._sources.clear()
            self._records.clear()

    def _attach(self, library: str) -> None:
        name = SOURCES[library]
        source = self._sources.get(name)
        if source is None:
            source = self._sources[name] = Source(name, self._logger)
        try:
            module = importlib.import_module(f"{__package__}.sources.{name}")
            module.attach(source)
        except Exception as exc:
            source.fail(exc)
            source.detach()

    def tick(self) -> None:
        """A few times a second: what was imported meanwhile, and what nobody asked for."""
        if self._arrivals is not None:
            self._arrivals.look()
        records = self._records
        while len(records) > MAX_RECORDS:
            del records[next(iter(records))]

    def row(self, id: int, ended: bool = True) -> Dict[str, Any]:
        """What the row of the exchange `id` has beside what the server itself knows."""
        record = self._records.pop(id, None) if ended else self._records.get(id)
        if record is None:
            return {}
        return record.row()


def _scope_noted(app: Callable[..., Any]) -> Callable[..., Any]:
    """`app`, leaving its scope with the record: routers write into it what they chose."""
    def observed(scope: Any, receive: Any, send: Any) -> Any:
        record = running.get()
        if record is not None and record.scope is None:
            record.scope = scope
        return app(scope, receive, send)

    return observed
