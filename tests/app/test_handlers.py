"""docs/api.md section 4: arguments, options and return values of handlers."""

import asyncio
import functools

import pytest

from tests.app.serving import get, handler, serve
from tests.support.serving import until
from tremolo import Tremolo
from tremolo.app.handlers import Handler

OBJECTS = ("request", "response", "app", "loop", "logger", "lock", "globals", "context",
           "fileno", "extras", "next", "prefix", "websocket", "sse")


def test_server_has_all_objects():
    async def show(**server):
        return " ".join(sorted(server))

    assert get(handler(show), "/").text == " ".join(sorted(OBJECTS))


@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_is_given_by_name(name):
    scope = {}
    exec(f"async def show({name}):\n"
         f"    return 'None' if {name} is None else type({name}).__name__", scope)
    text = get(handler(scope["show"]), "/").text
    assert (text == "None") is (name in ("next", "websocket"))


def test_a_name_that_does_not_exist_is_none():
    async def show(nothing, request):
        return repr(nothing)

    assert get(handler(show), "/").text == "None"


def test_a_handler_without_parameters_is_called_without():
    async def show():
        return "ok"

    assert get(handler(show), "/").text == "ok"


def test_a_type_error_in_the_handler_is_not_taken_for_a_wrong_signature():
    calls = []

    async def show(**server):
        calls.append(1)
        raise TypeError("show() got an unexpected keyword argument 'x'")

    assert get(handler(show), "/").status == 500
    assert calls == [1]


def test_a_positional_only_parameter_is_refused_at_registration():
    scope = {}
    exec("async def show(request, /): return ''", scope)
    with pytest.raises(TypeError, match="positional-only"):
        Tremolo().add_route(scope["show"], "/")


def test_what_is_no_function_is_refused_at_registration():
    with pytest.raises(TypeError):
        Tremolo().add_route("text", "/")


def test_a_decorated_handler_gets_what_the_function_inside_names():
    def decorator(func):
        @functools.wraps(func)
        async def wrapper(*args, **kwargs):
            return await func(*args, **kwargs)

        return wrapper

    @decorator
    async def show(request, content_type="text/plain"):
        return request.path

    response = get(handler(show, "/x"), "/x")
    assert (response.text, response.header("content-type")) == ("/x", "text/plain")


def test_a_partial_and_a_callable_object_are_handlers():
    async def show(request, word):
        return word

    class Callable:
        async def __call__(self, request):
            return "called"

    assert get(handler(functools.partial(show, word="part")), "/").text == "part"
    assert get(handler(Callable()), "/").text == "called"


# -- options ----------------------------------------------------------------------------------


def test_defaults_are_options():
    async def show(request, mine=5, content_type="text/plain"):
        return repr(sorted(request.ctx.options.items()))

    assert get(handler(show), "/").text == "[('content_type', 'text/plain'), ('mine', 5)]"


def test_options_given_to_route_are_options_and_arguments():
    app = Tremolo()

    @app.route("/", mine=7, status=(201, b"Made"))
    async def show(request, mine=5):
        return f"{mine} {request.ctx.options['mine']}"

    response = get(app, "/")
    assert (response.status, response.reason, response.text) == (201, "Made", "7 7")


@pytest.mark.parametrize("streaming", [False, True])
def test_option_status(streaming):
    if streaming:
        async def show(status=(418, b"Teapot")):
            yield b"x"
    else:
        async def show(status=(418, b"Teapot")):
            return "x"

    response = get(handler(show), "/")
    assert (response.status, response.reason) == (418, "Teapot")


@pytest.mark.parametrize("value", ["text/plain", b"text/plain"])
def test_option_content_type(value):
    async def show(content_type=value):
        return "x"

    assert get(handler(show), "/").header("content-type") == "text/plain"


def test_option_chunked_true_for_a_return():
    async def show(chunked=True):
        return "abc"

    response = get(handler(show), "/")
    assert response.header("transfer-encoding") == "chunked"
    assert response.text == "abc"


