"""A Django project, read from its `manage.py`: settings module and application."""

import ast
import os
from typing import List, NamedTuple, Optional, Set, Tuple

from .roots import module_file, parse

VARIABLE = "DJANGO_SETTINGS_MODULE"
DEFAULT = "django.core.asgi:get_asgi_application"


class Project(NamedTuple):
    """`settings` is the module's name ("" if it cannot be read), `target` an APP."""

    folder: str
    settings: str
    settings_file: str
    target: str
    factory: bool


def read_project(manage: str) -> Optional[Project]:
    """Read a `manage.py`; None when it is not Django's."""
    try:
        with open(manage, "rb") as file:
            if b"django" not in file.read().lower():
                return None
    except OSError:
        return None
    folder = os.path.dirname(os.path.abspath(manage))
    folders = [folder, os.path.join(folder, "src")]
    settings = os.environ.get(VARIABLE) or _settings_module(manage)
    path = module_file(settings, folders) if settings else None
    if path is None and not os.environ.get(VARIABLE):
        return None if not settings else Project(folder, settings, settings, DEFAULT, True)
    target = _application(settings, path or "", folders)
    return Project(folder, settings, path or settings, target or DEFAULT, not target)


def _settings_module(manage: str) -> str:
    """The value that a script gives to DJANGO_SETTINGS_MODULE, a literal or a default."""
    tree = parse(manage)
    if tree is None:
        return ""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and len(node.args) >= 2 and _is_name(node.args[0]):
            found = _literal(node.args[1])
            if found:
                return found
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
            index = node.targets[0].slice
            found = _literal(node.value) if _is_name(getattr(index, "value", index)) or (
                _is_name(index)) else ""
            if found:
                return found
    return ""


def _is_name(node: object) -> bool:
    return node == VARIABLE or (isinstance(node, ast.Constant) and node.value == VARIABLE)


def _literal(node: ast.expr) -> str:
    """A text, also as the last argument of a call such as config("X", default="text")."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.Call):
        values = [*node.args[1:], *(keyword.value for keyword in node.keywords)]
        return next((text for text in map(_literal, reversed(values)) if text), "")
    return ""


def _application(settings: str, path: str, folders: List[str]) -> str:
    """The ASGI application if there is one, else the WSGI application, as an APP."""
    named_asgi = _setting("ASGI_APPLICATION", path, folders, set())
    named_wsgi = _setting("WSGI_APPLICATION", path, folders, set())
    if named_asgi:
        return _as_target(named_asgi)
    packages = [named_wsgi.rpartition(".")[0].rpartition(".")[0]] if named_wsgi else []
    while settings:
        settings = settings.rpartition(".")[0]
        packages.append(settings)
    for name in ("asgi", "wsgi"):
        if name == "wsgi" and named_wsgi:
            return _as_target(named_wsgi)
        for package in packages:
            module = f"{package}.{name}" if package else name
            found = module_file(module, folders)
            if found and _assigns(found, "application"):
                return f"{module}:application"
    return ""


def _as_target(dotted: str) -> str:
    module, _, name = dotted.rpartition(".")
    return f"{module}:{name}"


def _assigns(path: str, name: str) -> bool:
    tree = parse(path)
    return tree is not None and any(
        isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store)
        for node in ast.walk(tree))


def _setting(name: str, path: str, folders: List[str], seen: Set[str]) -> str:
    """The last text assigned to a setting, in the file or where it imports everything from."""
    tree = parse(path) if path and path not in seen else None
    if tree is None:
        return ""
    seen.add(path)
    found = ""
    for node in tree.body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                found = _literal(node.value) if node.value is not None else found
        elif isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
            other = _imported_file(node, path, folders)
            found = (other and _setting(name, other, folders, seen)) or found
    return found


def _imported_file(node: ast.ImportFrom, path: str, folders: List[str]) -> Optional[str]:
    if not node.level:
        return module_file(node.module or "", folders)
    folder = os.path.dirname(path)
    for _ in range(node.level - 1):
        folder = os.path.dirname(folder)
    return module_file(node.module, [folder]) if node.module else None


def environment(project: Project) -> Tuple[Tuple[str, str], ...]:
    """What `manage.py` puts into the environment, unless it is there."""
    return ((VARIABLE, project.settings),) if project.settings else ()
