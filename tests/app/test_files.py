"""docs/api.md section 7, sendfile: conditional requests and ranges (RFC 9110 sections 13 and 14);
folders of static files."""

import asyncio
import os
import socket

import pytest

from tests.app.serving import get, handler, serve
from tremolo import Tremolo
from tremolo.app.adapter import NativeAdapter
from tremolo.app.files import add_static
from tremolo.config import Settings
from tremolo.net.server import Server

DATA = bytes(range(256)) * 10


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "data.bin"
    path.write_bytes(DATA)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


def ask(path, headers=(), method="GET", **arguments):
    async def show(response):
        await response.sendfile(path, **arguments)

    return get(handler(show), "/", headers=headers, method=method)


def test_a_file_is_sent_whole_with_its_facts(path):
    response = ask(path)
    assert (response.status, response.body) == (200, DATA)
    assert response.header("content-length") == "2560"
    assert response.header("content-type") == "application/octet-stream"
    assert response.header("last-modified") == "Tue, 14 Nov 2023 22:13:20 GMT"
    assert response.header("accept-ranges") == "bytes"
    assert response.header("etag").startswith('"')


def test_a_type_offset_and_count_may_be_given(path):
    response = ask(path, content_type="image/png", offset=10, count=5)
    assert response.body == DATA[10:15]
    assert response.header("content-type") == "image/png"
    assert ask(path, offset=2550, count=100).body == DATA[2550:]


def test_the_type_of_the_handler_counts(path):
    async def show(response, content_type="video/mp4"):
        await response.sendfile(path)

    assert get(handler(show), "/").header("content-type") == "video/mp4"


def test_head_has_the_length_and_no_body(path):
    response = ask(path, method="HEAD")
    assert response.header("content-length") == "2560" and response.body == b""


def test_http_1_0_gets_no_ranges(path):
    async def show(response):
        await response.sendfile(path)

    async def scenario(client):
        return await client.raw(b"GET / HTTP/1.0\r\nRange: bytes=0-1\r\n\r\n")

    wire = serve(handler(show), scenario)
    assert wire.startswith(b"HTTP/1.1 200 ") and b"accept-ranges" not in wire.lower()


@pytest.mark.parametrize("value, start, stop", [
    ("bytes=0-0", 0, 1), ("bytes=5-9", 5, 10), ("bytes=2550-", 2550, 2560),
    ("bytes=-3", 2557, 2560), ("bytes=-9999", 0, 2560), ("bytes=2559-9999", 2559, 2560),
])
def test_one_range(path, value, start, stop):
    response = ask(path, {"Range": value})
    assert (response.status, response.body) == (206, DATA[start:stop])
    assert response.header("content-range") == f"bytes {start}-{stop - 1}/2560"
    assert response.header("content-length") == str(stop - start)


@pytest.mark.parametrize("value", [
    "bytes=2-0", "lines=1-2", "bytes=x", "bytes", "bytes=1-2,y",
])
def test_a_range_that_is_malformed_or_of_another_unit_is_ignored(path, value):
    response = ask(path, {"Range": value})
    assert (response.status, response.body) == (200, DATA)


@pytest.mark.parametrize("value", ["bytes=2560-", "bytes=9999-10000", "bytes=-0"])
def test_a_range_outside_is_416_with_the_size(path, value):
    response = ask(path, {"Range": value})
    assert response.status == 416
    assert response.header("content-range") == "bytes */2560"
    assert response.text == "Range Not Satisfiable"
    assert not response.header("etag")


def test_several_ranges_are_multipart(path):
    response = ask(path, {"Range": "bytes=0-1,10-11"}, content_type="text/plain")
    assert response.status == 206
    kind, _, boundary = response.header("content-type").partition("; boundary=")
    assert kind == "multipart/byteranges"
    parts = response.body.split(b"--" + boundary.encode())
    assert len(parts) == 4 and parts[3] == b"--\r\n"
    assert b"Content-Range: bytes 0-1/2560" in parts[1] and b"text/plain" in parts[1]
    assert parts[1].endswith(b"\r\n\r\n" + DATA[:2] + b"\r\n")
    assert response.header("content-length") == str(len(response.body))


def test_conditions(path):
    first = ask(path)
    etag, date = first.header("etag"), first.header("last-modified")
    later = "Wed, 15 Nov 2023 22:13:20 GMT"
    for headers, status in [
        ({"If-None-Match": etag}, 304), ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"other"'}, 200), ({"If-Modified-Since": date}, 304),
        ({"If-Modified-Since": later}, 304),
        ({"If-Modified-Since": "Mon, 13 Nov 2023 22:13:20 GMT"}, 200),
        ({"If-Match": '"other"'}, 412), ({"If-Match": etag}, 200),
        ({"If-Unmodified-Since": "Mon, 13 Nov 2023 22:13:20 GMT"}, 412),
        ({"Range": "bytes=0-1", "If-Range": etag}, 206),
        ({"Range": "bytes=0-1", "If-Range": date}, 206),
        ({"Range": "bytes=0-1", "If-Range": '"other"'}, 200),
    ]:
        response = ask(path, headers)
        assert response.status == status, headers
        if status == 304:
            assert response.header("etag") == etag and not response.header("content-type")


