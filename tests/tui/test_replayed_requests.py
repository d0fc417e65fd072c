"""Requests that are sent again, edited or written as curl: exactly, and nothing else."""

import asyncio
import hashlib
import json
import shlex
import shutil
import subprocess

import pytest

pytest.importorskip("textual")

from tests.support.dashboard_driver import server
from tests.support.feed_player import message
from tremolo.telemetry.filters import FilterError, compile_filter
from tui.model.export import curl, needs_file
from tui.model.pins import MOST, SAVED, Answer, Pins, answer_of
from tui.model.requests import (
    Malformed,
    Request,
    as_text,
    from_text,
    key_of,
    refusal_of,
    request_of,
)
from tui.model.traffic import Row
from tui.replay import ReplayError, send, written

HOST = ["http://127.0.0.1:8000"]


def row(method="POST", path="/cart", headers=(), body=b"", size=None, **given):
    return Row(1, 1, 1, {"method": method, "path": path, "status": 200,
                         "request": message(headers, body, size), **given})


# -- the filter

ASKED = row(headers=[("Accept", "text/HTML"), ("Cookie", "a=b c")], body=b'{"Total": 7}',
            response=message([("Server", "shop")], b"\xffB\xc3\xbcro"))


@pytest.mark.parametrize("text, expected", [
    ("h:cookie", True), ("h:COOKIE", True), ('h:"accept: text/html"', True), ("h:server", True),
    ("h:nothing", False), ("!h:nothing", True), ('h:"a=b c"', True), ("h:total", False),
    ("b:total", True), ('b:"Total": 7', False), ("b:BÜRO", True), ("b:shop", False),
    ("h:cookie b:7", True), ("h:x|b:7", True), ("H:cookie", True)])
def test_words_are_found_in_heads_and_bodies(text, expected):
    assert compile_filter(text)(ASKED) is expected


@pytest.mark.parametrize("text", ["h:a", "b:a", "h::", "b:{"])
def test_rows_without_messages_do_not_match(text):
    assert compile_filter(text)(Row(1, 1, 1, {"path": "/a"})) is False


@pytest.mark.parametrize("text, place", [("h:", 2), ("b:", 2), ("m:get !h:", 9), ('b:""', 2)])
def test_a_word_is_needed(text, place):
    with pytest.raises(FilterError) as caught:
        compile_filter(text)
    assert caught.value.place == place


# -- curl

def words(subject, **given):
    return shlex.split(curl(subject, HOST, **given))


def test_curl_sends_the_headers_that_it_does_not_set_itself():
    subject = row("GET", "/a", [
        ("Host", "x"), ("Connection", "close"), ("User-Agent", "me"), ("Accept-Encoding", "br"),
        ("X-Empty", ""), ("Cookie", "it's"), ("Transfer-Encoding", "chunked")])
    assert words(subject) == ["curl", "-i", "-H", "User-Agent: me", "--compressed", "-H",
                              "X-Empty;", "-H", "Cookie: it's", "http://127.0.0.1:8000/a"]
    assert "it's" not in curl(subject, HOST, mask=True)
    assert "Cookie: •••• 4 characters" in words(subject, mask=True)


@pytest.mark.parametrize("method, body, expected", [
    ("GET", b"", []), ("HEAD", b"", ["-I"]), ("POST", b"x", []), ("POST", b"", ["-X", "POST"]),
    ("PUT", b"x", ["-X", "PUT"]), ("DELETE", b"", ["-X", "DELETE"]), ("GET", b"x", ["-X", "GET"]),
    ("PATCH", b"x", ["-X", "PATCH"]),
])
def test_curl_is_told_the_method_only_where_it_would_choose_another(method, body, expected):
    found = words(row(method, body=body, headers=[("Content-Type", "a/b")]))
    assert found[2:2 + len(expected)] == expected and found.count("-X") == expected.count("-X")
    assert ("--data-raw" in found) == bool(body)


def test_curl_without_a_known_request_is_as_it_was():
    assert curl(Row(1, 1, 1, {"method": "PUT", "path": "/a?b=[1]&x"}), HOST) == \
        "curl -i -X PUT -g 'http://127.0.0.1:8000/a?b=[1]&x'"
    assert "-g" in curl(Row(1, 1, 1, {"method": "GET", "path": "/}"}), HOST)
    assert "--path-as-is" in curl(Row(1, 1, 1, {"method": "GET", "path": "/a/../b"}), HOST)


