"""The command line as users meet it: what it prints, what it returns."""

import json
import os
import re
import socket
import subprocess
import sys

import pytest

from tests.support import processes
from tests.support.processes import ROOT, Server, environment, hello, project
from tremolo.commands.serving import prepare
from tremolo.units import counted, format_latency


def tremolo(folder, *arguments, **environ):
    return processes.tremolo(*arguments, cwd=folder, environ=environment(folder, **environ))


def test_the_version_names_the_interpreter(tmp_path):
    done = tremolo(tmp_path, "--version")
    assert done.returncode == 0
    words = done.stdout.split()
    assert words[0] == "tremolo"
    assert words[2:] == [f"({sys.implementation.name}",
                         ".".join(map(str, sys.version_info[:3])) + ",", f"{sys.platform})"]


def test_help_is_grouped_and_names_every_flag(tmp_path):
    done = tremolo(tmp_path, "--help-all")
    assert done.returncode == 0
    from tremolo.config import OPTIONS

    for option in OPTIONS:
        for flag in option.flags:
            assert flag in done.stdout
    for title in ("where to listen", "processes", "reloading", "limits", "throttle"):
        assert f"\n{title}:" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_the_short_help_fits_a_screen_and_names_the_other(tmp_path):
    for arguments in (["dev", "--help"], ["dev", "-h"], ["--help"]):
        done = tremolo(tmp_path, *arguments, COLUMNS="80")
        assert done.returncode == 0
        lines = done.stdout.splitlines()
        assert len([line for line in lines if line.startswith("  -")]) <= 13
        assert len(lines) <= 30
        assert "--help-all" in done.stdout
        assert "-p, --port N" in done.stdout
        assert "--keepalive-timeout" not in done.stdout


@pytest.mark.parametrize(("arguments", "usage"), [
    (["help"], "usage: tremolo dev"), (["help", "log"], "usage: tremolo log")])
def test_help_is_a_word_too(tmp_path, arguments, usage):
    assert tremolo(tmp_path, *arguments).stdout.startswith(usage)


@pytest.mark.parametrize(("arguments", "said"), [
    pytest.param(["relaod"], 'no command and no module "relaod". Did you mean "reload"?',
                 id="command"),
    pytest.param(["runserver"], 'no command and no module "runserver". Did you mean "dev"?',
                 id="command of another server"),
    pytest.param(["completion"], "arguments are required: bash|zsh|fish", id="shell"),
    pytest.param(["last", "eror"], "argument error: invalid choice: 'eror'", id="last"),
    pytest.param(["dev", "--log-level", "LOUD"], 'Invalid --log-level value "LOUD". It must be '
                 "one of DEBUG", id="level"),
    pytest.param(["dev", "shop:app", "--prot", "1"],
                 'Unrecognized option "--prot". Did you mean "--port"?', id="option"),
    pytest.param(["dev", "shop:app", "more"], '"more" is one word too many', id="word"),
    pytest.param(["dev", "shop:app", "--reload-dir", "nope"],
                 'Invalid --reload-dir value "nope". There is no such folder', id="folder"),
])
def test_a_mistyped_word_is_answered_with_the_nearest(tmp_path, arguments, said):
    project(tmp_path)
    done = tremolo(tmp_path, *arguments)
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_short_flags_are_those_of_other_servers(tmp_path, monkeypatch):
    project(tmp_path)
    monkeypatch.chdir(tmp_path)
    settings = prepare(["shop:app", "-p", "0", "-w", "3"], dev=False).settings
    assert (settings.port, settings.worker_num) == (0, 3)


@pytest.mark.parametrize(("line", "expected"), [
    ("tremolo dev --pla", ["--plain"]), ("tremolo throttle reg", ["regular-3g"]),
    ("tremolo dev --interface wsg", ["wsgi"]), ("tremolo sta", ["status", "stats"]),
    ("tremolo dev sh", ["shop.py"])])
def test_bash_completes_words(tmp_path, line, expected):
    project(tmp_path)
    words = line.split()
    script = tremolo(tmp_path, "completion", "bash").stdout + (
        f"\nCOMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; _tremolo\n"
        'printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True,
                          timeout=20)
    assert done.stdout.split() == expected, done.stderr


