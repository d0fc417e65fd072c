"""Modules that are imported ahead of the fork, in real servers: after a save the program means
what it meant at its first start."""

import os

import pytest

from tests.support.layouts import LAYOUTS, build
from tests.support.processes import ROOT, Server, hello, save, wait_until
from tremolo.supervisor.plan import Plan

READS = "import os\nVALUE = os.environ.get('FOO', 'unset')\n"


def answer(expression, before):
    """The source of an application that answers with an expression."""
    return before + "\n" + hello("x").replace('b"x"', f"str({expression}).encode()")


# As much of PyTorch as the server knows: whether it has been set up for the GPU.
TORCH = """
_initialized = False

def init():
    global _initialized
    _initialized = True
"""


class Project:
    """A folder with `shop.py` and installed packages, and its server."""

    def __init__(self, folder, packages, source, *options):
        self.folder = folder
        self.shop = folder / "shop.py"
        installed = folder / "site-packages"
        installed.mkdir()
        for name, text in packages.items():
            path = installed / (name.replace(".", os.sep) + ".py")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        self.shop.write_text(source)
        self.server = Server(
            folder, "dev", "shop:app", "--port", "0", "--reload-mode", "zygote",
            "--log-level", "DEBUG", *options,
            PYTHONPATH=os.pathsep.join((ROOT, str(installed))))
        self.generation = 1

    def __enter__(self):
        self.server.__enter__()
        self.server.wait_for("reload", gen=1, state="ready")
        return self

    def __exit__(self, *exc):
        return self.server.__exit__(*exc)

    def status(self):
        return self.server.status()

    def is_ahead(self):
        """Wait until the zygote has imported all that the last worker told of: only then
        another worker stands by."""
        wait_until(lambda: self.status()["standby"], "the zygote to be done")

    def save(self, source, path=None):
        """Save, and give the event of the new code."""
        self.generation += 1
        temporary = self.folder / "saved.tmp"
        temporary.write_text(source)
        os.replace(temporary, path or self.shop)
        return self.server.wait_for("reload", gen=self.generation, state="ready")


def test_how_imports_ahead_work_is_logged_only_where_it_is_asked_for(tmp_path):
    program = answer("asks.V", "import asks")
    packages = {"asks": "import settings\nV = settings.V\n"}
    (tmp_path / "settings.py").write_text("V = 'set'\n")
    with Project(tmp_path, packages, program, "--log-level", "") as shop:
        assert shop.server.text() == "set"
        wait_until(lambda: shop.status()["not_preloaded"], "what is not preloaded")
        assert not shop.server.find("log", level="debug")


def test_a_package_finds_the_environment_that_the_program_sets_after_each_save(tmp_path):
    source = "import os\nos.environ['FOO'] = 'one'\nimport reads"
    with Project(tmp_path, {"reads": READS}, answer("reads.VALUE", source)) as shop:
        assert shop.server.text() == "one"
        shop.is_ahead()
        event = shop.save(answer("reads.VALUE", source + "  # saved"))
        assert (shop.server.text(), event["mode"], event["not_preloaded"]) == (
            "one", "zygote", [])
        event = shop.save(answer("reads.VALUE", source.replace("one", "two")))
        assert (shop.server.text(), event["mode"]) == ("two", "spawn")  # afresh, at once
        assert any("environment (FOO)" in log["text"]
                   for log in shop.server.find("log", level="debug"))
        shop.is_ahead()
        event = shop.save(answer("reads.VALUE", source.replace("one", "two") + "  # saved"))
        assert (shop.server.text(), event["mode"]) == ("two", "zygote"), shop.server.said()


def test_what_is_not_preloaded_is_told_and_the_zygote_prints_nothing(tmp_path):
    packages = {
        "threaded": "import threading\n"
                    "threading.Thread(target=threading.Event().wait, daemon=True).start()\n",
        "loud": "import sys\nprint('loud is imported')\nsys.stderr.write('so it is\\n')\n",
        "fussy": "import os, sys\nclass Fussy:\n"
                 "    def __del__(self):\n        raise ValueError('in fussy')\n"
                 "Fussy()\n",
        "plain": "X = 1\n",
    }
    source = "import loud\nimport fussy\nimport threaded\nimport plain"
    with Project(tmp_path, packages, answer("plain.X", source)) as shop:
        wait_until(lambda: shop.status()["not_preloaded"], "what is not preloaded")
        shop.is_ahead()
        event = shop.save(answer("plain.X + 1", source))
        assert shop.server.text() == "2"
        assert event["mode"] == "zygote"
        assert event["not_preloaded"] == [
            {"module": "threaded", "reason": "it starts a thread when it is imported"}]
        shown = shop.server.control("status")
        assert "not preloaded: threaded, it starts a thread when it is imported" in shown
        # Each process of the program says what it says; the zygote says nothing.
        said = "".join(shop.server.lines + shop.server.errors)
        assert said.count("loud is imported") == 2
        assert said.count("ValueError: in fussy") == 2


