"""Folders that vanish, return and are replaced, modules that lie elsewhere, and files whose
mere presence changes what an import means."""

import os
import shutil
import subprocess

import pytest

from tests.support.processes import ROOT, Server, hello, project, wait_until

WORDS = "import words\n" + hello("x").replace('b"x"', "words.text.encode()")


def dev(folder, *more, **options):
    return Server(folder, "dev", "shop:app", "--port", "0", *more, **options)


def served(server, text):
    server.wait_for_text(text)


@pytest.fixture(params=["zygote", "spawn"])
def mode(request):
    return request.param


@pytest.fixture
def shop(tmp_path):
    """A project in a folder of its own."""
    folder = tmp_path / "shop"
    folder.mkdir()
    project(folder, "one")
    return folder


# -- the working directory ---------------------------------------------------------------------


def test_a_working_directory_that_is_gone_and_back_is_served_again(tmp_path, shop, mode):
    with dev(tmp_path, "--reload-mode", mode, cwd=shop) as server:
        assert server.text() == "one"
        shutil.rmtree(shop)
        server.wait_for("reload", state="failed")
        assert server.text() == "one"
        shop.mkdir()
        project(shop, "two")
        served(server, "two")
        project(shop, "three")
        served(server, "three")
        assert server.end() == 0
        assert not server.errors


def test_a_working_directory_that_is_moved_aside_and_made_anew_is_the_one_that_counts(
        tmp_path, shop, mode):
    with dev(tmp_path, "--reload-mode", mode, cwd=shop) as server:
        assert server.text() == "one"
        shop.rename(tmp_path / "shop.bak")
        shop.mkdir()
        project(shop, "two")
        served(server, "two")
        project(tmp_path / "shop.bak", "not this")
        project(shop, "three")
        served(server, "three")
        assert not server.errors


def test_the_parent_of_the_working_directory_may_be_replaced(tmp_path):
    above = tmp_path / "above"
    (above / "shop").mkdir(parents=True)
    project(above / "shop", "one")
    with dev(tmp_path, cwd=above / "shop") as server:
        assert server.text() == "one"
        above.rename(tmp_path / "aside")
        (above / "shop").mkdir(parents=True)
        project(above / "shop", "two")
        served(server, "two")


def test_a_checkout_without_the_folder_and_back_is_served(tmp_path):
    def git(*arguments):
        subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=x@x", *arguments],
                       cwd=tmp_path, check=True, capture_output=True)

    git("init", "-q", "-b", "empty")
    git("commit", "-q", "--allow-empty", "-m", "nothing")
    git("checkout", "-q", "-b", "full")
    folder = tmp_path / "shop"
    folder.mkdir()
    project(folder, "one")
    git("add", "shop")
    git("commit", "-q", "-m", "shop")
    with dev(tmp_path, cwd=folder) as server:
        assert server.text() == "one"
        git("checkout", "-q", "empty")
        server.wait_for("reload", state="failed")
        git("checkout", "-q", "full")
        wait_until(lambda: server.find("reload")[-1]["state"] == "ready", "a reload")
        project(folder, "two")
        served(server, "two")


def test_a_link_to_the_project_that_is_switched_is_followed(tmp_path, mode):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        project(tmp_path / name, name)
    current = tmp_path / "current"
    current.symlink_to("first")
    with dev(tmp_path, "--reload-mode", mode, cwd=current, PWD=str(current)) as server:
        assert server.text() == "first"
        (tmp_path / "next").symlink_to("second")
        os.replace(tmp_path / "next", current)
        served(server, "second")
        project(tmp_path / "second", "third")
        served(server, "third")


def test_a_link_above_the_project_that_is_switched_is_followed(tmp_path):
    for name in ("first", "second"):
        (tmp_path / name / "shop").mkdir(parents=True)
        project(tmp_path / name / "shop", name)
    current = tmp_path / "current"
    current.symlink_to("first")
    with dev(tmp_path, "--app-dir", str(current / "shop")) as server:
        assert server.text() == "first"
        current.unlink()
        current.symlink_to("second")
        served(server, "second")


def test_relative_files_are_read_from_the_folder_that_is_there_now(tmp_path, shop):
    source = "words = open('words.txt').read()\n" + hello("x").replace('b"x"', "words.encode()")
    (shop / "words.txt").write_text("one")
    (shop / "shop.py").write_text(source)
    with dev(tmp_path, cwd=shop) as server:
        assert server.text() == "one"
        shop.rename(tmp_path / "aside")
        shop.mkdir()
        (shop / "words.txt").write_text("two")
        (shop / "shop.py").write_text(source + "\n")
        served(server, "two")


# -- folders within ----------------------------------------------------------------------------


@pytest.fixture
def package(tmp_path):
    """A package `words` beside the application."""
    (tmp_path / "shop.py").write_text(WORDS)
    folder = tmp_path / "words"
    folder.mkdir()
    (folder / "__init__.py").write_text("from words.text import text")
    (folder / "text.py").write_text("text = 'one'")
    return folder


def test_a_package_that_is_moved_away_and_back_with_other_files_is_served(tmp_path, package):
    with dev(tmp_path) as server:
        assert server.text() == "one"
        package.rename(tmp_path / "aside")
        server.wait_for("reload", state="failed")
        (tmp_path / "aside" / "text.py").write_text("text = 'two'")
        (tmp_path / "aside").rename(package)
        served(server, "two")
        (package / "text.py").write_text("text = 'three'")
        served(server, "three")


