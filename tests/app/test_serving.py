"""docs/api.md section 2: serving from a coroutine, and the sockets for it."""

import asyncio
import os
import time
import urllib.error
import urllib.request

import pytest

from tests.support.processes import DEADLINE, Server, hello, wait_until
from tremolo import Tremolo
from tremolo.exceptions import ConfigurationError


async def ask(reader, writer):
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    data = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    return data


async def connected(connect):
    """The streams of `connect()`, once somebody listens there."""
    end = time.monotonic() + DEADLINE
    while True:
        try:
            return await connect()
        except (FileNotFoundError, ConnectionRefusedError):
            assert time.monotonic() < end, "nobody listens"
            await asyncio.sleep(0.01)


def application():
    app = Tremolo()

    @app.route("/")
    async def show(context):
        return context.options["mine"]

    return app


@pytest.mark.parametrize("host", ["127.0.0.1", "::", "::1"])
def test_serve_on_a_socket_of_create_sock(host):
    async def run():
        app = application()
        try:
            sock = app.create_sock(host, 0)
        except OSError:
            pytest.skip("no IPv6 here")
        assert not sock.getblocking()
        port = sock.getsockname()[1]
        task = asyncio.ensure_future(app.serve(host, port, sock=sock, mine="here"))
        target = "127.0.0.1" if host == "::" else host
        streams = await connected(lambda: asyncio.open_connection(target, port))
        assert (await ask(*streams)).endswith(b"here")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(OSError):
            await asyncio.open_connection(target, port)

    asyncio.run(run())


def test_a_host_that_does_not_resolve_is_a_unix_socket(tmp_path):
    async def run():
        app = application()
        name = str(tmp_path / "server")
        task = asyncio.ensure_future(app.serve(name, 0, mine="there"))
        streams = await connected(lambda: asyncio.open_unix_connection(name + ".sock"))
        assert (await ask(*streams)).endswith(b"there")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert not os.path.exists(name + ".sock")

    asyncio.run(run())


def test_an_empty_file_and_a_stale_socket_are_replaced(tmp_path):
    app = Tremolo()
    path = tmp_path / "x.sock"
    path.touch()
    first = app.create_sock(str(path), 0)
    first.close()  # leaves its path behind
    second = app.create_sock(str(path), 0)
    second.listen()
    with pytest.raises(OSError):
        app.create_sock(str(path), 0)
    app.close_sock(second)
    assert not path.exists()
    path.write_text("not empty")
    with pytest.raises(OSError):
        app.create_sock(str(path), 0)


def test_ports_may_be_shared_or_not():
    app = Tremolo()
    one = app.create_sock("127.0.0.1", 0)
    port = one.getsockname()[1]
    app.create_sock("127.0.0.1", port).close()
    one.listen()
    with pytest.raises(OSError):
        app.create_sock("127.0.0.1", port, reuse_port=False)
    app.close_sock(one)
    assert one.fileno() == -1


@pytest.mark.parametrize("add, address", [
    ((8001,), (None, 8001)), ((8001, "::"), ("::", 8001)),
    (("/run/x.sock",), (None, "/run/x.sock")),
])
def test_listen(add, address):
    app = Tremolo()
    assert app.listen(*add, mine=1) is True
    assert app.listen(*add) is False
    assert list(app.ports) == [address]


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"asgi"})


def wsgi(environ, start_response):
    start_response("200 OK", [])
    return [b"wsgi"]


@pytest.mark.parametrize(("other", "body"), [(asgi, b"asgi"), (wsgi, b"wsgi")])
def test_serve_another_application(other, body):
    async def run():
        app = Tremolo()
        with app.create_sock("127.0.0.1", 0) as sock:
            sock.listen()  # so that nobody is refused before serve() listens
            task = asyncio.ensure_future(app.serve("127.0.0.1", 0, sock=sock, app=other))
            assert (await ask(*await asyncio.open_connection(*sock.getsockname()))).endswith(body)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())


def test_what_is_no_application_cannot_be_served():
    async def run():
        await Tremolo().serve("127.0.0.1", 0, app=5)

    with pytest.raises(ConfigurationError, match="5 is no application"):
        asyncio.run(run())


@pytest.mark.parametrize("workers", [1, 2])
def test_run_serves_another_application(tmp_path, workers):
    with Tremolo().create_sock("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
    (tmp_path / "script.py").write_text(hello("other") + f"""
from tremolo import Tremolo

if __name__ == "__main__":
    Tremolo().run("127.0.0.1", {port}, app=app, worker_num={workers})
""")
    with Server(tmp_path, json=False, script=["script.py"]) as server:
        def answer():
            try:
                return urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10).read()
            except urllib.error.URLError:
                return None

        assert wait_until(answer) == b"other"
        assert server.end() == 0
