"""What the connection core needs from the two adapters above it, and offers to both."""

from typing import TYPE_CHECKING, Optional, Protocol

if TYPE_CHECKING:
    from .connection import HTTPConnection
    from .exchange import Exchange


class Adapter(Protocol):
    """Turns an exchange into calls of an application.

    `body_limit` bounds request bodies in bytes (None: no limit), `handler_timeout` the
    seconds until a response must have started (0: no limit), `close_timeout` the seconds that
    a handler may go on after its client left (0: for ever).
    """

    body_limit: Optional[int]
    handler_timeout: float
    close_timeout: float

    async def handle(self, exchange: "Exchange") -> None:
        """Answer one request. Runs as a task of its own. An exception, or a return without
        a finished response, becomes a 500 or an aborted connection."""

    def connection_made(self, connection: "HTTPConnection") -> None:
        """A connection was accepted."""

    def connection_lost(self, connection: "HTTPConnection") -> None:
        """A connection ended."""

    async def startup(self) -> None:
        """Get ready; raising keeps the server from serving."""

    async def shutdown(self) -> None:
        """Clean up, after the last exchange."""


class AroundAdapter:
    """What an adapter around `adapter` has from it: all but `handle`. Its own functions, for a
    call in between would cost each connection one."""

    def __init__(self, adapter: Adapter) -> None:
        self.body_limit = adapter.body_limit
        self.handler_timeout = adapter.handler_timeout
        self.close_timeout = adapter.close_timeout
        self.connection_made = adapter.connection_made
        self.connection_lost = adapter.connection_lost
        self.startup = adapter.startup
        self.shutdown = adapter.shutdown
