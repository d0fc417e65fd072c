"""A raw client of one connection: the requests that tests send, and responses as they came.

Knows sockets and framing; nothing of the server. Every call has a deadline.
"""

import asyncio
import os
import re
import socket
import ssl
import struct
from typing import NamedTuple

DEADLINE = 10.0
CERTIFICATE = os.path.join(os.path.dirname(__file__), "certificate.pem")


def within(awaitable, seconds=DEADLINE):
    return asyncio.wait_for(awaitable, seconds)


def get(target=b"/", fields=b""):
    return b"GET %b HTTP/1.1\r\nHost: localhost\r\n%b\r\n" % (target, fields)


GET = get()


def post_head(length, fields=b""):
    """The head of a request with so many bytes of body."""
    return b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n%b\r\n" % (length, fields)


def chunked(*chunks):
    """A request with a body of these chunks, of which more may follow."""
    return b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(
        b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)


class Response(NamedTuple):
    """A response as it came: `fields` have lower-case names."""

    status: int
    fields: list
    body: bytes
    trailers: list

    def __getitem__(self, name):
        if isinstance(name, int):
            return tuple.__getitem__(self, name)
        values = [value for field, value in self.fields if field == name]
        assert len(values) == 1, f"{name} is there {len(values)} times"
        return values[0]

    def __contains__(self, name):
        return any(field == name for field, _ in self.fields)


class Client:
    """A raw client of one connection. Every call has a deadline."""

    def __init__(self, sock, tls=None):
        self.sock = sock
        self.tls = tls
        self.buffer = bytearray()

    @classmethod
    async def open(cls, address, *, tls=False, receive_buffer=None):
        loop = asyncio.get_running_loop()
        if isinstance(address, str):
            sock = socket.socket(socket.AF_UNIX)
        else:
            sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setblocking(False)
        await within(loop.sock_connect(sock, address))
        client = cls(sock)
        if tls:
            context = ssl.create_default_context(cafile=CERTIFICATE)
            reader, writer = await within(asyncio.open_connection(
                sock=sock, ssl=context, server_hostname="localhost"))
            client.tls = reader, writer
        return client

    async def send(self, data):
        if self.tls:
            self.tls[1].write(data)
            await within(self.tls[1].drain())
        else:
            await within(asyncio.get_running_loop().sock_sendall(self.sock, data))

    def send_what_fits(self, data):
        """As much of `data` as the kernel takes now; the number of bytes."""
        try:
            return self.sock.send(data)
        except BlockingIOError:
            return 0

    async def receive(self, size=65536, seconds=DEADLINE):
        """Some bytes, b"" at the end of the connection."""
        if self.tls:
            return await within(self.tls[0].read(size), seconds)
        return await within(asyncio.get_running_loop().sock_recv(self.sock, size), seconds)

    async def rest(self):
        """Everything until the end of the connection."""
        while True:
            data = await self.receive()
            if not data:
                rest = bytes(self.buffer)
                self.buffer.clear()
                return rest
            self.buffer += data

    async def silent(self, seconds=0.1):
        """Whether nothing comes for a while."""
        try:
            return not self.buffer and not await self.receive(seconds=seconds) and False
        except asyncio.TimeoutError:
            return True

    async def closed(self):
        """Wait for the end; True if it came without a further byte."""
        try:
            return not self.buffer and not await self.receive()
        except ConnectionResetError:
            return True

    async def need(self, size):
        """The next `size` bytes."""
        while len(self.buffer) < size:
            data = await self.receive()
            if not data:
                raise EOFError(bytes(self.buffer))
            self.buffer += data
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        return data

    async def line(self, end=b"\r\n"):
        start = 0
        while True:
            found = self.buffer.find(end, start)
            if found >= 0:
                return (await self.need(found + len(end)))[:-len(end)]
            start = max(0, len(self.buffer) - len(end))
            data = await self.receive()
            if not data:
                raise EOFError(bytes(self.buffer))
            self.buffer += data

    async def response(self, method=b"GET"):
        """The next response; raises EOFError when the connection ends within it."""
        head = await self.line(b"\r\n\r\n")
        line, *lines = head.split(b"\r\n")
        match = re.fullmatch(rb"HTTP/1\.1 ([0-9]{3}) [^\r\n]*", line)
        assert match, line
        status = int(match[1])
        fields = []
        for item in lines:
            name, colon, value = item.partition(b": ")
            assert colon, item
            fields.append((name.lower().decode(), value.decode("latin-1")))
        body, trailers = b"", []
        names = dict(fields)
        if status < 200 or status in (204, 304) or method == b"HEAD":
            pass
        elif names.get("transfer-encoding") == "chunked":
            pieces = []
            while True:
                size = int(await self.line(), 16)
                if size == 0:
                    break
                pieces.append(await self.need(size))
                assert await self.need(2) == b"\r\n"
            body = b"".join(pieces)
            while True:
                item = await self.line()
                if not item:
                    break
                name, _, value = item.partition(b": ")
                trailers.append((name, value))
        elif "content-length" in names:
            body = await self.need(int(names["content-length"]))
        else:
            body = await self.rest()
        return Response(status, fields, body, trailers)

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self):
        if self.tls:
            self.tls[1].close()
        else:
            self.sock.close()
