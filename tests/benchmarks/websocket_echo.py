"""WebSocket echoes per second and CPU per echo beside uvicorn, interleaved, as ratios.

    python tests/benchmarks/websocket_echo.py [ROUNDS [SECONDS]]

Needs uvicorn, `websockets`, `wsproto` and uvloop. Each connection sends a binary message, waits
for its echo, and sends again; nothing is compressed. All servers run side by side and are
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

    def __init__(self, frame, answer):
        self.frame = frame
        self.answer = answer
        self.left = 0
        self.echoes = 0
        self.head = b""
        self.view = memoryview(bytearray(256 * 1024))

    def connection_made(self, transport):
        self.transport = transport
        transport.write(HANDSHAKE)

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


def client(port, size, connections, seconds):
    """Run in a process of its own: prints the number of echoes."""
    head = (bytes((0x82, 0x80 | size)) if size < 126 else
            b"\x82\xfe" + size.to_bytes(2, "big") if size < 65536 else
            b"\x82\xff" + size.to_bytes(8, "big"))
    frame = head + b"\x01\x02\x03\x04" + os.urandom(size)

    async def run():
        loop = asyncio.get_running_loop()
        made = [await loop.create_connection(lambda: Echo(frame, len(head) + size),
                                             "127.0.0.1", port) for _ in range(connections)]
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
