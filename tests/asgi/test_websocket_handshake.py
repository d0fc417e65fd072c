"""WebSockets that an ASGI application is asked for: accepted, or refused by whom."""


import pytest

from tests.asgi.applications import Recorder, echo
from tests.support.serving import each_loop, run, serving_asgi, until
from tests.support.websocket_peer import (
    ACCEPT,
    TEXT,
    frame,
    handshake,
    open_client,
    peer,
    refused,
)

PLAIN = (b"content-type", b"text/plain; charset=utf-8")


# The opening handshake (RFC 6455 section 4.2)


@each_loop
def test_the_handshake_answers_with_the_token_of_the_key(dialogue):
    async def talk(site, ws):
        assert ws.response["sec-websocket-accept"] == ACCEPT
        assert ws.response["upgrade"].lower() == "websocket"
        assert ws.response["connection"].lower() == "upgrade"
        assert "content-length" not in ws.response
        assert "transfer-encoding" not in ws.response
        assert "date" in ws.response

    dialogue(echo, talk)


@pytest.mark.parametrize("request_, status", [
    pytest.param(handshake(version=b"12"), 426, id="other version"),
    pytest.param(handshake(version=None), 426, id="no version"),
    pytest.param(handshake(key=None), 400, id="no key"),
    pytest.param(handshake(key=b"short"), 400, id="short key"),
    pytest.param(handshake(fields=[(b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ==")]), 400,
                 id="two keys"),
    pytest.param(handshake(method=b"POST"), 405, id="not GET"),
    pytest.param(handshake(fields=[(b"Sec-WebSocket-Extensions", b"a;;b")]), 400,
                 id="malformed extensions"),
    pytest.param(handshake(fields=[(b"Content-Length", b"3")]) + b"abc", 400, id="a body"),
])
def test_a_bad_handshake_is_refused_without_the_application(request_, status):
    app = Recorder()

    async def main():
        async with serving_asgi(app) as site:
            response = await refused(site, request_)
            assert response.status == status
            assert response.body.endswith(b".\n")
            if status == 426:
                assert response["sec-websocket-version"] == "13"
            assert app.scope is None

    run(main)


def test_http_1_0_cannot_upgrade():
    app = Recorder()

    async def main():
        async with serving_asgi(app) as site:
            client = await open_client(site)
            await client.send(handshake(http=b"1.0"))
            answer = await client.rest()
            assert b" 101 " not in answer.split(b"\r\n")[0]
            client.close()

    run(main)


def test_with_no_ws_an_upgrade_is_an_ordinary_request():
    async def app(scope, receive, send):
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": [PLAIN]})
        await send({"type": "http.response.body", "body": b"plain"})

    async def main():
        async with serving_asgi(app, lifespan="off", ws=False) as site:
            response = await refused(site, handshake())
            assert (response.status, response.body) == (200, b"plain")

    run(main)


def test_frames_sent_along_with_the_handshake_are_not_lost():
    async def main():
        async with serving_asgi(echo) as site:
            client = await open_client(site)
            await client.send(handshake() + frame(TEXT, b"early"))
            assert (await client.response()).status == 101
            assert await client.need(7) == b"\x81\x05early"
            client.close()

    run(main)


def test_the_scope_says_what_was_asked_for():
    app = Recorder()
    fields = [(b"Sec-WebSocket-Protocol", b"v2.chat, v1.chat"), (b"X-One", b"1"),
              (b"Sec-WebSocket-Protocol", b"bad protocol, superchat")]

    async def main():
        async with serving_asgi(app, root_path="/mounted") as site:
            async with peer(site, b"/a%20%C3%A9/b?x=%20y", fields):
                await until(lambda: app.scope)
            scope = app.scope
            assert scope["type"] == "websocket"
            assert scope["asgi"] == {"version": "3.0", "spec_version": "2.5"}
            assert scope["scheme"] == "ws"
            assert scope["http_version"] == "1.1"
            assert scope["path"] == "/mounted/a é/b"
            assert scope["raw_path"] == b"/a%20%C3%A9/b"
            assert scope["root_path"] == "/mounted"
            assert scope["query_string"] == b"x=%20y"
            assert scope["subprotocols"] == ["v2.chat", "v1.chat", "superchat"]
            assert (b"x-one", b"1") in scope["headers"]
            assert scope["client"][0] == "127.0.0.1"
            assert scope["server"] == site.address
            assert scope["extensions"] == {"websocket.http.response": {}}
            assert "method" not in scope
            assert "state" not in scope

    run(main)


def test_the_scope_has_a_copy_of_the_lifespan_state():
    seen = []

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            scope["state"]["shared"] = ["x"]
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        seen.append(scope["state"])
        scope["state"]["own"] = 1
        await send({"type": "websocket.accept"})

    async def main():
        async with serving_asgi(app) as site:
            for _ in range(2):
                async with peer(site) as ws:
                    await ws.receive()
            assert seen[0] is not seen[1]
            assert seen[0]["shared"] is seen[1]["shared"]

    run(main)


def test_tls_is_told_in_the_scope(dialogue):
    app = Recorder()

    async def talk(site, ws):
        await until(lambda: app.scope)
        assert app.scope["scheme"] == "wss"
        tls = app.scope["extensions"]["tls"]
        assert tls["tls_version"] in (0x0303, 0x0304)
        assert 0 < tls["cipher_suite"] <= 0xFFFF
        assert tls["client_cert_chain"] == []
        assert tls["client_cert_name"] is None

    dialogue(app, talk, tls=True)


# Accepting


def test_a_subprotocol_and_headers_go_out_with_the_answer():
    app = Recorder(accept={"subprotocol": "b", "headers": [
        (b"x-one", b"1"), [b"set-cookie", b"a=1"], (b"set-cookie", b"b=2")]})

    async def main():
        async with serving_asgi(app) as site:
            async with peer(site, fields=[(b"Sec-WebSocket-Protocol", b"a, b")]) as ws:
                assert ws.response["sec-websocket-protocol"] == "b"
                assert ws.response["x-one"] == "1"
                cookies = [v for n, v in ws.response.fields if n == "set-cookie"]
                assert cookies == ["a=1", "b=2"]

    run(main)


@pytest.mark.parametrize("accept", [
    pytest.param({"subprotocol": "other"}, id="subprotocol that was not offered"),
    pytest.param({"headers": [(b"sec-websocket-protocol", b"a")]}, id="subprotocol as header"),
    pytest.param({"headers": [(b"sec-websocket-accept", b"x")]}, id="handshake header"),
    pytest.param({"headers": [(b"upgrade", b"h2c")]}, id="upgrade"),
    pytest.param({"headers": [(b"x", b"1\r\ny: 2")]}, id="line break in a header"),
    pytest.param({"headers": [("x", "1")]}, id="headers that are str"),
])
def test_what_cannot_be_accepted_raises_and_is_a_500(accept):
    app = Recorder(accept=accept)

    async def main():
        async with serving_asgi(app) as site:
            request = handshake(fields=[(b"Sec-WebSocket-Protocol", b"a")])
            response = await refused(site, request)
            assert response.status == 500
            assert isinstance(app.error, (ValueError, TypeError))

    run(main)


def test_an_application_can_accept_after_a_refused_accept(dialogue):
    async def script(app, receive, send):
        with pytest.raises(ValueError):
            await send({"type": "websocket.accept", "subprotocol": "other"})
        await send({"type": "websocket.accept"})

    async def talk(site, ws):
        assert (await ws.receive()).code == 1000

    dialogue(Recorder(script), talk)


# Refusing


def test_close_before_accept_is_a_403(conversation):
    async def script(app, receive, send):
        await send({"type": "websocket.close", "code": 4000, "reason": "not told"})
        app.messages.append(await receive())

    app = Recorder(script)

    async def talk(site, client):
        await client.send(handshake())
        response = await client.response()
        assert response.status == 403
        assert response["connection"] == "close"
        assert await client.closed()
        await until(lambda: app.done)
        assert app.messages[-1]["type"] == "websocket.disconnect"

    conversation(app, talk)


def test_a_denial_response_is_sent_as_the_application_says():
    async def script(app, receive, send):
        await send({"type": "websocket.http.response.start", "status": 401,
                    "headers": [(b"www-authenticate", b"Basic"), PLAIN]})
        await send({"type": "websocket.http.response.body", "body": b"who ",
                    "more_body": True})
        await send({"type": "websocket.http.response.body", "body": b"", "more_body": True})
        await send({"type": "websocket.http.response.body", "body": b"are you?"})
        app.messages.append(await receive())

    async def main():
        app = Recorder(script)
        async with serving_asgi(app) as site:
            client = await open_client(site)
            await client.send(handshake())
            response = await client.response()
            assert (response.status, response.body) == (401, b"who are you?")
            assert response["www-authenticate"] == "Basic"
            assert response["connection"] == "close"
            assert await client.closed()
            await until(lambda: app.done)
            assert app.error is None
            assert app.messages[-1] == {"type": "websocket.disconnect", "code": 1006,
                                        "reason": ""}

    run(main)


def test_a_denial_that_is_not_completed_is_no_whole_response():
    async def script(app, receive, send):
        await send({"type": "websocket.http.response.start", "status": 401})
        await send({"type": "websocket.http.response.body", "body": b"part",
                    "more_body": True})

    async def main():
        app = Recorder(script)
        async with serving_asgi(app) as site:
            with pytest.raises((EOFError, ConnectionResetError)):
                await refused(site, handshake())
            assert site.server.counters.errors == 1

    run(main)


def test_a_large_denial_waits_for_a_slow_client():
    sent = []

    async def script(app, receive, send):
        await send({"type": "websocket.http.response.start", "status": 400})
        for _ in range(400):
            await send({"type": "websocket.http.response.body", "body": bytes(65536),
                        "more_body": True})
            sent.append(1)
        await send({"type": "websocket.http.response.body"})

    async def main():
        app = Recorder(script)
        async with serving_asgi(app) as site:
            client = await open_client(site, receive_buffer=4096)
            await client.send(handshake())
            await until(lambda: site.server.connections and site.connection.outbox.full)
            assert len(sent) < 200
            response = await client.response()
            assert len(response.body) == 400 * 65536
            client.close()

    run(main)


# Pages of other sites


@pytest.mark.parametrize("origin, status", [
    (b"http://localhost:8000", 101),
    (b"https://localhost:8000", 101),
    (b"http://LOCALHOST:8000", 101),
    (None, 101),
    (b"null", 403),
    (b"http://localhost", 403),
    (b"http://localhost:8001", 403),
    (b"http://localhost:8000.evil.test", 403),
    (b"http://evil.test", 403),
    (b"http://127.0.0.1:8000", 403),
    (b"http://localhost:8000@evil.test", 403),
    (b"file://", 403),
    (b"", 403),
    (b"http://allowed.test", 101),
    (b"http://allowed.test:9000", 101),
    (b"http://ported.test:81", 101),
    (b"http://ported.test:82", 403),
])
@pytest.mark.parametrize("mode", ["debug", "reload"])
def test_in_development_only_pages_of_the_same_or_an_allowed_host_may_connect(
        mode, origin, status):
    fields = [] if origin is None else [(b"Origin", origin)]
    app = Recorder()

    async def main():
        settings = {mode: True, "allowed_hosts": ("allowed.test", "ported.test:81")}
        async with serving_asgi(app, **settings) as site:
            response = await refused(site, handshake(host=b"localhost:8000", fields=fields))
            assert response.status == status
            if status == 403:
                assert b"--allowed-hosts" in response.body
                assert app.scope is None

    run(main)


def test_with_a_star_or_out_of_development_every_page_may_connect():
    async def main():
        for settings in ({}, {"debug": True, "allowed_hosts": ("*",)}):
            async with serving_asgi(Recorder(), **settings) as site:
                request = handshake(fields=[(b"Origin", b"http://evil.test")])
                assert (await refused(site, request)).status == 101

    run(main)
