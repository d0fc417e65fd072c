"""psycopg_pool: the time that one waited for a connection."""

import sys

from ..source import Source


def attach(source: Source) -> None:
    pools = sys.modules["psycopg_pool"]
    source.waiting(pools.ConnectionPool, "getconn")
    source.waiting(pools.AsyncConnectionPool, "getconn")
