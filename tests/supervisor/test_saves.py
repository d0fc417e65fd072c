"""No save is lost, whatever else goes on at that moment: what serves is what the disk holds."""

import os
import threading
import time

import pytest

from tests.support.processes import Server, hello, project, save, wait_until

SLOW = "import time; time.sleep(0.8)\n"
SLOW_LIFESPAN = hello("TEXT").replace(
    "            message = await receive()",
    "            message = await receive()\n"
    "            import asyncio; await asyncio.sleep(0.8)")
WORDS = "import words\n" + hello("x").replace('b"x"', "words.text.encode()")


@pytest.fixture
def words(tmp_path):
    """A module of which `shop` says the text."""
    path = tmp_path / "words.py"
    path.write_text("text = 'one'")
    return path


@pytest.fixture
def shop(tmp_path):
    path = tmp_path / "shop.py"
    path.write_text(WORDS)
    return path


def dev(folder, *more, **environ):
    return Server(folder, "dev", "shop:app", "--port", "0", *more, **environ)


@pytest.fixture(params=["zygote", "spawn"])
def mode(request):
    return request.param


def served(server, text):
    server.wait_for_text(text)


def running(server):
    """The generation whose code has begun to run."""
    return server.wait_for("log", text="running")["gen"]


# -- while code starts -------------------------------------------------------------------------


def test_a_save_while_the_last_one_is_still_being_imported_is_served(tmp_path, mode):
    shop = project(tmp_path, "one")
    with dev(tmp_path, "--reload-mode", mode) as server:
        assert server.text() == "one"
        save(shop, "print('running')\n" + SLOW + hello("two"))
        gen = running(server)
        shop.write_text(hello("three"))
        served(server, "three")
        ready = server.wait_for("reload", state="ready", cause="change")
        assert ready["gen"] > gen
        assert ready["files"] == ["shop.py"]


def test_a_save_during_a_slow_lifespan_is_served(tmp_path):
    shop = project(tmp_path, "one")
    with dev(tmp_path) as server:
        assert server.text() == "one"
        save(shop, "print('running')\n" + SLOW_LIFESPAN.replace("TEXT", "two"))
        running(server)
        shop.write_text(hello("three"))
        served(server, "three")
        server.wait_for("reload", count=2, state="ready")
        assert len(server.find("reload", state="ready")) == 2


def test_a_save_during_the_very_first_start_is_served(tmp_path, mode):
    shop = tmp_path / "shop.py"
    shop.write_text("print('running')\n" + SLOW + hello("one"))
    with dev(tmp_path, "--reload-mode", mode) as server:
        gen = running(server)
        shop.write_text(hello("two"))
        served(server, "two")
        assert server.wait_for("hello")["gen"] > gen


def test_a_save_of_a_module_that_was_read_already_is_served(tmp_path, shop, words):
    with dev(tmp_path) as server:
        assert server.text() == "one"
        save(shop, "import words\nprint('running')\n" + SLOW + WORDS)
        running(server)
        words.write_text("text = 'two'")
        served(server, "two")


def test_a_save_of_a_module_that_is_still_to_be_read_starts_nothing_twice(
        tmp_path, shop, words):
    with dev(tmp_path) as server:
        assert server.text() == "one"
        save(shop, "print('running')\n" + SLOW + WORDS)
        running(server)
        words.write_text("text = 'two'")
        server.wait_for("reload", state="ready", gen=2)
        assert server.text() == "two"
        assert len(server.find("reload", state="started")) == 2


@pytest.mark.parametrize(("saved", "files"), [
    ("text = 'two'", ["shop.py", "words.py"]), ("1/0", ["shop.py", "words.py"]),
    ("text = 'one'", ["shop.py"]),
], ids=["works", "fails", "as before"])
def test_a_save_before_code_that_starts_has_read_the_file_is_named_with_it(
        tmp_path, shop, words, saved, files):
    with dev(tmp_path) as server:
        assert server.text() == "one"
        save(shop, "print('running')\n" + SLOW + WORDS)
        running(server)
        words.write_text(saved)
        ended = wait_until(lambda: [event for event in server.find("reload", gen=2)
                                    if event["state"] != "started"], "the end of the start")
        assert ended[0]["files"] == files


