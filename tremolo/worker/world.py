"""What a module can read of its process while it is imported, as a value to compare.

A `WorldView` takes the state of the process that it is made in as its base. What other
processes can be given (the environment, paths, filters, ...) is described as it is; what lives in
one process only (import hooks, handlers, patched functions) is described as what differs from the
base, so that a zygote and a worker, whose own parts differ, agree about what others did.
"""

import _locale
import _socket
import builtins
import importlib
import logging
import os
import sys
import time
import warnings
from operator import is_not, itemgetter
from types import FunctionType, ModuleType
from typing import Any, Dict, FrozenSet, Iterable, List, NamedTuple, Optional, Tuple

#: modules whose functions are replaced in practice (gevent, eventlet, truststore, ...)
PATCHED = (
    "os", "sys", "time", "socket", "_socket", "ssl", "_ssl", "select", "selectors", "threading",
    "_thread", "_threading_local", "queue", "subprocess", "signal", "builtins", "logging",
    "warnings", "random", "json", "json.decoder", "json.encoder", "pickle", "copyreg", "io",
    "codecs", "asyncio", "asyncio.events", "asyncio.runners", "asyncio.tasks", "asyncio.futures",
    "asyncio.base_events", "concurrent.futures", "concurrent.futures.thread", "contextvars",
    "datetime", "importlib", "importlib.metadata", "importlib.util", "http.client",
    "urllib.request", "collections", "functools", "inspect", "typing", "types", "locale",
    "gettext", "weakref", "traceback", "linecache", "dataclasses", "multiprocessing", "email",
    "decimal", "posixpath", "shutil", "tempfile", "pathlib", "uuid", "copy", "abc", "enum",
)
#: those whose functions a worker sets itself before it imports the program
OWN = ("sys", "builtins", "threading", "logging")
_signal: Any = importlib.import_module("_signal")  # the module `signal` makes enums of all
_SIGNALS = tuple(sorted({int(number) for name, number in vars(_signal).items()
                         if name.startswith("SIG") and not name.startswith("SIG_")
                         and isinstance(number, int) and number > 0}))
_BASE = "the base"  # stands for the entries of the base in a list
_GONE = "deleted"
ENVIRONMENT = "environment"


class World(NamedTuple):
    """The state of a process. The first fields can be brought about in another one."""

    environment: Dict[Any, Any]
    path: Tuple[str, ...]
    folder: str
    umask: int
    filters: Tuple[Any, ...]
    locale: str
    limits: Tuple[Any, ...]
    arguments: Tuple[str, ...]
    aliases: FrozenSet[Tuple[str, str]]
    finders: Tuple[Any, ...]
    path_hooks: Tuple[Any, ...]
    signals: Tuple[Any, ...]
    logging: Tuple[Any, ...]
    streams: Tuple[Any, ...]
    patched: Tuple[Any, ...]


REPLAYED = World._fields[:9]
FIXED = World._fields[9:]
_SHOWN = {
    "environment": "the environment", "path": "sys.path", "folder": "the working directory",
    "umask": "the umask", "filters": "the warnings filters", "locale": "the locale",
    "limits": "settings of the interpreter or of logging", "arguments": "sys.argv",
    "aliases": "sys.modules", "finders": "sys.meta_path", "path_hooks": "sys.path_hooks",
    "signals": "signal handlers", "logging": "the classes of logging",
    "streams": "streams or hooks of sys", "patched": "the standard library",
}


def difference(one: World, other: World) -> List[str]:
    """The fields in which two worlds differ."""
    return [field for field, a, b in zip(World._fields, one, other) if a is not b and a != b]


def describe(field: str, one: World, other: World) -> str:
    """What of a field differs, for people: names, never values, which may be secret."""
    before, now = getattr(one, field), getattr(other, field)
    names: Iterable[str] = ()
    if field == ENVIRONMENT:
        names = {text_of(name) for name in {*before, *now} if before.get(name) != now.get(name)}
    elif field == "aliases":
        names = {name for name, _ in before ^ now}
    elif field == "patched":
        names = {f"{module}.{name}" for module, name, _ in {*_keyed(before)} ^ {*_keyed(now)}}
    elif field in ("finders", "path_hooks"):
        known = {id(entry) for entry in before}
        names = {type(entry).__name__ if not isinstance(entry, (type, FunctionType)) else
                 entry.__name__ for entry in now if id(entry) not in known}
    shown = sorted(names)
    return _SHOWN[field] + (f" ({', '.join(shown[:3])}{', ...' if shown[3:] else ''})"
                            if shown else "")


