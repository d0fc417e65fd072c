"""What a handler is: a function whose signature was looked at once, when it was registered.

Knows functions and their parameters; knows nothing of routes, requests or the network. After
construction, calling a handler needs no inspection: `call(server)` picks what the function
names out of the server objects.
"""

import functools
import inspect
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Tuple

from .values import field_bytes

#: names of the objects that the server offers to handlers and middlewares
SERVER_NAMES = frozenset((
    "request", "response", "app", "loop", "logger", "lock", "globals", "context", "fileno",
    "extras", "next", "prefix", "websocket", "sse",
))
HOOK_NAMES = frozenset(("app", "globals", "context", "loop", "logger"))
ERROR_NAMES = SERVER_NAMES | {"exc"}

# kinds of handler
COROUTINE = "coroutine"  # async def with return
STREAM = "stream"  # async def with yield
FUNCTION = "function"  # def with return, on a thread
GENERATOR = "generator"  # def with yield, on a thread

DEFAULT_TYPE = b"text/html; charset=utf-8"
Head = Tuple[Tuple[bytes, bytes], ...]


def kind_of(func: Callable[..., Any]) -> str:
    """How `func` has to be run, looking through partials and callable objects."""
    target: Any = func
    while isinstance(target, functools.partial):
        target = target.func
    if not (inspect.isroutine(target) or inspect.isclass(target)):
        target = type(target).__call__
    if inspect.isasyncgenfunction(target):
        return STREAM
    if inspect.iscoroutinefunction(target):
        return COROUTINE
    if inspect.isgeneratorfunction(target):
        return GENERATOR
    return FUNCTION


class Handler:
    """A function bound to the names it asks for.

    `options` are the defaults of its parameters, updated with those given at registration.
    Raises TypeError when the function cannot be called by name.
    """

    __slots__ = ("asks_sse", "asks_websocket", "content_type", "fixed", "func", "head", "kind",
                 "names", "options", "simple", "status", "wire_type")

    def __init__(
        self,
        func: Callable[..., Any],
        options: Optional[Mapping[str, Any]] = None,
        *,
        offered: Iterable[str] = SERVER_NAMES,
        groups: Iterable[str] = (),
        method: bool = False,
    ) -> None:
        if not callable(func):
            raise TypeError(f"a handler must be a function, not {type(func).__name__}")
        self.func = func
        self.kind = kind_of(func)
        given = dict(options or {})
        offers = frozenset(offered) | frozenset(groups)
        parameters, takes_all = _parameters(func, method)

        #: arguments that are the same for every call
        self.fixed: Dict[str, Any] = {}
        names: List[str] = []
        self.options: Dict[str, Any] = {}
        for parameter in parameters:
            name = parameter.name
            if parameter.default is not parameter.empty:
                self.options[name] = parameter.default
            if name in offers:
                names.append(name)
            elif name in given:
                self.fixed[name] = given[name]
            elif parameter.default is parameter.empty:
                self.fixed[name] = None
        self.options.update(given)
        #: names to pick from the server objects; None: all of them
        self.names: Optional[Tuple[str, ...]] = None if takes_all else tuple(names)
        self.asks_websocket = "websocket" in names
        self.asks_sse = "sse" in names
        self._read_options()

    def _read_options(self) -> None:
        options = self.options
        #: (code, reason) or None
        self.status: Optional[Tuple[int, bytes]] = None
        status = options.get("status")
        if isinstance(status, int):
            self.status = (status, b"")
        elif status is not None:
            code, reason = status
            self.status = (int(code), field_bytes(reason))
        content_type = options.get("content_type")
        self.content_type: Optional[bytes] = (
            field_bytes(content_type) if content_type else None)
        #: header fields of a response that nobody touched
        self.wire_type = self.content_type or DEFAULT_TYPE
        self.head: Head = ((b"Content-Type", self.wire_type),)
        #: nothing is asked for but to call it and send what it returns
        self.simple = (
            self.kind == COROUTINE and self.status is None
            and not self.asks_websocket and not self.asks_sse
            and not any(options.get(name) is not None for name in ("rate", "chunked")))

    def call(self, server: Dict[str, Any]) -> Any:
        """Call the function with what it asks for; a coroutine or generator is returned as
        is."""
        names = self.names
        if names is None:
            if not self.fixed:
                return self.func(**server)
            return self.func(**{**server, **self.fixed})
        arguments = {name: server[name] for name in names}
        if self.fixed:
            arguments.update(self.fixed)
        return self.func(**arguments)

    def __setstate__(self, state: Tuple[Any, Dict[str, Any]]) -> None:
        for name, value in state[1].items():
            setattr(self, name, value)
        self._read_options()  # some of what it makes is compared by identity

    @property
    def label(self) -> str:
        """The function's name as it is written in the log."""
        func = self.func
        while isinstance(func, functools.partial):
            func = func.func
        module = getattr(func, "__module__", None)
        name = getattr(func, "__qualname__", None) or type(func).__qualname__
        return f"{module}.{name}" if module else str(name)

    def __repr__(self) -> str:
        return f"<Handler {self.label} ({self.kind})>"


class MethodHandler(Handler):
    """A method of a class-based view: a fresh instance, built with `settings`, for each
    call."""

    __slots__ = ("settings", "view")

    def __init__(self, view: type, func: Callable[..., Any], settings: Mapping[str, Any],
                 groups: Iterable[str] = ()) -> None:
        super().__init__(func, groups=groups, method=True)
        self.view = view
        self.settings = dict(settings)

    def call(self, server: Dict[str, Any]) -> Any:
        instance = self.view(**self.settings)
        names = self.names
        if names is None:
            return self.func(instance, **{**server, **self.fixed})
        arguments = {name: server[name] for name in names}
        return self.func(instance, **{**arguments, **self.fixed})


def _parameters(
    func: Callable[..., Any], method: bool
) -> Tuple[List[inspect.Parameter], bool]:
    """The parameters that can be given by name, and whether any name is taken.

    A decorator's wrapper that takes any name hands on what it gets, so the function it wraps
    decides which names those are.
    """
    own, takes_all = _own_parameters(func, method, follow=False)
    if takes_all and hasattr(func, "__wrapped__"):
        inner, takes_all = _own_parameters(func, method, follow=True)
        known = {parameter.name for parameter in own}
        own += [parameter for parameter in inner if parameter.name not in known]
    return own, takes_all


def _own_parameters(
    func: Callable[..., Any], method: bool, follow: bool
) -> Tuple[List[inspect.Parameter], bool]:
    label = getattr(func, "__qualname__", repr(func))
    try:
        signature = inspect.signature(func, follow_wrapped=follow)
    except (TypeError, ValueError) as exc:
        raise TypeError(f"{label}: a handler needs a signature that can be read ({exc})"
                        ) from None
    parameters = list(signature.parameters.values())
    if method and parameters and parameters[0].kind in (
            inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD):
        parameters = parameters[1:]
    takes_all = False
    named = []
    for parameter in parameters:
        if parameter.kind is parameter.VAR_KEYWORD:
            takes_all = True
        elif parameter.kind is parameter.POSITIONAL_ONLY:
            if parameter.default is parameter.empty:
                raise TypeError(f"{label}: parameter {parameter.name!r} is positional-only, "
                                f"but handlers are called by name")
        elif parameter.kind is not parameter.VAR_POSITIONAL:
            named.append(parameter)
    return named, takes_all
