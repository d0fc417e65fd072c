"""Paths of our own: who may hear what, and what pages are told."""

import contextlib
import json

import pytest

from tests.support.serving import run, serving, until
from tests.worker.test_browser_pages import (
    BROWSER,
    HTML,
    TOKEN,
    developing,
    failing,
    page_app,
)
from tremolo.app import Application
from tremolo.app import errors as native_errors
from tremolo.config import Settings
from tremolo.worker.application import Loaded, make_adapter
from tremolo.worker.error_page import DEBUG_POLICY
from tremolo.worker.guard import exchange_kind, guarded, make_browser

OWN = b"X-Tremolo: refresh\r\n"
EVENTS = b"/__tremolo__/events?token=" + TOKEN.encode()


def ask(*args, app=None, **more):
    async def main():
        async with developing(app or page_app(b"the app")) as site:
            return await site.ask(*args, **more)
    return run(main)


class Stream:
    """A page that listens."""

    def __init__(self, client):
        self.client = client

    async def event(self):
        """Type and data of the next event, which is a chunk of its own."""
        data = await self.client.need(int(await self.client.line(), 16))
        assert await self.client.need(2) == b"\r\n"
        fields = dict(line.split(b": ", 1) for line in data.strip().split(b"\n"))
        return fields[b"event"].decode(), json.loads(fields[b"data"])


@contextlib.asynccontextmanager
async def listening(site, query=b""):
    client = await site.site.connect()
    with contextlib.closing(client):
        await client.send(b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n"
                          % (EVENTS + query))
        await client.line(b"\r\n\r\n")
        yield Stream(client)


# -- who may hear -----------------------------------------------------------------------------


