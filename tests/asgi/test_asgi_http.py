"""HTTP requests as ASGI messages (specification: HTTP & WebSocket 2.5), over real sockets."""

import asyncio
import logging
import socket

import pytest

from tests.asgi.applications import END, START
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
