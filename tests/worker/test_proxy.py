"""Requests and WebSockets that other servers answer: `[tool.tremolo.proxy]`."""

import asyncio
import contextlib
import hashlib
import json
import logging

import pytest

pytest.importorskip("aiohttp")

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.support.dev_server import dev_server, free_port
from tests.support.serving import pattern, run, serving, until
from tests.support.wire import within
from tremolo.config import Settings
from tremolo.exceptions import ConfigurationError
from tremolo.insight.insight import Insight
from tremolo.upstreams import upstreams
from tremolo.worker.application import Loaded, make_adapter
from tremolo.worker.browser import Browser
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
            insight.serve(site.server, asgi=bare if kind == "asgi" else None)
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


# -- which requests go on -------------------------------------------------------------------


def starlette():
    pytest.importorskip("starlette")
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.responses import PlainTextResponse
    from starlette.routing import Mount, Route

    async def page(request):
        return PlainTextResponse("known")

    async def missing(request):
        raise HTTPException(404, "no such item")

    return "asgi", Starlette(routes=[
        Route("/page", page), Route("/missing", missing),
        Mount("/mounted", Starlette(routes=[Route("/page", page)]))])


def fastapi():
    pytest.importorskip("fastapi")
    from fastapi import FastAPI, HTTPException

    app = FastAPI()

    @app.get("/page")
    async def page():
        return "known"

    @app.get("/missing")
    async def missing():
        raise HTTPException(404, "no such item")

    return "asgi", app


def litestar():
    pytest.importorskip("litestar")
    from litestar import Litestar, get
    from litestar.exceptions import NotFoundException

    @get("/page")
    async def page() -> str:
        return "known"

    @get("/missing")
    async def missing() -> str:
        raise NotFoundException("no such item")

    return "asgi", Litestar([page, missing])


def quart():
    pytest.importorskip("quart")
    from quart import Quart, abort

    app = Quart(__name__)

    @app.get("/page")
    async def page():
        return "known"

    @app.get("/missing")
    async def missing():
        abort(404, "no such item")

    return "asgi", app


def flask():
    pytest.importorskip("flask")
    from flask import Flask, abort

    app = Flask(__name__)

    @app.get("/page")
    def page():
        return "known"

    @app.get("/missing")
    def missing():
        abort(404, "no such item")

    return "wsgi", app


def native():
    from tremolo.app import Application
    from tremolo.exceptions import NotFound

    app = Application()

    @app.route("/page")
    async def page(**server):
        return "known"

    @app.route("/missing")
    async def missing(**server):
        raise NotFound("no such item")

    return "native", app


FRAMEWORKS = [pytest.param(make, id=make.__name__)
              for make in (starlette, fastapi, litestar, quart, flask, native)]


@pytest.mark.parametrize("make", FRAMEWORKS)
def test_paths_without_a_route_go_on_and_the_404_of_a_handler_stays(make):
    kind, app = make()

    async def test(site, dev):
        response, told = await ask(site, "/page")
        assert (response.status, told) == (200, None)
        assert b"known" in response.body
        response, told = await ask(site, "/missing")
        assert (response.status, told) == (404, None)
        assert b"no such item" in response.body
        for target in ("/", "/src/main.ts?t=1"):
            response, told = await ask(site, target)
            assert (response.status, told["target"]) == (200, target)
        body = pattern(50_000)
        response, told = await ask(site, "/submit", "POST", "Content-Length: 50000\r\n", body)
        assert told["digest"] == hashlib.sha256(body).hexdigest()

    with_dev_server(test, app, kind=kind)


def test_what_is_below_a_mount_is_the_applications():
    _, app = starlette()

    async def test(site, dev):
        assert (await ask(site, "/mounted/nothing"))[0].status == 404

    with_dev_server(test, app)


def test_a_prefix_goes_on_without_asking_the_application():
    asked = []

    async def app(scope, receive, send):
        asked.append(scope["path"])
        await knows_nothing(scope, receive, send)

    async def test(site, dev):
        assert (await ask(site, "/assets/a.js"))[1]["target"] == "/assets/a.js"
        assert (await ask(site, "/assets"))[1]["target"] == "/assets"
        assert asked == []
        assert (await ask(site, "/assetsx"))[0].status == 404
        assert asked == ["/assetsx"]

    with_dev_server(test, app, "/assets")


