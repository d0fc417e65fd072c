"""Which file of a project is taken, and where a file is imported from."""

import pytest

from tremolo.discovery.candidates import search
from tremolo.discovery.project import discover, resolve
from tremolo.discovery.roots import place

APP = "from fastapi import FastAPI\napp = FastAPI()\n"
FACTORY = "from flask import Flask\ndef create_app():\n    return Flask('x')\n"


def write(folder, files):
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


@pytest.mark.parametrize(("files", "found"), [
    pytest.param({"main.py": APP, "tools/main.py": APP}, ["main.py"], id="here-first"),
    pytest.param({"shop.py": APP, "app/main.py": APP}, ["app/main.py"], id="usual-names-first"),
    pytest.param({"main.py": "from app.core import x\n", "app/__init__.py": APP},
                 ["app/__init__.py"], id="a-package"),
    pytest.param({"main.py": APP, "server.py": APP}, ["main.py", "server.py"], id="two-here"),
    pytest.param({"main.py": "from server import app as inner\n" + APP, "server.py": APP},
                 ["main.py"], id="one-uses-the-other"),
    pytest.param({"wsgi.py": "from shop import create_app\napp = create_app()\n",
                  "shop/__init__.py": FACTORY}, ["wsgi.py"], id="factory-that-is-called"),
    pytest.param({"site/asgi.py": APP, "site/wsgi.py": APP}, ["site/asgi.py"],
                 id="asgi-and-wsgi"),
    pytest.param({"tests/main.py": APP, "test_app.py": APP, "docs/app.py": APP,
                  ".venv/main.py": APP, "node_modules/x/main.py": APP, "env1/pyvenv.cfg": "",
                  "env1/app.py": APP}, [], id="not-ours"),
    pytest.param({"a/b/c/d/main.py": APP}, ["a/b/c/d/main.py"], id="deep"),
])
def test_the_likeliest_files_are_found(tmp_path, files, found):
    write(tmp_path, files)
    assert [str(entry.path)[len(str(tmp_path)) + 1:] for entry in search(str(tmp_path))] == found


@pytest.mark.parametrize(("files", "path", "folder", "module"), [
    pytest.param({"main.py": APP}, "main.py", "", "main", id="file"),
    pytest.param({"src/shop/__init__.py": "", "src/shop/main.py": APP}, "src/shop/main.py", "src",
                 "shop.main", id="package"),
    pytest.param({"a/__init__.py": "", "a/b/__init__.py": APP}, "a/b/__init__.py", "", "a.b",
                 id="package-itself"),
    pytest.param({"app/main.py": "from .db import x\n"}, "app/main.py", "", "app.main",
                 id="relative-import"),
    pytest.param({"app/api/main.py": "from ..db import x\n"}, "app/api/main.py", "",
                 "app.api.main", id="relative-import-of-two-levels"),
    pytest.param({"app/main.py": "from app.db import x\n", "app/db.py": ""}, "app/main.py", "",
                 "app.main", id="by-its-own-name"),
    pytest.param({"app/main.py": "from app.db import x\n"}, "app/main.py", "app", "main",
                 id="of-another-package-of-that-name"),
])
def test_a_file_has_one_place_that_it_is_imported_from(tmp_path, files, path, folder, module):
    write(tmp_path, files)
    assert place(str(tmp_path / path)) == (str(tmp_path / folder).rstrip("/"), module)


def test_flask_app_names_the_application(tmp_path):
    write(tmp_path, {"shop/__init__.py": FACTORY, "main.py": APP})
    [choice] = discover(str(tmp_path), {"FLASK_APP": "shop:create_app"}, {})
    assert (choice.target, choice.factory) == ("shop:create_app", True)


@pytest.mark.parametrize("text", ["src/shop", "shop", "shop.web", "src/shop/web.py"])
def test_a_package_below_src_has_many_names(tmp_path, text):
    write(tmp_path, {"src/shop/__init__.py": "", "src/shop/web.py": APP})
    if text == "shop":
        write(tmp_path, {"src/shop/app.py": "from shop.web import app\n" + APP})
    [choice] = resolve(text, str(tmp_path))
    assert choice.target in ("shop.web:app", "shop.app:app")
    assert choice.folder == str(tmp_path / "src")


def test_a_file_that_cannot_be_parsed_is_taken_where_there_is_no_other(tmp_path):
    write(tmp_path, {"main.py": "from fastapi import FastAPI\napp = FastAPI(\n",
                     "notes.py": "this is no Python\n"})
    [choice] = discover(str(tmp_path), {}, {})
    assert choice.target == str(tmp_path / "main.py")
    assert choice.why.startswith("found main.py, which cannot be parsed (line 2: ")
    write(tmp_path, {"api.py": APP})
    [choice] = discover(str(tmp_path), {}, {})
    assert choice.target == f"{tmp_path / 'api.py'}:app"