@pytest.mark.parametrize("name, status", [
    ("none", 404), ("data.bin/x", 404), ("", 404), ("x" * 5000, 404), ("nul\0", 404),
])
def test_what_is_no_regular_file_is_404(path, name, status):
    assert ask(str(path.parent / name) if name else str(path.parent)).status == status


def test_a_fifo_is_404_and_does_not_block(path):
    fifo = path.parent / "fifo"
    os.mkfifo(fifo)
    assert ask(fifo).status == 404


def test_a_file_that_becomes_shorter_resets_the_connection(path, monkeypatch):
    monkeypatch.setattr(os, "pread", lambda *args: b"")

    async def show(response):
        await response.sendfile(path)

    async def scenario(client):
        connection = client.connect()
        connection.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await connection.receive_all()
        return connection.was_reset

    assert serve(handler(show), scenario)


@pytest.mark.parametrize("headers, throttled, by_kernel", [
    (b"", False, True), (b"Range: bytes=100-2000\r\n", False, True), (b"", True, False)])
def test_the_kernel_sends_files_where_nothing_throttles(path, monkeypatch, headers, throttled,
                                                        by_kernel):
    sent = []
    kernel = os.sendfile
    monkeypatch.setattr(os, "sendfile", lambda *args: sent.append(args) or kernel(*args))

    async def show(response):
        await response.sendfile(path)

    async def scenario():
        settings = Settings(download_rate=10_000_000 if throttled else 0)
        adapter = NativeAdapter(handler(show), settings)
        await adapter.startup()
        server = Server(adapter, settings)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            await server.start([listening])
            reader, writer = await asyncio.open_connection(*listening.getsockname())
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                         + headers + b"\r\n")
            answer = await asyncio.wait_for(reader.read(), 10)
            writer.close()
            await server.drain(1.0)
        await adapter.shutdown()
        return answer.partition(b"\r\n\r\n")[2]

    assert asyncio.run(scenario()) == (DATA[100:2001] if headers else DATA)
    assert bool(sent) is by_kernel


def test_sendfile_in_a_thread(path):
    def show(response):
        response.sendfile(path)

    assert get(handler(show), "/").body == DATA


def test_descriptors_are_closed(path):
    before = len(os.listdir("/dev/fd"))
    ask(path)
    ask(path, {"Range": "bytes=9999-"})
    assert len(os.listdir("/dev/fd")) <= before


# -- folders ----------------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path):
    folder = tmp_path / "site"
    (folder / "sub").mkdir(parents=True)
    (folder / "index.html").write_text("<h1>home</h1>")
    (folder / "sub" / "index.html").write_text("sub")
    (folder / "a b.css").write_text("css")
    (folder / ".secret").write_text("hidden")
    (folder / "bare").mkdir()
    (tmp_path / "site-private").mkdir()
    (tmp_path / "site-private" / "x").write_text("hidden")
    (tmp_path / "outside").write_text("hidden")
    (folder / "link").symlink_to(tmp_path / "outside")
    (folder / "inside").symlink_to(folder / "index.html")
    (folder / "loop").symlink_to(folder / "loop")
    app = Tremolo()
    add_static(app, "/static", folder, max_age=60)
    return app


@pytest.mark.parametrize("target, kind, text", [
    ("/static/", "text/html; charset=utf-8", "<h1>home</h1>"),
    ("/static/index.html?x=1", "text/html; charset=utf-8", "<h1>home</h1>"),
    ("/static/a%20b.css", "text/css; charset=utf-8", "css"),
    ("/static/sub/", "text/html; charset=utf-8", "sub"),
    ("/static/inside", "text/html; charset=utf-8", "<h1>home</h1>"),
])
def test_files_of_a_folder_are_served(site, target, kind, text):
    response = get(site, target)
    assert (response.status, response.header("content-type")) == (200, kind)
    assert response.body.decode() == text
    assert response.header("cache-control") == "max-age=60"


@pytest.mark.parametrize("target", [
    "/static/none", "/static/../outside", "/static/%2e%2e/outside", "/static/..%2foutside",
    "/static/.secret", "/static/link", "/static/loop", "/static/bare/", "/static/index.html/",
    "/static/%00", "/static/sub//index.html", "/static/..\\outside", "/static-private/x",
    "/static/../site-private/x", "/static/" + "x" * 300, "/static/%ff", "/static//etc/passwd",
])
def test_nothing_else_is_served(site, target):
    response = get(site, target)
    assert response.status == 404 and "hidden" not in response.text


@pytest.mark.parametrize("target, location", [
    ("/static/sub", "/static/sub/"), ("/static", "/static/"),
    ("/static/sub?a=1", "/static/sub/?a=1"),
])
def test_a_folder_without_its_slash_is_redirected(site, target, location):
    response = get(site, target)
    assert (response.status, response.header("location")) == (308, location)


def test_other_methods_are_405(site):
    assert get(site, "/static/", method="POST").status == 405


def test_a_missing_folder_is_a_value_error(tmp_path):
    with pytest.raises(ValueError):
        add_static(Tremolo(), "/x", tmp_path / "none")
