"""Programs beside the server: `[tool.tremolo.run]`."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from tests.support.processes import Server, environment, is_alive, project, tremolo, wait_until
from tremolo.companions import companion_specs
from tremolo.exceptions import ConfigurationError
from tremolo.supervisor.bootstrap import command
from tremolo.supervisor.companions import (
    LINES_A_SECOND,
    MAX_LINE,
    READ_EVERY,
    Output,
    plain_text,
)

if sys.version_info < (3, 11):
    pytest.importorskip("tomli")  # what reads pyproject.toml

#: a program with a child of its own, both for ever
FAMILY = "sh -c 'sleep 600 & echo $$ $!; wait'"


def write(folder, **commands):
    project(folder)
    (folder / "pyproject.toml").write_text("\n".join(
        ["[tool.tremolo.run]", *map(_toml, commands.items()), ""]))


def _toml(item):
    name, value = item
    if isinstance(value, dict):
        return "\n".join(f"{name}.{key} = {json.dumps(part)}" for key, part in value.items())
    return f"{name} = '''{value}'''"


def dev(folder, *arguments):
    return Server(folder, "dev", "shop:app", "--port", "0", *arguments)


def printed(server, name, count=1):
    return [server.wait_for("log", stream="companion", name=name, count=number + 1)["text"]
            for number in range(count)]


def family(server, count=1):
    """The process ids that the `count`-th run of the companion "family" printed."""
    found = server.wait_for("log", stream="companion", name="family", count=count)["text"]
    return list(map(int, found.split()))


def status(server):
    return server.status()


def all_gone(pids):
    wait_until(lambda: not any(map(is_alive, pids)), f"the end of {pids}", 8)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("companions")
    (folder / "front").mkdir()
    (folder / ".env").write_text("FLAVOUR=vanilla\n")
    write(folder, family=FAMILY, missing="npmm run dev", done="echo well",
          colours="printf '\\033[1;32m\\033]0;title\\007green\\033[0m\\n'; exec sleep 600",
          crashing="echo tried; exit 3", environment="echo $FLAVOUR",
          place={"command": ["pwd"], "folder": "front"})
    with dev(folder) as server:
        yield server


def test_what_it_prints_is_logged_with_its_name(server):
    assert printed(server, "done") == ["well"]


def test_colours_and_titles_are_kept_out_of_the_log(server):
    assert printed(server, "colours") == ["green"]


def test_it_has_the_environment_of_the_application(server):
    assert printed(server, "environment") == ["vanilla"]


def test_it_runs_in_the_folder_that_is_named(server):
    assert printed(server, "place")[0].endswith("/front")


def test_a_command_that_is_not_there_is_named(server):
    said = server.wait_for("log", stream="tremolo", name="missing")
    assert said["text"].startswith("missing: command not found: npmm;")
    assert said["level"] == "error"


def test_one_that_ends_well_is_not_started_again(server):
    assert server.wait_for("log", stream="tremolo", name="done")["text"] == (
        "done has ended (exit code 0)")


def test_one_that_dies_is_started_again_after_a_time_that_grows(server):
    said = [server.wait_for("log", stream="tremolo", name="crashing", count=count + 1)["text"]
            for count in range(2)]
    assert said == [f"crashing ended: exit code 3; it is started again in {delay} s"
                    for delay in ("0.5", "1")]
    assert printed(server, "crashing", 2) == ["tried", "tried"]


def test_one_whose_guard_is_killed_is_ended_whole_and_started_again(server):
    pids = family(server)
    with open(f"/proc/{pids[0]}/stat") as file:
        guard = int(file.read().rpartition(")")[2].split()[1])
    os.kill(guard, signal.SIGKILL)
    all_gone(pids)
    assert family(server, 2) != pids


def test_status_names_them(server):
    family(server)
    states = {each["name"]: each for each in status(server)["companions"]}
    assert states["family"]["state"] == "running"
    assert states["family"]["command"] == FAMILY
    assert states["missing"]["state"] == "ended"


def test_a_reload_that_is_asked_for_starts_what_ended(server):
    server.wait_for("log", stream="tremolo", name="done")
    before = len(server.find("log", stream="companion", name="done"))
    server.control("reload")
    server.wait_for("log", stream="companion", name="done", count=before + 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL],
                         ids=["when-it-ends", "when-it-is-killed"])
def test_all_of_its_process_group_ends_with_the_server(tmp_path, number):
    write(tmp_path, family=FAMILY)
    with dev(tmp_path) as server:
        pids = family(server)
        assert len(pids) == 2 and all(map(is_alive, pids))
        server.end(number)
        all_gone(pids)


def test_lines_of_the_plain_log_begin_with_its_name(tmp_path):
    write(tmp_path, web="echo ready; exec sleep 600")
    with Server(tmp_path, "dev", "shop:app", "--port", "0", "--plain", json=False) as server:
        wait_until(lambda: any(" web | ready\n" in line for line in server.errors), "its line")
        server.end()


@pytest.mark.parametrize("arguments", [("run", "shop:app"), ("dev", "shop:app",
                                                             "--no-companions")], ids=" ".join)
def test_they_are_not_started(tmp_path, arguments):
    write(tmp_path, web="touch started; exec sleep 600")
    with Server(tmp_path, *arguments, "--port", "0") as server:
        assert server.text() == "one"
        assert status(server)["companions"] == []
    assert not (tmp_path / "started").exists()


def test_one_that_ignores_the_request_to_end_is_killed():
    output, theirs = os.pipe()
    guard = subprocess.Popen(
        command("tremolo.supervisor.companion_guard", "main", theirs,
                ["/bin/sh", "-c", "trap '' TERM; echo ready; sleep 600; sleep 600"], "", 0.1),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=(theirs,))
    os.close(theirs)
    with guard, open(output, "rb") as printed:
        pid = int(guard.stdout.readline().split()[1])
        assert printed.readline() == b"ready\n"
        guard.stdin.close()
        assert guard.stdout.readline() == b"exited 9\n"
        assert not is_alive(pid)


# -- what it prints, bounded ---------------------------------------------------------------


def feed_output(pieces):
    """The lines, and the numbers of those left out, of an Output that reads `pieces`."""
    async def main():
        lines, left_out = [], []
        fd, write_end = os.pipe()
        output = Output(asyncio.get_running_loop(), fd, lines.append, left_out.append)
        for piece in pieces:
            os.write(write_end, piece)
            await asyncio.sleep(READ_EVERY * 1.5)
        os.close(write_end)
        output.close()
        return lines, left_out

    return asyncio.run(main())


def test_of_a_flood_the_lines_left_out_are_counted():
    lines, left_out = feed_output([b"line\n" * 1000])
    # The second may change in the middle of it.
    assert LINES_A_SECOND <= len(lines) <= 2 * LINES_A_SECOND
    assert len(lines) + sum(left_out) == 1000


def test_a_line_is_bounded():
    lines, _ = feed_output([b"x" * (MAX_LINE + 100) + b"\nnext\n"])
    assert len(lines[0]) <= MAX_LINE
    assert lines[-1] == "next"


def test_a_question_without_a_line_end_is_shown():
    async def main():
        lines = []
        fd, write_end = os.pipe()
        output = Output(asyncio.get_running_loop(), fd, lines.append, lambda count: None)
        os.write(write_end, b"use port 3001? (Y/n) ")
        deadline = time.monotonic() + 5
        while not lines and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        output.close()
        os.close(write_end)
        return lines

    assert asyncio.run(main()) == ["use port 3001? (Y/n) "]


@pytest.mark.parametrize(("line", "shown"), [
    pytest.param(b"\x1b[2K\x1b[1Gready", "ready", id="erased"),
    pytest.param(b"10 %\r 50 %\r100 %\r", "100 %", id="written-over"),
    pytest.param(b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link", id="link"),
    pytest.param(b"\x1bcclear\x07", "clear\u2407", id="reset-and-bell"),
    pytest.param("grün \u202e".encode(), "grün \\u202e", id="hidden-characters"),
    pytest.param(b"\xff", "\\xff", id="not-utf-8"),
])
def test_a_line_is_shown_as_it_looks_in_the_end(line, shown):
    assert plain_text(line) == shown


# -- what may stand in pyproject.toml ------------------------------------------------------


@pytest.mark.parametrize(("value", "argv"), [
    pytest.param("npm run dev", ["npm", "run", "dev"], id="words"),
    pytest.param("cd web && npm run dev", ["/bin/sh", "-c", "cd web && npm run dev"],
                 id="shell"),
    pytest.param("PORT=1 npm start", ["/bin/sh", "-c", "PORT=1 npm start"], id="variable"),
    pytest.param(["npm", "run", "a b"], ["npm", "run", "a b"], id="list"),
    pytest.param({"command": "npm start"}, ["npm", "start"], id="table"),
])
def test_a_command_is_understood(value, argv):
    [spec] = companion_specs({"web": value})
    assert spec.argv == argv


@pytest.mark.parametrize(("table", "said"), [
    pytest.param("npm", "must be a table", id="no-table"),
    pytest.param({"web": 5}, "[tool.tremolo.run] web must be a command", id="number"),
    pytest.param({"web": ""}, "[tool.tremolo.run] web must be a command", id="empty"),
    pytest.param({"web": {"cmd": "x"}}, 'an unknown key "cmd"', id="unknown-key"),
    pytest.param({"a b": "x"}, 'has the name "a b"', id="name"),
])
def test_what_is_no_command_is_refused(table, said):
    with pytest.raises(ConfigurationError) as caught:
        companion_specs(table)
    assert said in str(caught.value)


def test_a_mistake_in_pyproject_is_one_line(tmp_path):
    project(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.tremolo.run]\nweb = 5\n")
    done = tremolo("dev", "shop:app", "--plain", cwd=tmp_path, environ=environment(tmp_path))
    assert done.returncode == 1
    assert done.stderr == textwrap.dedent("""\
        [tool.tremolo.run] web must be a command, such as "npm run dev"
        """)
