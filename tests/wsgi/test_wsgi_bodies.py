"""Bodies of responses of WSGI applications: sent piece by piece, and closed (PEP 3333)."""

import asyncio
import contextlib
import io
import os
import tempfile
import threading
import time

import pytest

from tests.support.serving import pattern, run, serving_wsgi, until
from tests.support.wire import DEADLINE, GET

PLAIN = [("Content-Type", "text/plain")]


class Body:
    """An iterable that notes that it was closed."""

    def __init__(self, pieces):
        self.pieces = pieces
        self.closed = threading.Event()

    def __iter__(self):
        return iter(self.pieces)

    def close(self):
        self.closed.set()


def answering(make, status="200 OK", headers=PLAIN):
    """An application that answers with what `make(environ)` gives."""
    def app(environ, start_response):
        start_response(status, list(headers))
        return make(environ)

    return app


async def closed(body):
    return await asyncio.get_running_loop().run_in_executor(None, body.closed.wait, DEADLINE)


# The response's body


class Endless:
    """A body that gives empty pieces until its thread is told otherwise by an exception."""

    def __init__(self, pieces=()):
        self.pieces = list(pieces)
        self.steps = 0
        self.closed = threading.Event()

    def __iter__(self):
        return self

    def __next__(self):
        self.steps += 1
        time.sleep(0.005)
        return self.pieces.pop(0) if self.pieces else b""

    def close(self):
        self.closed.set()


@pytest.mark.parametrize("how", ["reset", "close"])
@pytest.mark.parametrize("begun", [False, True])
def test_a_body_of_empty_pieces_learns_that_its_client_left(conversation, begun, how):
    body = Endless([b"first", b"second"] if begun else [])

    async def talk(site, client):
        await client.send(GET)
        await until(lambda: body.steps > 3)
        getattr(client, how)()
        assert await closed(body)
        await until(lambda: not site.server.tasks)
        assert site.server.counters.errors == 0

    conversation(answering(lambda environ: body), talk)


def test_a_client_that_closed_its_own_side_still_gets_what_comes_after_empty_pieces(conversation):
    body = Body([b"", b"", b"late"])

    async def talk(site, client):
        await client.send(GET)
        client.half_close()
        assert (await client.response()).body == b"late"

    conversation(answering(lambda environ: body), talk)


@pytest.mark.parametrize("make", [
    pytest.param(lambda environ: [b"Hello"], id="list"),
    pytest.param(lambda environ: (b"Hello",), id="tuple"),
    pytest.param(lambda environ: iter([b"Hello"]), id="iterator"),
    pytest.param(lambda environ: iter([b"", b"Hello", b""]), id="with empty pieces"),
    pytest.param(lambda environ: Body([b"Hello"]), id="object"),
])
def test_a_body_of_one_piece_has_its_length(make):
    async def main():
        async with serving_wsgi(answering(make)) as site:
            response = await site.get()
            assert response.body == b"Hello"
            assert response["content-length"] == "5"

    run(main)


@pytest.mark.parametrize("pieces", [
    pytest.param(list, id="empty-list"), pytest.param(lambda: [b""], id="one-empty-piece"),
    pytest.param(lambda: iter([]), id="empty-iterator"),
    pytest.param(lambda: iter([b"", b""]), id="iterator-of-empty-pieces")])
def test_a_body_without_bytes_has_length_zero(pieces):
    async def main():
        async with serving_wsgi(answering(lambda environ: pieces())) as site:
            response = await site.get()
            assert (response.status, response.body) == (200, b"")
            assert response["content-length"] == "0"

    run(main)


def test_more_pieces_are_chunked_and_the_connection_goes_on(conversation):
    app = answering(lambda environ: (b"%d," % n for n in range(100)))

    async def talk(site, client):
        for _ in range(3):
            await client.send(GET)
            response = await client.response()
            assert response.body == b"".join(b"%d," % n for n in range(100))
            assert response["transfer-encoding"] == "chunked"

    conversation(app, talk)


def test_a_piece_does_not_wait_for_the_next(conversation):
    gate = threading.Event()

    def make(environ):
        yield b"first"
        gate.wait(DEADLINE)
        yield b"second"
        gate.wait(DEADLINE)

    async def talk(site, client):
        await client.send(GET)
        await client.line(b"\r\n\r\n")
        assert await client.need(10) == b"5\r\nfirst\r\n"
        gate.set()
        assert await client.need(16) == b"6\r\nsecond\r\n0\r\n\r\n"

    conversation(answering(make), talk)