def test_other_shells_have_a_completion_with_every_flag(tmp_path):
    from tremolo.config import OPTIONS

    for shell in ("zsh", "fish"):
        script = tremolo(tmp_path, "completion", shell).stdout
        for option in OPTIONS:
            for flag in option.flags:
                assert flag.lstrip("-") in script


@pytest.mark.parametrize(("arguments", "code", "text"), [
    pytest.param([], 1, "You must specify APP", id="no-app"),
    pytest.param(["nowhere:app"], 1, 'Could not import module "nowhere"', id="no-module"),
    pytest.param(["shop:nothing"], 1, '"shop" has no attribute "nothing"', id="no-attribute"),
    pytest.param(["shop:number"], 1, "cannot be called", id="not-callable"),
    pytest.param(["shop:make"], 1, "--factory", id="factory"),
    pytest.param(["nowhere.py"], 1, "No such file", id="no-file"),
    pytest.param(["shop:"], 1, "Invalid APP", id="bad-app"),
    pytest.param(["shop:app", "--port", "xx"], 1, 'Invalid --port value "xx". It must be a '
                 "number", id="port"),
    pytest.param(["shop:app", "--port", "70000"], 1, "from 0 to 65535", id="port-range"),
    pytest.param(["shop:app", "--bind", "x:y"], 1, 'Invalid --bind value "x:y"', id="bind"),
    pytest.param(["shop:app", "--nonsense"], 2, 'Unrecognized option "--nonsense"',
                 id="option"),
    pytest.param(["shop:app", "--log-level", "LOUD"], 1, "--log-level", id="log-level"),
    pytest.param(["shop:app", "--host", "256.1.1.1"], 1, "resolve", id="host"),
    pytest.param(["shop:app", "--env-file", "nope"], 1, "--env-file", id="env-file"),
    pytest.param(["shop:app", "--ssl-cert", "nope.pem"], 1, "nope.pem", id="certificate"),
    pytest.param(["shop:app", "--throttle", "warp"], 1, "warp", id="throttle"),
    pytest.param(["shop:app", "--loop", "nope"], 1, "--loop", id="loop"),
])
def test_a_mistake_is_one_clear_line(tmp_path, arguments, code, text):
    project(tmp_path)
    (tmp_path / "shop.py").write_text(
        hello("x") + "\nnumber = 3\n\ndef make():\n    return app\n")
    more = [] if "--port" in arguments else ["--port", "0"]
    done = tremolo(tmp_path, *arguments, *(more if arguments else []))
    said = done.stdout + done.stderr
    assert done.returncode == code, said
    assert text in said
    assert "Traceback" not in said
    assert len(said.strip().splitlines()) == 1, said


@pytest.mark.parametrize("arguments", [("run",), ("--workers", "2")])
def test_an_exception_of_the_application_is_shown_with_its_traceback(tmp_path, arguments):
    (tmp_path / "shop.py").write_text("import colours\n")
    (tmp_path / "colours.py").write_text("def mix():\n    return 1 / 0\n\nmix()\n")
    done = tremolo(tmp_path, *arguments, "shop:app", "--port", "0")
    assert done.returncode == 1
    assert "ZeroDivisionError: division by zero" in done.stderr
    assert "return 1 / 0" in done.stderr
    assert "importlib" not in done.stderr
    assert os.path.join("tremolo", "worker") not in done.stderr


@pytest.mark.parametrize("target", ["shop:app", "shop", "shop.py", "shop.py:app"])
def test_an_application_is_named_by_module_or_file(tmp_path, target):
    project(tmp_path, "here")
    with Server(tmp_path, target, "--port", "0") as server:
        assert server.text() == "here"


def test_a_wsgi_application_is_served(tmp_path):
    (tmp_path / "shop.py").write_text(
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
        "    return [b'wsgi']\n")
    with Server(tmp_path, "dev", "shop:app", "--port", "0") as server:
        assert server.text() == "wsgi"


