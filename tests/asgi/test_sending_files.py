"""`http.response.pathsend`, `http.response.zerocopysend` and the mechanism below them."""

import asyncio
import os
import socket
import tempfile

import pytest

from tests.support.serving import each_loop, pass_time, pattern, run, serving, serving_asgi, until
from tests.support.wire import GET
from tremolo.net.files import send_file

PLAIN = (b"content-type", b"application/octet-stream")
SIZE = 5_000_000
DATA = pattern(SIZE)


@pytest.fixture(scope="module")
def path():
    with tempfile.TemporaryDirectory() as folder:
        name = os.path.join(folder, "data.bin")
        with open(name, "wb") as file:
            file.write(DATA)
        yield name


class Sender:
    """An application that starts a response and sends one message of a file."""

    def __init__(self, *messages, headers=(), trailers=False):
        self.messages = messages
        self.headers = headers
        self.trailers = trailers
        self.error = None
        self.done = False

    async def __call__(self, scope, receive, send):
        assert scope["type"] == "http"
        assert "http.response.pathsend" in scope["extensions"]
        assert "http.response.zerocopysend" in scope["extensions"]
        try:
            await send({"type": "http.response.start", "status": 200,
                        "headers": [PLAIN, *self.headers], "trailers": self.trailers})
            for message in self.messages:
                await send(message)
        except BaseException as exc:
            self.error = exc
            raise
        finally:
            self.done = True


def serve(app, **options):
    return serving_asgi(app, lifespan="off", **options)


def pathsend(name):
    return {"type": "http.response.pathsend", "path": name}


@each_loop
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("given", [False, True], ids=["no length", "length"])
def test_a_path_is_sent_whole_with_its_length(loop_name, tls, given, path):
    headers = [(b"content-length", b"%d" % SIZE)] if given else []

    async def main():
        async with serve(Sender(pathsend(path), headers=headers), tls=tls) as site:
            client = await site.connect()
            for _ in range(2):  # and the connection goes on
                await client.send(GET)
                response = await client.response()
                assert response["content-length"] == str(SIZE)
                assert response.body == DATA
            assert site.server.counters.bytes_out > 2 * SIZE
            client.close()

    run(main, loop_name)


def test_a_relative_path_is_taken_from_the_working_folder(path):
    # Starlette sends what the application gave it.
    async def main():
        async with serve(Sender(pathsend(os.path.relpath(path)))) as site:
            assert (await site.get()).body == DATA

    run(main)


def test_head_sends_no_byte_of_the_file(path):
    async def main():
        async with serve(Sender(pathsend(path))) as site:
            client = await site.connect()
            for _ in range(2):
                await client.send(b"HEAD" + GET[3:])
                response = await client.response(b"HEAD")
                assert response["content-length"] == str(SIZE)
            client.close()

    run(main)


def test_http_1_0_gets_the_file_too(path):
    async def main():
        async with serve(Sender(pathsend(path))) as site:
            answer = await site.ask(b"GET / HTTP/1.0\r\n\r\n")
            assert answer.partition(b"\r\n\r\n")[2] == DATA

    run(main)


def test_a_throttled_file_is_slow_but_whole(path):
    async def main():
        loop = asyncio.get_running_loop()
        async with serve(Sender(pathsend(path)), download_rate=10_000_000) as site:
            begun = loop.time()
            assert (await site.get()).body == DATA
            assert loop.time() - begun > 0.2

    run(main)


@each_loop
def test_a_throttle_that_is_set_meanwhile_counts_from_then(loop_name, path):
    from tremolo.throttle import Throttle

    async def main():
        loop = asyncio.get_running_loop()
        async with serve(Sender(pathsend(path))) as site:
            client = await site.connect(receive_buffer=65536)
            await client.send(GET)
            await until(lambda: site.server.connections and site.connection.outbox.full)
            site.server.set_throttle("*", Throttle.parse("down=3MB"))
            begun = loop.time()
            assert (await client.response()).body == DATA
            assert loop.time() - begun > 0.2
            client.close()

    run(main, loop_name)


@each_loop
def test_zerocopysend_sends_parts_among_other_pieces(loop_name, path):
    async def main():
        with open(path, "rb") as file:
            file.seek(100)
            app = Sender(
                {"type": "http.response.body", "body": b"<", "more_body": True},
                {"type": "http.response.zerocopysend", "file": file, "count": 1000,
                 "more_body": True},
                {"type": "http.response.zerocopysend", "file": file, "count": 10,
                 "more_body": True},
                {"type": "http.response.zerocopysend", "file": file, "offset": 5,
                 "count": 3_000_000, "more_body": True},
                {"type": "http.response.body", "body": b">"})
            async with serve(app) as site:
                body = (await site.get()).body
                expected = DATA[100:1110] + DATA[5:3_000_005]
                assert body == b"<" + expected + b">"
                assert file.tell() == 1110

    run(main, loop_name)


