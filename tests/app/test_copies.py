"""Applications and contexts can be copied and pickled: `multiprocessing` with spawn needs it."""

import copy
import os
import pickle
import subprocess
import sys

import pytest

from tests.app import serving
from tests.app.serving import get
from tests.support.processes import ROOT, Server, environment
from tremolo import Tremolo
from tremolo.app.context import ConnectionContext, RequestContext, WorkerContext


async def show(context):
    return f"shown {context.options.get('a')}"


def on_thread():
    return "thread"


async def step(response):
    response.set_header("X-Step", "1")


async def page():
    return "no such page"


class View:
    """A view of one method."""

    async def get(self):
        return "view"


def application():
    app = Tremolo("pickled")
    app.add_route(show, "/")
    app.add_route(on_thread, "^/thread/(?P<n>[0-9]+)$")
    app.add_route(View, "/view")
    app.add_route(serving, "/module")  # a module of views: it has a function `get`
    app.add_middleware(step, "response")
    app.add_hook(step, "close")
    app.error(404, page)
    app.context.kept = {"a": [1]}
    app.listen(8001, "127.0.0.1", debug=True)
    return app


COPIES = {"pickle": lambda value: pickle.loads(pickle.dumps(value)), "copy": copy.copy,
          "deepcopy": copy.deepcopy}


@pytest.mark.parametrize("copied", [COPIES["pickle"], COPIES["deepcopy"]],
                         ids=["pickle", "deepcopy"])
def test_an_application_serves_the_same_after_a_round_trip(copied):
    app = copied(application())
    response = get(app, "/", a=1)
    assert (response.text, response.header("x-step")) == ("shown 1", "1")
    assert get(app, "/thread/5").text == "thread"
    assert get(app, "/view").text == "view"
    assert get(app, "/module", method="POST").status == 405
    assert get(app, "/nothing").text == "no such page"
    assert app.context.kept == {"a": [1]}
    assert app.ports == {("127.0.0.1", 8001): {"debug": True}}
    assert app.logger.name == "pickled"
    assert app.context.tasks is app.tasks


def test_what_belongs_to_a_process_stays_there():
    app = application()
    get(app, "/")  # now its context holds threads and connections
    twin = pickle.loads(pickle.dumps(app))
    assert set(twin.context) == {"kept", "options", "tasks"}
    assert get(twin, "/", a=2).text == "shown 2"


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("kind", [WorkerContext, ConnectionContext])
def test_a_context_can_be_copied(kind, how):
    context = kind(options={"a": 1}, kept=[1])
    twin = COPIES[how](context)
    assert type(twin) is kind
    assert twin.kept == [1] and (twin.kept is context.kept) is (how == "copy")
    twin.other = 1
    assert "other" not in context


@pytest.mark.parametrize("how", COPIES)
def test_the_context_of_a_request_can_be_copied(how):
    class Request:
        """As much of a request as its context looks at."""

        query = {"a": ["1"]}

    request = Request()
    context = RequestContext(request, {"rate": 1})
    context.kept = [1]
    twin = COPIES[how](context)
    assert (twin.kept, twin.options) == ([1], {"rate": 1})
    if how == "copy":
        assert twin.query == {"a": ["1"]}
    else:  # it may outlive the request
        assert "query" not in twin and twin.get("query") is None


@pytest.mark.parametrize("name", ["_values", "__deepcopy__", "nothing"])
def test_a_context_without_values_has_no_attributes(name):
    with pytest.raises(AttributeError):
        getattr(WorkerContext.__new__(WorkerContext), name)


SPAWNING = """
import multiprocessing
from tremolo import Tremolo

app = Tremolo()

@app.route('/')
async def index():
    return 'spawned'

if __name__ == '__main__':
    multiprocessing.set_start_method('spawn')
    with app.create_sock('127.0.0.1', 0) as sock:  # a free port
        port = sock.getsockname()[1]
    child = multiprocessing.Process(target=app.run, args=('127.0.0.1', port))
    child.start()
    import time, urllib.error, urllib.request
    for _ in range(500):
        try:
            print(urllib.request.urlopen('http://127.0.0.1:%d/' % port, timeout=10).read())
            break
        except urllib.error.URLError:
            time.sleep(0.02)
    child.terminate()
    child.join(10)
"""


def test_run_is_the_target_of_a_spawned_process(tmp_path):
    (tmp_path / "script.py").write_text(SPAWNING)
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True,
                          env=environment(tmp_path, PYTHONPATH=ROOT), timeout=60)
    assert b"b'spawned'" in done.stdout, done.stderr.decode()
    assert b"Traceback" not in done.stderr


SHARING = """
import multiprocessing
from tremolo import Tremolo

app = Tremolo()

if __name__ == '__main__':
    with multiprocessing.Manager() as manager:
        WHERE
        app.run('127.0.0.1', 0, worker_num=WORKERS, shared=SHARED)
"""


@pytest.mark.parametrize(("where", "shared", "named"), [
    ("pass", "manager.dict()", "run() has shared=DictProxy"),
    ("pass", "manager.Namespace()", "run() has shared=NamespaceProxy"),
    ("pass", "multiprocessing.Lock()", "run() has shared=Lock"),
    ("app.context.mine = manager.list()", "1", "app.context has mine=ListProxy"),
])
def test_what_workers_cannot_share_is_refused_at_once(tmp_path, where, shared, named):
    (tmp_path / "script.py").write_text(
        SHARING.replace("WHERE", where).replace("WORKERS", "2").replace("SHARED", shared))
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True,
                          text=True, env=environment(tmp_path, PYTHONPATH=ROOT), timeout=60)
    assert done.returncode != 0
    assert named in done.stderr and "which the workers cannot get" in done.stderr
    assert os.path.basename(str(tmp_path)) not in done.stdout


OPTIONS = """
from tremolo import Tremolo

app = Tremolo()

class Thing:
    def __repr__(self):
        return 'a thing'

@app.route('/')
async def show(context):
    return repr(context.options.get('mine'))

GUARD
    app.run('127.0.0.1', 0, worker_num=2, json=True, mine=MINE)
"""


@pytest.mark.parametrize(("guard", "mine", "shown"), [
    ("if __name__ == '__main__':", "{'a': [1, None, 'b']}", "{'a': [1, None, 'b']}"),
    ("if True:", "Thing()", "a thing"),
], ids=["plain values", "an object, without a guard"])
def test_options_of_run_reach_the_workers(tmp_path, guard, mine, shown):
    (tmp_path / "script.py").write_text(
        OPTIONS.replace("GUARD", guard).replace("MINE", mine))
    with Server(tmp_path, json=False, script=["script.py"]) as server:
        assert server.text() == shown


def test_an_option_that_cannot_reach_the_workers_is_an_error(tmp_path):
    (tmp_path / "script.py").write_text(
        OPTIONS.replace("GUARD", "if __name__ == '__main__':").replace("MINE", "Thing()"))
    with Server(tmp_path, json=False, script=["script.py"]) as server:
        error = server.wait_for("reload", state="failed")["error"]
        assert "run() was given mine, which cannot be handed to the workers" in error["text"]
