"""Requests as WSGI applications get them, over real sockets (PEP 3333)."""

import asyncio
import errno
import io
import threading
from wsgiref.validate import validator

import pytest

from tests.support.serving import pattern, run, serving_wsgi, until
from tests.support.wire import DEADLINE, GET, chunked
from tremolo.wsgi.body import IN_MEMORY

PLAIN = [("Content-Type", "text/plain")]


def post(body, fields=b""):
    return b"POST /p HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n%b\r\n%b" % (
        len(body), fields, body)


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
            answer = await site.ask(chunked() + b"zz\r\n")
            assert answer.startswith(b"HTTP/1.1 400 ")

    run(main)


def in_chunks(body, size):
    return chunked(*(body[n:n + size] for n in range(0, len(body), size))) + b"0\r\n\r\n"


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
            await client.send(in_chunks(body, 9973))
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
            answer = await site.ask(in_chunks(bytes(size), 65536))
            assert answer.startswith(b"HTTP/1.1 413 ")
            assert site.server.counters.errors == 0

    run(main)


def test_a_chunked_body_has_a_limit_where_none_was_set(monkeypatch):
    monkeypatch.setattr("tremolo.wsgi.body.SPOOL_LIMIT", 1000)

    async def main():
        async with serving_wsgi(read_by(("read",))) as site:
            assert (await site.ask(in_chunks(bytes(1001), 7))).startswith(
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
            answer = await site.ask(in_chunks(bytes(2 * IN_MEMORY), 65536))
            assert answer.startswith(b"HTTP/1.1 507 ")
            assert (await site.get()).status == 200

    run(main)
    assert "no room for the body of a request" in caplog.text


def test_a_client_that_leaves_in_a_chunked_body_calls_nobody(conversation):
    def app(environ, start_response):
        raise AssertionError("called")

    async def talk(site, client):
        await client.send(chunked(b"hello")[:-2])
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