def _keyed(patched: Iterable[Any]) -> Iterable[Tuple[str, str, int]]:
    return ((module, name, id(value)) for module, name, value in patched)


def text_of(name: Any) -> str:
    return os.fsdecode(name) if isinstance(name, bytes) else str(name)


class WorldView:
    """Looks at this process, and brings it into another state."""

    def __init__(self, like: "Optional[WorldView]" = None) -> None:
        """`like` is the view of the process that this one was forked from, if nothing has
        happened since to what both may see: it has looked at all modules already."""
        self._finders = list(sys.meta_path)
        self._path_hooks = list(sys.path_hooks)
        self._signals = tuple(map(_signal.getsignal, _SIGNALS))
        self._logging = _logging_now()
        self._streams = _streams_now()
        self._watched: Dict[str, Tuple[Dict[str, Any], Dict[str, Any]]] = {}
        self._seen: List[Tuple[str, Dict[str, Any], Any, Tuple[Any, ...]]] = []
        self._found: Dict[str, List[Any]] = {}
        self._modules: Dict[str, Any] = like._modules if like is not None else {}
        self._aliases: FrozenSet[Tuple[str, str]] = (
            like._aliases if like is not None else frozenset())
        self._base_aliases = self._aliases_now()
        self._held: Optional[FrozenSet[Tuple[str, str]]] = None
        if like is None:
            self.watch(PATCHED)
            self._builtins = set(builtins.__dict__)
        else:
            self._watched = {name: watched for name, watched in like._watched.items()
                             if name not in OWN}
            self._seen = [seen for seen in like._seen if seen[0] not in OWN]
            self._builtins = set(builtins.__dict__)
            self.watch(OWN)

    def watch(self, names: Iterable[str]) -> None:
        """Remember the state of modules of the standard library as unpatched."""
        for name in names:
            module = sys.modules.get(name)
            if name not in self._watched and isinstance(module, ModuleType):
                values = module.__dict__
                base = {key: value for key, value in values.items() if key[:2] != "__"
                        and (callable(value) or isinstance(value, ModuleType))}
                get = itemgetter(*base, "__name__", "__doc__")
                self._watched[name] = (values, base)
                self._seen.append((name, values, get, get(values)))

    def base(self) -> World:
        """The world as this view was made in: nothing has been patched in it, and looking at
        all that could be would cost a process that was just forked a copy of every page."""
        return self._capture(frozenset(), ())

    def capture(self) -> World:
        """The world as it is now."""
        return self._capture(
            self._aliases_now() - self._base_aliases if self._held is None else self._held,
            self._patched_now())

    def _capture(self, aliases: FrozenSet[Tuple[str, str]], patched: Tuple[Any, ...]) -> World:
        mask = os.umask(0o077)
        os.umask(mask)
        try:
            folder = os.getcwd()
        except OSError:
            folder = ""
        environment = getattr(os.environ, "_data", None)
        return World(
            dict(environment if environment is not None else os.environ), tuple(sys.path),
            folder, mask, tuple(warnings.filters), _locale.setlocale(_locale.LC_ALL),
            _limits_now(), tuple(getattr(sys, "argv", ())),
            aliases, _relative(self._finders, self._finders_now()),
            _relative(self._path_hooks, sys.path_hooks),
            tuple((number, handler) for number, handler, base in zip(
                _SIGNALS, map(_signal.getsignal, _SIGNALS), self._signals)
                if handler is not base and handler != base and not _is_of_a_loop(handler)),
            _changed(self._logging, _logging_now()), _changed(self._streams, _streams_now()),
            patched)

    def hold_aliases(self, now: World) -> None:
        """An import begins: the names that it enters into `sys.modules` come with it, and are
        none of the program's, until they are released."""
        self._held = now.aliases

    def release_aliases(self, before: World) -> None:
        """An import that began in the world `before` has ended."""
        self._held = None
        self._base_aliases = self._aliases_now() - before.aliases

    # -- bringing about --------------------------------------------------------------

    def restore(self, now: World, wanted: World) -> None:
        """Turn `now`, which is the state of this process, into `wanted`."""
        for field in difference(now, wanted):
            getattr(self, "_restore_" + field)(getattr(now, field), getattr(wanted, field))

    def _restore_environment(self, now: Dict[Any, Any], wanted: Dict[Any, Any]) -> None:
        for name in now:
            if name not in wanted:
                del os.environ[text_of(name)]
        for name, value in wanted.items():
            if now.get(name) != value:
                os.environ[text_of(name)] = text_of(value)

    def _restore_path(self, now: Any, wanted: Tuple[str, ...]) -> None:
        sys.path[:] = wanted

    def _restore_folder(self, now: Any, wanted: str) -> None:
        os.chdir(wanted)

    def _restore_umask(self, now: Any, wanted: int) -> None:
        os.umask(wanted)

    def _restore_filters(self, now: Any, wanted: Tuple[Any, ...]) -> None:
        warnings.filters[:] = wanted  # type: ignore[index]
        mutated = getattr(warnings, "_filters_mutated", None) or getattr(
            warnings, "_filters_mutated_lock_held", None)
        if mutated is not None:
            mutated()

    def _restore_locale(self, now: Any, wanted: str) -> None:
        _locale.setlocale(_locale.LC_ALL, wanted)

    def _restore_limits(self, now: Tuple[Any, ...], wanted: Tuple[Any, ...]) -> None:
        recursion, interval, timeout, level, disabled, bytecode, digits, zone = wanted
        sys.setrecursionlimit(recursion)
        sys.setswitchinterval(interval)
        _socket.setdefaulttimeout(timeout)
        logging.root.setLevel(level)
        logging.disable(disabled)
        sys.dont_write_bytecode = bytecode
        if digits is not None:
            sys.set_int_max_str_digits(digits)  # type: ignore[attr-defined, unused-ignore]
        if tuple(zone) != time.tzname:
            time.tzset()

    def _restore_arguments(self, now: Any, wanted: Tuple[str, ...]) -> None:
        sys.argv[:] = wanted

    def _restore_aliases(self, now: FrozenSet[Tuple[str, str]],
                         wanted: FrozenSet[Tuple[str, str]]) -> None:
        for name, _ in now - wanted:
            sys.modules.pop(name, None)
        for name, target in wanted - now:
            if target in sys.modules:
                sys.modules[name] = sys.modules[target]

    def _restore_finders(self, now: Any, wanted: Tuple[Any, ...]) -> None:
        shown = self._finders_now()
        own = [finder for finder in sys.meta_path if finder not in shown]
        sys.meta_path[:] = own + _absolute(self._finders, wanted)

    def _restore_path_hooks(self, now: Any, wanted: Tuple[Any, ...]) -> None:
        sys.path_hooks[:] = _absolute(self._path_hooks, wanted)
        sys.path_importer_cache.clear()

    def _restore_signals(self, now: Tuple[Any, ...], wanted: Tuple[Any, ...]) -> None:
        base = dict(zip(_SIGNALS, self._signals))
        handlers = {number: base[number] for number, _ in now}
        handlers.update(wanted)
        for number, handler in handlers.items():
            if handler is not None:
                _signal.signal(number, handler)

    def _restore_logging(self, now: Any, wanted: Tuple[Any, ...]) -> None:
        values = _given(self._logging, wanted)
        logging.setLoggerClass(values[0])
        logging.root.manager.loggerClass = values[1]
        logging.setLogRecordFactory(values[2])
        logging.lastResort = values[3]

    def _restore_streams(self, now: Any, wanted: Tuple[Any, ...]) -> None:
        values = _given(self._streams, wanted)
        (sys.stdin, sys.stdout, sys.stderr, sys.excepthook, sys.displayhook,
         sys.unraisablehook) = values[:6]
        sys.settrace(values[6])
        sys.setprofile(values[7])
        events = sys.modules.get("asyncio.events")
        if events is not None:
            events._event_loop_policy = values[8]  # type: ignore[attr-defined, unused-ignore]

    def _restore_patched(self, now: Tuple[Any, ...], wanted: Tuple[Any, ...]) -> None:
        kept = {(module, name) for module, name, _ in wanted}
        undone = [(module, name, self._watched[module][1].get(name, _GONE))
                  for module, name, _ in now if (module, name) not in kept]
        for module, name, value in [*undone, *wanted]:
            if value is _GONE:
                self._watched[module][0].pop(name, None)
            else:
                self._watched[module][0][name] = value

    # -- looking ---------------------------------------------------------------------

    def _finders_now(self) -> List[Any]:
        """The finders, without what we added ourselves since: it finds nothing of its own."""
        return [finder for finder in sys.meta_path if finder in self._finders or not str(
            getattr(type(finder), "__module__", "")).startswith("tremolo.")]

    def _patched_now(self) -> Tuple[Any, ...]:
        for module, values, get, base in self._seen:
            try:
                if get(values) == base:  # functions and classes: they are equal if the same
                    self._found.pop(module, None)
                    continue
            except KeyError:
                pass  # one was deleted
            self._found[module] = [
                (module, name, values.get(name, _GONE))
                for name, value in self._watched[module][1].items()
                if values.get(name, _GONE) is not value]
        found = [entry for entries in self._found.values() for entry in entries]
        if len(builtins.__dict__) != len(self._builtins):
            found += [("builtins", name, value) for name, value in builtins.__dict__.items()
                      if name not in self._builtins and name != "_"]
        return tuple(found)

    def _aliases_now(self) -> FrozenSet[Tuple[str, str]]:
        """Names in `sys.modules` under which a module of another name is found."""
        modules, known = sys.modules, self._modules
        if len(modules) == len(known) and not any(map(is_not, modules.values(),
                                                      known.values())):
            return self._aliases
        now = dict(modules)
        found = {(name, own) for name, own in self._aliases if now.get(name) is known[name]}
        for name, module in now.items():
            if known.get(name) is not module and type(module) is ModuleType:
                own = module.__dict__.get("__name__")
                if own != name and isinstance(own, str) and name[:2] != "__" != own[:2]:
                    found.add((name, own))
        self._modules = now
        if found != self._aliases:
            self._aliases = frozenset(found)
        return self._aliases


