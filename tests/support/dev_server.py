"""A stand-in for the development server of a front end: HTTP and WebSockets, on the same loop.

Each answer says what came: method, target, fields, the size and digest of the body.
"""

import asyncio
import contextlib
import hashlib
import json
import socket

from aiohttp import WSMsgType, web


class DevServer:
    """`url` is where it is; `release` lets `/stream` go on, `left` is set when a client of
    `/endless` leaves."""

    def __init__(self):
        self.release = asyncio.Event()
        self.left = asyncio.Event()
        self.sent = 0
        self.closed = asyncio.get_running_loop().create_future()
        self.url = ""

    async def answer(self, request):
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self.websocket(request)
        path = request.path
        if path in ("/stream", "/endless"):
            return await self.stream(request, path == "/endless")
        if path == "/away":
            raise web.HTTPFound(f"{self.url}/there?x")
        if path == "/empty":
            return web.Response(status=304, headers={"ETag": '"1"'})
        digest, size = hashlib.sha256(), 0
        async for piece in request.content.iter_any():
            digest.update(piece)
            size += len(piece)
        fields = [[name.decode(), value.decode("latin-1")]
                  for name, value in request.raw_headers]
        return web.Response(
            text=json.dumps({"method": request.method, "target": request.raw_path,
                             "fields": fields, "size": size, "digest": digest.hexdigest()}),
            content_type="application/json",
            headers={"X-Of": "dev-server", "Keep-Alive": "timeout=3", "X-Hop": "1",
                     "Connection": "X-Hop"})

    async def stream(self, request, endless):
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            await response.write(b"first")
            if endless:
                while True:
                    await response.write(b"x" * 65536)
                    self.sent += 65536
            await self.release.wait()
            await response.write(b"second")
        except (ConnectionError, asyncio.CancelledError):
            self.left.set()
            raise
        return response

    async def websocket(self, request):
        if request.path == "/refused":
            raise web.HTTPForbidden
        socket = web.WebSocketResponse(protocols=("vite-hmr",), max_msg_size=0)
        await socket.prepare(request)
        async for message in socket:
            if message.type == WSMsgType.TEXT and message.data == "close":
                await socket.close(code=4001, message=b"as asked")
            elif message.type == WSMsgType.TEXT:
                await socket.send_str("echo " + message.data)
            else:
                await socket.send_bytes(message.data[::-1])
        if not self.closed.done():
            self.closed.set_result(socket.close_code)
        return socket


@contextlib.asynccontextmanager
async def dev_server(port=0):
    """A DevServer that answers, on 127.0.0.1."""
    server = DevServer()
    runner = web.ServerRunner(web.Server(server.answer), handle_signals=False,
                              shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]
