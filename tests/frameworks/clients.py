"""What the tests of frameworks share: the marker of their lane, and clients of a site.

The clients are other people's: httpx, `websockets` and aiohttp.
"""

import contextlib

import httpx
import pytest

from tests.support.serving import serving, serving_asgi
from tremolo.config import Settings
from tremolo.wsgi.adapter import WSGIAdapter

frameworks = pytest.mark.frameworks


@contextlib.asynccontextmanager
async def asgi_client(app, **settings):
    async with serving_asgi(app, **settings) as site, http_client(site) as client:
        yield client


@contextlib.asynccontextmanager
async def wsgi_client(app, **settings):
    adapter = WSGIAdapter(app, Settings(**settings))
    async with serving(adapter, **settings) as site, http_client(site) as client:
        yield client
    await adapter.shutdown()


@contextlib.asynccontextmanager
async def http_client(site):
    url = f"http://127.0.0.1:{site.port}"
    async with httpx.AsyncClient(base_url=url, timeout=10, trust_env=False) as client:
        client.site = site
        yield client


def connect(client, path, **options):
    """A WebSocket with the `websockets` client."""
    from websockets.asyncio.client import connect as open_websocket

    return open_websocket(f"ws://127.0.0.1:{client.site.port}{path}", proxy=None, **options)
