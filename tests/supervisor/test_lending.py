"""Several workers behind SO_REUSEPORT: a client that the kernel dealt to a worker that does not
accept is served by another."""

import os
import signal
import socket

import pytest

from tests.support.processes import Server, wait_until

APP = """
import os, time

if os.path.exists("slow"):
    while os.path.exists("slow"):
        time.sleep(0.01)

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    if scope["path"] == "/stick":
        with open("stick.new", "w") as file:
            file.write(str(os.getpid()))
        os.rename("stick.new", "stuck")
        while os.path.exists("stuck"):
            time.sleep(0.01)
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"connection", b"close")]})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})
"""
#: requests after which each of two sockets was dealt a connection, but for one time in a million
MANY = 20
OWN = 1  # listening socket of a worker


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lending")
    (folder / "shop.py").write_text(APP)
    return folder


@pytest.fixture(scope="module")
def server(folder):
    with Server(folder, "run", "shop:app", "--port", "0", "--workers", "2") as server:
        server.wait_for("hello")
        yield server


def answering(server, count=MANY):
    """Which processes answer new connections."""
    return {int(server.get("/")[1]) for _ in range(count)}


def listening(pid):
    """How many listening sockets a process has; connections may still be on their way out."""
    with open("/proc/net/tcp") as file:
        fields = [line.split() for line in file]
    inodes = {f"socket:[{each[9]}]" for each in fields if each[3] == "0A"}
    count = 0
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            count += os.readlink(f"/proc/{pid}/fd/{name}") in inodes
        except FileNotFoundError:
            continue
    return count


linux = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="looks into /proc")


@linux
def test_clients_of_a_worker_that_stands_still_are_served_by_another(server, folder):
    pids = set(server.workers.values())
    wait_until(lambda: answering(server) == pids, "both workers")
    wait_until(lambda: all(listening(pid) == OWN for pid in pids), "the end of earlier loans")
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"GET /stick HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until((folder / "stuck").exists)
        stuck = int((folder / "stuck").read_text())
        [helper] = pids - {stuck}
        assert answering(server) == {helper}  # nobody waits until the other goes on
        assert listening(helper) == OWN + 1
        assert server.find("worker", pid=stuck, state="blocked")
        (folder / "stuck").unlink()
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
    wait_until(lambda: answering(server) == pids, "both workers again")
    wait_until(lambda: listening(helper) == OWN, "the end of the loan")


@linux
def test_clients_of_a_worker_that_died_do_not_wait_for_its_restart(server, folder):
    pids = set(server.workers.values())
    wait_until(lambda: answering(server) == pids, "both workers")
    dead, helper = sorted(pids)
    wait_until(lambda: listening(helper) == OWN, "the end of earlier loans")
    (folder / "slow").touch()  # the next one takes long to start
    os.kill(dead, signal.SIGKILL)
    server.wait_for("worker", pid=dead, state="exited")
    assert answering(server) == {helper}
    (folder / "slow").unlink()
    wait_until(lambda: len(answering(server)) == 2, "the restarted worker")
    wait_until(lambda: listening(helper) == OWN, "the end of the loan")
