"""docs/api.md section 3: which handler answers which target."""

import sys
import types

import pytest

from tests.app.serving import get, handler, serve
from tremolo import Tremolo
from tremolo.app.routing import Routes


async def page():
    return "found"


@pytest.mark.parametrize("target", [
    pytest.param("/a/b", id="as registered"),
    pytest.param("//a/b", id="any number of leading slashes"),
    pytest.param("/a/b/", id="a trailing slash"),
    pytest.param("/a/b///", id="several trailing slashes"),
    pytest.param("/a/b?x=/", id="a query string"),
    pytest.param("/a/%62", id="percent-encoded"),
])
def test_a_literal_matches(target):
    assert get(handler(page, "/a/b"), target).text == "found"


@pytest.mark.parametrize("route, target", [
    pytest.param("/a.b", "/axb", id="a dot is a dot"),
    pytest.param("/a", "/a/b", id="no prefix match"),
    pytest.param("/a/b", "/a%2Fb", id="an encoded slash is no slash"),
    pytest.param("/a+", "/aa", id="a plus is a plus"),
    pytest.param("/a", "/A", id="case counts"),
])
def test_a_literal_does_not_match(route, target):
    assert get(handler(page, route), target).status == 404


@pytest.mark.parametrize("route, target", [
    pytest.param("/caf\u00e9", "/caf%C3%A9", id="UTF-8"),
    pytest.param("/a b", "/a%20b", id="space"),
    pytest.param("/a%20b", "/a%20b", id="registered encoded"),
    pytest.param(b"/bytes", "/bytes", id="bytes"),
])
def test_a_literal_beyond_ascii_matches_its_encoded_form(route, target):
    assert get(handler(page, route), target).text == "found"


@pytest.mark.parametrize("route, target, found", [
    ("^/x", "/xyz?q", True),
    ("^/x", "/ax", False),
    (r"\.png$", "/a/b.png", True),
    (r"\.png$", "/a/b.png?size=1", True),
    (r"\.png$", "/a/b.png.txt", False),
    (r"^/item\?id=\d+$", "/item?id=12", True),
    (r"^/%41$", "/%41", True),
    (r"^/%41$", "/A", False),
])
def test_a_regular_expression_is_searched_in_the_undecoded_target(route, target, found):
    assert (get(handler(page, route), target).status == 200) is found


def test_the_index_answers_503_until_it_is_set(caplog):
    app = Tremolo()
    with caplog.at_level("INFO"):
        response = get(app, "/")
    assert "GET /: 503 Service Unavailable" in caplog.messages
    assert (response.status, response.text) == (503, "Service Unavailable")
    app.add_route(page)
    assert get(app, "/").text == "found"
    assert get(app, "//?x").text == "found"


def test_a_pattern_may_be_the_index():
    assert get(handler(page, "^/$"), "/").text == "found"


def test_literals_come_before_patterns_and_the_last_registered_wins():
    app = Tremolo()

    def add(path, text):
        async def named():
            return text

        app.add_route(named, path)

    add("^/a$", "pattern 1")
    add("^/.$", "pattern 2")
    add("/a", "literal 1")
    add("/a", "literal 2")

    async def scenario(client):
        assert (await client.get("/a")).text == "literal 2"
        assert (await client.get("/b")).text == "pattern 2"

    serve(app, scenario)


def test_named_groups_are_arguments_and_params_path():
    async def show(request, year, month, day=b"-"):
        assert request.params.path == {"year": year, "month": None}
        return b"%s %r %s" % (year, month, day)

    response = get(handler(show, r"^/(?P<year>\d{4})(?:/(?P<month>\d\d))?$"), "/2024")
    assert response.text == "2024 None -"


def test_groups_without_names_are_a_tuple():
    async def show(request):
        return b"+".join(request.params.path)

    assert get(handler(show, r"^/(\w)(\w)$"), "/xy").text == "x+y"


def test_a_group_named_as_a_server_object_is_ignored():
    async def show(request, app):
        return type(app).__name__

    assert get(handler(show, r"^/(?P<app>\w+)$"), "/x").text == "Tremolo"


def test_nothing_found_is_404():
    assert get(Tremolo(), "/none").status == 404


def test_options_star_is_404():
    async def scenario(client):
        return await client.raw(b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")

    assert serve(handler(page, "/*"), scenario).startswith(b"HTTP/1.1 404 ")


def test_a_broken_pattern_is_refused_at_registration():
    with pytest.raises(ValueError, match="not a regular expression"):
        Tremolo().add_route(page, "^/(")


# -- views ------------------------------------------------------------------------------------


class Greeting:
    def __init__(self, word="hi"):
        self.word = word
        self.seen = 0

    async def get(self, request):
        self.seen += 1
        return f"{self.word} {self.seen}"

    async def post(self, **server):
        return await server["request"].body()

    def delete(self):
        return "gone"

    async def _get(self):
        return "private"


def test_a_class_is_a_view_with_a_fresh_instance_for_each_request():
    app = Tremolo()
    app.add_route(Greeting, "/g", word="hello")

    async def scenario(client):
        assert (await client.get("/g")).text == "hello 1"
        assert (await client.get("/g")).text == "hello 1"
        assert (await client.post("/g", body="echo")).text == "echo"
        assert (await client.request("DELETE", "/g")).text == "gone"

    serve(app, scenario)


def test_a_view_answers_other_methods_with_405_and_allow():
    app = Tremolo()
    app.route("/g")(Greeting)
    response = get(app, "/g", method="PUT")
    assert (response.status, response.text) == (405, "Method Not Allowed")
    assert response.header("allow") == "DELETE, GET, POST"


def test_a_view_answers_head_as_get():
    app = Tremolo()
    app.route("/g")(Greeting)
    response = get(app, "/g", method="HEAD")
    assert (response.status, response.body) == (200, b"")
    assert response.header("content-length") == "4"


def test_methods_of_a_base_in_another_module_do_not_count():
    base = type("Base", (), {"put": lambda self: "x", "__module__": "elsewhere"})
    view = type("View", (base,), {"get": lambda self: "y", "__module__": __name__})
    app = Tremolo()
    app.add_route(view, "/v")
    assert get(app, "/v", method="PUT").status == 405
    assert get(app, "/v").text == "y"


def test_a_module_is_a_view():
    module = types.ModuleType("some_view")
    exec("async def get(request):\n return 'got'\nfrom os.path import join as post",
         module.__dict__)
    sys.modules["some_view"] = module
    app = Tremolo()
    app.add_route(module, "/m")
    assert get(app, "/m").text == "got"
    response = get(app, "/m", method="POST")
    assert (response.status, response.header("allow")) == (405, "GET")


def test_a_class_without_methods_is_refused():
    with pytest.raises(TypeError, match="no method"):
        Tremolo().add_route(type("Empty", (), {}), "/")


def test_a_plain_function_gets_every_method():
    async def show(request):
        return request.method

    async def scenario(client):
        for method in ("GET", "POST", "OPTIONS", "FOO"):
            assert (await client.request(method, "/")).text == method

    serve(handler(show), scenario)


def test_route_returns_what_it_decorates():
    app = Tremolo()
    assert app.route("/x")(page) is page
    assert app.route("/y")(Greeting) is Greeting


def test_routes_add_registers_too():
    routes = Routes()
    routes.add(page, "/x", {"status": (201, b"Made")})
    route, match = routes.find(b"/x", b"/x")
    assert route.options == {"status": (201, b"Made")} and match is None
