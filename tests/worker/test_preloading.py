"""A program whose modules were imported ahead behaves as if it had been started afresh."""

import builtins
import os
import sys
import types
from importlib.machinery import ModuleSpec

import pytest

from tests.support.preloading import outcome
from tremolo.worker.steps import Steps
from tremolo.worker.world import WorldView

READER = """\
import gc, locale, logging, os, signal, socket, sys, time, warnings
VALUE = [os.environ.get("FOO"), os.getcwd(), os.umask(0o22), os.umask(0o22), sys.path[:2],
         list(sys.argv), signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL,
         locale.setlocale(locale.LC_CTYPE), [f[0] for f in warnings.filters],
         [type(f).__name__ for f in sys.meta_path if type(f).__name__ == "Hook"],
         time.sleep.__name__, logging.getLogger().level, logging.getLogger().isEnabledFor(20),
         sys.getrecursionlimit(), socket.getdefaulttimeout(), "alias" in sys.modules,
         logging.getLoggerClass().__name__, sys.stdout.__class__.__name__, sys.tracebacklimit
         if hasattr(sys, "tracebacklimit") else None, time.tzname[0]]
"""
PACKAGES = {
    "reader.py": READER, "other.py": "import csv\nX = 1\n", "third.py": "import other\nY = 2\n",
    "logs.py": "import logging\nlog = logging.getLogger('logs')\nlog.addHandler("
               "logging.NullHandler())\n",
    "pkg/__init__.py": "LEVEL = 1\nclass Options: pass\noptions = Options()\n"
                       "options.mode = 'plain'\n",
    "pkg/part.py": "import pkg\nSEEN = pkg.LEVEL, pkg.options.mode\n",
    "prints.py": "print('hello from prints')\n",
    "fails.py": "import os\nif 'READY' not in os.environ: raise RuntimeError\n",
    "asks.py": "import settings\nVALUE = settings.VALUE\n",
    "threads.py": "import threading\n"
                  "threading.Thread(target=threading.Event().wait, daemon=True).start()\n",
    "sockets.py": "import socket\nserver = socket.create_server(('127.0.0.1', 0))\n",
    "patches.py": "import pkg\npkg.LEVEL = 7\npkg.ADDED = True\n",
    "filters.py": "import warnings\nwarnings.filterwarnings('ignore', 'nothing at all')\n",
    "hooks.py": "import sys\nclass Finder:\n    @staticmethod\n    def find_spec(*_): pass\n"
                "sys.meta_path.append(Finder)\n",
    "ends.py": "import atexit\natexit.register(print, 'ended')\n",
    "six_like.py": "import sys, types\nmoves = types.ModuleType('six_like.moves')\n"
                   "sys.modules['six_like.moves'] = moves\nmoves.X = 3\n__path__ = []\n",
    "maybe.py": "try:\n    import local_settings\nexcept ImportError:\n    VALUE = None\n"
                "else:\n    VALUE = local_settings.VALUE\n",
}
END = "\nRESULT = reader.VALUE\n"


@pytest.mark.parametrize(("change", "ahead"), [
    pytest.param("import os; os.environ['FOO'] = 'set'", True, id="environment"),
    pytest.param("import os; os.environ.pop('HOME', None)", True, id="unset"),
    pytest.param("import os; os.chdir('/')", True, id="cwd"),
    pytest.param("import os; os.umask(0o77)", True, id="umask"),
    pytest.param("import sys; sys.path.insert(0, '/nowhere')", True, id="sys.path"),
    pytest.param("import sys; sys.argv[1:] = ['x']", True, id="argv"),
    pytest.param("import locale; locale.setlocale(locale.LC_CTYPE, 'C')", True, id="locale"),
    pytest.param("import warnings; warnings.simplefilter('error')", True, id="warnings"),
    pytest.param("import logging; logging.basicConfig(level=10)", True, id="basicConfig"),
    pytest.param("import logging; logging.disable(40)", True, id="logging.disable"),
    pytest.param("import sys; sys.setrecursionlimit(2345)", True, id="recursion"),
    pytest.param("import socket; socket.setdefaulttimeout(5)", True, id="timeout"),
    pytest.param("import os, time; os.environ['TZ'] = 'XYZ+3'; time.tzset()", True, id="zone"),
    pytest.param("import other, sys; sys.modules['alias'] = other", True, id="alias"),
    pytest.param("import sys\nclass Hook:\n    def find_spec(*_): pass\n"
                 "sys.meta_path.insert(0, Hook())", False, id="import hook"),
    pytest.param("import sys\ndef hook(path): raise ImportError\n"
                 "sys.path_hooks.insert(0, hook)\nsys.path_importer_cache.clear()", False,
                 id="path hook"),
    pytest.param("import signal; signal.signal(signal.SIGUSR1, lambda *_: None)", False,
                 id="signal"),
    pytest.param("import time\ndef fast(s): pass\ntime.sleep = fast", False, id="patched"),
    pytest.param("import builtins; builtins._t = str", False, id="builtins"),
    pytest.param("import logging\nclass L(logging.Logger): pass\nlogging.setLoggerClass(L)",
                 False, id="logger class"),
    pytest.param("import sys, io\nsys.stdout = io.StringIO()", False, id="streams"),
])
def test_what_the_program_does_before_an_import_counts_for_it(tmp_path, change, ahead):
    found = outcome(tmp_path, PACKAGES, f"{change}\nimport reader{END}")
    assert found.stale is None
    assert found.forked == found.fresh
    assert ("reader" in found.given) == ahead
    assert ("reader" in found.left_out) != ahead


