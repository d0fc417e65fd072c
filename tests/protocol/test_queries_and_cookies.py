"""Queries, URL-encoded forms, Cookie and Set-Cookie."""

import random
from http.cookies import SimpleCookie
from urllib.parse import parse_qs

import pytest

from tremolo.protocol.forms import (
    TooManyFields,
    build_set_cookie,
    parse_cookies,
    parse_query,
)

QUERIES = {
    "empty": (b"", {}),
    "one field": (b"a=1", {"a": ["1"]}),
    "two of a name": (b"a=1&b=2&a=3", {"a": ["1", "3"], "b": ["2"]}),
    "no value": (b"a&b=", {"a": [""], "b": [""]}),
    "no name": (b"=1", {"": ["1"]}),
    "nothing between": (b"&&a=1&", {"a": ["1"]}),
    "equals signs in the value": (b"a=b=c==", {"a": ["b=c=="]}),
    "plus and %2B": (b"a+b=c+%2B", {"a b": ["c +"]}),
    "percent-encoded UTF-8": (b"n%C3%A4me=%e2%82%ac", {"näme": ["€"]}),
    "raw UTF-8": ("näme=€".encode(), {"näme": ["€"]}),
    "not UTF-8": (b"a=%ff\xfe", {"a": ["\ufffd\ufffd"]}),
    "bad escapes": (b"a=%zz%4&b=%", {"a": ["%zz%4"], "b": ["%"]}),
    "decoded once": (b"a=%2541", {"a": ["%41"]}),
    "encoded separators": (b"a=%26b%3D1", {"a": ["&b=1"]}),
    "semicolons separate nothing": (b"a=1;b=2", {"a": ["1;b=2"]}),
}


@pytest.mark.parametrize("query, fields", QUERIES.values(), ids=QUERIES)
def test_a_query_is_parsed(query, fields):
    assert parse_query(query) == fields


def test_more_fields_than_the_limit_are_refused():
    assert len(parse_query(b"&".join(b"%d=" % i for i in range(10)), max_fields=10)) == 10
    with pytest.raises(TooManyFields, match="more than 10 fields"):
        parse_query(b"a&" * 10 + b"a", max_fields=10)


def test_urllib_parses_random_queries_the_same():
    rng = random.Random(1)
    for _ in range(2000):
        query = "".join(rng.choice("ab=&+%0AfF;") for _ in range(rng.randrange(25)))
        expected = parse_qs(query, keep_blank_values=True)
        assert parse_query(query.encode()) == expected, query


COOKIES = {
    "none": ([], {}),
    "one": ([b"a=1"], {"a": ["1"]}),
    "several": ([b"a=1; b=2;c=3 ;"], {"a": ["1"], "b": ["2"], "c": ["3"]}),
    "the case of a name": ([b"SID=1; sid=2"], {"SID": ["1"], "sid": ["2"]}),
    "duplicates, the last first": ([b"a=1; a=2"], {"a": ["2", "1"]}),
    "two fields": ([b"a=1; b=2", b"a=3"], {"a": ["1", "3"], "b": ["2"]}),
    "quotation marks": ([b'a="1 2"; b="; c="3'], {"a": ["1 2"], "b": ['"'], "c": ['"3']}),
    "percent-encoded": ([b"a=%e2%82%ac%3B+%zz"], {"a": ["€;+%zz"]}),
    "raw UTF-8": (["a=€".encode()], {"a": ["€"]}),
    "not UTF-8": ([b"a=\xff"], {"a": ["\ufffd"]}),
    "equals signs in the value": ([b"a=b=="], {"a": ["b=="]}),
    "no equals sign, no name": ([b"a; =b; ; c=1"], {"c": ["1"]}),
    "a name is never decoded": ([b"__%48ost-a=1"], {"__%48ost-a": ["1"]}),
    "only SP and HTAB are trimmed": (
        ["\u2000__Host-a=1;\t__Host-b \t=2;\x0bc=3".encode()],
        {"\u2000__Host-a": ["1"], "__Host-b": ["2"], "\x0bc": ["3"]},
    ),
}


@pytest.mark.parametrize("header_values, cookies", COOKIES.values(), ids=COOKIES)
def test_cookies_are_parsed(header_values, cookies):
    assert parse_cookies(header_values) == cookies


def test_cookies_beyond_the_limit_are_ignored():
    fields = [b"; ".join(b"c%d=1" % i for i in range(60))] * 3
    cookies = parse_cookies(fields, limit=100)
    assert sum(map(len, cookies.values())) == 100


def cookie(*args, **kwargs):
    return build_set_cookie(*args, **kwargs).decode("ascii")


