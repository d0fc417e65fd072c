"""WSGI applications over real sockets (PEP 3333)."""

import asyncio
import contextlib
import errno
import io
import os
import sys
import tempfile
import threading
import time
from wsgiref.validate import validator

import pytest

from tests.support.serving import pattern, run, serving_wsgi, until
from tests.support.wire import DEADLINE, GET
from tremolo.wsgi.body import IN_MEMORY

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


def post(body, fields=b""):
    return b"POST /p HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n%b\r\n%b" % (
        len(body), fields, body)


async def closed(body):
    return await asyncio.get_running_loop().run_in_executor(None, body.closed.wait, DEADLINE)


# The environ


def test_the_environ_says_what_was_asked_for():
    seen = {}

    def app(environ, start_response):
        seen.update(environ)
        start_response("200 OK", [])
        return []

    async def main():
        async with serving_wsgi(app, root_path="/app/") as site:
            await site.get(b"/a%20%C3%A9%2Fb?x=%201", b"X-One: 1\r\nX-One: 2\r\nCookie: a=1\r\n"
                           b"Cookie: b=2\r\nX_Spoofed: 1\r\nContent-Type: text/x\r\n")
            assert seen["REQUEST_METHOD"] == "GET"
            assert seen["SCRIPT_NAME"] == "/app"
            assert seen["PATH_INFO"] == "/a é/b".encode().decode("latin-1")
            assert seen["QUERY_STRING"] == "x=%201"
            assert seen["CONTENT_TYPE"] == "text/x"
            assert seen["SERVER_PROTOCOL"] == "HTTP/1.1"
            assert seen["SERVER_PORT"] == str(site.port)
            assert seen["REMOTE_ADDR"] == "127.0.0.1"
            assert seen["HTTP_X_ONE"] == "1, 2"
            assert seen["HTTP_COOKIE"] == "a=1; b=2"
            assert "HTTP_X_SPOOFED" not in seen
            assert seen["wsgi.version"] == (1, 0)
            assert seen["wsgi.url_scheme"] == "http"
            assert seen["wsgi.multithread"] is True
            assert seen["wsgi.multiprocess"] is False
            assert seen["wsgi.run_once"] is False
            assert type(seen) is dict
            await site.get(b"/app/inner")
            assert (seen["SCRIPT_NAME"], seen["PATH_INFO"]) == ("/app", "/inner")
            await site.get(b"/apple")
            assert seen["PATH_INFO"] == "/apple"

    run(main)


@pytest.mark.parametrize("request_", [
    GET,
    b"HEAD" + GET[3:],
    b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET http://localhost/?a HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    post(b"a body\nof lines"),
    b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nabc\r\n0\r\n\r\n",
], ids=lambda request: request.split(b" HTTP")[0].decode())
def test_wsgiref_finds_nothing_wrong(request_):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        environ["wsgi.errors"].flush()
        stream = environ["wsgi.input"]
        pieces = [stream.read(2), stream.readline(), *stream.readlines(), stream.read(10)]
        return iter([b"got ", b"".join(pieces) or b"nothing"])

    async def main():
        async with serving_wsgi(validator(app)) as site:
            closing = b"\r\nConnection: close\r\n\r\n"
            answer = await site.ask(request_.replace(b"\r\n\r\n", closing, 1))
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n"), answer
            assert site.server.counters.errors == 0

    run(main)


# wsgi.input


def read_by(*calls):
    def app(environ, start_response):
        stream = environ["wsgi.input"]
        result = repr([getattr(stream, name)(*given) for name, *given in calls])
        start_response("200 OK", PLAIN)
        return [result.encode()]

    return app