def test_the_reason_names_what_was_changed_and_no_value(tmp_path):
    found = outcome(tmp_path, PACKAGES, "import time\ntime.sleep = print\nimport reader" + END)
    assert found.left_out == {"reader": "the standard library (time.sleep) was changed before"}


@pytest.mark.parametrize(("first", "second", "word"), [
    pytest.param("import os\nos.environ['FOO'] = '1'\nimport reader",
                 "import os\nos.environ['FOO'] = '2'\nimport reader", "environment (FOO)",
                 id="another value"),
    pytest.param("import reader", "import os\nos.environ['FOO'] = '2'\nimport reader",
                 "environment (FOO)", id="set now"),
    pytest.param("import reader", "import sys\nclass Hook:\n    def find_spec(*_): pass\n"
                 "sys.meta_path.insert(0, Hook())\nimport reader", "sys.meta_path (Hook)",
                 id="a hook now"),
    pytest.param("import reader, other", "import reader", "not imported any more", id="removed"),
    pytest.param("import pkg, pkg.part\nimport reader",
                 "import pkg\npkg.LEVEL = 5\nimport pkg.part\nimport reader", "pkg.LEVEL",
                 id="value of a package"),
    pytest.param("import pkg, pkg.part\nimport reader",
                 "import pkg\npkg.options.mode = 'x'\nimport pkg.part\nimport reader",
                 "pkg.options.mode", id="option of a package"),
    pytest.param("import logs\nimport reader", "import logging\nlogging.getLogger('logs')"
                 ".setLevel(10)\nimport logs\nimport reader", "logger 'logs'", id="logger"),
])
def test_what_does_not_hold_any_more_is_noticed(tmp_path, first, second, word):
    found = outcome(tmp_path, PACKAGES, first + END, second + END)
    assert word in found.stale[1]
    # Either another start is made afresh, or it is left out from then on.
    assert found.forked in (None, found.fresh)


@pytest.mark.parametrize(("module", "reason"), [
    ("fails", "importing it ahead fails (RuntimeError)"),
    ("threads", "it starts a thread when it is imported"),
    ("sockets", "it opens a socket when it is imported"),
])
def test_what_cannot_be_had_ahead_is_left_out_with_the_reason(tmp_path, module, reason):
    program = "import other\nimport READY\n" if module == "fails" else "import other\n"
    (tmp_path / "READY.py").write_text("import os\nimport fails_env\n")
    (tmp_path / "fails_env.py").write_text(
        "import builtins, os\nreal = os.environ.__class__.__contains__\n"
        "os.environ.__class__.__contains__ = lambda s, k: k == 'READY' or real(s, k)\n")
    found = outcome(tmp_path, PACKAGES, f"{program}import {module}\nimport third\nRESULT = 1\n")
    assert found.left_out == {module: reason}
    assert {"other", "third"} <= set(found.given)
    assert module not in found.given
    assert found.forked == found.fresh


def test_a_package_that_imports_the_project_is_not_had_ahead(tmp_path):
    (tmp_path / "settings.py").write_text("VALUE = 5\n")
    found = outcome(tmp_path, PACKAGES, "import other\nimport asks\nRESULT = asks.VALUE\n")
    assert found.forked == found.fresh == [5, ""]
    assert found.left_out == {"asks": "it imports settings of the project"}


def test_a_module_of_the_project_that_a_package_tries_to_import_is_found(tmp_path):
    (tmp_path / "local_settings.py").write_text("VALUE = 5\n")
    found = outcome(tmp_path, PACKAGES, "import maybe\nRESULT = maybe.VALUE\n")
    assert found.forked == found.fresh == [5, ""]