def test_kept_modules_are_imported_once_until_they_or_what_they_import_change(tmp_path):
    marks = tmp_path / "marks.txt"
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "__init__.py").write_text("")
    big = tmp_path / "models" / "big.py"
    big.write_text(f"from . import part\nimport plain, os\nVALUE = part.NUMBER\n"
                   f"with open({str(marks)!r}, 'a') as file:\n    file.write('x')\n")
    part = tmp_path / "models" / "part.py"
    part.write_text("NUMBER = 1\n")
    source = "from models.big import VALUE"
    with Project(tmp_path, {"plain": "X = 1\n"}, answer("VALUE", source),
                 "--keep", "models.big") as shop:
        assert shop.server.text() == "1"
        wait_until(lambda: len(marks.read_text()) == 2, "the zygote to have it")
        shop.is_ahead()
        for number in (2, 3):
            assert shop.save(answer(f"(VALUE, {number})", source))["mode"] == "zygote"
            assert shop.server.text() == f"(1, {number})"
        assert len(marks.read_text()) == 2
        shop.save("NUMBER = 5\n", part)
        assert shop.server.text() == "(5, 3)"
        wait_until(lambda: len(marks.read_text()) == 4, "the zygote to have it anew")
        shop.is_ahead()
        assert shop.save(answer("(VALUE, 4)", source))["mode"] == "zygote"
        assert shop.server.text() == "(5, 4)"
        assert len(marks.read_text()) == 4


@pytest.mark.parametrize("does, reason", [
    ("import socket\nserver = socket.create_server(('127.0.0.1', 0))", "it opens a socket"),
    ("import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()",
     "it starts a thread"),
    ("import os\nnumber = os.open('data', os.O_RDWR | os.O_CREAT)", "it keeps data open"),
    ("import torch.cuda\ntorch.cuda.init()", "it initialises CUDA"),
])
def test_a_module_that_cannot_be_kept_is_loaded_normally_and_the_reason_is_logged(
        tmp_path, does, reason):
    (tmp_path / "big.py").write_text(f"{does}\nVALUE = 1\n")
    with Project(tmp_path, {"torch.__init__": "", "torch.cuda": TORCH},
                 answer("big.VALUE", "import big"), "--keep", "big") as shop:
        note, = wait_until(lambda: [
            log["text"] for log in shop.server.find("log", level="warning")
            if "big" in log["text"]], "the reason")
        assert note.replace(f"{tmp_path}/", "").startswith(f"big is not kept: {reason}")
        shop.save(answer("big.VALUE + 1", "import big"))
        assert shop.server.text() == "2"


def test_what_each_forked_worker_has_already_is_no_step_of_one_that_was_started_afresh():
    plan = Plan()
    plan.learn(["shutil"], [{"name": "shutil", "before": {}, "after": {}},
                            {"name": "library", "before": {"umask": 18}, "after": {}}])
    assert [(step["name"], step["world"].get("umask")) for step in plan.steps] == [
        ("library", 18)]


def test_what_comes_after_something_that_is_refused_is_tried_again_before_it_is_made():
    plan = Plan()
    plan.learn([], [{"name": name, "before": {}, "after": {}} for name in "abcd"])

    def tried():
        return [step["name"] for step in map(plan.message, plan.steps) if step["trial"]]

    assert tried() == []
    plan.spoiled("d", "it fails")
    assert tried() == []  # all that is left could be made
    plan.stale("b", "its options were changed", ["b"])
    assert tried() == ["c"]  # it may import b
    plan.forget()
    assert tried() == []


def test_a_django_project_is_had_ahead_from_its_first_save_on(tmp_path):
    pytest.importorskip("django")
    folder = build(tmp_path, LAYOUTS["django-startproject"])
    urls = folder / "mysite" / "urls.py"
    source = urls.read_text()
    with Server(folder, "dev", "--port", "0", "--reload-mode", "zygote",
                "--log-level", "DEBUG") as server:
        server.wait_for("reload", gen=1, state="ready")
        for gen in (2, 3, 4):
            wait_until(lambda: server.status()["standby"], "the zygote to be done")
            save(urls, source.replace('"hello"', f'"hello {gen}"'))
            event = server.wait_for("reload", gen=gen, state="ready")
            assert (server.text(), event["mode"]) == (f"hello {gen}", "zygote"), server.said()
        left_out = {entry["module"] for entry in event["not_preloaded"]}
        assert "django.contrib.auth.models" in left_out  # it asks for a setting
        assert not left_out & {"django.contrib", "django.contrib.admin", "django.urls"}
