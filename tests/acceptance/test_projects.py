"""`tremolo dev`, and nothing else, in projects as people lay them out."""

import http.client
import re
import sys

import pytest

from tests.support import processes
from tests.support.layouts import CSS, LAYOUTS, build, fastapi
from tests.support.processes import Server, environment, wait_until


class Plain(Server):
    """`tremolo dev --plain ARGUMENTS` in a folder, on a port of the system's choice."""

    def __init__(self, folder, *arguments, **environ):
        super().__init__(folder, "dev", *arguments, "--plain", "--port", "0", json=False,
                         **environ)

    def serving(self):
        def said():
            assert self.process.poll() is None, "".join(self.lines + self.errors)
            return re.search(r"http://127\.0\.0\.1:(\d+)", self.text_of_log())

        self.listens = int(wait_until(said, "the address")[1])
        return self

    def text_of_log(self):
        return "".join(self.lines + self.errors)

    def fetch(self, path, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.listens, timeout=10)
        try:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()


@pytest.mark.parametrize("layout", [pytest.param(layout, id=name)
                                    for name, layout in LAYOUTS.items()])
def test_a_project_serves_its_page_its_styles_and_its_error_page(tmp_path, layout):
    pytest.importorskip(layout.needs)
    folder = build(tmp_path, layout)
    with Plain(folder, *layout.arguments) as server:
        server.serving()
        status, page = server.fetch("/")
        assert status == 200, page
        assert layout.page in page
        assert server.fetch("/static/site.css") == (200, CSS)
        if layout.needs == "django":
            status, styles = server.fetch("/static/admin/css/base.css")
            assert status == 200, styles
            wait_until(lambda: "migrations not applied (admin, auth, contenttypes, sessions)"
                       in server.text_of_log(), "the warning")
        status, page = server.fetch("/boom", Accept="text/html")
        assert status == 500
        assert "ZeroDivisionError" in page
        assert layout.found in server.text_of_log()


def test_the_debug_page_is_not_shown_where_flask_would_not_show_it(tmp_path):
    pytest.importorskip("flask")
    folder = build(tmp_path, LAYOUTS["flask-one-file"])
    (tmp_path / ".env").write_text("FLASK_DEBUG=0\n")
    with Plain(folder) as server:
        server.serving()
        status, page = server.fetch("/boom", Accept="text/html")
        assert status == 500
        assert "ZeroDivisionError" not in page
        assert "loaded .env" in server.text_of_log()
        (tmp_path / ".env").write_text("FLASK_DEBUG=1\n")
        wait_until(lambda: "ZeroDivisionError" in server.fetch("/boom", Accept="text/html")[1],
                   "the debug page")


def tremolo(folder, *arguments, **environ):
    (folder / ".runtime").mkdir(mode=0o700, exist_ok=True)
    return processes.tremolo(*arguments, cwd=folder,
                             environ=environment(folder / ".runtime", **environ))


def write(folder, files):
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


MONOREPO = {".git/HEAD": "", "orders/main.py": fastapi(), "orders/requirements.txt": "fastapi",
            "users/main.py": fastapi(), "users/requirements.txt": "fastapi"}


def test_two_applications_are_listed_with_what_to_type(tmp_path):
    write(tmp_path, MONOREPO)
    done = tremolo(tmp_path, "dev", "--plain")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "Several applications fit. Say which one:",
        "  tremolo dev orders/main.py:app  FastAPI",
        "  tremolo dev users/main.py:app   FastAPI",
        'or put it into pyproject.toml:  [tool.tremolo]  app = "..."']


def test_two_applications_are_asked_about_in_a_terminal(tmp_path):
    pytest.importorskip("pyte")
    from tests.support.terminal import Terminal

    write(tmp_path, {**MONOREPO, "orders/static/x": "", "users/static/x": ""})
    (tmp_path / ".runtime").mkdir(mode=0o700)
    with Terminal([sys.executable, "-m", "tremolo", "dev", "--plain", "--port", "0"], 100, 24,
                  cwd=tmp_path, env=environment(tmp_path / ".runtime")) as terminal:
        terminal.expect("1  orders/main.py:app", "2  users/main.py:app", "Which one?")
        terminal.press("2\r")
        terminal.expect("found FastAPI: users/main.py → main:app (in users)", "http://127.0.0.1:")


def test_an_empty_folder_is_told_what_to_type(tmp_path):
    (tmp_path / ".git").mkdir()
    done = tremolo(tmp_path, "dev", "--plain")
    assert done.returncode == 1
    assert "You must specify APP: none was found in" in done.stderr
    assert "tremolo dev FILE.py" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(("app", "said"), [
    pytest.param("shop:ap", 'It has app and admin. Did you mean "shop:app"?', id="attribute"),
    pytest.param("shp:app", 'Did you mean "shop"?', id="module"),
    pytest.param("empty", "has no attribute \"app\"", id="nothing-in-it"),
])
def test_a_wrong_name_is_answered_with_the_right_ones(tmp_path, app, said):
    (tmp_path / "empty.py").write_text("number = 1\n")
    (tmp_path / "shop.py").write_text(
        "from tremolo import Application\nadmin = Application()\napp = Application()\n")
    done = tremolo(tmp_path, "dev", app, "--plain", "--port", "0")
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_djangos_system_checks_are_told_and_their_errors_keep_the_old_code_serving(tmp_path):
    pytest.importorskip("django")
    folder = build(tmp_path, LAYOUTS["django-startproject"])
    settings = folder / "mysite" / "settings.py"
    right = settings.read_text() + "STATICFILES_DIRS = [BASE_DIR / 'nowhere']\n"
    settings.write_text(right)
    with Server(folder, "dev", "--port", "0") as server:
        told = server.wait_for("log", name="tremolo.checks")
        assert "(staticfiles.W004)" in told["text"]
        assert server.text() == "hello"
        settings.write_text(right + "STATICFILES_DIRS = 'nowhere'\n")
        error = server.wait_for("reload", state="failed")["error"]
        assert error["type"] == "SystemCheckError"
        assert "(staticfiles.E001)" in error["text"]
        assert server.text() == "hello"
        settings.write_text(right + "# better\n")
        server.wait_for("reload", state="ready", count=2)
        assert len(server.find("log", name="tremolo.checks")) == 1, "the same, once"


def test_a_factory_is_called_with_the_arguments_that_flask_app_gives(tmp_path):
    pytest.importorskip("flask")
    write(tmp_path, {".flaskenv": "FLASK_APP='shop:create_app(\"dev\", 3)'\n", "shop.py": (
        "from flask import Flask\n\n"
        "def create_app(config, size):\n"
        "    app = Flask(__name__)\n"
        "    app.add_url_rule('/', 'index', lambda: f'{config} {size}')\n"
        "    return app\n")})
    with Server(tmp_path, "dev", "--port", "0") as server:
        assert server.text() == "dev 3"
        assert any('→ shop:create_app("dev", 3)' in event["text"]
                   for event in server.find("log"))