def test_a_file_elsewhere_brings_its_folder(tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "words.py").write_text("text = 'found'\n")
    (inner / "my-shop.py").write_text("import words\n" + hello("x").replace(
        'b"x"', "words.text.encode()"))
    with Server(tmp_path, str(inner / "my-shop.py"), "--port=0") as server:
        assert server.text() == "found"


def test_options_stand_in_pyproject_and_the_command_line_wins(tmp_path, monkeypatch):
    pytest.importorskip("tomllib")
    project(tmp_path, "here")
    (tmp_path / "pyproject.toml").write_text(
        "[tool.tremolo]\napp = 'shop:app'\nport = 1\nworkers = 2\nws = false\n")
    monkeypatch.chdir(tmp_path)
    start = prepare(["--port", "0"], dev=True)
    app, settings = start.app, start.settings
    assert (app, settings.port, settings.worker_num, settings.ws) == ("shop:app", 0, 2, False)
    assert settings.reload
    assert settings.debug


def test_throttle_presets_of_ones_own_stand_in_pyproject(tmp_path):
    pytest.importorskip("tomllib")
    project(tmp_path, "here")
    (tmp_path / "pyproject.toml").write_text(
        "[tool.tremolo.presets]\ntrain = 'down=2Mbit latency=200ms'\n")
    with Server(tmp_path, "shop:app", "--port=0", "--throttle", "/slow/*: train") as server:
        assert server.text() == "here"
        state = json.loads(server.control("status", "--json"))
        assert state["throttle"]["/slow/*"]["download"] == 250_000
        assert state["presets"]["train"]["throttle"]["latency"] == 0.2
        assert "*: down=2Mbit" in server.control("throttle", "Train")


def test_a_wrong_preset_in_pyproject_is_one_clear_line(tmp_path):
    pytest.importorskip("tomllib")
    project(tmp_path, "here")
    (tmp_path / "pyproject.toml").write_text("[tool.tremolo.presets]\ntrain = 'down=2'\n")
    done = tremolo(tmp_path, "shop:app")
    assert done.returncode == 1
    assert "train" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_option_in_pyproject_is_named(tmp_path):
    pytest.importorskip("tomllib")
    (tmp_path / "pyproject.toml").write_text("[tool.tremolo]\nprot = 1\n")
    done = tremolo(tmp_path, "shop:app")
    assert done.returncode == 1
    assert '"prot"' in done.stderr