@pytest.mark.parametrize("body, size, headers", [
    (b"\x89PNG\0", 5, []), (b"{", 100, []), (b"", 100, []),
    (b"x", 1, [("Content-Encoding", "gzip")])], ids=["binary", "cut", "unknown", "packed"])
def test_a_body_that_no_command_can_hold_is_read_from_a_file(body, size, headers):
    subject = row(body=body, size=size, headers=headers)
    assert needs_file(subject) and words(subject)[-3:-1] == ["--data-binary", "@body.bin"]
    assert "-X" not in words(subject)


def test_fields_that_are_missing_make_no_body():
    subject = row("GET", request=message([("A", "b")], cut=True))
    assert words(subject) == ["curl", "-i", "-H", "A: b", "http://127.0.0.1:8000/cart"]


@pytest.mark.parametrize("body, kind, seen", [
    (b'{"password":"hunter2"}', "application/json", "characters"),
    (b"password=hunter2&a=b", "application/x-www-form-urlencoded", "&a=b")])
def test_secrets_of_a_body_are_masked_for_the_eye_only(body, kind, seen):
    subject = row(headers=[("Content-Type", kind)], body=body)
    assert body.decode() in words(subject)
    assert "hunter2" not in curl(subject, HOST, mask=True) and seen in curl(
        subject, HOST, mask=True)


def test_nothing_in_a_request_can_become_an_option_or_a_key_press():
    subject = row(headers=[("@/etc/passwd", "x"), ("X", "a\r\nb"), ("Y", "-o\x1b[201~\x03")],
                  body=b"@file\x1b[201~\r\n'; touch owned #")
    command = curl(subject, HOST)
    assert command.isprintable() and "etc" not in command and "X:" not in command


SENT = [
    (b'{"a": "it\'s", "b": "\\\\n"}\n', [("Content-Type", "application/json")]),
    (b"--x\r\nContent-Disposition: form-data\r\n\r\n$(id) `id` !\\\x1b\t%\r\n--x--\r\n", []),
    ("@büro ' \u0085 end".encode(),
     [("X-Latin", "caf\xe9"), ("X-Utf", "bÃ¼ro"), ("X-Empty", "")]),
]


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("bash")), reason="no curl")
@pytest.mark.parametrize("body, headers", SENT, ids=["json", "controls", "not ASCII"])
def test_the_command_sends_the_very_same_bytes(body, headers):
    async def main():
        async with server() as (address, requests):
            process = await asyncio.create_subprocess_exec(
                "bash", "-c", curl(row(headers=headers, body=body), [address])
                + " --noproxy '*' -s", stdout=subprocess.DEVNULL)
            assert await process.wait() == 0
            return requests[0]

    head, sent = asyncio.run(main())
    assert head.startswith(b"POST /cart HTTP/1.1\r\n") and sent == body
    for name, value in headers:
        assert f"{name}: {value}".strip().encode("latin-1") in head
    assert (b"Content-Type" in head) == any(name == "Content-Type" for name, _ in headers)


# -- what can be sent again

def test_a_request_is_sent_again_with_its_headers_and_body():
    subject = row("PATCH", "/cart?x=1", [
        ("Host", "elsewhere"), ("Connection", "keep-alive, X-Hop"), ("X-Hop", "1"), ("TE", "t"),
        ("Keep-Alive", "5"), ("Upgrade", "h2c"), ("Transfer-Encoding", "chunked"),
        ("Content-Length", "999"), ("Expect", "100-continue"), ("Accept-Encoding", "br"),
        ("Cookie", "a=1"), ("cookie", "b=\xe9"), ("Content-Type", "x/y")], b"\0\xff\r\n\r\n")
    assert refusal_of(subject) == ""

    async def main():
        async with server() as (address, requests):
            answer = await send(request_of(subject), [address])
            assert (answer.status, answer.bytes) == (200, 2)
            return address, requests

    address, ((head, body),) = asyncio.run(main())
    assert head.decode("latin-1").split("\r\n") == [
        "PATCH /cart?x=1 HTTP/1.1", f"Host: {address[7:]}", "Cookie: a=1", "cookie: b=\xe9",
        "Content-Type: x/y", "Content-Length: 6", "Connection: close", "", ""]
    assert body == b"\0\xff\r\n\r\n"


