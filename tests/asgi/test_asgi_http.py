"""HTTP as ASGI messages (specification: HTTP & WebSocket 2.5), over real sockets."""

import asyncio
import logging
import socket

import pytest

from tests.support.serving import (
    each_loop,
    each_loop_by_hand,
    pattern,
    run,
    serving_asgi,
    settle,
    until,
    within_a_second,
)
from tests.support.wire import GET

START = {"type": "http.response.start", "status": 200,
         "headers": [(b"content-type", b"text/plain")]}
END = {"type": "http.response.body", "body": b"Hello"}


async def hello(scope, receive, send):
    assert scope["type"] == "http"
    await send(START)
    await send(END)


def body(data, more=True):
    return {"type": "http.response.body", "body": data, "more_body": more}


def scope_of(request, **options):
    """The scope that an application gets for the bytes of a request."""
    async def main():
        scopes = []

        async def app(scope, receive, send):
            scopes.append(scope)
            await send(START)
            await send(END)

        async with serving_asgi(app, lifespan="off", **options) as site:
            await (await site.connect()).send(request)
            await until(lambda: scopes)
            scopes[0]["_port"] = site.address
        return scopes[0]

    return run(main)


# The scope


def test_the_scope_has_what_the_specification_asks_for():
    scope = scope_of(b"GET /a/b?c=d&c=e HTTP/1.1\r\nHost: h.test\r\nX-A: 1\r\nx-a: 2\r\n\r\n")
    assert scope["type"] == "http"
    assert scope["asgi"] == {"version": "3.0", "spec_version": "2.5"}
    assert scope["http_version"] == "1.1"
    assert scope["method"] == "GET"
    assert scope["scheme"] == "http"
    assert scope["path"] == "/a/b"
    assert scope["raw_path"] == b"/a/b"
    assert scope["query_string"] == b"c=d&c=e"
    assert scope["root_path"] == ""
    assert [tuple(pair) for pair in scope["headers"]] == [
        (b"host", b"h.test"), (b"x-a", b"1"), (b"x-a", b"2")]
    assert scope["client"][0] == "127.0.0.1"
    assert isinstance(scope["client"][1], int)
    assert tuple(scope["server"]) == scope["_port"]
    for extension in ("trailers", "early_hint", "pathsend", "zerocopysend"):
        assert scope["extensions"][f"http.response.{extension}"] == {}
    assert "state" not in scope


@pytest.mark.parametrize("target, path, raw, query", [
    (b"/", "/", b"/", b""),
    (b"/?", "/", b"/", b""),
    (b"/caf%C3%A9", "/café", b"/caf%C3%A9", b""),
    (b"/a%2Fb", "/a/b", b"/a%2Fb", b""),
    (b"/a%20b+c", "/a b+c", b"/a%20b+c", b""),
    (b"/%ff", "/\ufffd", b"/%ff", b""),
    (b"/%zz", "/%zz", b"/%zz", b""),
    (b"//x/../y", "//x/../y", b"//x/../y", b""),
    (b"/x?%C3%A9=%20", "/x", b"/x", b"%C3%A9=%20"),
    (b"http://localhost/abs?q", "/abs", b"/abs", b"q"),
])
def test_the_path_is_decoded_and_the_rest_is_as_sent(target, path, raw, query):
    scope = scope_of(b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % target)
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == (path, raw, query)


def test_the_root_path_precedes_the_path():
    scope = scope_of(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n", root_path="/mounted")
    assert (scope["root_path"], scope["path"]) == ("/mounted", "/mounted/x")


def test_http_1_0_is_named():
    scope = scope_of(b"GET / HTTP/1.0\r\n\r\n")
    assert scope["http_version"] == "1.0"
    assert scope["headers"] == []


def test_a_unix_socket_has_a_server_without_port():
    scope = scope_of(GET, family=socket.AF_UNIX)
    assert scope["client"] is None
    assert tuple(scope["server"]) == (scope["_port"], None)


def test_over_tls_the_scheme_is_https():
    scope = scope_of(GET, tls=True)
    assert scope["scheme"] == "https"


def test_what_an_application_does_to_its_scope_stays_with_it(conversation):
    seen = []

    async def app(scope, receive, send):
        seen.append((list(scope["headers"]), scope["extensions"].copy(), scope["path"],
                     scope["asgi"].copy()))
        scope["headers"].append((b"x", b"y"))
        scope["extensions"].clear()
        scope["asgi"].clear()
        scope["path"] = "/other"
        await send(START)
        await send(END)

    async def talk(site, client):
        for _ in range(3):
            await client.send(GET)
            await client.response()
        assert seen[0] == seen[1] == seen[2]

    conversation(app, talk)


# receive()


@each_loop
@pytest.mark.parametrize("chunked", [False, True])
def test_the_body_comes_in_messages_of_which_one_is_the_last(conversation, chunked):
    data = pattern(200_000)

    messages = []

    async def app(scope, receive, send):
        while True:
            message = await receive()
            messages.append(message)
            if not message["more_body"]:
                break
        await send(START)
        await send(END)

    async def talk(site, client):
        if chunked:
            await client.send(b"POST / HTTP/1.1\r\nHost: a\r\n"
                              b"Transfer-Encoding: chunked\r\n\r\n"
                              b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data))
        else:
            await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b"
                              % (len(data), data))
        assert (await client.response()).status == 200
        assert b"".join(message["body"] for message in messages) == data
        assert [m["type"] for m in messages] == ["http.request"] * len(messages)
        assert [m["more_body"] for m in messages].count(False) == 1

    conversation(app, talk)


