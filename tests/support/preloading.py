"""Runs a program three times: afresh, ahead of whose fork nothing was imported; then twice in
children of a zygote that imported ahead what the program had imported. No sockets, no server.

As a script: `python preloading.py FOLDER`, with FOLDER/app.py defining RESULT, and installed
packages in FOLDER/site-packages. A second program may be in FOLDER/second.py. Prints JSON.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import traceback

from tests.support.launcher import launcher

#: of ours, what a worker has imported before it imports anything of the program's
AHEAD = ("asyncio", "tremolo.worker.main", "tremolo.supervisor.plan", "tremolo.worker.preloader")
ROOT = str(pathlib.Path(__file__).resolve().parents[2])


class Outcome:
    """What came of a program: `fresh`, `forked` are its results, `given` the modules that the
    fork had ahead, `stale` why it was given up, `left_out` what was not imported ahead."""

    def __init__(self, told):
        self.fresh = told["fresh"]
        self.forked = told.get("forked")
        self.printed = told.get("printed")
        self.given = told.get("given", [])
        self.loaded = told.get("loaded", [])
        self.fresh_loaded = told.get("fresh_loaded", [])
        self.stale = told.get("stale")
        self.left_out = {entry["module"]: entry["reason"] for entry in told["left_out"]}


def outcome(folder, packages, program, second=None, keep=(), **environ):
    """Run `program` in `folder` with installed `packages` (path: source); then `second`, or
    the same again, forked from a process that imported ahead."""
    installed = folder / "site-packages"
    for path, source in packages.items():
        (installed / path).parent.mkdir(parents=True, exist_ok=True)
        (installed / path).write_text(source)
    installed.mkdir(exist_ok=True)
    (folder / "app.py").write_text(program)
    (folder / "second.py").write_text(program if second is None else second)
    environ = dict(os.environ, PYTHONPATH=ROOT, PYTHONHASHSEED="0", PYTHONDONTWRITEBYTECODE="",
                   XDG_CACHE_HOME=str(folder), **environ)
    forks = launcher("tests.support.preloading", AHEAD, PYTHONHASHSEED="0")
    if forks is not None and forks.would_run_the_same(environ):
        done = forks.run([str(folder), *keep], folder, environ, 170)
    else:
        done = subprocess.run(
            [sys.executable, __file__, str(folder), *keep], cwd=folder, text=True, timeout=170,
            capture_output=True, env=environ)
    assert done.returncode == 0, done.stderr
    return Outcome(json.loads(done.stdout.splitlines()[-1]))


def in_child(function):
    """Call a function in a fork; what it returns, and what it printed."""
    read_end, write_end = os.pipe()
    with tempfile.TemporaryFile() as output:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.dup2(output.fileno(), 1)
                told = json.dumps(function()).encode()
                sys.stdout.flush()
                with os.fdopen(write_end, "wb") as pipe:
                    pipe.write(told)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        os.close(write_end)
        with os.fdopen(read_end, "rb") as pipe:
            told = pipe.read()
        os.waitpid(pid, 0)
        output.seek(0)
        return json.loads(told), output.read().decode()


def run(path, start, shelf):
    """The worker's side."""
    from tremolo.worker.ahead import Ahead
    from tremolo.worker.imports import ProjectImports
    from tremolo.worker.shelf import Stale

    folder = os.path.dirname(path)
    sys.path.insert(0, folder)
    imports = ProjectImports()
    imports.install()
    before = set(sys.modules)

    class GivenUp(BaseException):
        pass

    found = []

    def give_up(stale):
        found.append(stale)
        raise GivenUp

    ahead = Ahead(start, imports, shelf, give_up, print)
    told = {}
    try:
        loader = imports.loader("app", path)
        namespace = {"__name__": "app"}
        exec(loader.get_code("app"), namespace)
        ahead.imported()
        told["result"] = namespace["RESULT"]
    except GivenUp:
        stale = found[0]
        assert isinstance(stale, Stale)
        told["stale"] = [stale.module, stale.reason, stale.lasting]
    given = []
    if shelf is not None:
        given = [name for name, entry in shelf.entries.items()
                 if sys.modules.get(name) is entry.module]
    told.update(given=given, messages=list(ahead.messages()),
                loaded=[name for name in sys.modules if name not in before])
    return told


def main(folder, *keep):
    for name in AHEAD:
        __import__(name)
    sys.path.insert(0, os.path.join(folder, "site-packages"))
    from tremolo.supervisor.plan import ModuleNames, Plan
    from tremolo.worker.preloader import Preloader, Spoiled

    start = {"settings": {"keep": list(keep)}}
    app = os.path.join(folder, "app.py")
    first, _ = in_child(lambda: run(app, start, None))
    fresh, printed = in_child(lambda: run(os.path.join(folder, "second.py"), start, None))
    names = ModuleNames()
    told = [names.add(1, message) for message in first["messages"]][-1]
    plan = Plan()
    plan.learn(*told)
    streams = [os.dup(number) for number in (1, 2)]
    stale = None
    while True:
        for number in (1, 2):
            with tempfile.TemporaryFile() as file:
                os.dup2(file.fileno(), number)

        def forked(plan=plan):
            preloader = Preloader()
            preloader.refused.update(plan.refused)
            done = 0
            while done < len(plan.steps):
                step = plan.message(plan.steps[done])
                try:
                    if step["trial"]:
                        preloader.trial(step)
                except Spoiled as exc:
                    plan.spoiled(step["name"], str(exc))
                    preloader.refused.update(plan.refused)
                    continue
                try:
                    preloader.step(step)
                except Spoiled as exc:
                    return {"spoiled": [step["name"], str(exc)]}
                done += 1
                preloader.rest()  # as before each fork, which may come at any time
            preloader.rest()
            told, printed = in_child(lambda: run(
                os.path.join(folder, "second.py"), start, preloader.shelf))
            return dict(told, printed=printed, left_out=plan.not_preloaded)

        try:
            second, _ = in_child(forked)
        except ValueError:
            os.write(streams[1], b"the fork failed:\n" + os.pread(2, 1 << 16, 0))
            sys.exit(1)
        if "spoiled" in second:
            plan.spoiled(*second["spoiled"])
        elif second.get("stale", (0, 0, 0))[2]:
            plan.stale(*second["stale"])
            stale = second["stale"]
        else:
            break
    for number, kept in zip((1, 2), streams):
        os.dup2(kept, number)
    print(json.dumps({
        "fresh": [fresh["result"], printed], "fresh_loaded": fresh["loaded"],
        "forked": [second["result"], second["printed"]] if "result" in second else None,
        "given": second["given"], "stale": second.get("stale", stale), "loaded": second["loaded"],
        "left_out": second["left_out"]}))


if __name__ == "__main__":
    sys.path[0] = ROOT
    main(*sys.argv[1:])
