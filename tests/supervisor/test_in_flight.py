"""What is under way at a switch: streams, WebSockets, TLS, throttled transfers, kept links."""

import asyncio
import contextlib
import http.client
import os
import random
import signal
import ssl
import threading

import pytest

from tests.benchmarks.reload_client import Link, Load, Project, Streams, one, until_new
from tests.support.processes import Server, hello, project, save, wait_until
from tests.support.serving import KEY, LOOPS, until
from tests.support.wire import CERTIFICATE


def dev(folder, *more, **environ):
    return Server(folder, "dev", "shop:app", "--port", "0", *more, **environ)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_hundred_streams_and_websockets_end_so_that_their_clients_come_back(tmp_path, loop):
    shop = Project(tmp_path, "small")
    with dev(tmp_path, "--loop", loop) as server:
        port = server.port

        async def scenario():
            streams = Streams(port)
            await streams.open(100)
            running = asyncio.ensure_future(one(port, "/slow"))
            load = Load(port, rate=100)
            loading = asyncio.ensure_future(load.run())
            await until(lambda: load.sent >= 20)
            began = shop.save("1")
            passed = await until_new(port, "1", began)
            answer = await running
            await streams.ended(5.0)
            load.stop()
            await loading
            return passed, answer, streams, load

        passed, answer, streams, load = asyncio.run(scenario())
        assert streams.sse_ends == ["end"] * 100
        assert streams.ws_ends == ["1012"] * 100
        assert answer == (200, b"0")
        assert load.failures == {}
        assert passed is not None


def test_a_kept_connection_goes_on_with_the_new_code_while_throttled(tmp_path):
    shop = Project(tmp_path, "small")
    with dev(tmp_path, "--throttle", "down=200kB up=200kB latency=5ms") as server:
        port = server.port

        async def scenario():
            link = Link()
            await link.open(port)
            for version in ("1", "2", "3"):
                await link.get()
                began = shop.save(version)
                assert await until_new(port, version, began) is not None
                assert link.writer is not None
                assert await asyncio.wait_for(link.get(), 5) == (200, version.encode())
            link.close()

        asyncio.run(scenario())


def place(server, kind, **fields):
    """Where among all events the first of a kind with these values stands."""
    return server.events.index(server.wait_for(kind, **fields))


@pytest.mark.parametrize("go_on", [True, False], ids=["for-a-moment", "until-it-is-said"])
def test_new_code_is_said_to_serve_when_the_old_takes_no_more_requests(tmp_path, go_on):
    shop = project(tmp_path, "one")
    with dev(tmp_path) as server:
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        with contextlib.closing(client):
            client.request("GET", "/")
            assert client.getresponse().read() == b"one"
            old = server.workers[0]
            os.kill(old, signal.SIGSTOP)
            try:
                save(shop, hello("two, the newer"))
                server.wait_for("worker", gen=2, state="serving")
                assert server.text() == "two, the newer"
                if not go_on:
                    said = server.wait_for("log", level="warning")["text"]
                    assert f"worker {old} of gen 1 does not respond" in said
                    server.wait_for("reload", gen=2, state="ready")
            finally:
                os.kill(old, signal.SIGCONT)
            server.wait_for("reload", gen=2, state="ready")
            if go_on and not server.find("log", level="warning"):
                assert place(server, "worker", pid=old, state="draining") < place(
                    server, "reload", gen=2, state="ready")
                client.request("GET", "/")
                assert client.getresponse().read() == b"two, the newer"
        server.wait_for("worker", pid=old, state="exited")


def test_each_answer_after_ready_is_one_of_new_code(tmp_path):
    seed = int(os.environ.get("TREMOLO_SEED", random.randrange(2**32)))
    print(f"seed {seed}")
    dice = random.Random(seed)
    shop = project(tmp_path, "0")
    with dev(tmp_path) as server:
        clients = [http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
                   for _ in range(8)]
        for number in range(1, 9):
            for client in dice.sample(clients, 5):  # some of them wait, kept by the old code
                client.request("GET", "/")
                client.getresponse().read()
            text = str(number) * (number + 1)
            save(shop, hello(text))
            server.wait_for("reload", gen=number + 1, state="ready")
            for client in dice.sample(clients, 8):
                client.request("GET", "/")
                assert client.getresponse().read().decode() == text
            assert server.text() == text
        for client in clients:
            client.close()


def test_tls_is_served_across_reloads_and_no_request_fails(tmp_path):
    shop = project(tmp_path, "gen 0")
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    with dev(tmp_path, "--ssl-cert", CERTIFICATE, "--ssl-key", KEY) as server:
        port, failures, texts, done = server.port, [], [], threading.Event()

        def load():
            while not done.is_set():
                connection = http.client.HTTPSConnection(
                    "127.0.0.1", port, timeout=5, context=trust)
                with contextlib.closing(connection):
                    try:
                        connection.request("GET", "/")
                        texts.append(connection.getresponse().read().decode())
                    except OSError as exc:
                        failures.append(repr(exc))

        thread = threading.Thread(target=load)
        thread.start()
        try:
            for number in range(1, 4):
                shop.write_text(hello(f"gen {number}"))
                wait_until(lambda n=number: texts[-1:] == [f"gen {n}"], f"text {number}")
        finally:
            done.set()
            thread.join()
        assert failures == []


def test_a_transfer_that_outlives_the_limit_does_not_hold_up_the_new_code(tmp_path):
    body = hello("x").replace('b"x"', 'b"x" * 3_000_000')
    shop = project(tmp_path)
    shop.write_text(body)
    with dev(tmp_path, "--throttle", "down=100kB", "--drain-timeout", "0.5") as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
        with contextlib.closing(connection):
            connection.request("GET", "/")
            response = connection.getresponse()
            response.read(1000)
            old = server.workers[0]
            shop.write_text(body + "# new\n")
            server.wait_for("reload", gen=2, state="ready")
            exited = server.wait_for("worker", pid=old, state="exited")
            assert exited["cause"] == "drained"
            with pytest.raises((OSError, http.client.HTTPException)):
                while response.read(1 << 16):
                    pass
        assert server.status()["totals"]["aborted"] == 1
