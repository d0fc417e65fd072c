"""What trusted proxies say of a request: `X-Forwarded-*` and RFC 7239."""


import pytest

from tests.support.growth import assert_linear
from tremolo.config import Settings
from tremolo.exceptions import ConfigurationError
from tremolo.protocol.forwarded import Forwarded, parse_forwarded, parse_node, read_forwarded
from tremolo.proxies import TrustedProxies

PEERS = ("127.0.0.1", "10.0.0.0/8", "2001:db8:ffff::/48")


def read(*fields, trusted=PEERS, host=b"inner:8000", scheme="http"):
    names = [(name.encode(), value.encode()) for name, value in fields]
    return read_forwarded(names, host, scheme, TrustedProxies(trusted))


@pytest.mark.parametrize(("value", "client"), [
    ("1.2.3.4", ("1.2.3.4", 0)),
    ("1.2.3.4:1024", ("1.2.3.4", 1024)),
    ("[2001:db8::1]:8080", ("2001:db8::1", 8080)),
    ("[2001:db8::1]", ("2001:db8::1", 0)),
    ("2001:db8::1", ("2001:db8::1", 0)),
    ("6.6.6.6, 1.2.3.4", ("1.2.3.4", 0)),
    ("6.6.6.6, 1.2.3.4, 10.9.9.9", ("1.2.3.4", 0)),
    ("1.2.3.4:99, 10.9.9.9:1024, [2001:db8:ffff::2]:443", ("1.2.3.4", 99)),
    ("1.2.3.4,::ffff:10.0.0.1", ("1.2.3.4", 0)),
    ("10.0.0.3, 10.0.0.2", ("10.0.0.3", 0)),
    (" 1.2.3.4 ,, ", ("1.2.3.4", 0)),
    ("1.2.3.4, unknown", ("unknown", 0)),
    ("1.2.3.4, evil<script>", ("unknown", 0)),
    ("1.2.3.4, [::1", ("unknown", 0)),
    ("1.2.3.4:port", ("1.2.3.4", 0)),
    ("1.2.3.4:70000", ("1.2.3.4", 0)),
    ("", None),
    (",", None),
], ids=repr)
def test_the_rightmost_untrusted_hop_is_the_client(value, client):
    assert read(("x-forwarded-for", value)).client == client


