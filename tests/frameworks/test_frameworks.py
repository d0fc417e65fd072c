"""Starlette and FastAPI, driven by httpx over real sockets."""

import asyncio
import contextlib

import pytest

from tests.support.serving import each_loop, pattern, run, serving_asgi, until

httpx = pytest.importorskip("httpx")
pytest.importorskip("starlette")
fastapi = pytest.importorskip("fastapi")

from starlette.applications import Starlette  # noqa: E402
from starlette.middleware import Middleware  # noqa: E402
from starlette.middleware.base import BaseHTTPMiddleware  # noqa: E402
from starlette.responses import (  # noqa: E402
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    StreamingResponse,
)
from starlette.routing import Route  # noqa: E402

DATA = pattern(400_000)


@contextlib.asynccontextmanager
async def client_of(app):
    async with serving_asgi(app) as site:
        url = f"http://127.0.0.1:{site.port}"
        async with httpx.AsyncClient(base_url=url, timeout=10) as client:
            client.site = site
            yield client


def starlette_app(tmp_path, log):
    path = tmp_path / "data.bin"
    path.write_bytes(DATA)

    async def stream(request):
        async def pieces():
            for begin in range(0, len(DATA), 10_000):
                yield DATA[begin:begin + 10_000]
        return StreamingResponse(pieces(), media_type="application/octet-stream")

    async def endless(request):
        async def pieces():
            try:
                while True:
                    yield b"x" * 1000
                    await asyncio.sleep(0)
            finally:
                log.append("ended")
        return StreamingResponse(pieces())

    async def file(request):
        return FileResponse(path)

    async def upload(request):
        body = await request.body()
        return JSONResponse({"size": len(body), "same": body == DATA})

    async def fail(request):
        raise ValueError("in the handler")

    async def poll(request):
        await request.body()
        return JSONResponse([await request.is_disconnected() for _ in range(3)])

    async def state(request):
        return PlainTextResponse(request.state.greeting)

    async def background(request):
        from starlette.background import BackgroundTask

        async def later():
            await asyncio.sleep(0.01)
            log.append("background")
        return PlainTextResponse("now", background=BackgroundTask(later))

    @contextlib.asynccontextmanager
    async def lifespan(app):
        log.append("startup")
        yield {"greeting": "hello from startup"}
        log.append("shutdown")

    return Starlette(lifespan=lifespan, routes=[
        Route("/stream", stream), Route("/endless", endless), Route("/file", file),
        Route("/upload", upload, methods=["POST"]), Route("/fail", fail), Route("/poll", poll),
        Route("/state", state), Route("/background", background)])


@each_loop
def test_starlette_streams_and_downloads(loop_name, tmp_path):
    async def main():
        async with client_of(starlette_app(tmp_path, [])) as client:
            assert (await client.get("/stream")).content == DATA
            whole = await client.get("/file")
            assert whole.content == DATA
            part = await client.get("/file", headers={"range": "bytes=1000-299999"})
            assert (part.status_code, part.content) == (206, DATA[1000:300_000])
            assert part.headers["content-range"] == f"bytes 1000-299999/{len(DATA)}"
            past = await client.get("/file", headers={"range": f"bytes={len(DATA)}-"})
            assert past.status_code == 416
            head = await client.head("/file")
            assert head.headers["content-length"] == str(len(DATA))
            assert client.site.server.counters.connections == 1

    run(main, loop_name)


@each_loop
def test_starlette_takes_uploads(loop_name, tmp_path):
    async def main():
        async def pieces():
            for begin in range(0, len(DATA), 30_000):
                yield DATA[begin:begin + 30_000]

        async with client_of(starlette_app(tmp_path, [])) as client:
            expected = {"size": len(DATA), "same": True}
            assert (await client.post("/upload", content=DATA)).json() == expected
            assert (await client.post("/upload", content=pieces())).json() == expected

    run(main, loop_name)


