"""docs/api.md section 5: middlewares, hooks, mounting."""

import asyncio

import pytest

from tests.app.serving import get, handler, serve
from tremolo import Application, Tremolo
from tremolo.exceptions import MethodNotAllowed


def recorder(app, path="/"):
    """An application that records what runs; its handler records too."""
    seen = []

    @app.route(path)
    async def show():
        seen.append("handler")
        return "body"

    return seen


def note(seen, name, result=None):
    async def middleware(**server):
        seen.append(name)
        return result

    return middleware


# -- order ------------------------------------------------------------------------------------


def test_request_middlewares_run_by_priority_then_in_order_of_registration():
    app = Tremolo()
    seen = recorder(app)
    app.on_request(note(seen, "late"))
    app.on_request(note(seen, "later"))
    app.on_request(priority=1)(note(seen, "first"))
    app.add_middleware(note(seen, "second"), "request", 2)
    assert get(app, "/").text == "body"
    assert seen == ["first", "second", "late", "later", "handler"]


def test_response_middlewares_run_by_priority_then_in_reverse_order_of_registration():
    app = Tremolo()
    seen = recorder(app)
    app.on_response(note(seen, "a"))
    app.on_response(note(seen, "b"))
    app.on_response(priority=1)(note(seen, "urgent a"))
    app.middleware("response", priority=1)(note(seen, "urgent b"))
    get(app, "/")
    assert seen == ["handler", "urgent b", "urgent a", "b", "a"]


# -- results ----------------------------------------------------------------------------------


@pytest.mark.parametrize("result", ["early", b"early", ("early", "latin-1")])
def test_a_request_middleware_that_returns_a_body_answers(result):
    app = Tremolo()
    seen = recorder(app)

    @app.on_request
    async def early(status=(202, b"Early"), content_type="text/plain"):
        return result

    app.on_request(note(seen, "never"))
    app.on_response(note(seen, "response"))
    response = get(app, "/")
    assert (response.status, response.reason, response.text) == (202, "Early", "early")
    assert response.header("content-type") == "text/plain"
    assert seen == ["response"]


def test_a_request_middleware_that_returns_true_takes_the_request_over():
    app = Tremolo()
    seen = recorder(app)

    @app.on_request
    async def take(request, response):
        async def later():
            await response.end("taken")

        request.server.create_task(later())
        return True

    assert get(app, "/").text == "taken"
    assert seen == []


def test_a_request_middleware_that_ends_the_response_answers():
    app = Tremolo()
    seen = recorder(app)

    @app.on_request
    async def end(response):
        await response.end("ended")

    assert get(app, "/").text == "ended"
    assert seen == []


def test_a_request_middleware_may_raise():
    app = Tremolo()
    recorder(app)

    @app.on_request
    async def only_get(request):
        if request.method not in (b"GET", b"HEAD"):
            raise MethodNotAllowed(allow="GET, HEAD")

    response = get(app, "/", method="FOO")
    assert (response.status, response.header("allow")) == (405, "GET, HEAD")


def test_request_middlewares_run_for_unknown_paths():
    app = Tremolo()
    seen = recorder(app)
    app.on_request(note(seen, "request"))
    assert get(app, "/none").status == 404
    assert seen == ["request"]


def test_headers_set_by_a_request_middleware_are_sent():
    app = Tremolo()
    recorder(app)

    @app.on_request
    async def mark(response):
        response.set_header("X-Mark", "1")

    assert get(app, "/").header("x-mark") == "1"
    assert get(app, "/none").header("x-mark") == "1"


def test_a_response_middleware_sees_and_changes_the_head():
    app = Tremolo()

    @app.route("/")
    async def show(content_type="text/plain"):
        return "body"

    @app.on_response
    async def change(response):
        assert response.headers[b"content-type"] == [b"text/plain"]
        assert response.get_status() == (200, b"OK")
        response.set_status(299, "Changed")
        response.set_header("X-Seen", "yes")

    response = get(app, "/")
    assert (response.status, response.reason) == (299, "Changed")
    assert (response.header("x-seen"), response.text) == ("yes", "body")