def test_option_chunked_false_for_a_yield():
    async def show(chunked=False):
        yield b"abc"

    async def scenario(client):
        return await client.raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")

    wire = serve(handler(show), scenario)
    assert b"transfer-encoding" not in wire.lower()
    assert wire.endswith(b"\r\n\r\nabc")


def test_option_rate_throttles_the_response():
    async def show(rate=200_000):
        yield b"x" * 100_000

    async def scenario(client):
        began = client.server.loop.time()
        async with client.stream("GET", "/") as response:
            assert len(await response.read()) == 100_000
        return client.server.loop.time() - began

    assert serve(handler(show), scenario) > 0.15


def test_option_stream_false_gathers_small_yields():
    async def show(stream=False, buffer_size=20):
        for number in range(25):
            yield b"%d" % (number % 10)
            await asyncio.sleep(0)

    async def scenario(client):
        async with client.stream("GET", "/") as response:
            return [piece async for piece in response.pieces()]

    assert [len(piece) for piece in serve(handler(show), scenario)] == [10, 10, 5]


def test_options_of_ctx_may_be_changed_by_a_middleware():
    app = Tremolo()

    @app.on_request
    async def choose(request):
        request.ctx.options["mine"] = 1

    @app.route("/")
    async def show(request, other=2):
        return repr(sorted(request.ctx.options.items()))

    assert get(app, "/").text == "[('mine', 1), ('other', 2)]"


# -- return values ----------------------------------------------------------------------------


@pytest.mark.parametrize("value, body", [
    pytest.param("t\u00e9xt", "t\u00e9xt".encode(), id="str"),
    pytest.param(b"bytes", b"bytes", id="bytes"),
    pytest.param(bytearray(b"array"), b"array", id="bytearray"),
    pytest.param(("t\u00e9xt", "latin-1"), b"t\xe9xt", id="text and charset"),
    pytest.param("", b"", id="empty"),
])
def test_a_returned_value_is_the_body_with_its_length(value, body):
    async def show():
        return value

    response = get(handler(show), "/")
    assert response.body == body
    assert response.header("content-length") == str(len(body))
    assert response.header("content-type") == "text/html; charset=utf-8"


def test_a_yield_is_a_chunk_and_an_empty_one_is_none():
    async def show():
        yield b""
        yield b"a"
        yield b""
        await asyncio.sleep(0)
        yield bytearray(b"b")

    assert get(handler(show), "/").body == b"ab"


def test_a_yield_to_http_1_0_ends_by_closing():
    async def show():
        yield b"abc"

    async def scenario(client):
        return await client.raw(b"GET / HTTP/1.0\r\n\r\n")

    wire = serve(handler(show), scenario)
    assert b"transfer-encoding" not in wire.lower() and wire.endswith(b"\r\n\r\nabc")


def test_none_closes_the_connection_with_nothing_sent():
    async def show():
        return None

    async def scenario(client):
        connection = client.connect()
        connection.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        return await connection.receive_all()

    assert serve(handler(show), scenario) == b""


def test_none_after_a_write_completes_the_response():
    async def show(response):
        await response.write(b"abc")

    assert get(handler(show), "/").body == b"abc"


def test_true_leaves_the_connection_to_the_handler():
    async def show(request, response):
        async def later():
            await asyncio.sleep(0.01)
            await response.end(b"later")

        request.server.create_task(later())
        return True

    assert get(handler(show), "/").body == b"later"


def test_true_with_a_client_that_closed_its_own_side():
    async def show(request, response):
        async def later():
            await asyncio.sleep(0.02)
            await response.end(b"later")

        request.server.create_task(later())
        return True

    async def scenario(client):
        return await client.raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")

    assert serve(handler(show), scenario).endswith(b"later")


