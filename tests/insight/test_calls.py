"""Commands, messages and tasks that a request sends: at that request, without their values.

smtplib sends to a server of this test; redis fails to reach one; Celery and arq are stood for by
classes of the same names.
"""

import asyncio
import smtplib
import socket
import sys
import threading
import types

import pytest

from tests.insight.test_queries import Log, insight, record  # noqa: F401 - fixtures
from tremolo.insight.calls import Calling, covered
from tremolo.insight.source import Source


@pytest.fixture
def mailbox():
    """The port of a mail server that takes one message."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        sock, _ = listener.accept()
        with sock, sock.makefile("rwb") as stream:
            stream.write(b"220 here\r\n")
            stream.flush()
            within = False
            for line in stream:
                if within:
                    within = line != b".\r\n"
                    if within:
                        continue
                    answer = b"250 taken\r\n"
                else:
                    within = line[:4].upper() == b"DATA"
                    answer = (b"354 go on\r\n" if within else b"221 bye\r\n"
                              if line[:4].upper() == b"QUIT" else b"250 fine\r\n")
                stream.write(answer)
                stream.flush()
                if answer.startswith(b"221"):  # it is the server that closes (RFC 5321, 4.1.1.10)
                    break

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    listener.close()
    thread.join(5)


def test_a_mail_is_noted_with_those_whom_it_goes_to(record, mailbox):  # noqa: F811
    with smtplib.SMTP("127.0.0.1", mailbox, local_hostname="here", timeout=5) as client:
        client.sendmail("me@shop", ["you@shop", "her@shop"], "Subject: x\n\ny")
    assert [(call.kind, call.method, call.target, call.status) for call in record.calls] == [
        ("mail", "SEND", "you@shop, her@shop", "sent")]


def test_redis_commands_of_both_kinds_are_noted_without_their_values(record):  # noqa: F811
    redis = pytest.importorskip("redis")
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    options = {"port": 1, "retry": Retry(NoBackoff(), 0)}
    with pytest.raises(redis.ConnectionError):
        redis.Redis(**options).set("cart:7", "hunter2")

    async def main():
        client = redis.asyncio.Redis(
            port=1, retry=redis.asyncio.retry.Retry(NoBackoff(), 0))
        with pytest.raises(redis.ConnectionError):
            await client.get("cart:8")

    asyncio.run(main())
    assert [(call.method, call.target, call.status) for call in record.calls] == [
        ("SET", "cart:7", "ConnectionError"), ("GET", "cart:8", "ConnectionError")]


class Client:
    """What a source observes: a function, and a coroutine function that waits for ever."""

    def ask(self, exc=None):
        if exc is not None:
            raise exc
        return "asked"

    async def wait(self):
        await asyncio.get_running_loop().create_future()


@pytest.fixture
def client(insight):  # noqa: F811
    source = Source("client", Log(), insight)
    calling = Calling(source, "http", lambda *_: ("GET", "there"), lambda result: result)
    calling.observe(Client, "ask")
    calling.observe(Client, "wait")
    yield Client()
    source.detach()


def test_a_call_that_is_given_up_is_cancelled_however_that_comes(record, client):  # noqa: F811
    async def main():
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.wait(), 0.001)
        left = asyncio.ensure_future(client.wait())
        await asyncio.sleep(0)
        left.cancel()
        await asyncio.wait([left])

    asyncio.run(main())
    waiting = client.wait()
    with pytest.raises(RuntimeError):  # there is no loop
        waiting.send(None)
    with pytest.raises(asyncio.CancelledError):
        client.ask(asyncio.CancelledError())
    assert [call.status for call in record.calls] == [
        "cancelled", "cancelled", "RuntimeError", "cancelled"]
    assert not covered.get()


def test_a_coroutine_that_is_closed_is_cancelled(record, insight):  # noqa: F811
    class Slow:
        async def wait(self):
            await Never()

    class Never:
        def __await__(self):
            yield

    source = Source("slow", Log(), insight)
    Calling(source, "http", lambda *_: ("GET", "there")).observe(Slow, "wait")
    waiting = Slow().wait()
    waiting.send(None)
    waiting.close()
    assert [call.status for call in record.calls] == ["cancelled"]


@pytest.mark.parametrize("exc", [KeyboardInterrupt(), SystemExit(1), OSError()])
def test_a_call_that_fails_has_the_class_of_what_it_raised(record, client, exc):  # noqa: F811
    assert client.ask() == "asked"
    with pytest.raises(type(exc)):
        client.ask(exc)
    assert [call.status for call in record.calls] == ["asked", type(exc).__name__]


class Task:
    name = "shop.bill"

    def apply_async(self, args=None, **options):
        return Celery().send_task(self.name, args)

    def apply(self, args=None, **options):
        return None


class Celery:
    def send_task(self, name, args=None):
        return object()


class ArqRedis:
    async def enqueue_job(self, function, *args):
        return None


def test_a_task_of_celery_is_noted_once(record, insight, monkeypatch):  # noqa: F811
    from tremolo.insight.sources import celery

    for name, member in (("celery.app.base", Celery), ("celery.app.task", Task)):
        monkeypatch.setitem(sys.modules, name, types.SimpleNamespace(
            **{member.__name__: member}))
    source = Source("celery", Log(), insight)
    celery.attach(source)
    Task().apply_async((1,))
    Celery().send_task("shop.other")
    source.detach()
    assert [(call.kind, call.target, call.status) for call in record.calls] == [
        ("task", "shop.bill", "queued"), ("task", "shop.other", "queued")]


def test_a_task_that_celery_runs_at_once_is_told_so_and_has_its_own_calls(record, insight):  # noqa: F811
    celery = pytest.importorskip("celery")
    app = celery.Celery("shop", broker="memory://")
    insight._arrivals.look()

    @app.task
    def bill(number):
        other.delay()

    @app.task
    def other():
        return 1

    bill.delay(7)
    app.conf.task_always_eager = True
    assert bill.delay(7).get() is None
    assert [(call.target.rpartition(".")[2], call.status) for call in record.calls] == [
        ("bill", "queued"), ("other", "run at once"), ("bill", "run at once")]


def test_a_job_of_arq_is_noted(record, insight, monkeypatch):  # noqa: F811
    from tremolo.insight.sources import arq

    monkeypatch.setitem(sys.modules, "arq.connections",
                        types.SimpleNamespace(ArqRedis=ArqRedis))
    source = Source("arq", Log(), insight)
    arq.attach(source)
    asyncio.run(ArqRedis().enqueue_job("bill", 7))
    source.detach()
    assert [(call.target, call.status) for call in record.calls] == [
        ("bill", "is there already")]
