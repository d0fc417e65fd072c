"""The WebSocket server and the `websockets` client understand each other."""

import asyncio

import pytest

from tests.asgi.applications import Recorder, echo
from tests.support.serving import each_loop, run, serving_asgi
from tests.support.wire import within

websockets = pytest.importorskip("websockets")
client = pytest.importorskip("websockets.asyncio.client")


def connect(site, **options):
    return client.connect(f"ws://127.0.0.1:{site.port}/", proxy=None, max_size=None, **options)


@each_loop
@pytest.mark.parametrize("compression", ["deflate", None])
@pytest.mark.parametrize("server_deflate", [True, False])
def test_messages_of_all_sizes_come_back(loop_name, compression, server_deflate):
    async def main():
        async with serving_asgi(echo, websocket_deflate=server_deflate) as site:
            async with connect(site, compression=compression) as ws:
                agreed = [type(extension).__name__ for extension in ws.protocol.extensions]
                assert agreed == (["PerMessageDeflate"] if compression and server_deflate
                                  else [])
                for size in (0, 1, 125, 126, 127, 128, 65535, 65536, 1_000_000):
                    for data in ("é" * (size // 2), bytes(range(256)) * (size // 256)):
                        await ws.send(data)
                        assert await within(ws.recv()) == data
                await ws.send(["frag", "ment", "ed"])
                assert await within(ws.recv()) == "fragmented"
                await within(await ws.ping(b"?"))

    run(main, loop_name)


def test_subprotocol_and_headers_arrive():
    app = Recorder(accept={"subprotocol": "graphql-ws", "headers": [(b"x-one", b"1")]})

    async def main():
        async with serving_asgi(app) as site:
            async with connect(site, subprotocols=["mqtt", "graphql-ws"]) as ws:
                assert ws.subprotocol == "graphql-ws"
                assert ws.response.headers["x-one"] == "1"
                assert ws.response.headers["upgrade"] == "websocket"

    run(main)


def test_close_codes_and_reasons_pass_both_ways():
    async def script(app, receive, send):
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 4321, "reason": "done here"})

    async def main():
        app = Recorder()
        async with serving_asgi(app) as site:
            ws = await connect(site)
            await within(ws.close(4000, "going"))
            assert app.messages[-1] == {"type": "websocket.disconnect", "code": 4000,
                                        "reason": "going"}
        async with serving_asgi(Recorder(script)) as site:
            ws = await connect(site)
            with pytest.raises(websockets.ConnectionClosed):
                await within(ws.recv())
            assert (ws.close_code, ws.close_reason) == (4321, "done here")

    run(main)


def test_a_denial_response_reaches_the_client():
    async def script(app, receive, send):
        await send({"type": "websocket.http.response.start", "status": 418,
                    "headers": [(b"x-why", b"teapot")]})
        await send({"type": "websocket.http.response.body", "body": b"short and stout"})

    async def main():
        async with serving_asgi(Recorder(script)) as site:
            with pytest.raises(websockets.InvalidStatus) as caught:
                await connect(site)
            response = caught.value.response
            assert (response.status_code, response.body) == (418, b"short and stout")
            assert response.headers["x-why"] == "teapot"

    run(main)


def test_many_clients_at_once_get_their_own_messages():
    async def main():
        async with serving_asgi(echo) as site:
            async def one(number):
                async with connect(site) as ws:
                    for n in range(50):
                        await ws.send(f"{number}:{n}")
                    for n in range(50):
                        assert await within(ws.recv()) == f"{number}:{n}"

            await asyncio.gather(*map(one, range(20)))

    run(main)
