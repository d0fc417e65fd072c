"""The files of a project that may hold its application, and which of them are independent.

A walk with bounds: the usual places first, then all others; what other people wrote, tests and
notebooks are passed by.
"""

import os
from typing import Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

from .frameworks import HINT
from .modules import Candidate, Module, choose, read_module
from .roots import PROJECT_FILES, Place, is_package, place

#: names of files, the most usual first
FILES = ("main.py", "app.py", "api.py", "asgi.py", "wsgi.py", "server.py")
FOLDERS = ("app", "src", "backend", "api", "server")
PASSED_BY = frozenset((
    "node_modules", "site-packages", "__pycache__", "build", "dist", "docs", "doc", "test",
    "tests", "testing", "examples", "example", "notebooks", "migrations", "alembic", "static",
    "templates", "venv", "env", "virtualenv", "vendor", "third_party", "benchmarks", "frontend",
    "scripts", "htmlcov", "media", "data"))
MAX_DEPTH = 5
MAX_FILES = 3000
MAX_SIZE = 1 << 20


class Found(NamedTuple):
    """A file with the application that would be taken from it, or several to choose from."""

    path: str
    rank: int
    module: Module
    names: List[Candidate]


def search(root: str) -> List[Found]:
    """Files that hold an application, in the likeliest order; those that are part of another
    one's application are left out."""
    found: List[Found] = []
    best: Optional[int] = None
    for rank, path in _files(root):
        if best is not None and rank > best:
            break
        read = _read(path, rank)
        if read is not None:
            found.append(read)
            best = rank
    return _independent(found)


def _read(path: str, rank: int) -> Optional[Found]:
    usual = os.path.basename(path) in FILES
    try:
        if os.path.getsize(path) > MAX_SIZE:
            return None
        with open(path, "rb") as file:
            if not usual and not HINT.search(file.read()):
                return None
    except OSError:
        return None
    module = read_module(path)
    if module is None or not module.best:
        return None
    return Found(path, rank, module, choose(module.best))


def broken(root: str) -> Optional[Tuple[str, SyntaxError]]:
    """The first file with a usual name that would be looked into for an application, were it not
    for its syntax; and what is wrong there."""
    for rank, path in _files(root):
        if rank > 1:
            break
        try:
            with open(path, "rb") as file:
                source = file.read(MAX_SIZE)
            if os.path.basename(path) in FILES and HINT.search(source):
                compile(source, path, "exec", dont_inherit=True)
        except SyntaxError as exc:
            return path, exc
        except (OSError, ValueError):
            continue
    return None


def _files(root: str) -> Iterator[Tuple[int, str]]:
    """(rank, path) of Python files: 0 usual names at the root, 1 usual names and packages
    below, 2 other files at the root, 3 other files anywhere."""
    ranked: Dict[int, List[Tuple[Tuple[int, ...], str]]] = {0: [], 1: [], 2: [], 3: []}
    for depth, folder, names in _walk(root):
        for name in names:
            path = os.path.join(folder, name)
            usual = FILES.index(name) if name in FILES else len(FILES)
            if depth == 0:
                rank = 0 if name in FILES else 2
            else:
                package = name == "__init__.py"
                rank = 1 if name in FILES or package else 3
            ranked[rank].append(((depth, *_folder_order(root, folder), usual), path))
    for rank in sorted(ranked):
        for _, path in sorted(ranked[rank]):
            yield rank, path


def _folder_order(root: str, folder: str) -> Tuple[int]:
    first = os.path.relpath(folder, root).split(os.sep)[0]
    return (FOLDERS.index(first) if first in FOLDERS else len(FOLDERS),)


def _walk(root: str) -> Iterator[Tuple[int, str, List[str]]]:
    """(depth, folder, names of Python files), breadth first."""
    folders, left = [(0, root)], MAX_FILES
    while folders and left > 0:
        depth, folder = folders.pop(0)
        names, below = [], []
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if _is_passed_by(entry):
                    continue
                below.append((depth + 1, entry.path))
            elif entry.name.endswith(".py") and not _is_test(entry.name):
                names.append(entry.name)
        left -= len(names)
        yield depth, folder, names
        if depth < MAX_DEPTH:
            folders.extend(below)


def _is_passed_by(entry: "os.DirEntry[str]") -> bool:
    name = entry.name
    return (name.startswith((".", "_")) or name in PASSED_BY or name.endswith(".egg-info")
            or os.path.exists(os.path.join(entry.path, "pyvenv.cfg")))


def _is_test(name: str) -> bool:
    return (name.startswith("test_") or name.endswith("_test.py")
            or name in ("conftest.py", "setup.py", "noxfile.py", "manage.py"))


def _independent(found: List[Found]) -> List[Found]:
    """Leave out what is imported by another one (a mounted application, a factory), and
    packages whose own module is there."""
    places = {entry.path: place(entry.path) for entry in found}
    used: Dict[str, Set[str]] = {}
    for entry in found:
        imported = {_absolute(name, places[entry.path], entry.path)
                    for name in entry.module.imports}
        for other in found:
            if other is not entry and places[other.path].module in imported and (
                    _same_world(places[entry.path], places[other.path])):
                used.setdefault(other.path, set()).add(entry.path)
    left = [entry for entry in found if entry.path not in used]
    left = left or found[:1]
    asgi = {os.path.dirname(entry.path) for entry in left if entry.path.endswith("asgi.py")}
    left = [entry for entry in left if not (
        os.path.basename(entry.path) == "wsgi.py" and os.path.dirname(entry.path) in asgi)]
    applications = [entry for entry in left if not entry.names[0].factory]
    return applications or left


def _same_world(one: Place, other: Place) -> bool:
    return one.folder == other.folder


def _absolute(name: str, where: Place, path: str) -> str:
    """A relative import as the module that it means."""
    dots = len(name) - len(name.lstrip("."))
    if not dots:
        return name
    package = where.module.split(".")
    if os.path.basename(path) != "__init__.py":
        package = package[:-1]
    package = package[:len(package) - dots + 1]
    return ".".join([*package, *filter(None, [name[dots:]])])


def home_of(path: str, root: str) -> str:
    """The folder that commands for this file are given in: the nearest one with project files
    between the file and `root`, else `root`."""
    folder = os.path.dirname(path)
    while folder != root and folder.startswith(root + os.sep):
        if any(os.path.isfile(os.path.join(folder, name)) for name in PROJECT_FILES) and (
                not is_package(folder)):
            return folder
        folder = os.path.dirname(folder)
    return root
