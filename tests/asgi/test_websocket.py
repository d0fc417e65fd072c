"""WebSockets as ASGI messages, over real sockets (ASGI specification, section WebSocket)."""

import asyncio

import pytest

from tests.asgi.applications import Recorder, echo
from tests.support.serving import by_hand, each_loop, run, serving_asgi, until, within_a_second
from tests.support.websocket_peer import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    frame,
    handshake,
    open_client,
    peer,
    refused,
)

# Messages


@each_loop
@pytest.mark.parametrize("payload", ["", "Hello", "é\U0001f600" * 40, "x" * 126, "y" * 65536,
                                     "z" * 300_000],
                         ids=["empty", "short", "wide", "126", "64 KiB", "300 kB"])
def test_text_and_binary_messages_come_back_as_they_were(dialogue, payload):
    async def talk(site, ws):
        data = payload.encode()
        await ws.send(TEXT, data)
        assert await ws.receive() == (TEXT, data, True, False)
        await ws.send(BINARY, data)
        assert await ws.receive() == (BINARY, data, True, False)

    dialogue(echo, talk)


def test_fragments_become_one_message_and_pings_between_them_are_answered(dialogue):
    app = Recorder()

    async def talk(site, ws):
        await ws.send(TEXT, b"a\xc3", fin=False)
        await ws.send(PING, b"mid")
        await ws.send(CONTINUATION, b"\xa9", fin=False)
        await ws.send(CONTINUATION, b"", fin=True)
        assert await ws.receive() == (PONG, b"mid", True, False)
        await until(lambda: len(app.messages) == 2)
        assert app.messages[1] == {"type": "websocket.receive", "text": "aé"}

    dialogue(app, talk)


def test_a_message_cut_at_every_byte_arrives_whole(dialogue):
    app = Recorder()

    async def talk(site, ws):
        for byte in frame(TEXT, b"slow") + frame(BINARY, b"\x00\x01"):
            await ws.client.send(bytes((byte,)))
        await until(lambda: len(app.messages) == 3)
        assert app.messages[1:] == [{"type": "websocket.receive", "text": "slow"},
                                    {"type": "websocket.receive", "bytes": b"\x00\x01"}]

    dialogue(app, talk)


def test_many_messages_in_one_segment_keep_their_order(dialogue):
    async def talk(site, ws):
        await ws.client.send(b"".join(frame(TEXT, b"%d" % n) for n in range(1000)))
        for n in range(1000):
            assert (await ws.receive()).payload == b"%d" % n

    dialogue(echo, talk)


@pytest.mark.parametrize("message", [
    {"type": "websocket.send"},
    {"type": "websocket.send", "text": None, "bytes": None},
    {"type": "websocket.send", "text": "a", "bytes": b"a"},
    {"type": "websocket.send", "text": b"bytes"},
    {"type": "websocket.send", "bytes": "text"},
    {"type": "websocket.send", "text": "\ud800"},
    {"type": "websocket.close", "code": 1004},
    {"type": "websocket.close", "code": 1006},
    {"type": "websocket.close", "code": 999},
], ids=repr)
def test_a_message_that_cannot_be_sent_raises_a_value_error(dialogue, message):
    async def script(app, receive, send):
        await send({"type": "websocket.accept"})
        with pytest.raises(ValueError):
            await send(message)
        await send({"type": "websocket.send", "text": "still open"})

    app = Recorder(script)

    async def talk(site, ws):
        assert (await ws.receive()).payload == b"still open"
        assert (await ws.receive()).code == 1000
        await ws.close()
        await until(lambda: app.done)
        assert app.error is None

    dialogue(app, talk)


def test_bytearrays_and_views_can_be_sent(dialogue):
    async def script(app, receive, send):
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "bytes": bytearray(b"ab")})
        await send({"type": "websocket.send", "bytes": memoryview(b"cd"), "text": None})

    async def talk(site, ws):
        assert await ws.receive() == (BINARY, b"ab", True, False)
        assert await ws.receive() == (BINARY, b"cd", True, False)

    dialogue(Recorder(script), talk)


# Messages out of order


