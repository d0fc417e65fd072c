"""The layers, as tremolo/README.md draws them: who may import whom."""

import ast
import functools
import os
import re
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
#: what each layer may import of the project, beside itself
LEAVES = {"config", "exceptions", "units", "throttle", "envfile", "proxies", "addresses",
          "companions", "recording", "scope", "stacks", "upstreams", "pyproject"}
ALLOWED = {
    "tremolo": {"app", "Application", "Tremolo"},
    "protocol": set(),
    "telemetry": set(),
    "net": {"protocol"},
    "app": {"net", "protocol"},
    "asgi": {"net", "protocol"},
    "wsgi": {"net", "protocol"},
    "insight": {"net", "telemetry"},
    "worker": {"app", "asgi", "wsgi", "insight", "net", "protocol", "telemetry", "discovery"},
    "supervisor": {"telemetry"},
    "discovery": set(),
}
#: may import everything
COMPOSITION_ROOTS = {"cli", "commands", "launch", "inprocess", "dashboard", "testing",
                     "__main__", "__init__"}
#: the few imports upwards, each within a function, and why
UPWARDS = {
    ("tremolo.app.application", "tremolo.launch"),  # app.run()
    ("tremolo.supervisor.zygote", "tremolo.worker"),  # the forked child becomes a worker
    ("tremolo.supervisor.quiet", "tremolo.worker"),  # and this one
}
#: protocol engines know no shell
IMPURE = {"asyncio", "socket", "time", "logging", "selectors", "ssl", "threading", "random"}
NOT_NEEDED_TO_SERVE = ("textual", "rich", "watchfiles")


def modules(package):
    """(path, dotted name) of each module below the folder `package` of the project."""
    for folder, _, names in os.walk(os.path.join(ROOT, package)):
        for name in names:
            if name.endswith(".py"):
                path = os.path.join(folder, name)
                dotted = os.path.relpath(path, ROOT)[:-3].replace(os.sep, ".")
                yield path, dotted


def imports(path, dotted, types=False):
    """(absolute dotted name, line) of all that a module imports, also within functions; with
    `types` also what is only imported for type checkers."""
    return [(name, line) for name, line, only_types in _imports(path, dotted)
            if types or not only_types]