@pytest.mark.parametrize("calls, expected", [
    ([("read",)], [b"one\ntwo\n\nlast"]),
    ([("read", -1), ("read",)], [b"one\ntwo\n\nlast", b""]),
    ([("read", None)], [b"one\ntwo\n\nlast"]),
    ([("read", 0), ("read", 5), ("read", 100), ("read", 1)],
     [b"", b"one\nt", b"wo\n\nlast", b""]),
    ([("readline",)] * 5, [b"one\n", b"two\n", b"\n", b"last", b""]),
    ([("readline", 2), ("readline", 0), ("readline", 10), ("readline", -1)],
     [b"on", b"", b"e\n", b"two\n"]),
    ([("readlines",)], [[b"one\n", b"two\n", b"\n", b"last"]]),
    ([("readlines", 5), ("read",)], [[b"one\n", b"two\n"], b"\nlast"]),
    ([("__iter__",)], None),
])
@pytest.mark.parametrize("cut", [False, True], ids=["whole", "byte by byte"])
def test_the_body_can_be_read_in_every_way(conversation, calls, expected, cut):
    data = b"one\ntwo\n\nlast"
    app = read_by(*calls)
    if expected is None:
        expected = [b"one\n", b"two\n", b"\n", b"last"]

        def app(environ, start_response):
            start_response("200 OK", PLAIN)
            return [repr(list(environ["wsgi.input"])).encode()]

    async def talk(site, client):
        if cut:
            await client.send(post(data)[:-len(data)])
            for byte in data:
                await client.send(bytes((byte,)))
                await asyncio.sleep(0)
        else:
            await client.send(post(data))
        assert (await client.response()).body == repr(expected).encode()

    conversation(app, talk)


def test_many_short_lines_are_read_in_linear_time(conversation):
    def app(environ, start_response):
        start_response("200 OK", PLAIN)
        return [b"%d" % sum(1 for _ in environ["wsgi.input"])]

    async def talk(site, client):
        await client.send(post(b"\n" * 500_000))
        assert (await client.response()).body == b"500000"

    conversation(app, talk)


def test_the_body_is_not_read_ahead_of_the_application(conversation):
    gate = threading.Event()

    def app(environ, start_response):
        stream = environ["wsgi.input"]
        first = stream.read(10)
        gate.wait(DEADLINE)
        total = len(first)
        while True:
            data = stream.read(65536)
            if not data:
                break
            total += len(data)
        start_response("200 OK", PLAIN)
        return [b"%d" % total]

    async def talk(site, client):
        size = 30_000_000
        sending = asyncio.ensure_future(client.send(post(bytes(size))))
        await until(lambda: site.server.connections and site.connection.stream.paused)
        assert site.connection.bytes_in < 1_000_000
        gate.set()
        await sending
        assert (await client.response()).body == b"%d" % size

    conversation(app, talk)


def test_continue_is_sent_when_the_application_reads(conversation):
    async def talk(site, client):
        await client.send(post(b"", b"Expect: 100-continue\r\n").replace(b": 0", b": 3"))
        assert (await client.response()).status == 100
        await client.send(b"abc")
        assert (await client.response()).body == b"[b'abc']"

    conversation(read_by(("read",)), talk)


def test_a_client_that_leaves_in_its_body_raises_an_os_error(conversation):
    raised = []

    def app(environ, start_response):
        try:
            environ["wsgi.input"].read()
        except OSError as exc:
            raised.append(exc)
            raise

    async def talk(site, client):
        await client.send(post(b"abc")[:-1])
        await until(lambda: site.server.tasks)
        client.close()
        await until(lambda: raised)
        assert site.server.counters.errors == 0

    conversation(app, talk)


def test_a_body_that_breaks_its_framing_is_a_400():
    async def main():
        async with serving_wsgi(read_by(("read",))) as site:
            answer = await site.ask(b"POST / HTTP/1.1\r\nHost: localhost\r\n"
                                    b"Transfer-Encoding: chunked\r\n\r\nzz\r\n")
            assert answer.startswith(b"HTTP/1.1 400 ")

    run(main)


CHUNKED = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunks(body, size):
    return b"".join(b"%x\r\n%b\r\n" % (len(body[n:n + size]), body[n:n + size])
                    for n in range(0, len(body), size)) + b"0\r\n\r\n"


@pytest.mark.parametrize("size", [0, 1, 70_000, IN_MEMORY, IN_MEMORY + 1, 3 * IN_MEMORY])
def test_a_chunked_body_has_its_length(conversation, size):
    body = pattern(size)
    seen = {}

    def app(environ, start_response):
        seen.update(environ)
        length = int(environ["CONTENT_LENGTH"])
        stream = environ["wsgi.input"]
        seen["read"] = b"".join(iter(lambda: stream.read(min(length, 10_007)), b""))
        start_response("200 OK", PLAIN)
        return [b"ok"]

    async def talk(site, client):
        for _ in range(2):
            await client.send(CHUNKED + chunks(body, 9973))
            assert (await client.response()).body == b"ok"
            assert seen["CONTENT_LENGTH"] == str(size) and seen["read"] == body
            assert seen["wsgi.input_terminated"]
            assert "HTTP_TRANSFER_ENCODING" not in seen

    conversation(app, talk)


