"""Headers and bodies of rows: what of them is believed, kept, masked and shown."""

import json
import sys

import pytest

from tests.support.feed_player import FeedPlayer, message
from tui.model import bodies
from tui.model.messages import MOST, Kept, Message, is_secret, masked, parse
from tui.model.session import Session
from tui.model.traffic import Row, Traffic

JSON = [("Content-Type", "application/json")]
FORM = [("content-type", "application/x-www-form-urlencoded")]


def known(headers=(), body=b"", size=None, **given):
    found = parse(message(headers, body, size, **given))
    assert found is not None
    return found


def lines(headers, body, reveal=False, **given):
    return bodies.shown(known(headers, body, **given), reveal)[0]


# -- from the wire

def test_a_message_is_taken_as_it_was_sent():
    found = known([("X-A", "b\xe9"), ("x-a", "")], b"\xff\x00", 100)
    assert found.headers == (("X-A", "b\xe9"), ("x-a", ""))
    assert (found.body, found.size, found.cut) == (b"\xff\x00", 100, True)
    assert not found.whole and found.field("x-a") == "b\xe9"


def test_no_body_at_all_is_a_whole_one():
    found = parse({"headers": [], "size": 0, "cut": False})
    assert found is not None and found.whole and found.body is None


@pytest.mark.parametrize("data", [
    None, 7, "x", [], {}, {"headers": None}, {"headers": {}}, {"headers": ["a: b"]},
    {"headers": [["a"]]}, {"headers": [["a", "b", "c"]]}, {"headers": [["a", 1]]},
    {"headers": [["a", "b"], None]}, {"headers": [[["a"], "b"]]},
], ids=str)
def test_without_all_its_fields_it_is_no_message(data):
    assert parse(data) is None
    assert Row(1, 1, 1, {"request": data, "response": data}).request is None


@pytest.mark.parametrize("given", [
    {"body": 5}, {"body": None}, {"body": "\ud800"}, {"body": ["x"]}, {"body64": "a"},
    {"body64": "é"}, {"body64": "YQ==x"}, {"body64": 1}, {"body64": "Y Q="},
], ids=ascii)
def test_a_body_that_cannot_be_read_is_absent_and_the_message_not_whole(given):
    found = parse({"headers": [], "size": 4, "cut": False, **given})
    assert found is not None and found.body is None and not found.whole


@pytest.mark.parametrize("size", [-1, True, "4", 4.0, None, [], 2, 10 ** 400], ids=str)
def test_a_size_that_cannot_be_is_not_known_and_the_body_not_whole(size):
    found = parse({"headers": [], "size": size, "body": "abc", "cut": False})
    assert found is not None and found.size is None and not found.whole
    assert bodies.extent(found) == "the first 3 b of an unknown size"


def test_a_row_without_messages_has_none():
    row = Row(1, 1, 1, {})
    assert row.request is None and row.response is None


def test_hostile_messages_reject_no_frame():
    session, player = Session(), FeedPlayer()
    session.apply(player.frame(4711, [player.row(4711, request=bad, response=bad)
                                      for bad in (1, {}, {"headers": [[]]}, {"headers": 1})]))
    assert session.rejected == 0 and session.traffic.seen == 4


# -- what is kept

def test_the_oldest_rows_lose_their_messages_first_and_stay():
    traffic = Traffic()
    traffic.kept = Kept(most=100_000)
    rows = [traffic.add(1, 1, {"id": n, "response": message([], b"x" * 10_000)})
            for n in range(30)]
    assert [row.response is not None for row in rows] == [False] * 21 + [True] * 9
    assert traffic.kept.bytes <= 100_000 and len(traffic.entries) == 30
    assert MOST == 16 * 1024 * 1024


def test_many_small_messages_are_counted_with_what_python_takes_for_them():
    found = known([("a", "b")] * 100)
    assert found.cost > 100 * 100


def test_rows_that_left_the_ring_hold_nothing():
    traffic = Traffic(capacity=100)
    for n in range(1000):
        traffic.add(1, 1, {"id": n, "request": message([], b"x")})
    assert len(traffic.kept) == len(traffic.entries)


def test_a_paused_view_keeps_its_messages_within_the_bound():
    traffic = Traffic(capacity=100)
    first = traffic.add(1, 1, {"request": message([], b"x")})
    traffic.pause(True)
    for n in range(1000):
        traffic.add(1, 1, {"id": n, "request": message([], b"x")})
    assert first.request is not None and traffic.find(first.uid) is first


# -- secrets

@pytest.mark.parametrize("name, secret", [
    ("Authorization", True), ("proxy-authorization", True), ("COOKIE", True),
    ("Set-Cookie", True), ("X-CSRF-Token", True), ("client_secret", True),
    ("Password2", True), ("X-Api-Key", True), ("apikey", True), ("api_key", True),
    ("Accept", False), ("X-Authorization-Time", False), ("Cookie-Policy", False),
])
def test_secrets_are_known_by_name(name, secret):
    assert is_secret(name) is secret


def test_a_mask_tells_only_the_length():
    assert masked("x" * 24) == "•••• 24 characters" and masked("x") == "•••• 1 character"


# -- bodies

