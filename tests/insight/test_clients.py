"""Test clients of frameworks, where requests are looked into: they get what they get alone."""

import asyncio
import warnings

import pytest

from tests.insight.test_queries import Log
from tremolo.insight.insight import Insight
from tremolo.insight.record import Record, running


def by_starlette():
    pytest.importorskip("httpx")
    starlette = pytest.importorskip("starlette.applications")
    from starlette.responses import PlainTextResponse
    from starlette.routing import Mount, Route
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from starlette.testclient import TestClient

    def item(request):
        return PlainTextResponse("item " + request.path_params["n"])

    def fail(request):
        raise LookupError("broken")

    app = starlette.Starlette(routes=[
        Mount("/shop", routes=[Route("/items/{n}", item)]), Route("/fail", fail)])
    with TestClient(app) as client:
        answers = [client.get("/shop/items/1"), client.get("/nowhere")]
        with pytest.raises(LookupError, match="broken"):
            client.get("/fail")
    return [(answer.status_code, answer.text, list(answer.headers.items()))
            for answer in answers]


def by_flask():
    flask = pytest.importorskip("flask")
    app = flask.Flask(__name__)
    app.add_url_rule("/items/<n>", "item", lambda n: f"item {n}")

    @app.get("/fail")
    def fail():
        raise LookupError("broken")

    client = app.test_client()
    answers = [client.get("/items/1"), client.get("/nowhere"), client.get("/fail")]
    app.testing = True
    with pytest.raises(LookupError, match="broken"):
        client.get("/fail")
    return [(answer.status_code, answer.data, list(answer.headers)) for answer in answers]


def by_quart():
    quart = pytest.importorskip("quart")
    app = quart.Quart(__name__)

    @app.get("/items/<n>")
    async def item(n):
        return f"item {n}"

    @app.get("/fail")
    async def fail():
        raise LookupError("broken")

    async def main():
        client = app.test_client()
        answers = [await client.get(path) for path in ("/items/1", "/nowhere", "/fail")]
        return [(answer.status_code, await answer.get_data(), list(answer.headers))
                for answer in answers]

    return asyncio.run(main())


def by_litestar():
    litestar = pytest.importorskip("litestar")
    from litestar.testing import TestClient

    @litestar.get("/items", sync_to_thread=False)
    def item() -> str:
        return "item"

    @litestar.get("/fail", sync_to_thread=False)
    def fail() -> str:
        raise LookupError("broken")

    with TestClient(litestar.Litestar([item, fail]), raise_server_exceptions=False) as client:
        answers = [client.get(path) for path in ("/items", "/nowhere", "/fail")]
    return [(answer.status_code, answer.text, list(answer.headers.items()))
            for answer in answers]


def by_django():
    django = pytest.importorskip("django")
    from django.conf import settings

    if not settings.configured:
        settings.configure(SECRET_KEY="of a test")  # pages about errors ask for it
    django.setup()
    from django.http import HttpResponse
    from django.test import AsyncClient, Client, override_settings
    from django.urls import path

    def item(request, n):
        return HttpResponse(f"item {n}", headers={"X-Item": n})

    def fail(request):
        raise LookupError("broken")

    urls = type(django)("urls_of_tests")
    urls.urlpatterns = [path("items/<int:n>", item), path("fail", fail)]

    async def asynchronous():
        client = AsyncClient(raise_request_exception=False)
        return [await client.get(each) for each in ("/items/1", "/nowhere", "/fail")]

    with override_settings(ROOT_URLCONF=urls, ALLOWED_HOSTS=["*"], DEBUG=False):
        with pytest.raises(LookupError, match="broken"):
            Client().get("/fail")
        client = Client(raise_request_exception=False)
        answers = [client.get(each) for each in ("/items/1", "/nowhere", "/fail")]
        answers += asyncio.run(asynchronous())
        matched = [answer.resolver_match.route for answer in answers
                   if answer.status_code != 404]
    return matched, [(answer.status_code, answer.content, list(answer.headers.items()),
                      type(answer.exc_info and answer.exc_info[1])) for answer in answers]


@pytest.mark.parametrize("drive", [by_starlette, by_flask, by_quart, by_litestar, by_django])
def test_a_test_client_gets_the_same_watched_as_alone(drive):
    alone = drive()
    insight = Insight(Log(), is_project=lambda path: path == __file__)
    insight.watch(2)
    token = running.set(Record(1, "GET"))
    try:
        assert drive() == alone
    finally:
        running.reset(token)
        insight.watch(0)
    assert drive() == alone
