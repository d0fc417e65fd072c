"""docs/api.md section 9: the WebSocket object."""


import pytest

from tests.app.serving import get, handler, serve
from tests.support.serving import until
from tremolo import Tremolo
from tremolo.app.websocket import WebSocket
from tremolo.exceptions import WebSocketClientClosed, WebSocketServerClosed
from tremolo.testing import HandshakeRefused


def talk(func, scenario, **options):
    async def run(client):
        return await scenario(await client.websocket("/"), client)

    return serve(handler(func), run, **options)


def test_accept_receive_send():
    async def echo(websocket=None, **server):
        await websocket.accept()
        for _ in range(2):
            await websocket.send(await websocket.receive())

    async def scenario(websocket, client):
        await websocket.send("t\u00e9xt")
        assert await websocket.receive() == "t\u00e9xt"
        await websocket.send(b"\0\1")
        assert await websocket.receive() == b"\0\1"
        assert await websocket.receive() is None and websocket.close_code == 1000

    talk(echo, scenario)


def test_iteration_accepts_and_ends_when_the_client_closes():
    ended = []

    async def echo(websocket=None):
        async for message in websocket:
            await websocket.send(message)
        ended.append(True)

    async def scenario(websocket, client):
        for text in ("one", "", "three"):
            await websocket.send(text)
            assert await websocket.receive() == text
        await websocket.close(1000)
        assert websocket.close_code == 1000

    talk(echo, scenario)
    assert ended


def test_receive_gives_text_as_str_and_binary_as_bytearray():
    found = []

    async def show(websocket=None):
        assert (websocket.fin, websocket.max_payload_size) == (1, 2097152)
        assert websocket.ping_interval > 0
        found.append((type(await websocket.receive()), websocket.opcode))
        found.append((type(await websocket.receive()), websocket.opcode))
        found.append((await websocket.recv(), websocket.opcode))

    async def scenario(websocket, client):
        await websocket.send("a")
        await websocket.send(b"b")
        await websocket.send("c")
        assert await websocket.receive() is None

    talk(show, scenario)
    assert found == [(str, 1), (bytearray, 2), (b"c", 1)]


def test_a_client_that_closes_raises_with_its_code():
    found = []

    async def show(websocket=None):
        try:
            await websocket.receive()
        except WebSocketClientClosed as exc:
            found.append((exc.code, websocket.close_reason))
            raise

    async def scenario(websocket, client):
        await websocket.close(3001, "bye")
        assert websocket.close_code == 3001
        return client.server.counters.errors

    assert talk(show, scenario) == 0
    assert found == [(3001, "bye")]


def test_a_message_that_is_too_big_closes_with_1009():
    found = []

    async def show(websocket=None):
        try:
            await websocket.receive()
        except WebSocketServerClosed as exc:
            found.append(exc.code)

    async def scenario(websocket, client):
        await websocket.send("x" * 2000)
        assert await websocket.receive() is None
        return websocket.close_code

    assert talk(show, scenario, ws_max_payload_size=1000) == 1009
    assert found == [1009]


def test_a_receive_timeout_closes_with_1000():
    async def show(websocket=None):
        await websocket.receive(timeout=0.02)

    async def scenario(websocket, client):
        assert await websocket.receive() is None
        return websocket.close_code

    assert talk(show, scenario) == 1000


def test_close_sends_code_and_reason():
    async def show(websocket=None):
        await websocket.accept()
        await websocket.close(4000, "because", timeout=1)

    async def scenario(websocket, client):
        assert await websocket.receive() is None
        return websocket.close_code, websocket.close_reason

    assert talk(show, scenario) == (4000, "because")


def test_fragments_pings_and_pongs_can_be_sent():
    async def show(websocket=None):
        await websocket.accept()
        await websocket.ping(b"hi")
        await websocket.pong()
        await websocket.send("one, ", fin=0)
        await websocket.send("two", opcode=0)

    async def scenario(websocket, client):
        return await websocket.receive()

    assert talk(show, scenario) == "one, two"


def test_an_error_in_the_handler_closes_with_1011():
    async def show(websocket=None):
        await websocket.accept()
        raise ValueError("secret")

    async def scenario(websocket, client):
        assert await websocket.receive() is None
        assert client.server.counters.errors == 1
        return websocket.close_code, websocket.close_reason

    assert talk(show, scenario) == (1011, "")