@pytest.mark.parametrize("sent", [
    [{"type": "websocket.send", "text": "x"}],
    [{"type": "http.response.start", "status": 200}],
    [{"type": "websocket.http.response.body"}],
    [{"type": "websocket.accept"}, {"type": "websocket.accept"}],
    [{"type": "websocket.accept"}, {"type": "websocket.http.response.start", "status": 400}],
    [{"type": "websocket.accept"}, {"type": "websocket.close"}, {"type": "websocket.close"}],
    [{"type": "websocket.accept"}, {"type": "websocket.close"},
     {"type": "websocket.send", "text": "x"}],
    [{"type": "websocket.close"}, {"type": "websocket.accept"}],
    [{"type": "websocket.http.response.start", "status": 400}, {"type": "websocket.accept"}],
], ids=lambda sent: ", ".join(m["type"].partition(".")[2] for m in sent))
def test_a_message_out_of_order_raises_an_error_that_names_it(sent):
    async def script(app, receive, send):
        for message in sent[:-1]:
            await send(message)
        with pytest.raises(RuntimeError, match=sent[-1]["type"]):
            await send(sent[-1])
        app.messages.append({"type": "end"})
        if len(sent) == 1:
            await send({"type": "websocket.close"})

    async def main():
        app = Recorder(script)
        async with serving_asgi(app) as site:
            client = await open_client(site)
            await client.send(handshake())
            await until(lambda: app.messages and app.messages[-1]["type"] == "end")
            client.close()

    run(main)


def test_two_tasks_cannot_receive_at_once(dialogue):
    async def script(app, receive, send):
        await send({"type": "websocket.accept"})
        first = asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="already"):
            await receive()
        app.messages.append(await first)

    app = Recorder(script)

    async def talk(site, ws):
        await ws.text("one")
        await until(lambda: app.done)
        assert app.messages[-1]["text"] == "one"

    dialogue(app, talk)


def test_a_cancelled_receive_loses_no_message(dialogue):
    async def script(app, receive, send):
        await send({"type": "websocket.accept"})
        for _ in range(3):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(receive(), 0.01)
        await send({"type": "websocket.send", "text": "now"})
        app.messages.append(await receive())

    app = Recorder(script)

    async def talk(site, ws):
        await ws.receive()
        await ws.text("one")
        await until(lambda: app.done)
        assert app.messages[-1]["text"] == "one"

    dialogue(app, talk)


# Closing, by the client


@pytest.mark.parametrize("payload, code, reason", [
    (b"", 1005, ""),
    (b"\x03\xe8", 1000, ""),
    (b"\x03\xe9bye", 1001, "bye"),
    (b"\x0f\xa0" + "ciao é".encode(), 4000, "ciao é"),
], ids=["none", "1000", "1001", "4000"])
def test_the_clients_close_is_echoed_and_told_with_its_reason(dialogue, payload, code, reason):
    app = Recorder()

    async def talk(site, ws):
        await ws.send(CLOSE, payload)
        answer = await ws.closed()
        assert answer.code == (None if code == 1005 else code)
        await until(lambda: app.done)
        assert app.messages[-1] == {"type": "websocket.disconnect", "code": code,
                                    "reason": reason}

    dialogue(app, talk)


def test_messages_before_a_close_are_delivered_and_nothing_after_it(dialogue):
    app = Recorder()

    async def talk(site, ws):
        await ws.client.send(frame(TEXT, b"1") + frame(TEXT, b"2") + frame(CLOSE)
                             + frame(TEXT, b"3"))
        await ws.receive()
        await until(lambda: app.done)
        assert app.types == ["websocket.connect", "websocket.receive", "websocket.receive",
                             "websocket.disconnect"]

    dialogue(app, talk)


@by_hand
@pytest.mark.parametrize("how", ["close", "reset", "half_close"])
def test_a_client_that_just_goes_is_a_disconnect_with_1006(dialogue, how):
    app = Recorder()

    async def talk(site, ws):
        await ws.text("1")
        await until(lambda: len(app.messages) == 2)
        getattr(ws.client, how)()
        await within_a_second(lambda: app.done)
        assert app.messages[-1] == {"type": "websocket.disconnect", "code": 1006,
                                    "reason": ""}

    dialogue(app, talk)


def test_messages_of_a_client_that_went_are_still_delivered():
    async def script(app, receive, send):
        await send({"type": "websocket.accept"})
        await app.gate.wait()
        while app.messages[-1]["type"] != "websocket.disconnect":
            app.messages.append(await receive())

    async def main():
        app = Recorder(script)
        app.gate = asyncio.Event()
        async with serving_asgi(app) as site:
            async with peer(site) as ws:
                await ws.client.send(frame(BINARY, bytes(3000)) * 20)
            await until(lambda: not site.server.connections)
            app.gate.set()
            await until(lambda: app.done)
            assert app.types.count("websocket.receive") == 20
            assert app.messages[-1]["code"] == 1006

    run(main)


