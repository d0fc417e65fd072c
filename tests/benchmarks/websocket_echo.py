"""WebSocket echoes per second and CPU per echo beside uvicorn, interleaved, as ratios.

    python tests/benchmarks/websocket_echo.py [ROUNDS [SECONDS]]

Needs uvicorn, `websockets`, `wsproto` and uvloop. Each connection sends a binary message, waits
for its echo, and sends again; nothing is compressed here. All servers run side by side and are
asked in turns; they get one core and the client the other, where there are two. The row "pure
Python" is Tremolo with neither uvloop nor the compiled masking of `websockets`. Absolute figures
depend on the machine: quote the ratios.
"""

import asyncio
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from tests.benchmarks.servers import ROOT, children, cpu_seconds, free_port, wait_for

SIZES = [16, 1024, 65536]
CONNECTIONS = [1, 32]

APP = '''
async def app(scope, receive, send):
    assert scope["type"] == "websocket"
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        await send({"type": "websocket.send", "bytes": message["bytes"]})
'''

HANDSHAKE = (b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")


DEFLATE = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"


TREMOLO = ["tremolo", "--log-level", "ERROR", "--lifespan", "off"]
UVICORN = ["uvicorn", "--log-level", "error", "--lifespan", "off", "--loop", "uvloop"]
PURE = "tremolo, pure Python"
COMMANDS = {
    "tremolo": [*TREMOLO, "--loop", "uvloop"],
    PURE: [*TREMOLO, "--loop", "asyncio"],
    "uvicorn, websockets": [*UVICORN, "--ws", "websockets"],
    "uvicorn, wsproto": [*UVICORN, "--ws", "wsproto"],
}


class Echo(asyncio.BufferedProtocol):
    """One client connection; counts whole echoes."""

    handshake = HANDSHAKE

    def __init__(self, frame, answer):
        self.frame = frame
        self.answer = answer
        self.left = 0
        self.echoes = 0
        self.head = b""
        self.view = memoryview(bytearray(256 * 1024))

    def connection_made(self, transport):
        self.transport = transport
        transport.write(self.handshake)

    def get_buffer(self, sizehint):
        return self.view

    def buffer_updated(self, nbytes):
        if self.left:
            self.left -= nbytes
            if not self.left:
                self.echoes += 1
                self.ask()
        else:
            self.head += bytes(self.view[:nbytes])
            if self.head.endswith(b"\r\n\r\n"):
                assert b" 101 " in self.head, self.head
                self.ask()

    def ask(self):
        self.left = self.answer
        self.transport.write(self.frame)


class DeflatedEcho(Echo):
    """The same with permessage-deflate (RFC 7692), by as little work as the client can do: what
    it sends was compressed before, and of the answers the first one is inflated."""

    handshake = HANDSHAKE[:-2] + DEFLATE

    def __init__(self, frame, message):
        super().__init__(frame, 0)
        self.message = message
        self.received = b""

    def buffer_updated(self, nbytes):
        self.received += bytes(self.view[:nbytes])
        if not self.left:
            head, ended, self.received = self.received.partition(b"\r\n\r\n")
            if not ended:
                self.received = head
                return
            assert b" 101 " in head and b"permessage-deflate" in head, head
            self.left = 1
            self.transport.write(self.frame)
        while len(self.received) >= 4:
            size, start = self.received[1], 2
            if size == 126:
                size, start = int.from_bytes(self.received[2:4], "big"), 4
            assert self.received[0] == 0xC2 and size <= len(self.message), self.received[:4]
            if len(self.received) < start + size:
                return
            if not self.echoes:
                data = self.received[start:start + size] + b"\0\0\xff\xff"
                assert zlib.decompressobj(-15).decompress(data) == self.message
            self.received = self.received[start + size:]
            self.echoes += 1
            self.transport.write(self.frame)


def client(port, size, connections, seconds, deflate=False):
    """Run in a process of its own: prints the number of echoes."""
    message = os.urandom(size)
    payload = message
    if deflate:
        message = (b"the quick brown fox jumps over the lazy dog, 000007; " * 40)[:size]
        compressor = zlib.compressobj(wbits=-15)
        payload = (compressor.compress(message) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
    n = len(payload)
    head = (bytes((n,)) if n < 126 else
            b"\x7e" + n.to_bytes(2, "big") if n < 65536 else
            b"\x7f" + n.to_bytes(8, "big"))
    mask = b"\x01\x02\x03\x04"
    masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    frame = (bytes((0xC2 if deflate else 0x82, 0x80 | head[0])) + head[1:] + mask + masked)

    def connection():
        return DeflatedEcho(frame, message) if deflate else Echo(frame, 1 + len(head) + n)

    async def run():
        loop = asyncio.get_running_loop()
        made = [await loop.create_connection(connection, "127.0.0.1", port)
                for _ in range(connections)]
        await asyncio.sleep(seconds)
        for transport, _ in made:
            transport.abort()
        return sum(echo.echoes for _, echo in made)

    import uvloop

    loop = uvloop.new_event_loop()
    print(loop.run_until_complete(run()))


class Server:
    """One server that runs until `stop`."""

    def __init__(self, name, folder):
        path = [str(ROOT), folder]
        if name == PURE:  # an empty package hides what is installed
            path.insert(0, os.path.join(folder, "hiding"))
        self.port = free_port()
        cores = sorted(os.sched_getaffinity(0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", *COMMANDS[name], "--port", str(self.port), "echo:app"],
            cwd=folder, env=dict(os.environ, PYTHONPATH=os.pathsep.join(path)),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=lambda: os.sched_setaffinity(0, cores[:1]))
        self.results = []

    def measure(self, size, connections, seconds):
        """Note echoes per second, and microseconds of the server's CPU for each."""
        pids = children(self.process.pid)
        cores = sorted(os.sched_getaffinity(0))
        before = cpu_seconds(pids)
        asked = [str(value) for value in (self.port, size, connections, seconds)]
        out = subprocess.run(
            [sys.executable, __file__, "client", *asked], capture_output=True, text=True,
            check=True, preexec_fn=lambda: os.sched_setaffinity(0, cores[-1:])).stdout
        echoes = int(out)
        self.results.append((echoes / seconds, (cpu_seconds(pids) - before) / echoes * 1e6))

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 1.0
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "echo.py").write_text(APP)
        pathlib.Path(folder, "hiding", "websockets").mkdir(parents=True)
        pathlib.Path(folder, "hiding", "websockets", "__init__.py").touch()
        servers = {name: Server(name, folder) for name in COMMANDS}
        try:
            for server in servers.values():
                wait_for(server.port)
            for connections in CONNECTIONS:
                for size in SIZES:
                    compare(servers, size, connections, rounds, seconds)
        finally:
            for server in servers.values():
                server.stop()


def compare(servers, size, connections, rounds, seconds):
    for server in servers.values():
        server.results.clear()
    for _ in range(rounds):
        for server in servers.values():
            server.measure(size, connections, seconds)
    print(f"\n{size} bytes, {connections} connections:", flush=True)
    medians = {name: [statistics.median(values) for values in zip(*server.results)]
               for name, server in servers.items()}
    ours = medians["tremolo"]
    for name, (rate, cpu) in medians.items():
        print(f"  {name:20} {rate:9.0f} echoes/s {cpu:7.1f} us CPU each; tremolo is "
              f"{ours[0] / rate:.2f} x as fast, {cpu / ours[1]:.2f} x per CPU second", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["client"]:
        client(int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))
    else:
        main()
