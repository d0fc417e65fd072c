"""Taking connections: limits, exhausted descriptors, families, TLS, cutting one."""

import asyncio
import errno
import logging
import pathlib
import socket
import ssl

import pytest

from tests.support.serving import (
    CERTIFICATE,
    GET,
    KEY,
    Client,
    Handling,
    each_loop,
    pass_time,
    run,
    serving,
    settle,
    until,
    within,
)
from tremolo.config import Settings
from tremolo.exceptions import ConfigurationError
from tremolo.net.acceptor import Acceptor
from tremolo.net.server import Server
from tremolo.net.tls import server_context


async def hello(exchange):
    exchange.response.respond(200, (), b"Hello")


# Limits


@each_loop
def test_at_the_limit_the_connection_that_is_idle_longest_makes_room(loop_name):
    async def main():
        async with serving(hello, max_connections=3) as site:
            clients = [await site.connect() for _ in range(3)]
            for client in clients:
                await client.send(GET)
                await client.response()
                answered = asyncio.get_running_loop().time()
                await until(lambda: asyncio.get_running_loop().time() > answered)  # noqa: B023
            await clients[0].send(GET)
            await clients[0].response()
            late = await site.connect()
            await late.send(GET)
            assert (await late.response()).status == 200
            assert await clients[1].closed()
            for client in (clients[0], clients[2], late):
                await client.send(GET)
                assert (await client.response()).status == 200
            assert len(site.server.connections) == 3
            for client in (*clients, late):
                client.close()

    run(main, loop_name)


@each_loop
def test_at_the_limit_busy_connections_stay_and_others_wait(loop_name):
    async def main():
        go_on = asyncio.Event()

        async def handle(exchange):
            await go_on.wait()
            exchange.response.respond(200, (), b"")

        async with serving(handle, max_connections=2) as site:
            clients = [await site.connect() for _ in range(4)]
            for client in clients:
                await client.send(GET)
            await until(lambda: len(site.server.tasks) == 2)
            await settle()
            assert len(site.server.connections) == 2
            go_on.set()
            for client in clients:
                assert (await client.response()).status == 200
                client.close()

    run(main, loop_name)


def test_connections_that_say_nothing_make_room_after_a_second():
    async def main():
        async with serving(hello, max_connections=2) as site:
            silent = [await site.connect() for _ in range(2)]
            await until(lambda: len(site.server.connections) == 2)
            client = await site.connect()
            await client.send(GET)
            await until(lambda: site.server.full)
            await settle()
            assert site.server.counters.requests == 0
            await pass_time(2)
            assert (await client.response()).status == 200
            for other in (*silent, client):
                other.close()

    run(main)


def test_idle_connections_beyond_what_is_kept_are_closed():
    async def main():
        async with serving(hello, keepalive_connections=2) as site:
            clients = [await site.connect() for _ in range(5)]
            for client in clients:
                await client.send(GET)
                await client.response()
            await until(lambda: len(site.server.connections) == 2)
            for client in clients[:3]:
                assert await client.closed()
            for client in clients[3:]:
                await client.send(GET)
                assert (await client.response()).status == 200
            for client in clients:
                client.close()

    run(main)


# accept(2) fails


class Failing:
    """A listening socket whose accept fails as it is told."""

    def __init__(self, sock):
        self.sock = sock
        self.fault = None
        self.calls = 0

    def accept(self):
        self.calls += 1
        if self.fault is not None:
            raise OSError(self.fault, "accept failed")
        return self.sock.accept()

    def fileno(self):
        return self.sock.fileno()

    def setblocking(self, flag):
        self.sock.setblocking(flag)

    def close(self):
        self.sock.close()


@each_loop
@pytest.mark.parametrize("fault", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS])
def test_without_descriptors_accepting_rests_and_recovers(loop_name, fault, caplog):
    caplog.set_level(logging.DEBUG)

    async def main():
        sock = socket.create_server(("127.0.0.1", 0))
        failing = Failing(sock)
        server = Server(Handling(hello), Settings(), loop=asyncio.get_running_loop())
        failing.fault = fault
        await server.start([failing])
        client = await Client.open(sock.getsockname())
        await until(lambda: failing.calls > 1)
        calls = failing.calls
        await settle(50)
        assert failing.calls <= calls + 1  # it rests in between
        assert len([r for r in caplog.records if r.levelno >= logging.ERROR]) == 1
        failing.fault = None
        await client.send(GET)
        assert (await client.response()).status == 200
        client.close()
        await server.drain(0)

    run(main, loop_name)


def test_a_client_that_left_before_it_was_accepted_is_no_matter(caplog):
    async def main():
        sock = socket.create_server(("127.0.0.1", 0))
        failing = Failing(sock)
        taken = []
        loop = asyncio.get_running_loop()
        acceptor = Acceptor(loop, failing, taken.append, lambda: 10,
                            logging.getLogger("tremolo"))
        failing.fault = errno.ECONNABORTED
        acceptor.start()
        client = await Client.open(sock.getsockname())
        await settle()
        failing.fault = None
        await until(lambda: taken)
        assert not caplog.records
        acceptor.close()
        client.close()
        taken[0].close()

    run(main)


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


# One connection


@each_loop
def test_a_connection_can_be_cut(loop_name):
    async def main():
        go_on = asyncio.Event()

        async def handle(exchange):
            await go_on.wait()

        async with serving(handle) as site:
            client = await site.connect()
            await client.send(GET)
            await until(lambda: site.server.tasks)
            number = site.connection.id
            assert site.server.cut(number)
            with pytest.raises((EOFError, ConnectionResetError)):
                await client.response()
            await until(lambda: not site.server.connections)
            assert not site.server.cut(number)
            go_on.set()
            client.close()

    run(main, loop_name)


def test_the_adapter_hears_of_each_connection_and_its_end():
    async def main():
        async with serving(hello) as site:
            await site.get()
            await until(lambda: site.adapter.lost)
            assert site.adapter.made == site.adapter.lost
            assert site.adapter.made[0].peer[0] == "127.0.0.1"
            assert site.adapter.made[0].sockname == site.address

    run(main)


def test_a_connection_says_what_it_is_doing():
    async def main():
        step = asyncio.Event()

        async def handle(exchange):
            await exchange.read()
            step.set()
            await exchange.read()
            await asyncio.sleep(0)
            step.clear()
            exchange.response.start(200, ())
            exchange.response.write(b"x")
            await step.wait()
            exchange.response.finish()

        async with serving(handle) as site:
            client = await site.connect()
            await until(lambda: site.server.connections)
            connection = site.connection
            assert connection.word == "new"
            assert connection.idle
            await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n")
            await until(lambda: connection.word == "reading")
            await client.send(b"a")
            await until(step.is_set)
            await client.send(b"b")
            await until(lambda: connection.word == "sending")
            step.set()
            await client.response()
            await until(lambda: connection.word == "idle")
            assert connection.requests == 1
            client.close()

    run(main)


def test_a_flood_of_bad_requests_is_one_log_line(caplog):
    caplog.set_level(logging.DEBUG)

    async def main():
        async with serving(hello) as site:
            for _ in range(20):
                data = await within(site.ask(b"\0\0\0\r\n\r\n"))
                assert data.startswith(b"HTTP/1.1 400")
            assert site.server.counters.protocol_errors == 20

    run(main)
    assert len([r for r in caplog.records if r.name == "tremolo"]) <= 2
    assert not [r for r in caplog.records if r.exc_info]
