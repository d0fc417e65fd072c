"""What the console of a page says, in the log of the server that made it."""

import http.server
import threading

import pytest

from tests.browser.test_refresh import LISTENS
from tests.support.processes import Server, wait_until

APP = '''
import json

SCRIPT = """
console.error("early", {n: 1});
console.warn("careful");
fetch("/missing?x=1");
Promise.reject(new Error("nobody waits"));
setTimeout(function () { undefinedFunction(); }, 0);
for (let i = 0; i < 3; i++) console.error("again");
var image = new Image(); image.src = "/absent.png"; document.head.append(image);
OTHER
"""


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    found = scope["path"] == "/page"
    body = ("<!doctype html><html><head><title>x</title><script>" + SCRIPT
            + "</script></head><body></body></html>").encode() if found else b"no"
    await send({"type": "http.response.start", "status": 200 if found else 404, "headers": [
        (b"content-type", b"text/html" if found else b"text/plain"),
        (b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})
'''


class Elsewhere(http.server.BaseHTTPRequestHandler):
    """Another origin, which counts what it is asked."""

    asked = []

    def do_GET(self):
        self.asked.append(self.path)
        self.send_response(500)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_OPTIONS = do_GET

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def told(browser, tmp_path_factory):
    """The log of a server whose page went wrong in many ways, and what was asked elsewhere."""
    other = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    threading.Thread(target=other.serve_forever, daemon=True).start()
    folder = tmp_path_factory.mktemp("console")
    url = f"http://127.0.0.1:{other.server_port}/elsewhere"
    (folder / "shop.py").write_text(
        APP.replace("OTHER", f'fetch("{url}").catch(function () {{}});'))
    with Server(folder, "dev", "--port", "0", "shop:app") as server:
        server.wait_for("reload", state="ready")
        with browser.page(server.address + "/page") as page:
            page.until(LISTENS)
            for part in ("early", "careful", "/missing", "nobody waits", "undefinedFunction",
                         "again", "absent.png", "/elsewhere"):
                wait_until(lambda part=part: any(
                    part in line["text"] for line in server.find("log")), part)
        row = server.wait_for("request", path="/page")
        lines = server.find("log", stream="browser")
    other.shutdown()
    other.server_close()
    return lines, row


def line_with(told, part):
    [line] = [line for line in told[0] if part in line["text"]]
    return line


@pytest.mark.parametrize(("part", "level", "text"), [
    ("early", "error", 'early {"n":1}'), ("careful", "warning", "careful"),
    ("/missing", "warning", "GET /missing?x=1 → 404"),
    ("nobody waits", "error", "unhandled rejection: Error: nobody waits"),
    ("undefinedFunction", "error", "ReferenceError: undefinedFunction is not defined"),
    ("again", "error", "again (3 times)"),
    ("absent.png", "error", "<img> could not be loaded (/absent.png)"),
    ("/elsewhere", "error", "GET http://127.0.0.1")])
def test_what_goes_wrong_in_a_page_is_in_the_log(told, part, level, text):
    line = line_with(told, part)
    assert line["level"] == level and line["text"].startswith(text)


def test_each_line_names_the_page_its_request_its_generation_and_its_client(told):
    lines, row = told
    for line in lines:
        assert line["page"] == "/page" and line["request"] == row["id"]
        assert (line["gen"], line["pid"]) == (1, row["pid"])
        assert line["client"].startswith("127.0.0.1:")


def test_nothing_of_it_goes_to_other_origins(told):
    assert Elsewhere.asked == ["/elsewhere"]