def test_a_formatter_that_writes_again_after_the_save_is_served(tmp_path):
    shop = project(tmp_path, "one")
    with dev(tmp_path) as server:
        assert server.text() == "one"
        for gap in (0.02, 0.1, 0.2):
            shop.write_text(SLOW.replace("0.8", "0.3") + hello(f"saved {gap}"))
            time.sleep(gap)  # what a formatter takes, not something to wait for
            shop.write_text(SLOW.replace("0.8", "0.3") + hello(f"formatted {gap}"))
            served(server, f"formatted {gap}")


def test_a_module_that_is_written_while_it_is_imported_is_read_again(tmp_path, shop, words):
    """Between the reading of a file and the report of it."""
    with dev(tmp_path) as server:
        assert server.text() == "one"
        for number in range(8):
            words.write_text(f"text = 'first {number}'")
            time.sleep(0.008 * number)  # from before the fork to after the switch
            words.write_text(f"text = 'then {number}'")
            served(server, f"then {number}")


def test_each_of_several_workers_serves_the_last_save(tmp_path):
    shop = project(tmp_path, "one")
    with dev(tmp_path, "--workers", "3") as server:
        assert server.text() == "one"
        for number in range(4):
            shop.write_text(SLOW.replace("0.8", "0.05") + hello(f"first {number}"))
            time.sleep(0.03 * number)
            shop.write_text(SLOW.replace("0.8", "0.05") + hello(f"then {number}"))
            served(server, f"then {number}")
        assert {server.text() for _ in range(30)} == {"then 3"}


def test_a_failure_is_not_shown_of_code_that_has_been_repaired_meanwhile(tmp_path):
    shop = project(tmp_path, "one")
    with dev(tmp_path) as server:
        assert server.text() == "one"
        save(shop, "print('running')\n" + SLOW + "1/0\n")
        running(server)
        shop.write_text(hello("two"))
        served(server, "two")
        assert not server.find("reload", state="failed")


def test_a_file_that_was_touched_in_vain_while_code_starts_does_not_start_it_anew(tmp_path):
    shop = project(tmp_path, "one")
    with dev(tmp_path) as server:
        assert server.text() == "one"
        save(shop, "print('running')\n" + SLOW + hello("two"))
        running(server)
        os.utime(shop)
        (tmp_path / "notes.txt").write_text("nothing")
        server.wait_for("reload", state="ready", gen=2)
        assert len(server.find("reload", state="started")) == 2


# -- imports that never end --------------------------------------------------------------------


@pytest.mark.parametrize("source", [
    pytest.param("while True: pass\n", id="busy"),
    pytest.param("import time; time.sleep(1000)\n", id="asleep"),
    pytest.param("import re; re.match('(a+)+$', 'a' * 60 + 'b')\n", id="holds-the-interpreter"),
    pytest.param("import signal, time\nfor n in (2, 15): signal.signal(n, signal.SIG_IGN)\n"
                 "time.sleep(1000)\n", id="ignores-signals"),
])
def test_the_cure_of_an_import_that_hangs_is_served(tmp_path, source):
    shop = project(tmp_path, "one")
    with dev(tmp_path) as server:
        assert server.text() == "one"
        save(shop, "print('running')\n" + source)
        running(server)
        shop.write_text(hello("two"))
        served(server, "two")


@pytest.mark.parametrize(("when", "mode"), [
    ("before", "zygote"), ("before", "spawn"), ("after", "zygote")])
def test_the_cure_of_a_first_import_that_hangs_is_served(tmp_path, when, mode):
    shop = tmp_path / "shop.py"
    shop.write_text("print('running')\nwhile True: pass\n")
    timeout = "30" if when == "before" else "2"
    with dev(tmp_path, "--startup-timeout", timeout, "--reload-mode", mode) as server:
        if when == "before":
            running(server)
        else:
            server.wait_for("reload", state="failed")
        shop.write_text(hello("two"))
        served(server, "two")


def test_the_cure_may_lie_in_another_module_than_the_one_that_hangs(tmp_path):
    words = tmp_path / "words.py"
    words.write_text("ready = True; text = 'one'")
    shop = tmp_path / "shop.py"
    shop.write_text(WORDS)
    with dev(tmp_path) as server:
        assert server.text() == "one"
        words.write_text("ready = False")
        shop.write_text("import words\nprint('running')\nwhile not words.ready: pass\n" + WORDS)
        server.wait_for("log", text="running")
        words.write_text("ready = True; text = 'two'")
        served(server, "two")


