"""Workers that are replaced or counted: by signals, by limits, because they stand still."""

import os
import re
import signal
import socket
import time

from tests.support.processes import ROOT, Server, hello, is_alive, project, save, wait_until


def run(folder, *more, **environ):
    return Server(folder, "run", "shop:app", "--port", "0", *more, **environ)


def dev(folder, *more, **environ):
    return Server(folder, "dev", "shop:app", "--port", "0", *more, **environ)


def serving(server):
    """The process ids of the workers that serve now."""
    last = {event["pid"]: event["state"] for event in server.find("worker")}
    return {pid for pid, state in last.items() if state == "serving"}


def test_signals_scale_the_workers_and_no_connection_is_left_hanging(tmp_path):
    project(tmp_path, "here")
    with run(tmp_path, "--workers", "2") as server:
        assert server.text() == "here"
        server.send_signal(signal.SIGTTIN)
        wait_until(lambda: len(serving(server)) == 3, "the third worker")
        for left in (2, 1):
            server.send_signal(signal.SIGTTOU)
            wait_until(lambda left=left: len(serving(server)) == left, "one worker less")
        # The kernel goes on to spread connections over the sockets of all slots.
        assert [server.get(timeout=3)[1] for _ in range(30)] == [b"here"] * 30
        server.send_signal(signal.SIGTTOU)  # there is always one
        server.send_signal(signal.SIGHUP)
        server.wait_for("reload", gen=2, state="ready", cause="hangup")
        assert [server.get(timeout=3)[1] for _ in range(30)] == [b"here"] * 30
        server.send_signal(signal.SIGTTIN)
        wait_until(lambda: len(serving(server)) == 2, "two workers again")
        assert [server.get(timeout=3)[1] for _ in range(20)] == [b"here"] * 20


def test_a_worker_that_had_its_requests_is_replaced_without_a_gap(tmp_path):
    project(tmp_path, "here")
    with run(tmp_path, "--max-requests", "50") as server:
        first = server.wait_for("worker", state="serving")["pid"]
        answers = 0
        while not server.find("worker", pid=first, state="exited"):
            assert server.get()[1] == b"here"
            answers += 1
            assert answers < 5000
        assert answers >= 50
        assert server.find("worker", pid=first, state="exited")[0]["cause"] == "drained"


def test_a_worker_without_a_sign_of_life_is_replaced_and_what_queued_is_served(tmp_path):
    (tmp_path / "shop.py").write_text(hello("here").replace(
        "    await send({\"type\": \"http.response.start\"",
        "    while scope['path'] == '/spin': pass\n"
        "    await send({\"type\": \"http.response.start\""))
    with run(tmp_path, "--stuck-timeout", "2.0") as server:
        assert server.text() == "here"
        stopped = server.workers[0]
        os.kill(stopped, signal.SIGSTOP)  # not even its watchdog runs
        exited = server.wait_for("worker", pid=stopped, state="exited")
        assert exited["cause"] == "SIGKILL"
        assert exited["expected"] is False
        assert "no sign of life" in server.wait_for("worker", state="blocked")["cause"]
        assert server.text() == "here"
        spinning = server.wait_for("worker", count=2, state="serving")["pid"]
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(b"GET /spin HTTP/1.1\r\nHost: x\r\n\r\n")
            # Whoever notices first, it or we, the place is what it says itself.
            wait_until(lambda: [event for event in server.find(
                "worker", pid=spinning, state="blocked") if "shop.py:9 in app" in event["cause"]],
                "the place")
            server.wait_for("worker", pid=spinning, state="exited")
        assert server.text() == "here"


def test_a_supervisor_that_stood_still_blames_nobody(tmp_path):
    project(tmp_path, "here")
    with run(tmp_path, "--stuck-timeout", "1.5") as server:
        worker = server.wait_for("worker", state="serving")["pid"]
        for pid in (server.process.pid, worker):
            os.kill(pid, signal.SIGSTOP)
        stood = time.monotonic() + 3.3  # as a closed lid: this is about the time that passes
        wait_until(lambda: time.monotonic() > stood)
        for pid in (worker, server.process.pid):
            os.kill(pid, signal.SIGCONT)
        count = len(server.find("stats"))
        server.wait_for("stats", count=count + 2)
        assert server.text() == "here"
        assert is_alive(worker)
        assert not server.find("worker", state="exited")


