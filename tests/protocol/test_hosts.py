"""Which Host values may reach a server in development."""

import pytest

from tremolo.protocol.hosts import host_is_trusted, is_loopback


@pytest.mark.parametrize("host", [
    b"localhost", b"localhost:8000", b"LOCALHOST:1", b"shop.localhost", b"a.b.localhost:80",
    b"127.0.0.1", b"127.0.0.1:8000", b"127.255.255.254", b"[::1]", b"[::1]:8000"])
def test_names_of_this_machine_are_trusted(host):
    assert host_is_trusted(host)


@pytest.mark.parametrize("host", [
    b"", b"evil.test", b"evil.test:8000", b"localhost.evil.test", b"evil-localhost",
    b"xlocalhost", b"127.0.0.1.evil.test", b"user@localhost", b"localhost@evil.test",
    b"localhost:8000@evil.test", b"xn--80ak6aa92e.localhost", b"0.0.0.0", b"0.0.0.0:8000",
    b"[::]", b"[::ffff:127.0.0.1]",
    b"127.1", b"0177.0.0.1", b"0x7f.0.0.1", b"2130706433", b"127.0.0.1:", b"127.0.0.1:x",
    b"localhost.", b".localhost", b"a..localhost", b"-.localhost", b"localhost:999999",
    b"localhost evil.test", b"localhost,evil.test", b"localhost/", b"localhost\\", b"loc%61lhost",
    b"\xc2\xb9\xc2\xb27.0.0.1", b"localhost\x00", b"[::1", b"::1", b"192.168.1.5", b"10.0.0.1"])
def test_everything_else_is_not(host):
    assert not host_is_trusted(host)


@pytest.mark.parametrize(("host", "allowed", "trusted"), [
    (b"shop.test", ["shop.test"], True),
    (b"shop.test:8000", ["shop.test"], True),
    (b"Shop.Test:8000", ["SHOP.test:8000"], True),
    (b"shop.test:9000", ["shop.test:8000"], False),
    (b"evil.shop.test", ["shop.test"], False),
    (b"shop.test.evil", ["shop.test"], False),
    (b"evilshop.test", ["shop.test"], False),
    (b"anything", ["*"], True),
    (b"", ["*"], True),
    (b"[fe80::1]:80", ["[fe80::1]"], True)])
def test_allowed_hosts_are_compared_whole(host, allowed, trusted):
    assert host_is_trusted(host, allowed) is trusted


@pytest.mark.parametrize(("address", "loopback"), [
    (("127.0.0.1", 80), True), (("127.9.9.9", 80), True), (("::1", 80, 0, 0), True),
    (("::ffff:127.0.0.1", 80, 0, 0), True), (("192.168.1.5", 80), False),
    (("fe80::1%eth0", 80, 0, 2), False), (("0.0.0.0", 80), False), ("127.0.0.1", True),
    ("10.0.0.1", False), ("/run/shop.sock", True), ("", True), (b"", True), (None, True)])
def test_loopback_addresses_and_unix_sockets_are_on_this_machine(address, loopback):
    assert is_loopback(address) is loopback