@pytest.mark.parametrize(("program", "result"), [
    pytest.param("import prints\nRESULT = 0", [0, "hello from prints\n"], id="prints"),
    pytest.param("import filters, warnings\nRESULT = [str(f[1]) for f in warnings.filters][:1]",
                 None, id="filters"),
    pytest.param("import hooks, sys\nRESULT = sys.meta_path[-1] is hooks.Finder", [True, ""],
                 id="finder"),
    pytest.param("import pkg, sys\nRESULT = [pkg.LEVEL, hasattr(pkg, 'ADDED')]\nimport patches\n"
                 "RESULT += [pkg.LEVEL, pkg.ADDED]", [[1, False, 7, True], ""], id="patches"),
    pytest.param("import six_like\nfrom six_like.moves import X\nRESULT = X", [3, ""], id="six"),
    pytest.param("import logs, logging\nRESULT = logging.getLogger('logs') is logs.log",
                 [True, ""], id="loggers"),
    pytest.param("import logging.config\nlogging.config.dictConfig({'version': 1})\n"
                 "import logs\nRESULT = logs.log.disabled", [False, ""], id="dictConfig"),
    pytest.param("import sys\nRESULT = ['csv' in sys.modules, 'other' in sys.modules]\n"
                 "import third\nRESULT += ['csv' in sys.modules, 'other' in sys.modules]",
                 [[False, False, True, True], ""], id="sys.modules"),
    pytest.param("import pkg\nRESULT = [hasattr(pkg, 'part')]\nimport pkg.part\n"
                 "RESULT += [pkg.part.SEEN[0]]", [[False, 1], ""], id="attribute"),
    pytest.param("import atexit\nRESULT = atexit._ncallbacks()\nimport ends\n"
                 "RESULT = atexit._ncallbacks() - RESULT", [1, ""], id="atexit"),
])
def test_what_an_import_does_is_done_when_the_program_asks_for_it(tmp_path, program, result):
    found = outcome(tmp_path, PACKAGES, program + "\n")
    assert found.stale is None
    assert found.given
    assert found.forked == found.fresh
    assert result is None or found.forked == result


def test_the_modules_of_a_fork_are_those_of_a_fresh_process_in_their_order(tmp_path):
    found = outcome(tmp_path, PACKAGES, "import third, reader, pkg.part, logs, logging.config"
                                        "\nRESULT = 1\n")
    assert found.given
    assert found.loaded == found.fresh_loaded


def test_another_order_of_imports_and_a_new_one_keep_what_was_had_ahead(tmp_path):
    found = outcome(tmp_path, PACKAGES, "import third, logs, reader" + END,
                    "import csv, json, six_like, reader, logs, third" + END)
    assert found.forked == found.fresh
    assert {"third", "other", "logs", "reader", "csv"} <= set(found.given)
    assert "six_like" not in found.given


def test_a_kept_module_of_the_project_is_had_ahead_with_what_it_imports(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "__init__.py").write_text("")
    (tmp_path / "models" / "big.py").write_text("import third\nfrom . import part\nX = [1]\n")
    (tmp_path / "models" / "part.py").write_text("P = 2\n")
    found = outcome(tmp_path, PACKAGES, "from models.big import X, part\nimport reader\n"
                    "RESULT = X + [part.P]\n", keep=("models.big",))
    assert found.forked == found.fresh == [[1, 2], ""]
    assert {"models", "models.big", "models.part", "third", "reader"} <= set(found.given)


PROXY = """\
class Proxy:
    wrapped = None

    def __init__(self):
        self.real = "unset"

    @property
    def __class__(self):
        raise RuntimeError("set up too early")

settings = Proxy()
"""


def test_objects_that_set_themselves_up_when_looked_at_are_not(tmp_path):
    packages = {"proxy/__init__.py": "", "proxy/conf.py": PROXY,
                "proxy/views.py": "from proxy.conf import settings\nSEEN = settings.real\n"}
    found = outcome(tmp_path, packages, "import proxy.conf\nimport proxy.views\n"
                                        "RESULT = proxy.views.SEEN\n")
    assert found.forked == found.fresh == ["unset", ""]
    assert {"proxy.conf", "proxy.views"} <= set(found.given)


def test_what_depends_on_options_that_the_program_set_is_left_out_at_once(tmp_path):
    packages = {"proxy/__init__.py": "", "proxy/conf.py": PROXY, "plain.py": "X = 1\n", **{
        f"proxy/{name}.py": "from proxy.conf import settings\nSEEN = settings.real\n"
        for name in ("views", "models", "admin")}}
    found = outcome(tmp_path, packages, "from proxy.conf import settings\n"
                    "settings.real = 'set'\nimport proxy.views, plain, proxy.models\n"
                    "import proxy.admin\n"
                    "RESULT = [proxy.views.SEEN, proxy.admin.SEEN]\n")
    assert found.forked == found.fresh == [["set", "set"], ""]
    assert set(found.left_out) == {"proxy.views", "proxy.models", "proxy.admin"}
    assert "plain" in found.given


