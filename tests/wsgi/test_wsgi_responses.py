"""Status and fields of responses of WSGI applications, and those that are broken (PEP 3333)."""

import contextlib
import sys

import pytest

from tests.support.serving import run, serving_wsgi, until
from tests.support.wire import GET

PLAIN = [("Content-Type", "text/plain")]


def answering(make, status="200 OK", headers=PLAIN):
    """An application that answers with what `make(environ)` gives."""
    def app(environ, start_response):
        start_response(status, list(headers))
        return make(environ)

    return app


# start_response


def test_a_second_start_response_with_exc_info_replaces_the_first():
    def app(environ, start_response):
        start_response("200 OK", PLAIN)
        try:
            raise ValueError("early")
        except ValueError:
            start_response("500 Oops", PLAIN, sys.exc_info())
        return [b"sorry"]

    async def main():
        async with serving_wsgi(app) as site:
            response = await site.get()
            assert (response.status, response.body) == (500, b"sorry")

    run(main)


def test_a_second_start_response_after_the_body_raises_what_it_was_given(conversation):
    def app(environ, start_response):
        start_response("200 OK", PLAIN)
        yield b"part"
        try:
            raise ValueError("late")
        except ValueError:
            start_response("500 Oops", PLAIN, sys.exc_info())

    heard = []

    async def talk(site, client):
        site.server.on_error = lambda exchange, exc: heard.append(exc)
        await client.send(GET)
        with contextlib.suppress(EOFError, ConnectionResetError):
            assert (await client.response()).status == 500
        assert isinstance(heard[0], ValueError)

    conversation(app, talk)


@pytest.mark.parametrize("status, headers, error", [
    ("200 OK", [("Connection", "close")], ValueError),
    ("200 OK", [("Transfer-Encoding", "chunked")], ValueError),
    ("200 OK", [("X", "a\r\nb")], ValueError),
    ("200 OK", [("X", b"bytes")], TypeError),
    ("200 OK", [("X Y", "a")], ValueError),
    ("200 OK", [("X", "\u20ac")], UnicodeEncodeError),
    ("200 OK", [("Content-Length", "abc")], ValueError),
    ("200 OK", [("Content-Length", "1"), ("Content-Length", "1")], ValueError),
    ("200 O\rK", [], ValueError),
    ("100 Continue", [], ValueError),
    ("OK", [], ValueError),
    ("2000 OK", [], ValueError),
    (200, [], TypeError),
], ids=repr)
def test_start_response_raises_for_what_it_may_not_get_which_is_a_500(status, headers, error):
    async def main():
        heard, told = [], []

        def app(environ, start_response):
            try:
                start_response(status, list(headers))
            except Exception as exc:
                told.append(type(exc))
                raise
            return [b"x"]

        async with serving_wsgi(app) as site:
            site.server.on_error = lambda exchange, exc: heard.append(exc)
            assert (await site.get()).status == 500
            assert [type(exc) for exc in heard] == told == [error]

    run(main)


@pytest.mark.parametrize("app, text", [
    (lambda environ, start_response: [b"x"], "start_response"),
    (lambda environ, start_response: [], "start_response"),
    (answering(lambda environ: ["text"]), "bytes"),
    (answering(lambda environ: "text"), "bytes"),
    (answering(lambda environ: None), "NoneType"),
    (lambda environ, start_response: [start_response("200 OK", []),
                                      start_response("200 OK", [])], "twice"),
])
def test_a_broken_application_is_a_500_with_an_error_that_names_it(app, text):
    async def main():
        heard = []
        async with serving_wsgi(app) as site:
            site.server.on_error = lambda exchange, exc: heard.append(exc)
            response = await site.get()
            assert response.status == 500
            assert text in str(heard[0])

    run(main)


def test_an_error_in_the_middle_of_a_body_is_never_a_whole_response():
    def make(environ):
        yield b"a"
        yield b"b"
        raise KeyError("middle")

    async def main():
        async with serving_wsgi(answering(make)) as site:
            with pytest.raises((EOFError, ConnectionResetError)):
                await site.get()
            assert site.server.counters.errors == 1

    run(main)


@pytest.mark.parametrize("pieces, length", [
    ([b"12345"], 3), ([b"12", b"345"], 3), ([b"12"], 3), ([b"1", b"2"], 3)])
def test_a_body_of_another_length_than_promised_never_desynchronises(
        conversation, pieces, length):
    app = answering(lambda environ: iter(pieces),
                    headers=[("Content-Length", str(length))])

    async def talk(site, client):
        await client.send(GET + GET)
        answers = b""
        with contextlib.suppress(ConnectionResetError):
            answers = await client.rest()
        assert answers.count(b"HTTP/1.1 ") <= 1
        head, _, body = answers.partition(b"\r\n\r\n")
        assert body in (b"", b"12", b"123") or b" 500 " in head.partition(b"\r\n")[0]
        client.close()
        await until(lambda: site.server.counters.errors == 1)

    conversation(app, talk)
