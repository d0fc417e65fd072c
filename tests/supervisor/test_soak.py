"""Many reloads in a row leave nothing behind.

A few by default; `TREMOLO_SOAK=200` for as many as it takes to see a slow leak.
"""

import os

import pytest

from tests.support.processes import Server, hello, is_alive, project, wait_until

RELOADS = int(os.environ.get("TREMOLO_SOAK", "12"))
SETTLED = 4  # reloads after which caches are warm
GROWTH = 8 << 20


def descriptors(pid):
    """What the open descriptors of a process are, by kind: files, sockets, pipes."""
    kinds = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            kind = os.readlink(f"/proc/{pid}/fd/{name}").partition(":")[0]
        except OSError:
            continue
        kinds[kind] = kinds.get(kind, 0) + 1
    return kinds


def resident(pid):
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def children(pid):
    """Process ids of the children, zombies included."""
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return list(map(int, file.read().split()))


def stands_by(server):
    """Whether the worker of the next generation has been forked."""
    return server.status()["standby"] is not None


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists(f"/proc/{os.getpid()}/task/{os.getpid()}/children"),
                    reason="needs Linux's /proc")
@pytest.mark.parametrize("mode", ["zygote", "spawn"])
def test_reloads_leave_no_descriptors_memory_or_zombies_behind(tmp_path, mode):
    shop = project(tmp_path, "gen 0")
    count = RELOADS if mode == "zygote" else min(RELOADS, 20) // 2
    with Server(tmp_path, "dev", "shop:app", "--port", "0", "--reload-mode", mode,
                fresh=True) as server:
        supervisor = server.process.pid
        assert server.text() == "gen 0"
        zygote = server.status()["zygote"]
        observed = [pid for pid in (supervisor, zygote) if pid]
        before = {}
        for number in range(1, count + 1):
            # A broken save each now and then, for its workers end in another way.
            if number % 5 == 0:
                shop.write_text("def broken(:\n")
                server.wait_for("reload", count=number // 5, state="failed")
            shop.write_text(hello(f"gen {number}"))
            server.wait_for("reload", count=number + 1, state="ready")
            wait_until(lambda: len(server.find("worker", state="exited"))
                       == len(server.find("worker", state="starting")) - 1, "the old one's end")
            if number == SETTLED:
                wait_until(lambda: stands_by(server) or mode == "spawn", "the next worker")
                before = {pid: (descriptors(pid), resident(pid)) for pid in observed}
        assert server.text() == f"gen {count}"
        wait_until(lambda: stands_by(server) or mode == "spawn", "the next worker")
        for pid in observed:
            assert descriptors(pid) == before[pid][0]
            assert resident(pid) < before[pid][1] + GROWTH
            assert all(map(is_alive, children(pid)))
        assert len(children(zygote or supervisor)) == (2 if zygote else 1)