DJANGO = {
    "django/__init__.py": "", "django/apps/__init__.py": "from .registry import apps\n",
    "django/apps/registry.py": "class Apps:\n    def __init__(self):\n"
                               "        self.ready = self.loading = False\napps = Apps()\n",
    "django/conf.py": "empty = object()\nclass LazySettings:\n    def __init__(self):\n"
                      "        self._wrapped = empty\n    @property\n"
                      "    def configured(self):\n        return self._wrapped is not empty\n"
                      "settings = LazySettings()\n",
    "django/own.py": "from django.conf import settings\nfrom django.apps import apps\n"
                     "settings.configured\n",
    "names.py": "from django.conf import settings\nfrom django.apps import apps\n",
    "reads.py": "from django.conf import settings\nSEEN = settings.configured\n",
    "waits.py": "from django.apps import apps\nSEEN = apps.ready\n", "plain.py": ""}


def test_what_only_names_what_a_framework_sets_up_is_had_ahead_and_what_looks_at_it_is_not(
        tmp_path):
    found = outcome(tmp_path, DJANGO, "from django.conf import settings\n"
                    "from django.apps import apps\nsettings._wrapped = 'set'\n"
                    "apps.ready = apps.loading = True\nimport names, django.own, reads, waits\n"
                    "import plain\n"
                    "RESULT = [reads.SEEN, waits.SEEN, names.settings is settings, [\n"
                    "    '__getattribute__' in vars(type(each)) for each in (settings, apps)]]\n")
    assert found.stale is None
    assert found.forked == found.fresh == [[True, True, True, [False, False]], ""]
    assert found.left_out == {
        "reads": "it looks at django.configured while it is imported",
        "waits": "it looks at django.ready while it is imported"}
    assert {"names", "django.own", "plain"} <= set(found.given)


def test_all_that_would_find_something_changed_is_left_out_at_once(tmp_path):
    options = "class Options: pass\noptions = Options()\noptions.mode = 'plain'\n"
    packages = {"one/__init__.py": options, "two/__init__.py": options, **{
        f"{name}.py": f"import {of}\nSEEN = {of}.options.mode\n"
        for name, of in (("a", "one"), ("b", "two"), ("c", "one"))}, "plain.py": "import one\n"}
    found = outcome(tmp_path, packages, "import one, two, plain\n"
                    "one.options.mode = two.options.mode = 'set'\nimport a, b, c\n"
                    "RESULT = [a.SEEN, b.SEEN, c.SEEN]\n")
    assert found.stale[2] == ["a", "a", "b", "c"]
    assert found.forked == found.fresh == [["set"] * 3, ""]
    assert "plain" in found.given


def test_the_place_of_a_logger_is_nobodys(tmp_path):
    packages = {"deep.py": "import logging\nlog = logging.getLogger('far.away.deep')\n",
                "plain.py": "", "other.py": ""}
    program = "import deep, plain, other\nRESULT = deep.log.name\n"
    found = outcome(tmp_path, packages, program, "import logging\nlogging.getLogger('far')\n"
                    "logging.getLogger('far.away').setLevel(10)\n" + program.replace(
                        ".name", ".parent.name, deep.log.getEffectiveLevel()"))
    assert found.stale is None
    assert found.forked == found.fresh == [["far.away", 10], ""]
    assert {"deep", "plain", "other"} <= set(found.given)


@pytest.mark.parametrize(("caller", "noted"), [("tremolo.insight", []), ("shop", ["wanted"])])
def test_what_the_standard_library_imports_on_demand_is_of_whoever_asked_it(
        monkeypatch, caller, noted):
    lazy = function_of("lazy", os.path.join(os.path.dirname(os.__file__), "lazy.py"),
                       "import wanted")
    asking = function_of(caller, "asking.py", "lazy()", lazy=lazy)
    steps = Steps(WorldView())

    class Finder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name != "wanted":
                return None
            spec = ModuleSpec(name, types.SimpleNamespace(
                create_module=lambda spec: None, exec_module=lambda module: None))
            steps.wrap(spec)
            return spec

    monkeypatch.setattr(sys, "meta_path", [Finder, *sys.meta_path])
    monkeypatch.delitem(sys.modules, "wanted", raising=False)
    function_of("shop", "shop.py", "asking()", asking=asking)()
    sys.modules.pop("wanted")
    assert [step["name"] for step in steps.made] == noted


def function_of(module, path, source, **known):
    """A function of one statement that is as if it stood in the file of a module."""
    code = compile(source, path, "exec")
    return types.FunctionType(code, {"__name__": module, "__builtins__": builtins, **known})
