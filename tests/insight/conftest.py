"""One test application in eight frameworks, each served once and driven twice, unwatched and
watched, with fifty requests at a time; the tests look at what was told of that.

What was told is kept in a file, so that the processes of a test run share it.
"""

import asyncio
import fcntl
import http.server
import json
import pathlib
import re
import shutil
import threading
import time
import urllib.request

import pytest

from tests.support.processes import wait_until
from tests.support.watching import LONG, Watched, kill

APPS = pathlib.Path(__file__).with_name("apps")
#: the frameworks, and the modules without which they cannot be driven
FRAMEWORKS = {
    "starlette": ("starlette", "httpx", "jinja2", "aiosqlite", "greenlet", "sqlalchemy"),
    "fastapi": ("fastapi", "requests", "jinja2", "sqlalchemy"),
    "litestar": ("litestar", "jinja2", "aiosqlite"), "quart": ("quart", "aiohttp", "aiosqlite"),
    "flask": ("flask",), "django_asgi": ("django",), "django_wsgi": ("django",),
    "native": ("jinja2",),
}
#: those whose endpoints are coroutines, but for some; they have WebSockets as well
ASYNCHRONOUS = ("starlette", "fastapi", "litestar", "quart", "native")
KINDS = ("ok", "raise", "thread", "many", "later", "out", "below", "template", "socket")
CONCURRENT = 50
EACH = 8
#: how often a request is made until it is looked into, and the seconds within which its row comes
TIMES, SOON = 20, 3.0
CLOSE = b"\x88\x02\x03\xe8"  # the frame, 1000
KEY = "dGhlIHNhbXBsZSBub25jZQ=="


class Answering(http.server.BaseHTTPRequestHandler):
    """What applications ask in their turn."""

    def do_GET(self):
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "/answer")
        else:
            self.send_response(404 if self.path == "/missing" else 200)
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


def lines_of(name, kind):
    """The lines that a request of this kind writes, with {} for its number."""
    lines = {"ok": ["ok {} begins", "printed {}", "ok {} ends"], "later": ["later {}"],
             "thread": ["thread {}", "in thread {}"], "template": ["template {}"],
             "socket": ["socket {}"]}.get(kind, [])
    if kind == "thread" and name in ASYNCHRONOUS:
        lines += ["pool {}", "pool {}", "task {}"]
    return lines


class Driven:
    """What was told of an application that has had its requests: `answers` to them, `before`
    when nobody watched, and the `events`. `hooks` are what was found in the process without a
    viewer, with one, and after one was killed."""

    def __init__(self, name, told):
        self.name = name
        self.answers, self.before = told["answers"], told["before"]
        self.events, self.hooks = told["events"], told["hooks"]
        self.targets = targets_of(name)
        self.rows = {row["path"]: row for row in self.find("request")
                     if row["state"] != "live"}

    @property
    def asynchronous(self):
        return self.name in ASYNCHRONOUS

    def find(self, kind, **fields):
        return [event for event in self.events if event["kind"] == kind
                and all(event.get(name) == value for name, value in fields.items())]

    def insight_of(self, request):
        """The last that was told from within a request."""
        return self.find("insight", request=request)[-1]

    def rows_of(self, kind):
        return [(n, self.rows[target]) for target, (each, n) in self.targets.items()
                if each == kind]


def targets_of(name):
    """Kind and number of each request, by target."""
    kinds = [kind for kind in KINDS if kind != "socket" or name in ASYNCHRONOUS]
    numbers = [(kind, 101 + index) for index, kind in enumerate(kinds * EACH)]
    return {target_of(kind, number): (kind, number) for kind, number in numbers}


