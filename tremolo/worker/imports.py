"""Importing the project's modules: from their source, digested and timed.

Python trusts a `.pyc` when size and whole seconds of the source agree, so a second save in
one second would run the first one's code. In a worker that may be reloaded, project modules
are therefore compiled from what the file holds; compiled code is kept by content hash only.
What lies in site-packages or the standard library is left to Python.
"""

import linecache
import marshal
import os
import sys
import threading
from hashlib import blake2b
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import MAGIC_NUMBER, decode_source
from time import perf_counter
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Sequence, Set, Tuple

if TYPE_CHECKING:
    from .steps import Steps

from .installed import is_installed
from .lookups import Lookups, Places

_WRITING = os.O_WRONLY | os.O_RDWR

def opens_to_write(mode: Any, flags: Any) -> bool:
    """Whether the arguments of an audit event "open" announce a write. A mode shows it by itself:
    the flags that PyPy gives beside one mean nothing."""
    if isinstance(mode, str):
        return not set("wax+").isdisjoint(mode)
    return isinstance(flags, int) and bool(flags & _WRITING)


def _target(event: str, arguments: Tuple[Any, ...]) -> Optional[str]:
    """The file that an audit event announces to be written; None for all other events."""
    if event == "open" and len(arguments) > 2:
        path = arguments[0]
        if not opens_to_write(arguments[1], arguments[2]):
            return None
    elif event == "os.rename" and len(arguments) > 1:
        path = arguments[1]
    else:
        return None
    if isinstance(path, (bytes, os.PathLike)):
        path = os.fsdecode(path)
    return path if isinstance(path, str) else None


def digest(source: bytes) -> str:
    return blake2b(source, digest_size=16).hexdigest()


def keep_lines(path: str, source: bytes) -> None:
    """Let tracebacks and debuggers show the lines that run, whatever becomes of the file: old
    code goes on serving beside a save that does not work."""
    try:
        lines = decode_source(source).splitlines(keepends=True)
    except (SyntaxError, UnicodeDecodeError):
        return  # it does not compile, either
    # Without a time of modification it is not compared with the file.
    linecache.cache[path] = (len(source), None, lines, path)


class ProjectLoader(SourceFileLoader):
    """Loads one module of the project from its source and has `imports` note it."""

    def __init__(self, fullname: str, path: str, imports: "ProjectImports") -> None:
        super().__init__(fullname, path)
        self._imports = imports

    def get_code(self, fullname: str) -> Optional[CodeType]:
        path = self.get_filename(fullname)
        try:
            source = self.get_data(path)
        except OSError:
            self._imports.saw(path, "")  # it was there a moment ago, and may be again
            raise
        self._imports.saw(path, digest(source))
        keep_lines(path, source)
        return self._imports.cache.code(self, source, path)

    def exec_module(self, module: ModuleType) -> None:
        self._imports.began()
        try:
            super().exec_module(module)
        finally:
            self._imports.ended(module.__name__)


