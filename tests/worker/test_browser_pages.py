"""Pages that get the script which refreshes them, over real connections; and all that do not."""

import asyncio
import contextlib
import gzip
import logging
import os
import re

import pytest

from tests.support.serving import run, serving, until
from tremolo.app import Application
from tremolo.config import Settings
from tremolo.worker.application import Loaded, make_adapter
from tremolo.worker.browser import Browser
from tremolo.worker.guard import exchange_kind, guarded

TOKEN = "a-token"
HTML = (b"content-type", b"text/html; charset=utf-8")
PAGE = b"<!doctype html><html><head><title>x</title></head><body>one</body></html>"
BROWSER = b"Sec-Fetch-Dest: document\r\nAccept: text/html,*/*;q=0.8\r\n"


def first_named(response):
    """A response whose page names request 1; each page names its own."""
    return response._replace(body=re.sub(
        rb'(data-page="[0-9]+)\.[0-9]+', rb"\1.00000001", response.body))


class Site:
    """A server as workers in development have it. `ask` is one request on a new connection."""

    def __init__(self, site, browser):
        self.site, self.browser, self.server = site, browser, site.server
        self.tag = (b'<script src="/__tremolo__/refresh.js" data-generation="%b" '
                    b'data-page="%07d.%08d"></script>'
                    % (browser.generation.encode(), os.getpid(), 1))

    async def ask(self, target=b"/", fields=BROWSER, method=b"GET", host=b"localhost"):
        client = await self.site.connect()
        with contextlib.closing(client):
            await client.send(b"%b %b HTTP/1.1\r\nHost: %b\r\n%b\r\n"
                              % (method, target, host, fields))
            return first_named(await client.response(method))

    def page(self, page=PAGE):
        return page.replace(b"<head>", b"<head>" + self.tag)


@contextlib.asynccontextmanager
async def developing(app, kind="asgi", **options):
    settings = Settings(debug=True, reload=True, lifespan="off", **options)
    browser = Browser(TOKEN, 7)
    adapter = guarded(make_adapter(Loaded(kind, app, settings, [])), settings, browser)
    await adapter.startup()
    async with serving(adapter, debug=True, reload=True, **options) as site:
        site.server.new_exchange = exchange_kind(settings, browser)
        yield Site(site, browser)
    await adapter.shutdown()


def page_app(*pieces, status=200, headers=(HTML,), length=True, seen=None):
    """An ASGI application that answers with these pieces."""
    async def app(scope, receive, send):
        if seen is not None:
            seen.append(dict(scope["headers"]))
        own = list(headers)
        if length:
            own.append((b"content-length", b"%d" % sum(map(len, pieces))))
        await send({"type": "http.response.start", "status": status, "headers": own})
        if scope["method"] != "HEAD":
            for piece in pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})
    return app


def answer(app, *args, kind="asgi", options=None, **more):
    async def main():
        async with developing(app, kind, **(options or {})) as site:
            return await site.ask(*args, **more), site
    return run(main)


# -- which pages -----------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [
    BROWSER, b"Accept: text/html\r\n", b"Sec-Fetch-Dest: iframe\r\n"])
def test_a_page_for_a_browser_has_the_script_and_its_exact_length(fields):
    response, site = answer(page_app(PAGE), b"/", fields)
    assert response.body == site.page()
    assert int(response["content-length"]) == len(site.page())


@pytest.mark.parametrize("fields", [
    b"", b"Accept: */*\r\n", b"Sec-Fetch-Dest: empty\r\nAccept: text/html\r\n",
    b"Sec-Fetch-Dest: script\r\n"])
def test_scripts_and_other_clients_get_the_bytes_of_the_application(fields):
    response, _ = answer(page_app(PAGE), b"/", fields)
    assert response.body == PAGE
    assert int(response["content-length"]) == len(PAGE)


@pytest.mark.parametrize(("status", "headers"), [
    (200, [(b"content-type", b"application/json")]), (200, []),
    (200, [(b"content-type", b"application/xhtml+xml")]),
    (200, [(b"content-type", b"text/html; charset=UTF-16")]),
    (206, [HTML, (b"content-range", b"bytes 0-71/100")]), (302, [HTML, (b"location", b"/x")]),
    (200, [HTML, (b"content-encoding", b"gzip")]),
    (200, [HTML, (b"content-security-policy", b"script-src 'none'")])])
