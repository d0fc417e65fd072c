"""The applications that a module holds, found by reading its source.

Knows assignments and functions at the module's level, also within `if`, `try` and `with`; what
they call is followed through the module's own imports. Nothing is run.
"""

import ast
import re
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Set, Tuple

from .frameworks import METHODS, framework_of
from .roots import parse

#: names of applications, the most usual first
NAMES = ("app", "application", "api", "asgi", "wsgi", "server", "asgi_app", "wsgi_app")
FACTORIES = ("create_app", "make_app", "create_application", "make_application", "build_app",
             "app_factory", "get_app", "get_application", "create_api", "create_asgi_app",
             "create_wsgi_app", "factory")
_FACTORY = re.compile(r"(create|make|build|get|init|new)_?\w*?(app|application|api|asgi|wsgi)"
                      r"|app(lication)?_factory", re.IGNORECASE)
_SIGNATURES = {("scope", "receive", "send"): "ASGI", ("environ", "start_response"): "WSGI"}
_MOUNTING = frozenset(("mount", "Mount", "add_route", "add_app", "DispatcherMiddleware", "Host",
                       "Router", "register_asgi_app", "PathDispatcher"))


class Candidate(NamedTuple):
    """A name of a module that seems to be an application, or a function that makes one.

    `needs` are arguments that a factory cannot do without: it cannot be called then.
    """

    name: str
    framework: str
    line: int
    factory: bool = False
    needs: Tuple[str, ...] = ()


class Module(NamedTuple):
    """What was read: applications and factories, the likeliest first, and what is imported.

    `reexports` are usual names of applications that come from another module.
    """

    applications: List[Candidate]
    factories: List[Candidate]
    reexports: List[str]
    imports: Set[str]

    @property
    def best(self) -> List[Candidate]:
        """The applications; if there are none, the factories that can be called."""
        return self.applications or [found for found in self.factories if not found.needs]


def read_module(path: str) -> Optional[Module]:
    """Read a file; None when it is not Python."""
    tree = parse(path)
    return None if tree is None else _Reader(tree).module()


def choose(found: List[Candidate]) -> List[Candidate]:
    """The one with a usual name if there is one, else all."""
    for names in (NAMES, FACTORIES):
        for name in names:
            for candidate in found:
                if candidate.name == name:
                    return [candidate]
    return found