class CodeCache:
    """Compiled code by the hash of its source; one file a source path, so it cannot grow."""

    def __init__(self, folder: Optional[str]) -> None:
        self._folder = folder

    @classmethod
    def of_user(cls) -> "CodeCache":
        if sys.dont_write_bytecode:
            return cls(None)
        base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        if not os.path.isabs(base):
            return cls(None)
        tag = sys.implementation.cache_tag or sys.implementation.name
        folder = os.path.join(base, "tremolo", f"code-{tag}")
        try:
            os.makedirs(folder, 0o700, exist_ok=True)
            status = os.stat(folder)
        except OSError:
            return cls(None)
        # Code from here is executed: nobody else may have written it.
        if status.st_uid != os.getuid() or status.st_mode & 0o022:
            return cls(None)
        return cls(folder)

    def code(self, loader: SourceFileLoader, source: bytes, path: str) -> CodeType:
        if self._folder is None:
            return self._compile(loader, source, path)
        key = blake2b(path.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
        stored = os.path.join(self._folder, key)
        stamp = MAGIC_NUMBER + bytes((sys.flags.optimize,)) + blake2b(
            source, digest_size=32).digest()
        try:
            with open(stored, "rb") as file:
                data = file.read()
            if data.startswith(stamp):
                code = marshal.loads(data[len(stamp):])
                if isinstance(code, CodeType) and code.co_filename == path:
                    return code
        except (OSError, ValueError, EOFError, TypeError):
            code = None  # no such entry, or one that was cut off: it is made anew
        code = self._compile(loader, source, path)
        self._store(stored, stamp + marshal.dumps(code))
        return code

    @staticmethod
    def _compile(loader: SourceFileLoader, source: bytes, path: str) -> CodeType:
        try:
            code: CodeType = loader.source_to_code(source, path)
        except (SyntaxError, ValueError) as exc:
            if getattr(exc, "filename", None):
                raise
            # Of a NUL Python names no place, and before 3.11.4 it is a ValueError.
            line = source.count(b"\n", 0, max(source.find(b"\0"), 0)) + 1
            raise SyntaxError(str(exc), (path, line, None, None)) from None
        return code

    @staticmethod
    def _store(path: str, data: bytes) -> None:
        temporary = f"{path}.{os.getpid()}"
        try:
            with open(temporary, "wb") as file:
                file.write(data)
            os.replace(temporary, path)
        except OSError:
            return  # a full disk costs a compilation, nothing else


class ProjectImports:
    """Finds modules as Python would, and loads the project's with `ProjectLoader`.

    `files` maps the path of each project file that was read to its digest, "" if it could not
    be read; `lookups` knows where modules were looked for; `times` the seconds each module
    took by itself. `on_read()` is called before the code of a file is run, which may take for
    ever.
    """

    def __init__(self, cache: Optional[CodeCache] = None) -> None:
        self.cache = cache or CodeCache.of_user()
        self.files: Dict[str, str] = {}
        self._fresh: Dict[str, str] = {}
        self._lock = threading.RLock()  # modules are imported in threads, and by signal handlers
        self._own: Set[str] = set()  # what this process has written
        self.lookups = Lookups(is_installed, self._own.__contains__)
        self.on_read: Callable[[], None] = lambda: None
        self._written: Set[str] = set()
        self._wrote: Callable[[str, Optional[str]], None] = lambda path, digest: None
        self.times: Dict[str, float] = {}
        self.steps: Optional[Steps] = None  # notes what is imported, for the zygote
        self._finding: Set[str] = set()
        self._stack: List[List[float]] = []

    def install(self) -> None:
        sys.meta_path.insert(0, self)

    def watch_writes(self, counts: Callable[[str], bool],
                     wrote: Callable[[str, Optional[str]], None]) -> None:
        """Call `wrote(path, None)` when this process is about to write to a file of the
        project, or to another that `counts`: if it is one that reloads, that would go on for
        ever. What it holds then is reported by `report_written`."""

        def hook(event: str, arguments: Tuple[Any, ...]) -> None:
            path = _target(event, arguments)
            if path is None:
                return
            path = os.path.abspath(path)
            if path in self.files or (not is_installed(path) and counts(path)):
                self._written.add(path)
                self._own.add(path)
                wrote(path, None)

        self._wrote = wrote
        if hasattr(sys, "addaudithook"):
            sys.addaudithook(hook)

    def report_written(self) -> None:
        """Call `wrote(path, digest)` for the files that were written to since the last time."""
        while self._written:
            path = self._written.pop()
            try:
                with open(path, "rb") as file:
                    self._wrote(path, digest(file.read()))
            except OSError:
                continue  # it was written to be deleted

    def saw(self, path: str, hash: str) -> None:
        path = os.path.abspath(path)
        with self._lock:
            self.files[path] = self._fresh[path] = hash
        self.on_read()

    def take(self) -> Tuple[Dict[str, str], Places]:
        """The files that were read since the last time, with their digests, and the places
        where modules were looked for."""
        with self._lock:
            files, self._fresh = self._fresh, {}
            return files, self.lookups.take()

    def importing(self) -> bool:
        """Whether a module of the project is just being run."""
        return bool(self._stack)

    def began(self) -> None:
        self._stack.append([perf_counter(), 0.0])

    def ended(self, name: str) -> None:
        started, nested = self._stack.pop()
        passed = perf_counter() - started
        self.times[name] = passed - nested
        if self._stack:
            self._stack[-1][1] += passed

    def slowest(self, count: int = 3) -> List[List[Any]]:
        """The modules that took longest by themselves: [name, milliseconds]."""
        ranked = sorted(self.times.items(), key=lambda item: -item[1])[:count]
        return [[name, round(seconds * 1000, 1)] for name, seconds in ranked]

    def loader(self, name: str, path: str) -> ProjectLoader:
        return ProjectLoader(name, path, self)

    def find_spec(self, fullname: str, path: Optional[Sequence[str]] = None,
                  target: Optional[ModuleType] = None) -> Optional[ModuleSpec]:
        if fullname in self._finding:
            return None  # another finder asks the others, as we do
        self._finding.add(fullname)
        spec: Optional[ModuleSpec] = None
        searched = False
        try:
            for finder in list(sys.meta_path):
                find = getattr(finder, "find_spec", None)
                if finder is self or find is None:
                    continue
                searched = searched or finder is PathFinder
                spec = find(fullname, path, target)
                if spec is not None:
                    break
        finally:
            self._finding.discard(fullname)
        if searched:
            with self._lock:
                self.lookups.note(fullname, path, spec)
        if (spec is not None and spec.origin and spec.has_location
                and not is_installed(os.path.abspath(spec.origin))):
            self._take(fullname, spec, spec.origin)
            if self.steps is not None and self.steps.is_kept(fullname):
                self.steps.wrap(spec, keep=True)
        elif (self.steps is not None and spec is not None and spec.has_location and spec.origin
              and not fullname.startswith("tremolo") and is_installed(spec.origin)):
            self.steps.wrap(spec)
        return spec

    def _take(self, fullname: str, spec: ModuleSpec, origin: str) -> None:
        """A module of the project was found: read it ourselves, or note what another loader
        (of an import hook, of an extension module) is about to read."""
        if type(spec.loader) is SourceFileLoader:
            spec.loader = self.loader(fullname, origin)
            spec.cached = None
            return
        try:
            with open(origin, "rb") as file:
                self.saw(origin, digest(file.read()))
        except OSError:
            self.saw(origin, "")
