"""Server-sent events, Socket.IO, GraphQL subscriptions, and WebSockets of Starlette."""

import asyncio
import json

import pytest

pytest.importorskip("httpx")
websockets = pytest.importorskip("websockets")

from tests.frameworks.clients import asgi_client, connect, frameworks  # noqa: E402
from tests.support.serving import run, until, within  # noqa: E402

pytestmark = frameworks


def test_starlette_websockets_speak_json_and_hear_of_closes():
    pytest.importorskip("starlette")
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import WebSocketRoute
    from starlette.websockets import WebSocketDisconnect

    log = []

    async def endpoint(websocket):
        await websocket.accept(subprotocol=websocket.scope["subprotocols"][-1],
                               headers=[(b"x-user", b"1")])
        try:
            while True:
                message = await websocket.receive_json()
                await websocket.send_json({"got": message})
        except WebSocketDisconnect as exc:
            log.append((exc.code, exc.reason))

    async def denied(websocket):
        await websocket.send_denial_response(PlainTextResponse("no", 401))

    async def closing(websocket):
        await websocket.accept()
        await websocket.close(4001, "enough")

    async def broken(websocket):
        await websocket.accept()
        raise KeyError("broken")

    app = Starlette(routes=[WebSocketRoute("/", endpoint), WebSocketRoute("/denied", denied),
                            WebSocketRoute("/closing", closing),
                            WebSocketRoute("/broken", broken)])

    async def main():
        async with asgi_client(app) as client:
            ws = await connect(client, "/", subprotocols=["a", "b"])
            assert (ws.subprotocol, ws.response.headers["x-user"]) == ("b", "1")
            await ws.send('{"a": 1}')
            assert json.loads(await ws.recv()) == {"got": {"a": 1}}
            await ws.close(4000, "bye")
            await until(lambda: log == [(4000, "bye")])
            with pytest.raises(websockets.InvalidStatus) as caught:
                await connect(client, "/denied")
            assert caught.value.response.status_code == 401
            assert caught.value.response.body == b"no"
            ws = await connect(client, "/closing")
            with pytest.raises(websockets.ConnectionClosed):
                await ws.recv()
            assert (ws.close_code, ws.close_reason) == (4001, "enough")
            ws = await connect(client, "/broken")
            with pytest.raises(websockets.ConnectionClosed):
                await ws.recv()
            assert ws.close_code == 1011

    run(main)


def test_sse_starlette_streams_events_and_ends_with_the_client():
    pytest.importorskip("starlette")
    sse = pytest.importorskip("sse_starlette")
    from starlette.applications import Starlette
    from starlette.routing import Route

    log = []

    async def events(request):
        async def make():
            n = 0
            try:
                while True:
                    yield {"event": "tick", "id": str(n), "data": f"line {n}\nsecond"}
                    n += 1
                    await asyncio.sleep(0.005)
            except asyncio.CancelledError:
                log.append("cancelled")
                raise
            finally:
                log.append("closed")
        return sse.EventSourceResponse(make())

    async def main():
        async with asgi_client(Starlette(routes=[Route("/", events)])) as client:
            lines = []
            async with client.stream("GET", "/") as response:
                assert response.headers["content-type"].startswith("text/event-stream")
                async for line in response.aiter_lines():
                    lines.append(line)
                    if len(lines) > 20:
                        break
            assert lines[:5] == ["id: 0", "event: tick", "data: line 0", "data: second", ""]
            await until(lambda: "closed" in log)

    run(main)


@pytest.mark.parametrize("transports", [["websocket"], ["polling"], ["polling", "websocket"]],
                         ids="+".join)
def test_socket_io_calls_and_events_pass_both_ways(transports):
    socketio = pytest.importorskip("socketio")
    pytest.importorskip("aiohttp")
    server = socketio.AsyncServer(async_mode="asgi", ping_interval=1, ping_timeout=1)
    log = []

    @server.event
    async def connect(sid, environ, auth):
        log.append(("connect", auth))

    @server.event
    async def disconnect(sid, reason):
        log.append(("disconnect",))

    @server.event
    async def add(sid, data):
        await server.emit("added", {"sum": sum(data)}, to=sid)
        return ["done", bytes(sum(data))]

    async def main():
        async with asgi_client(socketio.ASGIApp(server)) as http:
            client = socketio.AsyncClient(reconnection=False)
            heard = []
            client.on("added", lambda data: heard.append(data))
            await client.connect(f"http://127.0.0.1:{http.site.port}", auth={"token": "t"},
                                 transports=transports, wait_timeout=5)
            assert await within(client.call("add", [1, 2, 3])) == ["done", bytes(6)]
            await until(lambda: heard == [{"sum": 6}])
            await client.disconnect()
            await until(lambda: ("disconnect",) in log)
            assert log[0] == ("connect", {"token": "t"})
            assert http.site.server.counters.errors == 0
            await server.shutdown()

    run(main)


@pytest.mark.parametrize("protocol", ["graphql-transport-ws", "graphql-ws"])
def test_a_graphql_subscription_runs_over_a_websocket(protocol):
    strawberry = pytest.importorskip("strawberry")
    from collections.abc import AsyncGenerator

    from strawberry.asgi import GraphQL

    async def resolve_count(to: int) -> AsyncGenerator[int, None]:
        for n in range(to):
            yield n

    def resolve_hello() -> str:
        return "world"

    query = strawberry.type(type("Query", (), {
        "hello": strawberry.field(resolver=resolve_hello)}))
    subscription = strawberry.type(type("Subscription", (), {
        "count": strawberry.subscription(resolver=resolve_count)}))
    app = GraphQL(strawberry.Schema(query, subscription=subscription))
    modern = protocol == "graphql-transport-ws"

    async def main():
        async with asgi_client(app, lifespan="off") as client:
            answer = await client.post("/", json={"query": "{ hello }"})
            assert answer.json() == {"data": {"hello": "world"}}
            async with connect(client, "/", subprotocols=[protocol]) as ws:
                assert ws.subprotocol == protocol
                await ws.send('{"type": "connection_init"}')
                assert json.loads(await ws.recv())["type"] == "connection_ack"
                await ws.send(json.dumps({
                    "id": "1", "type": "subscribe" if modern else "start",
                    "payload": {"query": "subscription { count(to: 3) }"}}))
                found = []
                while True:
                    message = json.loads(await within(ws.recv()))
                    if message["type"] == "complete":
                        break
                    if message["type"] in ("next", "data"):
                        found.append(message["payload"]["data"]["count"])
                assert found == [0, 1, 2]

    run(main)


def test_an_aiohttp_client_speaks_to_a_websocket_with_compression():
    aiohttp = pytest.importorskip("aiohttp")
    pytest.importorskip("starlette")
    from starlette.applications import Starlette
    from starlette.routing import WebSocketRoute

    async def echo(websocket):
        await websocket.accept()
        async for text in websocket.iter_text():
            await websocket.send_text(text)

    async def main():
        async with asgi_client(Starlette(routes=[WebSocketRoute("/", echo)])) as client:
            url = f"http://127.0.0.1:{client.site.port}/"
            async with aiohttp.ClientSession() as session, \
                    session.ws_connect(url, compress=15) as ws:
                assert ws.compress
                for size in (0, 1, 100, 1000, 100_000):
                    await ws.send_str("é" * size)
                    assert await within(ws.receive_str()) == "é" * size
                await ws.close(code=4000)
                assert ws.close_code == 4000

    run(main)
