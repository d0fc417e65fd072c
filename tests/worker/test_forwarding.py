"""How requests and WebSockets go on to other servers, and what is answered where none does."""

import asyncio
import contextlib
import json

import pytest

pytest.importorskip("aiohttp")

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.support.dev_server import dev_server, free_port
from tests.support.proxying import LOG, ask, knows_nothing, proxying, with_dev_server
from tests.support.serving import pattern, run, until
from tests.support.wire import within
from tests.worker.test_proxy import FRAMEWORKS

# -- how they go on -------------------------------------------------------------------------


def test_fields_of_the_connection_stay_and_those_of_proxies_are_added():
    async def test(site, dev):
        _, told = await ask(site, "/x%20y/../z?a=%2F&b", fields=(
            "Connection: keep-alive, X-Mine\r\nX-Mine: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\n"
            "Proxy-Authorization: x\r\nCookie: a=b; c=d\r\nAccept-Encoding: br\r\n"
            "X-Forwarded-For: 10.0.0.1\r\nX-Grün: ü\r\n".replace("X-Grün", "X-Green")))
        assert told["target"] == "/x%20y/../z?a=%2F&b"
        fields = {name.lower(): value for name, value in told["fields"]}
        assert len(fields) == len(told["fields"])
        assert fields == {
            "host": "localhost:8000", "cookie": "a=b; c=d", "accept-encoding": "br",
            "x-green": "ü".encode().decode("latin-1"),
            "x-forwarded-for": "10.0.0.1, 127.0.0.1", "x-forwarded-proto": "http",
            "x-forwarded-host": "localhost:8000", "via": f"1.1 tremolo-{site.port}"}

    with_dev_server(test)


def test_fields_of_the_answers_connection_stay():
    async def test(site, dev):
        response, _ = await ask(site, "/x")
        assert response["x-of"] == "dev-server"
        for name in ("keep-alive", "x-hop", "connection", "transfer-encoding"):
            assert name not in response

    with_dev_server(test)


def test_a_redirect_to_itself_stays_with_us():
    async def test(site, dev):
        response, _ = await ask(site, "/away")
        assert (response.status, response["location"]) == (302, "/there?x")

    with_dev_server(test)


@pytest.mark.parametrize(("target", "method", "status"), [("/x", "HEAD", 200),
                                                          ("/empty", "GET", 304)])
def test_answers_without_a_body(target, method, status):
    async def test(site, dev):
        client = await site.connect()
        with contextlib.closing(client):
            for _ in range(2):  # and the connection goes on
                await client.send(f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"
                                  .encode())
                assert (await client.response(method.encode())).status == status

    with_dev_server(test)