def test_the_cure_may_be_a_file_that_nobody_imports(tmp_path):
    """Code may be read in ways that no import tells of."""
    plan = tmp_path / "plan.py"
    plan.write_text("while True: pass")
    shop = project(tmp_path, "one")
    with dev(tmp_path) as server:
        assert server.text() == "one"
        save(shop, "print('running')\nexec(open('plan.py').read())\n" + hello("two"))
        running(server)
        plan.write_text("")
        served(server, "two")


def ask(server):
    """A request that is never answered."""
    with pytest.raises(OSError):
        server.get()


def test_a_lazy_import_that_blocks_the_loop_is_cured_by_a_save(tmp_path):
    lazy = tmp_path / "lazy.py"
    lazy.write_text("while True: pass")
    (tmp_path / "shop.py").write_text(hello("x").replace(
        '    await send({"type": "http.response.start"',
        '    import lazy\n    await send({"type": "http.response.start"').replace(
            'b"x"', "lazy.text.encode()"))
    with dev(tmp_path) as server:
        server.wait_for("hello")
        thread = threading.Thread(target=ask, args=(server,))
        thread.start()
        server.wait_for("worker", state="blocked")
        lazy.write_text("text = 'two'")
        served(server, "two")
    thread.join()


# -- who writes --------------------------------------------------------------------------------


def complaints(server):
    return [event["text"] for event in server.find("log") if event["level"] in (
        "warning", "error") and event["stream"] == "tremolo"]


def test_a_burst_of_saves_blames_nobody_and_ends_with_the_last(tmp_path):
    shop = project(tmp_path, "one")
    with dev(tmp_path) as server:
        assert server.text() == "one"
        for burst in range(2):
            for number in range(6):
                shop.write_text(hello(f"burst {burst} save {number}"))
                time.sleep(0.03)  # the gap that is meant
            served(server, f"burst {burst} save 5")
        shop.write_text(hello("afterwards"))
        served(server, "afterwards")
        assert not complaints(server)


def test_a_file_that_is_appended_to_line_by_line_is_served_whole(tmp_path):
    shop = project(tmp_path, "one")
    with dev(tmp_path) as server:
        assert server.text() == "one"
        with open(shop, "a") as file:
            for number in range(50):
                file.write(f"# line {number}\n")
                file.flush()
                time.sleep(0.02)
        shop.write_text(hello("whole"))
        served(server, "whole")
        assert not [text for text in complaints(server) if "ignored from now" in text]
        assert not [text for text in complaints(server) if "notification" in text]


def test_a_developer_who_saves_what_the_application_writes_is_served(tmp_path):
    """Also once its own writing is ignored."""
    stamp = tmp_path / "stamp.py"
    stamp.write_text("at = 0")
    shop = tmp_path / "shop.py"
    shop.write_text("import time, stamp\n" + hello("x").replace(
        'b"x"', "str(stamp.at).encode()")
        + "if isinstance(stamp.at, float) or stamp.at == 0:\n"
        "    with open(stamp.__file__, 'r+') as file:\n"
        "        file.write(f'at = {time.time():.6f}')\n")  # whole or not at all, if it is killed
    with dev(tmp_path) as server:
        wait_until(lambda: [text for text in complaints(server) if "again and again" in text],
                   "the note")
        wait_until(lambda: server.find("reload")[-1]["state"] == "ready", "the code")
        stamp.write_text("at = 'the developer'")
        served(server, "the developer")


def test_a_file_that_a_child_of_the_application_writes_goes_on_to_count(tmp_path):
    stamp = tmp_path / "stamp.py"
    stamp.write_text("at = 0")
    (tmp_path / "shop.py").write_text(
        "import subprocess, sys, stamp\n" + hello("x").replace(
            'b"x"', "str(stamp.at).encode()")
        + "if isinstance(stamp.at, int):\n"
        "    write = '[ -e enough ] || echo at = %d > stamp.py' % (stamp.at + 1)\n"
        "    subprocess.run(['sh', '-c', write])\n")
    with dev(tmp_path) as server:
        wait_until(lambda: [text for text in complaints(server) if "spaced out" in text],
                   "the note")
        (tmp_path / "enough").touch()
        wait_until(lambda: f"at = {server.text()}" == stamp.read_text().strip(), "its last word")
        stamp.write_text("at = 'the developer'")
        served(server, "the developer")
        assert not [text for text in complaints(server) if "of the server itself" in text]
