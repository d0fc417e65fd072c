"""Each example does what it says: in memory here, as processes in test_example_processes.py."""

import gzip
import re
import runpy
from pathlib import Path

import pytest

from tests.app.serving import get, serve
from tests.app.test_request import multipart

EXAMPLES = Path(__file__).parents[2] / "examples"


def load(name):
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))["app"]


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_says_how_it_is_run(path):
    text = path.read_text()
    name = f"examples/{path.name}"
    assert re.search(rf"tremolo dev .*{name}", text.split('"""')[1]), text[:300]
    assert 'if __name__ == "__main__":\n' in text


def test_downloads_have_their_length():
    async def scenario(client):
        assert "100 MB" in (await client.get("/")).text
        response = await client.get("/download?mb=3")
        assert len(response.body) == 3_000_000
        assert response.header("content-length") == "3000000"
        assert (await client.get("/download?mb=x")).status == 400
        response = await client.request("HEAD", "/download")
        assert response.header("content-length") == "100000000"

    serve(load("downloads"), scenario)


def test_an_endless_download_ends_with_its_client():
    async def scenario(client):
        async with client.stream("GET", "/endless") as response:
            async for piece in response.pieces():
                return len(piece)

    assert serve(load("downloads"), scenario)


def test_uploads_are_stored_and_named():
    app = load("uploads")

    async def scenario(client):
        request = multipart(("file", "<a>.txt", b"x" * 1234))
        response = await client.request(request.pop("method"), "/upload", **request)
        assert response.status == 200
        assert "&lt;a&gt;.txt: 1,234 bytes" in response.text
        stored = list(Path(app.context.folder).iterdir())
        assert [path.read_bytes() for path in stored] == [b"x" * 1234]
        assert (await client.get("/upload")).status == 302

    serve(app, scenario)
    assert not Path(app.context.folder).exists()


def test_streaming_sends_chunks_as_they_are_made():
    async def scenario(client):
        async with client.stream("GET", "/") as response:
            pieces = [piece async for piece in response.pieces()]
        assert len(pieces) == 2
        assert (await client.get("/count?to=2")).text == "1\n2\n"
        async with client.stream("GET", "/table") as response:
            pieces = [piece async for piece in response.pieces()]
        assert len(pieces) < 1000
        assert b"".join(pieces).endswith(b"99999,9999800001\n")

    serve(load("streaming"), scenario)


def test_a_video_can_be_resumed_where_it_broke_off(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    app = load("video")
    (path,) = tmp_path.iterdir()

    async def scenario(client):
        async with client.stream("GET", "/video") as response:
            tag = response.header("etag")
            async for piece in response.pieces(1_000_000):
                begun = piece
                break
        response = await client.get(
            "/video", headers={"Range": f"bytes={len(begun)}-", "If-Range": tag})
        assert response.status == 206
        assert begun + response.body == path.read_bytes()
        assert len(path.read_bytes()) == 8_000_000

    serve(app, scenario)


def test_the_clock_tells_the_time():
    async def scenario(client):
        assert "EventSource" in (await client.get("/")).text
        async with client.stream("GET", "/time") as response:
            assert response.header("content-type") == "text/event-stream"
            async for piece in response.pieces():
                return piece

    assert re.fullmatch(rb"data: \d\d:\d\d:\d\d\nretry: 500\n\n", serve(load("clock"), scenario))


def test_what_one_says_in_the_chat_all_hear():
    async def scenario(client):
        assert "WebSocket" in (await client.get("/")).text
        one = await client.websocket("/chat")
        assert await one.receive() == "guest 50000 has come"
        two = await client.websocket("/chat")
        assert await one.receive() == await two.receive()
        await two.send("<hello>")
        assert await one.receive() == await two.receive() == "guest 50000: <hello>"
        two.connection.close()
        assert await one.receive() == "guest 50000 has gone"
        await one.close()

    serve(load("chat"), scenario)


def test_a_static_site_is_served_with_its_types():
    async def scenario(client):
        response = await client.get("/")
        assert "A site" in response.text and "max-age=60" in response.header("cache-control")
        assert (await client.get("/style.css")).header("content-type").startswith("text/css")
        assert "folder" in (await client.get("/more/")).text
        response = await client.get("/more")
        assert (response.status, response.header("location")) == (308, "/more/")
        assert (await client.get("/../static_site.py")).status == 404

    serve(load("static_site"), scenario)


def test_only_the_mounted_application_wants_its_key():
    async def scenario(client):
        assert (await client.get("/")).status == 200
        assert (await client.get("/api/items/7")).status == 401
        response = await client.get("/api/items/7", headers={"X-Key": "secret"})
        assert response.json() == {"item": 7}
        assert (await client.get("/items/7")).status == 404

    serve(load("mounted"), scenario)


def test_a_class_answers_the_methods_that_it_has():
    async def scenario(client):
        assert (await client.get("/notes/a")).status == 404
        assert (await client.request("PUT", "/notes/a", body="Milk")).status == 204
        assert (await client.get("/notes/a")).text == "Milk"
        assert (await client.request("DELETE", "/notes/a")).status == 204
        response = await client.post("/notes/a", body="")
        assert (response.status, response.header("allow")) == (405, "DELETE, GET, PUT")

    serve(load("class_views"), scenario)


def test_plain_functions_run_on_threads():
    async def scenario(client):
        assert (await client.get("/")).text.startswith("SQLite 3.")
        assert (await client.get("/slow")).text == "0\n1\n2\n"
        assert (await client.post("/sum", body="x")).text.startswith("2d711642b726b04401627ca9")

    serve(load("sync_handlers"), scenario)


def test_a_counter_is_shared(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    async def scenario(client):
        await client.get("/")
        return (await client.get("/")).text

    assert serve(load("shared_state"), scenario).startswith("request 2,")


@pytest.mark.parametrize("target, status, text", [
    ("/", 200, "404"), ("/private", 403, "<h1>403</h1><p>Members only."),
    ("/broken", 500, "<h1>Sorry</h1>"), ("/%3Cx%3E", 404, "Nothing is at /%3Cx%3E.")])
def test_errors_have_pages(target, status, text):
    response = get(load("error_pages"), target)
    assert response.status == status and text in response.text


def test_what_is_compressed_is_what_was_yielded():
    async def scenario(client):
        plain = await client.get("/")
        packed = await client.get("/", headers={"Accept-Encoding": "br, gzip"})
        assert plain.header("content-encoding") == ""
        assert packed.header("content-encoding") == "gzip"
        assert gzip.decompress(packed.body) == plain.body
        assert plain.header("vary") == packed.header("vary") == "Accept-Encoding"

    serve(load("gzip_middleware"), scenario)
