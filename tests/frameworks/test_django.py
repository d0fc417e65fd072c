"""Django, by ASGI and by WSGI."""

import asyncio
import gc
import sys
import types

import pytest

pytest.importorskip("httpx")
django = pytest.importorskip("django")

from tests.frameworks.clients import asgi_client, frameworks, wsgi_client  # noqa: E402
from tests.support.serving import pattern, run, until  # noqa: E402

pytestmark = frameworks
DATA = pattern(400_000)
log = []


def make_views():
    from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse

    def hello(request, name):
        return HttpResponse(f"Hello {name} {request.GET.get('q', '')} {request.path}")

    def upload(request):
        file = request.FILES["file"]
        return JsonResponse({"name": file.name, "size": file.size,
                             "field": request.POST["field"]})

    def length(request):
        return HttpResponse(str(len(request.body)))

    def sync_stream(request):
        return StreamingHttpResponse(f"{n}\n" for n in range(1000))

    async def async_stream(request):
        async def pieces():
            try:
                for n in range(int(request.GET["n"])):
                    yield f"{n}\n"
                    await asyncio.sleep(0)
            finally:
                log.append("closed")
        return StreamingHttpResponse(pieces())

    def file(request):
        return FileResponse(open(request.GET["path"], "rb"))

    def broken(request):
        raise KeyError("broken")

    return {"hello/<str:name>": hello, "upload": upload, "length": length,
            "sync": sync_stream, "async": async_stream, "file": file, "broken": broken}


@pytest.fixture(scope="module")
def site():
    """A configured Django without a project."""
    from django.conf import settings

    if not settings.configured:  # by another test in this process
        settings.configure(SECRET_KEY="test")
    from django.test import override_settings
    from django.urls import path

    urls = types.ModuleType("tremolo_test_urls")
    urls.urlpatterns = [path(route, view) for route, view in make_views().items()]
    with pytest.MonkeyPatch.context() as patch, override_settings(
            ROOT_URLCONF="tremolo_test_urls", DEBUG=False, ALLOWED_HOSTS=["*"],
            LOGGING_CONFIG=None, DATA_UPLOAD_MAX_MEMORY_SIZE=10_000_000):
        patch.setitem(sys.modules, "tremolo_test_urls", urls)
        django.setup()
        yield urls


@pytest.fixture(params=["asgi", "wsgi"])
def serve(request, site):
    from django.core.asgi import get_asgi_application
    from django.core.wsgi import get_wsgi_application

    if request.param == "asgi":
        return lambda **settings: asgi_client(get_asgi_application(), **settings)
    return lambda **settings: wsgi_client(get_wsgi_application(), **settings)


def test_django_answers_requests_of_every_kind(serve):
    async def main():
        async with serve() as client:
            answer = await client.get("/hello/w%C3%B6rld?q=%26")
            assert answer.text == "Hello wörld & /hello/wörld"
            answer = await client.post("/upload", files={"file": ("é.bin", DATA)},
                                       data={"field": "x"})
            assert answer.json() == {"name": "é.bin", "size": len(DATA), "field": "x"}
            assert (await client.post("/length", content=DATA)).text == str(len(DATA))
            assert (await client.get("/broken")).status_code == 500
            assert (await client.get("/none")).status_code == 404
            assert (await client.head("/hello/x")).content == b""

    run(main)


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
def test_django_streams(serve):
    async def main():
        async with serve() as client:
            expected = "".join(f"{n}\n" for n in range(1000))
            assert (await client.get("/sync")).text == expected
            assert (await client.get("/async?n=1000")).text == expected

    run(main)


def test_django_takes_bodies_of_unknown_length(serve):
    async def body():
        for n in range(50):
            yield pattern(5000, n)

    async def main():
        async with serve() as client:
            assert (await client.post("/length", content=body())).text == "250000"

    run(main)


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
def test_django_sends_files(serve, tmp_path):
    path = tmp_path / "data.bin"
    path.write_bytes(DATA)

    async def main():
        async with serve() as client:
            answer = await client.get("/file", params={"path": str(path)})
            assert answer.content == DATA
            assert answer.headers["content-length"] == str(len(DATA))

    run(main)


def test_django_by_asgi_hears_of_a_client_that_leaves(site):
    from django.core.asgi import get_asgi_application

    async def main():
        log.clear()
        async with asgi_client(get_asgi_application()) as client:
            async with client.stream("GET", "/async?n=1000000000") as response:
                async for _ in response.aiter_bytes():
                    break
            await until(lambda: not client.site.server.tasks)
            gc.collect()  # Django leaves the iterator to whoever collects it
            await until(lambda: log)

    run(main)


def test_django_is_served_below_a_root_path(serve):
    async def main():
        async with serve(root_path="/mounted") as client:
            assert (await client.get("/hello/x")).text == "Hello x  /mounted/hello/x"

    run(main)
