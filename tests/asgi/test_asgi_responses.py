"""Responses of ASGI messages (specification: HTTP & WebSocket 2.5), over real sockets."""

import asyncio

import pytest

from tests.asgi.applications import END, START, hello
from tests.support.serving import (
    each_loop,
    run,
    serving_asgi,
    settle,
    until,
)
from tests.support.wire import GET
from tremolo.exceptions import ASGIConnectionError


def body(data, more=True):
    return {"type": "http.response.body", "body": data, "more_body": more}


# send()


@each_loop
def test_a_streamed_response_is_chunked_and_whole(loop_name):
    async def main():
        async def app(scope, receive, send):
            await send(START)
            for number in range(50):
                await send(body(b"%d," % number))
            await send(body(b"", more=False))

        async with serving_asgi(app, lifespan="off") as site:
            response = await site.get()
            assert response["transfer-encoding"] == "chunked"
            assert response.body == b"".join(b"%d," % n for n in range(50))

    run(main, loop_name)


def test_duplicate_headers_are_sent_in_their_order():
    async def main():
        headers = [(b"Set-Cookie", b"a=1"), (b"x", b"1"), (b"set-cookie", b"b=2"),
                   [b"list", b"as well"]]

        async def app(scope, receive, send):
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send(END)

        async with serving_asgi(app, lifespan="off") as site:
            response = await site.get()
            own = [pair for pair in response.fields if pair[0] in ("set-cookie", "x", "list")]
            assert own == [("set-cookie", "a=1"), ("x", "1"), ("set-cookie", "b=2"),
                           ("list", "as well")]

    run(main)


def test_headers_and_body_may_be_left_out():
    async def main():
        async def app(scope, receive, send):
            await send({"type": "http.response.start", "status": 404})
            await send({"type": "http.response.body"})

        async with serving_asgi(app, lifespan="off") as site:
            response = await site.get()
            assert (response.status, response.body) == (404, b"")

    run(main)


@pytest.mark.parametrize("messages", [
    pytest.param([END], id="body first"),
    pytest.param([START, START], id="start twice"),
    pytest.param([{"type": "http.response.nonsense"}], id="unknown"),
    pytest.param([{"type": "websocket.send", "text": ""}], id="websocket"),
    pytest.param([{"type": "http.response.trailers", "headers": []}], id="trailers first"),
    pytest.param([{"type": "http.response.start", "headers": []}], id="no status"),
    pytest.param([{"type": "http.response.start", "status": "200"}], id="text status"),
    pytest.param([{"type": "http.response.start", "status": 100}], id="status 100"),
    pytest.param([{"type": "http.response.start", "status": 1000}], id="status 1000"),
])
def test_messages_out_of_order_raise_and_the_client_gets_a_500(messages):
    async def main():
        raised = []

        async def app(scope, receive, send):
            try:
                for message in messages:
                    await send(message)
            except RuntimeError as exc:
                raised.append(exc)
                raise

        async with serving_asgi(app, lifespan="off") as site:
            assert (await site.get()).status == 500
            assert len(raised) == 1

    run(main)


@pytest.mark.parametrize("message", [START, END, body(b"x"),
                                     {"type": "http.response.trailers", "headers": []}])
def test_a_message_after_the_end_raises_and_hurts_no_client(conversation, message):
    raised = []

    async def app(scope, receive, send):
        await send(START)
        await send(END)
        try:
            await send(message)
        except RuntimeError as exc:
            raised.append(exc)

    async def talk(site, client):
        for number in range(3):
            await client.send(GET)
            assert (await client.response()).body == b"Hello"
            await until(lambda number=number: len(raised) == number + 1)

    conversation(app, talk)


@pytest.mark.parametrize("data", ["text", 5, None])
def test_a_body_that_is_no_bytes_raises(data):
    async def main():
        raised = []

        async def app(scope, receive, send):
            await send(START)
            try:
                await send({"type": "http.response.body", "body": data})
            except Exception as exc:
                raised.append(exc)
                raise

        async with serving_asgi(app, lifespan="off") as site:
            assert (await site.get()).status == 500
            assert isinstance(raised[0], (TypeError, RuntimeError))

    run(main)


