"""Every figure of the server beside its peers, interleaved, as ratios, in one command.

    python tests/benchmarks/table.py [--rounds N] [--seconds S] [--python PATH] [ROW ...]

Needs Linux, `wrk`, and from PyPI: uvicorn, httptools, uvloop, h11, zttp, websockets, wsproto,
pyte. `--python` names another interpreter for the servers, whatever of these it has installed
(PyPy has no uvloop, httptools or zttp); the clients stay with this one. Peers and rows that
it cannot start are left out, and that is said. A ROW is a name as it is printed.
Above 1 is better for every ratio. Absolute figures depend on the machine: quote the ratios.
"""

import argparse
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from tests.benchmarks.servers import (
    BROWSER_HEAD,
    HELLO,
    TREMOLO,
    UVICORN,
    Server,
    answered,
    awake,
    medians,
    on_core,
    proportional_bytes,
    wait_for,
    wrk,
)
from tests.benchmarks.watched import measure
from tests.benchmarks.websocket_echo import APP as ECHO
from tests.benchmarks.websocket_echo import client

TRANSFER = 256 * 1024 * 1024
#: transfers of one figure: a single one lasts some hundredths of a second
TRANSFERS = 5
PIECE = 64 * 1024

DOWNLOAD = f'''
BODY = bytes({PIECE})
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({{"type": "http.response.start", "status": 200,
                "headers": [(b"content-length", b"{TRANSFER}")]}})
    for _ in range({TRANSFER // PIECE}):
        await send({{"type": "http.response.body", "body": BODY, "more_body": True}})
    await send({{"type": "http.response.body", "body": b""}})
'''

WHOLE_DOWNLOAD = f'''
BODY = bytes({TRANSFER})
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({{"type": "http.response.start", "status": 200,
                "headers": [(b"content-length", b"{TRANSFER}")]}})
    await send({{"type": "http.response.body", "body": BODY}})
'''

UPLOAD = '''
async def app(scope, receive, send):
    assert scope["type"] == "http"
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message["body"])
        more = message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"%d" % size})
'''

APPS = {"hello": HELLO, "download": DOWNLOAD, "whole": WHOLE_DOWNLOAD, "upload": UPLOAD,
        "echo": ECHO}


def tremolo(app, loop, *more):
    return [*TREMOLO, "--loop", loop, *more, f"{app}:app"]


def uvicorn(app, http, loop, *more):
    return [*UVICORN, "--http", http, "--loop", loop, *more, f"{app}:app"]


