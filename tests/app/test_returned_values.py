"""docs/api.md section 4: what handlers, middlewares and error pages may return, and what not."""

import collections
import json
import logging
import re

import pytest

from tests.app.serving import get, handler, serve
from tremolo import Tremolo


class Lines(list):
    """A list of a class of one's own."""


def returning(value, *, how="async", **options):
    """An application whose only handler gives `value`."""
    app = Tremolo()
    if how == "async":
        async def show():
            return value
    elif how == "thread":
        def show():
            return value
    else:
        async def show():
            yield b"first"
            yield value

    app.add_route(show, "/", **options)
    return app


JSON = [
    ({"a": 1, "b": [True, None, 1.5]}, b'{"a":1,"b":[true,null,1.5]}'),
    ({}, b"{}"),
    ([], b"[]"),
    ([1, "é", "\u2028"], '[1,"é","\u2028"]'.encode()),
    (collections.OrderedDict(b=1, a=2), b'{"b":1,"a":2}'),
    (collections.defaultdict(int, a=1), b'{"a":1}'),
    (Lines([1]), b"[1]"),
]


@pytest.mark.parametrize("how", ["async", "thread"])
@pytest.mark.parametrize(("value", "body"), JSON, ids=[repr(row[0]) for row in JSON])
def test_a_dict_or_list_is_json(value, body, how):
    response = get(returning(value, how=how), "/")
    assert (response.status, response.body) == (200, body)
    assert response.header("content-type") == "application/json"
    assert response.header("content-length") == str(len(body))


@pytest.mark.parametrize("set_by", ["option", "set_content_type", "set_header"])
def test_json_has_the_type_that_the_handler_chose(set_by):
    async def show(response):
        if set_by == "set_content_type":
            response.set_content_type("application/problem+json")
        elif set_by == "set_header":
            response.set_header("Content-Type", "application/problem+json")
        return {}

    app = Tremolo()
    app.add_route(show, "/", **(
        {"content_type": "application/problem+json"} if set_by == "option" else {}))
    assert get(app, "/").header("content-type") == "application/problem+json"


def test_json_may_have_a_status_other_fields_and_be_chunked():
    async def show(response, status=(201, b"Created"), chunked=True):
        response.set_header("X-One", "1")
        return {"a": 1}

    response = get(handler(show), "/")
    assert (response.status, response.text) == (201, '{"a":1}')
    assert response.header("transfer-encoding") == "chunked"
    assert response.header("content-type") == "application/json"
    assert response.header("x-one") == "1"


@pytest.mark.parametrize("where", ["request", "response"])
def test_a_middleware_may_answer_with_json(where):
    app = returning("handler")

    @app.middleware(where)
    async def step():
        return {"by": where}

    response = get(app, "/")
    assert json.loads(response.body) == {"by": where}
    assert response.header("content-type") == "application/json"


def test_an_error_page_may_be_json():
    app = Tremolo()

    @app.error(404)
    async def missing(exc):
        return {"error": exc.code}

    response = get(app, "/nothing")
    assert (response.status, response.text) == (404, '{"error":404}')
    assert response.header("content-type") == "application/json"


UNDOCUMENTED = [1, 0, 1.5, False, object(), {1}, range(3), (i for i in ()), int, Exception("x")]


@pytest.mark.parametrize("how", ["async", "thread"])
@pytest.mark.parametrize("value", UNDOCUMENTED, ids=lambda value: type(value).__name__)
def test_anything_else_is_a_type_error_that_names_handler_and_type(value, how, caplog):
    response = get(returning(value, how=how), "/")
    assert response.status == 500
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(errors) == 1
    exc = errors[0].exc_info[1]
    assert type(exc) is TypeError
    name = re.escape(type(value).__name__)
    assert re.match(rf"tests\.app\.test_returned_values\.returning\.<locals>\.show returned "
                    rf"{name}: a handler returns str, bytes", str(exc))


@pytest.mark.parametrize(("value", "said"), [
    (("body", 404), "a body is str or bytes, or a pair of str and charset, not tuple"),
    (("a", "b", "c"), "a body is str or bytes, or a pair"),
    ({"a": object()}, "not JSON serializable"),
    ({"a": float("nan")}, "Out of range float values are not JSON compliant"),
], ids=["Flask's pair", "three", "no JSON", "NaN"])
def test_what_cannot_become_a_body_is_an_error_at_once(value, said, caplog):
    assert get(returning(value), "/").status == 500
    assert said in str(caplog.records[-1].exc_info[1])


def test_a_piece_of_another_type_is_an_error_that_names_the_handler(caplog):
    async def scenario(client):
        return await client.raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")

    data = serve(returning({"a": 1}, how="yield"), scenario)
    assert not data.endswith(b"0\r\n\r\n")  # nobody takes it for whole
    assert re.search(r"show yielded dict: a handler yields bytes or str",
                     str(caplog.records[-1].exc_info[1]))


@pytest.mark.parametrize("value", [1, object()], ids=["int", "object"])
def test_a_middleware_that_returns_something_without_meaning_is_an_error(value, caplog):
    app = returning("handler")

    @app.on_request
    async def step():
        return value

    assert get(app, "/").status == 500
    assert "step returned" in str(caplog.records[-1].exc_info[1])


def test_an_error_page_that_returns_something_without_meaning_is_a_plain_500(caplog):
    app = Tremolo()

    @app.error(404)
    async def missing():
        return 5

    assert get(app, "/nothing").status == 500
    assert "missing returned int" in str(caplog.records[-1].exc_info[1])


@pytest.mark.parametrize("options", [{"debug": True}, {"reload": True}, {}], ids=str)
def test_in_development_a_none_is_explained(options, caplog):
    async def scenario(client):
        return await client.raw(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")

    assert serve(returning(None), scenario, **options) == b""
    said = [record.getMessage() for record in caplog.records
            if record.levelno == logging.WARNING]
    if options:
        assert len(said) == 1 and "show returned None" in said[0]
        assert "closed without an answer" in said[0]
    else:
        assert not said


def test_a_websocket_handler_that_returns_something_without_meaning_is_an_error(caplog):
    async def show(websocket=None):
        await websocket.accept()
        return 5

    async def scenario(client):
        websocket = await client.websocket("/")
        assert await websocket.receive() is None
        return websocket.close_code

    assert serve(handler(show), scenario) == 1011
    assert "show returned int: the handler of a WebSocket returns nothing" in str(
        caplog.records[-1].exc_info[1])
