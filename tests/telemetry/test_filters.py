"""The filter language: what each term lets through, and where invalid text is wrong."""

import pytest

from tremolo.telemetry.filters import (
    FilterError,
    compile_filter,
    compile_hold,
    matches_everything,
)
from tui.model.messages import Message
from tui.model.text import decoded
from tui.model.traffic import Row


def row(**given):
    told = {"method": "GET", "path": "/api/items/42?q=lamp", "route": "/api/items/{id}",
            "status": 200, "bytes_in": 100, "bytes_out": 2_000, "ms": 30.0, "ttfb_ms": 20.0,
            "throttle_ms": 0.0, "conn": 5, "peer": "127.0.0.1:51000", **given}
    made = Row(1, 77, 3, told)
    for name, value in given.items():
        if name in ("state", "error", "response", "request", "marked"):
            setattr(made, name, value)
    return made


JSON = Message((("Content-Type", "application/json; charset=utf-8"),), 2, b"{}", False)


POST = row(method="POST", path="/cart", route="/cart", status=422)
BROKEN = row(status=500, error="KeyError: 'x'", ms=120.0)
SOCKET = row(status=101, http="ws", state="live", path="/ws/chat")


@pytest.mark.parametrize("text, subject, expected", [
    ("items", row(), True), ("ITEMS", row(), True), ("cart", row(), False),
    ("items/*q=", row(), True), ('"q=lamp"', row(), True), ("!items", row(), False),
    ("m:post", POST, True), ("m:POST", POST, True), ("m:get", POST, False),
    ("m:p", POST, True),
    ("s:2xx", row(), True), ("s:5xx", row(), False), ("s:422", POST, True),
    ("s:4", POST, True),
    ("s:404", POST, False),
    ("ms>20", row(), True), ("ms>30", row(), False), ("ms>=30", row(), True),
    ("ms<1s", row(), True), ("ms>0.05s", BROKEN, True), ("ttfb>10", row(), True),
    ("size>1k", row(), True), ("size>10k", row(), False), ("size<1.5MB", row(), True),
    ("size>1.9KiB", row(), True), ("in>99b", row(), True),
    ("route:/api/*", row(), True), ("route:/api", row(), True), ("route:/web/*", row(), False),
    ("route:/cart", POST, True), ("route:/cart", row(route=None, path="/cart?x=1"), True),
    ("gen:3", row(), True), ("gen:4", row(), False), ("pid:77", row(), True),
    ("conn:5", row(), True), ("ws:", SOCKET, True), ("ws:", row(), False),
    ("live:", SOCKET, True), ("live:", row(), False), ("err:", BROKEN, True),
    ("err:", POST, False), ("err:", row(state="aborted"), True),
    ("throttled:", row(throttle_ms=4.0), True), ("throttled:", row(), False),
    ("items ms>20", row(), True), ("items ms>50", row(), False),
    ("m:post|s:500", BROKEN, True), ("m:post | s:500", POST, True),
    ("m:post|s:500", row(), False),
    ("m:get s:2xx | m:post", POST, True), ("!m:get !m:post", row(method="PUT"), True),
    ("http://x:80", row(path="http://x:80/y"), True), ("q=lamp", row(), True),
    ("page=2", row(path="/x?page=2"), True), ('"a:b"', row(path="/a:b"), True),
    ("status:5xx", BROKEN, True), ("status:500", BROKEN, True), ("s!=200", row(), False),
    ("s!=200", BROKEN, True), ("s!=2xx", BROKEN, True), ("s>=400", POST, True),
    ("s>=400", row(), False), ("s>4xx", POST, False), ("s<300", row(), True),
    ("method:post", POST, True), ("m!=get", POST, True), ("gen>2", row(), True),
    ("type:json", row(response=JSON), True), ("type:html", row(response=JSON), False),
    ("type:json", row(), False), ("ip:127.0", row(), True), ("ip:10.", row(), False),
    ("sse:", row(sse=True), True), ("marked:", row(marked=True), True),
    ("marked:", row(), False), ("path:items", row(), True), ("ms!=30", row(), False),
    ("café", row(path="/caf%C3%A9"), True), ("CAFÉ", row(path="/caf%c3%a9"), True),
    ("漢", row(path="/%E6%BC%A2/x"), True), ("%C3%A9", row(path="/caf%C3%A9"), True),
])
def test_a_term_lets_through_what_it_says(text, subject, expected):
    assert compile_filter(text)(subject) is expected


