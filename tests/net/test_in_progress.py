"""Which exchange a number means, for whoever is told of its failing: from its beginning until
neither its connection nor its handler has anything to do with it."""

import asyncio
import socket

from tests.support.serving import run, serving, until
from tremolo.net.handling import in_progress, of_this_task, unobserved

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def watched(handle, check):
    """`check(site)` asks a server that has viewers, who are shown none of its requests."""
    async def main():
        async with serving(handle) as site:
            site.server.look, site.server.names_others = lambda exchange: None, True
            site.server.remember(True)
            site.server.recent.renew(0, 10_000)
            site.server.recent.first_left = 0
            await check(site)

    run(main)


def test_it_is_found_by_what_its_handler_has_called_in_a_thread_and_in_tasks():
    found = []

    async def handle(exchange):
        def look():
            found.append(in_progress(exchange.connection.server, unobserved.get()) is exchange)

        async def look_in_task():
            look()

        look()
        await asyncio.to_thread(look)
        await asyncio.create_task(look_in_task())
        exchange.response.respond(204, [])

    async def check(site):
        await site.ask(GET.replace(b"1.1", b"1.0"))
        assert found == [True] * 3 and in_progress(site.server, 1) is None

    watched(handle, check)


def test_it_is_found_as_long_as_its_handler_runs_also_when_its_connection_is_on_with_the_next():
    go_on, exchanges = [], []

    async def handle(exchange):
        exchanges.append(exchange)
        exchange.response.respond(204, [])
        await go_on[0].wait()

    async def check(site):
        go_on.append(asyncio.Event())
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        for _ in range(2):
            writer.write(GET)
            await reader.readuntil(b"\r\n\r\n")
        assert [in_progress(site.server, number) for number in (1, 2)] == exchanges
        go_on[0].set()
        await until(lambda: not site.server.tasks)
        assert in_progress(site.server, 1) is None
        writer.close()

    watched(handle, check)


def test_it_is_found_when_its_client_has_left():
    go_on, exchanges = [], []

    async def handle(exchange):
        exchanges.append(exchange)
        try:
            await go_on[0].wait()
        except asyncio.CancelledError:
            await go_on[0].wait()
        exchange.response.respond(204, [])

    async def check(site):
        go_on.append(asyncio.Event())
        client = socket.create_connection(("127.0.0.1", site.port))
        client.sendall(GET)
        await until(lambda: exchanges)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
        await until(lambda: not site.server.connections)
        assert in_progress(site.server, 1) is exchanges[0]
        go_on[0].set()
        await until(lambda: not site.server.tasks)
        assert in_progress(site.server, 1) is None

    watched(handle, check)


def test_it_is_found_in_its_own_task_also_when_none_is_named():
    found = []

    async def handle(exchange):
        async def in_a_task_of_its_own():
            return of_this_task()

        found.extend([of_this_task() is exchange, unobserved.get(),
                      await asyncio.create_task(in_a_task_of_its_own()),
                      await asyncio.to_thread(of_this_task)])
        exchange.response.respond(204, [])

    async def check(site):
        site.server.names_others = False
        await site.ask(GET.replace(b"1.1", b"1.0"))
        assert found == [True, 0, None, None] and of_this_task() is None

    watched(handle, check)