def test_subprotocol_origin_and_fields_of_the_handshake():
    async def show(response, websocket=None):
        response.set_header("X-Mine", "1")
        await websocket.accept("chat" if "chat" in websocket.subprotocols else None)
        await websocket.send(websocket.origin or "none")

    async def scenario(client):
        websocket = await client.websocket("/", subprotocols=["other", "chat"],
                                           headers={"Origin": "http://example.com"})
        assert websocket.subprotocol == "chat"
        assert websocket.response.header("x-mine") == "1"
        assert await websocket.receive() == "http://example.com"

    serve(handler(show), scenario)


def test_closing_before_accepting_is_403():
    async def show(websocket=None):
        await websocket.close()

    async def scenario(client):
        with pytest.raises(HandshakeRefused) as info:
            await client.websocket("/")
        return info.value.response.status

    assert serve(handler(show), scenario) == 403


def test_a_plain_response_in_place_of_the_handshake():
    async def show(response, websocket=None):
        response.set_status(401)
        return "who are you?"

    async def scenario(client):
        with pytest.raises(HandshakeRefused) as info:
            await client.websocket("/")
        return info.value.response

    response = serve(handler(show), scenario)
    assert (response.status, response.text) == (401, "who are you?")


def test_a_plain_request_has_no_websocket():
    async def show(websocket=None):
        return repr(websocket)

    assert get(handler(show), "/").text == "None"


def test_no_websockets_where_they_are_switched_off():
    async def show(websocket=None):
        return repr(websocket)

    async def scenario(client):
        with pytest.raises(HandshakeRefused):
            await client.websocket("/")

    serve(handler(show), scenario, ws=False)