def test_what_is_no_whole_page_or_must_not_have_it_stays_as_it_is(status, headers):
    response, _ = answer(page_app(PAGE, status=status, headers=headers))
    assert response.status == status
    assert response.body == PAGE
    assert [(name.encode(), value.encode()) for name, value in response.fields
            if name in ("content-type", "content-encoding")] == [
                pair for pair in headers if pair[0] in (b"content-type", b"content-encoding")]


@pytest.mark.parametrize("status", [204, 304])
def test_responses_without_a_body_stay_without(status):
    headers = [HTML, (b"etag", b'"x"')]
    response, _ = answer(page_app(status=status, headers=headers, length=False))
    assert (response.status, response.body) == (status, b"")
    assert response["etag"] == '"x"'


@pytest.mark.parametrize("status", [404, 500])
def test_error_pages_of_the_application_are_refreshed_too(status):
    response, site = answer(page_app(PAGE, status=status))
    assert (response.status, response.body) == (status, site.page())


def test_head_says_the_length_that_get_has():
    response, site = answer(page_app(PAGE), method=b"HEAD")
    assert int(response["content-length"]) == len(site.page())
    assert answer(page_app(PAGE, length=False), method=b"HEAD")[0].fields.count(
        ("content-length", str(len(site.tag)))) == 0


def test_the_answer_to_a_form_is_left_alone():
    assert answer(page_app(PAGE), method=b"POST",
                  fields=BROWSER + b"Content-Length: 0\r\n")[0].body == PAGE


def test_an_empty_page_stays_empty():
    assert answer(page_app())[0]["content-length"] == "0"
    assert answer(page_app(length=False))[0].body == b""


# -- how --------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [True, False])
def test_a_page_in_pieces_is_the_same_at_every_cut(length):
    async def main():
        cut = [0]

        async def app(scope, receive, send):
            await page_app(PAGE[:cut[0]], PAGE[cut[0]:], length=length)(scope, receive, send)

        async with developing(app) as site:
            client = await site.site.connect()
            with contextlib.closing(client):
                for cut[0] in range(len(PAGE) + 1):
                    await client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n%b\r\n" % BROWSER)
                    assert first_named(await client.response()).body == site.page()
            assert site.server.counters.connections == 1
    run(main)


def test_a_stream_is_not_held_back():
    async def main():
        more = asyncio.Event()

        async def app(scope, receive, send):
            await send({"type": "http.response.start", "status": 200, "headers": [HTML]})
            await send({"type": "http.response.body", "body": b"<html><body>", "more_body": True})
            await more.wait()
            await send({"type": "http.response.body", "body": b"two"})

        async with developing(app) as site:
            client = await site.site.connect()
            with contextlib.closing(client):
                await client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n%b\r\n" % BROWSER)
                await client.line(b"<html>" + site.tag + b"<body>")
                more.set()
                assert await client.line(b"0\r\n\r\n") == b"\r\n3\r\ntwo\r\n"
    run(main)


def test_what_is_said_about_the_bytes_is_said_about_the_new_ones():
    response, _ = answer(page_app(PAGE, headers=[
        HTML, (b"ETag", b'"x"'), (b"Accept-Ranges", b"bytes"), (b"Content-MD5", b"x"),
        (b"Last-Modified", b"Tue, 15 Nov 1994 12:45:26 GMT")]))
    assert response["etag"] == 'W/"x"'
    assert response["accept-ranges"] == "none"
    assert "content-md5" not in response
    assert "last-modified" in response


def test_pages_are_asked_for_without_compression():
    seen = []
    fields = b"Accept-Encoding: gzip, br\r\n"
    answer(page_app(PAGE, seen=seen), fields=BROWSER + fields)
    answer(page_app(PAGE, seen=seen), fields=fields)
    assert [headers[b"accept-encoding"] for headers in seen] == [b"identity", b"gzip, br"]


@pytest.mark.parametrize(("headers", "hint"), [
    ([(b"content-encoding", b"gzip")], "Content-Encoding gzip"),
    ([(b"content-security-policy", b"default-src 'none'")], "forbids it by default-src")])
def test_a_hint_says_once_why_pages_are_not_refreshed(headers, hint, caplog):
    async def main():
        async with developing(page_app(gzip.compress(PAGE), headers=[HTML, *headers])) as site:
            for _ in range(3):
                await site.ask()
    with caplog.at_level(logging.WARNING, "tremolo"):
        run(main)
    [record] = caplog.records
    assert hint in record.getMessage()


