"""Messages of WebSockets and event streams: seen by who looks, apart from what is fast."""

from tests.support.serving import run, serving_asgi, until
from tests.support.websocket_peer import PING, TEXT, deflated, peer
from tremolo.net.message_log import CAPTURED, MessageLog


async def chat(scope, receive, send):
    if scope["type"] == "http":
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for number in range(3):
            await send({"type": "http.response.body", "body": b"data: %d\n\n" % number,
                        "more_body": True})
        await send({"type": "http.response.body"})
        return
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        await send({"type": "websocket.send", "bytes": b"\x00" + message["text"].encode()})


def told(log):
    return [(message.incoming, message.kind, message.data) for message in log.take()[1]]


def test_both_directions_of_a_websocket_are_seen():
    async def main():
        async with serving_asgi(chat, lifespan="off") as site:
            log = site.server.message_log = MessageLog()
            async with peer(site) as client:
                await client.text("hello")
                await client.receive()
                await client.send(PING, b"life")
                await client.receive()
                await client.close(1000, b"done")
                await client.closed()
            assert told(log) == [
                (True, "text", b"hello"), (False, "binary", b"\x00hello"),
                (True, "ping", b"life"), (True, "close", b"1000 done")]
    run(main)


def test_the_events_of_a_stream_are_seen_and_other_bodies_are_not():
    async def main():
        async with serving_asgi(chat, lifespan="off") as site:
            log = site.server.message_log = MessageLog()
            client = await site.connect()
            await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            await client.response()
            client.close()
            assert told(log) == [(False, "event", b"data: %d\n\n" % number)
                                 for number in range(3)]
    run(main)


def test_a_compressed_message_has_its_size_on_the_wire_as_well():
    """Each has its own, also behind one that was not compressed."""
    async def main():
        async with serving_asgi(chat, lifespan="off") as site:
            log = site.server.message_log = MessageLog()
            long, fields = "lamp " * 400, [(b"Sec-WebSocket-Extensions", b"permessage-deflate")]
            async with peer(site, fields=fields) as client:
                await client.send(TEXT, deflated(long.encode()), rsv1=True)
                await client.receive()
                await client.send(TEXT, b"short")
                sent = await client.receive()
                await client.close()
                await client.closed()
            assert not sent.rsv1
            seen = [(message.incoming, message.size, message.wire) for message in log.take()[1]
                    if message.kind != "close"]
        assert [each[:2] for each in seen] == [(True, 2000), (False, 2001), (True, 5), (False, 6)]
        came, went, *plain = [wire for _, _, wire in seen]
        assert came == len(deflated(long.encode())) and 0 < went < 100 and plain == [None, None]
    run(main)


def test_streams_and_websockets_do_not_count_among_the_durations():
    async def main():
        async with serving_asgi(chat, lifespan="off") as site:
            client = await site.connect()
            await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            await client.response()
            client.close()
            async with peer(site) as socket:
                await socket.close()
                await socket.closed()
            await until(lambda: not site.server.connections)
            assert site.server.counters.requests == 2
            assert sum(site.server.counters.latency) == 0
    run(main)


def test_a_long_message_is_kept_from_its_beginning_and_counted_whole():
    log = MessageLog()
    log.add(1.0, 1, 1, True, "binary", b"x" * (CAPTURED + 5))
    [message] = log.take()[1]
    assert message.size == CAPTURED + 5 and len(message.data) == CAPTURED
