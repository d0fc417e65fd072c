"""Scopes: one spelling, what they cover, and the rules that begin with one."""

import pytest

from tremolo.scope import EVERYTHING, TOTAL, InvalidScope, Scope, split_rule


@pytest.mark.parametrize("text, scope", [
    ("*", "*"), ("all", "*"), ("", "*"), ("All", "*"), ("everything", "*"), ("total", "total"),
    ("/api/*", "/api/*"), ("/", "/"), ("/API", "/API"), ("route /items/{id}", "/items/{id}"),
    ("#88", "#88"), (" #007 ", "#7"), ("conn #88", "#88"), ("conn:88", "#88"),
    ("conn 88", "#88"), ("connection #88", "#88"), ("#4711.88", "#4711.88"),
    ("conn:4711:88", "#4711.88"), ("ip:10.0.0.7", "client:10.0.0.7"),
    ("Client 10.0.0.7", "client:10.0.0.7"), ("client:[::1]", "client:::1"),
    ("ip: FE80:0:0::1%eth0", "client:fe80::1"),
    ("ip:::ffff:10.0.0.7", "client:10.0.0.7"),
])
def test_scopes_have_one_spelling(text, scope):
    assert Scope(text) == scope
    assert Scope(scope) == scope
    assert Scope(Scope(text)) == scope


@pytest.mark.parametrize("text", ["api", "#", "#x", "conn", "88", "#-1", "#1.2.3", "http://x/"])
def test_what_is_no_scope_is_refused_with_what_is_one(text):
    with pytest.raises(InvalidScope, match=r"is no scope: those are .*#88"):
        Scope(text)


@pytest.mark.parametrize("text", ["ip:", "client:10.0.0",
                                  "client:example.com", "client 10.0.0.7/8"])
def test_a_client_is_named_by_its_address(text):
    with pytest.raises(InvalidScope, match="is no IP address"):
        Scope(text)


def test_a_scope_says_what_it_is_about():
    assert Scope("#4711.88").connection == (4711, 88)
    assert Scope("#88").connection == (None, 88)
    assert Scope("client:10.0.0.7").client == "10.0.0.7"
    assert Scope("/a").is_path
    for scope in (EVERYTHING, TOTAL):
        assert (scope.connection, scope.client, scope.is_path) == (None, None, False)


@pytest.mark.parametrize("text, label", [
    ("*", "all"), ("#4711.88", "conn #88"), ("client:10.0.0.7", "client 10.0.0.7"),
    ("/a/*", "/a/*"), ("total", "total")])
def test_a_scope_has_a_label(text, label):
    assert Scope(text).label == label


@pytest.mark.parametrize("peer, scope", [
    ("10.0.0.7:51234", "client:10.0.0.7"), ("[::1]:51234", "client:::1"), ("unix", None),
    ("", None)])
def test_a_peer_is_a_client(peer, scope):
    assert Scope.of_peer(peer) == scope


@pytest.mark.parametrize("pattern, path, covers", [
    ("/api/*", "/api/x/y?q=1", True), ("/api/*", "/apix", False),
    ("/items/{id}", "/items/7", True), ("/items/{id}", "/items/7/more", False),
    ("/items/<int:id>", "/items/7", True), ("/items/<path:rest>", "/items/7/more", True),
    ("/a.b", "/axb", False), ("/caf\u00e9", "/caf%C3%A9", True), ("/a%20b", b"/a%20b?x", True)])
def test_a_pattern_covers_paths(pattern, path, covers):
    assert Scope(pattern).covers(path) is covers


@pytest.mark.parametrize("text, rule", [
    ("slow-4g", (None, "slow-4g")), ("/api/*: slow-4g", ("/api/*", "slow-4g")),
    ("/a:b/*:3g", ("/a:b/*", "3g")), ("/i/<int:id>: 3g", ("/i/<int:id>", "3g")),
    ("ip:10.0.0.7:3g", ("client:10.0.0.7", "3g")),
    ("client:fe80::1: 3g", ("client:fe80::1", "3g")),
    ("all: down=1MB latency=20ms", ("*", "down=1MB latency=20ms")), ("#88:", ("#88", ""))])
def test_a_rule_is_a_scope_and_a_throttle(text, rule):
    assert split_rule(text) == rule