def test_json_is_indented_and_keeps_its_spelling():
    body = b'{"a":[1.50,{"b":{}}],"a":[],"s":"x\\u00e9 \\"{,}"}'
    assert lines(JSON, body) == [
        "{", '  "a": [', "    1.50,", "    {", '      "b": {}', "    }", "  ],", '  "a": [],',
        '  "s": "x\\u00e9 \\"{,}"', "}"]
    assert lines([("Content-Type", "application/problem+json; charset=utf-8")], b"[1]") == [
        "[", "  1", "]"]


@pytest.mark.parametrize("value", [
    None, 1, "x", [], {}, [[]], [1, [2, [3]], {}], {"a": {"b": [{"c": None}]}},
    {"": "", "é": "\n\t\"\\"}, [{}, {"x": []}]], ids=str)
def test_indented_json_means_the_same(value):
    shown = lines(JSON, json.dumps(value).encode())
    assert json.loads("\n".join(shown)) == value
    assert shown == json.dumps(value, indent=2).split("\n")


def test_secrets_in_json_are_masked_until_revealed():
    body = b'{"user":"ada","password":"hunter2","tokens":["abc",["d"]],"pin":1,"secret":17}'
    shown = "\n".join(lines(JSON, body))
    assert '"password": "•••• 7 characters"' in shown and '"secret": "•••• 2 char' in shown
    assert '"•••• 3 characters"' in shown and '"pin": 1' in shown and "ada" in shown
    assert "hunter2" not in shown and "abc" not in shown
    assert "hunter2" in "\n".join(lines(JSON, body, reveal=True))
    assert bodies.has_secrets(known(JSON, body)) and not bodies.has_secrets(known(JSON, b"[1]"))


@pytest.mark.parametrize("end", range(12, 40))
def test_a_secret_is_masked_wherever_its_body_was_cut(end):
    body = b'{"password":"hunter2\\"x","b":"password"}'
    shown = "".join(lines(JSON, body[:end], size=100))
    assert "hun" not in shown and not any(word in shown for word in ("unter", "nter2"))


def test_json_that_is_cut_or_broken_is_shown_as_it_is():
    assert lines(JSON, b'{"a":1,\n"b"', size=50) == ['{"a":1,', '"b"']
    assert lines(JSON, b"{nope}") == ["{nope}"]


@pytest.mark.parametrize("body", [
    b"[" * 8000 + b"]" * 8000, b"[" * 900 + b"1," * 7000 + b"1" + b"]" * 900,
    b'{"' + b'\\"' * 8000, b'"\\' * 8000, b"\\" * 16384, b":" * 16384, b'{"token":' * 1800,
    b'""' * 8192, b"]" * 16384,
], ids=["deep", "deep and long", "open string", "escapes", "backslashes", "colons",
        "secrets", "strings", "closed"])
def test_hostile_json_costs_little(body):
    calls, shown = 0, []

    def count(frame, event, argument):
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        shown = lines(JSON, body)
        assert bodies.has_secrets(known(JSON, body)) is not None
    finally:
        sys.setprofile(None)
    assert calls < 40 * len(body) + 1_000
    assert len(shown) <= bodies.LINES


def test_a_form_is_shown_decoded_with_its_secrets_masked():
    body = b"name=B%C3%BCro+1&empty=&password=hunter2&x=%0a"
    assert lines(FORM, body) == ["name = Büro 1", "empty = ", "password = •••• 7 characters",
                                 "x = \n"]
    assert "password = hunter2" in lines(FORM, body, reveal=True)
    assert bodies.has_secrets(known(FORM, body)) and not bodies.has_secrets(known(FORM, b"a=b"))


def test_a_binary_body_is_a_line_and_a_short_dump():
    shown = lines([("Content-Type", "image/png")], b"\x89PNG\0" * 100, size=1_200_000)
    assert shown[0] == "image/png · the first 500 b of 1.2 M · binary"
    assert len(shown) == 1 + bodies.DUMP_LINES
    assert shown[1].startswith("0000  89 50 4e 47 00 89")
    assert shown[1].endswith(".PNG..PNG..PNG..")
    packed = lines([*JSON, ("Content-Encoding", "gzip")], b"{}")
    assert packed[0] == "application/json, gzip · 2 b · binary"


def test_a_long_text_is_bounded():
    shown, more = bodies.shown(known([], b"line\n" * 1234), False)
    assert (len(shown), more) == (200, 1034)


def test_a_character_that_was_cut_through_is_left_out():
    assert lines([], "aü".encode()[:2], size=3) == ["a"]
    assert bodies.kind_of(known([], "aü".encode()[:2])) == "binary"


def test_other_charsets_are_text_too():
    latin = [("Content-Type", 'text/plain; charset="ISO-8859-1"')]
    assert lines(latin, b"caf\xe9") == ["café"]


@pytest.mark.parametrize("known_bytes, size, words", [
    (311, 311, "311 b"), (16384, 1_200_000, "the first 16 KiB of 1.2 M"),
    (0, 88_000, "88.0 k, not known here"), (0, 0, "0 b")])
def test_how_much_of_a_body_is_known(known_bytes, size, words):
    assert bodies.extent(known([], b"x" * known_bytes, size)) == words


def test_a_digest_is_of_the_body():
    assert Message((), 1, b"a", False).digest != Message((), 1, b"b", False).digest
    assert Message((), 0, b"", False).digest == "" == Message((), 0, None, False).digest
