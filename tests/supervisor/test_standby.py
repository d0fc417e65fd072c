"""The worker that is forked before the next save, so that the save does not wait for it."""

import asyncio
import os
import signal
import socket
from types import SimpleNamespace

import pytest

from tests.support.processes import Server, hello, is_alive, wait_until
from tests.support.serving import until
from tremolo.supervisor.plan import Plan
from tremolo.supervisor.spawner import CORE, fork_is_trusted
from tremolo.supervisor.zygote_link import ZygoteLink
from tremolo.telemetry import builders
from tremolo.telemetry.codec import encode

pytestmark = pytest.mark.skipif(not fork_is_trusted(), reason="workers are not forked here")

LOADED = hello("x").replace('b"x"', "json.dumps([VERSION, os.getpid(), LOADED]).encode()") + """
import json, os, sys
VERSION = 1
LOADED = sorted(name for name in sys.modules if name.startswith("tremolo."))
"""


def standby(server):
    """The process id of the worker that stands by, once there is one."""
    return wait_until(lambda: server.status()["standby"],
                      "the next worker")


@pytest.fixture
def shop(tmp_path):
    path = tmp_path / "shop.py"
    path.write_text(LOADED)
    return path


@pytest.fixture
def server(tmp_path, shop):
    with Server(tmp_path, "dev", "shop:app", "--port", "0") as running:
        assert running.get_json("/")[0] == 1
        yield running


def save(server, shop, version):
    shop.write_text(LOADED.replace("VERSION = 1", f"VERSION = {version}"))
    return wait_until(lambda: [said for said in [server.get_json("/")] if said[0] == version],
                      f"version {version}")[0]


def test_a_save_is_served_by_the_worker_that_stood_by(server, shop):
    for version in (2, 3):
        waiting = standby(server)
        assert save(server, shop, version)[1] == waiting


def test_a_worker_imports_nothing_of_ours_that_could_have_been_there_before(server, shop):
    """What it needs only for this application's kind and library is not loaded for all."""
    standby(server)
    before = save(server, shop, 2)[2]
    standby(server)
    after = set(save(server, shop, 3)[2])
    missing = {name for name in CORE if name.startswith("tremolo.")} - after
    assert not missing
    assert after == set(before)
    now = server.get_json("/")
    assert now[2] == sorted(after)


def test_a_worker_that_died_standing_by_holds_up_nobody(server, shop):
    pid = standby(server)
    os.kill(pid, signal.SIGKILL)
    assert save(server, shop, 2)[1] != pid
    assert save(server, shop, 3)


def test_a_worker_that_stands_by_leaves_with_what_it_was_forked_from(server, shop):
    pid = standby(server)
    (shop.parent / "requirements.txt").write_text("x")  # packages are about to change
    wait_until(lambda: not is_alive(pid), "its end")
    assert save(server, shop, 2)[1] != pid


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_worker_that_stands_by_ends_with_the_server(tmp_path, shop, number):
    with Server(tmp_path, "dev", "shop:app", "--port", "0") as server:
        assert server.get_json("/")[0] == 1
        pid = standby(server)
        os.kill(server.process.pid, number)
        wait_until(lambda: not is_alive(pid), "its end")


def test_the_cure_of_a_broken_save_finds_a_worker_standing_by(server, shop):
    first = standby(server)
    shop.write_text("def broken(:\n")
    server.wait_for("reload", state="failed")
    waiting = wait_until(lambda: [pid for pid in [standby(server)] if pid != first], "another")[0]
    assert save(server, shop, 2)[1] == waiting


def test_nobody_is_forked_ahead_by_a_zygote_that_has_not_begun_what_it_was_asked_for_last():
    async def main():
        ours, theirs = socket.socketpair()
        current = []
        link = ZygoteLink(asyncio.get_running_loop(), ours, SimpleNamespace(pid=0),
                          lambda link, message: current.append(link.is_current))
        link.preload(["asyncio"], now=True)
        plan = Plan()
        plan.learn(["asyncio"], [])
        link.make(plan, 0)
        for number in (1, 2):
            theirs.sendall(encode(builders.preloaded(number, 1, [], 0, 1.0)))
            await until(lambda number=number: len(current) == number)
        link.close()
        theirs.close()
        assert current == [False, True]

    asyncio.run(main())
