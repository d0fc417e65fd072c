"""What a WebSocket client may not do, floods, slow readers, and what is paced or compressed
(RFC 6455 sections 5.5 and 10)."""

import asyncio

import pytest

from tests.asgi.applications import Recorder, echo
from tests.support.serving import by_hand, each_loop, pass_time, run, serving_asgi, settle, until
from tests.support.websocket_peer import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    deflated,
    frame,
    peer,
)
from tremolo.net.stream import Stream
from tremolo.net.websocket import CONTROL_RATE, QUEUED

DEFLATE = [(b"Sec-WebSocket-Extensions", b"permessage-deflate")]


# Violations (RFC 6455 section 7.4.1)


@each_loop
@pytest.mark.parametrize("data, code", [
    pytest.param(frame(TEXT, b"x", mask=None), 1002, id="unmasked"),
    pytest.param(b"\xc1" + frame(TEXT, b"x")[1:], 1002, id="RSV without extension"),
    pytest.param(frame(3, b"x"), 1002, id="reserved opcode"),
    pytest.param(frame(PING, b"x", fin=False), 1002, id="fragmented ping"),
    pytest.param(frame(PING, bytes(126)), 1002, id="long ping"),
    pytest.param(frame(CONTINUATION, b"x"), 1002, id="continuation of nothing"),
    pytest.param(frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"), 1002, id="second start"),
    pytest.param(b"\x81\xfe\x00\x05" + bytes(9), 1002, id="longer length form"),
    pytest.param(frame(CLOSE, b"\x03"), 1002, id="close of one byte"),
    pytest.param(frame(CLOSE, b"\x03\xed"), 1002, id="close code 1005"),
    pytest.param(frame(CLOSE, b"\x03\xe8\xff"), 1007, id="close reason not UTF-8"),
    pytest.param(frame(TEXT, b"\xc0\x80"), 1007, id="text not UTF-8"),
    pytest.param(frame(TEXT, b"ok\xf4\x90", fin=False), 1007, id="not UTF-8, seen early"),
])
def test_a_violation_closes_with_its_code_and_ends_the_connection(dialogue, data, code):
    app = Recorder()

    async def talk(site, ws):
        await ws.client.send(data)
        answer = await ws.closed()
        assert answer.code == code
        await until(lambda: app.done)
        assert app.types == ["websocket.connect", "websocket.disconnect"]
        assert app.messages[-1]["code"] == code
        assert site.server.counters.errors == 0
        ws.client.close()
        await until(lambda: not site.server.connections)

    dialogue(app, talk)


def test_a_message_at_the_limit_passes_and_one_byte_more_is_1009():
    async def main():
        async with serving_asgi(echo, ws_max_payload_size=1000) as site:
            async with peer(site) as ws:
                await ws.send(BINARY, bytes(1000))
                assert len((await ws.receive()).payload) == 1000
                await ws.send(BINARY, bytes(1001))
                assert (await ws.closed()).code == 1009
            async with peer(site) as ws:  # over fragments, at the head of the one too many
                await ws.send(BINARY, bytes(600), fin=False)
                await ws.client.send(frame(CONTINUATION, bytes(401))[:8])
                assert (await ws.closed()).code == 1009
            async with peer(site, fields=DEFLATE) as ws:  # after inflation
                await ws.send(BINARY, deflated(bytes(100_000)), rsv1=True)
                assert (await ws.closed()).code == 1009

    run(main)


def test_a_declared_length_is_refused_before_its_bytes_come(dialogue):
    async def talk(site, ws):
        await ws.client.send(b"\x82\xff" + (1 << 40).to_bytes(8, "big") + b"mask")
        assert (await ws.closed()).code == 1009

    dialogue(echo, talk)


def test_too_many_fragments_are_1008(dialogue):
    async def talk(site, ws):
        data = frame(TEXT, fin=False) + frame(CONTINUATION, fin=False) * 1000
        await ws.client.send(data)
        assert (await ws.closed()).code == 1008

    dialogue(echo, talk)


@by_hand
def test_a_flood_of_control_frames_is_1008_and_fewer_are_answered(dialogue):
    app = Recorder()

    async def talk(site, ws):
        # Within one second, as the server counts them: the clock stands.
        await ws.client.send(b"".join(frame(PING, b"%d" % n) for n in range(CONTROL_RATE)))
        last = None
        while last != b"%d" % (CONTROL_RATE - 1):
            answer = await ws.receive()
            assert answer.opcode == PONG
            last = answer.payload
        await ws.client.send(frame(PONG))
        answer = await ws.closed()
        assert answer.code == 1008
        await until(lambda: app.done)
        assert app.messages[-1]["code"] == 1008

    dialogue(app, talk)


# Back-pressure


@each_loop
def test_a_client_that_does_not_read_holds_up_the_sender(dialogue):
    sent = []

    async def script(app, receive, send):
        await send({"type": "websocket.accept"})
        for _ in range(1000):
            await send({"type": "websocket.send", "bytes": bytes(65536)})
            sent.append(1)

    app = Recorder(script)

    async def talk(site, ws):
        await until(lambda: site.connection.outbox.full)
        count = len(sent)
        assert count < 500
        transport = site.connection.transport
        assert site.connection.outbox.size + transport.get_write_buffer_size() < 400_000
        await ws.receive()  # and a little room is enough to go on
        for _ in range(count):
            await ws.receive()
        await until(lambda: len(sent) > count)

    dialogue(app, talk, receive_buffer=4096)


@by_hand
def test_a_client_that_never_reads_is_given_up(dialogue):
    async def script(app, receive, send):
        await send({"type": "websocket.accept"})
        while True:
            await send({"type": "websocket.send", "bytes": bytes(65536)})

    app = Recorder(script)

    async def talk(site, ws):
        await until(lambda: site.server.connections and site.connection.outbox.full)
        await pass_time(70)
        await until(lambda: app.done)
        assert isinstance(app.error, OSError)
        assert not site.server.connections

    dialogue(app, talk, receive_buffer=4096)


@each_loop
@pytest.mark.parametrize("size", [0, 100, 60_000])
def test_an_application_that_does_not_receive_holds_up_the_client(loop_name, size):
    async def script(app, receive, send):
        await send({"type": "websocket.accept"})
        await app.gate.wait()
        while app.messages[-1]["type"] != "websocket.disconnect":
            app.messages.append(await receive())

    async def main():
        app = Recorder(script)
        app.gate = asyncio.Event()
        async with serving_asgi(app) as site, peer(site) as ws:
            data = frame(BINARY, bytes(size))
            ws.client.sock.setblocking(False)
            wanted = b"".join([data] * (4_000_000 // (size + 20)))
            written = ws.client.send_what_fits(wanted)
            link = site.connection.upgraded
            while not link.holding:
                written += ws.client.send_what_fits(wanted[written:written + 65536])
                await asyncio.sleep(0)
            await settle()
            assert link._queued <= QUEUED + size
            assert link._engine.buffered <= 4 * 65536
            assert site.connection.bytes_in < 1_000_000
            app.gate.set()
            rest = asyncio.ensure_future(ws.client.send(wanted[written:] + frame(CLOSE)))
            await until(lambda: app.done, 20)
            await rest
            assert app.types.count("websocket.receive") == len(wanted) // len(data)

    run(main, loop_name)


def test_a_client_that_pings_and_does_not_read_costs_no_memory(dialogue):
    async def script(app, receive, send):
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "bytes": bytes(8_000_000)})

    app = Recorder(script)

    async def talk(site, ws):
        loop = asyncio.get_running_loop()
        await until(lambda: site.server.connections and site.connection.outbox.congested)
        size = site.connection.outbox.size
        pings = frame(PING, bytes(125)) * (CONTROL_RATE // 2)
        seen = site.connection.bytes_in
        for _ in range(20):
            await ws.client.send(pings)
            seen += len(pings)
            await until(lambda seen=seen: site.connection.bytes_in >= seen)
            loop.moved += 1.0
        assert site.connection.outbox.size == size

    dialogue(app, talk, receive_buffer=4096)


@each_loop
def test_reading_does_not_stop_for_a_message_that_somebody_waits_for(dialogue, monkeypatch):
    stops = []
    monkeypatch.setattr(Stream, "pause_reading", stops.append)

    async def talk(site, ws):
        data = bytes(4 * QUEUED)
        for _ in range(3):
            await ws.client.send(frame(BINARY, data))
            assert (await ws.receive()).payload == data
        assert not stops

    dialogue(echo, talk)


def test_closing_hears_the_answer_behind_messages_that_nobody_took():
    async def script(app, receive, send):
        await send({"type": "websocket.accept"})
        await app.gate.wait()
        await send({"type": "websocket.close", "code": 4000})

    async def main():
        app = Recorder(script)
        app.gate = asyncio.Event()
        async with serving_asgi(app) as site, peer(site) as ws:
            await ws.client.send(frame(BINARY, bytes(60_000)) * 3)
            await until(lambda: site.server.connections and site.connection.upgraded.holding)
            app.gate.set()
            assert (await ws.receive()).code == 4000
            await ws.client.send(frame(BINARY, bytes(60_000)) * 3)
            await ws.close(4000)
            assert await ws.client.closed()

    run(main)


def test_large_messages_leave_no_memory_behind(dialogue):
    pytest.importorskip("_tracemalloc")  # PyPy has none
    import tracemalloc

    async def talk(site, ws):
        data = frame(BINARY, bytes(1_000_000))
        await ws.client.send(data)
        await ws.receive()
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            for _ in range(10):
                await ws.client.send(data)
                await ws.receive()
            assert tracemalloc.get_traced_memory()[0] - before < 1_500_000
        finally:
            tracemalloc.stop()

    dialogue(echo, talk)


# Compression (RFC 7692)


def test_compression_is_agreed_on_when_the_client_offers_it():
    async def main():
        async with serving_asgi(echo) as site:
            async with peer(site) as ws:
                assert "sec-websocket-extensions" not in ws.response
            async with peer(site, fields=DEFLATE) as ws:
                assert ws.response["sec-websocket-extensions"].startswith("permessage-deflate")
                await ws.send(TEXT, deflated(b"a" * 1000), rsv1=True)
                answer = await ws.receive()
                assert answer.rsv1
                assert len(answer.payload) < 100
                await ws.send(TEXT, b"short, plain")
                assert await ws.receive() == (TEXT, b"short, plain", True, False)

    run(main)


def test_compression_can_be_switched_off():
    async def main():
        async with serving_asgi(echo, websocket_deflate=False) as site:
            async with peer(site, fields=DEFLATE) as ws:
                assert "sec-websocket-extensions" not in ws.response
                await ws.send(TEXT, deflated(b"a" * 1000), rsv1=True)
                assert (await ws.closed()).code == 1002

    run(main)


# Throttled


def test_a_throttled_websocket_is_slow_but_whole(dialogue):
    async def talk(site, ws):
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await ws.send(BINARY, bytes(range(256)) * 400)
        assert (await ws.receive()).payload == bytes(range(256)) * 400
        assert loop.time() - begun > 0.2

    dialogue(echo, talk, download_rate=200_000)


def test_a_throttled_upload_is_slow_but_whole(dialogue):
    async def talk(site, ws):
        loop = asyncio.get_running_loop()
        begun = loop.time()
        sending = asyncio.ensure_future(ws.send(BINARY, bytes(range(256)) * 400))
        assert (await ws.receive()).payload == bytes(range(256)) * 400
        await sending
        assert loop.time() - begun > 0.2

    dialogue(echo, talk, upload_rate=200_000)


def test_what_the_throttle_holds_back_is_not_the_clients_silence(dialogue):
    async def script(app, receive, send):
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "bytes": bytes(100_000)})
        app.messages.append(await receive())

    app = Recorder(script)

    async def talk(site, ws):
        await until(lambda: site.server.connections and site.connection.outbox.blocked_since)
        loop = asyncio.get_running_loop()
        for _ in range(3):  # the pings would wait behind the message
            site.connection.deadline = loop.time()
            await until(lambda: site.connection.deadline > loop.time())
        assert site.connection.upgraded.open
        assert not app.done
        ws.client.reset()

    dialogue(app, talk, download_rate=1000)