def test_an_answer_streams():
    async def test(site, dev):
        client = await site.connect()
        with contextlib.closing(client):
            await client.send(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await client.line(b"\r\n\r\n")
            assert await client.need(10) == b"5\r\nfirst\r\n"
            dev.release.set()
            assert await client.need(11) == b"6\r\nsecond\r\n"

    with_dev_server(test)


def test_a_slow_client_holds_the_other_server_back():
    async def test(site, dev):
        client = await site.connect(receive_buffer=4096)
        await client.send(b"GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await client.line(b"\r\n\r\n")
        before = -1
        while before != dev.sent:  # until it stands
            before = dev.sent
            await asyncio.sleep(0.1)
        assert site.connection.outbox.size < 1024 * 1024
        assert dev.sent < 16 * 1024 * 1024
        client.reset()
        await within(dev.left.wait())

    with_dev_server(test)


def test_an_upload_streams_in_chunks():
    async def test(site, dev):
        client = await site.connect()
        with contextlib.closing(client):
            await client.send(b"POST /x HTTP/1.1\r\nHost: localhost\r\n"
                              b"Transfer-Encoding: chunked\r\n\r\n")
            for _ in range(3):
                await client.send(b"4\r\nabcd\r\n")
                await asyncio.sleep(0)
            await client.send(b"0\r\n\r\n")
            assert json.loads((await client.response()).body)["size"] == 12

    with_dev_server(test)


def test_a_client_that_leaves_in_the_middle_of_its_body_leaves_nothing_behind():
    async def test(site, dev):
        client = await site.connect()
        await client.send(b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx")
        await until(lambda: site.server.connections and site.connection.current is not None)
        client.reset()
        await until(lambda: not site.server.tasks)
        assert (await ask(site, "/y"))[0].status == 200

    with_dev_server(test)


def test_rows_name_who_answered():
    async def test(site, dev):
        await ask(site, "/x")
        [exchange] = site.server.recent
        assert (exchange.proxied, exchange.route) == (dev.url, "/*")

    with_dev_server(test)


def test_what_leads_back_to_this_server_ends():
    async def main():
        port = free_port()
        async with proxying(knows_nothing, {"/": f"http://127.0.0.1:{port}"}) as site:
            relay = await asyncio.start_server(
                lambda reader, writer: _relay(reader, writer, site.port), "127.0.0.1", port)
            response, _ = await ask(site, "/x")
            assert response.status == 508
            relay.close()
            await relay.wait_closed()

    run(main, "plain")


async def _relay(reader, writer, port):
    theirs, ours = await asyncio.open_connection("127.0.0.1", port)
    ours.write(await reader.readuntil(b"\r\n\r\n"))
    writer.write(await theirs.read(1000))
    await writer.drain()
    writer.close()
    ours.close()


# -- when nobody answers --------------------------------------------------------------------


COMPANIONS = {"web": {"command": "npm run dev", "folder": ""}}


@pytest.mark.parametrize(("options", "said"), [
    ({}, 'Start it, for example with "npm run dev"'),
    ({"companions": COMPANIONS}, "[tool.tremolo.run] starts web (npm run dev): see the log"),
], ids=["alone", "companion"])
def test_a_server_that_is_down_is_named_with_what_to_do(options, said, caplog):
    async def main():
        url = f"http://127.0.0.1:{free_port()}"
        async with proxying(knows_nothing, {"/": url}, **options) as site:
            response, _ = await ask(site, "/x", fields="Accept: text/html\r\n")
            assert response.status == 502
            assert f"{url} does not answer: Connection refused" in response.body.decode()
            assert "The application has no route for /x" in response.body.decode()
            assert response["refresh"] == "2"
            response, _ = await ask(site, "/x")
            assert said in response.body.decode()
            assert response["content-type"].startswith("text/plain")
            async with dev_server(int(url.rpartition(":")[2])):
                assert (await ask(site, "/x"))[0].status == 200

    run(main, "plain")
    [record] = [record for record in caplog.records if record.name == LOG.name]
    assert said in record.getMessage(), "once, not for each request"


def test_others_are_not_told_which_server_is_down():
    async def main():
        async with proxying(knows_nothing, {"/": f"http://127.0.0.1:{free_port()}"}) as site:
            response, _ = await ask(site, "/x", fields="Forwarded: for=1.2.3.4\r\n")
            assert (response.status, response.body) == (502, b"Bad Gateway\n")

    run(main, "plain")


def test_an_answer_that_breaks_off_does_not_look_whole():
    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await writer.drain()
        writer.close()

    async def main():
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with proxying(knows_nothing, {"/": url}) as site:
            with pytest.raises((EOFError, ConnectionResetError)):
                await ask(site, "/x")
        server.close()
        await server.wait_closed()

    run(main, "plain")


@pytest.mark.parametrize("garbage", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nA"],
                         ids=["nothing", "no-http", "half-a-head"])
def test_what_is_no_answer_is_a_502(garbage):
    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(garbage)
        await writer.drain()
        writer.close()

    async def main():
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with proxying(knows_nothing, {"/": url}) as site:
            assert (await ask(site, "/x"))[0].status == 502
        server.close()
        await server.wait_closed()

    run(main, "plain")


# -- WebSockets -----------------------------------------------------------------------------


@pytest.mark.parametrize("make", FRAMEWORKS)
def test_websockets_without_a_route_go_on(make):
    kind, app = make()

    async def test(site, dev):
        async with connect(f"ws://127.0.0.1:{site.port}/?token=1", subprotocols=[
                "vite-hmr"], proxy=None) as client:
            assert client.subprotocol == "vite-hmr"
            await client.send("hello")
            assert await within(client.recv()) == "echo hello"
            data = pattern(300_000)
            await client.send(data)
            assert await within(client.recv()) == data[::-1]

    with_dev_server(test, app, kind=kind)


def test_websockets_of_the_application_stay():
    pytest.importorskip("fastapi")
    from fastapi import FastAPI, WebSocket

    app = FastAPI()

    @app.websocket("/own")
    async def own(websocket: WebSocket):
        await websocket.accept()
        await websocket.send_text("own")
        await websocket.close()

    async def test(site, dev):
        async with connect(f"ws://127.0.0.1:{site.port}/own", proxy=None) as client:
            assert await within(client.recv()) == "own"

    with_dev_server(test, app)


def test_an_application_that_raises_for_websockets_is_not_in_the_way(caplog):
    async def test(site, dev):  # `knows_nothing` asserts that there are none
        async with connect(f"ws://127.0.0.1:{site.port}/", proxy=None) as client:
            await client.send("x")
            assert await within(client.recv()) == "echo x"
        assert not caplog.records

    with_dev_server(test)


def test_where_nobody_takes_the_websocket_the_applications_exception_is_told(caplog):
    async def main():
        async with proxying(knows_nothing, {"/": f"http://127.0.0.1:{free_port()}"}) as site:
            with pytest.raises(InvalidStatus) as caught:
                await connect(f"ws://127.0.0.1:{site.port}/", proxy=None)
            assert caught.value.response.status_code == 500

    run(main, "plain")
    assert "AssertionError" in caplog.text


def test_close_codes_pass_both_ways():
    async def test(site, dev):
        async with connect(f"ws://127.0.0.1:{site.port}/", proxy=None) as client:
            await client.send("close")
            await within(client.wait_closed())
            assert (client.close_code, client.close_reason) == (4001, "as asked")

    with_dev_server(test)

    async def other_way(site, dev):
        async with connect(f"ws://127.0.0.1:{site.port}/", proxy=None) as client:
            await client.close(4002)
        assert await within(dev.closed) == 4002

    with_dev_server(other_way)


def test_a_websocket_that_the_other_server_refuses_is_refused():
    async def test(site, dev):
        with pytest.raises(InvalidStatus) as caught:
            await connect(f"ws://127.0.0.1:{site.port}/refused", proxy=None)
        assert caught.value.response.status_code == 403

    with_dev_server(test)


def test_a_websocket_of_another_sites_page_is_refused_before_that():
    async def test(site, dev):
        with pytest.raises(InvalidStatus) as caught:
            await connect(f"ws://127.0.0.1:{site.port}/", origin="http://evil.example",
                          proxy=None)
        assert caught.value.response.status_code == 403
        assert not dev.closed.done()

    with_dev_server(test)
