"""The template of a request's route, and where its handler is."""

import pytest

from tremolo.net.throttling.table import ThrottleTable
from tremolo.telemetry.templates import grouped, readable
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
