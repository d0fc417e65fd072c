"""One test application in eight frameworks, served by real processes and driven once each with
fifty requests at a time; the tests look at what was told of that."""

import asyncio
import http.server
import pathlib
import shutil
import threading

import pytest

from tests.support.processes import Server, wait_until

APPS = pathlib.Path(__file__).with_name("apps")
FRAMEWORKS = {
    "starlette": "starlette", "fastapi": "fastapi", "litestar": "litestar", "quart": "quart",
    "flask": "flask", "django_asgi": "django", "django_wsgi": "django", "native": "",
}
#: those that have WebSockets
WITH_SOCKETS = ("starlette", "fastapi", "litestar", "quart", "native")
KINDS = ("ok", "raise", "thread", "many", "later", "out", "below")
CONCURRENT = 50
EACH = 14


class Answering(http.server.BaseHTTPRequestHandler):
    """What applications ask in their turn."""

    def do_GET(self):
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "/answer")
        else:
            self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *args):
        pass


@pytest.fixture(scope="session")
def answering():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def target_of(kind, n):
    return f"/below/me/again/things/{n}" if kind == "below" else f"/{kind}/{n}"


class Driven:
    """A server whose application has had its requests; `answers` by target, `events` told."""

    def __init__(self, name, server):
        self.name = name
        self.server = server
        self.answers = {}
        self.targets = {}
        number = 100
        for _ in range(EACH):
            for kind in KINDS:
                number += 1
                self.targets[target_of(kind, number)] = (kind, number)

    async def drive(self):
        port = self.server.port

        async def ask(target):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n"
                         "Authorization: Bearer abc\r\nConnection: close\r\n\r\n".encode())
            self.answers[target] = await reader.read()
            writer.close()

        targets = list(self.targets)
        for begin in range(0, len(targets), CONCURRENT):
            # Not all at once: rows are told by a pipe that loses what is not read in time.
            now = targets[begin:begin + CONCURRENT]
            await asyncio.gather(*map(ask, now))
            await asyncio.to_thread(
                wait_until, lambda now=now: set(now) <= set(self.rows), "all rows")

    @property
    def asynchronous(self):
        """Its endpoints are coroutines, but for some."""
        return self.name in ("starlette", "fastapi", "litestar", "quart", "native")

    def wait_for_lines(self, request, count):
        """Wait until a request has so many lines; some come after its answer."""
        wait_until(lambda: len(self.server.find("log", request=request)) >= count,
                   f"{count} lines of request {request}")

    def insight_of(self, request):
        """The last that was told from within a request."""
        return wait_until(lambda: self.server.find("insight", request=request),
                          f"the insight into request {request}")[-1]

    @property
    def rows(self):
        return {row["path"]: row for row in self.server.find("request")}

    def rows_of(self, kind):
        return [(n, self.rows[target]) for target, (each, n) in self.targets.items()
                if each == kind]


@pytest.fixture(scope="session", params=list(FRAMEWORKS))
def driven(request, tmp_path_factory, answering):
    name = request.param
    if FRAMEWORKS[name]:
        pytest.importorskip(FRAMEWORKS[name])
    folder = tmp_path_factory.mktemp(name)
    for file in APPS.glob("*.py"):
        shutil.copy(file, folder)
    with Server(folder, "dev", f"{name}_app:app", "--port", "0", OUT=answering) as server:
        server.wait_for("worker", state="serving")
        found = Driven(name, server)
        asyncio.run(found.drive())
        yield found