@pytest.mark.parametrize("headers, status", [
    ({"Sec-WebSocket-Version": "12", "Sec-WebSocket-Key": "A" * 22 + "=="}, 426),
    ({"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "short"}, 400),
])
def test_a_bad_handshake_is_refused(headers, status):
    async def show(websocket=None):
        await websocket.accept()

    response = get(handler(show), "/", headers={
        "Upgrade": "websocket", "Connection": "Upgrade", **headers})
    assert response.status == status
    if status == 426:
        assert response.header("sec-websocket-version") == "13"


def test_middlewares_see_handshakes():
    app = Tremolo()
    seen = []

    @app.on_request
    async def before(request):
        seen.append(request.path)

    @app.route("/")
    async def show(websocket=None, request=None):
        await websocket.accept()
        seen.append(request.upgraded)

    async def scenario(client):
        websocket = await client.websocket("/")
        assert await websocket.receive() is None

    serve(app, scenario)
    assert seen == [b"/", True]


def test_a_websocket_in_a_thread():
    def echo(websocket=None):
        for message in websocket:
            websocket.send(message + "!")

    async def scenario(websocket, client):
        await websocket.send("hi")
        assert await websocket.receive() == "hi!"
        await websocket.close()

    talk(echo, scenario)


def test_create_frame():
    assert WebSocket.create_frame("hi") == b"\x81\x02hi"
    assert WebSocket.create_frame(b"hi", fin=0, opcode=2) == b"\x02\x02hi"
    masked = WebSocket.create_frame(b"hi", mask=True)
    assert masked[:2] == b"\x82\x82" and len(masked) == 8


def test_handlers_end_when_the_client_vanishes():
    ended = []

    async def show(websocket=None):
        try:
            await websocket.receive()
        except WebSocketClientClosed as exc:
            ended.append(exc.code)

    async def scenario(websocket, client):
        websocket.connection.close()
        await until(lambda: ended)

    talk(show, scenario)
    assert ended == [1006]


def test_who_leaves_with_an_open_websocket_answers_the_close_of_the_server():
    ended, left = [], []

    async def show(websocket=None):
        try:
            await websocket.receive()
        except WebSocketClientClosed as exc:
            ended.append(exc.code)

    async def scenario(client):
        left.append(await client.websocket("/"))

    serve(handler(show), scenario)
    assert left[0].close_code == 1001 and ended == [1001]


def test_a_websocket_that_the_server_closed_is_a_connection_that_has_ended():
    async def accept(websocket=None):
        await websocket.accept()

    async def scenario(websocket, client):
        assert await websocket.receive() is None
        assert websocket.connection.closed
        await until(lambda: not client.server.connections)  # nobody waits for anything

    talk(accept, scenario)


def frames(*frames):
    return b"".join(WebSocket.create_frame(payload, fin, opcode, mask=True)
                    for payload, fin, opcode in frames)


def test_recv_gives_frames_and_receive_whole_messages():
    found = []

    async def show(websocket=None):
        for _ in range(3):
            found.append((await websocket.recv(), websocket.opcode, websocket.fin))
        found.append((await websocket.receive(), websocket.opcode, websocket.fin))
        found.append((await websocket.recv(), websocket.opcode, websocket.fin))
        found.append((await websocket.receive(), websocket.opcode, websocket.fin))

    async def scenario(websocket, client):
        websocket.connection.send(frames(
            ("a\u00e9".encode()[:2], 0, 1), (b"ping", 1, 9), ("\u00e9".encode()[1:], 0, 0),
            (b"", 1, 0), (b"x", 0, 2), (b"y", 1, 0), (b"b", 0, 1), (b"c", 1, 0)))
        assert await websocket.receive() is None

    talk(show, scenario)
    assert found == [
        (b"a\xc3", 1, 0), (b"\xa9", 0, 0), (b"", 0, 1), (bytearray(b"xy"), 2, 1),
        (b"b", 1, 0), ("c", 1, 1)]


@pytest.mark.parametrize("data, code", [
    pytest.param(frames((b"x", 1, 0)), 1002, id="continuation of nothing"),
    pytest.param(frames((b"x", 0, 1), (b"y", 1, 1)), 1002, id="start within a message"),
    pytest.param(frames((b"x", 1, 3)), 1002, id="unknown opcode"),
    pytest.param(frames((b"\xff", 1, 1)), 1007, id="not UTF-8"),
    pytest.param(frames((b"x" * 200, 1, 9)), 1002, id="long ping"),
    pytest.param(WebSocket.create_frame(b"x"), 1002, id="unmasked"),
    pytest.param(frames((b"x" * 600, 0, 2), (b"x" * 600, 1, 0)), 1009, id="too big"),
])
def test_a_client_that_breaks_the_protocol_is_told_from_one_that_closes(data, code):
    found = []

    async def show(websocket=None):
        try:
            await websocket.receive()
        except Exception as exc:
            found.append((type(exc), exc.code))

    async def scenario(websocket, client):
        websocket.connection.send(data)
        assert await websocket.receive() is None
        return websocket.close_code

    assert talk(show, scenario, ws_max_payload_size=1000) == code
    assert found == [(WebSocketServerClosed, code)]


def test_a_client_that_closes_with_1002_has_closed():
    found = []

    async def show(websocket=None):
        try:
            await websocket.receive()
        except WebSocketClientClosed as exc:
            found.append(exc.code)

    async def scenario(websocket, client):
        await websocket.close(1002)

    talk(show, scenario)
    assert found == [1002]


def test_the_size_of_messages_may_be_changed_before_accepting():
    async def show(websocket=None):
        websocket.max_payload_size = 10
        await websocket.receive()

    async def scenario(websocket, client):
        await websocket.send("x" * 11)
        assert await websocket.receive() is None
        return websocket.close_code

    assert talk(show, scenario) == 1009


def test_silence_is_pinged_after_half_of_the_request_timeout():
    async def show(websocket=None):
        assert websocket.ping_interval == 0.1
        await websocket.receive()

    async def scenario(websocket, client):
        data = await websocket.connection.receive()
        assert data == WebSocket.create_frame(b"", opcode=9)
        websocket.connection.send(frames((b"", 1, 10)))
        assert await websocket.connection.receive() == data

    talk(show, scenario, request_timeout=0.2)


def test_the_ping_interval_may_be_changed():
    async def show(websocket=None):
        assert websocket.ping_interval == 20
        websocket.ping_interval = 0.1
        await websocket.receive()

    async def scenario(websocket, client):
        return await websocket.connection.receive()

    assert talk(show, scenario) == WebSocket.create_frame(b"", opcode=9)


def test_a_page_of_another_site_gets_no_websocket_in_development():
    async def echo(websocket=None):
        await websocket.accept()

    async def run(client):
        with pytest.raises(HandshakeRefused) as refused:
            await client.websocket("/", headers=[(b"Origin", b"http://evil.test")])
        assert refused.value.response.status == 403
        await client.websocket("/", headers=[(b"Host", b"localhost"), (b"Origin", b"http://localhost")])

    serve(handler(echo), run, debug=True)