def test_receive_goes_on_saying_that_the_client_is_gone(dialogue):
    async def script(app, receive, send):
        await send({"type": "websocket.accept"})
        app.messages += [await receive() for _ in range(3)]

    app = Recorder(script)

    async def talk(site, ws):
        await ws.close(1001)
        await until(lambda: app.done)
        assert app.messages[1:] == 3 * [
            {"type": "websocket.disconnect", "code": 1001, "reason": ""}]

    dialogue(app, talk)


def test_sending_after_the_client_closed_raises_an_os_error(dialogue):
    message = {"type": "websocket.send", "text": "x"}

    async def script(app, receive, send):
        await send({"type": "websocket.accept"})
        app.messages.append(await receive())
        with pytest.raises(OSError):
            await send(message)
        await send(message)  # nobody logs the one that the application lets pass

    app = Recorder(script)

    async def talk(site, ws):
        await ws.close()
        await until(lambda: app.done)
        assert isinstance(app.error, OSError)
        assert site.server.counters.errors == 0

    dialogue(app, talk)


def test_closing_after_the_client_closed_has_no_effect(dialogue):
    async def script(app, receive, send):
        await send({"type": "websocket.accept"})
        app.messages.append(await receive())
        await send({"type": "websocket.close"})

    app = Recorder(script)

    async def talk(site, ws):
        await ws.close()
        await until(lambda: app.done)
        assert app.error is None

    dialogue(app, talk)


def test_a_client_that_leaves_before_the_answer_is_a_disconnect():
    async def script(app, receive, send):
        app.messages.append(await receive())
        with pytest.raises(OSError):
            await send({"type": "websocket.accept"})

    async def main():
        app = Recorder(script)
        async with serving_asgi(app) as site:
            client = await open_client(site)
            await client.send(handshake())
            await until(lambda: app.scope)
            client.reset()
            await until(lambda: app.done)
            assert app.error is None
            assert app.messages[-1] == {"type": "websocket.disconnect", "code": 1006,
                                        "reason": ""}

    run(main)


# Closing, by the application


@pytest.mark.parametrize("message, code, reason", [
    ({}, 1000, ""),
    ({"code": None, "reason": None}, 1000, ""),
    ({"code": 4001, "reason": "schluß"}, 4001, "schluß"),
    ({"code": 1008, "reason": "é" * 100}, 1008, "é" * 61),
])
def test_the_applications_close_has_its_code_and_reason(dialogue, message, code, reason):
    async def script(app, receive, send):
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", **message})
        app.messages.append(await receive())

    app = Recorder(script)

    async def talk(site, ws):
        answer = await ws.receive()
        assert (answer.opcode, answer.code, answer.reason) == (CLOSE, code, reason)
        await ws.close(code)
        assert await ws.client.closed()
        await until(lambda: app.done)
        assert app.messages[-1]["type"] == "websocket.disconnect"
        assert app.messages[-1]["code"] == code

    dialogue(app, talk)


def test_an_application_that_returns_closes_with_1000(dialogue):
    async def script(app, receive, send):
        await send({"type": "websocket.accept"})

    app = Recorder(script)

    async def talk(site, ws):
        answer = await ws.receive()
        assert (answer.code, answer.reason) == (1000, "")
        assert site.server.counters.errors == 0

    dialogue(app, talk)


def test_an_application_that_raises_closes_with_1011_and_is_logged(dialogue):
    async def script(app, receive, send):
        await send({"type": "websocket.accept"})
        raise KeyError("secret")

    app = Recorder(script)

    async def talk(site, ws):
        answer = await ws.receive()
        assert (answer.code, answer.reason) == (1011, "")
        assert site.server.counters.errors == 1

    dialogue(app, talk)


@pytest.mark.parametrize("error", [None, KeyError("secret")], ids=["returns", "raises"])
def test_an_application_that_never_answers_the_handshake_is_a_500(error):
    async def script(app, receive, send):
        if error is not None:
            raise error

    async def main():
        app = Recorder(script)
        async with serving_asgi(app) as site:
            response = await refused(site, handshake())
            assert response.status == 500
            assert b"secret" not in response.body
            assert site.server.counters.errors == 1

    run(main)