class Bench:
    """Where and how long things are measured, and with which interpreter."""

    def __init__(self, options, folder):
        self.rounds = options.rounds
        self.seconds = options.seconds
        self.python = options.python
        self.folder = folder
        #: rounds that do not count: PyPy compiles while it serves
        name = subprocess.run([self.python, "-c", "import sys; print(sys.implementation.name)"],
                              capture_output=True, text=True, check=True).stdout.strip()
        self.warm_up = 2 if name == "pypy" else 0
        if name == "pypy":
            self.seconds = max(self.seconds, 3)

    def has(self, *modules):
        code = "import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, %r)))"
        return subprocess.run([self.python, "-c", code % (modules,)]).returncode == 0

    def compare(self, title, servers, measure, ratios, warm_up=None):
        """Ask each of `servers` in turns and print medians; `measure(server)` gives a rate and
        the CPU seconds of one unit; `ratios` are pairs (ours, theirs); `warm_up` rounds do not
        count."""
        running = {}
        results = {name: [] for name in servers}
        try:
            for name, arguments in servers.items():
                running[name] = Server(arguments, self.folder, self.python)
            for server in running.values():
                wait_for(server.port)
                answered(server.port)
            for _ in range(self.warm_up if warm_up is None else warm_up):
                for server in running.values():
                    measure(server)
            for _ in range(self.rounds):
                for name, server in running.items():
                    results[name].append(measure(server))
        finally:
            for server in running.values():
                server.stop()
        found = {name: medians(rows) for name, rows in results.items()}
        print(f"\n{title}", flush=True)
        for name, (rate, cpu) in found.items():
            print(f"  {name:28} {rate:12.1f} a second   {cpu * 1e6:12.1f} us CPU each")
        for ours, theirs in ratios:
            if ours in found and theirs in found:
                pairs = [a[0] / b[0] for a, b in zip(results[ours], results[theirs])]
                print(f"  {ours} : {theirs} = {found[ours][0] / found[theirs][0]:.2f} x rate "
                      f"({min(pairs):.2f} to {max(pairs):.2f}), "
                      f"{found[theirs][1] / found[ours][1]:.2f} x per CPU second", flush=True)

    # -- rows ---------------------------------------------------------------------------------

    def peers(self, app, *more):
        """Ours on both loops, and uvicorn as it is fastest on each, and with h11."""
        found = {"tremolo asyncio": tremolo(app, "asyncio")}
        if self.has("uvicorn", "h11"):
            found["uvicorn h11 asyncio"] = uvicorn(app, "h11", "asyncio", *more)
        if self.has("uvicorn", "httptools"):
            found["uvicorn httptools asyncio"] = uvicorn(app, "httptools", "asyncio", *more)
        if self.has("uvloop"):
            found["tremolo uvloop"] = tremolo(app, "uvloop")
            if self.has("uvicorn", "httptools"):
                found["uvicorn httptools uvloop"] = uvicorn(app, "httptools", "uvloop", *more)
            if self.has("uvicorn", "zttp"):
                found["uvicorn zttp uvloop"] = uvicorn(app, "zttp", "uvloop", *more)
        return found

    RATIOS = (("tremolo asyncio", "uvicorn h11 asyncio"),
              ("tremolo asyncio", "uvicorn httptools asyncio"),
              ("tremolo asyncio", "uvicorn httptools uvloop"),
              ("tremolo uvloop", "uvicorn httptools uvloop"),
              ("tremolo uvloop", "uvicorn zttp uvloop"))

    def requests(self, title, connections, headers=()):
        def measure(server):
            (rate, count), busy = server.busy(
                lambda: wrk(server.port, connections, self.seconds, headers))
            return rate, busy / max(1, count)

        self.compare(title, self.peers("hello"), measure, self.RATIOS)

    def hello(self):
        self.requests("hello, 32 connections", 32)

    def browser(self):
        self.requests("browser-sized head, 32 connections", 32, BROWSER_HEAD)

    def single(self):
        self.requests("hello, one connection", 1)
        with awake():
            self.requests("hello, one connection, cores that are kept awake", 1)

    def transfer(self, title, app, talk):
        def measure(server):
            began = time.perf_counter()
            _, busy = server.busy(lambda: [talk(server.port) for _ in range(TRANSFERS)])
            megabytes = TRANSFERS * TRANSFER / 1e6
            return megabytes / (time.perf_counter() - began), busy / megabytes

        servers = self.peers(app)
        servers.pop("uvicorn h11 asyncio", None)
        # The first time a server meets memory that nobody has touched.
        self.compare(f"{title}, {TRANSFER >> 20} MiB (units are MB)", servers, measure,
                     self.RATIOS, max(1, self.warm_up))

    def download(self):
        self.transfer("download in pieces of 64 KiB", "download", download)

    def whole(self):
        self.transfer("download of one piece", "whole", download)

    def upload(self):
        self.transfer("upload with a length", "upload", lambda port: upload(port, False))

    def chunked(self):
        self.transfer("chunked upload", "upload", lambda port: upload(port, True))

    def websocket(self):
        for title, size, connections in (("64 KiB x 32", 65536, 32), ("64 KiB x 1", 65536, 1),
                                         ("1 KiB x 32", 1024, 32), ("16 B x 32", 16, 32)):
            self.echoes(f"WebSocket echo, {title}", size, connections, False)

    def deflate(self):
        self.echoes("WebSocket echo, permessage-deflate, 1 KiB x 32", 1024, 32, True)

    def echoes(self, title, size, connections, deflate):
        asked = [str(value) for value in (size, connections, self.seconds, int(deflate))]

        def measure(server):
            out, busy = server.busy(lambda: subprocess.run(
                [sys.executable, __file__, "echo-client", str(server.port), *asked],
                capture_output=True, text=True, check=True, preexec_fn=on_core(-1)).stdout)
            return int(out) / self.seconds, busy / max(1, int(out))

        quiet = ["--lifespan", "off"]
        servers = {"tremolo asyncio": tremolo("echo", "asyncio", *quiet)}
        peer = "httptools" if self.has("httptools") else "h11"
        loops = ["asyncio", "uvloop"] if self.has("uvloop") else ["asyncio"]
        for loop in loops:
            servers[f"tremolo {loop}"] = tremolo("echo", loop, *quiet)
            if self.has("uvicorn", peer, "websockets"):
                servers[f"uvicorn {peer} {loop}"] = uvicorn("echo", peer, loop, *quiet)
        self.compare(title, servers, measure, self.RATIOS)

    def start(self):
        """From exec to the first response, and the memory of all processes that then idle."""
        servers = {
            "tremolo run": ["tremolo", "run", "--log-level", "ERROR", "hello:app"],
            "uvicorn": [*UVICORN, "hello:app"]}
        if not self.has("uvicorn"):
            del servers["uvicorn"]
        results = {name: [] for name in servers}
        for _ in range(max(self.rounds, 10)):
            for name, arguments in servers.items():
                results[name].append(self.first_response(arguments))
        found = {name: medians(rows) for name, rows in results.items()}
        print("\nexec to first response, and idle PSS of all processes", flush=True)
        for name, (seconds, size) in found.items():
            print(f"  {name:28} {seconds * 1e3:9.1f} ms {size / 2**20:8.1f} MiB")
        ours, theirs = found["tremolo run"], found.get("uvicorn")
        if theirs is None:
            return
        print(f"  uvicorn : tremolo run = {theirs[0] / ours[0]:.2f} x time, "
              f"{theirs[1] / ours[1]:.2f} x memory", flush=True)

    def first_response(self, arguments):
        began = time.perf_counter()
        server = Server(arguments, self.folder, self.python)
        try:
            while True:
                try:
                    with socket.create_connection(("127.0.0.1", server.port), 1) as sock:
                        sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                        assert sock.recv(65536).startswith(b"HTTP/1.1 200"), arguments
                        break
                except OSError:
                    if time.perf_counter() - began > 15:
                        raise
                    time.sleep(0.001)
            passed = time.perf_counter() - began
            time.sleep(1.0)  # what is done after the start belongs to it
            return passed, proportional_bytes(server.pids)
        finally:
            server.stop()

    def dashboard(self):
        """The worker's CPU for a request, with a dashboard that draws and without one."""
        if not self.has("textual", "rich", "watchfiles"):
            print("\nthe dashboard is left out: textual, rich or watchfiles are not installed")
            return
        measure(self.folder, self.python, max(self.rounds, 10), self.seconds)


