"""Addresses of all families, and TLS: what is no handshake hurts nobody."""

import asyncio
import pathlib
import socket
import ssl

import pytest

from tests.net.handlers import hello
from tests.support.serving import KEY, each_loop, run, serving, until
from tests.support.wire import CERTIFICATE, GET, Client
from tremolo.config import Settings
from tremolo.exceptions import ConfigurationError
from tremolo.net.tls import server_context

# Families and TLS


@each_loop
def test_it_serves_on_a_unix_socket(conversation):
    async def talk(site, client):
        for _ in range(2):
            await client.send(GET)
            assert (await client.response()).body == b"Hello"

    conversation(hello, talk, family=socket.AF_UNIX)


def _ipv6():
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


@each_loop
@pytest.mark.skipif(not _ipv6(), reason="no IPv6 here")
def test_it_serves_on_ipv6(loop_name):
    async def main():
        async with serving(hello, family=socket.AF_INET6) as site:
            assert (await site.get()).body == b"Hello"
            assert site.adapter.made[0].peer[0] == "::1"

    run(main, loop_name)


@each_loop
def test_it_serves_tls(conversation):
    async def talk(site, client):
        for _ in range(3):
            await client.send(GET)
            assert (await client.response()).body == b"Hello"
        assert site.connection.is_tls
        client.close()
        await until(lambda: not site.server.connections)

    conversation(hello, talk, tls=True)


@each_loop
@pytest.mark.parametrize("connection", [b"close", b"keep-alive"])
def test_a_tls_connection_ends_cleanly(conversation, connection):
    async def talk(site, client):
        await client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: %b\r\n\r\n"
                          % connection)
        assert (await client.response()).body == b"Hello"
        if connection == b"close":
            assert await client.closed()
        client.close()
        await until(lambda: not site.server.connections)

    conversation(hello, talk, tls=True)


@each_loop
def test_a_refusal_over_tls_ends_cleanly(conversation):
    async def talk(site, client):
        await client.send(b"GARBAGE\r\n\r\n" + bytes(1000))
        assert (await client.response()).status == 400
        client.close()
        await until(lambda: not site.server.connections)

    conversation(hello, talk, tls=True)


@each_loop
@pytest.mark.parametrize("request_", [
    GET, b"POST / HTTP/1.0\r\nContent-Length: 100000\r\n\r\n" + bytes(100000), b"get"],
    ids=["GET", "a long POST", "the beginning of a request"])
def test_plain_http_on_a_tls_port_is_told_to_use_https(loop_name, request_):
    async def main():
        async with serving(hello, tls=True) as site:
            client = await Client.open(site.address)
            await client.send(request_)
            response = await client.response()
            assert response.status == 400
            assert b"speaks HTTPS: ask again with https://" in response.body
            assert response["content-type"] == "text/plain; charset=utf-8"
            assert await client.closed()
            client.close()
            await until(lambda: not site.server._setups)
            assert not site.server.connections
            assert (await site.get()).status == 200

    run(main, loop_name)


@each_loop
@pytest.mark.parametrize("data", [b"\x16\x03\x01", b"\0\0\0", b""], ids=repr)
def test_what_is_neither_tls_nor_http_on_a_tls_port_hurts_nobody(loop_name, data):
    async def main():
        async with serving(hello, tls=True) as site:
            client = await Client.open(site.address)
            await client.send(data)
            client.half_close()
            assert b"HTTP" not in await client.rest()
            client.close()
            assert (await site.get()).status == 200

    run(main, loop_name)


@each_loop
def test_a_tls_client_may_say_its_hello_late_and_in_pieces(loop_name):
    async def main():
        async with serving(hello, tls=True) as site:
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = ssl.create_default_context(cafile=CERTIFICATE).wrap_bio(
                incoming, outgoing, server_hostname="localhost")
            client = await Client.open(site.address)
            await until(lambda: site.server._setups)
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    for octet in outgoing.read():
                        await client.send(bytes([octet]))
                        await asyncio.sleep(0)
                    incoming.write(await client.receive())
            await client.send(outgoing.read())
            await until(lambda: site.server.connections)
            client.close()

    run(main, loop_name)


def test_a_tls_context_is_made_from_settings():
    context = server_context(Settings(ssl_cert=CERTIFICATE, ssl_key=KEY))
    assert isinstance(context, ssl.SSLContext)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert server_context(Settings(ssl={"cert": CERTIFICATE, "key": KEY})) is not None
    assert server_context(Settings()) is None


def test_certificate_and_key_may_be_one_file(tmp_path):
    both = tmp_path / "both.pem"
    both.write_text(pathlib.Path(CERTIFICATE).read_text() + pathlib.Path(KEY).read_text())
    assert isinstance(server_context(Settings(ssl_cert=str(both))), ssl.SSLContext)


@pytest.mark.parametrize(("given", "said"), [
    ({"ssl_cert": CERTIFICATE}, r"certificate\.pem has no private key.*--ssl-key"),
    ({"ssl": {"cert": CERTIFICATE}}, r"certificate\.pem has no private key.*--ssl-key"),
    ({"ssl_cert": CERTIFICATE, "ssl_key": CERTIFICATE}, r"certificate\.pem has no private key"),
    ({"ssl_key": KEY}, r"--ssl-key needs --ssl-cert"),
    ({"ssl": {"key": KEY}}, r"needs a certificate"),
], ids=str)
def test_what_is_missing_of_a_tls_pair_is_named(given, said):
    with pytest.raises(ConfigurationError, match=said):
        server_context(Settings(**given))


@pytest.mark.parametrize("cert, key", [("/nowhere.pem", KEY), (KEY, CERTIFICATE)])
def test_a_tls_file_that_cannot_be_used_is_named(cert, key):
    with pytest.raises(ConfigurationError, match=r"\.pem"):
        server_context(Settings(ssl_cert=cert, ssl_key=key))