def test_the_longest_prefix_wins():
    async def main():
        async with dev_server() as one, dev_server() as two, proxying(
                knows_nothing, {"/": one.url, "/a": one.url, "/a/b": two.url + "/base"}) as site:
            assert (await ask(site, "/a/b/c"))[1]["target"] == "/base/a/b/c"
            assert (await ask(site, "/a/c"))[1]["target"] == "/a/c"

    run(main, "plain")


def test_other_answers_than_404_stay():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 403, "headers": []})
        await send({"type": "http.response.body", "body": b"no"})

    async def test(site, dev):
        response, _ = await ask(site, "/x")
        assert (response.status, response.body) == (403, b"no")

    with_dev_server(test, app)


def test_a_body_that_the_application_has_read_goes_on_whole():
    async def app(scope, receive, send):
        while (await receive()).get("more_body"):
            pass
        await knows_nothing(scope, receive, send)

    async def test(site, dev):
        body = pattern(900_000)
        _, told = await ask(site, "/x", "POST", f"Content-Length: {len(body)}\r\n", body)
        assert told["digest"] == hashlib.sha256(body).hexdigest()
        body = pattern(1_100_000)  # more than is kept: the answer stays
        response, told = await ask(site, "/x", "POST", f"Content-Length: {len(body)}\r\n", body)
        assert (response.status, told) == (404, None)

    with_dev_server(test, app)


def test_what_an_application_does_after_its_404_is_its_own_business():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 404,
                    "headers": [(b"content-length", b"1")]})
        await send({"type": "http.response.body", "body": b"too long", "more_body": True})
        await send({"type": "http.response.body", "body": b"too long"})

    async def test(site, dev):
        assert (await ask(site, "/x"))[0].status == 200

    with_dev_server(test, app)


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
        await until(lambda: site.connection.current is not None)
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


# -- what may stand in pyproject.toml -------------------------------------------------------


@pytest.mark.parametrize(("table", "said"), [
    pytest.param("http://x", "must be a table", id="no-table"),
    pytest.param({"api": "http://x"}, "must be the beginning of a path", id="no-slash"),
    pytest.param({"/*": "http://x"}, "must be the beginning of a path", id="star"),
    pytest.param({"/": "localhost:5173"}, "must be an address such as", id="no-scheme"),
    pytest.param({"/": "http://x:0"}, "must be an address such as", id="port"),
    pytest.param({"/": "http://x:99999"}, "must be an address such as", id="wide-port"),
    pytest.param({"/": 5173}, "must be an address such as", id="number"),
    pytest.param({"/": "http://x/?a"}, "must be an address such as", id="query"),
])
def test_what_is_no_rule_is_refused(table, said):
    with pytest.raises(ConfigurationError) as caught:
        upstreams(table)
    assert said in str(caught.value)


# -- pages that refresh themselves ----------------------------------------------------------


def test_files_that_the_other_server_has_given_are_its_own_matter():
    async def main():
        async with dev_server() as dev:
            settings = Settings(debug=True, lifespan="off", proxy={"/": dev.url})
            bare = make_adapter(Loaded("asgi", knows_nothing, settings, []))
            adapter = proxied(bare, settings, "asgi", knows_nothing, LOG)
            await adapter.startup()
            async with serving(adapter, debug=True) as site:
                site.server.new_exchange = exchange_kind(settings)
                await ask(site, "/src/main.ts?t=1")
            await adapter.shutdown()
            assert adapter.serves("frontend/src/main.ts")
            assert adapter.serves("src/main.ts")
            assert not adapter.serves("shop/main.ts")
            assert not adapter.serves("templates/page.html")

    run(main, "plain")


def test_pages_of_the_other_server_get_no_script_of_ours():
    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
                     b"Content-Length: 13\r\n\r\n<html></html>")
        await writer.drain()
        writer.close()

    async def main():
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with proxying(knows_nothing, {"/": url}) as site:
            settings = Settings(debug=True, reload=True, proxy={"/": url})
            site.server.new_exchange = exchange_kind(settings, Browser("token", 1))
            response, _ = await ask(site, "/x", fields="Sec-Fetch-Dest: document\r\n")
            assert response.body == b"<html></html>"
        server.close()
        await server.wait_closed()

    run(main, "plain")