def test_the_script_is_served_fresh_and_to_no_other_site():
    response = ask(b"/__tremolo__/refresh.js", b"Sec-Fetch-Site: same-origin\r\n")
    assert response.status == 200
    assert response["content-type"] == "text/javascript; charset=utf-8"
    assert response["cache-control"] == "no-store"
    assert response["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in response
    assert TOKEN.encode() not in response.body
    for site in (b"cross-site", b"same-site"):
        refused = ask(b"/__tremolo__/refresh.js", b"Sec-Fetch-Site: %b\r\n" % site)
        assert refused.status == 403


def test_the_token_takes_a_field_that_other_sites_cannot_send():
    assert ask(b"/__tremolo__/token", OWN).body == TOKEN.encode()
    assert ask(b"/__tremolo__/token", b"").status == 403
    assert ask(b"/__tremolo__/token", OWN + b"Sec-Fetch-Site: cross-site\r\n").status == 403


@pytest.mark.parametrize("query", [b"", b"?token=", b"?token=a-toke", b"?token=a-token1",
                                   b"?other=a-token"])
def test_events_take_the_token(query):
    assert ask(b"/__tremolo__/events" + query, b"").status == 403


def test_other_paths_and_methods_are_refused_before_the_application_sees_them():
    assert ask(b"/__tremolo__/other", b"").status == 404
    assert ask(b"/__tremolo__/", b"").status == 404
    response = ask(b"/__tremolo__/token", OWN, method=b"POST")
    assert (response.status, response["allow"]) == (405, "GET")
    assert ask(b"/__tremolo__", b"").body == b"the app"


def test_without_the_channel_its_paths_are_the_applications():
    async def main():
        settings = Settings(lifespan="off", debug=True)
        app = page_app(b"the app")
        adapter = guarded(make_adapter(Loaded("asgi", app, settings, [])), settings)
        async with serving(adapter) as site:
            site.server.new_exchange = exchange_kind(settings)
            assert (await site.get(b"/__tremolo__/token", OWN)).body == b"the app"
    run(main)


@pytest.mark.parametrize(("start", "options"), [
    ({"dev": False, "token": "x"}, {"reload": True}), ({"dev": True}, {"reload": True}),
    ({"dev": True, "token": "x"}, {"reload": True, "browser_reload": False}),
    ({"dev": True, "token": "x"}, {})])
def test_only_dev_with_reloading_has_it(start, options):
    assert make_browser({"app": {}, **start}, Settings(**options)) is None
    assert make_browser({"app": {}, "dev": True, "token": "x"}, Settings(reload=True)) is not None


# -- what is told -----------------------------------------------------------------------------


def test_a_page_hears_the_generation_then_broken_saves_and_assets():
    async def main():
        async with developing(page_app(b"x")) as site:
            async with listening(site) as stream:
                name, state = await stream.event()
                assert name == "generation"
                assert state.pop("t") > 0
                assert state == {"id": site.browser.generation, "good": True, "broken": None}
                site.browser.set_broken({"type": "SyntaxError", "text": "</script>\n\r\0",
                                         "traceback": "x" * 100_000, "file": "shop.py", "line": 3,
                                         "pid": 5})
                name, error = await stream.event()
                assert (name, error["text"], error["line"]) == ("broken", "</script>\n\r\0", 3)
                assert len(error["traceback"]) < 20_000
                assert "pid" not in error
                site.browser.set_broken(None)
                assert await stream.event() == ("broken", None)
                site.browser.refresh_assets(["static/a.css"])
                name, change = await stream.event()
                assert (name, change["files"]) == ("assets", ["static/a.css"])
                site.browser.set_broken({"type": "Late"})
                await stream.event()
            async with listening(site) as later:
                assert (await later.event())[1]["broken"]["type"] == "Late"
    run(main)


def test_a_page_that_comes_back_hears_what_it_missed_once():
    async def main():
        async with developing(page_app(b"x")) as site:
            async with listening(site) as stream:
                since = (await stream.event())[1]["t"] - 1
            for name in ("a.css", "b.css", "a.css"):
                site.browser.refresh_assets([name])
            async with listening(site, b"&since=%d" % since) as stream:
                await stream.event()
                name, change = await stream.event()
                assert (name, change["files"]) == ("assets", ["a.css", "b.css"])
            for query in (b"&since=%d" % change["t"], b"&since=x", b"&since=-1", b""):
                async with listening(site, query) as stream:
                    await stream.event()
                    site.browser.set_broken(None)
                    assert (await stream.event())[0] == "broken"
    run(main)


def test_a_stream_ends_with_the_worker_and_keeps_nothing():
    async def main():
        async with developing(page_app(b"x")) as site:
            async with listening(site) as stream:
                await stream.event()
                assert site.browser.streams == 1
                drained = site.server.loop.create_task(site.server.drain(5))
                assert (await stream.client.rest()).endswith(b"0\r\n\r\n")
                await drained
            await until(lambda: not site.browser.streams)
    run(main)


def test_a_page_that_left_is_forgotten():
    async def main():
        async with developing(page_app(b"x")) as site:
            async with listening(site) as stream:
                await stream.event()
            await until(lambda: not site.browser.streams)
            site.browser.set_broken({"type": "E"})
    run(main)


def test_requests_of_our_own_are_not_shown():
    async def main():
        async with developing(page_app(b"x")) as site:
            site.server.remember(True)
            await site.ask(b"/__tremolo__/token", OWN)
            await site.ask(b"/seen")
            await until(lambda: site.server.recent)
            assert [entry.head.target for entry in site.server.recent] == [b"/seen"]
            site.server.recent.renew(0, 10_000)  # no room for any but the first of a target
            site.server.recent.first_left = 0
            for target in (b"/__tremolo__/token", b"/seen"):
                await site.ask(target, OWN)
            await until(lambda: not site.server.connections)
            assert site.server.recent.take().left_out == 1
    run(main)


# -- the Host check ---------------------------------------------------------------------------

WEBSOCKET = (b"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
             b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nOrigin: http://evil.test\r\n")


@pytest.mark.parametrize("path", [b"/", b"/__tremolo__/refresh.js"])
@pytest.mark.parametrize("fields", [b"", WEBSOCKET])
def test_a_foreign_host_is_refused_with_the_option_that_allows_it(path, fields):
    response = ask(path, fields, host=b"evil.test")
    assert response.status == 403
    assert b"--allowed-hosts evil.test" in response.body
    assert b"the app" not in response.body
    assert response["connection"] == "close"


def test_an_allowed_host_is_served_with_the_script():
    async def main():
        async with developing(page_app(b"<p>"), allowed_hosts=("shop.test",)) as site:
            response = await site.ask(host=b"shop.test")
            assert response.body == site.tag + b"<p>"
    run(main)


@pytest.mark.parametrize("fields", [
    b"X-Forwarded-For: 203.0.113.9\r\n", b"X-Forwarded-For: 127.0.0.1, 10.0.0.1\r\n",
    b"X-Forwarded-For: x\r\n", b"Forwarded: for=203.0.113.9\r\n"])
def test_what_a_tunnel_brings_from_elsewhere_sees_nothing_of_ours(fields):
    assert ask(b"/__tremolo__/token", OWN + fields).status == 403
    assert ask(b"/", BROWSER + fields, app=page_app(b"<p>", headers=[HTML])).body == b"<p>"
    assert ask(b"/", BROWSER + fields, app=failing).body == b"Internal Server Error\n"


def test_a_proxy_on_this_machine_may_speak_for_it():
    fields = OWN + b"X-Forwarded-For: 127.0.0.1, ::1\r\n"
    assert ask(b"/__tremolo__/token", fields).status == 200


def test_allowing_every_host_does_not_show_tracebacks_to_it():
    async def main():
        async with developing(failing, allowed_hosts=("*",)) as site:
            response = await site.ask(b"/", BROWSER, host=b"evil.test")
            assert (response.status, response.body) == (500, b"Internal Server Error\n")
            assert (await site.ask(b"/__tremolo__/token", OWN, host=b"evil.test")).status == 403
            assert b"KeyError" in (await site.ask()).body
    run(main)


def test_native_applications_are_guarded_alike():
    app = Application()

    @app.route("/")
    async def index():
        return "the app"

    async def main():
        async with developing(app, "native") as site:
            assert (await site.ask(b"/", b"", host=b"evil.test")).status == 403
            assert (await site.ask(b"/", b"")).body == b"the app"
    run(main)


def test_http_1_0_without_a_host_comes_from_no_browser():
    async def main():
        async with developing(page_app(b"the app")) as site:
            assert (await site.site.ask(b"GET / HTTP/1.0\r\n\r\n")).endswith(b"the app")
    run(main)


def test_production_serves_every_host():
    settings = Settings()
    adapter = object()
    assert guarded(adapter, settings) is adapter


def test_both_debug_pages_have_one_policy():
    assert native_errors.DEBUG_POLICY == DEBUG_POLICY


def test_the_debug_page_of_a_native_application_is_refreshed_too():
    app = Application()

    @app.route("/")
    async def index():
        raise KeyError("x")

    async def main():
        async with developing(app, "native") as site:
            response = await site.ask(b"/", BROWSER)
            assert response.status == 500
            assert b'<script src="/__tremolo__/refresh.js" nonce=' in response.body
    run(main)