@pytest.mark.parametrize("method, length", [
    ("GET", False), ("DELETE", False), ("POST", True), ("PUT", True)])
def test_an_empty_body_is_announced_where_one_is_expected(method, length):
    assert (b"Content-Length: 0\r\n" in written(Request(method, "/", ()), "x")) is length


@pytest.mark.parametrize("subject, words", [
    (row(body=b"x", size=9), "its body is not known whole"),
    (row(body=b"", size=9), "its body is not known whole"),
    (row("GET", body=b"x", size=9), "its body is not known whole"),
    (row("GET", headers=[("X", "y")], request=message([], cut=True)), "headers are not known"),
    (row("GET", http="ws", status=101), "WebSocket"), (row("WS"), "WebSocket"),
    (row("GET", headers=[("Upgrade", "WebSocket")], status=403), "WebSocket"),
    (Row(1, 1, 1, {"method": "DELETE", "path": "/"}), "headers and body are not known"),
    (row(headers=[("X", "a\r\nB: c")]), "line end or NUL"), (row(headers=[("X", "\0")]), "NUL"),
    (row(headers=[("X\r\nB", "a")]), "name"), (row(headers=[("X ", "a")]), "name"),
    (row(headers=[("", "a")]), "name"), (row(headers=[("X", "€")]), "cannot carry"),
    (row(path="/a\x9bb"), "target"), (row(path="/\\x9bb"), "target"), (row(path="*"), "target"),
    (row("A" * 17), "method"), (row("GET /x"), "method"),
], ids=range(19))
def test_what_cannot_be_sent_exactly_is_refused_with_the_reason(subject, words):
    assert words in refusal_of(subject)


@pytest.mark.parametrize("request_", [
    Request("GET", "/", (("X", "a\r\nB: c"),)), Request("GET", "/\r\nX: y"),
    Request("GET / HTTP/1.1\r\nX:", "/"), Request("GET", "/", (("X\n", "a"),))], ids=range(4))
def test_no_header_is_injected_whatever_came_so_far(request_):
    with pytest.raises(ReplayError):
        written(request_, "x")


# -- pins

def test_two_bodies_to_one_target_are_two_pins():
    pins, one, two = Pins(), row(body=b"1"), row(body=b"2")
    assert pins.toggle(request_of(one)) and pins.toggle(request_of(two))
    assert len(pins) == 2 and key_of(one) in pins and key_of(row(body=b"3")) not in pins
    assert request_of(one).key == key_of(one)
    pins.answered(key_of(one), Answer(200, 1, "a", 1.0))
    assert len(pins.answers(key_of(one))) == 1 and pins.answers(key_of(two)) == []
    assert key_of(row(body=b"1", size=5)) not in pins
    pins.unpin(key_of(one))
    assert pins.keys() == [key_of(two)]


def test_what_a_row_got_is_compared_with_only_if_it_is_known_whole():
    got = answer_of(row(response=message([], b"total"), ms=7.0, gen=3))
    digest = hashlib.sha256(b"total").hexdigest()
    assert got[:4] == (200, 5, digest, 7.0)
    assert answer_of(row(response=message([], b""))).bytes == 0
    for response in (None, message([], b"tot", size=5),
                     message([("Content-Encoding", "gzip")], b"total")):
        assert answer_of(row(response=response)) is None


def test_pins_come_back_as_they_were_with_their_newest_answer():
    pins = Pins()
    for request in (Request("GET", "/a", (("X", "1"),)), Request("GET", "/e"),
                    Request("POST", "/c", (), b"\xff")):
        pins.toggle(request)
    answer = Answer(200, 3, "d" * 64, 7.5, 3, "", 9.0, (("x", "y"),), b"a\xffb", "", 4)
    for number in range(3):
        pins.answered(("GET", "/e"), answer._replace(ms=number))
    again = Pins()
    again.restore(json.loads(json.dumps(pins.kept())))
    assert again.requests() == pins.requests()
    assert again.answers(("GET", "/e")) == [answer._replace(ms=2.0, gen=0)]


