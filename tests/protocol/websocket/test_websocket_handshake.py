"""The opening handshake: RFC 6455 sections 4.2 and 9.1, RFC 7692 section 7.1."""

import random

import pytest

from tremolo.protocol.websocket import (
    DeflateConfig,
    HandshakeError,
    Upgrade,
    accept_token,
    parse_upgrade,
)

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="


class Head:
    def __init__(self, headers, method=b"GET", version=b"1.1"):
        self.method = method
        self.version = version
        self.headers = headers


def request(*more, without=(), **changes):
    """A valid head: `changes` replace values (`_` for `-`), `more` is put behind."""
    fields = {
        b"host": b"example.com",
        b"upgrade": b"websocket",
        b"connection": b"Upgrade",
        b"sec-websocket-key": KEY,
        b"sec-websocket-version": b"13",
    }
    for name, value in changes.items():
        fields[name.replace("_", "-").encode()] = value
    return Head([(k, v) for k, v in fields.items() if k not in without] + list(more))


def test_the_example_of_the_rfc_is_accepted():
    upgrade = parse_upgrade(request())
    assert upgrade.key == KEY
    assert upgrade.subprotocols == []
    assert upgrade.extensions == []
    assert accept_token(KEY) == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert upgrade.response_headers() == (
        [
            (b"upgrade", b"websocket"),
            (b"connection", b"Upgrade"),
            (b"sec-websocket-accept", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ],
        None,
    )


@pytest.mark.parametrize(
    "head",
    [
        request(upgrade=b"WebSocket"),
        request(upgrade=b"h2c, websocket"),
        request(connection=b"keep-alive, Upgrade"),
        request((b"connection", b"upgrade"), connection=b"keep-alive"),
        request(sec_websocket_key=b"AAAAAAAAAAAAAAAAAAAAAA=="),
    ],
    ids=["case", "list of upgrades", "list of options", "two fields", "zero key"],
)
def test_other_spellings_are_accepted(head):
    assert isinstance(parse_upgrade(head), Upgrade)


@pytest.mark.parametrize(
    "head, status",
    [
        (Head(request().headers, method=b"POST"), 405),
        (Head(request().headers, version=b"1.0"), 400),
        (request(without=[b"upgrade"]), 426),
        (request(upgrade=b"websockets"), 426),
        (request(without=[b"connection"]), 426),
        (request(connection=b"keep-alive"), 426),
        (request(without=[b"sec-websocket-version"]), 426),
        (request(sec_websocket_version=b"8"), 426),
        (request(sec_websocket_version=b"13, 8"), 426),
        (request(sec_websocket_version=b"013"), 426),
        (request((b"sec-websocket-version", b"13")), 426),
        (request(without=[b"sec-websocket-key"]), 400),
        (request((b"sec-websocket-key", KEY)), 400),
        (request(sec_websocket_key=b""), 400),
        (request(sec_websocket_key=KEY[:-1]), 400),
        (request(sec_websocket_key=KEY + b"="), 400),
        (request(sec_websocket_key=KEY + b"\n"), 400),
        (request(sec_websocket_key=b"dGhlIHNhbXBsZSBub25jZQ=a"), 400),
        (request(sec_websocket_key=b"dGhlIHNhbXBsZSBub25-ZQ=="), 400),
        (request(sec_websocket_key=b"\xff" * 22 + b"=="), 400),
        (request(sec_websocket_extensions=b"a b"), 400),
        (request(sec_websocket_extensions=b";"), 400),
        (request(sec_websocket_extensions=b"a;"), 400),
        (request(sec_websocket_extensions=b"a; b="), 400),
        (request(sec_websocket_extensions=b'a; b="'), 400),
        (request(sec_websocket_extensions=b'a; b=""'), 400),
        (request(sec_websocket_extensions=b'a; b="c d"'), 400),
        (request(sec_websocket_extensions=b"\xff"), 400),
    ],
)
def test_what_is_no_websocket_handshake_is_refused(head, status):
    with pytest.raises(HandshakeError) as caught:
        parse_upgrade(head)
    assert caught.value.status == status
    assert caught.value.reason
    names = dict(caught.value.headers)
    assert names.get(b"sec-websocket-version") == (b"13" if status == 426 else None)
    assert names.get(b"allow") == (b"GET" if status == 405 else None)


def test_subprotocols_keep_their_order_and_what_is_no_token_is_left_out():
    upgrade = parse_upgrade(
        request(
            (b"sec-websocket-protocol", b"v2.x, caf\xe9 , ,chat"),
            (b"sec-websocket-protocol", b"a b, Chat,chat"),
        )
    )
    assert upgrade.subprotocols == ["v2.x", "chat", "Chat"]


def test_the_chosen_subprotocol_is_named_in_the_response():
    upgrade = parse_upgrade(request(sec_websocket_protocol=b"one, two"))
    headers, _ = upgrade.response_headers("two")
    assert headers[-1] == (b"sec-websocket-protocol", b"two")
    for name in ("three", "", "two\r\nx: y", "\u20ac"):
        with pytest.raises(ValueError, match="did not offer"):
            upgrade.response_headers(name)


def test_extensions_are_parsed_with_quoted_values():
    upgrade = parse_upgrade(
        request(
            (b"sec-websocket-extensions", b' a ; b = "1\\2" ;c,, d'),
            (b"sec-websocket-extensions", b"e;f=g"),
        )
    )
    assert upgrade.extensions == [
        (b"a", [(b"b", b"12"), (b"c", None)]),
        (b"d", []),
        (b"e", [(b"f", b"g")]),
    ]


PMD = b"permessage-deflate"
OPEN_CONFIG = {
    "server_no_context_takeover": False,
    "client_no_context_takeover": False,
    "server_max_window_bits": 15,
    "client_max_window_bits": 15,
}


@pytest.mark.parametrize(
    "offer, answer",
    [
        (b"", None),
        (b"x-webkit-deflate-frame", None),
        (b"", None),
        (PMD, b""),
        (PMD + b"; client_max_window_bits", b""),
        (PMD + b"; client_max_window_bits=10", b"; client_max_window_bits=10"),
        (PMD + b'; client_max_window_bits="10"', b"; client_max_window_bits=10"),
        (PMD + b"; client_max_window_bits=15", b""),
        (PMD + b"; server_max_window_bits=9", b"; server_max_window_bits=9"),
        (PMD + b"; server_max_window_bits=8", b"; server_max_window_bits=8"),
        (PMD + b"; server_max_window_bits=15", b""),
        (PMD + b"; server_no_context_takeover", b"; server_no_context_takeover"),
        (PMD + b"; client_no_context_takeover", b"; client_no_context_takeover"),
        (
            PMD + b"; server_max_window_bits=7, " + PMD + b"; server_max_window_bits=11",
            b"; server_max_window_bits=11",
        ),
        (b"foo; a=1, " + PMD, b""),
        (PMD + b"; server_max_window_bits=7", None),
        (PMD + b"; server_max_window_bits=16", None),
        (PMD + b"; server_max_window_bits=08", None),
        (PMD + b"; server_max_window_bits", None),
        (PMD + b"; client_max_window_bits=7", None),
        (PMD + b"; client_max_window_bits=1x", None),
        (PMD + b"; server_no_context_takeover=1", None),
        (PMD + b"; client_no_context_takeover=absent", None),
        (PMD + b"; client_max_window_bits=absent", None),
        (PMD + b"; server_no_context_takeover=absent", None),
        (PMD + b"; server_no_context_takeover; server_no_context_takeover", None),
        (PMD + b"; unknown", None),
    ],
)
def test_the_first_acceptable_offer_is_agreed_to(offer, answer):
    upgrade = parse_upgrade(request(sec_websocket_extensions=offer))
    headers, agreed = upgrade.response_headers(deflate=DeflateConfig(**OPEN_CONFIG))
    given = dict(headers).get(b"sec-websocket-extensions")
    assert given == (None if answer is None else PMD + answer)
    assert (agreed is None) is (answer is None)


def test_our_own_wishes_narrow_what_is_offered():
    offer = PMD + b"; client_max_window_bits; server_max_window_bits=14"
    upgrade = parse_upgrade(request(sec_websocket_extensions=offer))
    headers, agreed = upgrade.response_headers(deflate=DeflateConfig())
    assert dict(headers)[b"sec-websocket-extensions"] == (
        PMD + b"; server_max_window_bits=12; client_max_window_bits=12"
    )
    assert (agreed.server_max_window_bits, agreed.client_max_window_bits) == (12, 12)


def test_we_keep_no_context_of_ours_but_tell_only_a_client_that_asks():
    for asked in (b"", b"; server_no_context_takeover"):
        upgrade = parse_upgrade(request(sec_websocket_extensions=PMD + asked))
        headers, agreed = upgrade.response_headers(deflate=DeflateConfig())
        assert agreed.server_no_context_takeover
        told = b"server_no_context_takeover" in dict(headers)[b"sec-websocket-extensions"]
        assert told is bool(asked)


@pytest.mark.parametrize(
    "parameter, keeps",
    [
        (b"; client_max_window_bits", True),
        (b"; client_max_window_bits=9", True),
        (b"; client_max_window_bits; client_no_context_takeover", False),
        (b"", False),
    ],
)
def test_a_client_keeps_its_context_if_that_costs_us_a_narrow_window(parameter, keeps):
    upgrade = parse_upgrade(request(sec_websocket_extensions=PMD + parameter))
    headers, agreed = upgrade.response_headers(deflate=DeflateConfig())
    assert agreed.client_no_context_takeover is not keeps
    told = b"client_no_context_takeover" in dict(headers)[b"sec-websocket-extensions"]
    assert told is not keeps


def test_a_client_that_does_not_know_window_bits_keeps_its_own():
    upgrade = parse_upgrade(request(sec_websocket_extensions=PMD))
    headers, agreed = upgrade.response_headers(deflate=DeflateConfig())
    assert b"client_max_window_bits" not in dict(headers)[b"sec-websocket-extensions"]
    assert agreed.client_max_window_bits == 15


def test_without_deflate_no_extension_is_agreed_to():
    upgrade = parse_upgrade(request(sec_websocket_extensions=PMD))
    headers, agreed = upgrade.response_headers()
    assert agreed is None
    assert b"sec-websocket-extensions" not in dict(headers)


def test_window_bits_out_of_range_are_refused_in_the_config():
    for bits in (7, 16):
        with pytest.raises(ValueError, match="window bits"):
            DeflateConfig(server_max_window_bits=bits)


def test_no_bytes_in_a_field_raise_anything_but_a_refusal():
    source = random.Random(6455)
    names = [field for field, _ in request().headers]
    names += [b"sec-websocket-protocol", b"sec-websocket-extensions"]
    for _ in range(5000):
        name = source.choice(names)
        sample = source.choice([KEY, PMD + b'; a="b\\c", x', b"13", b"websocket, \xff"])
        value = bytearray(sample)
        for _ in range(source.randrange(4)):
            value[source.randrange(len(value))] = source.randrange(256)
        try:
            upgrade = parse_upgrade(request(**{name.decode(): bytes(value)}))
            upgrade.response_headers(deflate=DeflateConfig())
        except HandshakeError as error:
            assert 400 <= error.status < 500