@pytest.mark.parametrize("size", [11, 4 * IN_MEMORY], ids=["in memory", "in a file"])
def test_a_chunked_body_over_the_limit_is_a_413_before_the_application_is_called(size):
    def app(environ, start_response):
        raise AssertionError("called")

    async def main():
        async with serving_wsgi(app, client_max_body_size=size - 1) as site:
            answer = await site.ask(CHUNKED + chunks(bytes(size), 65536))
            assert answer.startswith(b"HTTP/1.1 413 ")
            assert site.server.counters.errors == 0

    run(main)


def test_a_chunked_body_has_a_limit_where_none_was_set(monkeypatch):
    monkeypatch.setattr("tremolo.wsgi.body.SPOOL_LIMIT", 1000)

    async def main():
        async with serving_wsgi(read_by(("read",))) as site:
            assert (await site.ask(CHUNKED + chunks(bytes(1001), 7))).startswith(
                b"HTTP/1.1 413 ")

    run(main)


def test_a_chunked_body_that_the_disk_has_no_room_for_is_a_507(monkeypatch, caplog):
    class Full(io.BytesIO):
        """A file on a disk without room."""

        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", lambda *_, **__: Full())

    async def main():
        async with serving_wsgi(read_by(("read",))) as site:
            answer = await site.ask(CHUNKED + chunks(bytes(2 * IN_MEMORY), 65536))
            assert answer.startswith(b"HTTP/1.1 507 ")
            assert (await site.get()).status == 200

    run(main)
    assert "no room for the body of a request" in caplog.text


def test_a_client_that_leaves_in_a_chunked_body_calls_nobody(conversation):
    def app(environ, start_response):
        raise AssertionError("called")

    async def talk(site, client):
        await client.send(CHUNKED + b"5\r\nhello")
        await until(lambda: site.server.tasks)
        client.close()
        await until(lambda: not site.server.tasks)
        assert site.server.counters.errors == 0

    conversation(app, talk)


def test_a_body_over_the_limit_is_a_413():
    async def main():
        async with serving_wsgi(read_by(("read",)), client_max_body_size=10) as site:
            assert (await site.ask(post(bytes(11)))).startswith(b"HTTP/1.1 413 ")

    run(main)


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


@pytest.mark.parametrize("how", ["close", "reset"])
def test_the_iterable_is_closed_when_the_client_leaves(conversation, how):
    started = threading.Event()

    def endless():
        while True:
            yield bytes(65536)
            started.set()

    body = Body(endless())

    async def talk(site, client):
        await client.send(GET)
        await until(started.is_set)
        getattr(client, how)()
        assert await closed(body)
        await until(lambda: not site.server.tasks)
        assert site.server.counters.errors == 0

    conversation(answering(lambda environ: body), talk, receive_buffer=4096)


def test_the_iterable_is_closed_when_the_server_stops(conversation):
    started = threading.Event()

    def endless():
        while True:
            yield bytes(65536)
            started.set()

    body = Body(endless())

    async def talk(site, client):
        await client.send(GET)
        await until(started.is_set)
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


# Threads


def test_requests_run_at_once_but_in_no_more_threads_than_set():
    running = []
    most = []
    gate = threading.Event()

    def app(environ, start_response):
        running.append(1)
        most.append(len(running))
        gate.wait(DEADLINE)
        running.pop()
        start_response("200 OK", PLAIN)
        return [b"x"]

    async def main():
        async with serving_wsgi(app, thread_pool_size=3) as site:
            answers = [asyncio.ensure_future(site.get()) for _ in range(8)]
            await until(lambda: len(running) == 3)
            gate.set()
            await asyncio.gather(*answers)
            assert max(most) == 3

    run(main)


def test_a_waiting_application_does_not_block_the_loop():
    gate = threading.Event()

    def app(environ, start_response):
        if environ["PATH_INFO"] == "/slow":
            gate.wait(DEADLINE)
        start_response("200 OK", PLAIN)
        return [environ["PATH_INFO"].encode()]

    async def main():
        async with serving_wsgi(app) as site:
            slow = asyncio.ensure_future(site.get(b"/slow"))
            assert (await site.get(b"/quick")).body == b"/quick"
            gate.set()
            assert (await slow).body == b"/slow"

    run(main)
