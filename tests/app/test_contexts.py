"""docs/api.md section 7: contexts, lock, executor, tasks, the connection's object."""

import asyncio
import os
import threading
import time

import pytest

from tests.app.serving import get, handler, serve
from tests.support.serving import until
from tremolo import Tremolo
from tremolo.app.context import ConnectionContext, WorkerContext
from tremolo.app.locks import Lock, LockFile
from tremolo.app.threads import AsyncToSyncWrapper, Executor


@pytest.mark.parametrize("kind", [WorkerContext, ConnectionContext])
def test_a_context_is_a_namespace_with_items(kind):
    context = kind(options={"x": 1})
    context.a = 1
    context["b"] = 2
    assert (context["a"], context.b) == (1, 2)
    assert "a" in context and "z" not in context
    assert context.get("z") is None and context.get("z", 5) == 5
    context.update({"c": 3}, d=4)
    assert repr(context) == repr({"options": {"x": 1}, "a": 1, "b": 2, "c": 3, "d": 4})
    del context.a
    del context["b"]
    with pytest.raises(AttributeError):
        context.a  # noqa: B018
    with pytest.raises(KeyError):
        context["b"]
    context.clear()
    assert list(context) == ["options"]


@pytest.mark.parametrize("change", [
    lambda c: setattr(c, "options", {}), lambda c: c.__setitem__("options", {}),
    lambda c: c.update(options={}), lambda c: c.__delattr__("options"),
])
def test_options_cannot_be_replaced(change):
    with pytest.raises(AttributeError):
        change(WorkerContext(options={}))


def test_the_worker_context_has_what_handlers_look_for():
    async def show(globals, context):
        assert globals.info["server_name"] == b"Tremolo" and len(globals.info["server"]) == 2
        assert globals.options["buffer_size"] == 16384 and globals.options["mine"] == 1
        assert len(globals.connections) == 1
        assert isinstance(globals.tasks, set) and globals.executor.size == 5
        assert globals.lifespan is None
        assert context.options["buffer_size"] == 16384
        assert context.client == ("127.0.0.1", 50000) and context.transport
        return "ok"

    assert get(handler(show), "/", mine=1).text == "ok"


def test_contexts_live_as_long_as_they_should():
    async def show(globals, context, request):
        for place in (globals, context, request.ctx):
            place["count"] = place.get("count", 0) + 1
        return f"{globals.count} {context.count} {request.ctx.count}"

    async def scenario(client):
        async with client.stream("GET", "/") as held:
            assert (await client.get("/")).text == "2 1 1"
            assert (await client.get("/")).text == "3 2 1"
            assert await held.read() == b"1 1 1"

    serve(handler(show), scenario)


def test_listen_options_count_for_their_address():
    app = Tremolo()
    app.listen(8000, "127.0.0.1", mine="there")
    app.listen(8001, "127.0.0.1", mine="elsewhere")

    @app.route("/")
    async def show(context):
        return context.options["mine"]

    assert get(app, "/").text == "there"


def test_limits_of_an_address_count_for_its_connections():
    app = Tremolo()
    app.listen(8000, "127.0.0.1", client_max_fields=3, client_max_body_size=10)
    app.add_route(lambda request: str(len(request.body())))

    async def scenario(client):
        fields = {"A": "1", "B": "2", "C": "3"}
        assert (await client.get("/", headers=fields)).status == 431
        assert (await client.post("/", body="x" * 11)).status == 413
        client.address = ("127.0.0.1", 8001)
        assert (await client.get("/", headers=fields)).status == 200

    serve(app, scenario)
    assert get(app, "/", method="POST", body="x" * 9, client_max_body_size=5).text == "9"


def test_the_handler_timeout_and_the_name_of_an_address_count_for_its_connections():
    app = Tremolo()
    app.listen(8000, "127.0.0.1", app_handler_timeout=0.05, server_name="Other")

    @app.route("/wait")
    async def wait(request):
        await asyncio.sleep(float(request.query_string))
        return "done"

    async def scenario(client):
        response = await client.get("/wait?30")
        assert (response.status, response.header("server")) == (504, "Other")
        connection = client.connect()
        connection.send(b"nonsense\r\n\r\n")
        assert b"\r\nserver: Other\r\n" in await connection.receive_all()
        connection.close()
        client.address = ("127.0.0.1", 8001)
        response = await client.get("/wait?0.4")
        assert (response.status, response.header("server")) == (200, "Tremolo")

    serve(app, scenario)


