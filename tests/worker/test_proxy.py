"""Which requests other servers answer: `[tool.tremolo.proxy]`."""

import asyncio
import hashlib

import pytest

pytest.importorskip("aiohttp")

from tests.support.dev_server import dev_server
from tests.support.proxying import LOG, ask, knows_nothing, proxying, with_dev_server
from tests.support.serving import pattern, run, serving
from tremolo.config import Settings
from tremolo.exceptions import ConfigurationError
from tremolo.upstreams import upstreams
from tremolo.worker.application import Loaded, make_adapter
from tremolo.worker.browser import Browser
from tremolo.worker.guard import exchange_kind
from tremolo.worker.proxy import proxied

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
