"""What is known of a request goes with it: nothing is left for the garbage collector."""

import asyncio
import gc
import weakref
from types import SimpleNamespace

from tests.support.serving import run, serving_asgi, until
from tremolo.insight.insight import Insight
from tremolo.insight.record import running


class Log:
    def __getattr__(self, name):
        return lambda *told, **more: None


async def asked(site, insight, count):
    """Weak references to the records of `count` requests, and their client."""
    records = []

    async def app(scope, receive, send):
        records.append(weakref.ref(running.get()))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    site.server.adapter.app = app
    insight.serve(site.server)
    insight.watch(1)
    client = await site.connect()
    for _ in range(count + 1):
        await client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b" 204 " in await client.line(b"\r\n\r\n")
    await until(lambda: not site.server.tasks)
    # The profiler's thread, which the first one started, belongs to it.
    return records[1:], client


def watched(check):
    async def main():
        async with serving_asgi(None) as site:
            insight = Insight(Log())
            gc.disable()
            try:
                await check(site, insight)
            finally:
                gc.enable()
                insight.watch(0)

    run(main)


def test_records_of_told_requests_go_without_the_garbage_collector():
    async def check(site, insight):
        records, client = await asked(site, insight, 5)
        for id in list(insight._records):
            insight.row(id, 204, True, 0.0)
        await until(lambda: [ref() for ref in records] == [None] * 5)
        client.close()

    watched(check)


def test_records_that_nobody_asks_for_go_without_the_garbage_collector():
    async def check(site, insight):
        records, client = await asked(site, insight, 5)
        kept = max(insight._records)
        insight.keep({kept})
        await until(lambda: [ref() is not None for ref in records] == [False] * 4 + [True])
        client.close()

    watched(check)


def test_what_runs_on_after_the_end_of_its_request_still_has_its_record():
    async def check(site, insight):
        facts = []
        insight.on_facts = facts.append
        go_on = asyncio.Event()

        async def later():
            await go_on.wait()
            running.get().add_query("select 1", None, 0.0, 0.5, -1, False, None)

        tasks = []

        async def app(scope, receive, send):
            tasks.append(asyncio.ensure_future(later()))
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        site.server.adapter.app = app
        insight.serve(site.server)
        insight.watch(1)
        await site.get()
        [id] = insight._records
        insight.row(id, 204, True, 0.0)
        go_on.set()
        await tasks[0]
        insight.tick(1.0)
        assert [event["request"] for event in facts] == [id]

    watched(check)


def test_what_is_printed_without_a_line_end_after_the_end_of_its_request_is_told():
    async def check(site, insight):
        flushed = []
        insight._output = SimpleNamespace(requests=insight, flush=flushed.append)
        _, client = await asked(site, insight, 1)
        id = max(insight._records)
        record = insight._records[id]
        insight.row(id, 204, True, 0.0)
        flushed.clear()
        for second in (1.0, 2.0):
            written_by(record, insight)
            insight.tick(second)
            assert flushed == [], "it may be in the middle of a line"
        insight.tick(3.0)
        assert flushed == [record]
        written_by(record, insight)
        insight.watch(0)
        assert flushed.count(record) == 2, "also where nobody watches any more"
        client.close()

    watched(check)


def written_by(record, insight):
    """Somebody writes in the name of `record`."""
    token = running.set(record)
    try:
        assert insight.current() is record
    finally:
        running.reset(token)


def test_what_a_request_did_is_told_at_the_end_of_its_process():
    async def check(site, insight):
        told, flushed = [], []
        insight.on_facts = lambda event: told.append(event["request"])
        insight._output = SimpleNamespace(requests=insight, flush=flushed.append)
        _, client = await asked(site, insight, 1)
        records = list(insight._records.values())
        for record in records:
            record.add_query("SELECT 1", None, 0.0, 0.001, 1, False, None)
            insight.row(record.id, 204, True, 0.0)
        written_by(records[0], insight)
        flushed.clear()
        insight.last()
        assert told == [record.id for record in records] and flushed == records[:1]
        client.close()

    watched(check)