def _is_of_a_loop(handler: Any) -> bool:
    """Whether an event loop calls back for a signal: the loop, ours at least, is no setting."""
    owners = (getattr(handler, "__module__", None),
              type(getattr(handler, "__self__", None)).__module__)
    return any(str(owner).partition(".")[0] in ("asyncio", "uvloop") for owner in owners)


def _relative(base: List[Any], now: List[Any]) -> Tuple[Any, ...]:
    """`now` with the entries of `base`, if they stand together, as one."""
    count = len(base)
    if not base:
        return tuple(now)
    for start in range(len(now) - count + 1):
        if all(one is other for one, other in zip(base, now[start:start + count])):
            return (*now[:start], _BASE, *now[start + count:])
    return tuple(now)


def _absolute(base: List[Any], relative: Tuple[Any, ...]) -> List[Any]:
    found: List[Any] = []
    for entry in relative:
        if isinstance(entry, str):
            found.extend(base)
        else:
            found.append(entry)
    return found


def _changed(base: Tuple[Any, ...], now: Tuple[Any, ...]) -> Tuple[Any, ...]:
    return tuple((index, value) for index, value in enumerate(now)
                 if value is not base[index])


def _given(base: Tuple[Any, ...], changed: Tuple[Any, ...]) -> List[Any]:
    values = list(base)
    for index, value in changed:
        values[index] = value
    return values


def _limits_now() -> Tuple[Any, ...]:
    digits = getattr(sys, "get_int_max_str_digits", None)
    return (sys.getrecursionlimit(), sys.getswitchinterval(), _socket.getdefaulttimeout(),
            logging.root.level, logging.root.manager.disable, sys.dont_write_bytecode,
            digits() if digits is not None else None, time.tzname)


def _logging_now() -> Tuple[Any, ...]:
    return (logging.getLoggerClass(), logging.root.manager.loggerClass,
            logging.getLogRecordFactory(), logging.lastResort)


def _streams_now() -> Tuple[Any, ...]:
    events = sys.modules.get("asyncio.events")
    return (sys.stdin, sys.stdout, sys.stderr, sys.excepthook, sys.displayhook,
            sys.unraisablehook, sys.gettrace(), sys.getprofile(),
            getattr(events, "_event_loop_policy", None))