class _Reader:
    def __init__(self, tree: ast.Module) -> None:
        self._origins: Dict[str, str] = {}
        self._imports: Set[str] = set()
        self._classes: Dict[str, str] = {}
        self._found: Dict[str, Candidate] = {}
        self._factories: Dict[str, Candidate] = {}
        self._used: Set[str] = set()
        self._imported_names: Set[str] = set()
        statements = list(_statements(tree.body))
        for node in ast.walk(tree):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                self._import(node)
        self._top_imports(statements)
        for node in statements:
            self._statement(node)

    def module(self) -> Module:
        applications = [found for name, found in self._found.items() if name not in self._used]
        reexports = [name for name in NAMES
                     if name in self._imported_names and name not in self._found]
        return Module(sorted(applications or self._found.values(), key=_order),
                      sorted(self._factories.values(), key=_order), reexports, self._imports)

    # -- names -----------------------------------------------------------------------

    def _import(self, node: "ast.Import | ast.ImportFrom") -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                self._imports.add(alias.name)
                name = alias.asname or alias.name.partition(".")[0]
                self._origins.setdefault(name, alias.name if alias.asname else name)
            return
        module = "." * node.level + (node.module or "")
        self._imports.add(module)
        for alias in node.names:
            origin = f"{module}.{alias.name}" if node.module else f"{module}{alias.name}"
            self._imports.add(origin)
            self._origins.setdefault(alias.asname or alias.name, origin)

    def _top_imports(self, statements: Iterable[ast.stmt]) -> None:
        for node in statements:
            if isinstance(node, ast.ImportFrom):
                self._imported_names.update(alias.asname or alias.name for alias in node.names)

    def _origin(self, node: ast.expr) -> str:
        """The dotted name of an expression, through the module's imports; "" for others."""
        if isinstance(node, ast.Name):
            return self._origins.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            inner = self._origin(node.value)
            return f"{inner}.{node.attr}" if inner else ""
        if isinstance(node, ast.Subscript):  # Litestar[State](...)
            return self._origin(node.value)
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return self._origins.get(node.value, node.value)  # a quoted annotation
        return ""

    # -- statements ------------------------------------------------------------------

    def _statement(self, node: ast.stmt) -> None:
        if isinstance(node, ast.ClassDef):
            framework = self._of_class(node)
            if framework:
                self._classes[node.name] = framework
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            self._function(node)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                self._assign(target, node.value, node.lineno)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            self._assign(node.target, node.value, node.lineno, node.annotation)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            self._mounted(node.value)

    def _of_class(self, node: ast.ClassDef) -> str:
        for base in node.bases:
            framework = framework_of(self._origin(base)) or self._classes.get(
                base.id if isinstance(base, ast.Name) else "")
            if framework:
                return framework
        for inner in node.body:
            if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef)) and (
                    inner.name == "__call__"):
                return _SIGNATURES.get(_parameters(inner)[1:], "")
        return ""

    def _assign(self, target: ast.expr, value: ast.expr, line: int,
                annotation: Optional[ast.expr] = None) -> None:
        if isinstance(target, (ast.Tuple, ast.List)) and target.elts:
            target = target.elts[0]  # app, rt = fast_app()
        if not isinstance(target, ast.Name):
            return
        name = target.id
        framework = self._made_by(value, name) or (
            annotation is not None and framework_of(self._origin(annotation)))
        if not framework:
            if name in self._found and not isinstance(value, ast.Call):
                del self._found[name]  # it is something else now
            return
        if framework == "Dash" and isinstance(value, ast.Call):
            name += ".server"  # itself it cannot be called
        self._found[name] = Candidate(name, framework, line)
        if isinstance(value, ast.Call):
            self._used |= {used for used in _arguments(value) if used != name}

    def _made_by(self, value: ast.expr, name: str) -> str:
        """The framework of what an expression makes, "" if it seems to be no application."""
        if isinstance(value, ast.Await):
            return ""
        if isinstance(value, (ast.IfExp, ast.BoolOp)):
            parts = [value.body, value.orelse] if isinstance(value, ast.IfExp) else value.values
            return next(filter(None, (self._made_by(part, name) for part in parts)), "")
        if isinstance(value, ast.Name):
            known = self._found.get(value.id)
            return known.framework if known is not None else ""
        if isinstance(value, ast.Attribute):
            base = value.value
            if isinstance(base, ast.Name) and f"{base.id}.{value.attr}" in self._found:
                self._used.add(f"{base.id}.{value.attr}")  # server = app.server
                return self._found[f"{base.id}.{value.attr}"].framework
            return ""
        if not isinstance(value, ast.Call):
            return ""
        return self._called(value, name)

    def _called(self, call: ast.Call, name: str) -> str:
        origin = self._origin(call.func)
        framework = framework_of(origin)
        if framework:
            return framework
        own = call.func.id if isinstance(call.func, ast.Name) else ""
        if own in self._classes:
            return self._classes[own]
        if own in self._factories:
            return self._factories[own].framework or "application"
        last = call.func.attr if isinstance(call.func, ast.Attribute) else own
        if last in METHODS:
            return METHODS[last]
        if last in ("as_asgi", "as_wsgi", "wsgifunc"):
            return "ASGI" if last == "as_asgi" else "WSGI"
        wrapped = next((self._found[used] for used in _arguments(call)
                        if used in self._found), None)
        if wrapped is not None and (name == wrapped.name or name in NAMES
                                    or last.endswith(("Middleware", "App"))):
            return wrapped.framework
        if name in NAMES and _FACTORY.fullmatch(last):
            return "application"  # made by a factory of another module
        return ""

    def _mounted(self, call: ast.Call) -> None:
        last = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        if last in _MOUNTING:
            self._used |= set(_arguments(call))

    def _function(self, node: "ast.FunctionDef | ast.AsyncFunctionDef") -> None:
        parameters = _parameters(node)
        kind = _SIGNATURES.get(parameters)
        if kind:
            if (kind == "ASGI") == isinstance(node, ast.AsyncFunctionDef):
                self._found[node.name] = Candidate(node.name, kind, node.lineno)
            return
        if isinstance(node, ast.AsyncFunctionDef):
            return
        framework = self._returned(node)
        if not framework and not (node.name in FACTORIES[:3] and _returns(node)):
            return
        self._factories[node.name] = Candidate(
            node.name, framework or "application", node.lineno, True, _needed(node))

    def _returned(self, node: ast.FunctionDef) -> str:
        """The framework of what a function returns, as far as it can be read."""
        framework = framework_of(self._origin(node.returns)) if node.returns else None
        if framework:
            return framework
        made: Dict[str, str] = {}
        for inner in ast.walk(node):
            if isinstance(inner, ast.Assign) and isinstance(inner.value, ast.Call):
                title = framework_of(self._origin(inner.value.func)) or self._classes.get(
                    inner.value.func.id if isinstance(inner.value.func, ast.Name) else "")
                for target in inner.targets:
                    if isinstance(target, ast.Name) and title:
                        made[target.id] = title
        for inner in ast.walk(node):
            if isinstance(inner, ast.Return):
                if isinstance(inner.value, ast.Name) and inner.value.id in made:
                    return made[inner.value.id]
                if isinstance(inner.value, ast.Call):
                    title = framework_of(self._origin(inner.value.func)) or next(
                        (made[used] for used in _arguments(inner.value) if used in made), None)
                    if title:
                        return title
        return ""


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module, also those in blocks, but not what only a script runs."""
    for node in body:
        yield node
        if isinstance(node, ast.If) and _is_main_guard(node.test):
            continue
        for part in ("body", "orelse", "finalbody"):
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                yield from _statements(getattr(node, part, ()))
        for handler in getattr(node, "handlers", ()):
            yield from _statements(handler.body)


def _is_main_guard(test: ast.expr) -> bool:
    return isinstance(test, ast.Compare) and isinstance(test.left, ast.Name) and (
        test.left.id == "__name__")


def _parameters(node: "ast.FunctionDef | ast.AsyncFunctionDef") -> Tuple[str, ...]:
    return tuple(argument.arg.lstrip("_") for argument in (
        *node.args.posonlyargs, *node.args.args))


def _needed(node: ast.FunctionDef) -> Tuple[str, ...]:
    """The parameters that have no default."""
    positional = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
    positional = positional[:len(positional) - len(node.args.defaults)]
    named = [argument.arg for argument, default in zip(
        node.args.kwonlyargs, node.args.kw_defaults) if default is None]
    return tuple(positional + named)


def _returns(node: ast.FunctionDef) -> bool:
    return any(isinstance(inner, ast.Return) and inner.value is not None
               for inner in ast.walk(node))


def _arguments(call: ast.Call) -> List[str]:
    """Names that are given to a call, also within lists and further calls."""
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    return [inner.id for argument in given for inner in ast.walk(argument)
            if isinstance(inner, ast.Name)]


def _order(candidate: Candidate) -> Tuple[int, int]:
    usual = FACTORIES if candidate.factory else NAMES
    rank = usual.index(candidate.name) if candidate.name in usual else len(usual)
    return rank, candidate.line