def test_an_injected_header_is_a_500():
    async def main():
        async def app(scope, receive, send):
            await send({"type": "http.response.start", "status": 200,
                        "headers": [(b"location", b"/\r\nset-cookie: a=b")]})
            await send(END)

        async with serving_asgi(app, lifespan="off") as site:
            response = await site.get()
            assert response.status == 500
            assert "set-cookie" not in response

    run(main)


async def ends_in_error(site, steps):
    """What a client gets of an application that did so many steps of its response only."""
    if steps < 2:
        assert (await site.get()).status == 500
    else:
        with pytest.raises((EOFError, ConnectionResetError)):
            await site.get()
    assert site.server.counters.errors == 1


@each_loop
@pytest.mark.parametrize("steps", range(3), ids=["nothing", "the head", "a part of the body"])
def test_an_exception_is_a_500_or_a_broken_response(loop_name, steps):
    async def main():
        async def app(scope, receive, send):
            for message in (START, body(b"part"))[:steps]:
                await send(message)
            await settle()
            raise ValueError("oh")

        async with serving_asgi(app, lifespan="off") as site:
            await ends_in_error(site, steps)

    run(main, loop_name)


@pytest.mark.parametrize("steps", range(3), ids=["nothing", "the head", "a part of the body"])
def test_an_application_that_returns_too_early_is_an_error(steps):
    async def main():
        async def app(scope, receive, send):
            for message in (START, body(b"part"))[:steps]:
                await send(message)

        async with serving_asgi(app, lifespan="off") as site:
            await ends_in_error(site, steps)

    run(main)


@each_loop
def test_sending_to_a_client_that_left_raises_oserror(conversation, caplog):
    raised = []

    async def app(scope, receive, send):
        await send(START)
        try:
            while True:
                await send(body(bytes(10_000)))
                await asyncio.sleep(0)
        except OSError as exc:
            raised.append(exc)
            raise

    async def talk(site, client):
        await client.send(GET)
        await client.receive()
        client.reset()
        await until(lambda: raised)
        await until(lambda: not site.server.tasks)
        assert site.server.counters.errors == 0

    conversation(app, talk)
    assert not [r for r in caplog.records if r.exc_info]


def test_an_error_that_a_framework_makes_of_a_gone_client_is_no_error_of_the_application(
        conversation):
    ended = []

    async def app(scope, receive, send):
        await send(START)
        try:
            while True:
                try:
                    await send(body(bytes(10_000)))
                except OSError:
                    raise ValueError("the framework's own class")  # noqa: B904
                await asyncio.sleep(0)
        finally:
            ended.append(True)

    async def talk(site, client):
        await client.send(GET)
        await client.receive()
        client.reset()
        await until(lambda: ended and not site.server.tasks)
        assert site.server.counters.errors == 0

    conversation(app, talk)


class Group(Exception):
    """As exception groups are, which Python has from 3.11 on."""

    def __init__(self, *exceptions):
        super().__init__("several")
        self.exceptions = exceptions


def raised_from_each_other():
    first, second = ValueError("first"), KeyError("second")
    first.__cause__, second.__cause__ = second, first
    return first


def raised_from_its_own_group():
    alone = ValueError("alone")  # as Starlette does where a middleware is a BaseHTTPMiddleware
    alone.__cause__ = Group(alone)
    return alone


def in_a_group_of_itself_and_a_gone_client():
    alone = ValueError("alone")
    alone.__context__ = Group(ASGIConnectionError("gone"), alone)
    return alone


@pytest.mark.parametrize("make", [
    raised_from_each_other, raised_from_its_own_group, in_a_group_of_itself_and_a_gone_client])
def test_an_exception_whose_chain_leads_back_to_it_is_the_one_that_is_reported(
        conversation, make):
    exc = make()
    reported = []

    async def app(scope, receive, send):
        raise exc

    async def talk(site, client):
        site.server.on_error = lambda exchange, found: reported.append(found)
        await client.send(GET)
        assert (await client.response()).status == 500

    conversation(app, talk)
    assert reported == [exc]


def test_errors_in_a_group_that_all_come_of_one_gone_client_are_none_of_the_application(
        conversation):
    async def app(scope, receive, send):
        gone, errors = ASGIConnectionError("gone"), (ValueError("one"), KeyError("two"))
        for error in errors:
            error.__context__ = gone
        raise Group(*errors)

    async def talk(site, client):
        await client.send(GET)
        await client.receive()
        await until(lambda: not site.server.tasks)
        assert site.server.counters.errors == 0

    conversation(app, talk)