@pytest.mark.parametrize("request_bytes", [GET, b"POST / HTTP/1.1\r\nHost: a\r\n"
                                           b"Content-Length: 0\r\n\r\n"])
def test_a_request_without_body_is_one_message(conversation, request_bytes):
    messages = []

    async def app(scope, receive, send):
        messages.append(await receive())
        await send(START)
        await send(END)
        messages.append(await receive())
        messages.append(await receive())

    async def talk(site, client):
        await client.send(request_bytes)
        await client.response()
        await until(lambda: len(messages) == 3)
        assert messages == [{"type": "http.request", "body": b"", "more_body": False},
                            {"type": "http.disconnect"}, {"type": "http.disconnect"}]

    conversation(app, talk)


@each_loop_by_hand
@pytest.mark.parametrize("leave", ["close", "reset", "half_close"])
@pytest.mark.parametrize("sent", [b"", b"abc"])
def test_the_application_is_told_when_the_client_leaves(conversation, leave, sent):
    messages = []

    async def app(scope, receive, send):
        while True:
            messages.append(await receive())
            if messages[-1]["type"] == "http.disconnect":
                break

    async def talk(site, client):
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n"
                          + sent)
        await until(lambda: site.server.connections and site.connection.word == "reading"
                    and len(messages) == bool(sent))
        getattr(client, leave)()
        await within_a_second(
            lambda: messages and messages[-1]["type"] == "http.disconnect")
        await until(lambda: not site.server.tasks)

    conversation(app, talk)


@each_loop
def test_an_application_that_returns_when_its_client_left_is_not_blamed(conversation):
    async def app(scope, receive, send):
        while (await receive())["type"] != "http.disconnect":
            pass

    async def talk(site, client):
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
        await site.reading()
        client.half_close()
        assert (await client.response()).status == 400
        await until(lambda: not site.server.tasks)
        assert site.server.counters.errors == 0

    conversation(app, talk)


@each_loop
def test_a_cancelled_receive_does_not_break_the_next(loop_name):
    """Frameworks poll for a disconnect by cancelling receive() at once."""
    async def main():
        polls = []

        async def app(scope, receive, send):
            await receive()
            for _ in range(3):
                task = asyncio.ensure_future(receive())
                await settle(2)
                task.cancel()
                polls.append(task.done())
                await settle(2)
            listener = asyncio.ensure_future(receive())
            await send(START)
            await send(END)
            polls.append(await listener)

        async with serving_asgi(app, lifespan="off") as site:
            assert (await site.get()).status == 200
            await until(lambda: len(polls) == 4)
            assert polls == [False, False, False, {"type": "http.disconnect"}]

    run(main, loop_name)


@pytest.mark.parametrize("bad, status", [(b"zz\r\n", 400), (b"7d1\r\n" + bytes(2001), 413)])
def test_a_broken_body_is_answered_and_costs_no_traceback(bad, status, caplog):
    async def main():
        async def app(scope, receive, send):
            message = await receive()
            while message["type"] != "http.disconnect":
                message = await receive()
            raise ValueError("what frameworks do then")

        async with serving_asgi(app, lifespan="off", client_max_body_size=2000) as site:
            data = await site.ask(b"POST / HTTP/1.1\r\nHost: a\r\n"
                                  b"Transfer-Encoding: chunked\r\n\r\n" + bad)
            assert data.startswith(b"HTTP/1.1 %d " % status)
            await until(lambda: not site.server.tasks)
            assert site.server.counters.errors == 0

    caplog.set_level(logging.INFO)
    run(main)
    assert not [r for r in caplog.records if r.exc_info]


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