def answer_in_each_way(app):
    """Routes by what their handlers answer with; those of pieces have two."""
    @app.route("/return")
    async def returns():
        return "x"

    @app.route("/yield")
    async def yields():
        yield b"x"
        yield b"y"

    @app.route("/end")
    async def ends(response):
        await response.end("x")

    @app.route("/write")
    async def writes(response):
        await response.write("x")
        await response.write("y")


@pytest.mark.parametrize("kind", ["return", "yield", "end", "write", "error", "404", "sync"])
def test_response_middlewares_run_for_every_response(kind):
    app = Tremolo()
    seen = []
    app.on_response(note(seen, "response"))

    answer_in_each_way(app)

    @app.route("/error")
    async def fails():
        raise ValueError

    @app.route("/sync")
    def blocks():
        return "x"

    get(app, "/" + kind)
    assert seen == ["response"]


@pytest.mark.parametrize("kind", ["return", "yield", "end", "write"])
def test_a_response_middleware_can_replace_the_body(kind):
    app = Tremolo()

    @app.on_response
    async def replace():
        return "replaced"

    answer_in_each_way(app)
    response = get(app, "/" + kind)
    assert response.text == "replaced"
    assert response.header("content-length") == "8"


def test_a_failing_response_middleware_gives_a_plain_500():
    app = Tremolo()
    recorder(app)

    @app.on_response
    async def fails():
        raise ValueError("secret")

    response = get(app, "/")
    assert response.status == 500 and "secret" not in response.text


def test_a_synchronous_middleware_runs_on_a_thread():
    app = Tremolo()
    recorder(app)

    @app.on_request
    def blocks(request):
        return b"from a thread" if request.path == b"/" else None

    assert get(app, "/").text == "from a thread"


def test_an_unknown_name_is_a_value_error():
    app = Tremolo()
    with pytest.raises(ValueError):
        app.add_middleware(note([], "x"), "send")
    with pytest.raises(ValueError):
        app.add_hook(note([], "x"), "start")


def test_a_middleware_cannot_yield():
    async def stream():
        yield b""

    with pytest.raises(TypeError):
        Tremolo().on_request(stream)


# -- hooks ------------------------------------------------------------------------------------


def test_worker_hooks_run_around_serving():
    app = Tremolo()
    seen = recorder(app)

    @app.on_worker_start
    async def start(app, globals, context, loop, logger):
        assert globals is context
        context.db = "open"
        seen.append("start")

    @app.on_worker_stop()
    async def stop(**worker):
        assert sorted(worker) == ["app", "context", "globals", "logger", "loop"]
        seen.append(worker["context"].db)

    get(app, "/")
    assert seen == ["start", "handler", "open"]


def test_a_worker_hook_may_take_only_the_application_and_may_be_synchronous():
    app = Tremolo()
    seen = recorder(app)

    @app.on_worker_start
    def start(app):
        seen.append(type(app).__name__)

    get(app, "/")
    assert seen[0] == "Tremolo"


def test_hooks_are_ordered_by_urgency():
    app = Tremolo()
    seen = []
    for name in ("worker_start", "worker_stop"):
        app.add_hook(note(seen, f"{name} a"), name)
        app.add_hook(note(seen, f"{name} b"), name)
        app.add_hook(note(seen, f"{name} first"), name, priority=1)
    urgent_start = app.hooks["worker_start"][0].func
    urgent_stop = app.hooks["worker_stop"][-1].func
    assert urgent_start is not urgent_stop
    get(app, "/")
    assert seen == ["worker_start first", "worker_start a", "worker_start b",
                    "worker_stop first", "worker_stop b", "worker_stop a"]


def test_a_truthy_result_stops_later_hooks():
    app = Tremolo()
    seen = []
    app.on_worker_start(note(seen, "a", True))
    app.on_worker_start(note(seen, "b"))
    get(app, "/")
    assert seen == ["a"]