@each_loop
def test_the_application_may_go_on_after_its_response(loop_name):
    async def main():
        done = []
        go_on = asyncio.Event()

        async def app(scope, receive, send):
            await send(START)
            await send(END)
            await go_on.wait()
            done.append(scope["path"])

        async with serving_asgi(app, lifespan="off") as site:
            client = await site.connect()
            for number in range(3):
                await client.send(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number)
                assert (await client.response()).body == b"Hello"
            assert not done
            go_on.set()
            await until(lambda: done == ["/0", "/1", "/2"])
            client.close()

    run(main, loop_name)


def test_trailers_follow_the_body(conversation):
    async def app(scope, receive, send):
        await send({**START, "trailers": True})
        await send(body(b"data"))
        await send(body(b"!", more=False))
        await send({"type": "http.response.trailers", "headers": [(b"x-a", b"1")],
                    "more_trailers": True})
        await send({"type": "http.response.trailers", "headers": [(b"x-b", b"2")]})

    async def talk(site, client):
        for _ in range(2):
            await client.send(GET)
            response = await client.response()
            assert response.body == b"data!"
            assert response.trailers == [(b"x-a", b"1"), (b"x-b", b"2")]

    conversation(app, talk)


def test_a_response_that_promised_trailers_needs_them():
    async def main():
        async def app(scope, receive, send):
            await send({**START, "trailers": True})
            await send(END)

        async with serving_asgi(app, lifespan="off") as site:
            with pytest.raises((EOFError, ConnectionResetError)):
                await site.get()
            assert site.server.counters.errors == 1

    run(main)


def test_early_hints_precede_the_response(conversation):
    async def app(scope, receive, send):
        await send({"type": "http.response.early_hint",
                    "links": [b"</a.css>; rel=preload", b"</b.js>; rel=preload"]})
        await send(START)
        await send(END)

    async def talk(site, client):
        await client.send(GET)
        hint = await client.response()
        assert hint.status == 103
        assert [value for _, value in hint.fields] == [
            "</a.css>; rel=preload", "</b.js>; rel=preload"]
        assert (await client.response()).body == b"Hello"

    conversation(app, talk)


def test_head_gets_the_headers_of_get(conversation):
    async def talk(site, client):
        await client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
        response = await client.response(b"HEAD")
        assert response["content-length"] == "5"
        await client.send(GET)
        assert (await client.response()).body == b"Hello"

    conversation(hello, talk)


@each_loop
def test_an_application_can_answer_while_it_reads(conversation):
    async def app(scope, receive, send):
        await send(START)
        while True:
            message = await receive()
            await send(body(message["body"]))
            if not message["more_body"]:
                break
        await send(body(b"", more=False))

    async def talk(site, client):
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
        await client.line(b"3\r\nabc\r\n")
        await client.send(b"def")
        await client.line(b"3\r\ndef\r\n0\r\n\r\n")
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
        assert (await client.response()).body == b"x"

    conversation(app, talk)


def test_the_handler_timeout_is_off_unless_it_is_set():
    async def main():
        async with serving_asgi(hello, lifespan="off") as site:
            assert site.adapter.handler_timeout == 0
            assert site.adapter.body_limit is None
        async with serving_asgi(hello, lifespan="off", app_handler_timeout=5,
                                client_max_body_size=10) as site:
            assert site.adapter.handler_timeout == 5
            assert site.adapter.body_limit == 10

    run(main)


def test_a_client_that_leaves_with_all_it_was_promised_is_no_error():
    outcome = []

    async def app(scope, receive, send):
        if scope["type"] != "http":
            raise RuntimeError("no lifespan here")
        await send({"type": "http.response.start", "status": 200,
                    "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"done", "more_body": True})
        await receive()
        assert (await receive())["type"] == "http.disconnect"
        await send({"type": "http.response.body"})
        outcome.append("complete")

    async def main():
        async with serving_asgi(app) as site:
            assert (await site.get()).body == b"done"  # and closes
            await until(lambda: outcome)
            assert site.server.counters.errors == 0

    run(main)
