"""A raw WebSocket client over a socket: sends frames as told, reads frames as they come.

Knows frames, not rules: tests of misbehaviour are made with it.
"""

import contextlib
import zlib
from typing import NamedTuple

from tests.support.wire import Client
from tremolo.protocol.websocket import apply_mask

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MASK = b"\x12\x34\x56\x78"


class Frame(NamedTuple):
    opcode: int
    payload: bytes
    fin: bool = True
    rsv1: bool = False

    @property
    def code(self):
        return int.from_bytes(self.payload[:2], "big") if self.payload else None

    @property
    def reason(self):
        return self.payload[2:].decode()


def handshake(target=b"/", fields=(), *, key=KEY, version=b"13", method=b"GET", http=b"1.1",
              upgrade=b"websocket", connection=b"Upgrade", host=b"localhost"):
    lines = [b"%b %b HTTP/%b" % (method, target, http), b"Host: " + host]
    for name, value in ((b"Upgrade", upgrade), (b"Connection", connection),
                        (b"Sec-WebSocket-Key", key), (b"Sec-WebSocket-Version", version)):
        if value is not None:
            lines.append(b"%b: %b" % (name, value))
    lines += [b"%b: %b" % field for field in fields]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def frame(opcode, payload=b"", *, fin=True, mask=MASK, rsv1=False):
    """One frame, masked with `mask` (None: not)."""
    first = opcode | (0x80 if fin else 0) | (0x40 if rsv1 else 0)
    size = len(payload)
    bit = 0 if mask is None else 0x80
    if size < 126:
        head = bytes((first, bit | size))
    elif size < 65536:
        head = bytes((first, bit | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, bit | 127)) + size.to_bytes(8, "big")
    if mask is None:
        return head + payload
    return head + mask + bytes(apply_mask(payload, mask))


def closing(code=None, reason=b""):
    return frame(CLOSE, b"" if code is None else code.to_bytes(2, "big") + reason)


def deflated(data):
    """`data` as the payload of a compressed message."""
    stream = zlib.compressobj(wbits=-12)
    return (stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]


class Peer:
    """An open WebSocket. `response` is the server's answer to the handshake."""

    def __init__(self, client, response):
        self.client = client
        self.response = response

    async def send(self, opcode, payload=b"", **options):
        await self.client.send(frame(opcode, payload, **options))

    async def text(self, text):
        await self.send(TEXT, text.encode())

    async def close(self, code=1000, reason=b""):
        await self.client.send(closing(code, reason))

    async def receive(self):
        """The next frame. Raises EOFError at the end of the connection."""
        head = await self.client.need(2)
        size = head[1] & 127
        assert not head[1] & 0x80, "a server must not mask"
        if size == 126:
            size = int.from_bytes(await self.client.need(2), "big")
        elif size == 127:
            size = int.from_bytes(await self.client.need(8), "big")
        payload = await self.client.need(size)
        return Frame(head[0] & 15, payload, bool(head[0] & 0x80), bool(head[0] & 0x40))

    async def closed(self):
        """The close frame that comes next, after which the connection must end."""
        answer = await self.receive()
        assert answer.opcode == CLOSE, answer
        assert await self.client.closed()
        return answer


async def open_client(site, **options):
    return await Client.open(site.address, tls=site.tls, **options)


@contextlib.asynccontextmanager
async def peer(site, target=b"/", fields=(), **options):
    """A WebSocket to `site` whose handshake succeeded."""
    client = await open_client(site, **options)
    try:
        await client.send(handshake(target, fields))
        response = await client.response()
        assert response.status == 101, response
        yield Peer(client, response)
    finally:
        client.close()


async def refused(site, request):
    """The response to a handshake that does not succeed, and whether the connection ended."""
    client = await open_client(site)
    try:
        await client.send(request)
        return await client.response()
    finally:
        client.close()