def test_a_file_beside_the_application_shadows_nothing_of_ours(tmp_path):
    for name in ("rich", "textual", "watchfiles", "tremolo_tui", "asyncio", "json"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('shadowed')\n")
    project(tmp_path, "here")
    with Server(tmp_path, "dev", "shop:app", "--port", "0") as server:
        assert server.text() == "here"
        (tmp_path / "shop.py").write_text(hello("two"))
        server.wait_for("reload", gen=2, state="ready")
        assert server.text() == "two"


def test_plain_lines_tell_each_request(tmp_path):
    (tmp_path / "shop.py").write_text(hello("here").replace(
        "    await send({\"type\": \"http.response.start\"",
        "    if scope['path'] == '/bad': raise KeyError('total')\n"
        "    await send({\"type\": \"http.response.start\""))
    with Server(tmp_path, "dev", "shop:app", "--port", "0", "--plain", json=False) as server:
        from tests.support.processes import wait_until

        line = wait_until(
            lambda: [x for x in server.errors if "tremolo serves" in x], "the line")[0]
        port = int(line.split("http://127.0.0.1:")[1].split()[0])
        import http.client

        for path in ("/a%1b", "/bad"):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", path)
            connection.getresponse().read()
            connection.close()
        wait_until(lambda: len(server.lines) >= 2, "two lines")
        words = server.lines[0].split()
        assert words[1:4] == ["GET", "/a%1b", "200"]
        assert words[4].endswith("ms")
        assert words[5:7] == ["4b", "gen=1"]
        assert words[7].startswith("pid=")
        assert server.lines[1].split()[1:4] == ["GET", "/bad", "500"]
        wait_until(lambda: "KeyError: 'total'\n" in server.errors, "the traceback")
        assert "\x1b" not in "".join(server.lines + server.errors)
        assert server.end() == 0


def test_all_lines_have_one_form(tmp_path):
    (tmp_path / "shop.py").write_text(
        "import logging\nlogging.getLogger('shop').warning('low stock')\n" + hello("here"))
    (tmp_path / ".env").write_text("A=1\n")
    with Server(tmp_path, "dev", "shop:app", "--port", "0", "--plain", json=False) as server:
        from tests.support.processes import wait_until

        wait_until(lambda: "tremolo serves" in "".join(server.errors), "its start")
        port = int("".join(server.errors).split("http://127.0.0.1:")[1].split()[0])
        with socket.create_connection(("127.0.0.1", port)) as sock:
            own = sock.getsockname()[1]
            sock.sendall(b"GET / HTTP/9\r\n\r\n")
            wait_until(lambda: "refused" in "".join(server.errors), "the refusal")
        assert server.end() == 0
    lines = [line for line in server.errors if not line.startswith(" ")]  # of a stack
    assert all(re.match(r"\d\d:\d\d:\d\d\.\d{3} ", line) for line in lines), server.errors
    said = "".join(server.errors)
    assert "WARNING shop: low stock" in said
    assert f"refused a request from 127.0.0.1:{own}:" in said
    assert "loaded .env" in said


def test_the_level_error_leaves_only_errors(tmp_path):
    project(tmp_path)
    with Server(tmp_path, "run", "shop:app", "--bind", "./s", "--log-level", "ERROR",
                json=False) as server:
        from tests.support.processes import wait_until

        def answered():
            try:
                with socket.socket(socket.AF_UNIX) as sock:
                    sock.connect(str(tmp_path / "s"))
                    sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
                    return sock.recv(100)
            except OSError:
                return b""

        wait_until(answered, "its start")
        assert server.end() == 0
    assert server.errors == server.lines == []


def test_the_core_needs_only_the_standard_library(tmp_path):
    source = (f"import sys; sys.path.append({ROOT!r})\n"
              "import tremolo, tremolo.cli, tremolo.launch, tremolo.dashboard\n"
              "import tremolo.supervisor.entry, tremolo.worker.main\n"
              "bad = {'textual', 'rich', 'watchfiles', 'uvloop', 'tremolo_tui'}\n"
              "assert not bad & set(sys.modules), bad & set(sys.modules)\n")
    subprocess.run([sys.executable, "-I", "-c", source], check=True, timeout=20)


@pytest.mark.parametrize("closed", [[0], [1], [2], [0, 1, 2]])
def test_closed_standard_streams_are_the_null_device(tmp_path, closed):
    source = ("import os, sys, tremolo.cli\n"
              "code = tremolo.cli.main(['run', 'nothing_here:app', '--port', '0'])\n"
              "null = os.stat(os.devnull)\n"
              "with open('said', 'w') as said:\n"
              "    print(code, [fd for fd in range(3) if os.path.samestat(null, os.fstat(fd))],\n"
              "          said.fileno() > 2, sys.stdin.isatty(), file=said)\n")
    line = " ".join(['exec "$0" -c "$1"', *(f"{fd}>&-" for fd in closed)])
    done = subprocess.run(["bash", "-c", line, sys.executable, source], cwd=tmp_path,
                          env=environment(tmp_path), stdin=subprocess.PIPE,
                          capture_output=True, timeout=20)
    assert b"Traceback" not in done.stderr
    assert (tmp_path / "said").read_text() == f"1 {closed} True False\n"


@pytest.mark.parametrize("number, text", [
    (0, "0 requests"), (1, "1 request"), (1234, "1,234 requests")])
def test_numbers_agree_with_their_nouns(number, text):
    assert counted(number, "request") == text


def test_no_duration_is_shown_where_there_was_no_request():
    assert [format_latency(ms) for ms in (0.0, 1.26, 9.96, 130.0)] == [
        "–", "1.3 ms", "10 ms", "130 ms"]