def test_a_slow_client_holds_up_the_application(conversation):
    made = []

    def make(environ):
        for _ in range(400):
            yield bytes(65536)
            made.append(1)

    async def talk(site, client):
        await client.send(GET)
        await site.stuck()
        assert len(made) < 200
        assert len((await client.response()).body) == 400 * 65536

    conversation(answering(make), talk, receive_buffer=4096)


def test_write_sends_before_what_is_returned():
    def app(environ, start_response):
        write = start_response("200 OK", PLAIN)
        write(b"a")
        write(b"")
        write(b"b")
        return [b"c"]

    async def main():
        async with serving_wsgi(app) as site:
            assert (await site.get()).body == b"abc"

    run(main)


def test_head_and_no_content_have_no_body():
    async def main():
        async with serving_wsgi(answering(lambda environ: [b"Hello"])) as site:
            client = await site.connect()
            for _ in range(2):
                await client.send(b"HEAD" + GET[3:])
                response = await client.response(b"HEAD")
                assert response["content-length"] == "5"
            client.close()
        async with serving_wsgi(answering(lambda environ: [], "204 No Content", [])) as site:
            response = await site.get()
            assert (response.status, "content-length" in response) == (204, False)

    run(main)


def test_status_reason_and_repeated_headers_are_sent_as_given():
    headers = [("Set-Cookie", "a=1"), ("X-Latin", "caf\xe9"), ("Set-Cookie", "b=2")]

    async def main():
        app = answering(lambda environ: [], "299 Fairly OK", headers)
        async with serving_wsgi(app) as site:
            answer = await site.ask(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            assert answer.startswith(b"HTTP/1.1 299 Fairly OK\r\n")
            assert b"\r\nX-Latin: caf\xe9\r\n" in answer
            assert answer.index(b"a=1") < answer.index(b"b=2")

    run(main)


# Closing the iterable


@pytest.mark.parametrize("pieces", [[], [b"one"], [b"one", b"two"]], ids=len)
def test_the_iterable_is_closed_after_the_response(pieces):
    body = Body(pieces)

    async def main():
        async with serving_wsgi(answering(lambda environ: body)) as site:
            await site.get()
            assert await closed(body)

    run(main)


def test_the_iterable_is_closed_after_an_error():
    def broken():
        yield b"one"
        raise KeyError("broken")

    body = Body(broken())

    async def main():
        async with serving_wsgi(answering(lambda environ: body)) as site:
            with contextlib.suppress(EOFError, ConnectionResetError):
                assert (await site.get()).status == 500
            assert await closed(body)

    run(main)


@pytest.fixture
def pouring():
    """A body without an end, and whether it has begun."""
    begun = threading.Event()

    def pieces():
        while True:
            yield bytes(65536)
            begun.set()

    return Body(pieces()), begun


@pytest.mark.parametrize("how", ["close", "reset"])
def test_the_iterable_is_closed_when_the_client_leaves(conversation, pouring, how):
    body, begun = pouring

    async def talk(site, client):
        await client.send(GET)
        await until(begun.is_set)
        getattr(client, how)()
        assert await closed(body)
        await until(lambda: not site.server.tasks)
        assert site.server.counters.errors == 0

    conversation(answering(lambda environ: body), talk, receive_buffer=4096)


def test_the_iterable_is_closed_when_the_server_stops(conversation, pouring):
    body, begun = pouring

    async def talk(site, client):
        await client.send(GET)
        await until(begun.is_set)
        await site.server.drain(0.05)
        assert await closed(body)

    conversation(answering(lambda environ: body), talk, receive_buffer=4096)


# wsgi.file_wrapper


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("offset", [0, 1000])
def test_a_wrapped_file_is_sent_from_where_it_stands_and_closed(offset, tls):
    data = pattern(2_000_000)
    opened = []

    def make(environ):
        file = open(name, "rb")  # noqa: SIM115 - the server closes it
        file.read(offset)
        opened.append(file)
        return environ["wsgi.file_wrapper"](file, 8192)

    with tempfile.TemporaryDirectory() as folder:
        name = os.path.join(folder, "data")
        with open(name, "wb") as file:
            file.write(data)

        async def main():
            async with serving_wsgi(answering(make), tls=tls) as site:
                response = await site.get()
                assert response.body == data[offset:]
                assert response["content-length"] == str(len(data) - offset)
                await until(lambda: opened[0].closed)

        run(main)


def test_a_wrapped_object_without_descriptor_is_read():
    async def main():
        def make(environ):
            return environ["wsgi.file_wrapper"](io.BytesIO(bytes(100_000)), 4096)

        async with serving_wsgi(answering(make)) as site:
            assert (await site.get()).body == bytes(100_000)

    run(main)