@functools.cache
def _imports(path, dotted):
    with open(path, encoding="utf-8") as source:
        tree = ast.parse(source.read(), path)
    package, found = dotted.split(".")[:-1], []
    for node, only_types in _statements(tree, False):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level:
            base = package[:len(package) - node.level + 1]
            names = [".".join([*base, node.module] if node.module else base)]
            if not node.module:
                names += [".".join([*base, alias.name]) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        found += [(name, node.lineno, only_types) for name in names]
    return tuple(found)


def _statements(node, only_types):
    """All statements below a node, and whether only type checkers come to them. Expressions,
    which are nine in ten of all nodes, hold none."""
    checked = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
    for part in ("body", "orelse", "finalbody", "handlers", "cases"):
        for child in getattr(node, part, ()):
            for_types = only_types or (checked and part == "body")
            yield child, for_types
            yield from _statements(child, for_types)


def layer_of(dotted):
    """The layer, a leaf's name, or None for what is not of the project."""
    parts = dotted.split(".")
    if parts[0] != "tremolo":
        return None
    return parts[1] if len(parts) > 1 else "__init__"


def test_each_layer_imports_only_those_below_it():
    wrong = []
    for path, dotted in modules("tremolo"):
        here = layer_of(dotted)
        if here in COMPOSITION_ROOTS:
            continue
        allowed = LEAVES | ({here} | ALLOWED[here] if here in ALLOWED else set())
        for name, line in imports(path, dotted):
            there = layer_of(name)
            if there is None or name in ("tremolo", "tremolo.__version__"):
                continue
            if there not in allowed and (dotted, f"tremolo.{there}") not in UPWARDS:
                wrong.append(f"{dotted}:{line} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_types_come_from_the_layers_below_too():
    """What is only imported for type checkers keeps the same rules."""
    wrong = []
    for path, dotted in modules("tremolo"):
        here = layer_of(dotted)
        if here in COMPOSITION_ROOTS or here not in ALLOWED:
            continue
        for name, line in imports(path, dotted, types=True):
            there = layer_of(name)
            if there is not None and there not in LEAVES | {here} | ALLOWED[here] | ALLOWED[
                    "tremolo"] and name not in ("tremolo", "tremolo.__version__") and (
                    dotted, f"tremolo.{there}") not in UPWARDS:
                wrong.append(f"{dotted}:{line} imports {name}")
    assert not wrong, "\n".join(wrong)


def edges(package):
    """What each module of a package imports of it, types included."""
    known = {dotted for _, dotted in modules(package)}
    return {dotted: {name for name, _ in imports(path, dotted, types=True)
                     if name in known and name != dotted}
            for path, dotted in modules(package)}


def circles(graph):
    """The modules from which one comes back to where one was."""
    def reach(start):
        seen, ahead = set(), list(graph[start])
        while ahead:
            node = ahead.pop()
            if node not in seen:
                seen.add(node)
                ahead.extend(graph[node])
        return seen
    return {node for node in graph if node in reach(node)}


@pytest.mark.parametrize("layer", sorted(ALLOWED.keys() - {"tremolo"}) + ["tui"])
def test_no_modules_of_a_package_import_each_other_in_a_circle(layer):
    package = layer if layer == "tui" else f"tremolo/{layer}"
    prefix = package.replace("/", ".") + "."
    found = {name[len(prefix):] for name in circles(edges(package))}
    assert not found, f"in a circle: {sorted(found)}"


def test_every_folder_is_a_layer():
    folders = {name for name in os.listdir(os.path.join(ROOT, "tremolo"))
               if os.path.isfile(os.path.join(ROOT, "tremolo", name, "__init__.py"))}
    assert folders <= set(ALLOWED) | COMPOSITION_ROOTS


def test_the_protocol_engines_are_pure():
    wrong = [f"{dotted}:{line} imports {name}" for path, dotted in modules("tremolo/protocol")
             for name, line in imports(path, dotted) if name.split(".")[0] in IMPURE]
    assert not wrong, "\n".join(wrong)


def test_the_dashboard_imports_of_the_core_only_telemetry_and_leaves():
    wrong = []
    for path, dotted in modules("tui"):
        for name, line in imports(path, dotted):
            there = layer_of(name)
            if there not in (None, "__init__", "telemetry") and there not in LEAVES:
                wrong.append(f"{dotted}:{line} imports {name}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("package", NOT_NEEDED_TO_SERVE)
def test_only_the_supervisor_and_the_dashboard_need_more_than_the_standard_library(package):
    wrong = [f"{dotted}:{line}" for path, dotted in modules("tremolo")
             if layer_of(dotted) not in ("supervisor", "cli")
             for name, line in imports(path, dotted) if name.split(".")[0] == package]
    assert not wrong, "\n".join(wrong)


SERVE = """
import asyncio, socket, sys
import tremolo
from tremolo.config import Settings
from tremolo.net.server import Server
{adapter}
async def main():
    sock = socket.create_server(("127.0.0.1", 0))
    server = Server(adapter, Settings(), loop=asyncio.get_running_loop())
    await adapter.startup()
    await server.start([sock])
    reader, writer = await asyncio.open_connection(*sock.getsockname())
    writer.write(b"GET / HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n")
    print((await reader.read()).split(b"\\r\\n")[0].decode())
    writer.close()
    await server.drain(1)
asyncio.run(main())
"""
NATIVE = """
from tremolo import Application
from tremolo.app.adapter import NativeAdapter
app = Application()
@app.route("/")
async def index():
    return "Hello"
adapter = NativeAdapter(app, Settings())
"""
ASGI = """
from tremolo.asgi.adapter import ASGIAdapter
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"Hello"})
adapter = ASGIAdapter(app, Settings(lifespan="off"))
"""


@pytest.mark.parametrize("program", [
    pytest.param("import sys, tremolo\nprint('HTTP/1.1 200 OK')\n", id="import"),
    pytest.param(SERVE.replace("{adapter}", NATIVE), id="native"),
    pytest.param(SERVE.replace("{adapter}", ASGI), id="asgi"),
])
def test_serving_needs_only_the_standard_library(program):
    program += f"\nprint(sorted(set({NOT_NEEDED_TO_SERVE!r}) & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True,
                            text=True, timeout=30)
    assert result.stdout.splitlines() == ["HTTP/1.1 200 OK", "[]"], result.stderr


def test_the_supervisor_is_started_before_anything_slow_is_imported():
    """The server is there sooner by what the shell's process does not import first."""
    program = ("import sys, tremolo.dashboard\n"
               "from tremolo.commands.serving import launch_of, prepare\n"
               "launch_of(prepare(['app:app'], True), True)\n"
               "print(sorted({'asyncio', 'ssl', 'textual', 'watchfiles'} & set(sys.modules)))")
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True,
                            text=True, timeout=30)
    assert result.stdout == "[]\n", result.stderr


def test_a_worker_has_not_loaded_what_most_applications_never_use():
    """What it does not load it has no memory for."""
    seldom = {"datetime", "random", "tremolo.net.websocket", "tremolo.protocol.websocket",
              "tremolo.protocol.conditional", "tremolo.worker.shelf", "tremolo.worker.world"}
    program = ("import sys, tremolo.worker.main, tremolo.asgi.adapter\n"
               f"print(sorted({seldom!r} & set(sys.modules)))")
    result = subprocess.run([sys.executable, "-S", "-c", program], cwd=ROOT, capture_output=True,
                            text=True, timeout=30)
    assert result.stdout == "[]\n", result.stderr


# -- the map

MAP = os.path.join(ROOT, "tremolo", "README.md")


def map_text():
    with open(MAP, encoding="utf-8") as file:
        return file.read()


def test_the_map_names_each_module():
    """In the rows of its folder; of the sources of insight, which are a file a library, none."""
    rows = [line.split("|")[1:3] for line in map_text().splitlines() if line.startswith("| `")]
    missing = []
    for package in ("tremolo", "tui"):
        for path, dotted in modules(package):
            folders, name = os.path.dirname(path), os.path.basename(path)[:-3]
            if name == "__init__" or folders.endswith(os.path.join("insight", "sources")):
                continue
            folder = os.path.relpath(folders, os.path.join(ROOT, "tremolo")).replace(os.sep, "/")
            text = "\n".join("".join(row) for row in rows if folder == "." or any(
                f"`{above}/" in row[0] for above in (folder, folder.rpartition("/")[0]) if above))
            if f"`{name}`" not in text and f"`{name}.py`" not in text:
                missing.append(dotted)
    assert not missing, f"to be named in tremolo/README.md: {', '.join(missing)}"


def test_the_walks_of_the_map_name_functions_that_are_there():
    text = map_text()
    steps = re.findall(r"`([\w/]+\.py)`: ((?:`\w+`(?:,? [^`]{0,40}→ )?)+)",
                       " ".join(text[text.index("## One chunk"):].split()))
    wrong = []
    for file, names in steps:
        path = os.path.join(ROOT, file if file.startswith("tui/") else f"tremolo/{file}")
        with open(path, encoding="utf-8") as source:
            known = {node.name for node in ast.walk(ast.parse(source.read()))
                     if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}
        wrong += [f"{file}: {name}" for name in re.findall(r"`(\w+)`", names)
                  if name not in known]
    assert len(steps) > 15 and not wrong, f"not there: {wrong}"