def test_the_nonce_of_the_policy_is_on_the_tag():
    response, _ = answer(page_app(PAGE, headers=[HTML, (
        b"content-security-policy", b"script-src 'nonce-abc' 'strict-dynamic'")]))
    assert b' nonce="abc" ' in response.body


def test_files_are_sent_with_it(tmp_path):
    file = tmp_path / "page.html"
    file.write_bytes(PAGE)

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [HTML]})
        await send({"type": "http.response.pathsend", "path": str(file)})

    response, site = answer(app)
    assert response.body == site.page()
    assert int(response["content-length"]) == len(site.page())


def test_wsgi_and_native_pages_have_it(tmp_path):
    def wsgi(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/html")])
        return [PAGE[:20], PAGE[20:]]

    response, site = answer(wsgi, kind="wsgi")
    assert response.body == site.page()

    native = Application()

    @native.route("/")
    async def index():
        return PAGE.decode()

    @native.route("/stream")
    async def stream():
        yield PAGE[:30]
        yield PAGE[30:]

    for path in (b"/", b"/stream"):
        response, site = answer(native, path, kind="native")
        assert response.body == site.page(), path


@pytest.mark.parametrize(("promised", "problem"), [(10, "more"), (500, "fewer")])
def test_a_body_of_another_length_than_promised_closes_the_connection(promised, problem):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [
            HTML, (b"content-length", b"%d" % promised)]})
        await send({"type": "http.response.body", "body": PAGE, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def main():
        async with developing(app) as site:
            errors = []
            site.server.on_error = lambda exchange, exc: errors.append(exc)
            client = await site.site.connect()
            with contextlib.closing(client):
                await client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n%b\r\n" % BROWSER)
                with contextlib.suppress(ConnectionResetError):
                    data = await client.rest()
                    assert problem == "more"
                    assert len(data.partition(b"\r\n\r\n")[2]) == promised + len(site.tag)
            await until(lambda: errors)
    run(main)


@pytest.mark.parametrize("header", [
    (b"etag", "text"), (1, b"x"), (b"content-length", b"-1"), (b"x", b"a\nb"), b"no pair"])
def test_headers_that_may_not_be_sent_are_the_applications_error_as_ever(header):
    async def main():
        async with developing(page_app(PAGE, headers=[HTML, header], length=False)) as site:
            errors = []
            site.server.on_error = lambda exchange, exc: errors.append(exc)
            assert (await site.ask()).status == 500
            assert [type(exc) for exc in errors] == [ValueError]
    run(main)


# -- error pages ------------------------------------------------------------------------------


async def failing(scope, receive, send):
    raise KeyError("<script>alert(1)</script>")


def test_an_exception_is_shown_escaped_under_a_policy_that_runs_nothing():
    response, _ = answer(failing, fields=b"Accept: text/html\r\nSec-Fetch-Dest: empty\r\n")
    assert response.status == 500
    assert response["content-security-policy"].startswith("default-src 'none'; ")
    assert "script-src" not in response["content-security-policy"]
    assert b"KeyError" in response.body
    assert b"test_browser_pages.py" in response.body
    assert b"<script" not in response.body
    assert b"&lt;script&gt;alert(1)" in response.body


def test_in_a_browser_nothing_runs_but_the_script_that_refreshes_it():
    response, _ = answer(failing)
    policy = response["content-security-policy"]
    nonce = policy.partition("script-src 'nonce-")[2].partition("'")[0]
    assert len(nonce) >= 16
    assert response.body.count(b"<script") == 1
    assert b'nonce="%b"' % nonce.encode() in response.body


def test_it_is_text_for_those_who_do_not_ask_for_html():
    response, _ = answer(failing, fields=b"Accept: */*\r\n")
    assert response["content-type"] == "text/plain; charset=utf-8"
    assert b"KeyError: '<script>alert(1)</script>'" in response.body


def test_production_has_a_bare_500():
    async def main():
        settings = Settings(lifespan="off")
        adapter = guarded(make_adapter(Loaded("asgi", failing, settings, [])), settings)
        async with serving(adapter) as site:
            site.server.new_exchange = exchange_kind(settings)
            response = await site.get(b"/", BROWSER)
            assert (response.status, response.body) == (500, b"Internal Server Error\n")
    run(main)
