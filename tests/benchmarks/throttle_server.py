"""A Tremolo server for measurements: python throttle_server.py asyncio|uvloop plain|tls

Prints its port, then obeys JSON lines on standard input until that ends: ["set", SCOPE, TEXT]
answers the instant of the change, ["reads"] what was read since the last time, as pairs of
instant and bytes.
"""

import asyncio
import json
import logging
import pathlib
import resource
import socket
import ssl
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tremolo.asgi.adapter import ASGIAdapter  # noqa: E402
from tremolo.config import Settings  # noqa: E402
from tremolo.net.connection import HTTPConnection  # noqa: E402
from tremolo.net.server import Server  # noqa: E402
from tremolo.throttle import Throttle  # noqa: E402

SUPPORT = ROOT / "tests" / "support"
PIECE = bytes(16384)
LENGTH = (b"content-length", b"%d" % (1 << 40))


async def app(scope, receive, send):
    kind = scope["path"][1:]
    if kind == "ws-down":
        await send({"type": "websocket.accept"})
        while True:
            await send({"type": "websocket.send", "bytes": PIECE})
    elif kind == "ws-up":
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            pass
    elif kind.startswith("up"):
        while (await receive())["type"] != "http.disconnect":
            pass
    elif kind.startswith("down"):
        headers = [LENGTH] if kind == "down-length" else []
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        while True:
            await send({"type": "http.response.body", "body": PIECE, "more_body": True})
    else:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"Hello"})


class Noting(HTTPConnection):
    """Notes what is read, and when."""

    def buffer_updated(self, nbytes):
        self.server.reads.append((time.monotonic(), nbytes))
        super().buffer_updated(nbytes)


class NotingServer(Server):
    def _new_connection(self):
        return Noting(self)


async def main(tls):
    loop = asyncio.get_running_loop()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    logging.getLogger("tremolo").disabled = True  # clients leave in the middle all the time
    settings = Settings(max_connections=2000, keepalive_connections=2000)
    server = NotingServer(ASGIAdapter(app, settings), settings, loop=loop)
    server.reads = []
    sock = socket.create_server(("127.0.0.1", 0), backlog=2048)
    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(SUPPORT / "certificate.pem", SUPPORT / "key.pem")
    await server.start([sock], ssl_context=context)
    print(json.dumps(sock.getsockname()[1]), flush=True)
    ended = loop.create_future()

    def obey():
        line = sys.stdin.readline()
        if not line:
            loop.remove_reader(0)
            ended.set_result(None)
            return
        name, *values = json.loads(line)
        if name == "set":
            scope, text = values
            now = time.monotonic()
            server.set_throttle(scope, Throttle.parse(text))
            print(json.dumps(now), flush=True)
        else:
            print(json.dumps(server.reads), flush=True)
            server.reads.clear()

    loop.add_reader(0, obey)
    await ended
    await server.drain(0.1)


if __name__ == "__main__":
    if sys.argv[1] == "uvloop":
        import uvloop

        uvloop.install()
    asyncio.run(main(sys.argv[2] == "tls"))
