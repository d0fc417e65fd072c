"""A server in development that passes requests on to a stand-in for a front end's own."""

import contextlib
import json
import logging

from tests.support.dev_server import dev_server
from tests.support.serving import run, serving
from tremolo.config import Settings
from tremolo.insight.insight import Insight
from tremolo.worker.application import Loaded, make_adapter
from tremolo.worker.guard import exchange_kind, guarded
from tremolo.worker.proxy import proxied

LOG = logging.getLogger("tests.proxy")


async def knows_nothing(scope, receive, send):
    """An application that has no routes."""
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 404,
                "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"no such page", "more_body": False})


@contextlib.asynccontextmanager
async def proxying(app, rules, kind="asgi", **options):
    """A server in development with `app` and `rules`."""
    settings = Settings(debug=True, reload=True, lifespan="off", proxy=rules, **options)
    bare = make_adapter(Loaded(kind, app, settings, []))
    adapter = guarded(proxied(bare, settings, kind, app, LOG), settings)
    insight = Insight(LOG)
    insight.needed = True
    insight.watch(0)
    await adapter.startup()
    try:
        async with serving(adapter, debug=True, reload=True, **options) as site:
            site.server.new_exchange = exchange_kind(settings)
            site.server.remember(True)
            insight.serve(site.server)
            yield site
    finally:
        await adapter.shutdown()
        insight.needed = False
        insight.watch(0)


def with_dev_server(test, app=knows_nothing, prefix="/", kind="asgi", **options):
    """Run `test(site, dev)` with a stand-in behind `prefix`."""
    async def main():
        async with dev_server() as dev, proxying(app, {prefix: dev.url}, kind,
                                                 **options) as site:
            await test(site, dev)

    run(main, "plain")


async def ask(site, target, method="GET", fields="", body=b""):
    """The response to one request, and what the dev server told in it, if it was that."""
    client = await site.connect()
    with contextlib.closing(client):
        await client.send(f"{method} {target} HTTP/1.1\r\nHost: localhost:8000\r\n"
                          f"{fields}\r\n".encode() + body)
        response = await client.response(method.encode())
    told = json.loads(response.body) if "x-of" in response and response.body else None
    return response, told