def test_starlette_has_lifespan_state_and_background_tasks(tmp_path):
    log = []

    async def main():
        async with client_of(starlette_app(tmp_path, log)) as client:
            assert (await client.get("/state")).text == "hello from startup"
            assert (await client.get("/background")).text == "now"
            await until(lambda: "background" in log)

    run(main)
    assert log == ["startup", "background", "shutdown"]


def test_an_exception_in_starlette_is_a_500_and_reported_once(tmp_path):
    async def main():
        async with client_of(starlette_app(tmp_path, [])) as client:
            reported = []
            client.site.server.on_error = lambda exchange, exc: reported.append(exc)
            assert (await client.get("/fail")).status_code == 500
            assert (await client.get("/state")).status_code == 200
            assert [type(exc) for exc in reported] == [ValueError]

    run(main)


def test_starlette_can_ask_whether_the_client_left(tmp_path):
    async def main():
        async with client_of(starlette_app(tmp_path, [])) as client:
            for _ in range(2):
                assert (await client.get("/poll")).json() == [False] * 3

    run(main)


@each_loop
def test_a_stream_ends_when_its_client_leaves(loop_name, tmp_path):
    log = []

    async def main():
        async with client_of(starlette_app(tmp_path, log)) as client:
            async with client.stream("GET", "/endless") as response:
                async for _ in response.aiter_bytes():
                    break
            await until(lambda: "ended" in log)
            await until(lambda: not client.site.server.tasks)
            assert client.site.server.counters.errors == 0

    run(main, loop_name)


def test_an_upload_that_breaks_off_is_no_error_of_the_application(tmp_path):
    async def main():
        async with client_of(starlette_app(tmp_path, [])) as client:
            raw = await client.site.connect()
            await raw.send(b"POST /upload HTTP/1.1\r\nHost: a\r\n"
                           b"Content-Length: 100\r\n\r\nabc")
            await until(lambda: client.site.server.tasks)
            raw.reset()
            await until(lambda: not client.site.server.tasks)
            assert client.site.server.counters.errors == 0

    run(main)


def test_starlette_middleware_works_on_streams(tmp_path):
    class Adding(BaseHTTPMiddleware):
        async def dispatch(self, request, call_next):
            response = await call_next(request)
            response.headers["x-added"] = "yes"
            return response

    async def stream(request):
        async def pieces():
            for number in range(100):
                yield b"%d\n" % number
        return StreamingResponse(pieces())

    async def main():
        app = Starlette(routes=[Route("/", stream)], middleware=[Middleware(Adding)])
        async with client_of(app) as client:
            for _ in range(3):
                response = await client.get("/")
                assert response.headers["x-added"] == "yes"
                assert response.content == b"".join(b"%d\n" % n for n in range(100))

    run(main)


@each_loop
def test_fastapi_validates_answers_and_takes_files(loop_name):
    pytest.importorskip("python_multipart")
    app = fastapi.FastAPI()

    @app.get("/items/{number}")
    async def item(number: int, q: str = ""):
        return {"number": number, "q": q}

    @app.get("/sync")
    def sync():
        return {"thread": True}

    @app.post("/files")
    async def files(file: fastapi.UploadFile):
        data = await file.read()
        return {"name": file.filename, "same": data == DATA}

    @app.get("/refused")
    async def refused():
        raise fastapi.HTTPException(418, "teapot")

    async def main():
        async with client_of(app) as client:
            assert (await client.get("/items/3?q=é")).json() == {"number": 3, "q": "é"}
            assert (await client.get("/items/x")).status_code == 422
            assert (await client.get("/sync")).json() == {"thread": True}
            answer = await client.post("/files", files={"file": ("d.bin", DATA)})
            assert answer.json() == {"name": "d.bin", "same": True}
            assert (await client.get("/refused")).status_code == 418
            assert (await client.get("/openapi.json")).json()["openapi"]

    run(main, loop_name)
