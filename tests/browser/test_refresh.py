"""Pages in a real browser while the code behind them changes."""

import contextlib

import pytest

from tests.support.processes import Server

SHOP = '''
import pathlib

HERE = pathlib.Path(__file__).parent
TEXT = "one"
POLICY = ""


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    kind, body = b"text/html; charset=utf-8", None
    if scope["path"] == "/style.css":
        kind, body = b"text/css", (HERE / "style.css").read_bytes()
    elif scope["path"] == "/fail":
        raise ValueError("<b>" + TEXT)
    else:
        body = ("<!doctype html><html><head><title>shop</title>"
                "<link rel=stylesheet href=/style.css></head>"
                f"<body><p id=text>{TEXT}</p></body></html>").encode()
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    if POLICY:
        headers.append((b"content-security-policy", POLICY.encode()))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
'''
LISTENS = ("performance.getEntriesByType('resource')"
           ".some(entry => entry.name.includes('/__tremolo__/token'))")
OVERLAY = "document.querySelector('tremolo-overlay')"


class Shop:
    def __init__(self, folder):
        self.folder = folder
        self.save()
        self.style("rgb(1, 2, 3)")

    def save(self, text="one", more="", **constants):
        source = SHOP.replace('"one"', repr(text)) + more
        for name, value in constants.items():
            source = source.replace(f'{name} = ""', f"{name} = {value!r}")
        (self.folder / "shop.py").write_text(source)

    def style(self, color):
        (self.folder / "style.css").write_text(f"body {{ color: {color} }}")


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path)


@contextlib.contextmanager
def opened(browser, shop, path="/"):
    """The application served by `tremolo dev`, and a tab with one of its pages."""
    with Server(shop.folder, "dev", "--port", "0", "shop:app") as server:
        server.wait_for("reload", state="ready")
        with browser.page(server.address + path) as page:
            page.until(LISTENS)
            page.value("window.mark = 1")
            yield page, server


def shows(text):
    return f"document.getElementById('text')?.textContent === {text!r}"


def test_a_page_is_refreshed_by_good_saves_only(browser, shop):
    with opened(browser, shop) as (page, _):
        shop.save("two")
        page.until(shows("two"))
        assert page.value("window.mark") is None
        page.until(LISTENS)
        page.value("window.mark = 2")

        shop.save("three", more="\nboom = '<b id=bold>' + 1\n")
        page.until(OVERLAY)
        said = page.value(f"{OVERLAY}.shadowRoot.textContent")
        assert "TypeError" in said
        assert "boom = '<b id=bold>' + 1" in said
        assert not page.value(f"{OVERLAY}.shadowRoot.getElementById('bold')")
        assert page.value("window.mark") == 2
        assert page.value(shows("two"))

        shop.save("four", more="\nthis is no Python\n")
        page.until(f"{OVERLAY}.shadowRoot.textContent.includes('SyntaxError')")

        shop.save("five")
        page.until(shows("five"))
        assert not page.value(OVERLAY)
        assert not page.console


def test_a_changed_style_sheet_is_swapped_without_a_reload(browser, shop):
    with opened(browser, shop) as (page, server):
        for color in ("rgb(4, 5, 6)", "rgb(7, 8, 9)"):
            shop.style(color)
            page.until(f"getComputedStyle(document.body).color === {color!r}")
        page.until("document.querySelectorAll('link').length === 1")
        assert page.value("window.mark") == 1
        assert page.value("document.styleSheets.length") == 1
        # What is no style sheet takes a new look at the page, but no new code.
        (shop.folder / "logo.svg").write_text("<svg/>")
        page.until("window.mark === undefined")
        assert not server.find("reload", gen=2)


def test_the_page_of_a_broken_start_becomes_the_page(browser, shop):
    shop.save(more="\n1 / 0\n")
    with Server(shop.folder, "dev", "--port", "0", "shop:app") as server:
        server.wait_for("reload", state="failed")
        with browser.page(server.address + "/") as page:
            page.until("document.body.textContent.includes('ZeroDivisionError')")
            page.until(LISTENS)
            assert not page.value(OVERLAY)
            shop.save(more="\nnone_such\n")
            page.until(f"{OVERLAY}?.shadowRoot.textContent.includes('NameError')")
            shop.save("whole")
            page.until(shows("whole"))


def test_the_page_of_an_exception_is_refreshed_once_it_is_repaired(browser, shop):
    with opened(browser, shop, "/fail") as (page, _):
        assert page.value("document.querySelector('h1').textContent") == "ValueError: <b>one"
        assert page.value("getComputedStyle(document.body).margin") == "0px"
        shop.save("two")
        page.until("document.querySelector('h1').textContent === 'ValueError: <b>two'")
        assert all("status of 500" in text for text in page.console)


def test_a_strict_policy_with_a_nonce_lets_everything_work(browser, shop):
    shop.save(POLICY="default-src 'none'; style-src 'self'; script-src 'nonce-abc' "
                     "'strict-dynamic'; connect-src 'self'; require-trusted-types-for 'script'")
    with opened(browser, shop) as (page, _):
        shop.save("two", more="\nnone_such\n", POLICY="")
        page.until(f"{OVERLAY}?.shadowRoot.textContent.includes('NameError')")
        assert page.value(f"{OVERLAY}.getBoundingClientRect().width") > 100
        assert page.value(f"getComputedStyle({OVERLAY}).position") == "fixed"
        shop.style("rgb(9, 9, 9)")
        page.until("getComputedStyle(document.body).color === 'rgb(9, 9, 9)'")
        shop.save("two")
        page.until(shows("two"))
        assert not page.console


def test_a_page_is_refreshed_after_the_server_itself_came_again(browser, shop):
    with opened(browser, shop) as (page, server):
        port = server.port
        assert server.end() == 0
        shop.save("two")
        with Server(shop.folder, "dev", "--port", str(port), "shop:app"):
            page.until(shows("two"))


def test_no_page_is_refreshed_when_that_is_switched_off(browser, shop):
    with Server(shop.folder, "dev", "--no-browser-reload", "--port", "0", "shop:app") as server:
        server.wait_for("reload", state="ready")
        with browser.page(server.address + "/") as page:
            assert page.value(shows("one"))
            assert page.value("document.scripts.length") == 0