def test_lines_of_one_field_are_one_list():
    assert read(("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "1.2.3.4, 10.1.1.1")) \
        .client == ("1.2.3.4", 0)


def test_where_everybody_is_trusted_the_first_hop_is_the_client():
    assert read(("x-forwarded-for", "1.2.3.4, 5.6.7.8"), trusted=["*"]).client == ("1.2.3.4", 0)


@pytest.mark.parametrize(("hops", "proto", "scheme"), [
    ("1.2.3.4", "https", "https"),
    ("1.2.3.4", "HTTPS", "https"),
    ("1.2.3.4", "wss", "https"),
    ("1.2.3.4", "ws", "http"),
    ("1.2.3.4", "ftp", None),
    ("1.2.3.4", "", None),
    ("1.2.3.4, 10.1.1.1", "https, http", "https"),
    ("6.6.6.6, 1.2.3.4", "https, http", "http"),
    ("6.6.6.6, 1.2.3.4, 10.1.1.1", "http, https, http", "https"),
    ("1.2.3.4, 10.1.1.1", "https", "https"),
    ("", "http, https", "https"),
])
def test_the_scheme_is_that_of_the_same_hop(hops, proto, scheme):
    assert read(("x-forwarded-for", hops), ("x-forwarded-proto", proto)).scheme == scheme


@pytest.mark.parametrize(("fields", "host", "server"), [
    ({"host": "a.example"}, b"a.example", ("a.example", 80)),
    ({"host": "a.example", "proto": "https"}, b"a.example", ("a.example", 443)),
    ({"host": "a.example:444", "port": "443"}, b"a.example:444", ("a.example", 444)),
    ({"host": "a.example", "port": "444"}, b"a.example:444", ("a.example", 444)),
    ({"host": "a.example", "port": "80"}, b"a.example", ("a.example", 80)),
    ({"host": "a.example", "port": "443", "proto": "https"}, b"a.example", ("a.example", 443)),
    ({"host": "[::1]", "port": "81"}, b"[::1]:81", ("::1", 81)),
    ({"host": "a.example, b.example"}, b"b.example", ("b.example", 80)),
    ({"host": "a.example/evil"}, None, None),
    ({"host": "a.example@evil.example"}, None, None),
    ({"host": ""}, None, None),
    ({"port": "444"}, b"inner:8000", ("inner", 8000)),
    ({"port": "0"}, None, None),
    ({"port": "70000"}, None, None),
    ({"port": "x"}, None, None),
], ids=str)
def test_host_and_port_are_what_the_client_named(fields, host, server):
    said = read(*((f"x-forwarded-{name}", value) for name, value in fields.items()))
    assert (said.host, said.server) == (host, server)


def test_a_port_completes_the_host_that_the_proxy_passed_on():
    assert read(("x-forwarded-port", "444"), host=b"a.example").host == b"a.example:444"


@pytest.mark.parametrize(("value", "prefix"), [
    ("/app", "/app"),
    ("/app/", "/app"),
    ("/", ""),
    ("/a%20b/%C3%A9", "/a b/é"),
    ("app", None),
    ("//evil.example", None),
    ("/%2Fevil.example", None),
    ("/%5Cevil.example", None),
    ("/a/../b", None),
    ("/a%0d%0aSet-Cookie:x", None),
    ("https://evil.example", None),
], ids=repr)
def test_a_prefix_is_a_path_and_nothing_else(value, prefix):
    assert read(("x-forwarded-prefix", value)).prefix == prefix


def test_prefixes_that_trusted_proxies_took_off_add_up():
    fields = (("x-forwarded-for", "6.6.6.6, 1.2.3.4, 10.1.1.1"),
              ("x-forwarded-prefix", "/made-up, /outer, /inner"))
    assert read(*fields).prefix == "/outer/inner"


@pytest.mark.parametrize(("value", "said"), [
    ("for=1.2.3.4", Forwarded(("1.2.3.4", 0))),
    ('for="1.2.3.4:99"', Forwarded(("1.2.3.4", 99))),
    ('For="[2001:db8::1]:8080"', Forwarded(("2001:db8::1", 8080))),
    ("for=[2001:db8::1]:8080", Forwarded(("2001:db8::1", 8080))),
    ("for=6.6.6.6, for=1.2.3.4;proto=https, for=10.1.1.1;proto=http",
     Forwarded(("1.2.3.4", 0), "https")),
    ("for=1.2.3.4 ; PROTO=https ; by=203.0.113.43;host=a.example",
     Forwarded(("1.2.3.4", 0), "https", b"a.example", ("a.example", 443))),
    ('for=1.2.3.4;host="a.example:444"',
     Forwarded(("1.2.3.4", 0), None, b"a.example:444", ("a.example", 444))),
    (r'for="1.2.3\.4"', Forwarded(("1.2.3.4", 0))),
    ('for="_a,b;c=\\"", for=1.2.3.4', Forwarded(("1.2.3.4", 0))),
    ("for=_hidden", Forwarded(("_hidden", 0))),
    ("for=unknown", Forwarded(("unknown", 0))),
    ("for=1.2.3.4, for=unknown", Forwarded(("unknown", 0))),
    ("proto=https", Forwarded(None, "https")),
    ("", Forwarded()),
    (",;", Forwarded()),
    ('for="1.2.3.4', Forwarded(("unknown", 0))),
    ('for="evil, for=1.2.3.4;proto=https', Forwarded(("unknown", 0))),
    ("for=1.2.3.4 proto=https", Forwarded(("unknown", 0))),
    ("for=1.2.3.4;for=10.0.0.1", Forwarded(("unknown", 0))),
], ids=repr)
def test_forwarded_is_read_as_rfc_7239_has_it(value, said):
    assert read(("forwarded", value)) == said


def test_forwarded_does_not_count_beside_the_older_fields():
    said = read(("forwarded", "for=6.6.6.6;proto=https"), ("x-forwarded-for", "1.2.3.4"))
    assert said == Forwarded(("1.2.3.4", 0))


@pytest.mark.parametrize("hostile", [
    pytest.param(lambda n: b'for="' + b"\\a" * (n // 2), id="escapes"),
    pytest.param(lambda n: b'for="' + b"a," * (n // 2), id="open quotation"),
    pytest.param(lambda n: b"for=a;" + b"for" * (n // 2), id="long name"),
    pytest.param(lambda n: b"," * n, id="commas"),
    pytest.param(lambda n: b";" * n, id="semicolons"),
    pytest.param(lambda n: b" " * n, id="spaces"),
    pytest.param(lambda n: b"a" * n + b"=", id="no value"),
    pytest.param(lambda n: b"a=b;" * (n // 4), id="many parameters"),
])
def test_a_hostile_field_takes_linear_time(hostile):
    def work(size):
        value = hostile(size)
        return lambda: parse_forwarded(value)

    assert_linear(work)


def test_a_node_of_any_bytes_is_an_address_or_unknown():
    for byte in range(256):
        for item in (bytes([byte]), b"1.2.3.4" + bytes([byte]), b"[" + bytes([byte])):
            host, port = parse_node(item)
            assert host in ("unknown", "1.2.3.4") or host == item.decode("latin-1").strip()
            assert 0 <= port < 65536


# Who is trusted


@pytest.mark.parametrize(("entries", "peer", "trusted"), [
    (["10.0.0.0/8"], ("10.1.2.3", 5), True),
    (["10.0.0.0/8"], ("11.1.2.3", 5), False),
    (["10.1.2.3/8"], ("10.9.9.9", 5), True),
    (["10.0.0.0/8"], ("::ffff:10.1.2.3", 5, 0, 0), True),
    (["::ffff:0:0/96"], ("::ffff:10.1.2.3", 5, 0, 0), True),
    (["fe80::/10"], ("fe80::1%eth0", 5, 0, 2), True),
    (["::1"], ("::1", 5, 0, 0), True),
    (["*"], ("8.8.8.8", 5), True),
    (["*"], None, True),
    (["unix"], "", True),
    (["unix:"], None, True),
    (["unix"], ("127.0.0.1", 5), False),
    (["127.0.0.1"], "/run/client.sock", False),
    ([], ("127.0.0.1", 5), False),
], ids=repr)
def test_a_peer_is_trusted_by_address_network_or_kind(entries, peer, trusted):
    assert TrustedProxies(entries).trusts_peer(peer) is trusted


@pytest.mark.parametrize(("value", "entries"), [
    ("10.0.0.0/8", ("10.0.0.0/8",)),
    ("10.0.0.0/8, 127.0.0.1", ("10.0.0.0/8", "127.0.0.1")),
    (["::1,*", "unix"], ("::1", "*", "unix")),
    ("", ()),
    ((), ()),
])
def test_entries_may_be_several_values_or_stand_between_commas(value, entries):
    assert Settings(trusted_proxies=value).trusted_proxies == entries


@pytest.mark.parametrize("value", ["localhost", "10.0.0.0/33", "1.2.3", "127.0.0.1 ::1",
                                   "10.0.0.1,nonsense", "**"])
def test_a_wrong_entry_is_refused_at_the_start(value):
    with pytest.raises(ConfigurationError, match=r"--trusted-proxies.*must be an IP address"):
        Settings(trusted_proxies=value)