async def drive(port, targets, lacking=lambda targets: ()):
    """Ask for all targets, fifty at a time, and again for those of which `lacking` says that they
    were not looked into, as on a machine that has much else to do; the answers."""
    answers = {}

    async def ask(target):
        more = ("Connection: close" if targets[target][0] != "socket" else
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                f"Sec-WebSocket-Key: {KEY}")
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n"
                     f"Authorization: Bearer abc\r\n{more}\r\n\r\n".encode())
        answer = b""
        if targets[target][0] == "socket":
            answer = await asyncio.wait_for(reader.readuntil(CLOSE), LONG)
            writer.write(b"\x88\x82\0\0\0\0" + CLOSE[2:])
        answer += await asyncio.wait_for(reader.read(), LONG)
        writer.close()
        # The time of day is nobody's doing; tracebacks in pages have addresses of objects.
        answer = re.sub(rb"(?i)(\r\ndate: )[^\r]*", rb"\1", answer).decode("latin-1")
        answers[target] = re.sub(r"0x[0-9a-f]{6,}", "0x", answer)

    asked = list(targets)
    for begin in range(0, len(asked), CONCURRENT):
        now = asked[begin:begin + CONCURRENT]
        for _ in range(TIMES):
            await asyncio.gather(*map(ask, now))
            now = await asyncio.to_thread(lacking, now)
        assert not now, "rows that did not come"
    return answers


def all_is_told(server, name, targets):
    """Whether all facts have come, as far as their number goes; some come after the answer."""
    rows = {row["path"]: row for row in server.find("request") if row["state"] != "live"}
    if not set(targets) <= set(rows):
        return False
    lines, told = {}, {event["request"] for event in server.find("insight")}
    for event in server.find("log"):
        lines[event.get("request")] = lines.get(event.get("request"), 0) + 1
    errors = {event.get("request") for event in server.find("error")}
    return all(
        lines.get(rows[target]["id"], 0) >= len(lines_of(name, kind))
        and (kind not in ("many", "out") or rows[target]["id"] in told)
        and (kind != "raise" or rows[target]["id"] in errors)
        for target, (kind, _) in targets.items())


def told_of(name, folder, out):
    """Serve and drive the application; what came of it."""
    for file in APPS.glob("*.py"):
        shutil.copy(file, folder)
    targets = targets_of(name)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with Watched(folder, f"{name}_app:app", OUT=out) as server:

        def hooks():
            with opener.open(f"http://127.0.0.1:{server.port}/hooks") as answer:
                return json.loads(answer.read())

        def hooks_in_the_end():
            try:
                wait_until(lambda: not hooks(), "the end of all hooks", 20)
            except AssertionError:
                return hooks()  # a test will say so
            return []

        assert server.command("detail", level=0)["ok"]
        found = {"unwatched": hooks_in_the_end()}
        before = asyncio.run(drive(server.port, targets))
        another = server.another_viewer()
        wait_until(hooks, "the hooks of a viewer", LONG)
        kill(another)
        found["killed"] = hooks_in_the_end()
        assert server.command("detail", level=1)["ok"]
        found["watched"] = wait_until(hooks, "hooks", LONG)
        seen = len(server.events)

        again = set()

        def lacking(now):
            def left():
                return set(now) - {row["path"] for row in server.find("request")
                                   if row["state"] != "live" and "unobserved" not in row}

            end = time.monotonic() + SOON
            while left() and time.monotonic() < end:
                time.sleep(0.02)
            again.update(left())
            return sorted(left())

        answers = asyncio.run(drive(server.port, targets, lacking))
        try:
            wait_until(lambda: all_is_told(server, name, targets), "all facts", 20)
        except AssertionError:
            pass  # a test will say which is missing
        events = server.events[:1] + server.events[seen:]
        rows = [row for row in server.find("request") if row["path"] in targets]
        # Exceptions are told when nobody watches, too, and of what was asked for again.
        shown = {row["id"] for row in {row["path"]: row for row in rows}.values()}
        unnamed = {str(targets[target][1]) for target in again}
        events = rows + [
            event for event in events if event["kind"] != "frame" and (
                event["request"] in shown if "request" in event
                else not unnamed & set(re.findall("[0-9]+", event.get("text", ""))))]
    return {"answers": answers, "before": before, "hooks": found, "events": events}


@pytest.fixture(scope="session", params=list(FRAMEWORKS))
def driven(request, tmp_path_factory, answering, worker_id):
    name = request.param
    for module in FRAMEWORKS[name]:
        pytest.importorskip(module)
    base = tmp_path_factory.getbasetemp()
    shared = (base if worker_id == "master" else base.parent) / f"insight-{name}.json"
    with open(shared.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not shared.exists():
            shared.write_text(json.dumps(told_of(name, tmp_path_factory.mktemp(name), answering)))
    return Driven(name, json.loads(shared.read_text()))
