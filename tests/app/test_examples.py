"""The native examples run in memory."""

import runpy
from pathlib import Path

from tests.app.serving import get, serve
from tests.app.test_request import multipart

EXAMPLES = Path(__file__).parents[2] / "examples"


def load(name):
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))["app"]


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
    response = get(app, "/upload", **multipart(("file", "<a>.txt", b"x" * 1234)))
    assert response.status == 200
    assert "&lt;a&gt;.txt: 1,234 bytes" in response.text
    assert get(app, "/upload").status == 302
