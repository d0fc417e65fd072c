"""What the reload benchmark's clients do, and the projects that they ask.

Raw sockets on asyncio: what a client library would retry or hide is counted here.
"""

import asyncio
import base64
import os
import time

from tests.support.layouts import LAYOUTS

SMALL = '''
import asyncio
VERSION = "%VERSION%"

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            pass
        return
    if scope["path"] == "/slow":
        await asyncio.sleep(0.5)
    stream = scope["path"] == "/sse"
    kind = b"text/event-stream" if stream else b"text/plain"
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-type", kind)]})
    while stream:
        await send({"type": "http.response.body", "body": b"data: x\\n\\n", "more_body": True})
        await asyncio.sleep(0.2)
    await send({"type": "http.response.body", "body": VERSION.encode()})
'''

HEAVY = '''
import asyncio
import numpy
from fastapi import FastAPI, WebSocket
from fastapi.responses import PlainTextResponse, StreamingResponse
from pydantic import BaseModel
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
VERSION = "%VERSION%"

class Base(DeclarativeBase):
    pass

class Lamp(Base):
    __tablename__ = "lamp"
    id: Mapped[int] = mapped_column(primary_key=True)
    price: Mapped[float]

class LampIn(BaseModel):
    id: int
    price: float

engine = create_engine("sqlite://")
Base.metadata.create_all(engine)
weights = numpy.ones(1000)
app = FastAPI()

@app.get("/")
async def version() -> PlainTextResponse:
    return PlainTextResponse(VERSION)

@app.post("/lamp")
async def lamp(item: LampIn) -> LampIn:
    return item

@app.get("/slow")
async def slow() -> PlainTextResponse:
    await asyncio.sleep(0.5)
    return PlainTextResponse(VERSION)

@app.get("/sse")
async def sse() -> StreamingResponse:
    async def events():
        while True:
            yield b"data: x\\n\\n"
            await asyncio.sleep(0.2)
    return StreamingResponse(events(), media_type="text/event-stream")

@app.websocket("/ws")
async def ws(socket: WebSocket) -> None:
    await socket.accept()
    while True:
        await socket.receive_text()
'''

VIEWS = '''
import asyncio
from django.http import HttpResponse, StreamingHttpResponse
VERSION = "%VERSION%"

def version(request):
    return HttpResponse(VERSION)

async def slow(request):
    await asyncio.sleep(0.5)
    return HttpResponse(VERSION)

async def sse(request):
    async def events():
        while True:
            yield b"data: x\\n\\n"
            await asyncio.sleep(0.2)
    return StreamingHttpResponse(events(), content_type="text/event-stream")
'''

URLS = '''
from django.contrib import admin
from django.urls import path
import views

urlpatterns = [path("admin/", admin.site.urls), path("", views.version),
               path("slow", views.slow), path("sse", views.sse)]
'''

DJANGO = '''
import os
from django.core.asgi import get_asgi_application
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
app = get_asgi_application()
'''

#: the file that is saved, its source, and the other files
PROJECTS = {"small": ("shop.py", SMALL, {}), "heavy": ("shop.py", HEAVY, {}), "django": (
    "views.py", VIEWS, {**LAYOUTS["django-startproject"].files, "mysite/urls.py": URLS,
                        "shop.py": DJANGO})}


class Project:
    """A folder with an application `shop:app`; `save(version)` writes a file of it anew as an
    editor does."""

    def __init__(self, folder, kind):
        self.folder = folder
        name, self.source, others = PROJECTS[kind]
        for path, text in others.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text.lstrip())
        self.path = folder / name
        self.save("0")

    def save(self, version):
        """Save and give the instant; `version` None is a syntax error."""
        text = "def broken(:\n" if version is None else self.source.replace("%VERSION%", version)
        temporary = self.folder / "saved.tmp"
        temporary.write_text(text)
        os.replace(temporary, self.path)
        return time.perf_counter()