def test_a_secret_is_not_saved_and_its_pin_waits_until_a_client_sends_it_again():
    pins, again = Pins(), Pins()
    whole = Request("GET", "/a", (("Cookie", "secret"), ("X", "1")))
    pins.toggle(whole)
    pins.toggle(Request("POST", "/login", (), b'{"password": "swordfish"}'))
    pins.answered(whole.key, Answer(200, 1, "a", 1.0))
    kept = json.dumps(pins.kept())
    assert "secret" not in kept and "swordfish" not in kept
    again.restore(json.loads(kept))
    assert again.keys() == [("GET", "/a")] and again.requests() == []
    assert again.find(("GET", "/a")).lacks == ["cookie"] and again.lacking
    again.seen(Request("GET", "/a", (("X", "1"),)))
    assert again.lacking
    again.seen(whole)
    assert again.requests() == [whole] and not again.lacking


def test_what_is_saved_of_pins_is_bounded_and_the_newest_are_kept():
    pins = Pins()
    for number in range(MOST):
        pins.toggle(Request("POST", f"/{number}", (), b"x" * 100_000))
    kept = pins.kept()
    assert len(json.dumps(kept)) < SAVED + 10_000
    assert [told["target"] for told in kept] == ["/17", "/18", "/19"]


# -- as text

BEFORE = Request("POST", "/cart", (("Cookie", "a=b"), ("X", "caf\xe9")), b'{"a": 1}')


def test_a_request_is_text_that_can_be_read_back():
    assert as_text(BEFORE) == 'POST /cart HTTP/1.1\nCookie: a=b\nX: caf\xe9\n\n{"a": 1}'
    for request in (BEFORE, Request("GET", "/", ()), Request("PUT", "/", (), b"\n\na\r\n")):
        assert from_text(as_text(request).encode(), request) == request
        assert from_text((as_text(request) + "\n").encode(), request).headers == request.headers


def test_a_line_end_that_the_editor_added_is_not_the_bodys():
    assert from_text(as_text(BEFORE).encode() + b"\n", BEFORE) == BEFORE
    ended = BEFORE._replace(body=b"a\n")
    assert from_text(as_text(ended).encode(), ended) == ended


def test_line_ends_of_another_world_are_read_as_well():
    found = from_text(b"PUT /x HTTP/1.1\r\nA: b\r\n\r\nc\r\nd", BEFORE)
    assert found == Request("PUT", "/x", (("A", "b"),), b"c\r\nd")


def test_framing_that_was_typed_is_set_anew():
    found = from_text(b"PUT /x\nContent-Length: 7\nTransfer-Encoding: chunked\nHost: a\n\nbc",
                      BEFORE)
    assert found.headers == (("Host", "a"),)
    assert written(found, "here").split(b"\r\n")[1:3] == [b"Host: a", b"Content-Length: 2"]


@pytest.mark.parametrize("text, line, words", [
    (b"", 1, "method"), (b"\n\nx", 1, "method"), (b"POST", 1, "method"),
    (b"POST  / HTTP/1.1", 1, "method"), (b"P\xc3\xb6ST / HTTP/1.1", 1, "method"),
    (b"POST / HTTP/2", 1, "version"), (b"POST cart HTTP/1.1", 1, "target"),
    ("POST /büro HTTP/1.1".encode(), 1, "target"), (b"POST / HTTP/1.1\nA: b\nnothing", 3, "name"),
    (b"POST / HTTP/1.1\nA : b", 2, "name"), (b"POST / HTTP/1.1\n folded: b", 2, "name"),
    ("POST / HTTP/1.1\nA: €".encode(), 2, "cannot carry"),
    (b"POST / HTTP/1.1\nA: a\rb", 2, "line end"), (b"POST / HTTP/1.1\nA: b\0", 2, "NUL"),
    (b"POST / HTTP/1.1\nA: \xff\n\n", 2, "UTF-8"),
], ids=range(15))
def test_what_is_malformed_is_told_with_its_line(text, line, words):
    with pytest.raises(Malformed) as caught:
        from_text(text, BEFORE)
    assert caught.value.line == line and words in str(caught.value)
    assert str(caught.value).startswith(f"line {line}: ")


@pytest.mark.parametrize("body", [b"\xff", b"a\0b"])
def test_a_binary_body_is_no_text(body):
    with pytest.raises(ValueError):
        as_text(BEFORE._replace(body=body))
