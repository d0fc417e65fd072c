"""Requests and responses follow each other on a connection (RFC 9112 sections 6 and 9)."""

import asyncio
import contextvars
import gc
import platform
import sys
import weakref

import pytest

from tests.net.handlers import PLAIN, hello, whole_body
from tests.support.serving import each_loop, run, serving, settle, until
from tests.support.wire import GET, get


async def echo_target(exchange):
    exchange.response.respond(200, PLAIN, exchange.head.target)


async def echo(exchange):
    exchange.response.respond(200, PLAIN, await whole_body(exchange))


# Keep-alive


@each_loop
def test_a_connection_serves_one_request_after_the_other(conversation):
    async def talk(site, client):
        for number in range(5):
            await client.send(get(b"/%d" % number))
            response = await client.response()
            assert response.status == 200
            assert response.body == b"/%d" % number
            assert "connection" not in response
        assert site.server.counters.connections == 1
        assert site.server.counters.requests == 5

    conversation(echo_target, talk)


def test_the_response_has_date_and_server():
    async def main():
        async with serving(hello) as site:
            response = await site.get()
            assert response["server"] == "Tremolo"
            assert response["date"].endswith(" GMT")
        async with serving(hello, server_name="") as site:
            assert "server" not in await site.get()

    run(main)


@pytest.mark.parametrize("request_head, answer", [
    pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "close",
                 id="asked"),
    pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: x, CLOSE\r\n\r\n", "close",
                 id="list"),
    pytest.param(b"GET / HTTP/1.0\r\n\r\n", "close", id="http10"),
])
def test_the_connection_is_closed_when_the_client_wants_it(conversation, request_head, answer):
    async def talk(site, client):
        await client.send(request_head)
        response = await client.response()
        assert response["connection"] == answer
        assert response.body == b"Hello"
        assert await client.closed()

    conversation(hello, talk)


def test_http_1_0_is_kept_alive_when_it_asks_for_it(conversation):
    async def talk(site, client):
        for _ in range(2):
            await client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            response = await client.response()
            assert response["connection"] == "keep-alive"
            assert response["content-length"] == "5"

    conversation(hello, talk)


