"""What APP means: files in packages, and what is said when something is not there."""

import json
import os
import subprocess
import sys

import pytest

from tests.support.processes import ROOT, Server, hello
from tremolo.worker.absent import where_looked

LOAD = """
import json, sys
from tremolo.exceptions import ConfigurationError
from tremolo.worker.imports import ProjectImports
from tremolo.worker.loader import load
imports = ProjectImports()
imports.install()
try:
    _, application = load(*sys.argv[1:], imports=imports)
except ConfigurationError as exc:
    print(json.dumps({"refused": str(exc)}))
except ImportError as exc:
    print(json.dumps({"raised": str(exc)}))
else:
    print(json.dumps({"module": application.__module__, "value": application(1, 2),
                      "names": [n for n in sys.modules if n.rpartition(".")[2] == "models"],
                      "files": sorted(imports.files)}))
"""


@pytest.fixture
def load(tmp_path):
    """Loads an APP in a process of its own, whose working directory is the project."""
    def run(*arguments):
        done = subprocess.run(
            [sys.executable, "-c", "import sys; del sys.path[0]\n" + LOAD, *arguments],
            cwd=tmp_path, capture_output=True, text=True, timeout=30,
            env={**os.environ, "PYTHONPATH": ROOT, "XDG_CACHE_HOME": str(tmp_path / "cache")})
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run


def app(source):
    return f"{source}\ndef app(environ, start_response):\n    return value\n"


def package(tmp_path, *folders):
    """Folders that are packages, the last with a models.py; its path."""
    path = tmp_path
    for folder in folders:
        path = path / folder
        path.mkdir(exist_ok=True)
        (path / "__init__.py").touch()
    (path / "models.py").write_text("value = 'models'\n")
    return path


@pytest.mark.parametrize(("folders", "file", "source", "module"), [
    pytest.param(("shop",), "main.py", "from .models import value", "shop.main", id="relative"),
    pytest.param(("shop",), "main.py", "from shop.models import value", "shop.main",
                 id="absolute"),
    pytest.param(("shop",), "main.py", "from models import value", "shop.main", id="beside"),
    pytest.param(("shop", "web"), "main.py", "from ..web.models import value", "shop.web.main",
                 id="nested"),
    pytest.param(("shop",), "__init__.py", "from .models import value", "shop", id="init"),
    pytest.param(("shop",), "__main__.py", "from .models import value", "shop.__main__",
                 id="main-of-package"),
    pytest.param(("my-shop",), "main.py", "from .models import value", "my-shop.main",
                 id="folder-that-is-no-identifier"),
    pytest.param(("shop",), "my-main.py", "from .models import value", "shop.my-main",
                 id="file-that-is-no-identifier"),
    pytest.param(("shop",), "my.main.py", "from .models import value", "shop.my_main",
                 id="file-with-a-dot"),
    pytest.param(("v1.2", "shop"), "main.py", "from .models import value", "shop.main",
                 id="below-a-folder-with-a-dot"),
])
def test_a_file_is_imported_as_the_module_of_its_package(tmp_path, load, folders, file, source,
                                                         module):
    path = package(tmp_path, "src", *folders)
    (tmp_path / "src" / "__init__.py").unlink()
    (path / file).write_text(app(source))
    loaded = load(os.path.relpath(path / file, tmp_path))
    assert loaded.get("value") == "models", loaded
    assert loaded["module"] == module
    assert len(loaded["names"]) == 1
    assert {str(path / file), str(path / "models.py")} <= set(loaded["files"])


@pytest.mark.parametrize(("file", "source", "module"), [
    pytest.param("shop/main.py", "from .models import value", "shop.main", id="relative"),
    pytest.param("shop/web/main.py", "from ..models import value", "shop.web.main", id="two-up"),
    pytest.param("shop/main.py", "from models import value", "main", id="no-package"),
])
def test_without_init_files_the_file_itself_tells_its_package(tmp_path, load, file, source,
                                                              module):
    (tmp_path / "shop" / "web").mkdir(parents=True)
    (tmp_path / "shop" / "models.py").write_text("value = 'models'\n")
    (tmp_path / file).write_text(app(source))
    loaded = load(file)
    assert (loaded.get("value"), loaded.get("module")) == ("models", module), loaded


@pytest.mark.parametrize(("app_dir", "source", "module"), [
    ("src", "from .models import value", "shop.main"),
    (".", "from src.shop.models import value", "src.shop.main"),
    ("src/shop", "from models import value", "main"),
    ("other", "from .models import value", "src.shop.main")])
def test_app_dir_is_where_the_names_of_files_begin(tmp_path, load, app_dir, source, module):
    path = package(tmp_path, "src", "shop")
    (tmp_path / "other").mkdir()
    (path / "main.py").write_text(app(source))
    loaded = load("src/shop/main.py", app_dir)
    assert (loaded.get("value"), loaded.get("module")) == ("models", module), loaded