def test_connection_hooks_get_the_connection():
    app = Tremolo()
    seen = recorder(app)

    @app.on_connect
    async def connect(context, **server):
        await asyncio.sleep(0.01)
        seen.append("connect")
        context.mine = 1

    @app.on_close
    async def close(context):
        seen.append(f"close {context.mine}")

    async def scenario(client):
        await client.get("/")
        await client.get("/")

    serve(app, scenario)
    assert seen == ["connect", "handler", "handler", "close 1"]


def test_a_connection_whose_hook_fails_is_closed():
    app = Tremolo()
    seen = recorder(app)

    @app.on_connect
    async def refuse():
        await asyncio.sleep(0.01)
        raise ValueError

    async def scenario(client):
        connection = client.connect()
        connection.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        return await connection.receive_all()

    assert serve(app, scenario) == b"" and seen == []


def test_a_hook_that_fails_at_start_keeps_the_worker_from_serving():
    app = Tremolo()

    @app.on_worker_start
    async def fails():
        raise ValueError("no database")

    with pytest.raises(ValueError, match="no database"):
        get(app, "/")


# -- mounting ---------------------------------------------------------------------------------


def sub_app():
    sub = Application()

    @sub.route("/page")
    async def page(prefix):
        return b"page " + b"/".join(prefix)

    @sub.route("^/x")
    async def starts():
        return "starts"

    @sub.route(r"\.txt$")
    async def ends():
        return "ends"

    return sub


@pytest.mark.parametrize("target, text", [
    ("/sub/page", "page "),
    ("/sub/xyz", "starts"),
    ("/sub/deep/a.txt", "ends"),
    ("/sub/a.txt?q", "ends"),
    ("/sub", "Service Unavailable"),
])
def test_routes_of_a_mounted_application_are_below_its_prefix(target, text):
    app = Tremolo()
    app.mount("/sub", sub_app())
    assert get(app, target).text == text


@pytest.mark.parametrize("target", ["/page", "/xyz", "/a.txt", "/subpage", "/other/a.txt"])
def test_routes_of_a_mounted_application_are_nowhere_else(target):
    app = Tremolo()
    app.mount("/sub", sub_app())
    assert get(app, target).status == 404


def test_middlewares_are_isolated_by_the_longest_prefix_that_has_any():
    app = Tremolo()
    seen = recorder(app)
    app.on_request(note(seen, "main"))
    bare = sub_app()
    own = sub_app()
    own.on_request(note(seen, "own"))
    app.mount("/bare", bare)
    app.mount("/own", own)

    async def scenario(client):
        for target in ("/", "/bare/page", "/own/page", "/own/none"):
            response = await client.get(target)
            seen.append(response.text if response.status == 200 else response.status)

    serve(app, scenario)
    assert seen == ["main", "handler", "body", "main", "page ", "own", "page own", "own", 404]


def test_mounting_nests():
    inner, outer, app = sub_app(), Application(), Tremolo()
    outer.mount("/inner", inner)
    app.mount("/outer/", outer)
    assert get(app, "/outer/inner/page").status == 200


def test_mounting_moves_and_mounting_again_does_nothing():
    app, sub = Tremolo(), sub_app()
    sub.listen(8001)
    sub.on_worker_start(note([], "x"))
    app.mount("/sub", sub)
    app.mount("/again", sub)
    assert len(sub.routes) == 0 and not sub.ports and not sub.hooks["worker_start"]
    assert app.ports and app.hooks["worker_start"]
    assert get(app, "/again/page").status == 404
    with pytest.raises(RuntimeError):
        sub.run("127.0.0.1", 0)


@pytest.mark.parametrize("prefix, other", [
    ("sub", Application()), ("/" + "x" * 255, Application()), ("/sub", object()),
    (b"/sub", Application()),
])
def test_what_cannot_be_mounted_is_a_value_error(prefix, other):
    with pytest.raises(ValueError):
        Tremolo().mount(prefix, other)


def test_an_application_cannot_be_mounted_into_itself():
    app = Tremolo()
    with pytest.raises(ValueError):
        app.mount("/x", app)


def test_run_without_an_address_is_a_value_error():
    with pytest.raises(ValueError):
        handler(note([], "x")).run()


def test_application_and_tremolo_are_one_class():
    assert Application is Tremolo
    assert Application("shop").logger.name == "shop"
