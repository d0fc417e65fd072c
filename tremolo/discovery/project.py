"""Which application a project has: the order in which it is looked for, and why one is taken.

Everything is read from files; the caller imports, asks and prints.
"""

import difflib
import os
from typing import Any, List, Mapping, NamedTuple, Optional, Tuple

from ..exceptions import ConfigurationError
from . import django
from .candidates import FILES, Found, broken, home_of, search
from .modules import Candidate, choose, read_module
from .roots import module_file, place
from .targets import split_call

#: folders below the root that modules may be imported from
SOURCES = ("", "src", "backend", "app", "server", "api")


class Choice(NamedTuple):
    """An application that was found. `target` is an APP for the loader with `folder` as its
    `--app-dir`; `home` is the working directory that its project expects; `why` is for the
    user, `command` what to type for it; `environ` is set unless it is set already."""

    target: str
    folder: str
    home: str
    factory: bool
    framework: str
    why: str
    command: str
    environ: Tuple[Tuple[str, str], ...] = ()


def discover(root: str, environ: Mapping[str, str], pyproject: Mapping[str, Any],
             ) -> List[Choice]:
    """The applications of the project in the folder `root`: one is the answer, several are to
    choose from. `environ` and `pyproject` are what may name one. Raises ConfigurationError."""
    entry = pyproject.get("tool", {}).get("fastapi", {}).get("entrypoint")
    if isinstance(entry, str) and entry:
        return [_named(entry, root, "[tool.fastapi] entrypoint in pyproject.toml")]
    if environ.get("FLASK_APP"):
        return [_named(environ["FLASK_APP"], root, "FLASK_APP")]
    return _django_projects(root) or [
        choice for found in search(root) for choice in _choices(found, root)] or _broken(root)


def resolve(text: str, root: str, app_dir: str = "") -> List[Choice]:
    """What an APP means that is no plain MODULE:NAME of this folder: a folder, a package, a
    `manage.py`, a module or a file without the application's name, a module below `src`.

    Empty when the loader understands it as it is. Raises ConfigurationError.
    """
    bare, call = split_call(text)
    if call:
        found = resolve(bare, root, app_dir)
        return [one._replace(target=one.target + call, command=one.command + call,
                             factory=False) for one in found]
    location, attribute = split(text)
    path = os.path.join(root, location)
    if os.path.basename(location) == "manage.py" and not attribute:
        project = django.read_project(path)
        return [_of_django(project, root)] if project is not None else []
    if os.path.isdir(path) and not attribute and not _is_module(location, root):
        return _in_folder(os.path.abspath(path), root)
    if location.endswith(".py") or os.sep in location:
        return _in_file(os.path.abspath(path), attribute, root, app_dir)
    folders = [os.path.abspath(app_dir)] if app_dir else [
        os.path.join(root, source) for source in SOURCES]
    file = module_file(location, folders)
    if file is None:
        return []
    folder = os.path.normpath(file[:-len(_suffix(file, location))])
    return _in_module(location, attribute, file, folder, root)


def split(text: str) -> Tuple[str, str]:
    """Take an APP apart: location and attribute ("" if there is none)."""
    if text.endswith(".py") or ":" not in text:
        return text, ""
    location, _, attribute = text.rpartition(":")
    return location, attribute


# -- by name -----------------------------------------------------------------------------


def _named(text: str, root: str, where: str) -> Choice:
    found = resolve(text, root)
    choice = found[0] if found else Choice(text, "", root, False, "", "", "")
    if len(found) > 1:
        raise ConfigurationError(f'{where} is "{text}", which holds several applications: '
                                 f"{', '.join(one.target for one in found)}")
    call = "()" if choice.factory else ""
    return choice._replace(why=f"found {where} = {text} → {choice.target}{call}")


def _is_module(location: str, root: str) -> bool:
    """Whether a name means a module beside a plain folder of the same name."""
    path = os.path.join(root, location)
    return location.isidentifier() and os.path.isfile(path + ".py") and (
        not os.path.isfile(os.path.join(path, "__init__.py")))


def _suffix(found: str, module: str) -> str:
    relative = os.path.join(*module.split("."))
    ends = (os.path.join(os.sep, relative, "__init__.py"), os.sep + relative + ".py")
    return next(end for end in ends if found.endswith(end))