@pytest.mark.parametrize("wanted", [True, False])
def test_the_compression_of_websockets_is_that_of_their_address(wanted):
    app = Tremolo()
    app.listen(8000, "127.0.0.1", websocket_deflate=wanted)

    @app.route("/")
    async def echo(websocket):
        await websocket.accept()

    async def scenario(client):
        connection = client.connect()
        connection.send(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade"
                        b"\r\nSec-WebSocket-Version: 13\r\n"
                        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                        b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n")
        head = await connection.receive_until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        assert (b"permessage-deflate" in head) is wanted
        connection.close()

    serve(app, scenario, websocket_deflate=not wanted)


def test_the_rate_of_an_address_counts_for_its_connections():
    app = Tremolo()
    app.listen(8000, "127.0.0.1", download_rate=200_000)
    app.add_route(lambda: b"x" * 100_000)

    async def scenario(client):
        began = time.monotonic()
        await client.get("/")
        slow = time.monotonic() - began
        client.address = ("127.0.0.1", 8001)
        connection = client.connect()
        connection.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await connection.receive_exactly(100_000)
        assert [c.throttled for c in client.server.connections.values()] == [True, False]
        return slow

    assert serve(app, scenario) > 0.2


# -- tasks ------------------------------------------------------------------------------------


def test_a_task_of_the_connection_is_cancelled_when_it_ends():
    seen = []

    async def show(request):
        async def forever():
            try:
                await asyncio.sleep(30)
            finally:
                seen.append("cancelled")

        request.server.create_task(forever())
        request.server.add_close_callback(lambda: seen.append("closed"))
        await asyncio.sleep(0)
        return ""

    async def scenario(client):
        await client.get("/")
        assert seen == []

    serve(handler(show), scenario)
    assert sorted(seen) == ["cancelled", "closed"]


def test_a_task_of_the_application_outlives_the_connection():
    seen = []
    app = Tremolo()

    @app.route("/")
    async def show(app):
        async def later():
            await asyncio.sleep(0.02)
            seen.append("done")

        task = app.create_task(later())
        assert task in app.context.tasks
        return ""

    async def scenario(client):
        async with client.stream("GET", "/"):
            pass
        while app.context.tasks:
            await asyncio.sleep(0.005)

    serve(app, scenario)
    assert seen == ["done"]


# -- lock -------------------------------------------------------------------------------------


def test_lock_excludes_and_its_numbers_are_independent():
    async def run():
        lock = Lock(3)
        assert lock(3) is lock(0) is lock and lock(1) is lock(4)
        async with lock:
            assert lock.locked()
            async with lock(1):
                with pytest.raises(TimeoutError):
                    await lock.acquire(timeout=0.02)
        assert await lock.acquire()
        lock.release()
        lock.release()

    asyncio.run(run())


def test_lock_excludes_other_processes(tmp_path):
    path = str(tmp_path / "locks")

    async def hold(file):
        lock = Lock(2, file)
        await lock.acquire()

    ready, done = os.pipe(), os.pipe()
    pid = os.fork()
    if not pid:
        asyncio.run(hold(LockFile(path)))
        os.write(ready[1], b"x")
        os.read(done[0], 1)
        os._exit(0)
    os.read(ready[0], 1)

    async def run():
        lock = Lock(2, LockFile(path))
        await lock(1).acquire(timeout=1)
        with pytest.raises(TimeoutError):
            await lock.acquire(timeout=0.02)
        os.write(done[1], b"x")
        await lock.acquire(timeout=5)

    asyncio.run(run())
    os.waitpid(pid, 0)
    for fd in ready + done:
        os.close(fd)


def test_there_is_a_lock_with_one_worker():
    async def show(lock):
        async with lock:
            return "locked"

    assert get(handler(show), "/", worker_num=0).text == "locked"


# -- executor ---------------------------------------------------------------------------------


def test_executor():
    async def run():
        executor = Executor(2)
        assert executor.size == 2 and executor.counter == 0
        assert await executor.submit(pow, (2, 3)) == 8
        assert await executor.submit(sorted, ([3, 1],), {"reverse": True}) == [3, 1]
        one = await executor.submit(threading.get_ident, name=1)
        assert one == await executor.submit(threading.get_ident, name=3)
        assert one != await executor.submit(threading.get_ident, name=2)

        def generate():
            yield 1
            yield 2

        assert [n async for n in executor.submit(generate)] == [1, 2]
        with pytest.raises(ZeroDivisionError):
            await executor.submit(divmod, (1, 0))
        with pytest.raises(TypeError):
            executor.submit("text")
        assert executor.counter == 7 and len(executor.threads) == 2
        executor.shutdown()
        with pytest.raises(RuntimeError):
            await executor.submit(pow, (2, 3))

    asyncio.run(run())


def test_a_dead_thread_is_replaced():
    async def run():
        executor = Executor(1)
        await executor.submit(int)
        dead = threading.Thread(target=int)
        dead.start()
        dead.join()
        executor.threads[0] = dead
        with pytest.raises(RuntimeError, match="died"):
            await executor.submit(int)
        assert await executor.submit(int) == 0

    asyncio.run(run())


def test_handlers_on_threads_run_side_by_side():
    barrier = threading.Barrier(3, timeout=5)

    def show():
        barrier.wait()
        return "together"

    async def scenario(client):
        responses = await asyncio.gather(*[client.get("/") for _ in range(3)])
        assert [response.text for response in responses] == ["together"] * 3

    serve(handler(show), scenario)


def test_a_wrapper_refuses_to_wait_on_the_loop():
    class Thing:
        async def method(self):
            pass

    async def run():
        wrapper = AsyncToSyncWrapper(Thing(), asyncio.get_running_loop())
        with pytest.raises(RuntimeError):
            wrapper.method()

    asyncio.run(run())


# -- time -------------------------------------------------------------------------------------


def test_a_handler_that_takes_too_long_is_cancelled():
    cancelled = []

    async def show():
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    response = get(handler(show), "/", app_handler_timeout=0.1)
    assert response.status >= 500 and cancelled


def test_a_handler_whose_client_left_is_cancelled_after_the_close_timeout():
    begun, cancelled = [], []

    async def show():
        begun.append(True)
        try:
            await asyncio.sleep(30)
        finally:
            cancelled.append(True)

    async def scenario(client):
        connection = client.connect()
        connection.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await until(lambda: begun)
        connection.close()
        await until(lambda: cancelled)

    serve(handler(show), scenario, app_close_timeout=0.05)
