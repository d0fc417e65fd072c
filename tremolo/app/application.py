"""The application object that users build: routes, middlewares, hooks, addresses.

Knows what was registered; serving it is the business of the adapter and, for `run()`, of the
composition root, which is imported only then.
"""

import asyncio
import logging
import socket
from typing import Any, Callable, Coroutine, Dict, List, Mapping, Optional, Set, Tuple, TypeVar

from .context import WorkerContext
from .registry import (
    HOOKS,
    MIDDLEWARES,
    Prefix,
    Registered,
    new_middlewares,
    register_hook,
    register_middleware,
    segments,
)
from .routing import Path, Routes

Func = TypeVar("Func", bound=Callable[..., Any])
View = TypeVar("View")
URGENCY = 999


class Tremolo:
    """An application. With a `name`, it logs to that logger, else to one named after the
    worker process."""

    def __init__(self, name: Optional[str] = None) -> None:
        self.name = name
        self.logger: logging.Logger = logging.getLogger(name or "tremolo")
        self.context = WorkerContext()
        #: tasks of the worker, beyond any connection
        self.tasks: Set[asyncio.Task[Any]] = set()
        self.context._values.update(options={}, tasks=self.tasks)
        self.routes = Routes()
        #: prefix of a mounted application (a tuple of segments, () for this one) ->
        #: middlewares
        self.middlewares: Dict[Prefix, Dict[str, List[Registered]]] = {(): new_middlewares()}
        self.hooks: Dict[str, List[Registered]] = {name: [] for name in HOOKS}
        #: (host, port) -> options; host None: the port is the path of a Unix socket
        self.ports: Dict[Tuple[Optional[str], Any], Dict[str, Any]] = {}
        #: None: processes are the business of a supervisor, which is a process of its own
        self.manager: None = None
        #: the longest prefix that was mounted, in segments
        self.deepest_prefix = 0

    def __getstate__(self) -> Dict[str, Any]:
        """All that was registered; handlers must be functions that pickle can name. What runs
        in this process stays here."""
        return {**self.__dict__, "tasks": set()}

    def __setstate__(self, state: Dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.context._values.update(tasks=self.tasks)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name or ''} {self.routes!r}>"

    # -- routes -------------------------------------------------------------------------------

    def route(self, path: Path, **options: Any) -> Callable[[View], View]:
        """Decorator: answer `path` with a function or a class of methods; see `add_route`."""

        def register(view: View) -> View:
            self.add_route(view, path, **options)
            return view

        return register

    def add_route(self, func: Any, path: Path = "/", **options: Any) -> None:
        """Answer `path` with a function, a class-based view or a module of functions.

        A `path` that begins with `^` or ends with `$` is a regular expression on the target.
        The one registered last wins. `options` override a function's option defaults and are
        given to a class when it is instantiated. Raises TypeError when `func` cannot be a
        handler, ValueError for a bad pattern.
        """
        self.routes.add(func, path, **options)

    def error(self, code: int, func: Optional[Func] = None) -> Any:
        """Answer errors of status `code` (400 to 511, else ValueError) with a function.

        Usable as a decorator. Statuses without a page of their own get that of 500.
        """
        if func is not None:
            self.routes.add_error(code, func)
            return func

        def register(func: Func) -> Func:
            self.routes.add_error(code, func)
            return func

        self.routes.check_error(code)
        return register

    # -- middlewares --------------------------------------------------------------------------

    def middleware(self, name: str, *args: Any, priority: int = URGENCY) -> Any:
        """Decorator: run a function before (`request`) or after (`response`) the handlers."""
        return _decorator(args, lambda func: self.add_middleware(func, name, priority))

    def on_request(self, *args: Any, priority: int = URGENCY) -> Any:
        """Decorator, bare or with `(priority=N)`: run before the handler."""
        return self.middleware("request", *args, priority=priority)

    def on_response(self, *args: Any, priority: int = URGENCY) -> Any:
        """Decorator, bare or with `(priority=N)`: run before each response's head is sent."""
        return self.middleware("response", *args, priority=priority)

    def add_middleware(self, func: Callable[..., Any], name: str = "request",
                       priority: int = URGENCY, *, kwargs: Optional[Mapping[str, Any]] = None,
                       prefix: Any = ()) -> None:
        """Run `func` around the handlers of paths below `prefix`; lower priorities come first.

        Raises ValueError unless `name` is `request` or `response`.
        """
        if isinstance(prefix, (str, bytes)):
            prefix = segments(prefix.encode() if isinstance(prefix, str) else prefix)
        register_middleware(self.middlewares, func, name, priority, kwargs, tuple(prefix))
        self.deepest_prefix = max(self.deepest_prefix, len(prefix))

    # -- hooks --------------------------------------------------------------------------------

    def hook(self, name: str, *args: Any, priority: int = URGENCY) -> Any:
        """Decorator: run a function at `worker_start`, `worker_stop`, `connect` or `close`."""
        return _decorator(args, lambda func: self.add_hook(func, name, priority))

    def on_worker_start(self, *args: Any, priority: int = URGENCY) -> Any:
        """Decorator: run when a worker is about to serve."""
        return self.hook("worker_start", *args, priority=priority)

    def on_worker_stop(self, *args: Any, priority: int = URGENCY) -> Any:
        """Decorator: run after a worker's last request."""
        return self.hook("worker_stop", *args, priority=priority)

    def on_connect(self, *args: Any, priority: int = URGENCY) -> Any:
        """Decorator: run when a client has connected, before its first request."""
        return self.hook("connect", *args, priority=priority)

    def on_close(self, *args: Any, priority: int = URGENCY) -> Any:
        """Decorator: run when a connection has ended."""
        return self.hook("close", *args, priority=priority)

    def add_hook(self, func: Callable[..., Any], name: str = "worker_start",
                 priority: int = URGENCY) -> None:
        """Register a hook. Raises ValueError for an unknown name."""
        register_hook(self.hooks, func, name, priority)

    # -- composition --------------------------------------------------------------------------

    def mount(self, prefix: str, app: "Tremolo") -> None:
        """Serve `app` below `prefix`: moves its routes, middlewares, hooks and ports here.

        Its middlewares run for its paths only, and this application's where it has none.
        Mounting the same application again does nothing. Raises ValueError when `prefix` does
        not begin with `/` or is longer than 255, or `app` is no other application.
        """
        if not isinstance(prefix, str) or not prefix.startswith("/") or len(prefix) > 255:
            raise ValueError(f"a prefix begins with / and has at most 255 characters, not "
                             f"{prefix!r}")
        if not isinstance(app, Tremolo) or app is self:
            raise ValueError("only another application can be mounted")
        if not app.routes:
            return
        path = "/" + prefix.strip("/") if prefix.strip("/") else ""
        self.routes.take(app.routes, path.encode("utf-8"))
        base = segments(path.encode("utf-8"))
        for inner, stack in app.middlewares.items():
            mine = self.middlewares.setdefault(base + inner, new_middlewares())
            for name in MIDDLEWARES:
                mine[name] += stack[name]
            self.deepest_prefix = max(self.deepest_prefix, len(base + inner))
        for name in HOOKS:
            for entry in app.hooks[name]:
                self.add_hook(entry.func, name, entry.priority)
        for address, options in app.ports.items():
            self.ports.setdefault(address, options)
        app.middlewares.clear()
        app.middlewares[()] = new_middlewares()
        for name in HOOKS:
            app.hooks[name].clear()
        app.ports.clear()

    # -- tasks --------------------------------------------------------------------------------

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop: of the worker while it runs, else the thread's current one."""
        try:
            return asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.get_event_loop()

    def create_task(self, coro: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Run `coro` for as long as it takes, beyond the connection; cancelled at worker
        stop."""
        return self.add_task(self.loop.create_task(coro))

    def add_task(self, task: "asyncio.Task[Any]") -> "asyncio.Task[Any]":
        """Keep a task until it is done, and log its exception if it has one."""
        self.tasks.add(task)
        task.add_done_callback(self._task_done)
        return task

    def _task_done(self, task: "asyncio.Task[Any]") -> None:
        self.tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            exc = task.exception()
            self.logger.error("task %s failed: %r", task.get_name(), exc, exc_info=exc)

    # -- serving ------------------------------------------------------------------------------

    def listen(self, port: Any, host: Optional[str] = None, **options: Any) -> bool:
        """Also serve at this address; `options` override those of `run()` there.

        A `port` that is no number is the path of a Unix socket. True if the address is new.
        """
        if not isinstance(port, int):
            port, host = str(port), None
        address = (host, port)
        is_new = address not in self.ports
        self.ports[address] = options
        return is_new

    def run(self, host: Optional[str] = None, port: Any = 0, *, worker_num: int = 1,
            **options: Any) -> None:
        """Serve until stopped, at `host` and `port` and at every address of `listen()`.

        Options are those of the command line (see `tremolo.config`); unknown ones are kept and
        visible in `server['globals'].options`. `app` is another application (ASGI or WSGI, or
        its name as on the command line) to serve in place of this one. Raises ValueError
        without any address, RuntimeError when this application was mounted into another,
        ConfigurationError for options that workers cannot get.
        """
        other = options.pop("app", None)
        if other is None and not self.routes:
            raise RuntimeError("this application was mounted into another one: run that one")
        if host is None and not self.ports:
            raise ValueError("run() needs a host, or an address added by listen()")
        from ..config import Settings
        from ..launch import run, run_application

        if isinstance(other, str):
            run(other, worker_num=worker_num, host=host, port=port, **options)
            return
        if host is not None:
            options.update(host=host, port=port)
            self.listen(port, host)
        settings = Settings(worker_num=worker_num, **options)
        run_application(self if other is None else other, settings, list(self.ports.items()))

    async def serve(self, host: Optional[str], port: Any, *,
                    sock: Optional[socket.socket] = None, backlog: int = 100,
                    **options: Any) -> None:
        """Serve on the running event loop until cancelled, then finish what runs.

        For programs with a loop of their own; `sock` is a bound socket to use in place of
        `host` and `port`. With `app`, another application (ASGI or WSGI) is served in place of
        this one. Raises OSError when the address is not free, ConfigurationError for options
        that cannot be used.
        """
        from ..config import Settings
        from ..launch import adapter_for
        from .serving import serve

        other = options.pop("app", None)
        if host is not None:
            options.setdefault("host", host)
        if isinstance(port, int):
            options.setdefault("port", port)
        settings = Settings(**options)
        adapter = adapter_for(self if other is None else other, settings)
        await serve(adapter, settings, host, port, sock=sock, backlog=backlog,
                    logger=self.logger)

    def create_sock(self, host: Optional[str], port: Any,
                    reuse_port: bool = True) -> socket.socket:
        """A bound, non-blocking socket for `serve`; see `tremolo.app.serving`."""
        from .serving import create_sock

        return create_sock(host, port, reuse_port)

    def close_sock(self, sock: socket.socket) -> None:
        """Close a socket of `create_sock`, and remove the path of a Unix socket."""
        from .serving import close_sock

        close_sock(sock)


def _decorator(args: Tuple[Any, ...], register: Callable[[Any], None]) -> Any:
    """Make a decorator that works bare (`args` is the function) and called (`args` is
    empty)."""

    def decorate(func: Func) -> Func:
        register(func)
        return func

    if args:
        return decorate(args[0])
    return decorate


Application = Tremolo