def test_a_file_that_its_package_imports_is_imported_once(tmp_path, load):
    path = package(tmp_path, "shop")
    (path / "__init__.py").write_text("from .main import app\n")
    (path / "main.py").write_text(app("import os\nvalue = os.environ.get('ONCE', 'first')\n"
                                      "os.environ['ONCE'] = 'second'"))
    assert load("shop/main.py")["value"] == "first"


def test_a_folder_named_as_the_module_of_another_is_refused_with_its_place(tmp_path, load):
    (package(tmp_path, "json") / "main.py").write_text(app("from .models import value"))
    refused = load("json/main.py")["refused"]
    assert str(tmp_path / "json" / "main.py") in refused
    assert f"a module of Python itself ({json.__file__})" in refused


def test_a_guarded_script_still_works_as_a_file_and_by_python(tmp_path, load):
    path = package(tmp_path, "shop")
    (path / "main.py").write_text(app("from shop.models import value") + (
        "if __name__ == '__main__':\n    print('ran as a script')\n"))
    assert load("shop/main.py")["value"] == "models"
    done = subprocess.run([sys.executable, "-m", "shop.main"], cwd=tmp_path, text=True,
                          capture_output=True, timeout=30)
    assert done.stdout == "ran as a script\n"


@pytest.mark.parametrize(("target", "words"), [
    pytest.param("x.asgi:app", ['"x.asgi"', 'no module "x" in ', "FOLDER"], id="package"),
    pytest.param("shop.asgi:app", ['"shop.asgi"', 'package "shop" (FOLDER/shop) has no module '
                                   '"asgi"'], id="module"),
    pytest.param("alone.asgi", ['"alone" is no package, but the file FOLDER/alone.py'],
                 id="no-package"),
    pytest.param("alone.value", ['"alone" is no package', 'Did you mean "alone:value"?'],
                 id="dot-for-colon"),
    pytest.param("src/hidden:value", ['Did you mean "src/hidden.py:value"?'], id="no-suffix"),
    pytest.param("shop.modls:app", ['Did you mean "shop.models"?'], id="typing-error"),
    pytest.param("hidden:app", ['Did you mean the file, "src/hidden.py"?'], id="elsewhere"),
    pytest.param("shop.models:valeu", ['"shop.models" has no attribute "valeu"',
                                       'Did you mean "value"?'], id="attribute"),
    pytest.param("json:app", ['"json" is a module of Python itself', json.__file__,
                              'which has no "app"', 'name it: "json.py:app"'], id="shadowed"),
    pytest.param("pytest:app", ['"pytest" is an installed package', pytest.__file__,
                                'which has no "app"'], id="installed"),
    pytest.param("sys", ['"sys" is a module that is built into Python'], id="built-in"),
    pytest.param("shop/", ['"shop/" is a folder'], id="folder"),
])
def test_what_is_not_there_is_named_with_the_place(tmp_path, load, target, words):
    package(tmp_path, "shop")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "hidden.py").write_text(app("value = 1"))
    (tmp_path / "alone.py").write_text(app("value = 1"))
    (tmp_path / "json.py").write_text(app("value = 1"))
    refused = load(target)["refused"]
    for word in words:
        assert word.replace("FOLDER", str(tmp_path)) in refused


@pytest.mark.parametrize(("name", "environment", "words"), [
    pytest.param("flask", "", " in the project or in PREFIX", id="nowhere"),
    pytest.param("flask", ".venv", " in PREFIX, where Tremolo runs, but .venv has it: install "
                 "and start Tremolo there", id="environment-of-the-project"),
    pytest.param("django", ".venv", " in the project or in PREFIX", id="not-there-either"),
    pytest.param("shop.models", "", "", id="in-a-package"),
])
def test_a_package_that_is_missing_is_said_to_be_missing_where(
        tmp_path, monkeypatch, name, environment, words):
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    if environment:
        (tmp_path / environment / "lib" / "python3.9" / "site-packages" / "flask").mkdir(
            parents=True)
    assert where_looked(name, str(tmp_path)) == words.replace("PREFIX", sys.prefix)


def test_an_import_error_of_the_application_itself_is_not_ours(tmp_path, load):
    (tmp_path / "main.py").write_text("import surely_not_there\n")
    assert load("main:app") == {"raised": "No module named 'surely_not_there'"}


def test_a_file_in_a_package_is_served_and_reloaded(tmp_path):
    path = package(tmp_path, "src", "shop")
    (tmp_path / "src" / "__init__.py").unlink()
    (path / "main.py").write_text("from .models import value\n" + hello("x").replace(
        'b"x"', "value.encode()"))
    with Server(tmp_path, "dev", "src/shop/main.py", "--port", "0") as server:
        assert server.text() == "models"
        (path / "models.py").write_text("value = 'new models'\n")
        server.wait_for_text("new models")