def test_http_1_0_gets_a_stream_that_ends_with_the_connection():
    async def stream(exchange):
        exchange.response.start(200, PLAIN)
        for _ in range(3):
            exchange.response.write(b"abc")
        exchange.response.finish()

    async def main():
        async with serving(stream) as site:
            data = await site.ask(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            head, _, body = data.partition(b"\r\n\r\n")
            assert b"transfer-encoding" not in head
            assert b"connection: close" in head
            assert body == b"abcabcabc"

    run(main)


def test_the_application_can_close_the_connection():
    async def main():
        async def handle(exchange):
            exchange.response.respond(200, [(b"Connection", b"close")], b"bye")

        async with serving(handle) as site:
            assert (await site.ask(GET + GET)).count(b"HTTP/1.1 200") == 1

    run(main)


def test_without_keepalive_timeout_each_response_closes():
    async def main():
        async with serving(hello, keepalive_timeout=0) as site:
            assert b"connection: close" in await site.ask(GET)

    run(main)


# HEAD and statuses without body


@pytest.mark.parametrize("streamed", [False, True])
def test_head_has_no_body_and_the_connection_goes_on(conversation, streamed):
    async def handle(exchange):
        if streamed:
            exchange.response.start(200, PLAIN)
            exchange.response.write(b"abc")
            exchange.response.write(b"def")
            exchange.response.finish()
        else:
            exchange.response.respond(200, PLAIN, b"abcdef")

    async def talk(site, client):
        await client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
        response = await client.response(b"HEAD")
        if not streamed:
            assert response["content-length"] == "6"
        await client.send(GET)
        assert (await client.response()).body == b"abcdef"

    conversation(handle, talk)


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_body_drops_the_body(conversation, status):
    async def handle(exchange):
        exchange.response.respond(status, (), b"not allowed")

    async def talk(site, client):
        for _ in range(2):
            await client.send(GET)
            assert (await client.response()).status == status
        await client.send(get(b"/", b"Connection: close\r\n"))
        assert (await client.rest()).endswith(b"\r\n\r\n")

    conversation(handle, talk)


@pytest.mark.skipif(platform.python_implementation() != "CPython", reason="it counts references")
@each_loop
def test_an_exchange_is_let_go_of_without_the_garbage_collector(loop_name):
    kept = []

    async def handle(exchange):
        kept.append(weakref.ref(exchange))
        exchange.response.start(200, ())
        exchange.response.write(b"a")
        exchange.response.finish()

    async def main():
        async with serving(handle) as site:
            client = await site.connect()
            await client.send(GET)
            assert (await client.response()).body == b"a"
            await until(lambda: not site.server.tasks)
            await settle()
            assert kept[0]() is None
            client.close()

    gc.disable()
    try:
        run(main, loop_name)
    finally:
        gc.enable()


# Pipelining


@each_loop
def test_pipelined_requests_are_answered_in_order_one_at_a_time(conversation):
    running = most = 0

    async def handle(exchange):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await settle(50 if exchange.head.target == b"/0" else 1)
        running -= 1
        exchange.response.respond(200, PLAIN, exchange.head.target)

    async def talk(site, client):
        await client.send(b"".join(get(b"/%d" % n) for n in range(20)))
        for number in range(20):
            assert (await client.response()).body == b"/%d" % number
        assert most == 1

    conversation(handle, talk)


@each_loop
def test_pipelined_bodies_stay_with_their_requests(conversation):
    async def talk(site, client):
        bodies = [b"x" * n for n in (1, 10, 5000, 0, 3)]
        await client.send(b"".join(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b"
            % (len(body), body)
            for body in bodies))
        for body in bodies:
            assert (await client.response()).body == body

    conversation(echo, talk)


@each_loop
def test_what_is_sent_ahead_is_bounded(conversation, late):
    async def handle(exchange):
        exchange.response.respond(200, (), b"")

    async def talk(site, client):
        await client.send(GET)
        await until(lambda: late.waits)
        sent = 0
        ahead = get(b"/", b"Filler: %b\r\n" % (b"x" * 20000))
        while not site.connection.stream.paused:
            sent += client.send_what_fits((ahead * 10)[sent % len(ahead):])
            await asyncio.sleep(0)
        await settle()
        assert site.connection.parser.buffered <= 2 * 64 * 1024
        late.let()
        for _ in range(1 + sent // len(ahead)):
            assert (await client.response()).status == 200

    conversation(late.before(handle), talk)


def test_a_request_after_a_broken_one_is_never_run():
    seen = []

    async def handle(exchange):
        seen.append(exchange.head.target)
        exchange.response.respond(200, (), b"")

    async def main():
        async with serving(handle) as site:
            data = await site.ask(get(b"/1") + b"GARBAGE\r\n\r\n" + get(b"/2"))
            assert data.count(b"HTTP/1.1 ") == 2
            assert b"HTTP/1.1 400" in data
            assert seen == [b"/1"]

    run(main)


# Context variables


variable = contextvars.ContextVar("variable", default="nothing")


@each_loop
@pytest.mark.parametrize("gap", ["pipelined", "sequential", "body"])
def test_context_variables_do_not_leak_from_request_to_request(conversation, gap):
    seen = []

    async def handle(exchange):
        seen.append(variable.get())
        variable.set("leaked")
        while await exchange.read():
            await asyncio.sleep(0)
        exchange.response.respond(200, (), b"")

    async def talk(site, client):
        if gap == "pipelined":
            await client.send(GET * 3)
        for _ in range(3):
            if gap == "sequential":
                await client.send(GET)
            elif gap == "body":
                # More than is read ahead: reading is paused and resumed by the handler.
                await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000"
                                  b"\r\n\r\n" + bytes(300000))
            assert (await client.response()).status == 200
        assert seen == ["nothing"] * 3

    conversation(handle, talk)


@each_loop
@pytest.mark.skipif(sys.version_info < (3, 12), reason="tasks start late before Python 3.12")
def test_a_handler_of_one_step_is_done_before_the_loop_turns(loop_name):
    left = []

    async def handle(exchange):
        exchange.connection.server.loop.call_soon(
            lambda: left.append((exchange.response.finished,
                                 set(exchange.connection.server.tasks))))
        exchange.response.respond(200, (), b"")

    async def main():
        async with serving(handle) as site:
            assert (await site.get()).status == 200
            await until(lambda: left)
            assert left == [(True, set())]

    run(main, loop_name)


@each_loop
def test_a_task_factory_of_the_application_makes_the_tasks_of_handlers(loop_name):
    made = []

    def factory(loop, coro, **options):
        task = asyncio.Task(coro, loop=loop, **options)
        made.append(task)
        return task

    async def handle(exchange):
        assert asyncio.current_task() in made
        exchange.response.respond(200, (), b"")

    async def main():
        async with serving(handle) as site:
            asyncio.get_running_loop().set_task_factory(factory)
            assert (await site.get()).status == 200
            asyncio.get_running_loop().set_task_factory(None)
            assert made

    run(main, loop_name)


def test_context_variables_do_not_leak_to_later_connections():
    seen = []

    async def handle(exchange):
        seen.append(variable.get())
        variable.set("leaked")
        exchange.response.abort()

    async def main():
        async with serving(handle, max_connections=1) as site:
            for _ in range(3):
                client, waiting = await site.connect(), await site.connect()
                await client.send(GET)
                assert await client.closed()
                client.close()
                waiting.close()
            await until(lambda: len(seen) == 3)
            assert seen == ["nothing"] * 3

    run(main)