def test_a_package_that_is_replaced_at_once_is_served(tmp_path, package):
    with dev(tmp_path) as server:
        assert server.text() == "one"
        for number in range(5):
            fresh = tmp_path / f"fresh{number}"
            shutil.copytree(package, fresh)
            (fresh / "text.py").write_text(f"text = 'number {number}'")
            package.rename(tmp_path / f"old{number}")
            fresh.rename(package)
            served(server, f"number {number}")


def test_a_package_that_is_a_link_may_be_switched(tmp_path, package):
    package.rename(tmp_path / "first")
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    (tmp_path / "second" / "text.py").write_text("text = 'two'")
    package.symlink_to("first")
    with dev(tmp_path) as server:
        assert server.text() == "one"
        package.unlink()
        package.symlink_to("second")
        served(server, "two")
        (tmp_path / "second" / "text.py").write_text("text = 'three'")
        served(server, "three")


# -- what an import finds ----------------------------------------------------------------------


def test_a_package_that_appears_beside_a_module_is_what_is_imported(tmp_path):
    (tmp_path / "shop.py").write_text(WORDS)
    (tmp_path / "words.py").write_text("text = 'module'")
    with dev(tmp_path) as server:
        assert server.text() == "module"
        (tmp_path / "words").mkdir()
        (tmp_path / "words" / "__init__.py").write_text("text = 'package'")
        served(server, "package")
        shutil.rmtree(tmp_path / "words")
        served(server, "module")


def test_a_module_that_was_done_without_counts_when_it_appears(tmp_path):
    (tmp_path / "shop.py").write_text(
        "try: from words import text\nexcept ImportError: text = 'none'\n"
        + hello("x").replace('b"x"', "text.encode()"))
    with dev(tmp_path) as server:
        assert server.text() == "none"
        (tmp_path / "words.py").write_text("text = 'some'")
        served(server, "some")
        (tmp_path / "words.py").unlink()
        served(server, "none")


def test_an_init_file_that_appears_or_goes_counts(tmp_path):
    (tmp_path / "shop.py").write_text(
        "import words.one as words; import words as all\n" + hello("x").replace(
            'b"x"', "getattr(all, 'text', 'namespace').encode()"))
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "one.py").write_text("")
    init = tmp_path / "words" / "__init__.py"
    with dev(tmp_path) as server:
        assert server.text() == "namespace"
        init.write_text("text = 'package'")
        served(server, "package")
        init.unlink()
        served(server, "namespace")


def test_a_file_that_shadows_an_installed_package_counts(tmp_path):
    packages = tmp_path / "site-packages"
    packages.mkdir()
    (packages / "words.py").write_text("text = 'installed'\n")
    (tmp_path / "shop.py").write_text(WORDS)
    with dev(tmp_path, PYTHONPATH=os.pathsep.join((ROOT, str(packages)))) as server:
        assert server.text() == "installed"
        (tmp_path / "words.py").write_text("text = 'own'")
        served(server, "own")
        (tmp_path / "words.py").unlink()
        served(server, "installed")


def test_a_file_that_nothing_looked_for_starts_nothing(tmp_path):
    shop = project(tmp_path, "one")
    with dev(tmp_path) as server:
        assert server.text() == "one"
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "__init__.py").write_text("")
        (tmp_path / "unused.py").write_text("1/0")
        shop.write_text(hello("two"))
        served(server, "two")
        assert not [event for event in server.find("reload", state="started")
                    if {"other", "unused.py"}.intersection(event["files"])]


# -- modules elsewhere -------------------------------------------------------------------------


@pytest.fixture
def library(tmp_path):
    folder = tmp_path / "library"
    folder.mkdir()
    (folder / "words.py").write_text("text = 'one'")
    return folder


def test_an_edit_right_after_a_module_outside_was_imported_is_served(
        tmp_path, shop, library):
    (shop / "shop.py").write_text(WORDS)
    with dev(tmp_path, cwd=shop, PYTHONPATH=os.pathsep.join((ROOT, str(library)))) as server:
        assert server.text() == "one"
        for number in range(4):
            (library / "words.py").write_text(f"text = 'number {number}'")
            served(server, f"number {number}")


def test_an_edit_right_after_a_lazy_import_from_outside_is_served(tmp_path, shop, library):
    (shop / "shop.py").write_text(hello("x").replace(
        '    await send({"type": "http.response.start"',
        '    import words\n    await send({"type": "http.response.start"').replace(
            'b"x"', "words.text.encode()"))
    with dev(tmp_path, cwd=shop, PYTHONPATH=os.pathsep.join((ROOT, str(library)))) as server:
        assert server.text() == "one"
        (library / "words.py").write_text("text = 'two'")
        served(server, "two")


def test_a_module_that_is_a_link_to_a_file_elsewhere_is_watched_there(tmp_path, shop, library):
    (shop / "shop.py").write_text(WORDS)
    (shop / "words.py").symlink_to(library / "words.py")
    with dev(tmp_path, cwd=shop) as server:
        assert server.text() == "one"
        for number in range(3):
            (library / "words.py").write_text(f"text = 'number {number}'")
            served(server, f"number {number}")
    assert not [event for event in server.find("log") if "no notification" in event["text"]]


def test_a_library_outside_may_be_moved_away_and_back(tmp_path, shop, library):
    (shop / "shop.py").write_text(WORDS)
    with dev(tmp_path, cwd=shop, PYTHONPATH=os.pathsep.join((ROOT, str(library)))) as server:
        assert server.text() == "one"
        library.rename(tmp_path / "aside")
        library.mkdir()
        (library / "words.py").write_text("text = 'two'")
        served(server, "two")
        (library / "words.py").write_text("text = 'three'")
        served(server, "three")