def download(port):
    """Read one whole response of TRANSFER bytes."""
    view = memoryview(bytearray(1 << 20))
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        size = 0
        while True:
            count = sock.recv_into(view)
            if not count:
                break
            size += count
    if size < TRANSFER:
        raise SystemExit(f"only {size} bytes came")


def upload(port, chunked):
    """Send TRANSFER bytes and check that all were counted."""
    piece = bytes(256 * 1024)
    framing = (b"Transfer-Encoding: chunked" if chunked else
               b"Content-Length: %d" % TRANSFER)
    data = b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + framing
                     + b"\r\n\r\n")
        for _ in range(TRANSFER // len(piece)):
            sock.sendall(data)
        if chunked:
            sock.sendall(b"0\r\n\r\n")
        answer = b""
        while True:
            more = sock.recv(65536)
            if not more:
                break
            answer += more
    if str(TRANSFER).encode() not in answer:
        raise SystemExit(f"not all was received: {answer[-200:]!r}")


ROWS = ("hello", "browser", "single", "download", "whole", "upload", "chunked", "websocket",
        "deflate", "start", "dashboard")


def main():
    if sys.argv[1:2] == ["echo-client"]:
        port, size, connections, seconds, deflate = sys.argv[2:]
        client(int(port), int(size), int(connections), float(seconds), deflate == "1")
        return
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(ROWS))
    options = parser.parse_args()
    unknown = set(options.rows).difference(ROWS)
    if unknown:
        parser.error(f"no such row: {', '.join(unknown)}; there are {', '.join(ROWS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory() as folder:
        for name, text in APPS.items():
            pathlib.Path(folder, name + ".py").write_text(text)
        bench = Bench(options, folder)
        version = subprocess.run([bench.python, "-VV"], capture_output=True, text=True).stdout
        print(version.strip(), f"- {bench.rounds} interleaved rounds, medians", flush=True)
        for module in ("uvicorn", "h11", "httptools", "uvloop", "zttp", "websockets"):
            if not bench.has(module):
                print(f"{module} is not installed there: rows that need it are left out")
        for row in options.rows or ROWS:
            getattr(bench, row)()


if __name__ == "__main__":
    main()
