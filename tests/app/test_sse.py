"""docs/api.md section 9: server-sent events."""

import asyncio

import pytest

from tests.app.serving import get, handler, serve
from tests.support.serving import run, serving, until
from tremolo.app import Tremolo
from tremolo.app import sse as sse_module
from tremolo.app.adapter import NativeAdapter
from tremolo.config import Settings


def test_events_are_sent_as_they_come():
    async def show(sse=None):
        await sse.send("one")
        await sse.send(b"two\nlines\r\nand three", event="kind", event_id="7", retry=100)
        await sse.comment("still here")
        await sse.close()

    response = get(handler(show), "/")
    assert response.header("content-type") == "text/event-stream"
    assert response.header("cache-control") == "no-cache, must-revalidate"
    assert response.header("expires")
    assert response.text == (
        "data: one\n\n"
        "data: two\ndata: lines\ndata: and three\nevent: kind\nid: 7\nretry: 100\n\n"
        ": still here\n\n")


def test_the_object_knows_request_and_response():
    async def show(request, response, sse=None):
        assert sse.request is request and sse.response is response
        await sse.send("ok")

    assert get(handler(show), "/").text == "data: ok\n\n"


@pytest.mark.parametrize("field", ["event", "event_id"])
def test_a_line_break_in_event_or_id_is_an_error(field):
    async def show(sse=None):
        await sse.send("x", **{field: "a\nb"})

    assert get(handler(show), "/").status == 500


def test_without_the_argument_there_is_none():
    async def show(**server):
        return repr(server["sse"])

    assert get(handler(show), "/").text == "None"


def test_a_silent_stream_is_opened_and_kept_alive(monkeypatch):
    monkeypatch.setattr(sse_module, "LOOK", 0.01)
    monkeypatch.setattr(sse_module, "SILENCE", 0.0)

    async def show(sse=None):
        await asyncio.sleep(30)

    async def scenario(client):
        async with client.stream("GET", "/") as response:
            async for piece in response.pieces():
                return piece

    assert serve(handler(show), scenario) == b": \n\n"


@pytest.fixture
def staying():
    """A handler that sends one event and stays; whether it has ended."""
    ended = []

    async def show(sse=None):
        try:
            await sse.send("x")
            await asyncio.sleep(30)
        finally:
            ended.append(True)

    return show, ended


def test_the_handler_ends_when_the_client_leaves(staying):
    show, ended = staying

    async def scenario(client):
        async with client.stream("GET", "/"):
            pass
        await until(lambda: ended)

    serve(handler(show), scenario)


@pytest.mark.parametrize("hand_over", [None, lambda descriptor: None], ids=["stop", "reload"])
def test_the_stream_ends_properly_at_once_when_the_server_drains(staying, hand_over):
    show, ended = staying

    async def scenario(client):
        async with client.stream("GET", "/") as response:
            draining = asyncio.ensure_future(client.server.drain(5.0, hand_over))
            body = await response.read()  # fails for a chunked body without its end
            for _ in range(20):  # turns of the loop, no time
                await asyncio.sleep(0)
            assert ended
            await draining
        return body

    assert serve(handler(show), scenario) == b"data: x\n\n"


def test_a_silent_stream_is_opened_and_ended_when_the_server_drains():
    async def show(sse=None):
        await asyncio.sleep(30)

    async def scenario(client):
        connection = client.connect()
        connection.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        while not client.server.tasks:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        draining = asyncio.ensure_future(client.server.drain(5.0))
        answer = await connection.receive_all()
        await draining
        return answer

    answer = serve(handler(show), scenario)
    assert b"text/event-stream" in answer and answer.endswith(b"\r\n\r\n0\r\n\r\n")


def test_events_from_a_thread():
    def show(sse=None):
        sse.send("one")
        sse.send("two")

    assert get(handler(show), "/").text == "data: one\n\ndata: two\n\n"


@pytest.mark.parametrize("begun", [True, False])
def test_an_event_that_comes_as_the_server_leaves_does_not_break_the_stream_off(begun):
    app = Tremolo()
    wakes = []

    @app.route("/")
    async def events(sse=None):
        if begun:
            await sse.send("one")
        await wakes[0].wait()
        await sse.send("two")

    async def main():
        wakes.append(asyncio.Event())
        adapter = NativeAdapter(app, Settings())
        await adapter.startup()
        async with serving(adapter) as site:
            client = await site.connect()
            await client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await until(lambda: site.server.tasks and site.connection.current.on_drain)
            if begun:
                await client.line(b"one\n")
            # The handler goes on in the next turn, and hears of the end in this one.
            wakes[0].set()
            site.connection.current.on_drain()
            rest = await client.rest()
            assert begun or rest.startswith(b"HTTP/1.1 200 ")
            assert rest.endswith(b"0\r\n\r\n")
        await adapter.shutdown()

    run(main)
