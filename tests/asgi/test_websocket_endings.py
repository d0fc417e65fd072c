"""Silent WebSocket clients, and those there when the server ends (RFC 6455 section 7)."""

import asyncio

import pytest

from tests.asgi.applications import Recorder, echo
from tests.support.serving import by_hand, pass_time, run, serving_asgi, settle, until
from tests.support.websocket_peer import (
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    handshake,
    open_client,
)
from tests.support.wire import within
from tremolo.net.keepalive import PING_INTERVAL, PING_TIMEOUT
from tremolo.net.websocket import CLOSE_TIMEOUT

# Silence (the clock is moved by hand)


@by_hand
def test_silence_is_pinged_and_a_pong_keeps_the_connection(dialogue):
    async def talk(site, ws):
        for _ in range(3):
            await pass_time(PING_INTERVAL + 1)
            ping = await ws.receive()
            assert ping.opcode == PING
            seen = site.connection.bytes_in
            await ws.send(PONG, ping.payload)
            await until(lambda seen=seen: site.connection.bytes_in > seen)
        await ws.text("alive")
        assert (await ws.receive()).payload == b"alive"

    dialogue(echo, talk)


@by_hand
def test_without_a_pong_the_close_is_1011_and_the_application_hears_of_it(dialogue):
    app = Recorder()

    async def talk(site, ws):
        await pass_time(PING_INTERVAL + 1)
        assert (await ws.receive()).opcode == PING
        await pass_time(PING_TIMEOUT + 1)
        assert (await ws.closed()).code == 1011
        await until(lambda: app.done)
        assert app.messages[-1]["code"] == 1006

    dialogue(app, talk)


@by_hand
def test_any_bytes_are_a_sign_of_life(dialogue):
    app = Recorder()

    async def talk(site, ws):
        for n in range(8):
            await pass_time(PING_TIMEOUT / 2)
            seen = site.connection.bytes_in
            await ws.send(CONTINUATION if n else TEXT, b"x", fin=False)
            await until(lambda seen=seen: site.connection.bytes_in > seen)
        assert not app.done
        assert site.connection.upgraded.open

    dialogue(app, talk)


@by_hand
def test_a_pause_of_the_machine_is_not_the_clients_silence(dialogue):
    async def talk(site, ws):
        asyncio.get_running_loop().moved += 3600
        await pass_time(1)
        await ws.text("still here")
        assert (await ws.receive()).payload == b"still here"

    dialogue(echo, talk)


@by_hand
def test_a_client_that_does_not_answer_our_close_is_gone_in_time(dialogue):
    async def script(app, receive, send):
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 4000})
        app.messages.append(await receive())

    app = Recorder(script)

    async def talk(site, ws):
        assert (await ws.receive()).code == 4000
        await pass_time(CLOSE_TIMEOUT + 1)
        await until(lambda: app.done)
        assert app.messages[-1]["code"] == 1006
        assert await ws.client.closed()
        await until(lambda: not site.server.connections)

    dialogue(app, talk)


# The end of the server

each_end = pytest.mark.parametrize(
    "hand_over, code", [(None, 1001), (lambda descriptor: None, 1012)], ids=["stop", "restart"])


@each_end
def test_draining_closes_websockets_and_waits_for_the_answer(dialogue, hand_over, code):
    app = Recorder()

    async def talk(site, ws):
        drained = asyncio.ensure_future(site.server.drain(5, hand_over))
        answer = await ws.receive()
        assert (answer.opcode, answer.code) == (CLOSE, code)
        assert not drained.done()
        await ws.close(code)
        assert await ws.client.closed()
        await within(drained)
        assert app.messages[-1]["code"] == code

    dialogue(app, talk)


@by_hand
@each_end
def test_an_application_hears_of_the_end_although_its_client_never_answers(
        dialogue, hand_over, code):
    async def script(app, receive, send):
        await send({"type": "websocket.accept"})
        app.messages.append(await receive())
        await settle()  # a moment to clean up
        app.messages.append("cleaned up")

    app = Recorder(script)

    async def talk(site, ws):
        drained = asyncio.ensure_future(site.server.drain(60, hand_over))
        answer = await ws.receive()
        assert (answer.opcode, answer.code) == (CLOSE, code)
        await pass_time(5)  # nor does it hold up the others
        assert drained.done()
        assert app.messages[-2]["type"] == "websocket.disconnect"
        assert (app.messages[-2]["code"], app.messages[-1]) == (code, "cleaned up")
        assert await ws.client.closed()

    dialogue(app, talk)


@pytest.mark.parametrize("then", ["receive", "accept", "nothing"])
@each_end
def test_a_handshake_without_an_answer_gets_one_when_the_server_stops(hand_over, code, then):
    async def script(app, receive, send):
        if then == "receive":
            app.messages.append(await receive())
        elif then == "accept":
            await app.gate.wait()
            await send({"type": "websocket.accept"})
        else:
            await asyncio.sleep(100)

    async def main():
        app = Recorder(script)
        app.gate = asyncio.Event()
        async with serving_asgi(app) as site:
            client = await open_client(site)
            await client.send(handshake())
            await until(lambda: app.scope)
            drained = asyncio.ensure_future(site.server.drain(0.4, hand_over))
            response = await client.response()
            assert (response.status, response["connection"]) == (503, "close")
            app.gate.set()
            assert await client.closed()
            await within(drained)
            if then == "receive":
                assert app.messages[-1] == {
                    "type": "websocket.disconnect", "code": code, "reason": ""}
            assert site.server.counters.errors == 0
            client.close()

    run(main)


def test_a_websocket_that_is_accepted_while_draining_is_closed_at_once():
    async def script(app, receive, send):
        await app.gate.wait()
        await send({"type": "websocket.accept"})
        app.messages.append(await receive())

    async def main():
        app = Recorder(script)
        app.gate = asyncio.Event()
        async with serving_asgi(app) as site:
            client = await open_client(site)
            await client.send(handshake())
            await until(lambda: app.scope)
            drained = asyncio.ensure_future(site.server.drain(5))
            await settle()
            app.gate.set()
            assert (await client.response()).status == 101
            assert (await client.need(4)) == b"\x88\x02\x03\xe9"
            client.close()
            await within(drained)

    run(main)