def test_the_first_start_is_told_from_a_reload_and_status_names_slow_modules(tmp_path):
    (tmp_path / "slow.py").write_text("import time; time.sleep(0.02)")
    shop = tmp_path / "shop.py"
    shop.write_text("import slow\n" + hello("one"))
    with dev(tmp_path, "--bind", "127.0.0.1:0,[::1]:0") as server:
        assert server.wait_for("reload", gen=1, state="ready")["cause"] == "start"
        shop.write_text("import slow\n" + hello("two"))
        event = server.wait_for("reload", gen=2, state="ready")
        assert event["cause"] == "change"
        assert event["modules"][0][0] == "slow"
        assert event["modules"][0][1] >= 20
        addresses = server.wait_for("hello")["addresses"]
        assert len(addresses) == 2
        for address in addresses:
            text = server.control("status", "--port", address.rpartition(":")[2])
            assert re.search(r"reloaded shop\.py \d+ ms: seen \d+ · fork \d+ · import", text)
            assert re.search(r"[\d.]+ ms  slow\n", text)
        server.control("reload")  # one server, whatever number of addresses
        assert server.wait_for("reload", gen=3, state="ready")["cause"] == "request"
        (tmp_path / "style.css").write_text("a {}")
        assert server.wait_for("assets")["files"] == ["style.css"]
        assert not server.find("reload", gen=4)


def test_an_application_that_writes_its_own_module_is_stopped_by_name(tmp_path):
    (tmp_path / "stamp.py").write_text("at = 0")
    (tmp_path / "shop.py").write_text(
        "import time, stamp\n" + hello("here") + "with open(stamp.__file__, 'r+') as file:\n"
        "    file.write(f'at = {time.time():.6f}')\n")  # whole or not at all, if it is killed
    with dev(tmp_path) as server:
        note = wait_until(lambda: [event for event in server.find("log")
                                   if "reloads it again and again" in event["text"]],
                          "the note")[0]
        assert "stamp.py" in note["text"]
        server.wait_for("reload", state="ready")
        server.wait_for("stats", count=len(server.find("stats")) + 2)
        assert len(server.find("reload", state="started")) <= 5
        assert server.text() == "here"
        assert "stamp.py are ignored" in server.control("status")


def test_an_installed_package_that_changes_is_loaded_anew(tmp_path):
    packages = tmp_path / "site-packages"
    packages.mkdir()
    library = packages / "library.py"
    library.write_text("text = 'old'\n")
    shop = tmp_path / "shop.py"
    shop.write_text("import library\n" + hello("x").replace('b"x"', "library.text.encode()"))
    with dev(tmp_path, PYTHONPATH=os.pathsep.join((ROOT, str(packages)))) as server:
        assert server.text() == "old"
        wait_until(lambda: server.status()["standby"], "all that was imported to be known")
        zygote = server.status()["zygote"]
        library.write_text("text = 'newer'\n")
        event = server.wait_for("reload", state="ready", cause="packages")
        assert event["mode"] == "zygote"
        assert server.text() == "newer"
        assert server.status()["zygote"] != zygote


def test_a_crash_right_after_the_fork_makes_forking_suspect(tmp_path):
    shop = project(tmp_path, "one")
    with dev(tmp_path) as server:
        assert server.text() == "one"
        save(shop, hello("two").replace(
            "    await send({\"type\": \"http.response.start\"",
            "    import os, signal\n"
            "    if scope['path'] == '/crash': os.kill(os.getpid(), signal.SIGSEGV)\n"
            "    await send({\"type\": \"http.response.start\""))
        server.wait_for("reload", gen=2, state="ready")
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(b"GET /crash HTTP/1.1\r\nHost: localhost\r\n\r\n")
            wait_until(lambda: any("died in its first second" in event["text"]
                                   for event in server.find("log")), "the note")
        assert server.text() == "two"
        save(shop, hello("three"))
        assert server.wait_for("reload", gen=3, state="ready")["mode"] == "spawn"
