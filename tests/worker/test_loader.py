"""Finding the application, and importing the project from its source."""

import functools
import os
import sys
import threading
from importlib.machinery import ModuleSpec

import pytest

from tremolo.discovery.targets import parse_target
from tremolo.exceptions import ConfigurationError
from tremolo.protocol.hosts import is_loopback
from tremolo.supervisor.basis import differing_places
from tremolo.worker.environment import enter_home
from tremolo.worker.failures import describe
from tremolo.worker.imports import CodeCache, ProjectImports
from tremolo.worker.installed import installed_modules, is_installed
from tremolo.worker.loader import classify, load
from tremolo.worker.lookups import MIXED, NOTHING, Lookups


async def asgi(scope, receive, send): ...


def returns_awaitable(scope, receive, send): ...


class Instance:
    async def __call__(self, scope, receive, send): ...


class Double:
    def __init__(self, scope): ...


@pytest.mark.parametrize(("application", "kind"), [
    (asgi, "asgi"), (returns_awaitable, "asgi"), (Instance(), "asgi"), (Double, "asgi2"),
    (functools.partial(asgi), "asgi"), (lambda environ, start_response: [], "wsgi"),
    (lambda scope: None, "asgi2"), (lambda *args: None, "asgi"),
])
def test_how_an_application_is_called_is_seen_by_looking(application, kind):
    assert classify(application) == kind


def test_a_native_application_is_known():
    from tremolo import Tremolo

    assert classify(Tremolo()) == "native"


@pytest.mark.parametrize("application", [None, 3, "x", lambda: None])
def test_what_cannot_be_an_application_is_refused(application):
    with pytest.raises(ConfigurationError):
        classify(application)


def test_what_an_application_that_cannot_be_called_is_instead_is_named():
    with pytest.raises(ConfigurationError, match="of the type int, which cannot be called"):
        classify(3)


def test_targets_are_taken_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "web.py").touch()
    folder = str(tmp_path)
    assert parse_target("a.b:c.d")[:4] == (folder, "a.b", None, "c.d")
    assert parse_target("a")[:4] == (folder, "a", None, "")
    assert parse_target("web.py:x")[:4] == (folder, "web", str(tmp_path / "web.py"), "x")
    assert parse_target("a", "sub").folder == str(tmp_path / "sub")
    for wrong in ("", ":", "a:", "a b", "no.py:1", "a:b:c", "missing.py"):
        with pytest.raises(ConfigurationError):
            parse_target(wrong)


def test_installed_files_are_told_from_the_projects(tmp_path):
    assert is_installed(pytest.__file__)
    assert is_installed(functools.__file__)
    assert is_installed("/srv/project/.venv/lib/python3.11/site-packages/x.py")
    assert not is_installed(str(tmp_path / "shop.py"))
    names, files = installed_modules()
    assert pytest.__file__ in files
    assert functools.__file__ not in files
    assert "functools" in names
    assert not any(name.startswith("tremolo") for name in names)


