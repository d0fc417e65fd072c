"""What programs written for earlier versions find, though it means less now
(docs/api.md sections 2, 3, 5, 7): names and layouts that are there, and behave."""

import asyncio

import pytest

from tests.app.serving import get, handler, serve
from tremolo import Tremolo
from tremolo.protocol.conditional import parse_http_date


async def one(**server):
    return "one"


async def two(**server):
    return "two"


def table():
    app = Tremolo()
    app.add_route(one, "/a/b")
    app.add_route(two, "/a/c", rate=5)
    app.add_route(one, "^/x")
    return app.routes


def test_routes_are_a_mapping_with_the_earlier_layout():
    routes = table()
    assert set(routes) == {0, 1, -1, b"\x02a"}
    assert len(routes) == 4 and b"\x02a" in routes and b"\x01z" not in routes
    assert routes.get(b"\x01z") is None
    assert [entry[1] for entry in routes[b"\x02a"]] == [one, two]
    assert routes[b"\x02a"][1][2] == {"rate": 5} and routes[b"\x02a"][1][3] == {}
    assert [entry[1] for entry in routes[-1]] == [one]


@pytest.mark.parametrize("url, found", [
    (b"/a/b", True), (b"//a/b/", True), (b"/a/b?x=1", True), (b"/a/bc", False)])
def test_patterns_of_literals_are_searched_in_the_url(url, found):
    pattern = table()[b"\x02a"][0][0]
    assert bool(pattern.search(url)) is found


def test_the_error_entries_are_indexed_by_code_and_the_index_is_a_list():
    app = Tremolo()
    app.error(404, one)
    assert len(app.routes[0]) == 112
    assert [entry[0] for entry in app.routes[0]] == list(range(400, 512))
    assert app.routes[0][4][1] is one
    assert len(app.routes[1]) == 1
    app.add_route(two)
    assert app.routes[1][0][1] is two


def test_routes_that_were_moved_are_empty():
    app, sub = Tremolo(), Tremolo()
    sub.add_route(one, "/a")
    app.mount("/sub", sub)
    assert not sub.routes and len(sub.routes) == 0 and list(sub.routes) == []


def test_compile_has_nothing_to_do():
    routes = table()
    routes.compile()
    routes.compile(executor=None)
    assert routes.find(b"/a/b", b"/a/b")[0].func is one


def test_there_is_a_manager_attribute():
    assert Tremolo().manager is None


def test_next_is_the_place_in_the_list_of_middlewares():
    app = Tremolo()
    seen = []

    for name in "request", "response":
        for number in range(2):
            async def note(name=name, next=None, number=number):
                seen.append((name, next))
            app.add_middleware(note, name)

    @app.route("/")
    async def show(next):
        seen.append(("handler", next))
        return "x"

    assert get(app, "/").status == 200
    assert seen == [("request", 0), ("request", 1), ("handler", 2), ("response", 1),
                    ("response", 0)]


def test_server_date_is_now():
    async def show(globals):
        assert globals.info.get("server_date") == globals.info["server_date"]
        assert globals.info["server_name"] == b"Tremolo"
        return globals.info["server_date"]

    response = get(handler(show), "/")
    shown, sent = parse_http_date(response.body), parse_http_date(
        response.header("date").encode())
    assert abs(shown - sent) <= 2


def test_internals_of_requests_are_there():
    async def show(request, response):
        assert request.protocol.queue is None
        other = request.create_response()
        assert type(other) is type(response) and other.request is request
        request.handler_exit()
        return request.method

    assert get(handler(show), "/").text == "GET"


def test_a_handler_that_keeps_the_connection_ends_with_its_response():
    ended = []

    async def show(request, response):
        async def later():
            await asyncio.sleep(0)
            await response.write(b"late")
            ended.append(response._exchange.task.done())
            await response.write(b"")

        request.server.create_task(later())
        return True

    async def scenario(client):
        connection = client.connect()
        connection.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        connection.send_eof()
        answer = await connection.receive_all()
        for _ in range(10):  # turns of the loop, no time
            await asyncio.sleep(0)
        assert not client.server.tasks
        return answer

    answer = serve(handler(show), scenario)
    assert answer.endswith(b"4\r\nlate\r\n0\r\n\r\n") and ended == [False]
