"""docs/api.md section 8: exceptions and error pages."""

import pytest

from tests.app.serving import get, handler, serve
from tremolo import Tremolo
from tremolo.exceptions import (
    BadRequest,
    HTTPException,
    HTTPRedirect,
    NotFound,
    ServiceUnavailable,
    TooManyRequests,
    Unauthorized,
)


def failing(exc):
    async def show():
        raise exc

    return handler(show)


@pytest.mark.parametrize("exc, status, text", [
    (BadRequest("no", "good"), 400, "no good"),
    (BadRequest(), 400, "Bad Request"),
    (HTTPException("x", code=418, message="Teapot"), 418, "x"),
    (NotFound("nothing"), 404, "nothing"),
    (ServiceUnavailable(), 503, "Service Unavailable"),
    (TimeoutError("0: recv timeout"), 408, "Request Timeout"),
])
def test_an_exception_becomes_its_status_and_text(exc, status, text):
    response = get(failing(exc), "/")
    assert (response.status, response.text) == (status, text)
    assert response.header("content-type") == "text/html; charset=utf-8"


def test_options_of_an_exception_are_header_fields():
    response = get(failing(TooManyRequests("slow", retry_after=5)), "/")
    assert response.header("retry-after") == "5"
    response = get(failing(Unauthorized(www_authenticate="Basic")), "/")
    assert response.header("www-authenticate") == "Basic"


def test_a_redirect_has_a_location():
    response = get(failing(HTTPRedirect(location="/there")), "/")
    assert (response.status, response.header("location")) == (302, "/there")


def test_the_type_and_charset_of_an_exception_count():
    exc = BadRequest("\u00e9", content_type="text/plain; charset=latin-1")
    response = get(failing(exc), "/")
    assert response.body == b"\xe9"


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("host", ["localhost", "evil.test"])
@pytest.mark.parametrize("peer", [("127.0.0.1", 1), ("192.0.2.1", 1)])
def test_the_text_of_other_exceptions_is_shown_to_debugging_loopback_peers_only(
        debug, peer, host):
    response = get(failing(ValueError("<secret>")), "/", debug=debug, peer=peer,
                   headers=[(b"Host", host.encode())])
    assert response.status == 500
    trusted = peer[0] == "127.0.0.1" and host == "localhost"
    assert ("secret" in response.text) is (debug and trusted)
    assert "<secret>" not in response.text
    if "secret" in response.text:
        assert response.header("content-security-policy").startswith("default-src 'none'")
        assert "test_errors.py" in response.text


def test_misuse_of_the_response_is_not_told_to_the_client():
    async def show(response):
        response.set_header("X-Secret", "a\r\nb")

    response = get(handler(show), "/")
    assert (response.status, response.text) == (500, "Internal Server Error")


def test_the_default_404_names_the_path_and_the_server_escaped():
    response = get(Tremolo(), "/%3Cb%3E&x", server_name="My<Server")
    assert response.status == 404
    assert "%3Cb%3E&amp;x" in response.text and "My&lt;Server" in response.text
    assert response.header("content-type") == "text/html; charset=utf-8"


def test_an_error_handler_answers_its_code():
    app = Tremolo()

    @app.error(404)
    async def missing(exc, request, response, loop, content_type="text/plain"):
        response.set_header("X-Handler", "404")
        return f"{type(exc).__name__} {request.path.decode()}"

    response = get(app, "/none")
    assert (response.status, response.text) == (404, "NotFound /none")
    assert response.header("x-handler") == "404"
    assert response.header("content-type") == "text/plain"


def test_an_error_handler_may_be_synchronous_and_take_everything():
    app = Tremolo()

    def missing(**server):
        return f"{server['exc'].code}".encode()

    assert app.error(404, missing) is missing
    assert get(app, "/none").text == "404"


def test_an_error_handler_that_returns_none_may_change_the_exception():
    app = Tremolo()

    @app.error(400)
    async def bad(exc):
        exc.args = ("changed",)
        exc.code = 422

    app.add_route(failing(BadRequest("x")).routes.literals[b"/"].func, "/")
    response = get(app, "/")
    assert (response.status, response.text) == (422, "changed")


def test_codes_without_a_handler_fall_to_that_of_500():
    app = failing(BadRequest("x"))

    @app.error(500)
    async def any_error(exc):
        return f"caught {exc.code}"

    response = get(app, "/")
    assert (response.status, response.text) == (400, "caught 400")


@pytest.mark.parametrize("code", [399, 512, "404", True])
def test_an_error_code_out_of_range_is_a_value_error(code):
    with pytest.raises(ValueError):
        Tremolo().error(code)


def test_error_handlers_are_not_called_once_the_head_was_sent():
    app = Tremolo()
    called = []

    @app.error(500)
    async def page():
        called.append(1)
        return "page"

    @app.route("/")
    async def show(response):
        await response.write(b"begun")
        raise ValueError

    async def scenario(client):
        connection = client.connect()
        connection.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await connection.receive_all()

    serve(app, scenario)
    assert called == []


def test_an_error_handler_that_fails_gives_a_plain_500():
    app = Tremolo()

    @app.error(404)
    async def page():
        raise ValueError("secret")

    response = get(app, "/none")
    assert response.status == 500 and "secret" not in response.text


def test_fields_of_the_body_do_not_stay_on_the_error():
    async def show(response):
        response.set_header("Content-Length", "1000")
        response.set_header("ETag", '"x"')
        response.set_cookie("seen", "1")
        raise BadRequest("x")

    response = get(handler(show), "/")
    assert response.header("content-length") == "1"
    assert not response.header("etag") and response.header("set-cookie")


def test_the_connection_stays_usable_after_an_error():
    async def scenario(client):
        first = await client.get("/none")
        assert first.keeps_alive
        assert (await client.get("/none")).status == 404
        return client.server.counters.connections

    assert serve(Tremolo(), scenario) == 1


def test_an_exception_is_reported_to_the_server_and_a_client_error_is_not():
    async def scenario(client):
        await client.get("/")
        await client.get("/none")
        return client.server.counters.errors

    assert serve(failing(ValueError("x")), scenario) == 1
