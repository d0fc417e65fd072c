"""The template of a request's route, and where its handler is."""

import logging
from functools import partial

import pytest

from tests.support.serving import run, serving_asgi, until
from tremolo.insight.endpoints import endpoint_of
from tremolo.insight.insight import Insight
from tremolo.insight.record import Record, running
from tremolo.net.throttling.table import ThrottleTable
from tremolo.telemetry.templates import grouped, readable
from tremolo.testing import Client
from tremolo.throttle import Throttle

TEMPLATES = {
    "starlette": ("/ok/{n:int}", "/below/{who}/again/things/{n:int}"),
    "fastapi": ("/ok/{n}", "/below/{who}/again/things/{n}"),
    "litestar": ("/ok/{n}", "/below/{who}/again/things/{n}"),
    "quart": ("/ok/<int:n>", "/below/<who>/again/things/<int:n>"),
    "flask": ("/ok/<int:n>", "/below/<who>/again/things/<int:n>"),
    "django_asgi": ("/ok/<int:n>", "/below/<who>/again/things/{n}"),
    "django_wsgi": ("/ok/<int:n>", "/below/<who>/again/things/{n}"),
    "native": ("/ok/{n}", "/below/{who}/again/things/{n}"),
}


def test_every_row_names_the_template_of_its_route(driven):
    plain, below = TEMPLATES[driven.name]
    for target, (kind, _) in driven.targets.items():
        wanted = below if kind == "below" else plain.replace("/ok/", f"/{kind}/")
        assert driven.rows[target]["route"] == wanted


def test_rows_name_the_function_that_answers(driven):
    for kind, function in (("many", "many"), ("later", "later")):
        for _, row in driven.rows_of(kind):
            endpoint = row["endpoint"]
            assert endpoint["name"].rpartition(".")[2] == function
            with open(endpoint["file"]) as file:
                lines = file.read().split("\n")[endpoint["line"] - 1:]
            assert any(f"def {function}(" in line for line in lines[:3])


def test_a_throttle_may_be_scoped_by_any_template(driven):
    for target in driven.targets:
        table = ThrottleTable()
        table.set(driven.rows[target]["route"], Throttle(download=1000.0), 0.0)
        assert table.resolve(1, target.encode()) is not None
        assert table.resolve(1, b"/elsewhere") is None


@pytest.mark.parametrize(("path", "template"), [
    ("/users/17/posts/3?page=2", "/users/{int}/posts/{int}"),
    ("/d/6f9619ff-8b86-d011-b42d-00cf4fc964ff", "/d/{uuid}"),
    ("/blob/5f4dcc3b5aa765d6", "/blob/{hex}"),
    ("/s/dQw4w9WgXcQ123abcd", "/s/{id}"),
    ("/v1/items", "/v1/items"),
    ("/posts/a-title-of-2024-with-words", "/posts/a-title-of-2024-with-words"),
    ("/static/app.8.js", "/static/app.8.js"),
    ("/", "/"),
])
def test_paths_without_a_template_are_grouped_by_their_identifiers(path, template):
    assert grouped(path) == template


@pytest.mark.parametrize(("expression", "template"), [
    (r"^/page/(?P<number>\d+)$", "/page/{number}"),
    (r"/^items/(?P<pk>[0-9]+)/$", "/items/{pk}/"),
    (r"^/a/(\w+)/b$", "/a/{1}/b"),
    (r"^/a/\d{2,3}/[a-z]+$", "/a/{1}/{2}"),
    (r"^/re/(?P<a>(x|y)\d)/end\.html$", "/re/{a}/end.html"),
    (r"^/files/.*", "/files/*"),
    ("/items/{id:int}", "/items/{id:int}"),
])
def test_a_route_that_is_an_expression_is_read_as_a_template(expression, template):
    assert readable(expression) == template


def rows_of(app, *paths):
    """The rows of requests for `paths` of `app`, an ASGI application."""
    rows = []

    async def main():
        async with serving_asgi(app) as site:
            insight = Insight(logging.getLogger("tests"))
            insight.serve(site.server)
            insight.watch(1)
            try:
                for path in paths:
                    client = await site.connect()
                    await client.send(b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % path)
                    await client.line(b"\r\n\r\n")
                    client.close()
                    await until(lambda: not site.server.tasks)
                rows.extend(insight.row(id, 200, True, 0.0) for id in list(insight._records))
            finally:
                insight.watch(0)

    run(main)
    return rows


def test_what_an_endpoint_asks_of_its_own_application_is_not_the_route_of_the_request():
    httpx = pytest.importorskip("httpx")
    applications = pytest.importorskip("starlette.applications")
    from starlette.responses import PlainTextResponse
    from starlette.routing import Mount, Route

    async def outer(request):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            return PlainTextResponse((await client.get("/below/inner/1")).text)

    async def inner(request):
        return PlainTextResponse("inner")

    app = applications.Starlette(routes=[
        Route("/outer/{n}", outer), Mount("/below", routes=[Route("/inner/{n}", inner)])])
    outside, within = rows_of(app, b"/outer/1", b"/below/inner/2")
    assert (outside["route"], within["route"]) == ("/outer/{n}", "/below/inner/{n}")
    assert outside["endpoint"]["name"].endswith("outer")


def test_what_an_endpoint_of_ours_asks_of_its_own_application_is_not_the_route_of_the_request():
    from tremolo import Application

    app, record = Application(), Record(1, "GET")

    @app.route("/outer")
    async def outer():
        async with Client(app) as client:
            return (await client.get("/inner")).text

    @app.route("/inner")
    async def inner():
        return "inner"

    async def main():
        token = running.set(record)
        async with Client(app) as client:
            assert (await client.get("/outer")).text == "inner"
        running.reset(token)

    insight = Insight(logging.getLogger("tests"))
    insight.watch(1)
    run(main)
    insight.watch(0)
    row = record.row()
    assert row["route"] == "/outer" and row["endpoint"]["name"].endswith(".outer")


def test_an_application_that_was_mounted_answers_by_its_call_and_not_by_what_it_calls_get():
    class Application:
        def get(self, path):
            """As those of frameworks that make routes by methods of these names."""

        async def __call__(self, scope, receive, send):
            """Answer."""

    assert endpoint_of(Application(), "GET")["name"].endswith("Application.__call__")
    assert endpoint_of(Application, "GET")["name"].endswith("Application.get")


class Controller:
    def answer(self):
        """Of a controller's, that runs in a thread."""


@pytest.mark.parametrize("function", [
    Controller().answer, partial(Controller().answer), Controller.answer], ids=[
    "bound", "partial", "function"])
def test_a_function_that_was_made_asynchronous_answers_and_not_what_makes_it_so(function):
    class Asynchronous:
        """As Litestar's."""

        def __init__(self, func):
            self.func = func

        def __call__(self):
            """Run it in a thread."""

    for target in (function, Asynchronous(function)):
        assert endpoint_of(target, "GET")["name"].endswith("Controller.answer")
