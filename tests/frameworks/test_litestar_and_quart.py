"""Litestar and Quart."""

import pytest

pytest.importorskip("httpx")
websockets = pytest.importorskip("websockets")

from tests.frameworks.clients import asgi_client, connect, frameworks  # noqa: E402
from tests.support.serving import pattern, run, until  # noqa: E402

pytestmark = frameworks
DATA = pattern(300_000)


def make_litestar(tmp_path, log):
    pytest.importorskip("litestar")
    from litestar import Litestar, Request, get, post, websocket
    from litestar.background_tasks import BackgroundTask
    from litestar.response import File, Response, ServerSentEvent, Stream

    path = tmp_path / "data.bin"
    path.write_bytes(DATA)

    async def note(what: str) -> None:
        log.append(what)

    async def started(app: Litestar) -> None:
        log.append("startup")

    async def stopped(app: Litestar) -> None:
        log.append("shutdown")

    @get("/stream")
    async def stream() -> Stream:
        async def pieces():
            for n in range(1000):
                yield f"{n}\n"
        return Stream(pieces())

    @post("/length")
    async def length(request: Request) -> str:
        return str(len(await request.body()))

    @get("/file")
    async def file() -> File:
        return File(path, filename="data.bin")

    @get("/background")
    async def background() -> Response:
        return Response("now", background=BackgroundTask(note, "background"))

    @get("/events")
    async def events() -> ServerSentEvent:
        async def make():
            for n in range(3):
                yield {"data": str(n), "event": "count"}
        return ServerSentEvent(make())

    @get("/broken")
    async def broken() -> None:
        raise KeyError("broken")

    @websocket("/echo")
    async def echo(socket) -> None:
        await socket.accept(subprotocols="v2")
        async for data in socket.iter_data():
            await socket.send_data(data)

    echo.fn.__annotations__["socket"] = __import__("litestar").WebSocket
    return Litestar([stream, length, file, background, events, broken, echo],
                    on_startup=[started], on_shutdown=[stopped])


def make_quart(tmp_path, log):
    quart = pytest.importorskip("quart")
    app = quart.Quart(__name__)
    path = tmp_path / "data.bin"
    path.write_bytes(DATA)

    @app.before_serving
    async def started():
        log.append("startup")

    @app.after_serving
    async def stopped():
        log.append("shutdown")

    @app.get("/stream")
    async def stream():
        async def pieces():
            for n in range(1000):
                yield f"{n}\n"
        return pieces(), 200

    @app.post("/length")
    async def length():
        total = 0
        async for data in quart.request.body:
            total += len(data)
        return str(total)

    @app.get("/file")
    async def file():
        return await quart.send_file(path, conditional=True)

    @app.get("/background")
    async def background():
        async def later():
            log.append("background")
        app.add_background_task(later)
        return "now"

    @app.get("/events")
    async def events():
        async def make():
            for n in range(3):
                yield f"event: count\r\ndata: {n}\r\n\r\n"
        return make(), 200, {"content-type": "text/event-stream"}

    @app.get("/broken")
    async def broken():
        raise KeyError("broken")

    @app.websocket("/echo")
    async def echo():
        await quart.websocket.accept(subprotocol="v2")
        while True:
            await quart.websocket.send(await quart.websocket.receive())

    return app


@pytest.mark.parametrize("make", [make_litestar, make_quart])
def test_requests_of_every_kind_are_answered(make, tmp_path):
    log = []

    async def body():
        for n in range(50):
            yield pattern(5000, n)

    async def main():
        async with asgi_client(make(tmp_path, log)) as client:
            assert log == ["startup"]
            assert (await client.get("/stream")).text == "".join(f"{n}\n" for n in range(1000))
            assert (await client.post("/length", content=body())).text == "250000"
            assert (await client.get("/file")).content == DATA
            assert (await client.get("/background")).text == "now"
            await until(lambda: "background" in log)
            events = (await client.get("/events")).text
            assert events.count("event: count\r\n") == 3
            assert (await client.get("/broken")).status_code == 500
            assert (await client.get("/none")).status_code == 404
        assert log[-1] == "shutdown"

    run(main)


@pytest.mark.parametrize("make", [make_litestar, make_quart])
def test_websockets_echo_with_a_subprotocol_and_close(make, tmp_path):
    async def main():
        async with asgi_client(make(tmp_path, [])) as client:
            async with connect(client, "/echo", subprotocols=["v1", "v2"]) as ws:
                assert ws.subprotocol == "v2"
                for text in ("", "one", "é" * 70_000):
                    await ws.send(text)
                    assert await ws.recv() == text
            assert ws.close_code == 1000
            with pytest.raises(websockets.InvalidStatus):
                await connect(client, "/none")
            assert client.site.server.counters.errors == 0

    run(main)


def test_quart_sends_ranges_of_files(tmp_path):
    async def main():
        async with asgi_client(make_quart(tmp_path, [])) as client:
            part = await client.get("/file", headers={"range": "bytes=100-299"})
            assert (part.status_code, part.content) == (206, DATA[100:300])

    run(main)
