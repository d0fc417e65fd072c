"""Where a Python file is imported from: the folder for `sys.path`, and its dotted name.

Read, never imported. A folder with an `__init__.py` is a package; one without is a (namespace)
package too when the file in it shows that: by relative imports, or by importing from it by name.
"""

import os
import re
from typing import TYPE_CHECKING, List, NamedTuple, Optional

if TYPE_CHECKING:
    import ast

PROJECT_FILES = ("pyproject.toml", "manage.py", "setup.py", "setup.cfg", "requirements.txt",
                 "Pipfile", "poetry.lock", "uv.lock", ".flaskenv")
REPOSITORIES = (".git", ".hg", ".svn")


class Place(NamedTuple):
    """The folder that has to be on `sys.path`, and the name of the module from there."""

    folder: str
    module: str


def place(path: str) -> Place:
    """Where the module in the file `path` is imported from: the one rule for all.

    `module` is "__init__" for an `__init__.py` in a folder that can be no package, and a part
    of it is no identifier when a folder or the file is named as no module can be.
    """
    folder, base = os.path.split(os.path.abspath(path))
    stem = os.path.splitext(base)[0].replace(".", "_")
    names = [] if base == "__init__.py" else [stem]
    levels = _levels(path, folder)
    while levels > 0 or is_package(folder):
        above, name = os.path.split(folder)
        if not name or "." in name:
            break  # no package can have this name
        folder, levels = above, levels - 1
        names.insert(0, name)
    return Place(folder, ".".join(names) or "__init__")


def is_package(folder: str) -> bool:
    """Whether a folder has an `__init__.py`."""
    return os.path.isfile(os.path.join(folder, "__init__.py"))


def module_file(name: str, folders: List[str]) -> Optional[str]:
    """The file of the module `name`, looked for in `folders`; a package's `__init__.py`."""
    for folder in folders:
        path = os.path.join(folder, *name.split("."))
        for found in (os.path.join(path, "__init__.py"), path + ".py"):
            if os.path.isfile(found):
                return found
    return None


def project_folder(path: str, repository: bool = True) -> Optional[str]:
    """The nearest folder, `path` itself or above it, that looks like the root of a project.

    Stops at the root of the repository (which counts itself if `repository`), and at the
    user's home.
    """
    home = os.path.expanduser("~")
    folder = os.path.abspath(path)
    while True:
        if any(os.path.isfile(os.path.join(folder, name)) for name in PROJECT_FILES):
            return folder
        if any(os.path.exists(os.path.join(folder, name)) for name in REPOSITORIES):
            return folder if repository else None
        above = os.path.dirname(folder)
        if above == folder or folder == home:
            return None
        folder = above


def _levels(path: str, folder: str) -> int:
    """How many packages deep a file shows that it is, though there need be no `__init__.py`: 2
    by `from ..models import Order`; 1 when it imports from its own folder by its name."""
    own = os.path.basename(folder)
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError:
        return 0
    named = not is_package(folder) and own.isidentifier() and re.search(
        rb"^\s*(from|import)\s+%s\b" % re.escape(own.encode()), source, re.MULTILINE)
    if b"from ." not in source and not named:
        return 0
    tree = parse(path)
    if tree is None:
        return 0  # what is wrong with it is reported when it is imported
    import ast

    levels = 0
    for node in ast.walk(tree):
        names: List[str] = []
        if isinstance(node, ast.ImportFrom):
            levels = max(levels, node.level)
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [*names, str(node.module)] if not node.level else []
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        if levels == 0 and any(name.startswith(own + ".") and module_file(
                name.split(".")[1], [folder]) for name in names):
            levels = 1
    return levels


def parse(path: str) -> "Optional[ast.Module]":
    """The syntax tree of a file; None when it cannot be read or is not Python."""
    import ast  # a worker that has no need of it starts sooner

    try:
        with open(path, "rb") as file:
            return ast.parse(file.read(), path)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None