def test_zerocopysend_ends_a_response_and_knows_its_length(path):
    async def main():
        with open(path, "rb") as file:
            message = {"type": "http.response.zerocopysend", "file": file,
                       "offset": SIZE - 500_000}
            async with serve(Sender(message)) as site:
                response = await site.get()
                assert response["content-length"] == "500000"
                assert response.body == DATA[-500_000:]

    run(main)


def test_trailers_follow_a_file(path):
    async def main():
        app = Sender(pathsend(path), {"type": "http.response.trailers",
                                      "headers": [(b"x-sum", b"1")]}, trailers=True)
        async with serve(app) as site:
            response = await site.get()
            assert response.body == DATA
            assert response.trailers == [(b"x-sum", b"1")]

    run(main)


@pytest.mark.parametrize("name, error", [
    ("/no/such/file", FileNotFoundError),
    ("no-such-file", FileNotFoundError),
    (b"/bytes", ValueError),
    (tempfile.gettempdir(), ValueError),
])
def test_a_file_that_cannot_be_sent_raises_and_is_a_500(name, error):
    async def main():
        app = Sender(pathsend(name))
        async with serve(app) as site:
            assert (await site.get()).status == 500
            assert isinstance(app.error, error)

    run(main)


def test_a_fifo_is_refused_without_waiting():
    async def main():
        with tempfile.TemporaryDirectory() as folder:
            name = os.path.join(folder, "fifo")
            os.mkfifo(name)
            app = Sender(pathsend(name))
            async with serve(app) as site:
                assert (await site.get()).status == 500
                assert isinstance(app.error, ValueError)

    run(main)


@pytest.mark.parametrize("length", [SIZE - 1, SIZE + 1])
def test_a_file_of_another_length_than_promised_is_never_whole(path, length):
    async def main():
        app = Sender(pathsend(path), headers=[(b"content-length", b"%d" % length)])
        async with serve(app) as site:
            client = await site.connect()
            await client.send(GET)
            try:
                body = (await client.response()).body
                assert body == DATA[:length] and length < SIZE
            except (EOFError, ConnectionResetError):
                assert length > SIZE
            await until(lambda: app.done)
            assert isinstance(app.error, RuntimeError)
            client.close()

    run(main)


def test_pathsend_after_a_body_is_out_of_order(path):
    async def main():
        app = Sender({"type": "http.response.body", "body": b"x", "more_body": True},
                     pathsend(path))
        async with serve(app) as site:
            client = await site.connect()
            await client.send(GET)
            await until(lambda: app.done)
            assert isinstance(app.error, RuntimeError)
            client.close()

    run(main)


@each_loop
@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_client_that_leaves_ends_the_sending_and_leaks_nothing(loop_name, how, path):
    async def main():
        app = Sender(pathsend(path))
        async with serve(app) as site:
            client = await site.connect(receive_buffer=4096)
            before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
            await client.send(GET)
            await until(lambda: site.server.connections and site.connection.outbox.full)
            getattr(client, how)()
            await until(lambda: app.done)
            assert isinstance(app.error, OSError)
            await until(lambda: not site.server.connections)
            if before:
                await until(lambda: len(os.listdir("/proc/self/fd")) <= before)

    run(main, loop_name)


def test_a_client_that_does_not_read_a_file_is_given_up(path):
    async def main():
        app = Sender(pathsend(path))
        async with serve(app) as site:
            client = await site.connect(receive_buffer=4096)
            await client.send(GET)
            await until(lambda: site.server.connections and site.connection.outbox.full)
            await pass_time(70)
            await until(lambda: app.done)
            assert isinstance(app.error, OSError)
            client.close()

    run(main)


def test_other_connections_go_on_while_a_file_is_sent(path):
    async def main():
        async def handle(exchange):
            if exchange.head.path == b"/file":
                with open(path, "rb") as file:
                    exchange.response.start(200, [PLAIN], length=20 * SIZE)
                    for _ in range(20):
                        await send_file(exchange, file, 0, SIZE)
                    exchange.response.finish()
            else:
                exchange.response.respond(200, [PLAIN], b"quick")

        async with serving(handle) as site:
            client = await site.connect()
            await client.send(GET.replace(b"/", b"/file", 1))
            whole = asyncio.ensure_future(client.response())
            for _ in range(20):
                assert (await site.get()).body == b"quick"
            assert len((await whole).body) == 20 * SIZE
            client.close()

    run(main)


def test_a_unix_socket_gets_files_too(path):
    async def main():
        async with serve(Sender(pathsend(path)), family=socket.AF_UNIX) as site:
            assert (await site.get()).body == DATA

    run(main)
