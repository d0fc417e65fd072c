"""The two ends of a measured transfer: the server in a process of its own, and its clients.

Knows HTTP just enough to start a transfer; counts bytes, as the sockets deliver them, and
instants of the monotonic clock, which both processes share.
"""

import contextlib
import json
import os
import pathlib
import resource
import selectors
import socket
import ssl
import struct
import subprocess
import sys
import time

DOWNLOADS = frozenset(("down-length", "down-chunked", "ws-down"))
UPLOADS = frozenset(("up-length", "up-chunked", "ws-up"))
KINDS = ("down-length", "down-chunked", "up-length", "up-chunked", "ws-down", "ws-up")
SERVER = pathlib.Path(__file__).with_name("throttle_server.py")
HANDSHAKE = ("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")
EVERYTHING = 1 << 40


class Peer:
    """A Tremolo server as a child process, told what to do through a pipe."""

    def __init__(self, loop, tls):
        self.tls = tls
        self.process = subprocess.Popen(
            [sys.executable, str(SERVER), loop, "tls" if tls else "plain"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = json.loads(self.process.stdout.readline())
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()

    def ask(self, *command):
        """Have the server obey; what it answers."""
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def cpu(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2]
        used = fields.split()
        return (int(used[11]) + int(used[12])) / os.sysconf("SC_CLK_TCK")

    def connect(self, buffer=65536):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.connect(("127.0.0.1", self.port))
        if self.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            sock = context.wrap_socket(sock)
        return sock

    def first_byte(self, sock):
        """Seconds from a small request to the first byte of its response."""
        began = time.monotonic()
        sock.sendall(b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n")
        sock.recv(65536)
        return time.monotonic() - began


@contextlib.contextmanager
def open_transfers(peer, kind, rate, connections):
    """Sockets on which a transfer of `kind` was asked for."""
    method = "POST" if kind.startswith("up") else "GET"
    head = f"{method} /{kind} HTTP/1.1\r\nHost: localhost\r\n"
    if kind.startswith("ws"):
        head += HANDSHAKE
    elif kind == "up-length":
        head += f"Content-Length: {EVERYTHING}\r\n"
    elif kind == "up-chunked":
        head += "Transfer-Encoding: chunked\r\n"
    buffer = 65536 if rate / connections < 2e7 else 1 << 20
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(contextlib.closing(peer.connect(buffer)))
                   for _ in range(connections)]
        for sock in sockets:
            sock.sendall(head.encode() + b"\r\n")
            sock.setblocking(False)
        yield sockets
        for sock in sockets:
            # A reset: the server shall not go on, at its rate, to read what was sent.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _selector(sockets, events):
    selector = selectors.DefaultSelector()
    for sock in sockets:
        selector.register(sock, events)
    return selector


def received(sockets, seconds, act=None, act_after=0.0):
    """(instant, bytes) of what comes until `seconds` after the first byte, or twice as long
    from now; `act()` is called once, `act_after` seconds from now."""
    events, view = [], memoryview(bytearray(1 << 18))
    began = time.monotonic()
    until = began + (seconds if act else 2 * seconds)
    with _selector(sockets, selectors.EVENT_READ) as selector:
        while (now := time.monotonic()) < until:
            if act is not None and now >= began + act_after:
                act()
                act = None
            for key, _ in selector.select(0.01):
                with contextlib.suppress(BlockingIOError, ssl.SSLWantReadError):
                    while size := key.fileobj.recv_into(view):
                        events.append((time.monotonic(), size))
                        if len(events) == 1 and act is None and not act_after:
                            until = events[0][0] + seconds
                        if not isinstance(key.fileobj, ssl.SSLSocket):
                            break
    return events


def sent(sockets, kind, rate, seconds, act=None, act_after=0.0):
    """Send as much as goes for so many seconds."""
    piece = max(500, min(16384, int(rate / 100)))
    if kind == "up-chunked":
        unit = b"%x\r\n%b\r\n" % (piece, bytes(piece))
    elif kind == "ws-up":  # masked with zeros: what is sent is what is meant
        unit = b"\x82\xfe" + piece.to_bytes(2, "big") + bytes(4) + bytes(piece)
    else:
        unit = bytes(piece)
    plenty = memoryview(unit * max(1, 65536 // len(unit)))
    places = _PLACES if act is not None or act_after else {}
    began = time.monotonic()
    with _selector(sockets, selectors.EVENT_WRITE) as selector:
        while (now := time.monotonic()) < began + seconds:
            if act is not None and now >= began + act_after:
                act()
                act = None
            for key, _ in selector.select(0.01):
                sock = key.fileobj
                place = places.get(sock, 0)
                with contextlib.suppress(BlockingIOError, ssl.SSLWantWriteError):
                    places[sock] = (place + sock.send(plenty[place:])) % len(plenty)


#: where the next unit of a socket continues when one transfer is sent in several goes
_PLACES = {}