SET_COOKIES = {
    "a session cookie by default": ((("sid", "1"), {}), "sid=1; Path=/"),
    "bytes": (((b"sid", b"1"), {"path": b"/a"}), "sid=1; Path=/a"),
    "no value": ((("sid",), {}), "sid=; Path=/"),
    "a value that must be encoded": (
        (("a", 'x y;,"\\%€\r\n'), {}),
        "a=x%20y%3B%2C%22%5C%25%E2%82%AC%0D%0A; Path=/",
    ),
    "a value that need not": ((("a", "az09!#$&'()*+-./:<=>?@[]^_`{|}~"), {"path": None}),
                              "a=az09!#$&'()*+-./:<=>?@[]^_`{|}~"),
    "a lifetime": ((("a", "1"), {"expires": 3600}), "a=1; Max-Age=3600; Path=/"),
    "a lifetime with the time known": (
        (("a", "1"), {"expires": 60, "now": 784111717.5}),
        "a=1; Expires=Sun, 06 Nov 1994 08:49:37 GMT; Max-Age=60; Path=/",
    ),
    "a lifetime below a second": ((("a", "1"), {"expires": 0.2}), "a=1; Max-Age=1; Path=/"),
    "a deletion": (
        (("a",), {"expires": -1}),
        "a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/",
    ),
    "no path": ((("a", "1"), {"path": ""}), "a=1"),
    "a path that must be encoded": (
        (("a", "1"), {"path": "/ä;b c/%20"}),
        "a=1; Path=/%C3%A4%3Bb%20c/%20",
    ),
    "everything": (
        (
            ("a", "1"),
            {
                "expires": 1, "path": "/p", "domain": ".example.org", "secure": True,
                "httponly": True, "samesite": "none",
            },
        ),
        "a=1; Max-Age=1; Path=/p; Domain=.example.org; Secure; HttpOnly; SameSite=None",
    ),
    "SameSite in any case": ((("a", "1"), {"samesite": "LAX"}), "a=1; Path=/; SameSite=Lax"),
    "a __Host- cookie": ((("__Host-a", "1"), {"secure": True}), "__Host-a=1; Path=/; Secure"),
    "a __Secure- cookie": (
        (("__Secure-a", "1"), {"secure": True, "path": "/x", "domain": "a.b"}),
        "__Secure-a=1; Path=/x; Domain=a.b; Secure",
    ),
}  # fmt: skip


@pytest.mark.parametrize("arguments, expected", SET_COOKIES.values(), ids=SET_COOKIES)
def test_a_cookie_is_built(arguments, expected):
    args, kwargs = arguments
    assert cookie(*args, **kwargs) == expected


REFUSED = {
    "empty name": ({"name": ""}, "token"),
    "name with a space": ({"name": "a b"}, "token"),
    "name with a line end": ({"name": "a\n"}, "token"),
    "name with an equals sign": ({"name": "a=b"}, "token"),
    "name that is not ASCII": ({"name": "ä"}, "token"),
    "relative path": ({"path": "x"}, "slash"),
    "domain with a semicolon": ({"domain": "a;b"}, "host name"),
    "domain with a line end": ({"domain": "a.b\n"}, "host name"),
    "unknown SameSite": ({"samesite": "loose"}, "Strict, Lax or None"),
    "SameSite None, not secure": ({"samesite": "None"}, "must be secure"),
    "__Secure- not secure": ({"name": "__Secure-a"}, "demands secure"),
    "__Host- not secure": ({"name": "__HOST-a"}, "demands secure"),
    "__Host- with a domain": (
        {"name": "__Host-a", "secure": True, "domain": "a.b"},
        "forbids a domain",
    ),
    "__Host- with a path": ({"name": "__Host-a", "secure": True, "path": "/a"}, "the path /"),
    "__Host- without a path": ({"name": "__Host-a", "secure": True, "path": ""}, "the path /"),
    "endless lifetime": ({"expires": float("inf")}, "100 years"),
    "no lifetime": ({"expires": float("nan")}, "100 years"),
}


@pytest.mark.parametrize("arguments, reason", REFUSED.values(), ids=REFUSED)
def test_what_a_browser_would_drop_is_refused(arguments, reason):
    with pytest.raises(ValueError, match=reason):
        build_set_cookie(**{"name": "a", **arguments})


def test_a_value_comes_back_as_it_was_set():
    rng = random.Random(2)
    for _ in range(500):
        value = "".join(chr(rng.choice((rng.randrange(128), 0x20AC))) for _ in range(12))
        header = build_set_cookie("a", value, path=None)
        assert parse_cookies([header]) == {"a": [value]}


def test_the_standard_library_reads_the_attributes():
    morsel = SimpleCookie(cookie("a", "1", expires=5, path="/x", domain="d.e", secure=True,
                                 httponly=True, samesite="Strict"))["a"]  # fmt: skip
    assert morsel.value == "1"
    assert (morsel["max-age"], morsel["path"], morsel["domain"]) == ("5", "/x", "d.e")
    assert (morsel["secure"], morsel["httponly"], morsel["samesite"]) == (True, True, "Strict")
