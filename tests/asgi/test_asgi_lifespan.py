"""The lifespan protocol (specification 2.0): startup before serving, shutdown after."""

import asyncio

import pytest

from tests.support.serving import run, serving_asgi, settle, until
from tests.support.wire import within
from tremolo.asgi.adapter import ASGIAdapter
from tremolo.config import Settings
from tremolo.exceptions import LifespanError

START = {"type": "http.response.start", "status": 200, "headers": []}


async def answer(send, body=b""):
    await send(START)
    await send({"type": "http.response.body", "body": body})


def adapter_of(app, mode="auto"):
    return ASGIAdapter(app, Settings(lifespan=mode))


def test_startup_precedes_serving_and_shutdown_follows():
    events = []

    async def app(scope, receive, send):
        if scope["type"] == "http":
            events.append("request")
            await answer(send)
            return
        assert scope["type"] == "lifespan"
        assert scope["asgi"] == {"version": "3.0", "spec_version": "2.0"}
        assert await receive() == {"type": "lifespan.startup"}
        events.append("startup")
        await send({"type": "lifespan.startup.complete"})
        assert await receive() == {"type": "lifespan.shutdown"}
        events.append("shutdown")
        await send({"type": "lifespan.shutdown.complete"})

    async def main():
        async with serving_asgi(app) as site:
            await site.get()

    run(main)
    assert events == ["startup", "request", "shutdown"]


def test_requests_get_copies_of_the_state():
    seen = []

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            scope["state"]["pool"] = pool
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        seen.append(dict(scope["state"]))
        scope["state"]["own"] = True
        await answer(send)

    pool = object()

    async def main():
        async with serving_asgi(app) as site:
            await site.get()
            await site.get()

    run(main)
    assert seen == [{"pool": pool}] * 2


async def only_http(scope, receive, send):
    assert scope["type"] == "http", "no lifespan here"
    await answer(send)


async def takes_all_for_requests(scope, receive, send):
    await receive()
    await answer(send)


async def returns_at_once(scope, receive, send):
    if scope["type"] == "http":
        await answer(send)


@pytest.mark.parametrize("app", [only_http, takes_all_for_requests, returns_at_once])
@pytest.mark.parametrize("mode", ["auto", "off"])
def test_an_application_without_lifespan_is_served(app, mode):
    async def main():
        async with serving_asgi(app, lifespan=mode) as site:
            assert (await site.get()).status == 200

    run(main)


@pytest.mark.parametrize("app", [only_http, takes_all_for_requests, returns_at_once])
def test_with_lifespan_on_an_application_without_one_is_refused(app):
    async def main():
        with pytest.raises((AssertionError, RuntimeError, LifespanError)):
            await within(adapter_of(app, "on").startup())

    run(main)


@pytest.mark.parametrize("mode", ["auto", "on"])
def test_a_failed_startup_is_told_with_the_applications_message(mode):
    async def app(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    async def main():
        with pytest.raises(LifespanError, match="no database"):
            await within(adapter_of(app, mode).startup())

    run(main)


@pytest.mark.parametrize("mode", ["auto", "on"])
def test_an_exception_in_startup_is_the_applications_own(mode):
    async def app(scope, receive, send):
        await receive()
        raise KeyError("DATABASE_URL")

    async def main():
        with pytest.raises(KeyError):
            await within(adapter_of(app, mode).startup())

    run(main)


def test_with_lifespan_off_the_application_is_not_asked():
    asked = []

    async def app(scope, receive, send):
        asked.append(scope)

    async def main():
        adapter = adapter_of(app, "off")
        await adapter.startup()
        await settle()
        await adapter.shutdown()
        assert not asked

    run(main)


@pytest.mark.parametrize("failure", ["message", "exception"])
def test_a_failed_shutdown_is_told(failure):
    async def app(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if failure == "exception":
            raise ValueError("stuck")
        await send({"type": "lifespan.shutdown.failed", "message": "stuck"})

    async def main():
        adapter = adapter_of(app)
        await within(adapter.startup())
        with pytest.raises((LifespanError, ValueError), match="stuck"):
            await within(adapter.shutdown())

    run(main)


def test_an_application_that_ended_early_needs_no_shutdown():
    async def app(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.complete"})

    async def main():
        adapter = adapter_of(app)
        await within(adapter.startup())
        await asyncio.sleep(0)
        await within(adapter.shutdown())

    run(main)


def test_startup_waits_for_the_application():
    async def main():
        go_on = asyncio.Event()

        async def app(scope, receive, send):
            asked.append(await receive())
            await go_on.wait()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})

        asked = []
        adapter = adapter_of(app)
        starting = asyncio.ensure_future(adapter.startup())
        await until(lambda: asked)
        await settle()
        assert not starting.done()
        go_on.set()
        await within(starting)
        await within(adapter.shutdown())

    run(main)