@pytest.fixture
def imports(tmp_path, monkeypatch):
    (tmp_path / "cache").mkdir(mode=0o700)
    found = ProjectImports(CodeCache(str(tmp_path / "cache")))
    monkeypatch.setattr(sys, "meta_path", [found, *sys.meta_path])
    monkeypatch.syspath_prepend(str(tmp_path / "code"))
    (tmp_path / "code").mkdir()
    before = set(sys.modules)
    yield found
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_project_that_is_moved_away_and_back_while_its_worker_starts_is_waited_for(
        tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    project, aside = tmp_path / "project", tmp_path / "aside"
    aside.mkdir()
    timer = threading.Timer(0.05, aside.rename, [project])
    timer.start()
    enter_home(str(project))
    timer.join()
    assert os.getcwd() == str(project)


def test_a_project_that_is_gone_is_named_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("tremolo.worker.environment.HOME_LIMIT", 0)
    with pytest.raises(ConfigurationError, match=r'^No such folder: ".*project"$'):
        enter_home(str(tmp_path / "project"))


def test_a_module_that_became_a_package_is_the_same_application_and_back(tmp_path):
    module, package = tmp_path / "main.py", tmp_path / "main" / "__init__.py"
    package.parent.mkdir()
    for there, asked in ((package, "main.py:app"), (module, "main/__init__.py:app")):
        there.write_text("")
        target = parse_target(asked, home=str(tmp_path))
        assert (target.file, target.module) == (str(there), "main")
        assert target.folder == str(tmp_path)
        there.unlink()
    with pytest.raises(ConfigurationError, match=r'^No such file: "main\.py"'):
        parse_target("main.py:app", home=str(tmp_path))


def looked_for(imports, code, name):
    """What an import finds of a module in the folder, and what is noted of it in the end."""
    import importlib

    importlib.invalidate_caches()
    try:
        importlib.import_module(name)
    except ImportError:
        found = ""
    else:
        found = str(code / f"{name}.py")
    return found, imports.lookups.fresh[str(code)][name]


def test_a_module_that_came_between_two_imports_of_it_is_noted_as_what_no_fresh_process_finds(
        tmp_path, imports):
    code = tmp_path / "code"
    assert looked_for(imports, code, "projectoptional") == ("", NOTHING)
    imports.lookups.take()  # reported, and looked for again by another module
    (code / "projectoptional.py").write_text("")
    assert looked_for(imports, code, "projectoptional") == (
        str(code / "projectoptional.py"), MIXED)
    assert differing_places(imports.lookups.fresh)


def test_a_module_that_the_process_wrote_itself_is_noted_as_what_it_is(tmp_path):
    made = str(tmp_path / "made.py")
    spec = ModuleSpec("made", None, origin=made)
    spec.has_location = True
    lookups = Lookups(lambda folder: False, {made}.__contains__)
    for found in (None, spec):
        lookups.note("made", [str(tmp_path)], found)
    assert lookups.fresh == {str(tmp_path): {"made": made}}


def test_a_traceback_shows_the_lines_that_run_whatever_became_of_the_file(tmp_path, imports):
    import importlib

    path = tmp_path / "code" / "projectmodule.py"
    path.write_text("def fail():\n    return 1 / 0\n")
    module = importlib.import_module("projectmodule")
    path.write_text("def a_longer_name_and_an_early_end(:")
    with pytest.raises(ZeroDivisionError) as raised:
        module.fail()
    assert "return 1 / 0" in describe(raised.value, "request", 1)["traceback"]


def test_a_module_is_compiled_from_its_source_each_time(tmp_path, imports):
    import importlib
    import os

    path = tmp_path / "code" / "projectmodule.py"
    for number in range(3):
        path.write_text(f"value = {number}\n")
        os.utime(path, (1_700_000_000, 1_700_000_000))
        sys.modules.pop("projectmodule", None)
        assert importlib.import_module("projectmodule").value == number
        assert list(imports.files) == [str(path)]
    assert not (tmp_path / "code" / "__pycache__").exists()
    assert len(list((tmp_path / "cache").iterdir())) == 1
    assert [name for name, _ in imports.slowest()] == ["projectmodule"]


def test_a_module_with_a_nul_is_a_syntax_error_with_its_place(tmp_path, imports):
    import importlib

    path = tmp_path / "code" / "projectmodule.py"
    path.write_bytes(b"value = 1\nother = '\0'\n")
    with pytest.raises(SyntaxError) as raised:
        importlib.import_module("projectmodule")
    event = describe(raised.value, "import", 1)
    assert (event["type"], event["file"], event["line"]) == ("SyntaxError", str(path), 2)
    assert "/tremolo/worker/" not in event["traceback"]


@pytest.mark.parametrize("damage", [b"", b"x" * 100, None])
def test_a_damaged_code_cache_does_no_harm(tmp_path, imports, damage):
    import importlib

    (tmp_path / "code" / "projectmodule.py").write_text("value = 1\n")
    importlib.import_module("projectmodule")
    entry, = (tmp_path / "cache").iterdir()
    entry.write_bytes(entry.read_bytes()[:-3] if damage is None else damage)
    del sys.modules["projectmodule"]
    assert importlib.import_module("projectmodule").value == 1


def test_an_exception_that_cannot_be_shown_is_still_described():
    class Nasty(Exception):
        def __str__(self):
            raise RuntimeError("no")

    event = describe(Nasty(), "request", 3, path="/x")
    assert event["type"] == "Nasty"
    assert event["path"] == "/x"
    assert event["gen"] == 3


@pytest.mark.parametrize(("host", "trusted"), [
    ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("::ffff:127.0.0.1", True),
    (None, True), ("10.0.0.1", False), ("::ffff:10.0.0.1", False), ("localhost.evil", False)])
def test_only_this_machine_sees_the_error_page(host, trusted):
    assert is_loopback(host) is trusted


@pytest.mark.parametrize(("text", "given"), [
    ("made:make('dev')", ("dev", {})),
    ("made:make('a:b.py', debug=True)", ("a:b.py", {"debug": True})),
    ("made.py:make(name=['x', 1])", (["x", 1], {})),
])
def test_a_factory_is_called_as_app_says(tmp_path, monkeypatch, text, given):
    factory(tmp_path, monkeypatch)
    kind, application = load(text)
    assert kind == "asgi"
    assert application.given == given


@pytest.mark.parametrize(("text", "said"), [
    ("made:make()", "cannot be called so: missing a required argument: 'name'"),
    ("made:make(name)", "must be plain values, as in shop:create_app"),
    ("made:make('x'", "After the colon stands the name"),
    ("made:number(1)", "cannot be called: it is of the type int"),
])
def test_a_call_that_cannot_be_made_is_one_line(tmp_path, monkeypatch, text, said):
    factory(tmp_path, monkeypatch)
    with pytest.raises(ConfigurationError) as caught:
        load(text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def factory(folder, monkeypatch):
    (folder / "made.py").write_text(
        "number = 1\n"
        "def make(name, **named):\n"
        "    async def app(scope, receive, send): pass\n"
        "    app.given = name, named\n"
        "    return app\n")
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.path", list(sys.path))
    sys.modules.pop("made", None)
