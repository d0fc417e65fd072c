"""Places where handlers keep things: for a worker, a connection, a request.

A context is a small namespace with both attribute and item access. `options` is reserved:
it may be read and filled, never replaced.
"""

import weakref
from typing import Any, Dict, Iterator, Mapping, Optional

#: names of a WorkerContext that only mean something in its process
OF_THE_WORKER = frozenset(("options", "tasks", "executor", "connections", "info", "lifespan"))


class Context:
    """A namespace: `ctx.x`, `ctx['x']`, `'x' in ctx`, `get`, `update`, `clear`.

    Raises AttributeError for unknown names read as attributes, KeyError for unknown items, and
    AttributeError when a reserved name is assigned or removed.
    """

    __slots__ = ("_values",)
    reserved = frozenset(("options",))

    def __init__(self, **values: Any) -> None:
        object.__setattr__(self, "_values", values)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_values":  # asked for before there are any values
            raise AttributeError(name)
        try:
            return self._values[name]
        except KeyError:
            return self._missing(name)

    def _missing(self, name: str) -> Any:
        raise AttributeError(f"{type(self).__name__} has no {name!r}")

    def __getstate__(self) -> Dict[str, Any]:
        return dict(self._values)

    def __setstate__(self, values: Dict[str, Any]) -> None:
        object.__setattr__(self, "_values", values)

    def _check(self, name: str) -> None:
        if name in self.reserved:
            raise AttributeError(f"{name!r} of a {type(self).__name__} cannot be replaced")

    def __setattr__(self, name: str, value: Any) -> None:
        self._check(name)
        self._values[name] = value

    def __delattr__(self, name: str) -> None:
        self._check(name)
        try:
            del self._values[name]
        except KeyError:
            raise AttributeError(f"{type(self).__name__} has no {name!r}") from None

    def __getitem__(self, name: str) -> Any:
        try:
            return getattr(self, name)
        except AttributeError:
            raise KeyError(name) from None

    def __setitem__(self, name: str, value: Any) -> None:
        setattr(self, name, value)

    def __delitem__(self, name: str) -> None:
        self._check(name)
        del self._values[name]

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return repr(self._values)

    def get(self, name: str, default: Any = None) -> Any:
        """The value of `name`, or `default`."""
        try:
            return getattr(self, name)
        except AttributeError:
            return default

    def update(self, *others: Mapping[str, Any], **values: Any) -> None:
        """Set several names at once; a reserved one among them changes nothing and raises."""
        merged: Dict[str, Any] = {}
        for other in others:
            merged.update(other)
        merged.update(values)
        for name in merged:
            self._check(name)
        self._values.update(merged)

    def clear(self) -> None:
        """Forget everything but the reserved names."""
        for name in [name for name in self._values if name not in self.reserved]:
            del self._values[name]


class WorkerContext(Context):
    """`server['globals']`: one for each worker process, shared by all its connections."""

    __slots__ = ()

    def __getstate__(self) -> Dict[str, Any]:
        """What the application keeps here; what belongs to this process stays in it."""
        own = {name: value for name, value in self._values.items() if name not in OF_THE_WORKER}
        return {**own, "options": {}, "tasks": set()}


class ConnectionContext(Context):
    """`server['context']`: one for each connection; `transport`, `client`, `tasks`,
    `options`."""

    __slots__ = ()


class RequestContext(Context):
    """`request.ctx`: one for each request.

    `path`, `query`, `cookies`, `post` and `files` come from the request when they are read for
    the first time; `options` are the handler's option defaults.
    """

    __slots__ = ("_request",)
    _derived = frozenset(("query", "cookies"))

    def __init__(self, request: object, options: Dict[str, Any]) -> None:
        super().__init__(options=options)
        object.__setattr__(self, "_request", weakref.ref(request))

    def __setstate__(self, values: Dict[str, Any]) -> None:
        super().__setstate__(values)
        object.__setattr__(self, "_request", _nothing)  # a copy may outlive the request

    def __copy__(self) -> "RequestContext":
        twin = type(self).__new__(type(self))
        twin.__setstate__(dict(self._values))
        object.__setattr__(twin, "_request", self._request)
        return twin

    def _missing(self, name: str) -> Any:
        if name in self._derived:
            request: Optional[object] = self._request()
            if request is not None:
                return getattr(request, name)
        return super()._missing(name)


def _nothing() -> None:
    """In place of a reference to a request that is not there."""
