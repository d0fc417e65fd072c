"""What tests of `asgi` have in common: an application that is served, and one client."""

import pytest

from tests.support.serving import conversing, run, serving_asgi
from tests.support.websocket_peer import peer


@pytest.fixture
def conversation(loop_name):
    """Serves an application without its lifespan while `talk(site, client)` runs."""
    return conversing(serving_asgi, loop_name, lifespan="off")


@pytest.fixture
def dialogue(loop_name):
    """Serves an application while `talk(site, ws)` runs with one WebSocket to it, which was
    asked for with these `fields`."""
    def talk_to(app, talk, *, fields=(), receive_buffer=None, **settings):
        async def main():
            async with serving_asgi(app, **settings) as site:
                async with peer(site, fields=fields, receive_buffer=receive_buffer) as ws:
                    await talk(site, ws)

        run(main, loop_name)

    return talk_to