@pytest.mark.parametrize("text, place", [
    ("ms>", 3), ("ms>fast", 3), ("items size>10q", 11), ("size>", 5), ("s:999x", 2),
    ("s:abc", 2),
    ("gen:one", 4), ("pid:", 4), ("!", 0), ("a |", 2), ("| a", 0), ("a || b", 2),
    ('x "open', 2),
    ("ms>1k", 3), ("stauts:500", 0), ("a color:red", 2), ("ms:50", 2), ("m>post", 1),
    ("live:yes", 5), ("x<3", 0), ("type:", 5), ("!stat:5", 1), ("ip:", 3),
])
def test_invalid_text_is_refused_with_its_place(text, place):
    with pytest.raises(FilterError) as caught:
        compile_filter(text)
    assert caught.value.place == place


def test_nothing_typed_matches_everything():
    assert compile_filter("") is matches_everything
    assert compile_filter("   ") is matches_everything


@pytest.mark.parametrize("text, nearest", [
    ("stauts:500", "status:"), ("metod:get", "method:"), ("rout:/x", "route:"),
    ("throtled:", "throttled:"), ("sizes>10k", "size:"),
])
def test_an_unknown_term_names_the_nearest_one(text, nearest):
    with pytest.raises(FilterError, match=f"did you mean {nearest}"):
        compile_filter(text)


@pytest.mark.parametrize("sent, shown", [
    ("/caf%C3%A9", "/café"), ("/%E6%BC%A2%E5%AD%97?q=b%c3%bcro", "/漢字?q=büro"),
    ("/a%2Fb%3F%20%00", "/a%2Fb%3F%20%00"), ("/%ff%C3", "/%ff%C3"),
    ("/%E2%80%AEtxt", "/%E2%80%AEtxt"), ("/%C2%9B31m", "/%C2%9B31m"), ("/plain", "/plain"),
])
def test_a_path_is_read_decoded_where_that_is_letters(sent, shown):
    assert decoded(sent) == shown


class Asked:
    """A request that nobody has answered."""

    method, path, shown_path, route, peer, http = (
        "POST", "/api/cart?x=1", "/api/cart?x=1", None, "10.0.0.7:5", "1.1")
    status, bytes_in, conn, pid, response = 0, 12_000, 9, 4711, None

    @property
    def request(self):
        return self

    def field(self, name):
        return "application/json" if name == "content-type" else ""

    def has_line(self, word):
        return word in "cookie: role=admin"


@pytest.mark.parametrize("text, held", [
    ("POST /api/*", True), ("GET /api/*", False), ("m:post h:admin", True), ("h:guest", False),
    ("type:json", True), ("type!=json", False), ("ip:10.", True), ("route:/api/*", True),
    ("in>10k", True), ("!ws: conn:9", True), ("GET | /cart", True), ("!/cart", False)])
def test_what_is_held_is_written_as_a_filter(text, held):
    assert compile_hold(text)(Asked()) is held


@pytest.mark.parametrize("text, place, words", [
    ("POST s:500", 5, "once it was answered"), ("/a !ms>50", 4, "once it was answered"),
    ("b:total", 0, "has not come yet"), ("gen:3", 0, "newest generation"),
    ("type:", 5, "such as json"), ("metod:x", 0, "did you mean")])
def test_what_is_not_known_when_it_is_held_is_refused_at_its_place(text, place, words):
    with pytest.raises(FilterError, match=words) as caught:
        compile_hold(text)
    assert caught.value.place == place
