"""Serve an application in memory for one scenario."""

import asyncio

from tremolo.testing import Client


def serve(app, scenario, **options):
    """Run `await scenario(client)` against `app` and give its result."""

    async def run():
        async with Client(app, **options) as client:
            return await asyncio.wait_for(scenario(client), 20)

    return asyncio.run(run())


def get(app, target, **options):
    """The response to one GET; `method`, `headers`, `body` and `form` may be given."""
    method = options.pop("method", "GET")
    request = {name: options.pop(name) for name in ("headers", "body", "form", "json")
               if name in options}

    async def scenario(client):
        return await client.request(method, target, **request)

    return serve(app, scenario, **options)


def handler(func, path="/"):
    """An application with one handler."""
    from tremolo import Tremolo

    app = Tremolo()
    app.add_route(func, path)
    return app