class Link:
    """One connection; `get` gives status and body, or raises OSError or EOFError."""

    def __init__(self):
        self.reader = self.writer = None

    async def open(self, port):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port)

    async def get(self, path="/", close=False):
        option = b"Connection: close\r\n" if close else b""
        self.writer.write(b"GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n"
                          % (path.encode(), option))
        status, headers = await self.head()
        if b"content-length" in headers:
            body = await self.reader.readexactly(int(headers[b"content-length"]))
        elif headers.get(b"transfer-encoding") == b"chunked":
            body = b""
            while True:
                size = int(await self.reader.readline(), 16)
                body += (await self.reader.readexactly(size + 2))[:-2]
                if not size:
                    break
        else:
            body = await self.reader.read()
        if headers.get(b"connection", b"").lower() == b"close":
            self.close()
        return status, body

    async def head(self):
        lines = (await self.reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
        headers = {}
        for line in lines[1:-2]:
            name, _, value = line.partition(b":")
            headers[name.lower()] = value.strip()
        return int(lines[0].split()[1]), headers

    def close(self):
        if self.writer is not None:
            self.writer.close()
            self.writer = None


async def one(port, path="/", timeout=5.0):
    """A request on a connection of its own: (status, body), or an exception."""
    async def ask():
        link = Link()
        try:
            await link.open(port)
            return await link.get(path, close=True)
        finally:
            link.close()

    try:
        return await asyncio.wait_for(ask(), timeout)
    except (OSError, EOFError, ValueError, asyncio.TimeoutError) as exc:
        return exc


async def until_new(port, version, began, limit=20.0):
    """Seconds from `began` until a response of `version`; None if none comes."""
    while time.perf_counter() - began < limit:
        answer = await one(port, timeout=2.0)
        if isinstance(answer, tuple) and answer[1] == version.encode():
            return time.perf_counter() - began
        await asyncio.sleep(0.002)
    return None


class Load:
    """Requests at a rate, half of them on kept connections; `failures` by what happened."""

    def __init__(self, port, rate=200.0):
        self.port = port
        self.rate = rate
        self.sent = 0
        self.failures = {}
        self.slowest = 0.0
        self._idle = []
        self._tasks = set()
        self._running = True

    async def run(self):
        loop = asyncio.get_running_loop()
        due = loop.time()
        while self._running:
            task = loop.create_task(self._request(self.sent % 2 == 0))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            self.sent += 1
            due += 1 / self.rate
            await asyncio.sleep(max(0.0, due - loop.time()))
        if self._tasks:
            await asyncio.wait(set(self._tasks))
        for link in self._idle:
            link.close()

    def stop(self):
        self._running = False

    async def _request(self, keep):
        began = time.perf_counter()
        link = self._idle.pop(0) if keep and len(self._idle) > 8 else Link()
        phase = "reset"
        try:
            if link.writer is None:
                phase = "refused"
                await asyncio.wait_for(link.open(self.port), 5.0)
                phase = "reset"
            status, _ = await asyncio.wait_for(link.get(close=not keep), 5.0)
            if status != 200:
                self._failed(str(status))
            elif keep and link.writer is not None:
                self._idle.append(link)
                link = None
        except asyncio.TimeoutError:
            self._failed("timeout")
        except (OSError, EOFError, ValueError):
            self._failed(phase)
        finally:
            if link is not None:
                link.close()
        self.slowest = max(self.slowest, time.perf_counter() - began)

    def _failed(self, what):
        self.failures[what] = self.failures.get(what, 0) + 1


class Streams:
    """Open event streams and WebSockets, and how each of them ended."""

    def __init__(self, port):
        self.port = port
        self.sse_ends = []
        self.ws_ends = []
        self._tasks = []

    async def open(self, count):
        opened = []
        for index in range(2 * count):
            link = Link()
            await link.open(self.port)
            opened.append(link)
            if index % 2:
                link.writer.write(b"GET /sse HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            else:
                link.writer.write(
                    b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
                    b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                    b"Sec-WebSocket-Key: %s\r\n\r\n" % base64.b64encode(os.urandom(16)))
            status, _ = await asyncio.wait_for(link.head(), 5.0)
            if status != (200 if index % 2 else 101):
                raise ConnectionError(f"status {status}")
        for index, link in enumerate(opened):
            self._tasks.append(asyncio.ensure_future(
                self._sse(link) if index % 2 else self._ws(link)))

    async def _sse(self, link):
        end = b""
        try:
            while True:
                data = await link.reader.read(65536)
                end = (end + data)[-8:]
                if end.endswith(b"\n0\r\n\r\n") or not data:
                    self.sse_ends.append("end" if data else "cut")
                    return
        except OSError:
            self.sse_ends.append("reset")
        finally:
            link.close()

    async def _ws(self, link):
        try:
            while True:
                opcode, size = await link.reader.readexactly(2)
                payload = await link.reader.readexactly(size & 127)
                if opcode & 15 == 8:
                    self.ws_ends.append(str(int.from_bytes(payload[:2], "big")))
                    return
        except (OSError, EOFError):
            self.ws_ends.append("cut")
        finally:
            link.close()

    async def ended(self, timeout=5.0):
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout)
        for task in self._tasks:
            task.cancel()


def tally(ends, count):
    """`100 end`, or `97 1012, 3 open`."""
    found = {name: ends.count(name) for name in sorted(set(ends))}
    if len(ends) < count:
        found["open"] = count - len(ends)
    return ", ".join(f"{number} {name}" for name, number in found.items())