@pytest.mark.parametrize("how", ["return", "yield", "end", "write"])
@pytest.mark.parametrize("status", [204, 205, 304])
def test_a_status_without_content_has_no_body_and_no_type(status, how):
    async def stream(response):
        response.set_status(status)
        yield "ignored"

    async def show(response):
        response.set_status(status)
        if how == "return":
            return "ignored"
        await getattr(response, how)(b"ignored")

    async def scenario(client):
        response = await client.get("/")
        assert (response.status, response.body) == (status, b"")
        # RFC 9110 section 15.3.6 has a 205 say that nothing follows.
        assert response.header("content-length") in {205: ("0",), 304: ("", "7")}.get(
            status, ("",))
        assert not response.header("content-type")
        assert not response.header("transfer-encoding")
        assert (await client.get("/")).status == status

    serve(handler(stream if how == "yield" else show), scenario)


@pytest.mark.parametrize("streaming", [False, True])
def test_head_gets_the_head_only(streaming):
    if streaming:
        async def show():
            yield b"abc"
    else:
        async def show():
            return "abc"

    async def scenario(client):
        response = await client.request("HEAD", "/")
        assert response.status == 200
        assert response.header("content-length") == ("" if streaming else "3")
        assert (await client.get("/")).body == b"abc"

    serve(handler(show), scenario)


def test_a_value_that_is_no_body_in_a_yield_is_an_error():
    async def show():
        yield 5

    assert get(handler(show), "/").status == 500


def test_a_failure_after_the_first_chunk_never_ends_the_response_properly():
    async def show():
        yield b"abc"
        await asyncio.sleep(0)
        raise ValueError("secret")

    async def scenario(client):
        connection = client.connect()
        connection.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        return await connection.receive_all()

    wire = serve(handler(show), scenario)
    assert not wire.endswith(b"0\r\n\r\n") and b"secret" not in wire


def test_a_generator_is_closed_when_the_client_leaves():
    closed = []

    async def show():
        try:
            while True:
                yield b"x" * 10000
        finally:
            closed.append(True)

    async def scenario(client):
        async with client.stream("GET", "/") as response:
            async for _ in response.pieces():
                break
        await until(lambda: closed)

    serve(handler(show), scenario)


def test_a_generator_waits_for_a_slow_client():
    produced = []

    async def show():
        for _ in range(1000):
            produced.append(1)
            yield b"x" * 10000

    async def scenario(client):
        async with client.stream("GET", "/") as response:
            for _ in range(50):
                await asyncio.sleep(0)
            held = len(produced)
            assert len(await response.read()) == 10_000_000
        return held

    assert serve(handler(show), scenario) < 60


# -- threads ----------------------------------------------------------------------------------


def test_a_plain_function_runs_on_a_thread():
    import threading

    def show(request):
        assert threading.current_thread() is not threading.main_thread()
        return request.path

    assert get(handler(show, "/x"), "/x").text == "/x"


def test_a_plain_generator_streams():
    def show(content_type="text/plain"):
        yield b"a"
        yield b"b"

    response = get(handler(show), "/")
    assert (response.body, response.header("content-type")) == (b"ab", "text/plain")


def test_coroutine_methods_block_in_a_thread():
    def show(request, response):
        body = request.body()
        response.set_header("X-Length", str(len(body)))
        response.write(b"got ")
        response.write(bytes(body))

    response = get(handler(show), "/", method="POST", body="abc")
    assert (response.text, response.header("x-length")) == ("got abc", "3")


def test_async_generators_are_plain_generators_in_a_thread():
    def show(request):
        return b"".join(request.stream())

    assert get(handler(show), "/", method="POST", body="abc").text == "abc"


def test_an_error_in_a_thread_is_the_handlers():
    def show():
        raise KeyError("secret")

    response = get(handler(show), "/")
    assert response.status == 500 and "secret" not in response.text


def test_a_lock_works_in_a_thread():
    def show(lock):
        with lock, lock(1):
            return "locked"

    assert get(handler(show), "/").text == "locked"


# -- binding costs nothing per request --------------------------------------------------------


def test_the_signature_is_looked_at_once(monkeypatch):
    import inspect

    async def show(request):
        return "ok"

    bound = Handler(show)
    monkeypatch.setattr(inspect, "signature", None)
    coroutine = bound.call({"request": 1, "response": 2})
    coroutine.close()
