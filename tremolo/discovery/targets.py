"""APP as the user wrote it, taken apart. Looks at names of files, imports nothing."""

import os
import re
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ..exceptions import ConfigurationError
from .roots import place

_CALL = re.compile(r"(.+?:[A-Za-z_][\w.]*)(\(.*\))", re.DOTALL)


class Call(NamedTuple):
    """How a factory is called: `create_app("dev", debug=True)`."""

    arguments: Tuple[Any, ...]
    named: Dict[str, Any]


class Target(NamedTuple):
    """APP, taken apart: the folder for `sys.path`, a module name or a file, an attribute.

    A file's `module` is its name within its package: "shop.main" of src/shop/main.py.
    """

    folder: str
    module: str
    file: Optional[str]
    attribute: str  # "": one of DEFAULT_NAMES
    call: Optional[Call] = None  # the attribute is a factory, to be called so

    @property
    def root(self) -> str:
        """The folder from which a file has this name: that of its outermost package."""
        if self.file is None:
            return self.folder
        found = os.path.dirname(self.file)
        names = self.module.split(".")
        if os.path.basename(self.file) != "__init__.py" or names[-1] == "__init__":
            names.pop()
        for _ in names:
            found = os.path.dirname(found)
        return found

    @property
    def top(self) -> str:
        """A file's outermost package, or the folder in which it lies if it is in none."""
        if self.file is None:
            return self.folder
        package = self.module.partition(".")[0]
        found = os.path.join(self.root, package)
        return found if self.file.startswith(found + os.sep) else self.root


def parse_target(text: str, app_dir: str = "", home: str = "") -> Target:
    """Understand `module:attr`, `module`, `path.py`, `path.py:attr`, and `module:factory("x")`.
    Relative paths are those of `home`, by default the working directory. "main.py" may be
    main/__init__.py by now, and the other way round.

    Raises ConfigurationError when it is none of these or the file does not exist.
    """
    bare, call = split_call(text)
    if call:
        return parse_target(bare, app_dir, home)._replace(call=_parse_call(text, call))
    location, colon, attribute = text, "", ""
    if not text.endswith(".py"):
        location, colon, attribute = text.rpartition(":") if ":" in text else (text, "", "")
    if colon and not all(part.isidentifier() for part in attribute.split(".")):
        raise ConfigurationError(f'Invalid APP "{text}". After the colon stands the name of '
                                 "the application, as in shop:app")
    if location.endswith(".py") or os.sep in location:
        path = os.path.abspath(os.path.join(home, location))
        if os.path.isdir(path):
            raise ConfigurationError(f'"{location}" is a folder. Name the file in it, as in '
                                     f'"{os.path.join(location, "main.py")}"')
        path = _file_of_module(path)
        if not os.path.isfile(path):
            kind = "folder" if location.endswith(os.sep) else "file"
            near = f'. Did you mean "{location}.py{colon}{attribute}"?'
            raise ConfigurationError(f'No such {kind}: "{location}"'
                                     + (near if os.path.isfile(path + ".py") else ""))
        app_dir = os.path.abspath(os.path.join(home, app_dir)) if app_dir else ""
        root, name = _name_of(path, app_dir)
        return Target(app_dir or root, name, path, attribute)
    if not location or not all(part.isidentifier() for part in location.split(".")):
        raise ConfigurationError(f'Invalid APP "{text}". It must be MODULE, MODULE:NAME, '
                                 "FILE.py or FILE.py:NAME")
    return Target(os.path.abspath(os.path.join(home, app_dir or os.curdir)), location, None,
                  attribute)


def _file_of_module(path: str) -> str:
    """The file of the module that is in `path`, or was: a module can be made a package, or a
    package a module, while the server goes on."""
    bare, ending = os.path.splitext(path)
    if ending == ".py" and not os.path.exists(path):
        folder, name = os.path.split(bare)
        other = folder + ".py" if name == "__init__" else os.path.join(bare, "__init__.py")
        return other if os.path.isfile(other) else path
    return path


def _name_of(path: str, app_dir: str) -> Tuple[str, str]:
    """The folder from which a file is imported, and its name there."""
    folder, base = os.path.split(path)
    parts: List[str] = [] if base == "__init__.py" else [os.path.splitext(base)[0]]
    if app_dir and path.startswith(os.path.join(app_dir, "")):
        folders = os.path.relpath(folder, app_dir).split(os.sep)
        names = [*([] if folders == [os.curdir] else folders), *parts]
        if names and not any("." in name for name in names):
            return app_dir, ".".join(names)
    return place(path)


def split_call(text: str) -> Tuple[str, str]:
    """APP without the call at its end, and that: `shop:make("x")` is `shop:make` and `("x")`."""
    match = _CALL.fullmatch(text)
    return (match[1], match[2]) if match is not None else (text, "")


def _parse_call(text: str, call: str) -> Call:
    import ast  # few need it

    try:
        tree = ast.parse("f" + call, mode="eval").body
        if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name):
            raise ValueError
        return Call(tuple(map(ast.literal_eval, tree.args)),
                    {str(word.arg): ast.literal_eval(word.value) for word in tree.keywords
                     if word.arg is not None})
    except (SyntaxError, ValueError):
        raise ConfigurationError(f'Invalid APP "{text}". What a factory is called with must be '
                                 'plain values, as in shop:create_app("dev")') from None