def _in_folder(folder: str, root: str) -> List[Choice]:
    manage = django.read_project(os.path.join(folder, "manage.py"))
    if manage is not None:
        return [_of_django(manage, root)]
    if os.path.isfile(os.path.join(folder, "settings.py")) or os.path.isfile(
            os.path.join(folder, "settings", "__init__.py")):
        outer = django.read_project(os.path.join(os.path.dirname(folder), "manage.py"))
        if outer is not None and outer.settings.split(".")[0] == os.path.basename(folder):
            return [_of_django(outer, root)]
    for name in ("__init__.py", *FILES):
        path = os.path.join(folder, name)
        module = read_module(path) if os.path.isfile(path) else None
        if module is not None and module.best:
            return _choices(Found(path, 0, module, choose(module.best)), root)
    found = [choice for one in search(folder) for choice in _choices(one, root)]
    if not found:
        raise ConfigurationError(f'No application was found in "{_shown(folder, root)}"')
    return found


def _in_file(path: str, attribute: str, root: str, app_dir: str) -> List[Choice]:
    if app_dir or not os.path.isfile(path):
        return []
    module = read_module(path)
    where = place(path)
    if module is None or (not attribute and not module.best and "." not in where.module):
        return []  # the loader reports what is wrong with it
    known = {found.name: found for found in (*module.applications, *module.factories)}
    if attribute or not module.best:
        names = [known.get(attribute, Candidate(attribute, "", 0))]
    else:
        names = choose(module.best)
    return [_choice(path, name, root)._replace(home=root) for name in names]


def _in_module(name: str, attribute: str, path: str, folder: str, root: str) -> List[Choice]:
    module = read_module(path)
    if module is None:
        return []
    if not attribute and not module.best and path.endswith("__init__.py"):
        return _in_folder(os.path.dirname(path), root) if not module.reexports else []
    known = {found.name: found for found in (*module.applications, *module.factories)}
    if attribute:
        candidates = [known.get(attribute, Candidate(attribute, "", 0))]
    else:
        candidates = choose(module.best)
    return [Choice(f"{name}:{found.name}" if found.name else name, folder, root, found.factory,
                   found.framework, "", f"{name}:{found.name}") for found in candidates]


# -- what was found ----------------------------------------------------------------------


def _choices(found: Found, root: str) -> List[Choice]:
    return [_choice(found.path, name, root) for name in found.names]


def _choice(path: str, found: Candidate, root: str) -> Choice:
    where, shown = place(path), _shown(path, root)
    home = home_of(path, root)
    colon = f":{found.name}" if found.name else ""
    packaged = "." in where.module or os.path.basename(path) == "__init__.py"
    # A module that is in no package is loaded from its file: installed ones may have its name.
    target = f"{where.module}{colon}" if packaged else path + colon
    title = found.framework or "the application"
    call = "()" if found.factory else ""
    why = f"found {title}: {shown} → {where.module}{colon}{call}"
    if home != root:
        why += f" (in {_shown(home, root)})"
    return Choice(target, where.folder, home, found.factory, found.framework, why,
                  f"{shown}{colon}")


def _broken(root: str) -> List[Choice]:
    """A file that most likely holds the application, once it can be parsed again."""
    found = broken(root)
    if found is None:
        return []
    path, exc = found
    choice = _choice(path, Candidate("", "", 0), root)
    return [choice._replace(why=f"found {_shown(path, root)}, which cannot be parsed "
                                f"(line {exc.lineno}: {exc.msg})")]


def _django_projects(root: str) -> List[Choice]:
    """The project at the root, else those one folder below."""
    for depth in ("", "*"):
        folders = [root] if not depth else sorted(
            entry.path for entry in os.scandir(root)
            if entry.is_dir() and not entry.name.startswith("."))
        found = [project for project in (
            django.read_project(os.path.join(folder, "manage.py")) for folder in folders)
            if project is not None]
        if found:
            return [_of_django(project, root) for project in found]
    return []


def _of_django(project: django.Project, root: str) -> Choice:
    call = "()" if project.factory else ""
    why = f"found Django: {_shown(project.settings_file, root)} → {project.target}{call}"
    if project.folder != root:
        why += f" (in {_shown(project.folder, root)})"
    manage = os.path.join(project.folder, "manage.py")
    return Choice(project.target, project.folder, project.folder, project.factory, "Django", why,
                  _shown(manage, root), django.environment(project))


def _shown(path: str, root: str) -> str:
    """A path as the user would write it here."""
    if not os.path.isabs(path):
        return path
    relative = os.path.relpath(path, root)
    return path if relative.startswith(os.pardir) else relative


def suggestion(path: Optional[str], module: str, wrong: str) -> str:
    """What a module holds in place of a name that it has not: `It has app and admin. Did you
    mean "shop:app"?`; "" if there is nothing to suggest."""
    read = read_module(path) if path else None
    if read is None:
        return ""
    names = [found.name for found in (*read.applications, *read.factories)]
    names += [name for name in read.reexports if name not in names]
    if not names:
        return ""
    near = difflib.get_close_matches(wrong, names, 1) or names[:1]
    listed = ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + names[-1]
    return f' It has {listed}. Did you mean "{module}:{near[0]}"?'
